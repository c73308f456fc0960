"""Backups of a running server: complete, linked, encrypted, rotated, checked, and put back row for row."""

import hashlib
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from telemetry.cli import main
from telemetry.upkeep import archive, sealed
from telemetry.upkeep.archive import Backup
from telemetry.upkeep.backup import Made, back_up
from telemetry.upkeep.door import Door
from telemetry.upkeep.errors import UpkeepError
from telemetry.upkeep.reset import choose, remove
from telemetry.upkeep.restore import Overlap, restore
from telemetry.upkeep.tables import counts, tables
from tests.server import ROOT, Server, captures, running

KEPT = {"TELEMETRY_BATCH_AGE_MS": "0", "TELEMETRY_RETENTION_DAYS": "3650"}
pytestmark = pytest.mark.timeout(300)


def door_of(server: Server) -> Door:
    lines = (server.data / "credentials.env").read_text().splitlines()
    password = dict(line.split("=", 1) for line in lines)["CLICKHOUSE_PASSWORD"]
    return Door(f"http://{server.listening['clickhouse_http']}", "telemetry_user", password, "telemetry")


def send(server: Server, *names: str) -> None:
    for name in names:
        for body in captures(name):
            assert server.post(name, body).status_code == 200


def contents(door: Door) -> dict[str, list[str]]:
    """Give every row of every table, rolled up where it is, in an order of its own."""
    engines = dict(door.rows("SELECT name, engine FROM system.tables WHERE database = currentDatabase()"))
    found = {}
    for table in tables(door):
        final = "" if engines[table.name] == "MergeTree" else "FINAL"
        rows = door.rows(f"SELECT * FROM {table.name} {final}")
        found[table.name] = sorted(json.dumps([in_order(value) for value in row]) for row in rows)
    return found


def in_order(value: Any) -> Any:
    return sorted(value, key=json.dumps) if isinstance(value, list) else value


def make(
    door: Door, folder: Path, *, keep: int = 9, recipient: str | None = None, full: bool = False
) -> Made:
    return back_up(door, folder, keep=keep, recipient=recipient, full=full)


def settings_of(server: Server) -> dict[str, str]:
    """Give what a command needs to find the server."""
    port = server.listening["clickhouse_http"].rpartition(":")[2]
    return {"TELEMETRY_DATA_DIR": str(server.data), "TELEMETRY_CLICKHOUSE_HTTP_PORT": port}


def telemetry(server: Server, *arguments: str, **given: str) -> Result:
    """Run the command as its user would, beside the server."""
    ours = {name: None for name in os.environ if name.startswith(("TELEMETRY_", "CLICKHOUSE_"))}
    return CliRunner().invoke(main, arguments, env={**ours, **settings_of(server), **given})


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Start a server that holds the captures; tests leave its rows alone."""
    with running(tmp_path_factory.mktemp("filled") / "data", **KEPT) as server:
        send(server, "logs", "traces", "metrics")
        yield server


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Start a server to restore into; each test finds it empty."""
    with running(tmp_path_factory.mktemp("other") / "data", **KEPT) as server:
        yield server


@pytest.fixture
def target(other: Server) -> Door:
    door = door_of(other)
    for table in tables(door):
        door.command(f"TRUNCATE TABLE {table.name}")
    return door


@pytest.fixture(scope="module")
def backup(filled: Server, tmp_path_factory: pytest.TempPathFactory) -> Backup:
    """Make one backup that tests only read."""
    return make(door_of(filled), tmp_path_factory.mktemp("backups")).backup


def copy_of(backup: Backup, folder: Path) -> Backup:
    shutil.copytree(backup.path, folder / backup.path.name)
    return archive.read(folder / backup.path.name)


def test_a_backup_put_back_is_the_same_row_for_row(filled: Server, backup: Backup, target: Door) -> None:
    """Every table, what views feed included, and nothing is fed twice."""
    before = contents(door_of(filled))
    assert sum(map(len, before.values())) > 90
    restored = restore(target, backup, None, Overlap.REFUSE)
    assert contents(target) == before
    saved = {
        name: sum(part.rows for part in parts.values()) for name, parts in backup.manifest.tables.items()
    }
    assert restored.rows == saved
    assert leftovers(target) == leftovers(door_of(filled)) == []


def leftovers(door: Door) -> list[str]:
    return [name for (name,) in door.rows("SELECT name FROM system.tables WHERE startsWith(name, '_')")]


def test_unchanged_days_are_links_and_changed_ones_are_read_out(
    other: Server, target: Door, tmp_path: Path
) -> None:
    """A second backup writes what is new; each folder is complete when the others are gone."""
    send(other, "logs")
    first = make(target, tmp_path)
    assert (first.base, first.written) == (None, len(first.backup.manifest.files()))
    again = make(target, tmp_path)
    assert (again.base, again.written) == (first.backup.manifest.id, 0)
    assert again.backup.manifest.tables == first.backup.manifest.tables
    name = next(iter(again.backup.manifest.files()))
    assert (again.backup.path / name).samefile(first.backup.path / name)
    send(other, "traces")
    third = make(target, tmp_path)
    changed = {name for name in third.backup.manifest.files() if name not in again.backup.sums}
    assert third.written == len(changed) > 0
    assert {name.partition("/")[0] for name in changed} >= {"otel_traces", "otel_traces_trace_id_ts"}
    assert not {name for name in changed if name.startswith("otel_logs/")}
    before = contents(target)
    shutil.rmtree(first.backup.path)
    shutil.rmtree(again.backup.path)
    restore(target, third.backup, None, Overlap.REPLACE)
    assert contents(target) == before
    after = make(target, tmp_path)
    assert after.written == len(after.backup.manifest.files()), "what was put back is not taken for unchanged"
    assert make(target, tmp_path, full=True).written == after.written


def test_a_merge_is_no_change_and_a_deletion_is_one(other: Server, target: Door, tmp_path: Path) -> None:
    """Fingerprints follow the rows, not the parts."""
    send(other, "logs")
    send(other, "logs")
    make(target, tmp_path)
    target.command("OPTIMIZE TABLE otel_logs FINAL")
    assert make(target, tmp_path).written == 0
    target.command(
        "ALTER TABLE otel_logs DELETE WHERE SeverityText = SeverityText SETTINGS mutations_sync = 1"
    )
    made = make(target, tmp_path)
    assert made.backup.manifest.tables["otel_logs"] == {}


def test_all_is_backed_up_that_was_acknowledged_before_while_more_arrives(
    other: Server, target: Door, tmp_path: Path
) -> None:
    """Inserts go on during a backup; every table in it has whole requests."""
    (body,) = captures("logs")[:1]
    assert other.post("logs", body).status_code == 200
    records = int(target.rows("SELECT count() FROM otel_logs")[0][0])
    done = threading.Event()
    sent = []

    def keep_sending() -> None:
        while not done.is_set():
            assert other.post("logs", body).status_code == 200
            sent.append(1)

    sender = threading.Thread(target=keep_sending)
    sender.start()
    try:
        backups = []
        while len(sent) < 10 or len(backups) < 3:
            acknowledged = 1 + len(sent)
            backups.append((acknowledged, make(target, tmp_path).backup))
    finally:
        done.set()
        sender.join()
    for acknowledged, backup in backups:
        rows = sum(part.rows for part in backup.manifest.tables["otel_logs"].values())
        assert rows >= acknowledged * records
        assert rows % records == 0
    restored = restore(target, backups[-1][1], None, Overlap.REPLACE)
    assert restored.rows["otel_logs"] == int(target.rows("SELECT count() FROM otel_logs")[0][0])


def test_an_encrypted_backup_opens_with_its_key_only(filled: Server, target: Door, tmp_path: Path) -> None:
    """Nothing of the rows is readable in its files, and another key is refused before anything is changed."""
    right, wrong = tmp_path / "right.key", tmp_path / "wrong.key"
    recipient = sealed.make_key(right)
    sealed.make_key(wrong)
    made = make(door_of(filled), tmp_path / "backups", recipient=recipient)
    names = made.backup.manifest.files()
    assert all(name.endswith(".age") for name in names)
    assert all((made.backup.path / name).read_bytes().startswith(b"age-encryption.org/v1") for name in names)
    with pytest.raises(UpkeepError, match=r"encrypted to age1.*--identity"):
        restore(target, made.backup, None, Overlap.REFUSE)
    with pytest.raises(UpkeepError, match=r"is not that of backup"):
        restore(target, made.backup, wrong, Overlap.REFUSE)
    restore(target, made.backup, right, Overlap.REFUSE)
    assert contents(target) == contents(door_of(filled))
    plain = make(door_of(filled), tmp_path / "backups")
    assert plain.base is None, "an encrypted file has no place in a backup that is not"


def test_a_key_is_for_its_owner_and_never_overwritten(tmp_path: Path) -> None:
    """Mode 0600, and the public key that belongs to it."""
    path = tmp_path / "key"
    public = sealed.make_key(path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert str(sealed.private_key(path).to_public()) == public
    with pytest.raises(UpkeepError, match="never overwritten"):
        sealed.make_key(path)


def test_damage_is_found_before_anything_is_changed(backup: Backup, target: Door, tmp_path: Path) -> None:
    """A changed byte, a missing file, a manifest of another backup: all named, and the tables left alone."""
    broken = copy_of(backup, tmp_path)
    first, second, *_ = broken.manifest.files()
    content = bytearray((broken.path / first).read_bytes())
    content[len(content) // 2] ^= 1
    (broken.path / first).write_bytes(content)
    (broken.path / second).unlink()
    with pytest.raises(UpkeepError) as error:
        restore(target, broken, None, Overlap.REPLACE)
    assert f"{first} is not what was written; {second} is missing" in str(error.value)
    assert sum(map(len, contents(target).values())) == 0
    (broken.path / archive.MANIFEST).write_text("{}")
    with pytest.raises(UpkeepError, match=r"is damaged: its manifest.json"):
        archive.read(broken.path)


def test_rows_that_do_not_come_out_stop_a_restore(backup: Backup, target: Door, tmp_path: Path) -> None:
    """A file that is whole but not what the manifest says it holds leaves the tables as they were."""
    changed = copy_of(backup, tmp_path)
    manifest = json.loads((changed.path / archive.MANIFEST).read_text())
    partition = next(iter(manifest["tables"]["otel_logs"]))
    manifest["tables"]["otel_logs"][partition]["rows"] += 1
    (changed.path / archive.MANIFEST).write_text(json.dumps(manifest))
    sums = (changed.path / archive.SUMS).read_text()
    digest = hashlib.sha256((changed.path / archive.MANIFEST).read_bytes()).hexdigest()
    (changed.path / archive.SUMS).write_text(re.sub(r"\w+(?=  manifest)", digest, sums))
    with pytest.raises(UpkeepError, match=r"otel_logs has \d+ rows in backup .* came out"):
        restore(target, archive.read(changed.path), None, Overlap.REPLACE)
    assert (sum(map(len, contents(target).values())), leftovers(target)) == (0, [])


@pytest.mark.parametrize("name", ["../../etc", "a/b", "x'; DROP TABLE y", ""])
def test_a_manifest_cannot_name_paths_or_statements(backup: Backup, tmp_path: Path, name: str) -> None:
    """Tables and partitions are names, whoever wrote the manifest."""
    changed = copy_of(backup, tmp_path)
    manifest = json.loads((changed.path / archive.MANIFEST).read_text())
    manifest["tables"]["otel_logs"][name] = {"rows": 1, "fingerprint": ""}
    (changed.path / archive.MANIFEST).write_text(json.dumps(manifest))
    with pytest.raises(UpkeepError, match="impossible"):
        archive.read(changed.path)


def test_rows_that_are_there_are_kept_unless_told_otherwise(
    backup: Backup, filled: Server, other: Server, target: Door
) -> None:
    """Refused without a word about it; replaced with --force; both kept with --add."""
    send(other, "logs")
    there = contents(target)
    with pytest.raises(UpkeepError, match=r"has \d+ rows already, most of them in otel_logs"):
        restore(target, backup, None, Overlap.REFUSE)
    assert contents(target) == there
    restore(target, backup, None, Overlap.ADD)
    saved = contents(door_of(filled))
    both = contents(target)
    for name in ("otel_logs", "otel_traces", "otel_metrics_sum"):  # others add up what is in both
        assert both[name] == sorted([*saved[name], *there[name]])
    restore(target, backup, None, Overlap.REPLACE)
    assert contents(target) == saved
    send(other, "logs")
    assert len(contents(target)["otel_logs"]) == len(saved["otel_logs"]) + len(there["otel_logs"])


def test_a_backup_of_a_newer_schema_is_refused(backup: Backup, target: Door, tmp_path: Path) -> None:
    """A migration that the database does not have may have made columns that it lacks."""
    newer = copy_of(backup, tmp_path)
    path = newer.path / archive.MANIFEST
    path.write_text(path.read_text().replace('"0001 otel_traces"', '"9001 future"'))
    sums = newer.path / archive.SUMS
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    sums.write_text(re.sub(r"\w+(?=  manifest)", digest, sums.read_text()))
    with pytest.raises(UpkeepError, match=r"migration 9001 future.*install that version or a newer one"):
        restore(target, archive.read(newer.path), None, Overlap.REFUSE)


def test_the_oldest_go_and_half_made_ones_are_cleared_away(filled: Server, tmp_path: Path) -> None:
    """Only complete backups count, and as many as asked for stay."""
    door = door_of(filled)
    (tmp_path / "20200101T000000Z.partial").mkdir(parents=True)
    made = [make(door, tmp_path, keep=2) for _ in range(3)]
    assert [path.name for path in archive.backups(tmp_path)] == [one.backup.manifest.id for one in made[1:]]
    assert made[2].removed == [made[0].backup.manifest.id]
    assert sorted(path.name for path in tmp_path.iterdir() if not path.is_dir()) == ["lock"]
    assert len(list(tmp_path.iterdir())) == 3


def test_a_failed_backup_leaves_nothing_behind(filled: Server, tmp_path: Path) -> None:
    """Neither a folder that looks like a backup nor twins of tables."""
    door = Door("http://127.0.0.1:1", "telemetry_user", "x", "telemetry")
    with pytest.raises(UpkeepError, match="did not answer"):
        make(door, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["lock"]
    wrong = Door(door_of(filled).url, "telemetry_user", "wrong", "telemetry")
    with pytest.raises(UpkeepError, match="does not know telemetry_user with this password"):
        make(wrong, tmp_path)
    reader = dict(line.split("=", 1) for line in (filled.data / "credentials.env").read_text().splitlines())[
        "TELEMETRY_READER_PASSWORD"
    ]
    with pytest.raises(UpkeepError, match="refused a statement: code 164"):
        make(Door(door_of(filled).url, "telemetry_reader", reader, "telemetry"), tmp_path)


def test_what_a_killed_backup_left_in_the_database_is_cleared_away(target: Door, tmp_path: Path) -> None:
    """Also of tables that the next backup need not cut."""
    target.command("CREATE TABLE _backup_otel_metrics_gauge AS otel_metrics_gauge")
    target.command("CREATE TABLE _restore_otel_metrics_gauge AS otel_metrics_gauge")
    made = make(target, tmp_path)
    restore(target, made.backup, None, Overlap.REFUSE)
    assert leftovers(target) == []


FAILURE = (
    b"Code: 241. DB::Exception: Memory limit exceeded: 'secret'. (MEMORY_LIMIT_EXCEEDED)"
    b" (version 26.8.20.9 (official build))\n"
)


@pytest.mark.parametrize(
    ("sent", "failure"),
    [
        (b"rows" + FAILURE, "code 241 .MEMORY_LIMIT_EXCEEDED."),
        (b"rows\r\n__exception__\r\ntag\r\n" + FAILURE + b"120 tag\r\n__exception__\r\n", "code 241"),
        (b"a row that quotes " + FAILURE + b"\x01\x00", None),
        (b"rows", None),
    ],
)
def test_a_result_that_fails_in_the_middle_is_no_result(sent: bytes, failure: str | None) -> None:
    """A server says so behind the rows that it has sent, with 200 before them; a row may look like that too."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(1 << 16)
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(sent) + sent)

        server = threading.Thread(target=answer)
        server.start()
        door = Door(f"http://127.0.0.1:{listener.getsockname()[1]}", "telemetry_user", "x", "telemetry")
        try:
            if failure:
                with pytest.raises(UpkeepError, match=failure) as error:
                    list(door.read("SELECT 1"))
                assert "secret" not in str(error.value)
            else:
                assert b"".join(door.read("SELECT 1")) == sent
        finally:
            server.join()


def test_two_backups_into_one_folder_do_not_meet(filled: Server, tmp_path: Path) -> None:
    """The second says that one is under way."""
    with archive.held(tmp_path), pytest.raises(UpkeepError, match="under way"):
        make(door_of(filled), tmp_path)


def test_the_commands_say_what_they_do(filled: Server, other: Server, target: Door, tmp_path: Path) -> None:
    """Backup, list, refusal, restore with a key, and reset: as a person types them."""
    folder, key = str(tmp_path / "backups"), str(tmp_path / "key")
    made = telemetry(filled, "backup-key", key)
    assert made.exit_code == 0, made.output
    recipient = made.stdout.strip().partition("=")[2]
    made = telemetry(filled, "backup", "--to", folder, TELEMETRY_BACKUP_RECIPIENT=recipient)
    assert made.exit_code == 0, made.output
    rows = archive.find(tmp_path / "backups", "latest").manifest.rows
    assert re.search(
        rf"Backed up {rows} rows of \d+ tables into .*: \d+ partitions written .*; encrypted\.", made.stdout
    )
    listed = telemetry(other, "restore", "--list", "--from", folder)
    assert f"{rows} rows in " in listed.stdout
    put = telemetry(other, "restore", "--from", folder)
    assert (put.exit_code, "--identity" in put.stderr) == (1, True)
    put = telemetry(other, "restore", "--from", folder, "--identity", key)
    assert put.exit_code == 0, put.output
    assert f"Restored {rows} rows" in put.stdout
    again = telemetry(other, "restore", "--from", folder, "--identity", key)
    assert (again.exit_code, "Nothing was changed" in again.stderr) == (1, True)
    kept = telemetry(other, "reset")
    assert (kept.exit_code, "Nothing was removed" in kept.stderr) == (1, True)
    assert contents(target) == contents(door_of(filled))
    gone = telemetry(other, "reset", "--yes")
    assert (gone.exit_code, "Removed " in gone.stdout) == (0, True), gone.output
    assert sum(map(len, contents(target).values())) == 0


def test_a_backup_is_verified_in_an_engine_of_its_own(backup: Backup, tmp_path: Path) -> None:
    """Restored into a scratch folder, which is gone afterwards, and counted."""
    done = subprocess.run(
        [sys.executable, "-m", "telemetry", "restore", "--verify", "--from", backup.path.parent],
        cwd=ROOT,
        env={**os.environ, "TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"Verified {backup.manifest.id}: {backup.manifest.rows} rows of ")
    assert list(tmp_path.iterdir()) == []


def test_reset_removes_the_days_before_a_day_and_no_other(target: Door) -> None:
    """Whole days by their date, in every table; what is younger stays."""
    days = ["2026-01-01 12:00:00", "2026-01-02 00:00:00", "2026-01-03 23:59:59"]
    for day in days:
        target.command(
            "INSERT INTO otel_logs (Timestamp, Body) SELECT {day:DateTime64(9, 'UTC')}, 'x'", {"day": day}
        )
        target.command(
            "INSERT INTO otel_metrics_sum (TimeUnix) SELECT {day:DateTime64(9, 'UTC')}", {"day": day}
        )
    chosen = choose(target, date(2026, 1, 3))
    assert {(one.table, one.partitions, one.rows) for one in chosen} >= {
        ("otel_logs", ("20260101", "20260102"), 2),
        ("otel_metrics_sum", ("20260101", "20260102"), 2),
    }
    remove(target, chosen)
    assert counts(target, "otel_logs") == counts(target, "otel_metrics_sum") == {"20260103": 1}
    remove(target, choose(target, None))
    assert counts(target, "otel_logs") == {}


@pytest.mark.parametrize("source", ["system.one", "default.otel_logs", "other.otel_logs"])
def test_partitions_come_from_the_telemetry_database_only(target: Door, source: str) -> None:
    """What upkeep may do over the ClickHouse interface reaches no other database."""
    with pytest.raises(UpkeepError, match=r"code 497 \(ACCESS_DENIED\)"):
        target.command(f"ALTER TABLE otel_logs ATTACH PARTITION ALL FROM {source}")
