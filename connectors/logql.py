"""LogQL for a LogsRequest: a selector of streams, and the stages through which their lines go.

Streams have the labels that their senders chose; the names that are common are tried in order, and those that are no
stream's label are asked as structured metadata. Texts are quoted as Go reads them, so that none becomes syntax.
Language: https://grafana.com/docs/loki/latest/query/log_queries/
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from connectors.alternatives import alternatives, clauses
from connectors.contract import BackendError, Kind, LogsRequest, Severity
from connectors.quoting import literal, quoted
from connectors.severities import NAMES, PATTERNS
from connectors.trace_ids import forms_of

SERVICE: Final = (
    "service_name", "service", "app", "app_kubernetes_io_name", "k8s_deployment_name", "job", "container", "component",
)  # fmt: skip
"""Where a service's name is; Loki itself makes service_name of the others since 3.0."""
NAMESPACE: Final = ("namespace", "k8s_namespace_name", "kubernetes_namespace_name", "service_namespace")
POD: Final = ("pod", "k8s_pod_name", "pod_name", "kubernetes_pod_name")
LEVEL: Final = ("detected_level", "level", "severity", "severity_text", "lvl", "loglevel")
TRACE: Final = ("trace_id", "traceid", "traceID", "traceId")
SPAN: Final = ("span_id", "spanid", "spanID", "spanId")
_COMMON: Final = (*SERVICE, *NAMESPACE, *POD)
_NAME: Final = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
_STAGE: Final = ("|", "!=", "!~")


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of a system's streams: the names of their labels, and the values of those that were looked up."""

    names: frozenset[str]
    values: Mapping[str, frozenset[str]] = field(default_factory=dict)
    has_levels: bool = True
    """Whether lines have their level as a label or as metadata; their text is searched for it otherwise."""


def doubtful(request: LogsRequest, names: frozenset[str]) -> list[str]:
    """Return the labels whose values decide which of several that could hold a service, namespace or pod does."""
    found = []
    for candidates, value in _asked(request):
        present = [name for name in candidates if name in names]
        if value and len(present) > 1:
            found += present
    return found


def log_queries(request: LogsRequest, known: Known) -> tuple[str, ...]:
    """Return the queries that together select a request's lines, none of them selected twice. Raises BackendError."""
    matchers, stages = _labels(request, known)
    stages += _text(request)
    if request.severity is not None:
        stages += severity_stages(request.severity, has_levels=known.has_levels)
    return tuple(_query(request.query, matchers, stages + more, known) for more in _trace(request.trace_id))


def severity_stages(severity: Severity, *, has_levels: bool) -> list[str]:
    """Return the stages that leave lines of a severity: by level, or by the strongest that their text names."""
    if has_levels:
        names = quoted(f"(?i)(?:{'|'.join(NAMES[severity])})")
        return ["| " + " or ".join(f"{name}=~{names}" for name in LEVEL)]
    stronger = list(PATTERNS)[: list(PATTERNS).index(severity)]
    return [*(f"!~ {quoted(PATTERNS[one])}" for one in stronger), f"|~ {quoted(PATTERNS[severity])}"]


def unknown_severity_stages() -> list[str]:
    """Return the stages that leave lines whose text names no severity."""
    return [f"!~ {quoted(pattern)}" for pattern in PATTERNS.values()]


def selector(labels: Mapping[str, str]) -> str:
    """Return the selector of the one stream that has these labels and values."""
    return "{" + ", ".join(f"{name_of(name)}={quoted(value)}" for name, value in sorted(labels.items())) + "}"


def name_of(name: str) -> str:
    """Return a label's name as Loki has it: `k8s.pod.name` is k8s_pod_name. Raises BackendError for no name."""
    plain = re.sub(r"[.\-/]", "_", name)
    if not _NAME.fullmatch(plain):
        raise BackendError(Kind.BAD_QUERY, "A label's name is of letters, digits and _: correct it.")
    return plain


def _asked(request: LogsRequest) -> Sequence[tuple[tuple[str, ...], str]]:
    return ((SERVICE, request.service), (NAMESPACE, request.namespace), (POD, request.pod))


def _labels(request: LogsRequest, known: Known) -> tuple[list[str], list[str]]:
    """Return the matchers of streams, and the stages for what is no stream's label."""
    matchers, stages = [], []
    for candidates, value in _asked(request):
        present = [name for name in candidates if name in known.names]
        if value and present:
            holding = [name for name in present if _has(known.values.get(name, frozenset()), name, value)]
            matchers.append(_matcher((holding or present)[0], value))
        elif value:
            stages.append("| " + " or ".join(f"{name}={quoted(value)}" for name in candidates))
    for name, value in request.labels.items():
        plain = name_of(name)
        (matchers if plain in known.names else stages).append(
            ("" if plain in known.names else "| ") + f"{plain}={quoted(value)}"
        )
    return matchers, stages


def _has(values: frozenset[str], name: str, value: str) -> bool:
    return value in values or (name == "job" and any(one.endswith("/" + value) for one in values))


def _matcher(name: str, value: str) -> str:
    # Prometheus' and promtail's job is often namespace/service.
    return f"job=~{quoted('(?:.+/)?' + literal(value))}" if name == "job" else f"{name}={quoted(value)}"


def _text(request: LogsRequest) -> list[str]:
    found = [
        "|~ "
        + quoted(
            "(?i)" + (literal(clause[0]) if len(clause) == 1 else f"(?:{'|'.join(map(literal, clause))})")
        )
        for clause in clauses(alternatives(request.text))
    ]
    return [*found, *([f"|~ {quoted(request.regex)}"] if request.regex else [])]


def _trace(trace_id: str) -> list[list[str]]:
    """Return the stages of two ways to be a trace's line: in the text, or as metadata alone."""
    if not trace_id:
        return [[]]
    forms = forms_of(trace_id)
    named = "| " + " or ".join(f"{name}={quoted(form)}" for name in TRACE for form in forms)
    return [[f"|= {quoted(forms[0])}"], [f"!= {quoted(forms[0])}", named]]


def _query(raw: str, matchers: list[str], stages: list[str], known: Known) -> str:
    raw = raw.strip()
    if raw and not raw.startswith(_STAGE):
        # On a line of their own: the query may end in a comment.
        return "\n".join([raw, *(f"| {matcher}" for matcher in matchers), *stages])
    return " ".join(
        [
            "{" + ", ".join(matchers or [f'{any_label(known)}=~".+"']) + "}",
            *([raw + "\n"] if raw else []),
            *stages,
        ]
    )


def any_label(known: Known) -> str:
    """Return the label that streams must have when nothing of a request names one: the one that most of them have.

    Loki wants a matcher that an absent label does not satisfy.
    """
    return next((name for name in (*_COMMON, *sorted(known.names)) if name in known.names), SERVICE[0])
