"""Where the client sends a signal, and how, according to its variables.

Source: https://opentelemetry.io/docs/specs/otel/protocol/exporter/ and https://code.claude.com/docs/en/monitoring-usage
"""

from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

from onboarding.precedence import Variables
from otlp.destination import GRPC_PORT, Destination, Protocol
from otlp.signals import Signal

_EXPORTERS: Final = {
    Signal.METRICS: "OTEL_METRICS_EXPORTER",
    Signal.LOGS: "OTEL_LOGS_EXPORTER",
    Signal.TRACES: "OTEL_TRACES_EXPORTER",
}
_BETA: Final = "CLAUDE_CODE_ENHANCED_TELEMETRY_BETA"


class DestinationError(Exception):
    """The variables name no destination. The text has the remedy."""

    def __init__(self, problem: str, fix: str) -> None:
        super().__init__(f"{problem} {fix}")
        self.problem = problem
        self.fix = fix


def exported(variables: Variables) -> list[Signal]:
    """Return the signals that the client exports over OTLP."""
    return [
        signal
        for signal, name in _EXPORTERS.items()
        if "otlp" in [part.strip() for part in variables.get(name).split(",")]
        and (signal is not Signal.TRACES or variables.is_on(_BETA))
    ]


def destination(variables: Variables, signal: Signal) -> Destination:
    """Return a signal's destination. Raises DestinationError."""
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
        certificate=_path(variables, signal, "CERTIFICATE"),
        client_certificate=_path(variables, signal, "CLIENT_CERTIFICATE"),
        client_key=_path(variables, signal, "CLIENT_KEY"),
    )


def _protocol(variables: Variables, signal: Signal) -> Protocol:
    name = _name(signal, "PROTOCOL")
    value = variables.get(name) or variables.get("OTEL_EXPORTER_OTLP_PROTOCOL")
    known = ", ".join(Protocol)
    if not value:
        raise DestinationError(
            "OTEL_EXPORTER_OTLP_PROTOCOL is not set, and Claude Code has no default for it.",
            f"Set it to one of {known}.",
        )
    if value not in set(Protocol):
        raise DestinationError(f"The protocol {value!r} is not known.", f"Set it to one of {known}.")
    return Protocol(value)


def _endpoint(variables: Variables, signal: Signal) -> tuple[str, bool]:
    """Return the endpoint, and whether it is the signal's own, which includes the path."""
    if own := variables.get(_name(signal, "ENDPOINT")):
        return own, True
    if common := variables.get("OTEL_EXPORTER_OTLP_ENDPOINT"):
        return common, False
    raise DestinationError(
        "OTEL_EXPORTER_OTLP_ENDPOINT is not set.",
        "Set it to this server's address, such as http://localhost:4317.",
    )


def _headers(variables: Variables, signal: Signal) -> tuple[tuple[str, str], ...]:
    text = ",".join([variables.get("OTEL_EXPORTER_OTLP_HEADERS"), variables.get(_name(signal, "HEADERS"))])
    pairs = (pair.partition("=") for pair in text.split(",") if "=" in pair)
    return tuple({key.strip().lower(): unquote(value.strip()) for key, _, value in pairs}.items())


def _path(variables: Variables, signal: Signal, part: str) -> Path | None:
    value = variables.get(_name(signal, part)) or variables.get(f"OTEL_EXPORTER_OTLP_{part}")
    return Path(value) if value else None


def _name(signal: Signal, part: str) -> str:
    return f"OTEL_EXPORTER_OTLP_{signal.upper()}_{part}"
