"""Log lines as documents of Elasticsearch and OpenSearch: where their parts are, and queries for them.

Documents have fields of the Elastic Common Schema, of OpenTelemetry, or of their own. The names that are
common are looked up in the indices' mappings, and all that are there are asked. A query is JSON, in which a text
cannot become anything else. Query language: https://opensearch.org/docs/latest/query-dsl/
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson

from connectors.alternatives import alternatives
from connectors.contract import LogsRequest, Severity
from connectors.moments import nanoseconds, rfc3339
from connectors.severities import NAMES
from connectors.trace_ids import forms_of

Clause = dict[str, Any]

TIME: Final = ("@timestamp", "timestamp", "time", "observed_timestamp", "observedTimestamp", "Timestamp")
MESSAGE: Final = ("message", "body", "body.text", "event.original", "msg", "log", "Body")
SEVERITY: Final = (
    "log.level",
    "severity_text",
    "severity",
    "level",
    "loglevel",
    "severity.text",
    "SeverityText",
)
SERVICE: Final = (
    "service.name", "resource.attributes.service.name", "resource.service.name", "serviceName", "service",
)  # fmt: skip
LIKE_SERVICE: Final = (
    "kubernetes.labels.app", "kubernetes.deployment.name", "kubernetes.container.name", "kubernetes.container_name",
    "container.name", "app",
)  # fmt: skip
"""Where the name of a service is, when nothing calls it that."""
NAMESPACE: Final = (
    "kubernetes.namespace", "kubernetes.namespace_name", "k8s.namespace.name",
    "resource.attributes.k8s.namespace.name", "namespace",
)  # fmt: skip
POD: Final = (
    "kubernetes.pod.name", "kubernetes.pod_name", "k8s.pod.name", "resource.attributes.k8s.pod.name", "pod",
)  # fmt: skip
TRACE: Final = ("trace.id", "trace_id", "traceId", "TraceId")
SPAN: Final = ("span.id", "span_id", "spanId", "SpanId")
STREAM: Final = (
    *POD, "container.id", *SERVICE, *LIKE_SERVICE, "host.name", "resource.attributes.host.name", "hostname",
    "log.file.path",
)  # fmt: skip
"""What lines of one stream have in common."""
ASKED: Final = (*TIME, *MESSAGE, *SEVERITY, *SERVICE, *LIKE_SERVICE, *NAMESPACE, *TRACE, *STREAM)
_KEYWORD: Final = frozenset({"keyword", "constant_keyword", "wildcard"})
_TEXT: Final = frozenset({"text", "match_only_text", "annotated_text"})
_NOT_VALUES: Final = frozenset({"object", "nested"})
_FORMAT: Final = "strict_date_optional_time_nanos"
NOTHING: Final[Clause] = {"match_none": {}}


@dataclass(frozen=True, slots=True)
class Fields:
    """The types of the fields that indices have, by name: several where indices differ."""

    types: Mapping[str, frozenset[str]]

    def present(self, names: Sequence[str]) -> list[str]:
        """Return those of some fields that hold values."""
        return [name for name in names if self.types.get(name, frozenset()) - _NOT_VALUES]

    def time(self) -> str | None:
        """Return the field by which documents are in order, None where there is none."""
        dates = {"date", "date_nanos"}
        return next((name for name in TIME if self.types.get(name, frozenset()) & dates), None)

    def exact(self, name: str) -> str | None:
        """Return the field that holds a field's whole value, None for words alone."""
        types = self.types.get(name, frozenset())
        if types & _TEXT:
            inner = f"{name}.keyword"
            return inner if self.types.get(inner, frozenset()) & _KEYWORD else None
        return name

    def equal(self, names: Sequence[str], values: Sequence[str]) -> Clause:
        """Return a query for documents that have one of the values in one of the fields that are there."""
        found: list[Clause] = []
        for name in self.present(names):
            exact = self.exact(name)
            if exact is not None:
                found.append({"terms": {exact: list(values)}})
            else:
                found += [{"match_phrase": {name: value}} for value in values]
        return _any(found)


def filters(request: LogsRequest, fields: Fields, time: str) -> list[Clause]:
    """Return the queries that all hold of a request's lines, but for its regular expression."""
    found: list[Clause] = [
        {"range": {time: {"gte": rfc3339(nanoseconds(request.window.start)), "format": _FORMAT}}},
        {"range": {time: {"lt": rfc3339(nanoseconds(request.window.end)), "format": _FORMAT}}},
    ]
    found += [
        fields.equal(names, [value])
        for names, value in (
            ((*SERVICE, *LIKE_SERVICE), request.service),
            (NAMESPACE, request.namespace),
            (POD, request.pod),
        )
        if value
    ]
    found += [fields.equal([name], [value]) for name, value in request.labels.items()]
    if request.severity is not None:
        found.append(of_severity(request.severity, fields))
    if request.trace_id:
        ids = forms_of(request.trace_id)
        found.append(_any([fields.equal(TRACE, ids), *(_word(one, fields) for one in ids)]))
    if request.text:
        found.append(
            _any([_all([_word(word, fields) for word in words]) for words in alternatives(request.text)])
        )
    if request.query:
        texts = fields.present(MESSAGE)
        found.append({"query_string": {"query": request.query, **({"fields": texts} if texts else {})}})
    return found


def of_severity(severity: Severity, fields: Fields) -> Clause:
    """Return a query for lines of a severity."""
    return fields.equal(
        SEVERITY, [form(name) for name in NAMES[severity] for form in (str, str.upper, str.title)]
    )


def until(time: str, time_ns: int, without: Sequence[str]) -> list[Clause]:
    """Return the queries of what is no later than a moment, without some documents of that very moment."""
    moment = {"range": {time: {"lte": rfc3339(time_ns), "format": _FORMAT}}}
    return [moment, *([{"bool": {"must_not": [{"ids": {"values": list(without)}}]}}] if without else [])]


def around(time: str, time_ns: int, distance_ns: int) -> Clause:
    """Return the query of what is near a moment."""
    bounds = {"gte": rfc3339(time_ns - distance_ns), "lte": rfc3339(time_ns + distance_ns)}
    return {"range": {time: {**bounds, "format": _FORMAT}}}


def order(time: str, direction: str) -> list[Clause]:
    """Return an order by time, in nanoseconds, and then by when documents were written."""
    by_time = {"order": direction, "numeric_type": "date_nanos", "unmapped_type": "date"}
    return [{time: by_time}, {"_seq_no": {"order": direction}}]


def flattened(source: Any, prefix: str = "") -> Iterator[tuple[str, str]]:
    """Yield the fields of a document with dots in their names, and their values as text."""
    if isinstance(source, dict):
        for name, value in source.items():
            yield from flattened(value, f"{prefix}.{name}" if prefix else name)
    elif source is not None and prefix:
        yield prefix, source if isinstance(source, str) else orjson.dumps(source).decode()


def _word(word: str, fields: Fields) -> Clause:
    """Return a query for lines with a word or phrase: as words of a text, as a part of a keyword."""
    texts = [name for name in fields.present(MESSAGE) if fields.types[name] & _TEXT]
    found: list[Clause] = []
    if texts:
        found.append({"multi_match": {"query": word, "type": "phrase", "fields": texts, "lenient": True}})
    pattern = "*" + "".join("\\" + letter if letter in "\\*?" else letter for letter in word) + "*"
    found += [
        {"wildcard": {name: {"value": pattern, "case_insensitive": True}}}
        for name in fields.present(MESSAGE)
        if fields.types[name] & _KEYWORD
    ]
    return _any(found)


def _any(found: Sequence[Clause]) -> Clause:
    if len(found) == 1:
        return found[0]
    return {"bool": {"should": list(found), "minimum_should_match": 1}} if found else NOTHING


def _all(found: Sequence[Clause]) -> Clause:
    return found[0] if len(found) == 1 else {"bool": {"filter": list(found)}}
