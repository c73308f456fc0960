"""Prometheus' HTTP API on the web port: the same bodies as Prometheus', and the same errors."""

import asyncio
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest
from starlette.applications import Starlette

from access.limits import Limiter
from access.reading import Desk
from clickhouse.engine import Engine
from tests.engine_store import EngineStore
from tests.events import tables
from tests.promql import samples
from tests.promql.answers import REQUESTS, Answers, answers, shapes
from tests.promql.corpus import END, MOMENT, START, STEP
from web.prometheus_api import PREFIX, PrometheusApi, number

FORM = {"content-type": "application/x-www-form-urlencoded"}
EXPRESSIONS = (
    "http_requests_total",
    "sum by (http_method) (http_requests_total)",
    "sgn(memory_usage_bytes)",
    "rate(http_requests_total[5m])",
    "histogram_quantile(1.2, http_duration_seconds_bucket)",
    "no_such_metric",
    "time()",
    "queue_size / 0",
)


@pytest.fixture(scope="module")
def expected() -> Answers:
    return answers()


@pytest.fixture(scope="module")
def store(engine: Engine) -> Iterator[EngineStore]:
    with tables(engine):
        samples.store(engine)
        yield EngineStore(engine)


@pytest.fixture
def app(store: EngineStore) -> Starlette:
    return Starlette(routes=PrometheusApi(Desk(store, limiter=None), "1").routes())


def ask(app: Starlette, method: str, path: str, **given: Any) -> httpx2.Response:
    """Send one request."""

    async def send() -> httpx2.Response:
        transport = httpx2.ASGITransport(app)
        async with httpx2.AsyncClient(transport=transport, base_url="http://here") as client:
            return await client.request(method, f"{PREFIX}/api/v1/{path}", **given)

    return asyncio.run(send())


def plain(body: Any) -> Any:
    """Return a body in which series have one order, and values the digits on which all agree."""
    data = body.get("data")
    if isinstance(data, dict) and isinstance(data.get("result"), list) and data["resultType"] != "scalar":
        result = [
            {
                name: [_rounded(point) for point in value] if name == "values" else value
                for name, value in one.items()
            }
            | ({"value": _rounded(one["value"])} if "value" in one else {})
            for one in data["result"]
        ]
        data = {**data, "result": sorted(result, key=lambda one: sorted(one["metric"].items()))}
    elif isinstance(data, list) and data and isinstance(data[0], dict):
        data = sorted(data, key=lambda one: sorted(one.items()))
    return body | ({"data": data} if data is not None else {})


def _rounded(point: list[Any]) -> list[Any]:
    return [point[0], f"{float(point[1]):.9g}"]


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_queries_have_prometheus_bodies(
    app: Starlette, expected: Answers, method: str, expression: str
) -> None:
    """Instant and range queries, by parameters and by form."""
    where = "params" if method == "GET" else "data"
    for path, kind, given in (
        ("query", "instant", {"query": expression, "time": str(MOMENT)}),
        (
            "query_range",
            "range",
            {"query": expression, "start": str(START), "end": str(END), "step": str(STEP)},
        ),
    ):
        answer = ask(app, method, path, **{where: given})
        assert answer.status_code == 200
        assert plain(answer.json()) == plain(expected[expression][kind])


@pytest.mark.parametrize(("place", "request_"), list(enumerate(REQUESTS)))
def test_bodies_have_prometheus_shape(app: Starlette, place: int, request_: tuple[str, Any]) -> None:
    """Data is equal; an error has the same keys and type."""
    path, parameters = request_
    wanted = shapes()[place]
    answer = ask(app, "GET", path, params=dict(parameters))
    found = answer.json()
    if wanted["status"] == "error":
        assert (found.keys(), found["errorType"]) == (wanted.keys(), wanted["errorType"])
        assert answer.status_code == 400
    else:
        assert answer.status_code == 200
        assert plain(found) == plain(wanted)


def test_metadata_names_types_and_units(app: Starlette) -> None:
    """Of metrics of the last month."""
    answer = ask(app, "GET", "metadata")
    assert answer.json() == {"status": "success", "data": {}}
    version = ask(app, "GET", "status/buildinfo").json()["data"]["version"]
    assert version == "2.42.0"


def test_metadata_of_the_last_month(store: EngineStore) -> None:
    """By the names under which metrics are asked for."""
    api = PrometheusApi(Desk(store, limiter=None), "1", clock=lambda: samples.BASE + 6_000)
    found = ask(Starlette(routes=api.routes()), "GET", "metadata").json()["data"]
    assert found["http_requests_total"] == [{"type": "counter", "help": "", "unit": "{request}"}]
    one = ask(Starlette(routes=api.routes()), "GET", "metadata", params={"metric": "queue_size"}).json()[
        "data"
    ]
    assert one == {"queue_size": [{"type": "gauge", "help": "", "unit": ""}]}


@pytest.mark.parametrize(
    ("path", "given", "status", "kind"),
    [
        ("query", {"params": {"query": "deg(queue_size)"}}, 422, "execution"),
        ("query", {"params": {"query": "1", "time": "1e99"}}, 400, "bad_data"),
        ("query", {"params": {"query": "1", "time": "nan"}}, 400, "bad_data"),
        ("labels", {"params": {"limit": "x"}}, 400, "bad_data"),
        ("labels", {"params": {"start": "2", "end": "1"}}, 400, "bad_data"),
        ("query", {"content": b"\xff\xfe", "headers": FORM}, 400, "bad_data"),
        ("query", {"json": {"query": "1"}}, 400, "bad_data"),
    ],
)  # fmt: skip
def test_what_cannot_be_answered_is_an_error_of_prometheus(
    app: Starlette, path: str, given: dict[str, Any], status: int, kind: str
) -> None:
    """With a sentence that says why."""
    answer = ask(app, "POST" if "params" not in given else "GET", path, **given)
    body = answer.json()
    assert (answer.status_code, body["status"], body["errorType"]) == (status, "error", kind)
    assert body["error"]


def test_questions_count_for_the_callers_rate(store: EngineStore) -> None:
    """Who asks too often is told when to come back."""
    api = PrometheusApi(Desk(store, limiter=Limiter(60, 1)), "1")
    app = Starlette(routes=api.routes())
    assert ask(app, "GET", "query", params={"query": "1"}).status_code == 200
    answer = ask(app, "GET", "query", params={"query": "1"})
    assert (answer.status_code, answer.json()["errorType"]) == (429, "too_many_requests")
    assert int(answer.headers["retry-after"]) >= 1


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1.0, "1"), (0.1, "0.1"), (1e21, "1e+21"), (1e20, "100000000000000000000"), (1e-9, "1e-09"), (-0.0, "-0"),
        (2.5e-6, "0.0000025"), (-2.5, "-2.5"), (100.0, "100"),
        (float("nan"), "NaN"), (float("inf"), "+Inf"), (float("-inf"), "-Inf"),
    ],
)  # fmt: skip
def test_values_are_written_as_prometheus_does(value: float, text: str) -> None:
    """Without an exponent, unless it is very large or small."""
    assert number(value) == text
