"""Plants one incident at a time in ordinary work, and prints what is found: `python -m benchmarks.insight`.

For each incident: the rank of the finding that names it, whether it says who and since when (within a day), and
dollars and minutes said against true. Then what is found on days without any. The figures in docs/insight.md are of
this command.
"""

import argparse
import tempfile
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from access.insight.find import find
from access.insight.finding import Finding, Insight
from benchmarks.embedded import embedded
from benchmarks.incidents import ARRIVED, CLOCKS, Incident, Work, World, incidents, labelled
from clickhouse.engine import Engine
from clickhouse.prices import load_prices, read_prices
from clickhouse.typed_rows import VIEWS, typed_sql
from tests.engine_store import EngineStore

_TABLES = (
    "otel_logs", "otel_traces", "telemetry_events", "telemetry_spans", "telemetry_hourly", "telemetry_daily",
    "telemetry_sessions", "telemetry_measures", "otel_metrics_sum",
)  # fmt: skip
_KINDS = {
    "tool": ("tool fails",),
    "api": ("api",),
    "connection": ("connection",),
    "slow hook": ("hook time",),
    "hook fails": ("hook fails",),
    "slow tool": ("tool time",),
    "ttft": ("first token",),
    "waits": ("wait",),
    "refusals": ("refusals",),
    "cache": ("cache",),
    "dearer": ("model",),
    "fan-out": ("subagents",),
    "compactions": ("compactions",),
    "retries": ("retries",),
    "loop": ("loops",),
    "silence": ("silence",),
    "clock": ("clock",),
    "clock behind": ("clock",),
    "bypass": ("permissions bypassed",),
    "plugin": ("unofficial plugin",),
    "plugin done": ("unofficial plugin",),
    "internal": ("internal error",),
    "long answers": ("answers",),
    "agent model": ("agent cost",),
    "session": ("session",),
    "session done": ("session",),
    "version": ("tool fails",),
}
_LABELS = {"system": "operating system", "region": "cloud.region", "model": "usual model"}
"""What findings call the labels that an incident is planted for."""
_FEWEST = 10
"""An incident that few met, by chance, is none."""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[101])
    parser.add_argument("--kinds", nargs="*", help="only these kinds of incidents")
    parser.add_argument("--days", type=int, default=14, help="of ordinary work and the incident together")
    parser.add_argument("--period", type=int, default=7, help="days that are looked at")
    parser.add_argument(
        "--ordinary", type=int, default=0, help="days of ordinary work, a report for each week"
    )
    parser.add_argument("--words", action="store_true", help="print the findings too")
    options = parser.parse_args()
    with embedded() as (engine, _):
        load_prices(engine, read_prices())
        for seed in options.seeds:
            if options.ordinary:
                ordinary(engine, seed, options.ordinary)
            else:
                planted(engine, seed, options)


def _begin(days: int) -> datetime:
    """Return a Sunday from which so many days, begun within the week after it, have all passed."""
    last = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=days + 7)
    return last - timedelta(days=last.isoweekday() % 7)


def planted(engine: Engine, seed: int, options: argparse.Namespace) -> None:
    """Print a line for each incident."""
    world = World(
        seed, _begin(options.days) + timedelta(days=seed % 7), options.days, 9 + seed % 7, 2 + seed % 3
    )
    print(f"seed {seed}: {world.people} people, {world.teams} teams\n")
    heads = [
        "incident",
        "rank",
        "found",
        "who",
        "since",
        "usd said / true",
        "minutes said / true",
        "events",
        "seconds",
    ]
    print(f"| {' | '.join(heads)} |\n|{'---|' * len(heads)}")
    whole, count = 0, 0
    for incident in (*incidents(world, seed), *labelled(world, seed)):
        if options.kinds and incident.kind not in options.kinds:
            continue
        work = Work(world, incident)
        if incident.times < _FEWEST and incident.kind not in {"bypass", "plugin", "plugin done"}:
            print(
                f"| {incident.kind} {incident.key} ({whose(incident)}) | too few to be one: {incident.times} |"
            )
            continue
        fill(engine, work)
        until = world.begin + timedelta(days=world.days)
        began = time.perf_counter()
        insight = find(EngineStore(engine), until - timedelta(days=options.period), until, now=until)
        took = time.perf_counter() - began
        line, is_whole = judged(incident, insight, took)
        whole, count = whole + is_whole, count + 1
        print(line, flush=True)
        if options.words:
            for number, one in enumerate(insight.findings, 1):
                cost = f"${one.usd:.2f} {one.minutes:.1f} min"
                print(f"   {number}. {one.title} | {one.who} | {one.reason} | {cost} | {one.consequences}")
    print(f"\n{whole} of {count} in the top three, with who and since when\n", flush=True)


def judged(incident: Incident, insight: Insight, took: float) -> tuple[str, bool]:
    """Return the line of an incident, and whether all of it is right."""
    place = next((number for number, one in enumerate(insight.findings, 1) if names(incident, one)), 0)
    one = insight.findings[place - 1] if place else None
    who = one is not None and is_whose(incident, one)
    first = incident.first or incident.since
    # It begins with what was planted, and shows with the first call that it meets.
    slack = timedelta(days=1)
    since = one is not None and min(first, incident.since) - slack <= one.since <= first + slack
    cells = [
        f"{incident.kind} {incident.key} ({whose(incident)})",
        str(place or "-"),
        f"{len(insight.findings)}",
        "yes" if who else f"no: {one.scope.dimension}" if one else "-",
        f"{abs(one.since - first).total_seconds() / 3600:.0f} h off"
        if one and since
        else f"no: {one.since:%d %H} for {first:%d %H}"
        if one
        else "-",
        f"{one.usd:.2f} / {incident.usd:.2f}" if one else "-",
        f"{one.minutes:.1f} / {incident.minutes:.1f}" if one else "-",
        f"{incident.times}",
        f"{took:.1f}",
    ]
    return f"| {' | '.join(cells)} |", bool(0 < place <= 3 and who and since)


def whose(incident: Incident) -> str:
    """Return whom an incident is planted for."""
    return ", ".join(f"{name} {value[-8:]}" for name, value in incident.who.items()) or "everyone"


def names(incident: Incident, one: Finding) -> bool:
    """Whether a finding is about what was planted."""
    if one.kind not in _KINDS[incident.kind]:
        return False
    if incident.kind in {"tool", "slow tool", "version", "connection", "api", "dearer"}:
        return incident.key in one.thing
    return True


def is_whose(incident: Incident, one: Finding) -> bool:
    """Whether a finding says whom it happened to."""
    if incident.kind == "version":
        return (
            one.scope.dimension == "version"
            or (one.scope.dimension, one.scope.value) in incident.who.items()
            or not incident.who
        )
    if not incident.who:
        return one.scope.dimension in {"everyone", "model"}
    return (one.scope.dimension, one.scope.value) in {
        (_LABELS.get(name, name), value) for name, value in incident.who.items()
    }


def ordinary(engine: Engine, seed: int, days: int) -> None:
    """Print what is found in weeks in which nothing was planted."""
    world = World(seed, _begin(days) + timedelta(days=seed % 7), days, 9 + seed % 7, 2 + seed % 3)
    fill(engine, Work(world))
    told: set[tuple[str, ...]] = set()
    # All of it has arrived: what is after a report's period is of no clock that is ahead.
    end = world.begin + timedelta(days=days)
    for day in range(10, days + 1, 2):
        until = world.begin + timedelta(days=day)
        for one in find(EngineStore(engine), until - timedelta(days=7), until, now=end).findings:
            known = (one.kind, one.thing, one.scope.value)
            if known not in told:
                told.add(known)
                print(
                    f"   day {day}: {one.title} | {one.who} | {one.reason} | ${one.usd:.2f} {one.minutes:.1f} min",
                    flush=True,
                )
    print(f"seed {seed}: {len(told)} false findings in {days - 9} days of looking\n", flush=True)


def fill(engine: Engine, work: Work) -> None:
    """Store a world's telemetry, and nothing else."""
    for view in VIEWS:  # as in a server in embedded mode
        engine.command(f"DROP VIEW IF EXISTS {view}")
    for table in _TABLES:
        engine.command(f"TRUNCATE TABLE {table}")
    for table, rows in (
        ("otel_logs", work.logs), ("otel_traces", work.spans), ("otel_metrics_sum", work.metrics)
    ):  # fmt: skip
        _insert(engine, table, rows)
    events = typed_sql(engine, "otel_logs", "telemetry_events", "otel_logs")
    engine.command(f"INSERT INTO telemetry_events {events} SETTINGS max_partitions_per_insert_block = 0")
    if work.incident.kind in CLOCKS:
        # As if it had arrived when it was sent: else all of it arrives now, as imported history does.
        engine.command(
            "ALTER TABLE telemetry_events UPDATE arrived = toDateTime64(attributes[{key:String}], 3, 'UTC') WHERE true"
            " SETTINGS mutations_sync = 2",
            {"key": ARRIVED},
        )


def _insert(engine: Engine, table: str, rows: Sequence[str]) -> None:
    with tempfile.NamedTemporaryFile("w", suffix=".jsonl") as file:
        file.write("\n".join(rows))
        file.flush()
        engine.command(f"INSERT INTO {table} FROM INFILE '{file.name}' FORMAT JSONEachRow")


if __name__ == "__main__":
    main()
