"""Statements that real tools send: tables made in a statement, filters, SET, other names of the database and tables."""

import httpx
import pytest

from gateway import frames
from gateway.policy import SYSTEM_TABLES
from otlp.compression import zstd
from tests.gateway.asker import Asker, unframed
from tests.gateway.client import GatewayClient
from tests.server import NO_TLS, Server

# Texts in Brotli, as the engine writes them.
_BROTLI_ROW = b"\x8f\x01\x807,x\n\x03"
_BROTLI_QUERY = b"\x0f\x06\x80SELECT 41 + 1\x03"


def test_a_reader_sees_no_path_of_this_machine(server: Server, reader: GatewayClient) -> None:
    """In no table of `system` that it may read, however it names the table, and in no error."""
    path = str(server.data)
    for table in sorted(SYSTEM_TABLES - {"numbers", "numbers_mt", "zeros", "zeros_mt"}):
        assert path not in reader.text(f"SELECT * FROM system.{table} FORMAT TSVRaw"), table
    for sql in (
        "SELECT system.tables.data_paths FROM system.tables WHERE name = 'otel_logs'",
        "SELECT t.data_paths FROM system.tables AS t JOIN system.databases AS d ON d.name = t.database",
        "SELECT * FROM (SELECT path FROM `system`.`parts` UNION ALL SELECT path FROM system.parts_columns)",
        "WITH x AS (SELECT data_path FROM system.databases) SELECT * FROM x",
        "SELECT (SELECT groupArray(data_path) FROM system.{t:Identifier})",
        "EXPLAIN SELECT * FROM system.parts",
    ):
        assert path not in reader.text(sql, param_t="databases")
    assert path not in reader.post("SELECT * FROM system.parts WHERE throwIf(path != '') OR x").text


def test_harmless_tables_can_be_made_in_a_statement(reader: GatewayClient) -> None:
    """From values, texts and numbers; their columns have types and nothing else."""
    for sql, expected in (
        ("SELECT * FROM VALUES('a String, b Int8', ('x', 1), ('y', 2))", "x\t1\ny\t2\n"),
        ("SELECT * FROM (VALUES (1, 'a'), (2, 'b')) AS t", "1\ta\n2\tb\n"),
        ("SELECT * FROM values('x', 'y')", "x\ny\n"),
        ("SELECT count() FROM null('a Array(Tuple(x Int8, y String))')", "0\n"),
        ("SELECT count() FROM (SELECT * FROM zeros(3) UNION ALL SELECT * FROM numbers(2))", "5\n"),
        ("SELECT length(a) < 4 FROM generateRandom('a String', 1, 3) LIMIT 1", "1\n"),
        ("SELECT * FROM format(JSONEachRow, 'a String', '{\"a\":\"x\"}')", "x\n"),
        ("SELECT * FROM format(CSV, '1,2') SETTINGS max_threads = 1", "1\t2\n"),
        ("SELECT count() FROM merge('^schema_migrations$') WHERE 0", "0\n"),
        ("SELECT count() FROM merge('default', '^schema_migrations$') WHERE 0", "0\n"),
        ("SELECT count() FROM merge(currentDatabase(), '^schema_migrations$') WHERE 0", "0\n"),
        ("SELECT count() FROM system.dictionaries WHERE 0", "0\n"),
        ("SELECT format('{}-{}', 'a', 'b')", "a-b\n"),
    ):
        assert (sql, reader.text(sql)) == (sql, expected)
    assert reader.refused("SELECT * FROM format(Values, 'a String', '(file(''/etc/passwd''))')")[1] == 344


def test_filters_of_dashboards_apply(reader: GatewayClient, writer: GatewayClient, table: str) -> None:
    """In SETTINGS, in the URL, by SET in a session, under each name of the database."""
    writer.text(f"INSERT INTO {table} VALUES (1, 'x'), (2, 'y')")
    sql = f"SELECT groupArray(a) FROM {table}"
    for name in (table, f"telemetry.{table}", f"default.{table}"):
        filters = f"{{'{name}': 'b = \\'y\\''}}"
        for client in (reader, writer):
            assert client.text(f"{sql} SETTINGS additional_table_filters = {filters}") == "[2]\n"
    filters = f"{{'{table}': 'b = \\'y\\''}}"
    assert reader.text(sql, additional_table_filters=filters) == "[2]\n"
    assert reader.text(f"SET additional_table_filters = {filters}", session_id="filtered") == ""
    assert reader.text(sql, session_id="filtered") == "[2]\n"
    assert reader.text(sql) == "[1,2]\n"
    assert reader.refused(sql, additional_table_filters=f"{{'{table}': 'file(1)'}}")[1] == 497
    assert reader.refused(sql, additional_table_filters=f"{{'{table}': '1'}}, max_threads = 1")[1] == 36


def test_a_reader_sets_within_its_limits(reader: GatewayClient) -> None:
    """For the session that it names, or for nothing; SETTINGS of one statement apply to it."""
    sql = "SELECT getSetting('join_use_nulls'), getSetting('max_execution_time')"
    assert reader.text("SET join_use_nulls = 1, max_execution_time = 9", session_id="set") == ""
    assert reader.text(sql, session_id="set") == "true\t9\n"
    assert reader.text("SET join_use_nulls = DEFAULT", session_id="set") == ""
    assert reader.text(sql, session_id="set") == "false\t9\n"
    assert reader.text(sql) == "false\t60\n"
    assert reader.text(f"{sql} SETTINGS join_use_nulls = 1, max_execution_time = 7") == "true\t7\n"
    assert reader.text("USE default") == reader.text("USE telemetry") == ""


def test_default_is_the_telemetry_database_in_names_too(reader: GatewayClient, writer: GatewayClient) -> None:
    """The Collector's exporter qualifies its tables so."""
    writer.text("CREATE DATABASE IF NOT EXISTS `default`")
    writer.text('CREATE TABLE IF NOT EXISTS "default"."scratch_default" (a UInt8) ENGINE = Memory')
    writer.text("1\n2\n", query='INSERT INTO "default"."scratch_default" (a) FORMAT CSV')
    writer.text("INSERT INTO default.scratch_default VALUES (3)")
    writer.text("INSERT INTO default.scratch_default SELECT a + 3 FROM default.scratch_default WHERE a = 1")
    rows = "SELECT groupArray(a) FROM (SELECT * FROM default.scratch_default ORDER BY a)"
    assert reader.text(rows) == "[1,2,3,4]\n"
    assert reader.text("DESCRIBE TABLE `default`.scratch_default FORMAT CSV").startswith('"a","UInt8"')
    assert "telemetry.scratch_default" in reader.text('SHOW CREATE TABLE "default".scratch_default')
    assert "scratch_default\n" in reader.text("SHOW TABLES FROM default")
    writer.text("DROP TABLE default.scratch_default")
    assert reader.refused("SELECT * FROM default.`/etc/passwd`") == (404, 60)


def test_the_exponential_histograms_have_two_names(reader: GatewayClient) -> None:
    """The exporter's older one and its newer one."""
    other = "otel_metrics_exponential_histogram"
    assert reader.text(f"EXISTS default.{other}") == "1\n"
    assert reader.text(f"SELECT count({other}.Count) FROM {other}") == "0\n"
    assert reader.text(f"DESCRIBE {other}") == reader.text("DESCRIBE otel_metrics_exp_histogram")


def test_bounded_functions_change_no_result(reader: GatewayClient) -> None:
    """Nor a column's name, nor what NULL gives; a text that is too long is an error that says so."""
    sql = "SELECT editDistance(toString(number), 'x'), extractAll(materialize('a1b2'), '[0-9]+') FROM numbers(1)"
    names = "\"editDistance(toString(number), 'x')\",\"extractAll(materialize('a1b2'), '[0-9]+')\""
    assert reader.text(f"{sql} FORMAT CSVWithNames").splitlines() == [names, "1,\"['1','2']\""]
    assert reader.text("SELECT replaceRegexpAll(CAST(NULL, 'Nullable(String)'), 'a+', 'b')") == "\\N\n"
    assert reader.text("SELECT extractAll(repeat('ab', 100000), 'ab') = [] SETTINGS max_threads = 1") == "0\n"
    assert reader.text("SELECT 'abc' ILIKE concat('%', {p:String}, '%')", param_p="B") == "1\n"
    assert reader.refused("SELECT extractAll(repeat('ab', 100000), 'a+')") == (500, 395)
    assert reader.refused("SELECT arrayMap(editDistance, ['a'], ['b'])") == (403, 497)


def test_rows_inserted_here_are_counted_and_told(server: Server, writer: GatewayClient, table: str) -> None:
    """No privacy rule sees them; the log says so once for each table."""
    before = server.metric("telemetry_unredacted_rows_total", table="other")
    for _ in range(2):
        writer.text("3\tc\n4\td\n", query=f"INSERT INTO {table} FORMAT TSV")
    writer.text(f"INSERT INTO {table} SELECT 5, 'e'")
    assert server.metric("telemetry_unredacted_rows_total", table="other") == before + 5
    told = [line for line in server.log.read_text().splitlines() if "no privacy rule" in line]
    assert len([line for line in told if f'"{table}"' in line]) == 1


def test_errors_come_in_frames_to_a_client_that_asks_for_them(ask: Asker) -> None:
    """clickhouse-go and the Collector's exporter read every answer so, once they are known; before, in clear."""
    for sql, code in (
        ("SELECT nothing", 47),
        ("SELECT (", 62),
        ("SELECT * FROM file('x')", 497),
        ("SET readonly = 0", 452),
    ):
        answer = ask(sql, params={"compress": "1"})
        assert answer.headers["x-clickhouse-exception-code"] == str(code)
        assert unframed(answer.content).decode().startswith(f"Code: {code}. DB::Exception: ")
    wrong = ask("SELECT 1", params={"compress": "1", "nonsense": "1"})
    assert unframed(wrong.content).startswith(b"Code: 452. ")
    stranger = ask("SELECT 1", params={"compress": "1"}, headers={"X-ClickHouse-Key": "wrong"})
    assert stranger.text.startswith("Code: 516. ")
    method = {"compress": "1", "network_compression_method": "zstd", "network_zstd_compression_level": "3"}
    assert unframed(ask("SELECT 1 FORMAT TSV", params=method).content) == b"1\n"


def test_an_error_in_the_middle_of_frames_is_a_frame(reader: GatewayClient) -> None:
    """So the client reads its text where the rows end."""
    sql = "SELECT number, throwIf(number = 3000000) FROM numbers(9000000) SETTINGS max_threads = 1"
    content = b""
    with (
        pytest.raises(httpx.RemoteProtocolError),
        httpx.Client(auth=reader.auth, timeout=180, verify=NO_TLS) as client,
        client.stream("POST", reader.url, content=sql, params={"compress": "1"}) as answer,
    ):
        for piece in answer.iter_raw():
            content += piece
    assert b"Code: 395. " in unframed(content)[-1000:]


def test_frames_of_zstd_need_not_say_their_size(writer: GatewayClient, table: str) -> None:
    """Go's encoder does not."""
    packed = zstd.compress(b"7,x\n", options={zstd.CompressionParameter.content_size_flag: 0})
    head = b"\x90" + (len(packed) + 9).to_bytes(4, "little") + (4).to_bytes(4, "little")
    body = frames._hash(head + packed) + head + packed
    assert writer.post(body, query=f"INSERT INTO {table} FORMAT CSV", decompress="1").status_code == 200
    assert writer.text(f"SELECT * FROM {table}") == "7\tx\n"


def test_bodies_come_in_brotli(writer: GatewayClient, reader: GatewayClient, table: str) -> None:
    """Data after an INSERT in the URL, or a statement; what is no Brotli is an error."""
    writer.post(_BROTLI_ROW, query=f"INSERT INTO {table} FORMAT CSV", headers_content_encoding="br")
    assert writer.text(f"SELECT * FROM {table}") == "7\tx\n"
    assert reader.post(_BROTLI_QUERY, headers_content_encoding="br").text == "42\n"
    assert reader.refused(b"not brotli", headers_content_encoding="br")[0] >= 400
    assert (
        writer.refused(b"no", query=f"INSERT INTO {table} FORMAT CSV", headers_content_encoding="br")[0]
        >= 400
    )


def test_texts_to_look_for_may_be_a_parameter(reader: GatewayClient) -> None:
    """Alone, as an array or as JSON, when it is short; a long one is refused, and other types of JSON grow."""
    array = "SELECT multiSearchAnyCaseInsensitiveUTF8('Connection refused', {texts:Array(String)})"
    json = "SELECT multiSearchAnyCaseInsensitiveUTF8('20', JSONExtract({texts:String}, '%s'))"
    assert reader.text(array, param_texts="['REFUSED','x']") == "1\n"
    assert reader.text(json % "Array(String)", param_texts='["x","20"]') == "1\n"
    assert reader.refused(array, param_texts=f"['{'a' * 16_384}']") == (403, 497)
    assert reader.refused(json % "Array(String)", param_texts=f'["{"a" * 16_384}"]') == (403, 497)
    assert reader.refused(json % "Array(FixedString(100000))", param_texts='["x"]') == (403, 497)
