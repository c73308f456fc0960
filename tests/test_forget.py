"""`telemetry forget` deletes one person's data everywhere, down to the disk, and no other person's."""

import hashlib
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue

from clickhouse.client import Client
from operations.forget.erase import EraseError, Erasure
from operations.forget.personal_tables import FORGETTING, personal_tables
from operations.forget.subject import SubjectError, person, session
from privacy.rules import Level, load_rules
from privacy.sanitizer import Sanitizer
from telemetry.cli import main
from tests.server import Server, running

JANE, JOE = "jane.doe@corp.example.com", "joe@corp.example.com"
MARK = "session-of-jane-7c1d"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running(tmp_path_factory.mktemp("forget") / "data", TELEMETRY_BATCH_AGE_MS="0") as server:
        yield server


def attributes(**pairs: str) -> list[KeyValue]:
    named = {key.replace("_", ".", 1) if key != "cost_usd" else key: value for key, value in pairs.items()}
    return [KeyValue(key=key, value=AnyValue(string_value=value)) for key, value in named.items()]


def send(server: Server, who: Mapping[str, str], trace: bytes, events: int = 2) -> None:
    """Send events, a metric, a span that names its person and one that does not."""
    now = time.time_ns()
    logs = ExportLogsServiceRequest()
    scope = logs.resource_logs.add().scope_logs.add()
    scope.scope.name = "com.anthropic.claude_code.events"
    for _ in range(events):
        scope.log_records.add(
            time_unix_nano=now, body=AnyValue(string_value="claude_code.api_request"), trace_id=trace,
            attributes=attributes(event_name="api_request", model="opus", cost_usd="0.5", **who),
        )  # fmt: skip
    spans = ExportTraceServiceRequest()
    group = spans.resource_spans.add().scope_spans.add().spans
    times = {"start_time_unix_nano": now, "end_time_unix_nano": now + 10}
    group.add(
        trace_id=trace,
        span_id=b"a" * 8,
        name="claude_code.interaction",
        attributes=attributes(**who),
        **times,
    )
    group.add(trace_id=trace, span_id=b"b" * 8, name="an MCP server's", **times)
    metrics = ExportMetricsServiceRequest()
    metric = metrics.resource_metrics.add().scope_metrics.add().metrics.add(name="claude_code.cost.usage")
    metric.sum.data_points.add(time_unix_nano=now, as_double=1, attributes=attributes(**who))
    for name, request in (("logs", logs), ("traces", spans), ("metrics", metrics)):
        server.post(name, request.SerializeToString()).raise_for_status()


def forget(server: Server, *arguments: str, stdin: str | None = None) -> Result:
    environment = {
        "TELEMETRY_DATA_DIR": str(server.data),
        "TELEMETRY_CLICKHOUSE_HTTP_PORT": server.listening["clickhouse_http"].rpartition(":")[2],
    }
    return CliRunner().invoke(main, ["forget", *arguments], env=environment, input=stdin)


def ask(server: Server, sql: str) -> str:
    with Client(server.endpoint()) as client:
        return b"".join(client.stream(f"{sql} FORMAT TSV")).decode().strip()


def on_disk(server: Server, text: bytes) -> list[str]:
    """Look for a text in the files of the data directory; columns are compressed, small ones often stay readable."""
    found = []
    for path in server.data.rglob("*"):
        try:
            if path.is_file() and text in path.read_bytes():
                found.append(str(path))
        except FileNotFoundError:  # removed meanwhile
            continue
    return found


def sha256(text: str) -> str:
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


@pytest.mark.slow
def test_one_person_is_gone_and_nobody_else(server: Server) -> None:
    """From every table, from sums, and from the disk; other people's rows of the same session stay."""
    jane = {"user_email": JANE, "user_id": "installation-of-jane", "session_id": MARK}
    send(server, jane, b"1" * 16)
    # Before she logged in, the client knew her installation alone.
    send(server, {"user_id": "installation-of-jane", "session_id": MARK}, b"2" * 16)
    joe = {"user_email": JOE, "user_id": "installation-of-joe"}
    send(server, {**joe, "session_id": "session-of-joe"}, b"3" * 16)
    send(server, {**joe, "session_id": MARK}, b"4" * 16, events=1)
    assert on_disk(server, MARK.encode())

    counted = forget(server, "--user", JANE, "--dry-run")
    assert counted.exit_code == 0, counted.output
    rows = {name: int(count) for name, count in (line.split() for line in counted.stdout.splitlines())}
    expected = {"otel_logs": 4, "otel_traces": 4, "otel_metrics_sum": 2, "telemetry_events": 4}
    assert {table: rows.get(table) for table in expected} == expected
    assert ask(server, "SELECT count() FROM otel_logs") == "7"

    assert "Nothing was deleted." in forget(server, "--user", JANE, stdin="n\n").stdout
    done = forget(server, "--user", JANE, "--yes")
    assert done.exit_code == 0, done.output
    assert "The old files are gone from the disk." in done.stdout

    by_session = "SELECT LogAttributes['user.email'], LogAttributes['session.id'], count() FROM otel_logs"
    assert ask(server, f"{by_session} GROUP BY ALL ORDER BY 3") == (
        f"{sha256(JOE)}\t{MARK}\t1\n{sha256(JOE)}\tsession-of-joe\t2"
    )
    assert ask(server, "SELECT count(), uniq(TraceId) FROM otel_traces") == "4\t2"
    assert ask(server, "SELECT count() FROM otel_traces_trace_id_ts") == "2"
    assert ask(server, "SELECT user_id, sum(events), sum(cost_nanos) FROM telemetry_hourly GROUP BY 1") == (
        f"{sha256(JOE)}\t3\t1500000000"
    )
    assert ask(server, "SELECT user_id, sum(events) FROM telemetry_daily GROUP BY 1") == f"{sha256(JOE)}\t3"
    assert ask(server, "SELECT user_id, sum(events), sum(cost_nanos) FROM telemetry_measures GROUP BY 1") == (
        f"{sha256(JOE)}\t3\t1500000000"
    )
    assert ask(server, "SELECT session_id, sum(events) FROM telemetry_sessions GROUP BY 1 ORDER BY 2") == (
        f"{MARK}\t1\nsession-of-joe\t2"
    )
    assert on_disk(server, sha256(JANE)[7:].encode()) == [str(p) for p in _record_files(server)]
    assert on_disk(server, b"installation-of-jane") == []
    assert on_disk(server, JANE.encode()) == []

    again = forget(server, "--user", JANE, "--yes")
    assert (again.exit_code, again.stdout[:26]) == (0, "Nothing is stored of that.")
    kind, subject, recorded = ask(
        server, "SELECT kind, subject, rows['otel_logs'] FROM telemetry_forgotten"
    ).split("\t")
    assert (kind, subject, recorded) == ("user", sha256(JANE), "4")

    # One session alone, named by its id.
    done = forget(server, "--session", "session-of-joe", "--yes")
    assert done.exit_code == 0, done.output
    assert ask(server, "SELECT sum(events) FROM telemetry_hourly") == "1"
    assert ask(server, "SELECT sum(events) FROM telemetry_measures") == "1"
    assert ask(server, "SELECT count(), any(LogAttributes['session.id']) FROM otel_logs") == f"1\t{MARK}"


def _record_files(server: Server) -> list[Path]:
    """Find the files of the record, which alone has the hash."""
    # Readers find no paths.
    with Client(server.endpoint(writes=True)) as client:
        ((folder,),) = client.rows(
            "SELECT path FROM system.parts WHERE table = 'telemetry_forgotten' AND active LIMIT 1"
        )
    assert folder
    return [
        path
        for path in Path(folder).rglob("*")
        if path.is_file() and sha256(JANE)[7:].encode() in path.read_bytes()
    ]


def test_every_table_with_somebody_in_it_is_known(server: Server) -> None:
    """A new table is found by its columns; one that is not found must hold no person's data."""
    database = Client(server.endpoint(writes=True))
    try:
        known = {one.table: one for one in personal_tables(database)}
        stored = {
            name
            for (name,) in database.rows(
                "SELECT name FROM system.tables WHERE database = currentDatabase() AND engine LIKE '%MergeTree'"
            )
        }
    finally:
        database.close()
    # Of the users of MCP servers there is a state that counts hashes, made with keys that this server does not have;
    # the labels of their metrics are bounded names of tools, models and errors.
    assert stored - set(known) == {
        "model_prices", "schema_migrations", "telemetry_forgotten", "feature_usage", "performance_metrics",
    }  # fmt: skip
    assert {name for name, one in known.items() if one.is_sum} == {
        "telemetry_hourly", "telemetry_daily", "telemetry_sessions", "telemetry_measures",
    }  # fmt: skip
    assert all(one.view for one in known.values() if one.is_sum)


def test_a_deletion_under_way_keeps_others_out(server: Server) -> None:
    """And one that was interrupted is taken up on demand."""
    database = Client(server.endpoint(writes=True))
    try:
        database.command(
            f"CREATE TABLE {FORGETTING} (kind LowCardinality(String), value String) ENGINE = MergeTree ORDER BY kind"
        )
        refused = forget(server, "--user", "nobody@corp.example.com", "--yes")
        assert (refused.exit_code, "take it up with --resume" in refused.stderr) == (1, True)
        taken = forget(server, "--user", "nobody@corp.example.com", "--yes", "--resume")
        assert taken.exit_code == 0, taken.output
        assert database.rows(f"EXISTS TABLE {FORGETTING}")[0][0] == 0
    finally:
        database.close()


def test_a_deletion_that_its_server_leaves_says_how_to_go_on(start: Callable[..., Server]) -> None:
    """It is taken up where it stopped, and its user is told how."""
    server = start()
    erased = session("session-of-nobody", Sanitizer(load_rules(None, Level.strict), None))
    with Client(server.endpoint(writes=True)) as client:
        erasure = Erasure(client, erased)
        with pytest.raises(EraseError, match=r"run this again with --resume"), erasure.begun(resume=False):
            server.kill()
            erasure.count()


def test_what_lies_aside_is_named(server: Server) -> None:
    """A dead letter may hold rows of the person, which nothing here can delete."""
    block = server.data / "dead-letter" / "1-ab.TYPE_MISMATCH" / "00.otel_logs.block"
    block.parent.mkdir(parents=True)
    block.write_bytes(b"x")
    try:
        refused = forget(server, "--user", JANE, "--yes")
    finally:
        block.unlink()
        block.parent.rmdir()
    assert refused.exit_code == 1
    assert "1 blocks lie in" in refused.stderr
    assert "telemetry replay" in refused.stderr


def test_a_server_that_does_not_run_is_told(tmp_path: Path) -> None:
    """With what to start, and no traceback."""
    environment = {"TELEMETRY_DATA_DIR": str(tmp_path), "TELEMETRY_CLICKHOUSE_HTTP_PORT": "9"}
    done = CliRunner().invoke(main, ["forget", "--user", JANE, "--yes"], env=environment)
    assert (done.exit_code, "start the" in done.stderr, JANE in done.output) == (1, True, False)


def test_a_person_is_looked_for_in_every_form() -> None:
    """As it is, hashed without the key, and hashed with it: the rules may have changed since."""
    sanitizer = Sanitizer(load_rules(None, Level.strict), "key")
    found = person("Jane@Corp.example.com", sanitizer)
    assert set(found.values) == {
        value
        for spelling in ("Jane@Corp.example.com", "jane@corp.example.com")
        for value in (spelling, sha256(spelling), sanitizer.hashed(spelling))
    }
    assert found.label == sanitizer.hashed("Jane@Corp.example.com")
    assert person(sha256(JANE), sanitizer).values == (sha256(JANE),)
    assert session("abcd-1234", sanitizer).values == ("abcd-1234",)
    assert "Jane" not in repr(found)


def test_a_redacted_value_is_never_looked_for() -> None:
    """It is the same for everybody."""
    values = person(JANE, Sanitizer(load_rules(None, Level.balanced), None)).values
    assert not any("REDACTED" in value for value in values)


@pytest.mark.parametrize("value", ["", "  ", "a", "abc"])
def test_too_little_names_nobody(value: str) -> None:
    """An empty value would be everybody without one."""
    with pytest.raises(SubjectError, match="too short"):
        person(value, Sanitizer(load_rules(None, Level.strict), None))
