"""`access.insight`: what changed is found, with whose it is, since when and what it cost; ordinary days are quiet."""

import itertools
import random
from collections.abc import Iterator, Mapping
from dataclasses import astuple
from datetime import UTC, datetime, timedelta

import pytest

from access.insight.causes import incidents
from access.insight.change import at_the_hour, changed
from access.insight.find import find
from access.insight.firsts import was_silent
from access.insight.people import Person
from access.insight.series import ALL, DAY, EVERYONE, HOUR, Measure, Scope, Series, Step, read
from access.insight.silence import silence
from access.insight.words import who
from benchmarks.incidents import Incident, Work, World
from benchmarks.insight import fill
from clickhouse.engine import Engine
from tests.engine_store import EngineStore
from tests.events import Tables, tables

BEGIN = int(datetime(2026, 10, 5, tzinfo=UTC).timestamp())
"""A Monday."""
USERS = ("ann", "bob", "eve", "joe")


@pytest.fixture(scope="module")
def filled(engine: Engine) -> Iterator[Tables]:
    with tables(engine) as made:
        yield made


def rates(chance: random.Random, shares: Mapping[int, float], days: int, scope: Scope) -> Series:
    """Return failures of a tool, 60 calls a day, with these shares from these days on."""
    steps = []
    for day in range(days):
        share = next(share for first, share in sorted(shares.items(), reverse=True) if first <= day)
        k = sum(chance.random() < share for _ in range(60))
        steps.append(Step(BEGIN + day * DAY, 60, k, 0, 0, 0, 0))
    return Series(Measure.TOOL_FAILS, "Edit", scope, steps)


def crew() -> dict[str, Person]:
    """Return four people of two teams who work every day."""
    days = [BEGIN + day * DAY for day in range(14)]
    none: frozenset[str] = frozenset()
    teams = {user: frozenset({"core" if number < 2 else "web"}) for number, user in enumerate(USERS)}
    return {user: Person(user, teams[user], none, none, none, days, days[-1]) for user in USERS}


def summed(scope: Scope, some: list[Series]) -> Series:
    steps = [
        Step(one[0].begin, sum(step.n for step in one), sum(step.k for step in one), 0, 0, 0, 0)
        for one in zip(*(series.steps for series in some), strict=True)
    ]
    return Series(Measure.TOOL_FAILS, "Edit", scope, steps)


def test_ordinary_days_are_quiet() -> None:
    """Two hundred series without a change have none."""
    chance = random.Random(1)  # noqa: S311
    found = [
        changed(rates(chance, {0: 0.05}, 28, EVERYONE), BEGIN + 21 * DAY, BEGIN + 28 * DAY)
        for _ in range(200)
    ]
    assert [one for one in found if one] == []


def test_too_little_history_is_no_usual() -> None:
    """What was always so has not changed."""
    series = rates(random.Random(1), {0: 0.4}, 3, EVERYONE)  # noqa: S311
    assert changed(series, BEGIN, BEGIN + 3 * DAY) is None


@pytest.mark.parametrize(
    ("bad", "scope"),
    [
        (("ann",), Scope("user", "ann")),
        (("ann", "bob"), Scope("team", "core")),
        (USERS, EVERYONE),
    ],
    ids=["one", "a team", "all"],
)
def test_the_scope_is_theirs(bad: tuple[str, ...], scope: Scope) -> None:
    """A person, a team, or everyone: who it happened to, no more and no fewer."""
    chance = random.Random(2)  # noqa: S311
    of = {
        user: rates(chance, {0: 0.05, 10: 0.4} if user in bad else {0: 0.05}, 14, Scope("user", user))
        for user in USERS
    }
    alike = {series.scope: series for series in of.values()}
    for team, users in (("core", USERS[:2]), ("web", USERS[2:])):
        alike[Scope("team", team)] = summed(Scope("team", team), [of[user] for user in users])
    alike[EVERYONE] = summed(EVERYONE, [*of.values()])
    found = [one for series in alike.values() if (one := changed(series, BEGIN + 7 * DAY, BEGIN + 14 * DAY))]
    (incident,) = incidents(found, {(Measure.TOOL_FAILS, "Edit"): alike}, crew())
    assert incident.change.series.scope == scope
    assert incident.change.begin == BEGIN + 10 * DAY


def test_the_hour_is_found() -> None:
    """It began in the middle of a day."""
    days = [
        Step(BEGIN + day * DAY, 80, 40 if day > 9 else 20 if day == 9 else 2, 0, 0, 0, 0) for day in range(12)
    ]
    found = changed(Series(Measure.TOOL_FAILS, "Edit", EVERYONE, days), BEGIN + 7 * DAY, BEGIN + 12 * DAY)
    assert found is not None
    hours = [
        Step(BEGIN + day * DAY + hour * HOUR, 10, 5 if (day, hour) >= (9, 13) else 0, 0, 0, 0, 0)
        for day in range(8, 12)
        for hour in range(9, 17)
    ]
    assert at_the_hour(found, hours).begin == BEGIN + 9 * DAY + 13 * HOUR


def test_other_people_at_work_are_no_change() -> None:
    """A team fails more since the one who always failed came back: nothing changed."""
    chance = random.Random(3)  # noqa: S311
    good, bad = (
        rates(chance, {0: share}, 14, Scope("user", user)) for user, share in (("ann", 0.02), ("bob", 0.5))
    )
    rare = [
        step if number > 9 else Step(step.begin, 2, 1, 0, 0, 0, 0) for number, step in enumerate(bad.steps)
    ]
    bad = Series(Measure.TOOL_FAILS, "Edit", Scope("user", "bob"), rare)
    team = summed(Scope("team", "core"), [good, bad])
    found = [
        one for series in (good, bad, team) if (one := changed(series, BEGIN + 7 * DAY, BEGIN + 14 * DAY))
    ]
    assert found, "the team's rate did change"
    alike = {series.scope: series for series in (good, bad, team)}
    assert incidents(found, {(Measure.TOOL_FAILS, "Edit"): alike}, crew()) == []


def test_a_team_that_stopped_is_named_and_a_holiday_is_not() -> None:
    """Silence is when others worked."""
    until = datetime.fromtimestamp(BEGIN + 12 * DAY, UTC)
    everybody = crew()
    quiet = everybody | {
        user: Person(
            **{**_fields(everybody[user]), "days": everybody[user].days[:9], "newest": BEGIN + 8 * DAY + HOUR}
        )
        for user in USERS[:2]
    }
    (one,) = silence(quiet, until - timedelta(days=7), until, {"ann": 5.0, "bob": 2.0})
    assert (one.scope, one.since) == (
        Scope("team", "core"),
        datetime.fromtimestamp(BEGIN + 8 * DAY + HOUR, UTC),
    )
    away = {
        user: Person(**{**_fields(person), "days": person.days[:9], "newest": BEGIN + 8 * DAY + HOUR})
        for user, person in everybody.items()
    }
    assert silence(away, until - timedelta(days=7), until, {}) == []


def _fields(person: Person) -> dict[str, object]:
    return {name: getattr(person, name) for name in Person.__slots__}


def test_cause_people_time_and_cost_come_out_of_telemetry(filled: Tables) -> None:
    """A tool that fails for one team, in a fortnight of work: from the tables, with real statements."""
    world = World(7, datetime(2026, 10, 5, tzinfo=UTC), people=8, teams=2)
    team = world.crew[0].team
    planted = Incident("tool", "Edit", {"team": team}, datetime(2026, 10, 14, 11, tzinfo=UTC), size=0.5)
    fill(filled.engine, Work(world, planted))
    until = world.begin + timedelta(days=14)
    insight = find(EngineStore(filled.engine), until - timedelta(days=7), until, now=until)
    one = insight.findings[0]
    assert (one.kind, one.thing, one.scope) == ("tool fails", "Edit", Scope("team", team))
    assert planted.first is not None
    assert abs(one.since - planted.first) <= timedelta(hours=3)
    assert one.until is None
    assert one.usd == pytest.approx(planted.usd, rel=0.3)
    assert set(one.users) <= {person.user for person in world.crew if person.team == team}
    assert one.sessions
    assert one.shapes[0][0] == "StringNotFound: exit code #"
    assert len(insight.findings) == 1


@pytest.mark.parametrize(
    ("planted", "dimension"),
    [
        (Incident("tool", "Edit", {"terminal": "tmux"}, size=0.4), "terminal"),
        (Incident("slow tool", "git", {"system": "darwin"}, size=10), "operating system"),
        (Incident("api", "429", {"region": "eu-west-1"}, size=0.2, hours=(13, 17)), "cloud.region"),
        (Incident("compactions", "", {"model": "claude-opus-4-8"}), "usual model"),
        (Incident("long answers", "", {"terminal": "vscode"}, size=3), "terminal"),
        (Incident("cache", "", {"project": "growth-api"}, size=1.0), "project"),
    ],
    ids=lambda one: one if isinstance(one, str) else one.kind,
)
def test_what_people_share_is_named(filled: Tables, planted: Incident, dimension: str) -> None:
    """A terminal, an operating system, a region, a model, a project: one finding, of all of theirs and no others."""
    world, until = _world(planted)
    fill(filled.engine, Work(world, planted))
    insight = find(EngineStore(filled.engine), until - timedelta(days=7), until, now=until)
    (one,) = insight.findings
    assert (one.scope.dimension, one.scope.value) == (dimension, *planted.who.values())
    assert planted.first is not None
    assert abs(one.since - planted.first) <= timedelta(hours=3)
    assert one.usd == pytest.approx(planted.usd, rel=0.2, abs=0.1)
    assert one.minutes == pytest.approx(planted.minutes, rel=0.2, abs=0.5)
    theirs = {user.user for user in world.crew if planted.holds(planted.kind, user, planted.first)}
    assert set(one.users) <= theirs
    assert ("from 13:00 to 17:00 UTC" in one.reason) == (planted.kind == "api")


def test_labels_of_the_same_people_are_named_together() -> None:
    """Which of them it is cannot be told."""
    said = who(
        Scope("terminal", "tmux"), USERS[:2], ["core"], crew(), also=[Scope("operating system", "linux")]
    )
    assert said == "terminal tmux or operating system linux: 2 of 4 people, team core"


def test_a_subagents_new_model_is_named_with_both(filled: Tables) -> None:
    """No request of the main conversation changes: the dollars are those of the subagent's tokens at both prices."""
    planted = Incident("agent model", "claude-opus-4-8")
    world, until = _world(planted)
    fill(filled.engine, Work(world, planted))
    (one,) = find(EngineStore(filled.engine), until - timedelta(days=7), until, now=until).findings
    assert (one.kind, one.thing, one.scope) == ("agent cost", "Explore", EVERYONE)
    assert one.worked_out.startswith("now mostly claude-opus-4-8, before mostly claude-haiku-4-5")
    assert one.usd == pytest.approx(planted.usd, rel=0.1)


def test_one_session_that_ran_away_is_named(filled: Tables) -> None:
    """Nothing failed, and all was over in hours: the session, whose it is, and its dollars."""
    planted = Incident("session", "", size=900)
    world, until = _world(planted)
    user = max(world.crew, key=lambda one: one.prompts).user
    planted.who = {"user": user}
    fill(filled.engine, Work(world, planted))
    (one,) = find(EngineStore(filled.engine), until - timedelta(days=7), until, now=until).findings
    assert (one.kind, one.scope) == ("session", Scope("user", user))
    # It is compacted now and then as well.
    assert one.times == pytest.approx(planted.times, rel=0.02)
    assert one.consequences == ("More requests a prompt",)
    assert one.usd == pytest.approx(planted.usd, rel=0.15)
    assert len(one.sessions) == 1


def test_series_are_those_of_the_events(filled: Tables) -> None:
    """Calls of tools, their failures and their time, by whom and by what: as plain Python adds the events up."""
    planted = Incident("tool", "Edit")
    world, until = _world(planted)
    fill(filled.engine, Work(world, planted))
    store = EngineStore(filled.engine)
    columns = "tool_name, command, mcp_server_name, team, user_id, project, service_version"
    calls = filled.engine.rows(
        f"SELECT toUInt32(toStartOfDay(timestamp, 'UTC')), failure != '', success AND duration_ms IS NOT NULL,"
        f" ifNull(duration_ms, 0), {columns} FROM telemetry_events WHERE event_type = 'tool_result'"
    )
    expected: dict[tuple[str, str, str, str], dict[int, list[float]]] = {}
    for day, failed, is_timed, ms, tool, command, server, *whose in calls:
        scopes = [("everyone", ""), *zip(("team", "user", "project", "version"), whose, strict=True)]
        names = [
            tool,
            *([f"{tool} {command}"] if command else []),
            *([f"MCP server {server}"] if server else []),
        ]
        for name, (dimension, value) in itertools.product(names, scopes):
            if not value and dimension != "everyone":
                continue
            for measure, n, k, took in (
                ("tool fails", 1, failed, ms * failed), ("tool time", is_timed, 0, ms * (1 - failed)),
            ):  # fmt: skip
                steps = expected.setdefault((measure, name, dimension, value), {})
                sums = steps.setdefault(int(day), [0, 0, 0])
                for place, one in enumerate((n, k, took)):
                    sums[place] += one
    begin = until - timedelta(days=60)
    things = [(Measure(measure), name) for measure, name in {one[:2] for one in expected}]
    found = {
        (one.measure.value, one.thing, one.scope.dimension, one.scope.value): {
            step.begin: pytest.approx([step.n, step.k, step.ms]) for step in one.steps
        }
        for one in read(store, begin, until, ALL, only=things)
    }
    assert len(found) > 100
    # Series of fewer than ten are left out, but for a person's.
    enough = {
        key: steps
        for key, steps in expected.items()
        if key[2] == "user" or sum(one[0] for one in steps.values()) >= 10
    }
    assert enough == found
    # All at once, in their groups, are what each is when it is asked for alone.
    whole = {
        (one.measure, one.thing, one.scope): one.steps for one in read(store, begin, until, ALL, bucket=HOUR)
    }
    assert len({measure for measure, _, _ in whole}) > 12
    for measure in {measure for measure, _, _ in whole}:
        things = [(measure, thing) for thing in {one[1] for one in whole if one[0] is measure}]
        alone = read(store, begin, until, ALL, bucket=HOUR, only=things)
        assert {one.scope for one in alone} == {scope for kind, _, scope in whole if kind is measure}
        for one in alone:
            for step, other in zip(one.steps, whole[measure, one.thing, one.scope], strict=True):
                assert astuple(step) == pytest.approx(astuple(other))


def test_more_work_is_no_fault(filled: Tables) -> None:
    """Twice as many prompts fail, cost and connect twice as often: nothing is worse, and no server is new."""
    planted = Incident("more work")
    world, until = _world(planted)
    planted.since = until - timedelta(days=7)
    fill(filled.engine, Work(world, planted))
    insight = find(EngineStore(filled.engine), until - timedelta(days=7), until, now=until)
    assert (insight.findings, insight.notes) == ((), ())


def _world(planted: Incident) -> tuple[World, datetime]:
    """Return three weeks of work, in which an incident begins in the third, and when they end."""
    world = World(31, datetime(2026, 10, 5, tzinfo=UTC), days=21, people=12, teams=3)
    planted.since = datetime(2026, 10, 20, 10, tzinfo=UTC)
    return world, world.begin + timedelta(days=21)


def test_what_only_one_has_is_theirs() -> None:
    """A person with few attempts before has all of what others have none of: it is not everyone's, nor a version's."""
    chance = random.Random(4)  # noqa: S311
    others = {user: rates(chance, {0: 0.0}, 14, Scope("user", user)) for user in USERS if user != "ann"}
    steps = [Step(BEGIN + day * DAY, 90, 75, 0, 0, 0, 0) for day in range(10, 14)]
    ann = Series(Measure.TOOL_FAILS, "Edit", Scope("user", "ann"), [Step(BEGIN, 9, 0, 0, 0, 0, 0), *steps])
    alike = {series.scope: series for series in (ann, *others.values())}
    wide = [Step(BEGIN + day * DAY, 0, 0, 0, 0, 0, 0) for day in range(14)]
    full = Series(
        ann.measure,
        "Edit",
        ann.scope,
        [next((one for one in ann.steps if one.begin == step.begin), step) for step in wide],
    )
    alike[EVERYONE] = summed(EVERYONE, [full, *others.values()])
    alike[Scope("version", "2.1")] = summed(Scope("version", "2.1"), [full, others["bob"], others["eve"]])
    found = [one for series in alike.values() if (one := changed(series, BEGIN + 7 * DAY, BEGIN + 14 * DAY))]
    assert Scope("user", "ann") not in {one.series.scope for one in found}, "too few attempts before"
    (incident,) = incidents(found, {(Measure.TOOL_FAILS, "Edit"): alike}, crew())
    assert incident.change.series.scope == Scope("user", "ann")


def test_what_is_rare_and_usual_is_not_new() -> None:
    """What happens about once a day, by chance not in the first days, was always there; a burst at the end was not."""
    chance = random.Random(5)  # noqa: S311
    end = BEGIN + 35 * DAY
    called = 0
    for _ in range(500):
        times = sorted(chance.randrange(BEGIN, end) for _ in range(31))
        called += was_silent(times, times[0], BEGIN, end)
    assert called <= 3
    burst = [BEGIN + 30 * DAY + hour * HOUR for hour in range(0, 100, 20)]
    assert was_silent(burst, burst[0], BEGIN, end)
