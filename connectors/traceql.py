"""TraceQL for a TracesRequest: one span for which all that is given holds.

Texts are quoted as Go reads them, so that none becomes syntax. A tag's value is text here, and a number or a truth
where the system has one: both are asked. Language: https://grafana.com/docs/tempo/latest/traceql/
"""

import re
from typing import Final

from connectors.contract import TracesRequest
from connectors.quoting import quoted

_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_.\-/]*")
_NUMBER: Final = re.compile(r"-?(?:0|[1-9]\d{0,17})(?:\.\d{1,17})?")
_KINDS: Final = frozenset({"server", "client", "internal", "producer", "consumer", "unspecified"})
SELECTED: Final = "select(status, resource.service.name)"
"""What an answer says of each span beside its name, times and what was asked for."""


def search(request: TracesRequest) -> str:
    """Return the query of a request."""
    return f"{{ {' && '.join(_conditions(request)) or 'true'} }} | {SELECTED}"


def of_service(service: str) -> str:
    """Return the query of a service's spans."""
    return f"{{ resource.service.name = {quoted(service)} }}"


def _conditions(request: TracesRequest) -> list[str]:
    found = []
    if request.service:
        found.append(f"resource.service.name = {quoted(request.service)}")
    if request.operation:
        found.append(f"name = {quoted(request.operation)}")
    if request.min_duration_ns is not None:
        found.append(f"duration >= {request.min_duration_ns}ns")
    if request.max_duration_ns is not None:
        found.append(f"duration <= {request.max_duration_ns}ns")
    if request.has_error is not None:
        found.append(f"status {'=' if request.has_error else '!='} error")
    return [*found, *(_tag(name, value) for name, value in sorted(request.tags.items()))]


def _tag(name: str, value: str) -> str:
    if name == "error" and value in {"true", "false"}:
        return f"status {'=' if value == 'true' else '!='} error"
    if name in {"span.kind", "kind"} and value in _KINDS:
        return f"kind = {value}"
    attribute = f".{name}" if _NAME.fullmatch(name) else f".{quoted(name)}"
    forms = [quoted(value)]
    if _NUMBER.fullmatch(value) or value in {"true", "false"}:
        forms.append(value)
    either = " || ".join(f"{attribute} = {form}" for form in forms)
    return f"({either})" if len(forms) > 1 else either
