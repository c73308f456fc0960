"""What a kind of system is registered with, and the configuration that those asked over HTTP share.

The fields of a configuration are the ones that people write: in JSON to the REST interface, in YAML, at the command
line. Credentials are fields of type SecretStr, wherever they stand: these are encrypted at rest and never returned.
Another distribution adds a kind by an entry point in the group ENTRY_POINTS, whose value is a Backend.
"""

import base64
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, SecretStr, model_validator

from connectors.addresses import Policy
from connectors.contract import Adapter, Signal
from connectors.upstream import MAX_BYTES, TIMEOUT_SECONDS, Target

ENTRY_POINTS: Final = "claude_code_telemetry.connectors"


class Config(BaseModel):
    """The configuration of a connection. Unknown fields are refused, so that a misspelt one is not passed over."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Auth(Config):
    """How the system is told who asks."""

    type: Literal["none", "basic", "bearer", "header"] = "none"
    username: str = ""
    password: SecretStr = SecretStr("")
    token: SecretStr = SecretStr("")
    header: str = Field(default="", description="For type header: its name; its value is the token.")

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.type == "basic" and not self.username:
            raise ValueError("auth of type basic needs username and password")
        if self.type in {"bearer", "header"} and not self.token.get_secret_value():
            raise ValueError(f"auth of type {self.type} needs a token")
        if self.type == "header" and not self.header:
            raise ValueError("auth of type header needs the header's name")
        return self

    def headers(self) -> dict[str, str]:
        """Return the headers of a request."""
        match self.type:
            case "basic":
                pair = f"{self.username}:{self.password.get_secret_value()}".encode()
                return {"Authorization": "Basic " + base64.b64encode(pair).decode()}
            case "bearer":
                return {"Authorization": f"Bearer {self.token.get_secret_value()}"}
            case "header":
                return {self.header: self.token.get_secret_value()}
            case _:
                return {}


class Tls(Config):
    """Which certificates are trusted, and the client's own."""

    ca_file: Path | None = Field(
        default=None, description="The authority's certificate, in PEM. Default: the system's."
    )
    cert_file: Path | None = None
    key_file: Path | None = None

    def context(self) -> ssl.SSLContext:
        """Return the context of connections. Raises ValueError for a file that cannot be used."""
        try:
            found = ssl.create_default_context(cafile=self.ca_file)
            if self.cert_file is not None:
                found.load_cert_chain(self.cert_file, self.key_file)
        except (OSError, ssl.SSLError) as error:
            raise ValueError(f"tls: a certificate's file cannot be used ({type(error).__name__})") from None
        return found


class HttpConfig(Config):
    """What every system that is asked over HTTP takes."""

    url: str = Field(description="The system's address, such as http://prometheus:9090.")
    auth: Auth = Auth()
    tls: Tls = Tls()
    headers: dict[str, SecretStr] = Field(
        default_factory=dict, description="More headers, such as a tenant's."
    )
    tenant: str = Field(default="", description="The tenant, for systems that have some: X-Scope-OrgID.")
    timeout_seconds: float = Field(default=TIMEOUT_SECONDS, gt=0, le=600)
    max_response_bytes: int = Field(default=MAX_BYTES, ge=1024, le=1 << 30)

    def target(self) -> Target:
        """Return where requests are sent."""
        more = {name: value.get_secret_value() for name, value in self.headers.items()}
        tenant = {"X-Scope-OrgID": self.tenant} if self.tenant else {}
        return Target(
            self.url,
            {**tenant, **more, **self.auth.headers()},
            self.timeout_seconds,
            self.max_response_bytes,
            self.tls.context() if self.url.startswith("https:") else None,
        )


@dataclass(frozen=True, slots=True)
class Backend:
    """A kind of system. `opened` returns an adapter for a configuration; it connects to nothing yet."""

    backend_type: str
    title: str
    signals: frozenset[Signal]
    config: type[Config]
    opened: Callable[[Any, Policy], Adapter]
    only_named: frozenset[Signal] = frozenset()
    """Signals that are asked of a connection that is named, and are never meant without a name."""
