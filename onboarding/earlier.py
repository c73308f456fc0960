"""What an earlier run of `telemetry setup` chose, read back from the variables that it wrote.

A later run keeps each choice that its options do not change. A value that a person changed by hand since is kept too.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from onboarding.choices import CONTENT
from onboarding.interview import Options
from onboarding.precedence import Variables
from otlp.destination import Protocol
from otlp.signals import Signal

_ENDPOINT: Final = "OTEL_EXPORTER_OTLP_ENDPOINT"
_BEARER: Final = "Authorization=Bearer "
_EXPORT: Final = re.compile(r"^export (\w+)='(.*)'$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Earlier:
    """The options that say the same as the variables, and the token, which no option holds."""

    options: Options
    token: str


def keep(options: Options, variables: Mapping[str, str]) -> Earlier:
    """Return the options with those that are not given as the variables have them."""
    found = Variables(dict(variables), {})
    protocol, endpoint = _destination(options, found)
    is_same_place = endpoint == found.get(_ENDPOINT) != ""
    certificate = found.get("OTEL_EXPORTER_OTLP_CERTIFICATE")
    interval = found.get("OTEL_METRIC_EXPORT_INTERVAL")
    headers = found.get("OTEL_EXPORTER_OTLP_HEADERS")
    kept = replace(
        options,
        protocol=protocol,
        endpoint=endpoint,
        signals=options.signals or _signals(found),
        content=options.content or _content(found),
        certificate=options.certificate or (Path(certificate) if certificate and is_same_place else None),
        metric_interval=options.metric_interval or (int(interval) if interval.isdecimal() else None),
    )
    is_bearer = headers.startswith(_BEARER) and "," not in headers
    return Earlier(kept, headers.removeprefix(_BEARER) if is_bearer and is_same_place else "")


def exported(text: str) -> dict[str, str]:
    """Return the variables of a file that `--scope env` wrote."""
    return {name: value.replace(r"'\''", "'") for name, value in _EXPORT.findall(text)}


def _destination(options: Options, found: Variables) -> tuple[str | None, str | None]:
    """Return protocol and endpoint: the earlier ones where neither is given, or the one that fits the other."""
    before = found.get(_ENDPOINT), found.get("OTEL_EXPORTER_OTLP_PROTOCOL")
    if not all(before) or before[1] not in set(Protocol):
        return options.protocol, options.endpoint
    if options.endpoint is None and options.protocol in {None, before[1]}:
        return before[1], before[0]
    if options.endpoint == before[0] and options.protocol is None:
        return before[1], before[0]
    return options.protocol, options.endpoint


def _signals(found: Variables) -> str | None:
    names = [
        signal
        for signal, name in (
            (Signal.METRICS, "OTEL_METRICS_EXPORTER"),
            (Signal.LOGS, "OTEL_LOGS_EXPORTER"),
            (Signal.TRACES, "OTEL_TRACES_EXPORTER"),
        )
        if "otlp" in found.get(name).split(",")
    ]
    return ",".join(names) or None


def _content(found: Variables) -> str | None:
    if not found.get(_ENDPOINT):
        return None
    return ",".join(switch.name for switch in CONTENT if found.is_on(switch.variable)) or "none"
