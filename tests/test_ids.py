"""`access.ids`: a short id that was printed is accepted wherever a whole one is, and several candidates are named."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from access.ids import Ambiguous, alias, whole_in
from access.insight.find import find
from access.insight.series import Part
from access.library import ask_question
from access.reading import Desk, Reading
from access.report.figures import Scope, gather
from access.report.period import Period
from access.show import Asked, completed
from access.statistics import get_statistics
from access.telemetry_query import query_telemetry
from clickhouse.engine import Engine
from clickhouse.pieces import Pieces
from connectors.tools.get_traces import id_of
from tests.engine_store import EngineStore
from tests.events import tables
from web.page.filters import filters_of
from web.page.replay import named, whose
from web.page.views import present, what_to_fix
from web.roles import ALL

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
ANN = "sha256:04333a6c" + "1" * 56
JOE = "hmac-sha256:7b1d22aa" + "2" * 56
EVE, EVA = ("sha256:5e5e5e5e" + letter * 56 for letter in "34")
NAMED = "deadbeef"
"""Somebody whose own name could be the beginning of a hash, of one who is here too."""
HASHED = "sha256:deadbeef" + "5" * 56
SESSIONS = {
    ANN: "c081978e-0000-4000-8000-000000000001",
    JOE: "c081978e-0000-4000-8000-000000000002",
    EVE: "11111111-0000-4000-8000-000000000003",
    EVA: "22222222-0000-4000-8000-000000000004",
    NAMED: "33333333-0000-4000-8000-000000000005",
    HASHED: "44444444-0000-4000-8000-000000000006",
}
TRACE = "0af7651916cd43dd8448eb211c80319c"


@pytest.fixture(scope="module")
def store(engine: Engine) -> Iterator[EngineStore]:
    with tables(engine) as made:
        begin = int((NOW - timedelta(hours=1)).timestamp())
        for user, session in SESSIONS.items():
            pairs = {
                "event.name": "user_prompt",
                "session.id": session,
                "user.id": user,
                "prompt.id": session,
            }
            listed = ", ".join(f"'{key}', '{value}'" for key, value in pairs.items())
            block = engine.query(
                f"SELECT toDateTime64({begin}, 9, 'UTC') AS Timestamp, 'claude-code' AS ServiceName,"
                " 'claude_code.user_prompt' AS Body, 'com.anthropic.claude_code.events' AS ScopeName,"
                f" map({listed}) AS LogAttributes"
            )
            made.writer.insert("otel_logs", Pieces([block]), session)
        engine.command(
            "INSERT INTO otel_traces (Timestamp, TraceId, SpanId, SpanName, ServiceName) SELECT"
            f" toDateTime64({begin}, 9, 'UTC'), '{TRACE}', '1111111111111111', 'claude_code.tool', 'claude-code'"
        )
        yield EngineStore(engine)


@pytest.fixture
def reading(store: EngineStore) -> Reading:
    return Desk(store, limiter=None, clock=lambda: NOW).reading("tester")


@pytest.mark.parametrize(
    ("name", "short", "expected"),
    [
        ("user", "04333a6c", ANN),
        ("user", "user-04333a6c", ANN),
        ("user", "user-04333a6c11", ANN),
        ("user", "sha256:04333a6c", ANN),
        ("user", "sha256:04333a6c…", ANN),
        ("user", ANN, ANN),
        ("user", alias(JOE), JOE),
        ("user", NAMED, NAMED),
        ("user", "user-deadbeef", HASHED),
        ("user", "5e5e5e5e3", EVE),
        ("user", "04333a", "04333a"),
        ("user", "04333a6d", "04333a6d"),
        ("user", "jane.doe@corp.example.com", "jane.doe@corp.example.com"),
        ("session", "11111111", SESSIONS[EVE]),
        ("session", "111111", SESSIONS[EVE]),
        ("session", "c081978e-0000-4000-8000-000000000002", SESSIONS[JOE]),
        ("trace", "0af76519", TRACE),
        ("trace", TRACE, TRACE),
        ("team", "04333a6c", "04333a6c"),
    ],
)
def test_a_short_form_is_the_whole(store: EngineStore, name: str, short: str, expected: str) -> None:
    """As it is printed, with or without what stands before its digits; a whole value wins; what is unknown stays."""
    assert whole_in(store, name, short) == expected


@pytest.mark.parametrize(
    ("name", "short", "candidates"),
    [
        ("user", "5e5e5e5e", {EVE, EVA}),
        ("session", "c081978e", {SESSIONS[ANN], SESSIONS[JOE]}),
    ],
)
def test_several_candidates_are_named(
    store: EngineStore, name: str, short: str, candidates: set[str]
) -> None:
    """With what to do."""
    with pytest.raises(Ambiguous, match="Write more") as refused:
        whole_in(store, name, short)
    assert set(refused.value.nearest) == candidates
    assert all(one in str(refused.value) for one in candidates)


def of_session(reading: Reading, session: str) -> Any:
    return ask_question(reading, "session", {"session": session}).rows


FILTERS = {"start_date": "2026-11-20", "end_date": "2026-11-21"}
PERIOD = Period(NOW - timedelta(days=1), NOW + timedelta(hours=1))
USES: dict[str, Callable[[Reading, str], Any]] = {
    "a question": lambda reading, user: ask_question(
        reading, "summary", {"user": user, "from": "2026-11-20", "to": "2026-11-21"}
    ).rows,
    "rows": lambda reading, user: query_telemetry(reading, "benchmarks", {**FILTERS, "user": user}).rows,
    "sums": lambda reading, user: query_telemetry(reading, "aggregated", {**FILTERS, "user": user}).rows,
    "statistics": lambda reading, user: get_statistics(reading, "session", filters={**FILTERS, "user": user}).rows,
    "a report": lambda reading, user: gather(reading.store, PERIOD, Scope(user=user)).summary,
    "findings": lambda reading, user: find(reading.store, PERIOD.since, PERIOD.until, Part(user=user), NOW),
    "the page's findings": lambda reading, user: what_to_fix(reading, filters_of({"user": user})),
    "the page's present": lambda reading, user: present(reading, filters_of({"user": user})),
    "the command": lambda reading, user: completed(
        reading.store,  # type: ignore[arg-type]  it streams as a client does
        Asked("", {"user": user}, ANY),
    ).values,
}  # fmt: skip
ANY: Any = object()


@pytest.mark.parametrize("use", USES.values(), ids=USES)
def test_each_reader_takes_short_ids(reading: Reading, use: Callable[[Reading, str], Any]) -> None:
    """The answer is that of the whole, and not that of somebody whom there is not; several are refused."""
    assert use(reading, "04333a6c") == use(reading, ANN)
    with pytest.raises(Ambiguous):
        use(reading, "user-5e5e5e5e")


def test_a_session_and_a_trace_are_shown_by_short_ids(reading: Reading) -> None:
    """By the question, by the page, and with the id that the tool for traces asks for."""
    assert of_session(reading, "11111111") == of_session(reading, SESSIONS[EVE]) != []
    assert named(reading, "11111111") == SESSIONS[EVE]
    assert whose(reading, "11111111", ALL)["session_id"] == SESSIONS[EVE]
    assert id_of(whole_in(reading.store, "trace", "0af76519")) == TRACE
