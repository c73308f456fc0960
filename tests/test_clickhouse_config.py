"""The ClickHouse server's own configuration, loaded by the engine: its users, their rights, its logs."""

import json
import os
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest

from gateway.policy import SYSTEM_TABLES
from tests.server import ROOT

CONFIG = ROOT / "clickhouse" / "server"
# Each statement's rows, or the code of its error.
_RUN = """
import json, sys
from clickhouse.engine import EngineError
import clickhouse.engine
clickhouse.engine.CONFIG = sys.argv[1]
engine = clickhouse.engine.Engine(sys.argv[2], connections=1)
if sys.argv[3:]:
    from clickhouse.migrations import migrate
    engine.use("telemetry")
    print(json.dumps(len(migrate(engine, 90)) > 0))
for sql in json.load(sys.stdin):
    try:
        answer = engine.rows(sql)
    except EngineError as error:
        answer = error.name
    print(json.dumps(answer))
engine.close()
"""


def parsed(path: Path) -> ET.Element:
    return ET.parse(path).getroot()  # noqa: S314  our own file


def loaded(folder: Path, user: str | None, *statements: str, migrated: bool = False) -> list[Any]:
    """Run statements in an engine with the server's configuration; as `user`, or as one who may do everything.

    The engine knows the user `default` alone, so that one gets all that the user has but the password.
    """
    config = folder / "etc"
    shutil.copytree(CONFIG, config, dirs_exist_ok=True)
    (config / "config.d").mkdir()
    (config / "users.d").mkdir()
    places = "".join(
        f"<{name}>{folder}/{name}/</{name}>"
        for name in ("path", "tmp_path", "user_files_path", "format_schema_path")
    )
    quiet = '<logger><level replace="1">none</level><console replace="1">0</console></logger>'
    (config / "config.d" / "here.xml").write_text(f"<clickhouse>{quiet}{places}</clickhouse>")
    as_user = ET.Element("default")
    if user:
        (copied,) = parsed(config / "users.xml").iterfind(f"users/{user}")
        as_user.extend(child for child in copied if child.tag != "password")
    else:
        ET.SubElement(as_user, "profile").text = "default"
        ET.SubElement(as_user, "quota").text = "telemetry_writer"
        ET.SubElement(as_user, "access_management").text = "1"
        ET.SubElement(ET.SubElement(as_user, "networks"), "ip").text = "::/0"
    ET.SubElement(as_user, "password")
    root = ET.Element("clickhouse")
    ET.SubElement(root, "users").append(as_user)
    ET.ElementTree(root).write(config / "users.d" / "default.xml")
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            _RUN,
            config / "config.xml",
            folder / "path",
            *(["migrate"] if migrated else []),
        ],
        cwd=ROOT,
        env={**os.environ, "CLICKHOUSE_PASSWORD": "first", "TELEMETRY_READER_PASSWORD": "second"},
        input=json.dumps(statements),
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_it_loads_with_its_users_profiles_quotas_and_caches(tmp_path: Path) -> None:
    """Both users with their profile and quota, no other; passwords from the environment, and stored nowhere."""
    users, profiles, elements, quotas, grants, settings, names = loaded(
        tmp_path,
        None,
        "SELECT name, auth_type FROM system.users WHERE name != 'default' ORDER BY name",
        "SELECT name FROM system.settings_profiles WHERE storage = 'users_xml' ORDER BY name",
        "SELECT setting_name, value, min, max FROM system.settings_profile_elements"
        " WHERE profile_name = 'telemetry_reader' AND max IS NOT NULL ORDER BY setting_name",
        "SELECT quota_name, duration FROM system.quota_limits ORDER BY ALL",
        "SELECT user_name, arraySort(groupArray(table)) FROM system.grants"
        " WHERE database = 'system' AND user_name != 'default' GROUP BY user_name ORDER BY user_name",
        "SELECT name, value FROM system.server_settings WHERE changed AND name IN"
        " ('mark_cache_size', 'max_server_memory_usage_to_ram_ratio', 'background_pool_size') ORDER BY name",
        "SELECT user_name, access_type FROM system.grants WHERE database = 'telemetry' AND user_name != 'default'"
        " ORDER BY ALL",
    )
    assert users == [["telemetry_reader", ["plaintext_password"]], ["telemetry_user", ["plaintext_password"]]]
    assert profiles == [["default"], ["telemetry_reader"], ["telemetry_writer"]]
    assert elements == [
        ["max_execution_time", "60", "1", "60"],
        ["max_memory_usage", "700000000", "1", "700000000"],
        ["max_result_bytes", "1073741824", "1", "1073741824"],
        ["max_result_rows", "10000000", "1", "10000000"],
        ["max_rows_to_read", "1000000000", "1", "1000000000"],
    ]
    assert quotas == [["telemetry_reader", 60], ["telemetry_reader", 3600], ["telemetry_writer", 3600]]
    assert grants == [["telemetry_reader", sorted(SYSTEM_TABLES)], ["telemetry_user", sorted(SYSTEM_TABLES)]]
    assert settings == [
        ["background_pool_size", "4"],
        ["mark_cache_size", "134217728"],
        ["max_server_memory_usage_to_ram_ratio", "0.8"],
    ]
    assert [name for user, name in names if user == "telemetry_reader"] == ["SHOW", "SELECT"]


def test_the_writer_may_do_what_the_receiver_does_and_no_more(tmp_path: Path) -> None:
    """Migrations, inserts, views, backup's and restore's statements; no other database, no users, no files."""
    may = [
        "INSERT INTO otel_logs (Timestamp, Body) SELECT now64(9), 'x'",
        "CREATE TABLE _cut AS otel_traces_trace_id_ts",
        "ALTER TABLE _cut ATTACH PARTITION ALL FROM otel_traces_trace_id_ts",
        "SELECT count() FROM _cut",
        "DROP TABLE _cut SYNC",
        "CREATE MATERIALIZED VIEW seen TO otel_logs AS SELECT * FROM otel_logs WHERE 0",
        "DROP VIEW seen",
        "OPTIMIZE TABLE otel_logs FINAL",
        "ALTER TABLE otel_logs DROP PARTITION ALL",
        "TRUNCATE TABLE otel_logs",
        "SELECT count() > 0 FROM system.parts",
        "CREATE DATABASE IF NOT EXISTS telemetry",
    ]
    may_not = [
        "CREATE DATABASE other",
        "CREATE TABLE default.x (a Int8) ENGINE = Memory",
        "CREATE USER someone",
        "GRANT SELECT ON *.* TO telemetry_reader",
        "SELECT * FROM file('/etc/passwd', LineAsString)",
        "SELECT * FROM url('http://127.0.0.1:1', LineAsString)",
        "SELECT count() FROM system.users",
        "SYSTEM SHUTDOWN",
        "DROP DATABASE telemetry",
    ]
    migrated, *answers = loaded(tmp_path, "telemetry_user", *may, *may_not, migrated=True)
    assert migrated
    assert answers[: len(may)] == [[], [], [], [[0]], [], [], [], [], [], [], [[1]], []]
    assert answers[len(may) :] == ["ACCESS_DENIED"] * len(may_not)


def test_the_reader_reads_within_limits_and_no_more(tmp_path: Path) -> None:
    """Drivers' settings are taken; nothing is written, no limit is lifted, no file or network is reached."""
    may = [
        "SELECT count() FROM system.tables WHERE database = 'system' AND name = 'one'",
        "SELECT 1 SETTINGS max_execution_time = 5, output_format_json_quote_64bit_integers = 1",
        "SELECT value FROM system.settings WHERE name = 'readonly'",
    ]
    refused = {
        "SELECT 1 SETTINGS max_execution_time = 0": "SETTING_CONSTRAINT_VIOLATION",
        "SELECT 1 SETTINGS max_execution_time = 61": "SETTING_CONSTRAINT_VIOLATION",
        "SELECT 1 SETTINGS max_memory_usage = 0": "SETTING_CONSTRAINT_VIOLATION",
        "SET readonly = 0": "READONLY",
        "SELECT * FROM file('/etc/passwd', LineAsString)": "ACCESS_DENIED",
        "SELECT * FROM url('http://127.0.0.1:1', LineAsString)": "ACCESS_DENIED",
        "SELECT count() FROM system.users": "ACCESS_DENIED",
        "CREATE TABLE telemetry.x (a Int8) ENGINE = Memory": "ACCESS_DENIED",
        "CREATE TEMPORARY TABLE x (a Int8)": "ACCESS_DENIED",
        "SELECT * FROM numbers(2000000000)": "TOO_MANY_ROWS",
    }
    answers = loaded(tmp_path, "telemetry_reader", *may, *refused)
    assert answers[: len(may)] == [[[1]], [[1]], [["2"]]]
    assert dict(zip(refused, answers[len(may) :], strict=True)) == refused


@pytest.mark.parametrize("name", ["config.xml", "users.xml"])
def test_no_password_stands_in_a_file(name: str) -> None:
    """They come from the environment, and there is no user without one."""
    for user in parsed(CONFIG / name).iterfind("users/*"):
        passwords = [child for child in user if "password" in child.tag]
        assert [(child.text, child.attrib) for child in passwords] == [
            (
                None,
                {
                    "from_env": {"telemetry_user": "CLICKHOUSE_PASSWORD"}.get(
                        user.tag, "TELEMETRY_READER_PASSWORD"
                    )
                },
            )
        ]


def test_every_system_log_is_kept_for_a_week() -> None:
    """None grows for ever, and those that are not declared are not written."""
    logs = [section for section in parsed(CONFIG / "config.xml") if section.find("table") is not None]
    assert {section.tag: section.findtext("ttl") for section in logs} == {
        "query_log": "event_date + INTERVAL 7 DAY DELETE",
        "crash_log": "event_date + INTERVAL 7 DAY DELETE",
    }
