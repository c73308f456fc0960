"""Elasticsearch and OpenSearch: log lines by `_search`, asked over plain HTTP, which is the same for both.

Times are as exact as the mapping makes them: a `date` has milliseconds. A cursor is the time of the last line and the
documents of that very moment that were returned, which leaves out none, where `search_after` alone would with documents
of one moment in several shards. Lines are held against a regular expression here, since the systems match words with
theirs: the newest SCANNED lines that the rest of the request selects, for one answer.
Interface: https://opensearch.org/docs/latest/api-reference/search-apis/search/
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote

import orjson
import re2
from pydantic import Field

from connectors.addresses import Policy
from connectors.backend import Backend, HttpConfig
from connectors.contract import (
    About,
    BackendError,
    Cost,
    Health,
    HealthReport,
    Kind,
    LogLine,
    LogsRequest,
    LogsResult,
    Severity,
    Signal,
    Window,
)
from connectors.log_documents import (
    ASKED,
    LIKE_SERVICE,
    MESSAGE,
    NAMESPACE,
    POD,
    SERVICE,
    SEVERITY,
    SPAN,
    STREAM,
    TRACE,
    Clause,
    Fields,
    around,
    filters,
    flattened,
    of_severity,
    order,
    until,
)
from connectors.replies import error_of, list_of, number_of, object_of, reading, report_of, text_of
from connectors.severities import severity_in, severity_of
from connectors.trace_ids import padded
from connectors.upstream import Reply, Upstream

MOST_HITS: Final = 10_000
"""Of one answer: `index.max_result_window` is that many unless it was changed."""
_PAGE: Final = 1_000
_PAGES: Final = 10
SCANNED: Final = _PAGE * _PAGES
_COUNTED: Final = 1_000_000
"""How many lines are counted exactly: more are told as unknown."""
_AROUND_NS: Final = 24 * 3600 * 10**9
_LABELS: Final = 64


class ElasticsearchConfig(HttpConfig):
    """How Elasticsearch or OpenSearch is asked."""

    index: str = Field(
        default="*",
        pattern=r"^[^/?#\s]+$",
        description="The indices, aliases or data streams with log lines, such as logs-*,filebeat-*.",
    )


@dataclass(frozen=True, slots=True)
class _Place:
    """How far lines were read: to a moment, and which documents of it."""

    time_ns: int | None = None
    ids: tuple[str, ...] = ()

    @classmethod
    def read(cls, cursor: str) -> "_Place":
        """Return the place of a cursor. Raises BackendError for what is none."""
        try:
            time_ns, *ids = orjson.loads(cursor)
            return cls(int(time_ns), tuple(text_of(one) for one in ids))
        except (orjson.JSONDecodeError, ValueError, TypeError):
            raise BackendError(
                Kind.BAD_QUERY, "The cursor is not one of this connection's: ask without it."
            ) from None

    def after(self, line: LogLine) -> "_Place":
        return _Place(line.time_ns, ((*self.ids,) if line.time_ns == self.time_ns else ()) + (line.id,))

    def text(self) -> str:
        return orjson.dumps([self.time_ns, *self.ids]).decode()


class Elasticsearch:
    """The adapter of Elasticsearch."""

    backend_type = "elasticsearch"
    signals = frozenset({Signal.LOGS})

    def __init__(self, config: ElasticsearchConfig, policy: Policy) -> None:
        self._index = quote(config.index, safe="*,:+")
        self._upstream = Upstream(config.target(), policy)

    async def search(self, request: LogsRequest) -> LogsResult:
        """Return lines, newest first."""
        pattern = _pattern(request.regex)
        place = _Place() if request.cursor is None else _Place.read(request.cursor)
        fields = await self._fields(request.labels)
        time = fields.time()
        if time is None:
            return LogsResult([], About(notes=[f"No index of {self._index} has a field of times."]))
        selected = filters(request, fields, time)
        limit = min(max(1, request.limit), MOST_HITS - 1)
        size = limit + 1 if pattern is None else _PAGE
        kept: list[LogLine] = []
        notes, has_more, first = [], False, None
        for number in range(1, _PAGES + 1):
            answer = await self._page(selected, time, place, size)
            first = first or answer
            with reading():
                lines = [_line(one, time, fields) for one in _hits(answer)]
            for line in lines:
                if pattern is None or pattern.search(line.message):
                    has_more = len(kept) == limit
                    if has_more:
                        break
                    kept.append(line)
                place = place.after(line)
            if has_more or len(lines) < size:
                break
            if number == _PAGES:
                has_more = True
                notes.append(
                    f"The newest {SCANNED:,} lines were held against the regular expression: go on by the cursor, or"
                    " narrow the search by text, service or period."
                )
        assert first is not None  # noqa: S101  there is one page at least
        with reading():
            return LogsResult(
                kept,
                _about(
                    first,
                    orjson.dumps({"bool": {"filter": selected}}).decode(),
                    is_counted=pattern is None and request.cursor is None,
                    next_cursor=place.text() if has_more else None,
                    notes=notes,
                ),
            )

    async def context(
        self, line: LogLine, before: int, after: int
    ) -> tuple[Sequence[LogLine], Sequence[LogLine]]:
        """Return the neighbours of a line of the same pod, container or host, within a day."""
        if not before and not after:
            return [], []
        try:
            stream = object_of(orjson.loads(line.stream))
            time, place, same = text_of(stream["time"]), list_of(stream["sort"]), object_of(stream["same"])
        except (orjson.JSONDecodeError, KeyError, TypeError):
            raise BackendError(Kind.BAD_QUERY, "The line is not one of this connection's.") from None
        selected = [around(time, line.time_ns, _AROUND_NS), *({"term": {k: v}} for k, v in same.items())]
        fields = await self._fields({})

        async def side(direction: str, count: int) -> list[LogLine]:
            if not count:
                return []
            body = {
                "size": min(count, MOST_HITS),
                "query": {"bool": {"filter": selected}},
                "sort": order(time, direction),
                "search_after": place,
            }
            answer = await self._search(body)
            with reading():
                return [_line(one, time, fields) for one in _hits(answer)]

        earlier, later = await asyncio.gather(side("desc", before), side("asc", after))
        return earlier[::-1], later

    async def count_by_severity(self, request: LogsRequest) -> Mapping[str, int]:
        """Return how many lines a request selects, by severity. Raises UNSUPPORTED for a regular expression."""
        if request.regex:
            raise BackendError(
                Kind.UNSUPPORTED,
                "Lines are not counted by a regular expression over the whole line: count them by text or query.",
            )
        fields = await self._fields(request.labels)
        time = fields.time()
        if time is None:
            return {}
        by = {str(severity): of_severity(severity, fields) for severity in Severity}
        answer = await self._search(
            {
                "size": 0,
                "query": {"bool": {"filter": filters(request, fields, time)}},
                "aggs": {"severity": {"filters": {"filters": by, "other_bucket_key": "unknown"}}},
            }
        )
        with reading():
            buckets = object_of(object_of(object_of(answer["aggregations"])["severity"])["buckets"])
            return {name: int(object_of(bucket)["doc_count"]) for name, bucket in buckets.items()}

    async def services(self, window: Window, limit: int) -> Sequence[str]:
        """Return the services that wrote lines; containers and the like, where lines name no service."""
        fields = await self._fields({})
        time = fields.time()
        for names in (SERVICE, LIKE_SERVICE):
            exact = {name: fields.exact(name) for name in fields.present(names)}
            asked = {
                str(number): {"terms": {"field": field, "size": limit, "order": {"_key": "asc"}}}
                for number, field in enumerate(exact.values())
                if field
            }
            if time is None or not asked:
                continue
            selected = filters(LogsRequest(window), fields, time)
            answer = await self._search({"size": 0, "query": {"bool": {"filter": selected}}, "aggs": asked})
            with reading():
                found = {
                    text_of(object_of(bucket)["key"])
                    for one in object_of(answer["aggregations"]).values()
                    for bucket in list_of(object_of(one)["buckets"])
                }
            if found:
                return sorted(found)[:limit]
        return []

    async def health(self) -> HealthReport:
        """Return the state of the cluster, as far as the credentials may see it, and its version."""
        version = ""
        try:
            try:
                root = await self._get("/")
                with reading():
                    version = text_of(object_of(root["version"])["number"])
            except BackendError as error:
                if error.kind != Kind.UNAUTHORIZED:
                    raise
                await self._fields({})  # a user who may only read indices may do this
            try:
                state = (await self._get("/_cluster/health")).get("status")
            except BackendError as error:
                if error.kind not in {Kind.UNAUTHORIZED, Kind.NOT_FOUND}:
                    raise
                state = None
        except BackendError as error:
            return report_of(error)
        if state == "red":
            return HealthReport(
                Health.DEGRADED,
                "The cluster's state is red: shards are missing, answers are partial.",
                version,
            )
        return HealthReport(Health.HEALTHY, version=version[:40])

    async def close(self) -> None:
        """Close the connections."""
        await self._upstream.close()

    async def _page(
        self, selected: Sequence[Clause], time: str, place: _Place, size: int
    ) -> Mapping[str, Any]:
        rest = [] if place.time_ns is None else until(time, place.time_ns, place.ids)
        body = {
            "size": size,
            "query": {"bool": {"filter": [*selected, *rest]}},
            "sort": order(time, "desc"),
            "track_total_hits": _COUNTED,
        }
        return await self._search(body)

    async def _search(self, body: Mapping[str, Any]) -> Mapping[str, Any]:
        # A little earlier than the request is given up here, so that what was found until then is returned.
        milliseconds = int(self._upstream.timeout_seconds * 900)
        reply = await self._upstream.request(
            "POST", f"/{self._index}/_search", json={**body, "timeout": f"{milliseconds}ms"}
        )
        return _object(reply)

    async def _get(self, path: str, params: Mapping[str, str] | None = None) -> dict[str, Any]:
        return _object(await self._upstream.request("GET", path, params=params or {}))

    async def _fields(self, more: Mapping[str, str]) -> Fields:
        names = (*dict.fromkeys((*ASKED, *more)),)
        asked = ",".join(f"{name},{name}.keyword" for name in names)
        answer = await self._get(f"/{self._index}/_field_caps", {"fields": asked})
        with reading():
            return Fields(
                {name: frozenset(object_of(types)) for name, types in object_of(answer["fields"]).items()}
            )


class OpenSearch(Elasticsearch):
    """The adapter of OpenSearch."""

    backend_type = "opensearch"


def _object(reply: Reply) -> dict[str, Any]:
    if not reply.is_success:
        raise error_of(reply, _reason(reply))
    with reading():
        return object_of(reply.json())


def _reason(reply: Reply) -> str | None:
    """Return the words of an error: the innermost causes say most."""
    try:
        error = orjson.loads(reply.body)["error"]
        if isinstance(error, str):
            return error
        causes = [
            *error.get("root_cause", []),
            *(one.get("reason", {}) for one in error.get("failed_shards", [])),
        ]
        words = [str(error.get("reason", ""))]
        for cause in causes:
            words += [str(cause.get("reason", "")), str((cause.get("caused_by") or {}).get("reason", ""))]
        return "; ".join(dict.fromkeys(word for word in words if word))
    except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError):
        return None


def _hits(answer: Mapping[str, Any]) -> list[Any]:
    return list_of(object_of(answer["hits"])["hits"])


def _line(hit: Any, time: str, fields: Fields) -> LogLine:
    sort = list_of(object_of(hit)["sort"])
    every = dict(flattened(object_of(hit.get("_source") or {})))
    # A field that is left for a text of the document's own is not repeated among the labels.
    message_field = next((name for name in MESSAGE if every.get(name)), None)
    message = every[message_field] if message_field else orjson.dumps(hit.get("_source")).decode()
    severity = _first(every, SEVERITY)
    same = {
        exact: every[name]
        for name in fields.present(STREAM)
        if every.get(name) and (exact := fields.exact(name)) is not None
    } or {"_index": text_of(hit["_index"])}
    labels = {name: value for name, value in every.items() if name not in {message_field, time}}
    return LogLine(
        int(sort[0]),
        message,
        severity_of(severity) if severity else severity_in(message),
        _first(every, (*SERVICE, *LIKE_SERVICE)),
        _first(every, POD),
        _first(every, NAMESPACE),
        padded(_first(every, TRACE), 32),
        padded(_first(every, SPAN), 16),
        dict(list(labels.items())[:_LABELS]),
        orjson.dumps({"time": time, "sort": sort, "same": same}).decode(),
        text_of(hit["_id"]),
    )


def _about(
    answer: Mapping[str, Any], query: str, *, is_counted: bool, next_cursor: str | None, notes: Sequence[str]
) -> About:
    shards = object_of(answer.get("_shards") or {})
    failures = [
        str((object_of(one).get("reason") or {}).get("reason", "")) for one in list_of(shards.get("failures"))
    ]
    total = object_of(object_of(answer["hits"]).get("total") or {})
    is_late = answer.get("timed_out") is True
    return About(
        query,
        has_more=next_cursor is not None,
        next_cursor=next_cursor,
        total_count=number_of(total.get("value")) if is_counted and total.get("relation") == "eq" else None,
        is_partial=is_late or bool(number_of(shards.get("failed"))),
        warnings=[
            *(["The search was cut off at its time limit."] if is_late else []),
            *filter(None, failures),
        ],
        notes=notes,
        cost=Cost(milliseconds=number_of(answer.get("took"))),
    )


def _pattern(regex: str) -> Any:
    if not regex:
        return None
    options = re2.Options()
    options.log_errors = False
    try:
        return re2.compile(regex, options)
    except re2.error as error:
        raise BackendError(Kind.BAD_QUERY, "The regular expression is not RE2.", detail=str(error)) from None


def _first(values: Mapping[str, str], names: Sequence[str]) -> str:
    return next((values[name] for name in names if values.get(name)), "")


ELASTICSEARCH: Final = Backend(
    "elasticsearch", "Elasticsearch", Elasticsearch.signals, ElasticsearchConfig, Elasticsearch
)
OPENSEARCH: Final = Backend("opensearch", "OpenSearch", OpenSearch.signals, ElasticsearchConfig, OpenSearch)
BACKENDS: Final = (ELASTICSEARCH, OPENSEARCH)
