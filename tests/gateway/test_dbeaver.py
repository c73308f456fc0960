"""The requests of DBeaver and of prompts: health checks, lists, descriptions, plans."""

import json
import re
import uuid
from zoneinfo import ZoneInfo

import pytest

from tests.gateway.asker import Asker


class TestDBeaver:
    """The statements of DBeaver and of a prompt's user: health checks of every kind, lists, descriptions, plans."""

    @pytest.mark.parametrize(
        ("headers", "params", "body"),
        [
            ({}, {}, b"1\n"),
            ({}, {"default_format": "TabSeparatedWithNamesAndTypes"}, b"1\nUInt8\n1\n"),
            ({"X-ClickHouse-Format": "JSONCompactEachRow"}, {}, b"[1]\n"),
            ({"X-ClickHouse-Format": "CSV"}, {"default_format": "TSV"}, b"1\n"),
            ({"X-ClickHouse-Format": "TSVWithNames"}, {"default_format": "CSV"}, b"1\n1\n"),
            ({"Accept": "*/*", "User-Agent": "DBeaver 24.3"}, {"wait_end_of_query": "1"}, b"1\n"),
            ({"Content-Type": "text/plain; charset=UTF-8"}, {"session_timeout": "30"}, b"1\n"),
            ({"Content-Type": "application/x-www-form-urlencoded"}, {"client_name": "x"}, b"1\n"),
            ({"Accept-Encoding": "gzip, deflate"}, {"enable_http_compression": "0"}, b"1\n"),
            ({"Connection": "close"}, {"buffer_size": "65536", "max_result_rows": "200"}, b"1\n"),
        ],
    )
    def test_select_1(self, ask: Asker, headers: dict[str, str], params: dict[str, str], body: bytes) -> None:
        """In each dress, by POST and by GET; the header's format goes before the URL's."""
        for answer in (
            ask("SELECT 1", headers=headers, params=params),
            ask(method="GET", headers=headers, params={"query": "SELECT 1", **params}),
        ):
            assert (answer.status_code, answer.content) == (200, body)
            assert int(answer.headers["content-length"]) == len(body)
            assert "content-encoding" not in answer.headers
            assert json.loads(answer.headers["x-clickhouse-summary"])["result_rows"] == "1"
            assert ZoneInfo(answer.headers["x-clickhouse-timezone"])
            assert uuid.UUID(answer.headers["x-clickhouse-query-id"])
            assert answer.headers["x-clickhouse-server-display-name"]

    def test_version_and_zone(self, ask: Asker) -> None:
        """Each by itself, and the header says the zone too."""
        assert re.fullmatch(r"\d+(\.\d+){3}\n", ask("SELECT version()").text)
        answer = ask("select timezone()")
        assert answer.text == f"{answer.headers['x-clickhouse-timezone']}\n"

    def test_show(self, ask: Asker) -> None:
        """Databases, tables, columns and how a table was made."""
        assert "telemetry" in ask("SHOW DATABASES").text.splitlines()
        names = ask("SHOW TABLES").text.splitlines()
        assert "otel_logs" in names
        assert ask("SHOW TABLES FROM telemetry LIKE 'otel\\_logs'").text == "otel_logs\n"
        made = ask("SHOW CREATE TABLE otel_logs FORMAT TSVRaw").text
        assert made.startswith("CREATE TABLE telemetry.otel_logs\n(\n    `Timestamp` DateTime64(9)")
        fields = ask("SHOW COLUMNS FROM otel_logs FORMAT TSVWithNames").text.splitlines()
        assert fields[0].split("\t") == ["field", "type", "null", "key", "default", "extra"]

    @pytest.mark.parametrize(
        "name", ["otel_logs", "telemetry.otel_logs", '"telemetry"."otel_logs"', "`otel_logs`"]
    )
    def test_a_table_is_named_with_its_database_or_without(self, ask: Asker, name: str) -> None:
        """Tools write both parts, and quote them as they like."""
        assert ask(f"EXISTS TABLE {name}").text == "1\n"
        assert ask(f"DESCRIBE TABLE {name}").text.startswith("Timestamp\tDateTime64(9)\t")
        assert ask(f"SHOW CREATE TABLE {name}").text.startswith("CREATE TABLE telemetry.otel_logs\\n(")
        assert ask(f"SELECT count() >= 0 FROM {name}").text == "1\n"

    def test_a_database_is_shown_as_a_table_is(self, ask: Asker) -> None:
        """How it was made, and that it exists."""
        assert ask("EXISTS DATABASE telemetry").text == "1\n"
        assert ask("SHOW CREATE DATABASE telemetry FORMAT TSVRaw").text.startswith(
            "CREATE DATABASE telemetry"
        )

    def test_describe(self, ask: Asker) -> None:
        """With its seven columns, of a table and of a query."""
        answer = ask("DESCRIBE TABLE otel_logs", params={"default_format": "TSVWithNames"})
        lines = [line.split("\t") for line in answer.text.splitlines()]
        assert lines[0][:4] == ["name", "type", "default_type", "default_expression"]
        assert lines[0][4:] == ["comment", "codec_expression", "ttl_expression"]
        assert lines[1][:2] == ["Timestamp", "DateTime64(9)"]
        assert ask("DESC (SELECT 1 AS a, 'x' AS b)").headers["x-clickhouse-exception-code"] == "497"

    def test_explain(self, ask: Asker) -> None:
        """Plan, syntax, pipeline and tree, one line a row."""
        sql = "SELECT Body FROM otel_logs WHERE TraceId = 'x'"
        assert "ReadFrom" in ask("EXPLAIN SELECT number FROM numbers(3)").text
        assert "FROM" in ask(f"EXPLAIN SYNTAX {sql}").text
        assert ask(f"EXPLAIN AST {sql}").text.startswith("SelectWithUnionQuery")
        assert "QUERY id: 0" in ask(f"EXPLAIN QUERY TREE {sql}").text
        lines = ask("EXPLAIN PIPELINE SELECT 1 FORMAT JSONEachRow").text.splitlines()
        assert len(lines) > 1
        assert all(json.loads(line).keys() == {"explain"} for line in lines)

    def test_the_tree_of_objects(self, ask: Asker) -> None:
        """Databases with engines, tables with sizes, columns with keys, functions and engines."""
        databases = ask(
            "SELECT name, engine FROM system.databases WHERE name = 'telemetry' FORMAT JSONEachRow"
        )
        assert databases.json() == {"name": "telemetry", "engine": "Atomic"}
        tables = ask(
            "SELECT name, engine, total_rows, primary_key, comment FROM system.tables"
            " WHERE database = 'telemetry' AND name = 'otel_logs' FORMAT JSONEachRow"
        ).json()
        assert (tables["name"], tables["engine"]) == ("otel_logs", "MergeTree")
        parts = ask(
            "SELECT table, sum(bytes_on_disk) AS size, sum(rows) AS n, count() AS parts FROM system.parts"
            " WHERE active AND database = 'telemetry' GROUP BY table"
        )
        assert (parts.status_code, parts.headers["x-clickhouse-format"]) == (200, "TabSeparated")
        columns = ask(
            "SELECT name, is_in_primary_key FROM system.columns WHERE database = 'telemetry'"
            " AND table = 'otel_logs' AND name IN ('Timestamp', 'Body') ORDER BY name FORMAT CSV"
        )
        assert columns.text.splitlines()[0] == '"Body",0'
        assert ask("SELECT count() > 500 FROM system.functions").text == "1\n"
        assert ask("SELECT count() FROM system.table_engines WHERE name = 'MergeTree'").text == "1\n"

    def test_information_schema(self, ask: Asker) -> None:
        """In either case of letters."""
        for schema in ("information_schema", "INFORMATION_SCHEMA"):
            where = "table_schema = 'telemetry' AND table_name = 'otel_logs'"
            assert ask(f"SELECT table_type FROM {schema}.tables WHERE {where}").text == "BASE TABLE\n"

    def test_the_page_of_a_grid(self, ask: Asker) -> None:
        """A limit and an offset, which a client may add as settings."""
        answer = ask("SELECT number FROM numbers(100)", params={"limit": "2", "offset": "10"})
        assert answer.text == "10\n11\n"

    def test_head_has_headers_alone(self, ask: Asker) -> None:
        """As the same GET would."""
        answer = ask(method="HEAD", params={"query": "SELECT 1"})
        assert (answer.status_code, answer.content) == (200, b"")
        assert answer.headers["x-clickhouse-format"] == "TabSeparated"

    def test_a_wrong_password(self, ask: Asker) -> None:
        """The answer says so in ClickHouse's words; without a password, the answer asks for one."""
        wrong = ask("SELECT 1", headers={"X-ClickHouse-Key": "wrong"})
        assert (wrong.status_code, wrong.headers["x-clickhouse-exception-code"]) == (403, "516")
        none = ask.bare("/?query=SELECT+1")
        assert none.status_code == 401
        assert none.headers["www-authenticate"].startswith("Basic realm=")
