"""Rights over the HTTP interface: users, passwords, statements, and the engine's functions one by one."""

from pathlib import Path

import httpx
import pytest

from clickhouse.engine import Engine
from gateway.policy import (
    ENGINES,
    REFUSED_FUNCTIONS,
    REFUSED_PREFIXES,
    SYSTEM_TABLES,
    TABLE_FUNCTIONS,
    Reach,
)
from tests.gateway.client import GatewayClient
from tests.server import NO_TLS, Server

REVIEWED = Path(__file__).parent.parent / "data" / "functions.txt"


class TestWhoMayDoWhat:
    """Users, passwords and rights."""

    def test_a_password_is_needed(self, server: Server, reader: GatewayClient) -> None:
        """By any of the three ways; a wrong one tells nothing of whether the user exists."""
        user, password = reader.auth
        ways: list[dict[str, object]] = [
            {"auth": (user, password)},
            {"headers": {"X-ClickHouse-User": user, "X-ClickHouse-Key": password}},
            {"params": {"user": user, "password": password, "query": "SELECT 1"}},
        ]
        for way in ways:
            assert (
                httpx.post(
                    reader.url, verify=NO_TLS, **{"params": {"query": "SELECT 1"}, **way}, timeout=180
                ).text
                == "1\n"
            )  # type: ignore[arg-type]
        nobody = httpx.post(reader.url, content="SELECT 1", verify=NO_TLS, timeout=180)
        assert (nobody.status_code, nobody.headers["x-clickhouse-exception-code"]) == (401, "194")
        assert nobody.headers["www-authenticate"].startswith("Basic ")
        assert not any(name in nobody.text for name in ("telemetry_reader", "telemetry_user"))
        answers = [
            httpx.post(reader.url, content="SELECT 1", auth=(name, "wrong"), verify=NO_TLS, timeout=180)
            for name in (user, "nobody", "default", "")
        ]
        assert {
            (answer.status_code, answer.headers["x-clickhouse-exception-code"]) for answer in answers
        } == {(403, "516")}
        assert len({answer.text for answer in answers}) == 1
        assert "wrong" not in server.log.read_text()

    def test_passwords_are_generated_for_the_owner_alone(self, server: Server) -> None:
        """In a file for its owner alone, and never in the log."""
        file = server.data / "credentials.env"
        assert file.stat().st_mode & 0o777 == 0o600
        passwords = [line.partition("=")[2] for line in file.read_text().splitlines()]
        assert len(set(passwords)) == 2
        assert min(map(len, passwords)) >= 32
        assert not any(password in server.log.read_text() for password in passwords)

    @pytest.mark.parametrize(
        "sql",
        [
            "SELECT * FROM file('/etc/passwd', 'LineAsString')",
            "SELECT * FROM `file`('/etc/passwd')",
            "SELECT * FROM FILE('/etc/passwd', 'LineAsString')",
            "SELECT file('/etc/passwd')",
            "SELECT 1 WHERE (SELECT file('/etc/passwd')) != ''",
            "WITH x AS (SELECT file('/etc/passwd')) SELECT * FROM x",
            "SELECT arrayMap(x -> file(x), ['/etc/passwd'])",
            "EXPLAIN SELECT * FROM file('/etc/passwd', 'LineAsString')",
            "EXPLAIN SYNTAX SELECT file('/etc/passwd')",
            "DESCRIBE TABLE file('/etc/passwd', 'LineAsString')",
            "DESCRIBE (SELECT * FROM url('http://127.0.0.1:1/', 'CSV'))",
            "SELECT * FROM url('http://127.0.0.1:1/', 'CSV', 'a String')",
            "SELECT * FROM remote('127.0.0.1:1', system.one)",
            "SELECT * FROM s3('http://127.0.0.1:1/b/k', 'CSV', 'a String')",
            "SELECT * FROM executable('id', 'TSV', 'a String')",
            "SELECT * FROM mysql('127.0.0.1:1', 'a', 'b', 'c', 'd')",
            "SELECT * FROM sqlite('/tmp/a', 'b')",
            "SELECT * FROM python('x')",
            "SELECT * FROM merge('system', 'processes')",
            "SELECT * FROM loop('system', 'processes')",
            "SELECT * FROM input('a String')",
            "SELECT * FROM eval('SELECT 1')",
            "SELECT aiGenerate('x', 'y')",
            "SELECT * APPLY(file) FROM (SELECT '/etc/passwd' AS x)",
            "SELECT * APPLY file FROM (SELECT '/etc/passwd' AS x)",
            "SELECT arrayMap(file, ['/etc/passwd'])",
            "SELECT arrayMap(otlp_hash, ['x'], ['y'])",
            "SELECT fullHostName()",
            "DESCRIBE url('http://127.0.0.1:1/', CSV) AS `a\\nb`",
            "DESCRIBE sqlite('/tmp/never', 't') AS `a\\nb`",
            "DESCRIBE (SELECT 1)",
            "DESCRIBE TABLE default.`/etc/passwd`",
            "EXISTS TABLE default.`/etc/passwd`",
            "SHOW CREATE TABLE system.processes",
            "SELECT * FROM format(JSONEachRow, 'a String DEFAULT file(''/etc/passwd'')', '{}')",
            "SELECT * FROM format(JSONEachRow, concat('a String DEFAULT ', 'file(''/etc/passwd'')'), '{}')",
            "SELECT * FROM format(JSONEachRow, 'a String) ENGINE = File(CSV) --', '{}')",
            "SELECT * FROM format(Protobuf, 'a String', '{}')",
            "SELECT * FROM format(Parquet, '')",
            "SELECT * FROM format({f:Identifier}, '')",
            "SELECT b FROM values('a String, b String ALIAS file(''/etc/passwd'')', ('x'))",
            "SELECT b FROM null('a String, b String ALIAS file(''/etc/passwd'')')",
            "SELECT b FROM VALUES('a UInt8, b UInt8 ALIAS 1 IN system.processes', 1)",
            "SELECT * FROM values(concat('a String, b String ALIAS ', 'file(''/x'')'), 'x')",
            "SELECT * FROM values('a String', (SELECT file('/etc/passwd')))",
            "SELECT * FROM generateRandom('a String MATERIALIZED file(''/etc/passwd'')')",
            "SELECT * FROM null('a String, INDEX i file(''/etc/passwd'') TYPE minmax')",
            "SELECT * FROM null('a String CODEC(NONE)')",
            "SELECT * FROM null('a String TTL now()')",
            "SELECT 1 IN values('a String ALIAS file(''/etc/passwd'')', 'x')",
            "SELECT 'x' IN format(JSONEachRow, '{}')",
            "SELECT * FROM merge(system, '.*')",
            "SELECT * FROM merge(REGEXP('.*'), '.*')",
            "SELECT * FROM merge({d:Identifier}, '.*')",
            "SELECT * FROM merge(concat('sys', 'tem'), '.*')",
            "SELECT * FROM (SELECT * FROM merge('system', 'processes'))",
            "SELECT 1 SETTINGS additional_table_filters = {'otel_logs': 'length(file(''/etc/passwd''))'}",
            "SELECT 1 SETTINGS additional_table_filters = {'otel_logs': '1 IN (SELECT 1 FROM system.processes)'}",
            "SELECT 1 SETTINGS additional_table_filters = {'otel_logs': '1 UNION ALL SELECT * FROM url(''http://x'')'}",
            "SELECT 1 SETTINGS additional_table_filters = {'otel_logs': '1 IN (SELECT * FROM null(''a Int8''))'}",
            "SET additional_table_filters = {'otel_logs': 'arrayMap(file, [])'}",
            "SELECT 1 IN file('/etc/passwd', 'LineAsString')",
            "SELECT 1 INTO OUTFILE '/tmp/never'",
            "SELECT 1 INTO/**/OUTFILE '/tmp/never' TRUNCATE FORMAT CSV",
            "SHOW TABLES INTO OUTFILE '/tmp/never'",
            "EXPLAIN SELECT 1 INTO OUTFILE '/tmp/never'",
            "DESCRIBE TABLE otel_logs INTO OUTFILE '/tmp/never'",
            "SELECT * FROM system.processes",
            "SELECT * FROM system.users",
            "SELECT * FROM `system`.`processes`",
            "SELECT 1 IN system.processes",
            "SELECT (SELECT count() FROM system.query_log)",
            "SELECT * FROM system.one JOIN system.processes ON 1",
            "SELECT otlp_redact(1, 'x')",
            "SELECT addressToLine(toUInt64(1))",
            "SELECT joinGet('system.x', 'y', 1)",
            "KILL QUERY WHERE 1",
            "SYSTEM SHUTDOWN",
            "SHOW PROCESSLIST",
            "SHOW GRANTS",
            "CREATE USER evil IDENTIFIED BY 'x'",
            "GRANT ALL ON *.* TO default",
            "BACKUP DATABASE telemetry TO File('/tmp/never')",
            "CHECK TABLE otel_logs",
            "BEGIN TRANSACTION",
            "EXECUTE AS default SELECT 1",
        ],
    )
    def test_what_nobody_may(self, reader: GatewayClient, writer: GatewayClient, sql: str) -> None:
        """Files, the network, other databases, other users, the process."""
        assert writer.refused(sql, param_f="Parquet", param_d="system") == (403, 497)
        assert reader.refused(sql, param_f="Parquet", param_d="system") == (403, 497)
        assert not Path("/tmp/never").exists()  # noqa: S108  what the statements name

    @pytest.mark.parametrize(
        ("sql", "code"),
        [
            ("INSERT INTO otel_logs SELECT * FROM otel_logs", 164),
            ("INSERT INTO otel_logs FORMAT JSONEachRow {}", 164),
            ("CREATE TABLE x (a Int8) ENGINE = Memory", 164),
            ("CREATE TEMPORARY TABLE x (a Int8)", 164),
            ("ALTER TABLE otel_logs DELETE WHERE 1", 164),
            ("DELETE FROM otel_logs WHERE 1", 164),
            ("TRUNCATE TABLE otel_logs", 164),
            ("DROP TABLE otel_logs", 164),
            ("RENAME TABLE otel_logs TO x", 164),
            ("OPTIMIZE TABLE otel_logs", 164),
            ("SELECT 1 SETTINGS readonly = 0", 452),
            ("SELECT 1 SETTINGS allow_introspection_functions = 1", 452),
            ("SELECT 1 SETTINGS format_schema = '/etc/passwd'", 452),
            ("SELECT * FROM (SELECT 1 SETTINGS max_memory_usage_for_user = 0)", 452),
            ("SELECT 1 SETTINGS max_execution_time = 100000", 452),
            ("SELECT 1 SETTINGS max_memory_usage = 0", 452),
            ("SELECT * FROM (SELECT * FROM format(TSV, '1') SETTINGS max_execution_time = 9999)", 497),
            ("SET max_execution_time = 100000", 452),
            ("SET readonly = 0", 452),
            ("SET format_schema = 'x'", 452),
            ("USE system", 497),
            ("SELECT (1, 2) IN system.parts", 497),
            ("SELECT 1; SELECT 2", 62),
            ("SELECT 1; DROP TABLE otel_logs", 62),
            ("SELECT 1 PARALLEL WITH SELECT 2", 497),
        ],
    )
    def test_what_the_reader_may_not(self, reader: GatewayClient, sql: str, code: int) -> None:
        """Write, change settings, or run two statements."""
        assert reader.refused(sql)[1] == code

    @pytest.mark.parametrize(
        "sql",
        [
            "DROP DATABASE telemetry",
            "CREATE DATABASE other",
            "CREATE TABLE system.x (a Int8) ENGINE = Memory",
            "CREATE TABLE x (a Int8) ENGINE = File(CSV)",
            "CREATE TABLE x (a Int8) ENGINE = Buffer('system', 'processes', 1, 1, 1, 1, 1, 1, 1)",
            "CREATE TABLE x (a String DEFAULT arrayMap(file, ['/etc/passwd'])[1]) ENGINE = Memory",
            "DROP TABLE system.contributors",
            "DROP TABLE telemetry.nothing, system.contributors",
            "CREATE TABLE x (a Int8) ENGINE = URL('http://127.0.0.1:1/', CSV)",
            "CREATE TABLE x (a Int8) ENGINE = MergeTree ORDER BY a SETTINGS disk = disk(type = 'local', path = '/a')",
            "CREATE TABLE x (a String DEFAULT file('/etc/passwd')) ENGINE = Memory",
            "CREATE TABLE x AS file('/etc/passwd', 'LineAsString')",
            "CREATE TABLE x AS system.processes",
            "CREATE VIEW x AS SELECT * FROM system.processes",
            "CREATE MATERIALIZED VIEW x TO system.y AS SELECT 1",
            "CREATE DICTIONARY x (a Int8) PRIMARY KEY a SOURCE(FILE(path '/a' format 'CSV')) LAYOUT(FLAT())",
            "CREATE FUNCTION x AS (a) -> file(a)",
            "INSERT INTO FUNCTION file('/tmp/never', 'CSV', 'a Int8') SELECT 1",
            "INSERT INTO otel_logs FROM INFILE '/etc/passwd' FORMAT CSV",
            "INSERT INTO system.one SELECT 1",
            "ALTER TABLE otel_logs ATTACH PARTITION '2026-01-01' FROM system.one",
            "ALTER TABLE otel_logs FREEZE",
            "ALTER TABLE otel_logs MOVE PARTITION '2026-01-01' TO DISK 'x'",
            "ALTER TABLE otel_logs ADD COLUMN x String DEFAULT file('/etc/passwd')",
            "ALTER TABLE otel_logs DELETE WHERE file('/etc/passwd') != ''",
            "ALTER TABLE otel_logs MODIFY SETTING storage_policy = 'x'",
            "ALTER TABLE otel_logs MODIFY SETTING disk = disk(type = 'local', path = '/a')",
            "RENAME TABLE otel_logs TO system.x",
        ],
    )
    def test_what_the_writer_may_not(self, writer: GatewayClient, sql: str) -> None:
        """Leave the database."""
        assert writer.refused(sql)[1] in {452, 497}
        assert (
            writer.text("SELECT count() FROM system.tables WHERE database = 'default' OR name = 'x'") == "0\n"
        )

    @pytest.mark.parametrize("changed", ["", "input_format_values_interpret_expressions"])
    def test_data_is_never_sql(
        self, reader: GatewayClient, writer: GatewayClient, table: str, changed: str
    ) -> None:
        """The Values format would run expressions in the data; no client can make it do so."""
        evil = f"INSERT INTO {table} VALUES (1, file('/etc/hostname'))"
        assert writer.refused(evil, **({changed: "1"} if changed else {}))[1] == (452 if changed else 344)
        assert (
            writer.refused(
                evil.replace("VALUES", "SETTINGS input_format_values_interpret_expressions = 1 VALUES")
            )[1]
            == 452
        )
        assert writer.refused("SET input_format_values_interpret_expressions = 1", session_id="s")[1] == 452
        assert reader.text(f"SELECT count() FROM {table}") == "0\n"

    def test_get_changes_nothing(self, writer: GatewayClient) -> None:
        """A link cannot write, even when a user who may write follows it."""
        answer = writer.get(query="CREATE TABLE x (a Int8) ENGINE = Memory")
        assert answer.headers["x-clickhouse-exception-code"] == "164"

    def test_the_writer_makes_alters_and_drops_tables(self, writer: GatewayClient) -> None:
        """Migrations and tools need this."""
        for sql in (
            "CREATE DATABASE IF NOT EXISTS telemetry",
            "CREATE TABLE w (a UInt8, d Date) ENGINE = MergeTree ORDER BY a TTL d + toIntervalDay(5)",
            "ALTER TABLE w MODIFY SETTING ttl_only_drop_parts = 1",
            "ALTER TABLE w MODIFY TTL d + toIntervalDay(9)",
            "ALTER TABLE w ADD COLUMN b String",
            "INSERT INTO w SELECT number, today(), 'x' FROM numbers(3)",
            "ALTER TABLE w DELETE WHERE a = 1 SETTINGS mutations_sync = 1",
            "OPTIMIZE TABLE w FINAL",
        ):
            writer.text(sql)
        assert writer.text("SELECT groupArray(a) FROM w") == "[0,2]\n"
        writer.text("RENAME TABLE w TO v")
        writer.text("DROP TABLE v")

    def test_settings_of_the_url_are_a_safe_list(self, reader: GatewayClient) -> None:
        """A safe one counts, up to the reader's limit; another is refused by name."""
        sql = "SELECT getSetting('max_execution_time'), getSetting('join_use_nulls'), getSetting('readonly')"
        assert reader.text(sql, max_execution_time="7", join_use_nulls="1") == "7\ttrue\t1\n"
        assert reader.text(sql, max_execution_time="99999", readonly="0").startswith("60\t")
        assert reader.text(sql, max_execution_time="0").startswith("60\t")
        assert reader.text("SELECT toDateTime(0)", session_timezone="Asia/Tokyo") == "1970-01-01 09:00:00\n"
        for name in (
            "format_schema",
            "allow_ddl",
            "log_queries_min_type",
            "output_format_schema",
            "nonsense",
            "user_files_path",
        ):
            assert reader.refused("SELECT 1", **{name: "1"})[1] == 452

    def test_the_reader_is_read_only_in_the_engine_too(self, reader: GatewayClient) -> None:
        """Not by the gateway's policy alone."""
        assert reader.text("SELECT getSetting('readonly')") == "1\n"

    def test_what_tools_look_up_is_there(self, reader: GatewayClient) -> None:
        """Tables, columns, settings, formats, plans."""
        assert "otel_logs\n" in reader.text("SHOW TABLES")
        assert "TraceId\tString" in reader.text("DESCRIBE TABLE telemetry.otel_traces")
        assert reader.text("EXISTS TABLE otel_logs") == "1\n"
        assert "CREATE TABLE telemetry.otel_logs" in reader.text("SHOW CREATE TABLE otel_logs")
        assert (
            reader.text("SELECT count() FROM information_schema.columns WHERE table_name = 'otel_logs'")
            == "16\n"
        )
        assert (
            reader.text("SELECT DISTINCT database FROM system.columns WHERE table = 'otel_logs'")
            == "telemetry\n"
        )
        assert "ReadFromMergeTree (telemetry.schema_migrations)" in reader.text(
            "EXPLAIN SELECT * FROM schema_migrations"
        )
        assert reader.text("SELECT x FROM view(SELECT 1 AS x)") == "1\n"

    def test_other_databases_cannot_be_used(self, reader: GatewayClient) -> None:
        """`default` gives the telemetry database: clients use that name by default."""
        assert reader.text("SELECT currentDatabase()") == "telemetry\n"
        assert reader.text("SELECT currentDatabase()", database="default") == "telemetry\n"
        assert reader.refused("SELECT * FROM `/etc/passwd`", database="default") == (404, 60)
        assert reader.refused("SELECT 1", database="system") == (403, 497)


class TestTheEnginesFunctions:
    """So that a new version of the engine cannot open a hole unseen."""

    def test_every_function_was_reviewed(self, engine: Engine) -> None:
        """One that is new must be looked at, refused if it reaches out, and then added to the list."""
        known = set(REVIEWED.read_text().split())
        found = {row[0] for row in engine.rows("SELECT name FROM system.functions WHERE origin = 'System'")}
        assert sorted(found - known) == []

    def test_table_functions_are_refused_unless_known(self, engine: Engine) -> None:
        """All but those on the list, and none on it touches files or the network."""
        found = {row[0] for row in engine.rows("SELECT name FROM system.table_functions")}
        reach = Reach(found, [])
        assert {name for name in found if not reach.refuses(name)} == {
            *("numbers", "numbers_mt", "zeros", "zeros_mt", "primes", "generateSeries", "generate_series"),
            *("view", "values", "SQLStandardValues", "null", "format", "merge", "generateRandom"),
        }
        assert {name.lower() for name in found} >= TABLE_FUNCTIONS

    def test_the_lists_name_what_exists(self, engine: Engine) -> None:
        """A name that the engine does not know protects nothing."""
        functions = {row[0].lower() for row in engine.rows("SELECT name FROM system.functions")}
        functions |= {row[0].lower() for row in engine.rows("SELECT name FROM system.table_functions")}
        assert sorted(name for name in REFUSED_FUNCTIONS if name not in functions) == []
        unused = [p for p in REFUSED_PREFIXES if not any(name.startswith(p) for name in functions)]
        assert set(unused) <= {"otlp_"}
        engines = {row[0] for row in engine.rows("SELECT name FROM system.table_engines")} | {"Atomic"}
        assert sorted(ENGINES - engines) == []
        tables = {row[0] for row in engine.rows("SELECT name FROM system.tables WHERE database = 'system'")}
        assert sorted(SYSTEM_TABLES - tables) == []
