"""The state of connections: on SQLite and PostgreSQL, its migrations, its encryption, and who sees what."""

import os
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from access.refusal import Code, Refusal
from config.settings import Settings
from connectors.backend import HttpConfig
from connectors.configuration import Parts, checked, parts
from connectors.contract import Health
from connectors.entry import Checked, Draft
from connectors.remembered import Past
from connectors.state.errors import StateError
from connectors.state.history import History
from connectors.state.keys import Keys
from connectors.state.opening import State, open_state
from connectors.state.tables import CONNECTIONS, METADATA
from tests.postgres import Postgres, postgres
from tests.server import ROOT

KEYS = ["old-" + "k" * 32, "new-" + "n" * 32]
Open = Callable[..., State]


@pytest.fixture(scope="module")
def server() -> Iterator[Postgres]:
    """Run one PostgreSQL for the module."""
    with postgres() as found:
        yield found


@pytest.fixture(params=["sqlite", "postgresql"])
def opened(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Open]:
    """Open a state, again and again on the same database."""
    url = request.getfixturevalue("server").database() if request.param == "postgresql" else ""
    states: list[State] = []

    def open_again(key: str = KEYS[0]) -> State:
        given = {"TELEMETRY_DATA_DIR": tmp_path, "TELEMETRY_STATE_URL": url, "TELEMETRY_SECRET_KEY": key}
        states.append(open_state(Settings(_env_file=None, **given)))  # type: ignore[call-arg,arg-type]
        return states[-1]

    yield open_again
    for state in states:
        state.database.close()


def written(token: str = "hunter2") -> Parts:  # noqa: S107  no secret
    """Return a configuration with a token."""
    raw = {"url": "http://x:9090", "auth": {"type": "bearer", "token": token}, "headers": {"X-A": "hunter3"}}
    return parts(checked(HttpConfig, raw))


def draft(name: str = "prod", **more: object) -> Draft:
    return Draft(name, "prometheus", {}, **more)  # type: ignore[arg-type]


def rows(state: State, query: str) -> list[tuple[object, ...]]:
    with state.database.transaction() as connection:
        return [tuple(row) for row in connection.execute(sa.text(query))]


def test_an_entry_comes_back_as_it_was_written(opened: Open) -> None:
    """With its times in UTC; its credentials apart from it, and in another process with the same key too."""
    begin = datetime.now(UTC) - timedelta(seconds=1)
    entry = opened().connections.add("owner", draft(description="d", tags=("a", "b")), written())
    assert entry.config == {
        "url": "http://x:9090", "auth": {"type": "bearer", "token": "set"}, "headers": {"X-A": "set"},
    }  # fmt: skip
    assert entry.created_at is not None
    assert begin < entry.created_at <= datetime.now(UTC)
    assert (entry.tags, entry.checked.health) == (("a", "b"), Health.UNKNOWN)
    other = opened()
    assert other.connections.listed("owner") == [entry]
    assert {secret.path: secret.value for secret in other.connections.secrets(entry)} == {
        ("auth", "token"): "hunter2", ("headers", "X-A"): "hunter3",
    }  # fmt: skip


def test_users_have_connections_of_their_own(opened: Open) -> None:
    """The same name for each; neither changes or removes the other's."""
    state = opened()
    mine = state.connections.add("alice", draft(), written())
    theirs = state.connections.add("bob", draft(), written())
    assert state.connections.listed("alice") == [mine]
    assert state.connections.listed() == [mine, theirs]
    assert state.connections.listed("carol") == []
    with pytest.raises(Refusal) as caught:
        state.connections.add("alice", draft(), written())
    assert (caught.value.code, caught.value.field) == (Code.CONFLICT, "name")
    assert state.connections.remove(mine)
    assert not state.connections.remove(mine)
    assert state.connections.replace(mine, draft(), written()) is None
    assert state.connections.listed() == [theirs]


def test_one_default_of_a_kind_and_user(opened: Open) -> None:
    """The new one takes the place of the old one; the database refuses a second one however it is written."""
    state = opened()
    first = state.connections.add("alice", draft("a", is_default=True), written())
    second = state.connections.add("alice", draft("b", is_default=True), written())
    other = state.connections.add("bob", draft("a", is_default=True), written())
    assert {one.id: one.is_default for one in state.connections.listed()} == {
        first.id: False, second.id: True, other.id: True,
    }  # fmt: skip
    state.connections.replace(first, draft("a", is_default=True), written())
    assert [one.name for one in state.connections.listed("alice") if one.is_default] == ["a"]
    with pytest.raises(sa.exc.IntegrityError), state.database.transaction() as connection:
        connection.execute(sa.update(CONNECTIONS).values(is_default=True))


def test_a_health_check_is_kept_unless_the_connection_was_changed(opened: Open) -> None:
    """What was found of the connection before says nothing of the one now."""
    state = opened()
    entry = state.connections.add("owner", draft(), written())
    found = Checked(Health.UNHEALTHY, "No answer.", datetime.now(UTC))
    state.connections.record(entry, found)
    assert state.connections.listed("owner")[0].checked == found
    changed = state.connections.replace(entry, draft(description="x"), written())
    assert changed is not None
    state.connections.record(entry, found)
    assert state.connections.listed("owner")[0].checked == Checked()


def test_an_altered_or_moved_ciphertext_is_refused(opened: Open) -> None:
    """Each byte counts, and the connection that it was written for; no part of it is in the error."""
    state = opened()
    first = state.connections.add("owner", draft("a"), written())
    second = state.connections.add("owner", draft("b"), written())
    with state.database.transaction() as connection:
        column = CONNECTIONS.c.secrets
        kept = connection.scalar(sa.select(column).where(CONNECTIONS.c.id == first.id))
        assert kept is not None

        def put(value: bytes, entry_id: str) -> None:
            where = CONNECTIONS.c.id == entry_id
            connection.execute(sa.update(CONNECTIONS).where(where).values(secrets=value))

        put(kept, second.id)
    with pytest.raises(StateError, match="were altered"):
        state.connections.secrets(second)
    for place in (0, 1, 13, len(kept) - 1):
        broken = bytearray(kept)
        broken[place] ^= 1
        with state.database.transaction() as connection:
            put(bytes(broken), first.id)
        with pytest.raises(StateError, match="were altered") as caught:
            state.connections.secrets(first)
        assert "hunter" not in str(caught.value)
    for short in (b"", b"\x01", kept[:14]):
        with state.database.transaction() as connection:
            put(short, first.id)
        with pytest.raises(StateError):
            state.connections.secrets(first)


def test_keys_are_rotated_while_the_old_one_still_decrypts(opened: Open) -> None:
    """Old keys decrypt until all is encrypted again; after that the old one alone finds nothing that it fits."""
    entry = opened(KEYS[0]).connections.add("owner", draft(), written())
    both = opened(f"{KEYS[1]}, {KEYS[0]}")
    assert both.connections.secrets(entry)[0].value == "hunter2"
    assert (both.rotate(), both.rotate()) == (1, 0)
    assert opened(KEYS[1]).connections.secrets(entry)[0].value == "hunter2"
    with pytest.raises(StateError, match="a key that is not here"):
        opened(KEYS[0]).connections.secrets(entry)


def test_the_tables_are_those_of_the_migrations(opened: Open) -> None:
    """The migrations make what the code reads and writes, no more and no less."""
    state = opened()
    with state.database.transaction() as connection:
        context = MigrationContext.configure(connection)
        assert compare_metadata(context, METADATA) == []


def test_a_newer_state_is_refused(opened: Open) -> None:
    """With what to do, and unchanged."""
    state = opened()
    with state.database.transaction() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(StateError, match="newer version"):
        opened()
    assert rows(state, "SELECT version_num FROM alembic_version") == [("9999",)]


def test_many_write_at_once(opened: Open) -> None:
    """Threads with a database of their own each, all in time; defaults stay single."""
    states = [opened() for _ in range(4)]

    def work(number: int) -> None:
        state = states[number % 4]
        for place in range(5):
            state.connections.add("owner", draft(f"{number}-{place}", is_default=True), written())
            state.history.add(past(f"{number:02}-{place}"))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))
    listed = states[0].connections.listed("owner")
    assert len(listed) == 40
    assert [one.is_default for one in listed].count(True) == 1
    assert len(states[0].history.listed("owner", limit=100)) == 40


def past(name: str, user: str = "owner", session: str = "s1", seconds: float = 0) -> Past:
    """Return a question of the history."""
    at = datetime(2026, 11, 28, 12, tzinfo=UTC) + timedelta(seconds=seconds)
    return Past(
        name, user, "c", "prod", "metrics", "up", session, "query_metrics", {"type": "x"}, 1, [{"a": [1, None]}],
        execution_time_ms=3, queried_at=at,
    )  # fmt: skip


def test_the_history_is_listed_page_by_page(opened: Open) -> None:
    """Newest first, by session, to its user alone; equal times come each once."""
    state = opened()
    for number in range(7):
        state.history.add(past(f"{number}", seconds=number // 2, session=f"s{number % 2}"))
    state.history.add(past("x", "bob"))
    whole = [one.id for one in state.history.listed("owner", limit=100)]
    assert whole == ["6", "5", "4", "3", "2", "1", "0"]
    found: list[str] = []
    after = None
    while True:
        page = state.history.listed("owner", after=after, limit=2)
        found += [one.id for one in page[:2]]
        if len(page) <= 2:
            break
        after = (page[1].queried_at, page[1].id)
    assert found == whole
    assert [one.id for one in state.history.listed("owner", "s1", limit=100)] == ["5", "3", "1"]
    assert state.history.found("owner", "3") == past("3", seconds=1, session="s1")
    assert state.history.found("bob", "3") is None


def test_the_history_is_bounded(opened: Open) -> None:
    """The oldest go first."""
    history = History(opened().database, most=5, every=2)
    for number in range(21):
        history.add(past(f"{number:02}", seconds=number))
    assert [one.id for one in history.listed("owner", limit=100)] == ["20", "19", "18", "17", "16"]


def test_no_credential_is_in_a_file_or_a_text(tmp_path: Path) -> None:
    """Not in the database, its log, or what is printed of any object; a removed one leaves nothing behind."""
    settings = Settings(_env_file=None, TELEMETRY_DATA_DIR=tmp_path)  # type: ignore[call-arg]
    state = open_state(settings)
    secret = "hunter2-" + "z" * 40
    entry = state.connections.add("owner", draft(), written(secret))
    state.connections.replace(entry, draft("other"), written(secret + "2"))
    assert state.connections.secrets(entry)[0].value == secret + "2"
    shown = [entry, written(secret), state, state.keys, state.connections.secrets(entry)]
    shown.append(Draft("a", "b", {"token": secret}))
    assert not any("hunter" in repr(one) for one in shown)
    state.database.close()
    for path in tmp_path.iterdir():
        assert b"hunter" not in path.read_bytes(), path.name
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path.name
    assert {path.name for path in tmp_path.iterdir()} >= {"state.db", "secret.key"}


def test_files_are_private_under_any_umask(tmp_path: Path) -> None:
    """The database's log too, which is written beside it."""
    before = os.umask(0)
    try:
        state = open_state(Settings(_env_file=None, TELEMETRY_DATA_DIR=tmp_path))  # type: ignore[call-arg]
        state.connections.add("owner", draft(), written())
        names = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
        state.database.close()
    finally:
        os.umask(before)
    assert names == dict.fromkeys(("state.db", "state.db-wal", "state.db-shm", "secret.key"), 0o600)


def test_a_generated_key_is_replaced_by_a_rotation(tmp_path: Path) -> None:
    """The old one is gone from the file; a process that was open meanwhile reads and writes on."""
    settings = Settings(_env_file=None, TELEMETRY_DATA_DIR=tmp_path)  # type: ignore[call-arg]
    state, other = open_state(settings), open_state(settings)
    entry = state.connections.add("owner", draft(), written())
    before = (tmp_path / "secret.key").read_text()
    assert other.rotate() == 1
    after = (tmp_path / "secret.key").read_text()
    assert (before.strip() in after, len(after.split())) == (False, 1)
    assert state.connections.secrets(entry)[0].value == "hunter2"
    more = state.connections.add("owner", draft("b"), written())
    assert other.connections.secrets(more)[0].value == "hunter2"
    (tmp_path / "secret.key").unlink()
    with pytest.raises(StateError, match="a key that is not here"):
        state.connections.secrets(entry)
    state.database.close()
    other.database.close()


def test_a_rotation_that_was_broken_off_is_finished_by_the_next(tmp_path: Path) -> None:
    """Both keys are in the file until all is encrypted with the first."""
    settings = Settings(_env_file=None, TELEMETRY_DATA_DIR=tmp_path)  # type: ignore[call-arg]
    state = open_state(settings)
    entry = state.connections.add("owner", draft(), written())
    state.keys.add_generated()
    assert state.connections.secrets(entry)[0].value == "hunter2"
    assert state.rotate() == 1
    assert state.connections.secrets(entry)[0].value == "hunter2"
    assert len((tmp_path / "secret.key").read_text().split()) == 1
    state.database.close()


def test_a_shared_database_needs_a_key_that_all_have(server: Postgres, tmp_path: Path) -> None:
    """One that a process generates for itself would be of no use to the others."""
    given = {"TELEMETRY_DATA_DIR": tmp_path, "TELEMETRY_STATE_URL": server.database()}
    state = open_state(Settings(_env_file=None, **given))  # type: ignore[call-arg,arg-type]
    with pytest.raises(StateError, match="Set TELEMETRY_SECRET_KEY"):
        state.connections.add("owner", draft(), written())
    assert state.connections.listed() == []
    state.database.close()


def test_processes_that_start_at_once_migrate_once(tmp_path: Path) -> None:
    """As the web process and several clients over standard input and output do."""
    script = (
        "import sys; from pathlib import Path; from connectors.state.database import opened;"
        "opened('', Path(sys.argv[1])).close()"
    )
    started = [
        subprocess.Popen([sys.executable, "-c", script, tmp_path], cwd=ROOT, stderr=subprocess.PIPE)
        for _ in range(3)
    ]
    assert [(one.communicate(timeout=180)[1], one.returncode) for one in started] == [(b"", 0)] * 3
    with sqlite3.connect(tmp_path / "state.db") as connection:
        assert connection.execute("SELECT version_num FROM alembic_version").fetchall() == [("0001",)]
    connection.close()


def test_a_folder_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    """A client that starts `telemetry mcp` in any folder leaves nothing in it."""
    given = {"TELEMETRY_DATA_DIR": tmp_path / "data"}
    with pytest.raises(StateError, match="There is no data directory here"):
        open_state(Settings(_env_file=None, **given))  # type: ignore[call-arg,arg-type]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://u:hunter2@127.0.0.1:1/x",
        "postgresql://u:hunter2@[",
        "postgresql://u:hunter2@127.0.0.1:x/y",
    ],
)
def test_a_database_that_is_away_is_told_without_its_password(url: str, tmp_path: Path) -> None:
    """And without its address."""
    given = {"TELEMETRY_DATA_DIR": tmp_path, "TELEMETRY_STATE_URL": url}
    with pytest.raises(StateError, match="TELEMETRY_STATE_URL") as caught:
        open_state(Settings(_env_file=None, **given))  # type: ignore[call-arg,arg-type]
    assert "hunter" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_a_damaged_file_is_told(tmp_path: Path) -> None:
    """As text, with where to look."""
    (tmp_path / "state.db").write_bytes(b"no database" * 1000)
    with pytest.raises(StateError, match="DatabaseError"):
        open_state(Settings(_env_file=None, TELEMETRY_DATA_DIR=tmp_path))  # type: ignore[call-arg]


def test_keys_are_bound_to_what_they_encrypt() -> None:
    """The same text is another ciphertext each time, and the id of a key says nothing of it."""
    keys = Keys(KEYS, None)
    (first_id, first), (_, second) = keys.encrypt(b"x", "a"), keys.encrypt(b"x", "a")
    assert first != second
    assert keys.decrypt(first_id, first, "a") == b"x"
    with pytest.raises(StateError):
        keys.decrypt(first_id, first, "b")
    assert first_id not in KEYS[0]
