"""Backups of a running server: complete, linked, encrypted, rotated, checked, and put back row for row."""

import hashlib
import json
import os
import re
import shutil
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from clickhouse.client import Client
from clickhouse.client_errors import CredentialsRefused, StatementRefused, Unreachable
from clickhouse.endpoint import Endpoint
from operations import archive, partition_file
from operations.archive import Backup
from operations.backup import Made, back_up
from operations.errors import OperationError
from operations.reset import choose, remove
from operations.restore import Overlap, restore
from operations.tables import counts, tables
from telemetry.cli import main
from tests.server import AS_INSTALLED, ROOT, Server, captures, running

CREDENTIAL = "a-token-of-the-test"
KEPT = {"TELEMETRY_BATCH_AGE_MS": "0", "TELEMETRY_RETENTION_DAYS": "3650"}
pytestmark = pytest.mark.timeout(900)


def client_of(server: Server) -> Client:
    return Client(server.endpoint(writes=True), 600)


def send(server: Server, *names: str) -> None:
    for name in names:
        for body in captures(name):
            assert server.post(name, body).status_code == 200


def contents(client: Client) -> dict[str, list[str]]:
    """Return every row of every table, rolled up where it is, in an order of its own."""
    engines = dict(client.rows("SELECT name, engine FROM system.tables WHERE database = currentDatabase()"))
    found = {}
    for table in tables(client):
        final = "" if engines[table.name] == "MergeTree" else "FINAL"
        rows = client.rows(f"SELECT * FROM {table.name} {final}")
        found[table.name] = sorted(json.dumps([in_order(value) for value in row]) for row in rows)
    return found


def in_order(value: Any) -> Any:
    return sorted(value, key=json.dumps) if isinstance(value, list) else value


def make(
    client: Client, folder: Path, *, keep: int = 9, recipient: str | None = None, full: bool = False
) -> Made:
    return back_up(client, folder, keep=keep, recipient=recipient, full=full)


def settings_of(server: Server) -> dict[str, str]:
    """Return what a command needs to find the server."""
    port = server.listening["clickhouse_http"].rpartition(":")[2]
    return {"TELEMETRY_DATA_DIR": str(server.data), "TELEMETRY_CLICKHOUSE_HTTP_PORT": port}


def telemetry(server: Server, *arguments: str, **given: str) -> Result:
    """Run the command as its user would, beside the server."""
    ours = {name: None for name in os.environ if name.startswith(("TELEMETRY_", "CLICKHOUSE_"))}
    return CliRunner().invoke(main, arguments, env={**ours, **settings_of(server), **given})


def command(server: Server, *arguments: str, **given: str) -> subprocess.CompletedProcess[str]:
    """Run the command in a process of its own."""
    theirs = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("TELEMETRY_", "CLICKHOUSE_"))
    }
    return subprocess.run(
        [sys.executable, "-m", "telemetry", *arguments],
        cwd=ROOT,
        env={**theirs, **AS_INSTALLED, **settings_of(server), **given},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Start a server that holds the captures; tests leave its rows alone."""
    with running(tmp_path_factory.mktemp("filled") / "data", **KEPT) as server:
        send(server, "logs", "traces", "metrics")
        yield server


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Start a server to restore into; each test finds it empty."""
    # Its folder is there already, so it migrates an empty store: its tables share no UUID with those of a backup.
    with running(tmp_path_factory.mktemp("other"), **KEPT) as server:
        yield server


@pytest.fixture
def target(other: Server) -> Client:
    client = client_of(other)
    for table in tables(client):
        client.command(f"TRUNCATE TABLE {table.name}")
    return client


@pytest.fixture(scope="module")
def backup(filled: Server, tmp_path_factory: pytest.TempPathFactory) -> Backup:
    """Make one backup that tests only read."""
    return make(client_of(filled), tmp_path_factory.mktemp("backups")).backup


def copy_of(backup: Backup, folder: Path) -> Backup:
    shutil.copytree(backup.path, folder / backup.path.name)
    return archive.read(folder / backup.path.name)


def test_a_backup_put_back_is_the_same_row_for_row(filled: Server, backup: Backup, target: Client) -> None:
    """Every table, those that views feed included, and no row is fed twice."""
    before = contents(client_of(filled))
    assert sum(map(len, before.values())) > 90
    restored = restore(target, backup, None, Overlap.REFUSE)
    assert contents(target) == before
    saved = {
        name: sum(part.rows for part in parts.values()) for name, parts in backup.manifest.tables.items()
    }
    assert restored.rows == saved
    assert leftovers(target) == leftovers(client_of(filled)) == []


def leftovers(client: Client) -> list[str]:
    return [name for (name,) in client.rows("SELECT name FROM system.tables WHERE startsWith(name, '_')")]


def test_unchanged_days_are_links_and_changed_ones_are_read_out(
    other: Server, target: Client, tmp_path: Path
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


def test_a_merge_is_no_change_and_a_deletion_is_one(other: Server, target: Client, tmp_path: Path) -> None:
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
    other: Server, target: Client, tmp_path: Path
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


def test_an_encrypted_backup_opens_with_its_key_only(filled: Server, target: Client, tmp_path: Path) -> None:
    """Nothing of the rows is readable in its files, and another key is refused before anything is changed."""
    right, wrong = tmp_path / "right.key", tmp_path / "wrong.key"
    recipient = partition_file.make_key(right)
    partition_file.make_key(wrong)
    made = make(client_of(filled), tmp_path / "backups", recipient=recipient)
    names = made.backup.manifest.files()
    assert all(name.endswith(".age") for name in names)
    assert all((made.backup.path / name).read_bytes().startswith(b"age-encryption.org/v1") for name in names)
    with pytest.raises(OperationError, match=r"encrypted to age1.*--identity"):
        restore(target, made.backup, None, Overlap.REFUSE)
    with pytest.raises(OperationError, match=r"is not that of backup"):
        restore(target, made.backup, wrong, Overlap.REFUSE)
    restore(target, made.backup, right, Overlap.REFUSE)
    assert contents(target) == contents(client_of(filled))
    plain = make(client_of(filled), tmp_path / "backups")
    assert plain.base is None, "an encrypted file has no place in a backup that is not"


def test_a_key_is_for_its_owner_and_never_overwritten(tmp_path: Path) -> None:
    """Mode 0600, and the public key that belongs to it."""
    path = tmp_path / "key"
    public = partition_file.make_key(path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert str(partition_file.private_key(path).to_public()) == public
    with pytest.raises(OperationError, match="never overwritten"):
        partition_file.make_key(path)


def test_damage_is_found_before_anything_is_changed(backup: Backup, target: Client, tmp_path: Path) -> None:
    """A changed byte, a missing file, a manifest of another backup: all named, and the tables left alone."""
    broken = copy_of(backup, tmp_path)
    first, second, *_ = broken.manifest.files()
    content = bytearray((broken.path / first).read_bytes())
    content[len(content) // 2] ^= 1
    (broken.path / first).write_bytes(content)
    (broken.path / second).unlink()
    with pytest.raises(OperationError) as error:
        restore(target, broken, None, Overlap.REPLACE)
    assert f"{first} is not what was written; {second} is missing" in str(error.value)
    assert sum(map(len, contents(target).values())) == 0
    (broken.path / archive.MANIFEST).write_text("{}")
    with pytest.raises(OperationError, match=r"is damaged: its manifest.json"):
        archive.read(broken.path)


def test_rows_that_do_not_come_out_stop_a_restore(backup: Backup, target: Client, tmp_path: Path) -> None:
    """A file that is whole but not what the manifest says it holds leaves the tables as they were."""
    changed = copy_of(backup, tmp_path)
    manifest = json.loads((changed.path / archive.MANIFEST).read_text())
    partition = next(iter(manifest["tables"]["otel_logs"]))
    manifest["tables"]["otel_logs"][partition]["rows"] += 1
    (changed.path / archive.MANIFEST).write_text(json.dumps(manifest))
    sums = (changed.path / archive.SUMS).read_text()
    digest = hashlib.sha256((changed.path / archive.MANIFEST).read_bytes()).hexdigest()
    (changed.path / archive.SUMS).write_text(re.sub(r"\w+(?=  manifest)", digest, sums))
    with pytest.raises(OperationError, match=r"otel_logs has \d+ rows in backup .* came out"):
        restore(target, archive.read(changed.path), None, Overlap.REPLACE)
    assert (sum(map(len, contents(target).values())), leftovers(target)) == (0, [])


@pytest.mark.parametrize("name", ["../../etc", "a/b", "x'; DROP TABLE y", ""])
def test_a_manifest_cannot_name_paths_or_statements(backup: Backup, tmp_path: Path, name: str) -> None:
    """Tables and partitions must be names, wherever the manifest comes from."""
    changed = copy_of(backup, tmp_path)
    manifest = json.loads((changed.path / archive.MANIFEST).read_text())
    manifest["tables"]["otel_logs"][name] = {"rows": 1, "fingerprint": ""}
    (changed.path / archive.MANIFEST).write_text(json.dumps(manifest))
    with pytest.raises(OperationError, match="impossible"):
        archive.read(changed.path)


def test_rows_that_are_there_are_kept_unless_told_otherwise(
    backup: Backup, filled: Server, other: Server, target: Client
) -> None:
    """Refused without a word about it; replaced with --force; both kept with --add."""
    send(other, "logs")
    there = contents(target)
    with pytest.raises(OperationError, match=r"has \d+ rows already, most of them in otel_logs"):
        restore(target, backup, None, Overlap.REFUSE)
    assert contents(target) == there
    restore(target, backup, None, Overlap.ADD)
    saved = contents(client_of(filled))
    both = contents(target)
    for name in ("otel_logs", "otel_traces", "otel_metrics_sum"):  # others add up what is in both
        assert both[name] == sorted([*saved[name], *there[name]])
    restore(target, backup, None, Overlap.REPLACE)
    assert contents(target) == saved
    send(other, "logs")
    assert len(contents(target)["otel_logs"]) == len(saved["otel_logs"]) + len(there["otel_logs"])


def test_a_backup_of_a_newer_schema_is_refused(backup: Backup, target: Client, tmp_path: Path) -> None:
    """A migration that the database does not have may have made columns that it lacks."""
    newer = copy_of(backup, tmp_path)
    path = newer.path / archive.MANIFEST
    path.write_text(path.read_text().replace('"0001 otel_traces"', '"9001 future"'))
    sums = newer.path / archive.SUMS
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    sums.write_text(re.sub(r"\w+(?=  manifest)", digest, sums.read_text()))
    with pytest.raises(OperationError, match=r"migration 9001 future.*install that version or a newer one"):
        restore(target, archive.read(newer.path), None, Overlap.REFUSE)


def test_the_oldest_go_and_half_made_ones_are_cleared_away(filled: Server, tmp_path: Path) -> None:
    """Only complete backups count, and as many as asked for stay."""
    client = client_of(filled)
    (tmp_path / "20200101T000000Z.partial").mkdir(parents=True)
    made = [make(client, tmp_path, keep=2) for _ in range(3)]
    assert [path.name for path in archive.backups(tmp_path)] == [one.backup.manifest.id for one in made[1:]]
    assert made[2].removed == [made[0].backup.manifest.id]
    assert sorted(path.name for path in tmp_path.iterdir() if not path.is_dir()) == ["lock"]
    assert len(list(tmp_path.iterdir())) == 3


def test_a_failed_backup_leaves_nothing_behind(filled: Server, tmp_path: Path) -> None:
    """Neither a folder that looks like a backup nor twins of tables."""
    away = Client(Endpoint("http://127.0.0.1:1", "telemetry_user", "x", "telemetry"))
    with pytest.raises(Unreachable, match="Nothing answers at"):
        make(away, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["lock"]
    wrong = Client(replace(filled.endpoint(writes=True), password="wrong"))
    with pytest.raises(CredentialsRefused, match="does not know telemetry_user with this password"):
        make(wrong, tmp_path)
    with pytest.raises(StatementRefused, match="refused a statement: code 164"):
        make(Client(filled.endpoint()), tmp_path)


def test_what_a_killed_backup_left_in_the_database_is_cleared_away(target: Client, tmp_path: Path) -> None:
    """Also of tables that the next backup need not cut."""
    target.command("CREATE TABLE _backup_otel_metrics_gauge AS otel_metrics_gauge")
    target.command("CREATE TABLE _restore_otel_metrics_gauge AS otel_metrics_gauge")
    made = make(target, tmp_path)
    restore(target, made.backup, None, Overlap.REFUSE)
    assert leftovers(target) == []


def test_two_backups_into_one_folder_do_not_meet(filled: Server, tmp_path: Path) -> None:
    """The second says that one is under way."""
    with archive.held(tmp_path), pytest.raises(OperationError, match="under way"):
        make(client_of(filled), tmp_path)


def test_the_commands_say_what_they_do(filled: Server, other: Server, target: Client, tmp_path: Path) -> None:
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
    assert contents(target) == contents(client_of(filled))
    gone = telemetry(other, "reset", "--yes")
    assert (gone.exit_code, "Removed " in gone.stdout) == (0, True), gone.output
    assert sum(map(len, contents(target).values())) == 0


def test_a_backup_is_verified_in_an_engine_of_its_own(filled: Server, backup: Backup, tmp_path: Path) -> None:
    """Restored into a scratch folder, which is gone afterwards, and counted."""
    done = command(filled, "restore", "--verify", "--from", str(backup.path.parent), TMPDIR=str(tmp_path))
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"Verified {backup.manifest.id}: {backup.manifest.rows} rows of ")
    assert list(tmp_path.iterdir()) == []


def test_reset_removes_the_days_before_a_day_and_no_other(target: Client) -> None:
    """Whole days by their date, in every table; younger rows stay."""
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


@pytest.mark.parametrize("source", ["system.one", "other.otel_logs"])
def test_partitions_come_from_the_telemetry_database_only(target: Client, source: str) -> None:
    """The rights of operations over the ClickHouse interface reach no other database."""
    with pytest.raises(StatementRefused, match=r"code 497 \(ACCESS_DENIED\)"):
        target.command(f"ALTER TABLE otel_logs ATTACH PARTITION ALL FROM {source}")


def test_partitions_of_default_are_those_of_the_telemetry_database(target: Client) -> None:
    """It is another name of it, here too: no rows come from the database that shows files."""
    remove(target, choose(target, None))
    target.command("INSERT INTO otel_logs (Timestamp, Body) SELECT '2026-01-01 12:00:00', 'x'")
    target.command("ALTER TABLE otel_logs ATTACH PARTITION ALL FROM default.otel_logs")
    assert counts(target, "otel_logs") == {"20260101": 2}
    remove(target, choose(target, None))


def connection(server: Server, *arguments: str, **given: str) -> Result:
    return telemetry(server, "connections", *arguments, **given)


@pytest.fixture
def connected(filled: Server) -> Iterator[Server]:
    """Add a connection with a credential to the server."""
    added = connection(
        filled, "add", "prod", "prometheus", "--url", "http://127.0.0.1:9090", "--auth", "bearer",
        "--secret-env", "auth.token=PROM_TOKEN", PROM_TOKEN=CREDENTIAL,
    )  # fmt: skip
    assert added.exit_code == 0, added.output
    yield filled
    assert connection(filled, "remove", "prod").exit_code == 0


@pytest.mark.usefixtures("target")
def test_connections_come_back_with_their_credentials_encrypted(
    connected: Server, other: Server, tmp_path: Path
) -> None:
    """Saved while the server runs, never in the clear, and put back where there are none; the key is not in it."""
    state = other.data / "state.db"
    state.unlink(missing_ok=True)
    folder = tmp_path / "backups"
    # A process of its own: an engine checks the backup, and this process may have one, which is the most it can.
    made = command(connected, "backup", "--to", str(folder), "--verify")
    assert (made.returncode, made.stderr) == (0, "")
    assert "the key to the credentials, secret.key, is not" in made.stdout
    saved = archive.find(folder, "latest")
    plain = b"".join(partition_file.read(saved.path / saved.manifest.state, None))
    assert plain.startswith(b"SQLite format 3")
    assert CREDENTIAL.encode() not in plain
    key = (connected.data / "secret.key").read_text(encoding="ascii").split()[0]
    assert not any(key.encode() in path.read_bytes() for path in saved.path.rglob("*") if path.is_file())

    put = telemetry(other, "restore", "--from", str(folder))
    assert (put.exit_code, "Restored connections and questions." in put.stdout) == (0, True), put.output
    assert state.stat().st_mode & 0o777 == 0o600
    listed = connection(other, "list")
    assert "prod" in listed.stdout
    # Without the key the credential cannot be read, and with it it can.
    refused = connection(other, "test", "prod")
    assert "encrypted with a key that is not here" in refused.output
    (other.data / "secret.key").write_text(f"{key}\n", encoding="ascii")
    tested = connection(other, "test", "prod")
    assert "encrypted with a key" not in tested.output

    assert connection(other, "add", "mine", "prometheus", "--url", "http://127.0.0.1:9091").exit_code == 0
    kept = telemetry(other, "restore", "--from", str(folder), "--add")
    assert (kept.exit_code, "Kept the connections that are here" in kept.stdout) == (0, True), kept.output
    assert "mine" in connection(other, "list").stdout
    forced = telemetry(other, "restore", "--from", str(folder), "--force")
    assert (forced.exit_code, "Restored connections" in forced.stdout) == (0, True), forced.output
    assert "mine" not in connection(other, "list").stdout
    state.unlink()


def test_a_state_of_a_newer_version_stops_a_restore(connected: Server, tmp_path: Path) -> None:
    """Before any row is changed; so does one that is damaged."""
    folder = tmp_path / "backups"
    assert telemetry(connected, "backup", "--to", str(folder)).exit_code == 0
    saved = archive.find(folder, "latest")
    path = saved.path / saved.manifest.state
    copy = tmp_path / "copy.db"
    copy.write_bytes(b"".join(partition_file.read(path, None)))
    with closing(sqlite3.connect(copy)) as database:
        database.execute("UPDATE alembic_version SET version_num = 'not known'")
        database.commit()
    for content, said in ((copy.read_bytes(), "newer version"), (b"not a database" * 100, "cannot be used")):
        path.unlink()
        sums = {**saved.sums, saved.manifest.state: partition_file.write(path, [content], None).sha256}
        (saved.path / archive.SUMS).write_text(
            "".join(f"{sha256}  {name}\n" for name, sha256 in sums.items())
        )
        put = telemetry(connected, "restore", "--from", str(folder), "--force")
        assert (put.exit_code, said in put.stderr) == (1, True), put.output
    assert sum(map(len, contents(client_of(connected)).values())) > 90
