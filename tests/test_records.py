"""Demo and test records stand apart as soon as there are others: in questions, the doctor and the usage metrics."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from access import records
from access.questions import find, questions
from clickhouse.engine import Engine
from demo.world import TEAMS
from onboarding import probe
from tests.engine_store import EngineStore

NEWEST = Path(probe.__file__).parent / "doctor" / "newest.sql"


@pytest.fixture
def store(engine: Engine) -> Iterator[EngineStore]:
    """Empty the tables that are used here, before and after."""
    tables = (
        *(
            "telemetry_events",
            "telemetry_hourly",
            "telemetry_daily",
            "telemetry_sessions",
            "telemetry_spans",
            "telemetry_measures",
        ),
        *("otel_logs", "otel_traces", "otel_metrics_sum"),
    )
    for table in tables:
        engine.command(f"TRUNCATE TABLE {table}")
    yield EngineStore(engine)
    for table in tables:
        engine.command(f"TRUNCATE TABLE {table}")


def add(engine: Engine, team: str, hours: int = 1) -> None:
    """Store one request of a team, as its record and as its event."""
    mark = "map('telemetry.demo', 'true')" if team.startswith("demo-") else "map()"
    engine.command(
        "INSERT INTO telemetry_events (timestamp, event_type, session_id, user_id, team, model, cost_nanos)"
        f" SELECT now64(9) - INTERVAL {hours} HOUR, 'api_request', '{team}', '{team}', '{team}', '{team}', 1000000000"
    )
    engine.command(
        "INSERT INTO otel_logs (Timestamp, ServiceName, ResourceAttributes)"
        f" SELECT now64(9) - INTERVAL {hours} HOUR, 'claude-code', {mark}"
    )


def answered(engine: Engine, name: str, **given: str) -> list[list[object]]:
    question = find(name)
    return engine.rows(question.sql, question.values(given))


def models(engine: Engine, **given: str) -> set[str]:
    return {str(row[1]) for row in answered(engine, "cost", **given)}


def test_the_teams_are_the_demos() -> None:
    """The list here is that of the demo's world."""
    assert set(records.DEMO_TEAMS) == {team.name for team in TEAMS}


def test_every_question_about_events_has_the_choice() -> None:
    """None has only what shows one trace by its id, and MCP servers, which the demo does not invent."""
    without = {one.name for one in questions() if not records.is_asked(one.sql)}
    assert {name for name in without if not name.startswith("mcp_server_")} == {"trace"}


def test_demo_data_is_left_out_as_soon_as_there_is_other(store: EngineStore, engine: Engine) -> None:
    """Alone it is shown; beside real data it is not, unless it is asked for."""
    del store
    add(engine, "demo-yeti")
    assert models(engine) == {"demo-yeti"}
    add(engine, "blue")
    assert models(engine) == {"blue"}
    assert models(engine, records="all") == {"blue", "demo-yeti"}
    # A team of one's own may begin as the demo's do.
    add(engine, "demo-days")
    assert models(engine) == {"blue", "demo-days"}


def test_freshness_counts_neither_demo_nor_test_records(store: EngineStore, engine: Engine) -> None:
    """Without records it says never; the newest is that of a real one."""
    del store
    empty = [[signal, "never", None, 0, 0] for signal in ("logs", "metrics", "spans")]
    assert answered(engine, "freshness") == empty
    engine.command(f"INSERT INTO otel_logs (Timestamp, ServiceName) SELECT now64(9), '{probe.SERVICE}'")
    assert answered(engine, "freshness") == empty
    add(engine, "demo-yeti", hours=1)
    (logs, *_) = answered(engine, "freshness")
    assert logs[4] == 1
    add(engine, "blue", hours=3)
    (logs, *_) = answered(engine, "freshness")
    assert isinstance(logs[2], int)
    assert abs(logs[2] - 3 * 3600) < 60
    assert logs[3:] == [0, 1]
    (logs, *_) = answered(engine, "freshness", records="all")
    assert logs[4] == 2


def test_the_demos_clock_accuses_no_machine(store: EngineStore, engine: Engine) -> None:
    """Its record of the year 2100 is no client's; another client's is found."""
    del store
    sql = NEWEST.read_text("utf-8")
    late = (
        "INSERT INTO otel_logs (Timestamp, ServiceName, ResourceAttributes)"
        " SELECT now64(9) + INTERVAL 9 DAY, 'claude-code', "
    )
    engine.command(f"{late} map('telemetry.demo', 'true')")
    assert engine.rows(sql, {"own": probe.SERVICE}) == []
    engine.command(f"{late} map()")
    ((_, _, rows, ahead),) = engine.rows(sql, {"own": probe.SERVICE})
    assert (rows, ahead) == (1, 1)


@pytest.mark.parametrize(
    "view",
    [
        "telemetry_metric_increments(from = {from:DateTime('UTC')}, to = now())",
        "telemetry_metric_increments_of(from = now() - toIntervalDay(1), to = now(), metrics = ['commit.count', 'a'])",
    ],
)
def test_counters_of_the_demo_are_left_out_too(view: str) -> None:
    """Of both views, whose values have parentheses and lists."""
    asked = records.real(f"SELECT sum(increment) FROM {view} WHERE metric = 'commit.count'")
    name = view.partition("(")[0]
    assert asked.startswith(
        f"SELECT sum(increment) FROM (SELECT * FROM {view} WHERE {{records:String}} = 'all'"
    )
    assert asked.endswith(f") AS {name} WHERE metric = 'commit.count'")
