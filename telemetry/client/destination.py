"""Where the client sends a signal, and how, as its variables say.

Source: https://opentelemetry.io/docs/specs/otel/protocol/exporter/ and https://code.claude.com/docs/en/monitoring-usage
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

from receiver.signals import Signal
from telemetry.client.choices import Protocol
from telemetry.client.effective import Effective

_EXPORTERS: Final = {
    Signal.METRICS: "OTEL_METRICS_EXPORTER",
    Signal.LOGS: "OTEL_LOGS_EXPORTER",
    Signal.TRACES: "OTEL_TRACES_EXPORTER",
}
_BETA: Final = "CLAUDE_CODE_ENHANCED_TELEMETRY_BETA"
GRPC_PORT: Final = 4317
HTTP_PORT: Final = 4318


class DestinationError(Exception):
    """The variables name no place to send to. The text has the remedy."""

    def __init__(self, problem: str, fix: str) -> None:
        super().__init__(f"{problem} {fix}")
        self.problem = problem
        self.fix = fix


@dataclass(frozen=True, slots=True)
class Destination:
    """One signal's. `url` has the path that HTTP posts to; over gRPC it has none."""

    signal: Signal
    protocol: Protocol
    url: str
    host: str
    port: int
    is_tls: bool
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    certificate: Path | None = None
    client_certificate: Path | None = None
    client_key: Path | None = None

    @property
    def address(self) -> str:
        """Host and port."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def base(self) -> str:
        """The URL without its path."""
        return f"{'https' if self.is_tls else 'http'}://{self.address}"


def exported(variables: Effective) -> list[Signal]:
    """Give the signals that go out over OTLP."""
    return [
        signal
        for signal, name in _EXPORTERS.items()
        if "otlp" in [part.strip() for part in variables.get(name).split(",")]
        and (signal is not Signal.TRACES or variables.is_on(_BETA))
    ]


def destination(variables: Effective, signal: Signal) -> Destination:
    """Work out a signal's destination. Raises DestinationError."""
    protocol = _protocol(variables, signal)
    url, is_own = _endpoint(variables, signal)
    parts = urlsplit(url)
    try:
        port = parts.port
    except ValueError:
        port = None
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise DestinationError(
            "OTEL_EXPORTER_OTLP_ENDPOINT is not an address.",
            "Set it to one such as http://localhost:4317, with http:// or https://.",
        )
    if protocol is not Protocol.GRPC and not is_own:
        url = f"{url.rstrip('/')}/v1/{signal}"
    is_tls = parts.scheme == "https"
    default = GRPC_PORT if protocol is Protocol.GRPC else (443 if is_tls else 80)
    return Destination(
        signal,
        protocol,
        url,
        parts.hostname,
        port or default,
        is_tls,
        _headers(variables, signal),
        *(_path(variables, signal, what) for what in ("CERTIFICATE", "CLIENT_CERTIFICATE", "CLIENT_KEY")),
    )


def _protocol(variables: Effective, signal: Signal) -> Protocol:
    name = _name(signal, "PROTOCOL")
    said = variables.get(name) or variables.get("OTEL_EXPORTER_OTLP_PROTOCOL")
    known = ", ".join(Protocol)
    if not said:
        raise DestinationError(
            "OTEL_EXPORTER_OTLP_PROTOCOL is not set, and Claude Code has no default for it.",
            f"Set it to one of {known}.",
        )
    if said not in set(Protocol):
        raise DestinationError(f"The protocol {said!r} is not known.", f"Set it to one of {known}.")
    return Protocol(said)


def _endpoint(variables: Effective, signal: Signal) -> tuple[str, bool]:
    """Give the endpoint, and whether it is the signal's own, which has its path already."""
    if own := variables.get(_name(signal, "ENDPOINT")):
        return own, True
    if common := variables.get("OTEL_EXPORTER_OTLP_ENDPOINT"):
        return common, False
    raise DestinationError(
        "OTEL_EXPORTER_OTLP_ENDPOINT is not set.",
        "Set it to this server's address, such as http://localhost:4317.",
    )


def _headers(variables: Effective, signal: Signal) -> tuple[tuple[str, str], ...]:
    text = ",".join([variables.get("OTEL_EXPORTER_OTLP_HEADERS"), variables.get(_name(signal, "HEADERS"))])
    pairs = (pair.partition("=") for pair in text.split(",") if "=" in pair)
    return tuple({key.strip().lower(): unquote(value.strip()) for key, _, value in pairs}.items())


def _path(variables: Effective, signal: Signal, what: str) -> Path | None:
    said = variables.get(_name(signal, what)) or variables.get(f"OTEL_EXPORTER_OTLP_{what}")
    return Path(said) if said else None


def _name(signal: Signal, what: str) -> str:
    return f"OTEL_EXPORTER_OTLP_{signal.upper()}_{what}"
