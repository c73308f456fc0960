"""A stand-in for Datadog, which cannot be run here: the documented paths, shapes, headers and errors, over fixed rows.

The field names are those of Datadog's published clients. It searches for the terms that an adapter sends: words,
`name:value`, alternatives, ranges of durations and cursors.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

START = datetime(2026, 1, 1, 12, tzinfo=UTC)
API_KEY, APP_KEY = "correct-horse-battery-staple", "correct-horse-battery-staple"
LOGS = [
    {
        "id": f"log-{number}",
        "type": "log",
        "attributes": {
            "timestamp": (START + timedelta(minutes=number)).isoformat().replace("+00:00", "Z"),
            "status": status,
            "service": service,
            "host": "host-1",
            "message": message,
            "tags": ["env:prod", "kube_namespace:shop", f"pod_name:{service}-7f"],
            "attributes": {
                "trace_id": f"{number + 1:032x}",
                "http": {"status_code": 500 if status == "error" else 200},
            },
        },
    }
    for number, (service, status, message) in enumerate(
        (
            ("checkout", "info", "order placed"),
            ("checkout", "error", "payment failed: card declined"),
            ("cart", "warn", "cache is slow"),
            ("checkout", "critical", "payment failed: no answer"),
            ("checkout", "info", "payment failed once, asked again"),
        )
    )
]


def _span(
    trace: int, number: int, service: str, name: str, milliseconds: int, status: str = "ok"
) -> dict[str, Any]:
    start = START + timedelta(minutes=trace, milliseconds=10 * number)
    return {
        "id": f"span-{trace}-{number}",
        "type": "spans",
        "attributes": {
            "trace_id": f"{trace:032x}",
            "span_id": str(trace * 100 + number),
            "parent_id": str(trace * 100) if number else "0",
            "service": service,
            "resource_name": name,
            "start_timestamp": start.isoformat().replace("+00:00", "Z"),
            "end_timestamp": (start + timedelta(milliseconds=milliseconds))
            .isoformat()
            .replace("+00:00", "Z"),
            "env": "prod",
            "host": "host-1",
            "tags": ["version:2.5"],
            "custom": {
                "duration": milliseconds * 1_000_000,
                "span": {"kind": "server"},
                "status": status,
                "http": {"status_code": "500" if status == "error" else "200"},
            },
            "type": "web",
            "single_span": False,
        },
    }


SPANS = [
    _span(1, 0, "checkout", "POST /pay", 200),
    _span(1, 1, "payments", "charge", 150),
    _span(2, 0, "checkout", "POST /pay", 1_200, "error"),
    _span(2, 1, "payments", "charge", 1_100, "error"),
    _span(3, 0, "checkout", "GET /cart", 20),
]


@contextmanager
def datadog() -> Iterator[str]:
    """Serve it on loopback; the address."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    thread = Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._answer({})

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        self._answer(json.loads(body))

    def log_message(self, *_: Any) -> None:
        pass

    def _answer(self, body: dict[str, Any]) -> None:
        parts = urlsplit(self.path)
        params = {name: values[0] for name, values in parse_qs(parts.query).items()}
        keys = (self.headers.get("DD-API-KEY"), self.headers.get("DD-APPLICATION-KEY"))
        if keys != (API_KEY, APP_KEY):
            return self._send(403, {"errors": ["Forbidden"]})
        if params.get("query") == "limited" or body.get("filter", {}).get("query") == '"limited"':
            limits = {"Limit": "100", "Period": "3600", "Remaining": "0", "Reset": "7", "Name": "query"}
            return self._send(
                429,
                {"errors": ["Rate limit exceeded"]},
                {f"X-RateLimit-{name}": one for name, one in limits.items()},
            )
        for pattern, answer in ROUTES:
            found = re.fullmatch(pattern, parts.path)
            if found:
                return self._send(*answer(params or body, *map(unquote, found.groups())))
        return self._send(404, {"errors": ["Not Found"]})

    def _send(self, status: int, found: Any, headers: Mapping[str, str] | None = None) -> None:
        body = json.dumps(found).encode()
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", **(headers or {})}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


Answer = tuple[int, Any]


def _query(asked: Mapping[str, Any]) -> Answer:
    query = asked["query"]
    begin, end = int(asked["from"]), int(asked["to"])
    found = re.fullmatch(r"(\w+):([\w.]+)\{([^}]*)\}(?: by \{(\w+)\})?", query)
    about = {"from_date": begin * 1_000, "to_date": end * 1_000, "res_type": "time_series", "query": query}
    if found is None:
        error = f"Rule 'scope_expr' didn't match at '' (line 1, column {len(query)})."
        return 200, {"status": "error", "error": error, "series": [], **about}
    series = [
        {
            "metric": found[2],
            "display_name": found[2],
            "expression": f"{found[2]}{{host:host-{number}}}",
            "scope": f"host:host-{number}",
            "tag_set": [f"host:host-{number}", "env:prod"],
            "interval": 60,
            "length": 3,
            "aggr": found[1],
            "unit": [{"family": "percentage", "name": "percent"}, None],
            "pointlist": [
                [
                    (int(START.timestamp()) + 60 * minute) * 1_000.0,
                    None if minute == 1 else number + minute / 2,
                ]
                for minute in range(3)
                if begin <= int(START.timestamp()) + 60 * minute < end
            ],
        }
        for number in range(3)
    ]
    has_data = found[2] == "system.cpu.user"
    return 200, {
        "status": "ok",
        "message": "",
        "group_by": [found[4] or "host"],
        "series": series if has_data else [],
        **about,
    }


def _search(rows: Sequence[Mapping[str, Any]], asked: Mapping[str, Any], time: str) -> Answer:
    query, page = asked["filter"]["query"], asked.get("page", {})
    if query.count("(") != query.count(")"):
        return 400, {
            "errors": ["input_validation_error(Field 'filter.query' is invalid: unbalanced parentheses)"]
        }
    begin, end = (int(asked["filter"][name]) for name in ("from", "to"))
    kept = [
        row
        for row in rows
        if begin <= datetime.fromisoformat(row["attributes"][time]).timestamp() * 1_000 < end
        and _matches(row, query)
    ]
    kept.sort(key=lambda row: str(row["attributes"][time]), reverse=asked.get("sort", "").startswith("-"))
    first = int(page.get("cursor", "0"))
    limit = page.get("limit", 10)
    meta: dict[str, Any] = {"elapsed": 12, "status": "done", "warnings": [], "page": {}}
    if first + limit < len(kept):
        meta["page"] = {"after": str(first + limit)}
    return 200, {"data": kept[first : first + limit], "meta": meta, "links": {}}


def _matches(row: Mapping[str, Any], query: str) -> bool:
    """Whether a row has all terms of a query."""
    return all(_has(row, term) for term in _terms(query))


def _terms(query: str) -> list[str]:
    """Split at spaces outside of quotation marks and parentheses."""
    terms, depth, quoted, word = [], 0, False, ""
    for letter in query:
        quoted ^= letter == '"'
        depth += (letter == "(") - (letter == ")") if not quoted else 0
        if letter == " " and not depth and not quoted:
            terms.append(word)
            word = ""
        else:
            word += letter
    return [term for term in (*terms, word) if term and term != "AND"]


def _has(row: Mapping[str, Any], term: str) -> bool:
    if term == "*":
        return True
    if term.startswith("-"):
        return not _has(row, term[1:])
    if term.startswith("("):
        return any(_matches(row, part) for part in _alternatives(term[1:-1]))
    name, colon, value = term.partition(":")
    if not colon or term.startswith('"'):
        return _plain(term).casefold() in str(row["attributes"].get("message", "")).casefold()
    values = _values(row, name.removeprefix("@"))
    if value.startswith((">=", "<=")):
        bound = float(value[2:])
        return any(float(one) >= bound if value[0] == ">" else float(one) <= bound for one in values)
    wanted = _alternatives(value[1:-1]) if value.startswith("(") else [value]
    return any(_plain(one) in values for one in wanted)


def _alternatives(text: str) -> list[str]:
    return text.split(" OR ")


def _plain(text: str) -> str:
    text = text.removeprefix('"').removesuffix('"')
    return re.sub(r"\\(.)", r"\1", text)


def _values(row: Mapping[str, Any], name: str) -> list[str]:
    attributes = row["attributes"]
    flat = {tag.partition(":")[0]: tag.partition(":")[2] for tag in attributes.get("tags", ())}
    for part in (attributes, attributes.get("attributes", {}), attributes.get("custom", {})):
        flat |= _flat(part)
    return [flat[name]] if name in flat else []


def _flat(found: Mapping[str, Any], before: str = "") -> dict[str, str]:
    flat: dict[str, str] = {}
    for name, value in found.items():
        flat |= (
            _flat(value, f"{before}{name}.") if isinstance(value, dict) else {f"{before}{name}": str(value)}
        )
    return flat


def _counted(rows: Sequence[Mapping[str, Any]], asked: Mapping[str, Any]) -> dict[str, int]:
    facet = asked["group_by"][0]["facet"]
    counts: dict[str, int] = {}
    for row in rows:
        if _matches(row, asked["filter"]["query"]):
            counts[row["attributes"][facet]] = counts.get(row["attributes"][facet], 0) + 1
    return counts


def _aggregate_logs(asked: Mapping[str, Any]) -> Answer:
    facet = asked["group_by"][0]["facet"]
    buckets = [
        {"by": {facet: name}, "computes": {"c0": count}} for name, count in _counted(LOGS, asked).items()
    ]
    return 200, {"data": {"buckets": buckets}, "meta": {"status": "done"}}


def _aggregate_spans(asked: Mapping[str, Any]) -> Answer:
    attributes = asked["data"]["attributes"]
    facet = attributes["group_by"][0]["facet"]
    buckets = [
        {"type": "bucket", "attributes": {"by": {facet: name}, "computes": {"c0": count}}}
        for name, count in _counted(SPANS, attributes).items()
    ]
    return 200, {"data": buckets, "meta": {"status": "done"}}


def _metric(_: Mapping[str, Any], name: str) -> Answer:
    if name != "system.cpu.user":
        return 404, {"errors": [f"Metric {name} not found"]}
    return 200, {"type": "gauge", "unit": "percent", "description": "CPU of programs", "short_name": "cpu"}


def _tags(_: Mapping[str, Any], name: str) -> Answer:
    tags = ["env:prod", "host:host-0", "host:host-1", "host:host-2"] if name == "system.cpu.user" else []
    return 200, {"data": {"id": name, "type": "metrics", "attributes": {"tags": tags}}}


ROUTES: Sequence[tuple[str, Callable[..., Answer]]] = (
    (r"/api/v1/validate", lambda _: (200, {"valid": True})),
    (r"/api/v1/query", _query),
    (r"/api/v1/metrics", lambda _: (200, {"from": "0", "metrics": ["system.cpu.user", "system.mem.used"]})),
    (r"/api/v1/metrics/([^/]+)", _metric),
    (
        r"/api/v1/tags/hosts",
        lambda _: (200, {"tags": {"env:prod": ["host-0", "host-1", "host-2"], "team:shop": ["host-1"]}}),
    ),
    (r"/api/v2/metrics/([^/]+)/all-tags", _tags),
    (r"/api/v2/logs/events/search", lambda asked: _search(LOGS, asked, "timestamp")),
    (r"/api/v2/logs/analytics/aggregate", _aggregate_logs),
    (
        r"/api/v2/spans/events/search",
        lambda asked: _search(SPANS, asked["data"]["attributes"], "start_timestamp"),
    ),
    (r"/api/v2/spans/analytics/aggregate", _aggregate_spans),
)
