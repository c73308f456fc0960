"""The tables' totals, on weeks of invented sessions, are those that plain Python counted while inventing them."""

import hashlib
import time
from collections import Counter, defaultdict
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import pytest

from access.questions import find
from clickhouse.engine import Engine
from clickhouse.store import EmbeddedWriter
from clickhouse.typed_rows import TypedRows
from demo.generate import Ledger, Plan, generate
from demo.world import people
from privacy.rules import Level, load_rules
from privacy.sanitizer import Sanitizer
from receiver.scrub import Scrub
from receiver.transform import Transform
from tests.requests import surveyed

UNTIL = datetime.fromtimestamp(time.time() // 86_400 * 86_400, UTC)
PLAN = Plan(seed=3, sessions=150, users=16, days=14, until=UNTIL)
PERIOD = {"from": str(UNTIL - timedelta(days=7))[:19], "to": str(UNTIL)[:19]}
ALL = {"from": str(UNTIL - timedelta(days=20))[:19], "to": str(UNTIL + timedelta(days=1))[:19]}


@pytest.fixture(scope="module")
def ledger(engine: Engine) -> Ledger:
    """Fill the tables with invented sessions, as the receiver does, and with nothing else."""
    tables = engine.rows(
        "SELECT name FROM system.tables WHERE database = currentDatabase() AND endsWith(engine, 'MergeTree')"
        " AND (name LIKE 'otel%' OR name LIKE 'telemetry%')"
    )
    for (table,) in tables:
        engine.command(f"TRUNCATE TABLE {table}")
    rules = load_rules(None, Level.strict)
    transform = Transform(engine, rules, Scrub(Sanitizer(rules, None)), "", 90)
    writer = TypedRows(EmbeddedWriter(engine), engine)
    kept = Ledger()
    bodies: dict[str, list[bytes]] = defaultdict(list)
    for request in generate(PLAN, kept):
        bodies[request.signal].append(request.body)
    for signal, table in (("logs", "otel_logs"), ("traces", "otel_traces"), ("metrics", "otel_metrics_sum")):
        writer.insert(table, transform.run(table, surveyed(table, bodies[signal])).data, f"invented {signal}")
    writer.close()
    return kept


def answer(engine: Engine, name: str, **given: str) -> list[dict[str, Any]]:
    question = find(name)
    rows = engine.rows(question.sql, question.values(given))
    return [dict(zip(question.columns, row, strict=True)) for row in rows]


def test_every_event_is_typed(engine: Engine, ledger: Ledger) -> None:
    """As many of each kind as were sent."""
    found = engine.rows("SELECT event_type, count() FROM telemetry_events GROUP BY event_type")
    assert {kind: int(count) for kind, count in found} == dict(ledger.events)


def test_money_and_tokens_are_exact(engine: Engine, ledger: Ledger) -> None:
    """By day, team and model, in the hourly and daily sums; impossible values are in none."""
    for table, day in (("telemetry_hourly", "toDate(hour, 'UTC')"), ("telemetry_daily", "day")):
        found = engine.rows(
            f"SELECT toString({day}) AS date, team, model, sum(events), sum(input_tokens), sum(output_tokens),"
            " sum(cache_read_tokens), sum(cache_creation_tokens), sum(cost_nanos)"
            f" FROM {table} WHERE event_type = 'api_request' GROUP BY date, team, model"
        )
        expected: dict[tuple[str, str, str], list[int]] = {}
        for part, spend in ledger.spend.items():
            whole = expected.setdefault((str(part.day), part.team, part.of), [0] * 6)
            for place, number in enumerate(
                (
                    *(spend.requests, spend.input_tokens, spend.output_tokens),
                    *(spend.cache_read_tokens, spend.cache_creation_tokens, spend.nano_usd),
                )
            ):
                whole[place] += number
        assert {
            (date, team, model): [int(number) for number in rest] for date, team, model, *rest in found
        } == expected


def test_failures_are_in_the_same_categories(engine: Engine, ledger: Ledger) -> None:
    """With the same counts, by the question about errors over one week."""
    expected: Counter[str] = Counter()
    for part, count in ledger.failures.items():
        if UNTIL.date() - timedelta(days=7) <= part.day < UNTIL.date():
            expected[part.of] += count
    assert {row["category"]: row["failures"] for row in answer(engine, "errors", **PERIOD)} == dict(expected)


def test_tools_are_counted(engine: Engine, ledger: Ledger) -> None:
    """Calls that ended and calls that failed, by tool."""
    expected: defaultdict[str, list[int]] = defaultdict(lambda: [0, 0])
    for part, calls in ledger.calls.items():
        if UNTIL.date() - timedelta(days=7) <= part.day < UNTIL.date() and calls.ended:
            expected[part.of][0] += calls.ended
            expected[part.of][1] += calls.failed
    found = {row["tool"]: [row["calls"], row["failures"]] for row in answer(engine, "tools", **PERIOD)}
    assert found == dict(expected)


def test_users_are_told_apart(engine: Engine, ledger: Ledger) -> None:
    """By the hash of an address, else by the id; each spent what the ledger says."""
    names = {}
    for person in people(Random(PLAN.seed), PLAN.users):  # noqa: S311  as the generator draws them
        address = person.email or ("" if person.is_program else f"{person.name}@demo.invalid")
        key = f"sha256:{hashlib.sha256(address.encode()).hexdigest()}" if address else person.user_id
        names[key] = person.name
    found = answer(engine, "cost_by", by="user", **ALL)
    spent: Counter[str] = Counter()
    for part, spend in ledger.spend.items():
        spent[part.user] += spend.nano_usd
    assert {names[row["value"]]: row["usd"] for row in found} == {
        name: round(nanos / 1e9, 4) for name, nanos in spent.items()
    }


def test_metrics_reconcile_with_events(engine: Engine, ledger: Ledger) -> None:
    """Deltas and cumulative series, resumed sessions and parallel processes have the events' totals."""
    rows = {row["measure"]: row for row in answer(engine, "reconcile", **ALL)}
    whole = ledger.spent()
    assert {name: round(row["metrics"], 4) for name, row in rows.items()} == {
        "usd": round(whole.usd, 4),
        "input tokens": whole.input_tokens,
        "output tokens": whole.output_tokens,
        "cache read tokens": whole.cache_read_tokens,
        "cache creation tokens": whole.cache_creation_tokens,
    }
    assert [row["difference"] for row in rows.values()] == [pytest.approx(0, abs=1e-5)] * 5


def test_sessions_are_counted(engine: Engine, ledger: Ledger) -> None:
    """One row a session, also when it was resumed often."""
    rows = answer(engine, "sessions", **ALL, limit="100000")
    assert {row["session"] for row in rows} == {session for _, session in ledger.sessions}
    assert sum(row["prompts"] for row in rows) == ledger.prompts.total()
