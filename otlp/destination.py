"""Where one signal is sent, and how: protocol, address, headers and certificates.

Source: https://opentelemetry.io/docs/specs/otel/protocol/exporter/
"""

from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Final

from otlp.signals import Signal

GRPC_PORT: Final = 4317
HTTP_PORT: Final = 4318


class Protocol(StrEnum):
    """How OTLP is carried, as OTEL_EXPORTER_OTLP_PROTOCOL spells it."""

    GRPC = "grpc"
    PROTOBUF = "http/protobuf"
    JSON = "http/json"


@dataclass(frozen=True, slots=True)
class Destination:
    """The destination of one signal. `url` includes the path that HTTP posts to; over gRPC there is none."""

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
    trusts_any_name: bool = False
    """Whether `certificate` is the server's own, which is trusted whichever names are in it."""

    @property
    def address(self) -> str:
        """Host and port."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def base(self) -> str:
        """The URL without its path."""
        return f"{'https' if self.is_tls else 'http'}://{self.address}"
