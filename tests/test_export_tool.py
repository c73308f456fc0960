"""`export_telemetry` and the folder of exports: bounds, handles, what is handed out and what is not; and progress."""

import asyncio
import hashlib
import json
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import anyio
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mcp import Client

from access.export.ask import FORMATS, export_telemetry
from access.export.shelf import Shelf
from access.reading import Desk, Reading
from access.refusal import Code, Refusal
from access.store import Rows
from clickhouse.engine import Engine
from demo.generate import Ledger, generate
from mcp_server import progress
from mcp_server.server import server
from tests.engine_store import EngineStore
from tests.events import Tables, tables
from tests.nothing_store import NothingStore
from tests.test_export import PLAN, UNTIL, call, logs


@pytest.fixture(scope="module")
def filled(engine: Engine) -> Iterator[Tables]:
    with tables(engine) as made:
        made.store("otel_logs", *(one.body for one in generate(PLAN, Ledger()) if one.signal == "logs"))
        yield made


@pytest.fixture
def reading(filled: Tables) -> Reading:
    return desk(EngineStore(filled.engine)).reading("tester")


def desk(store: Any) -> Desk:
    return Desk(store, limiter=None, clock=lambda: UNTIL)


@pytest.mark.parametrize("name", FORMATS)
def test_each_format_is_written_and_handed_out(reading: Reading, tmp_path: Path, name: str) -> None:
    """The answer has the handle, and of each file where it is, how large, and its checksum."""
    answer = export_telemetry(reading, Shelf(tmp_path), name)
    assert answer.result_id == "telemetry/0001"
    assert answer.time_range is not None
    assert (answer.time_range.end - answer.time_range.start).days == 7
    assert answer.columns == ("file", "rows", "bytes", "sha256", "fetch")
    assert sum(row[1] for row in answer.rows) > 0
    for file, _, size, digest, fetch in answer.rows:
        content = Path(fetch).read_bytes()
        assert Path(fetch) == tmp_path.resolve() / "telemetry" / "0001" / file
        assert (len(content), hashlib.sha256(content).hexdigest()) == (size, digest)
    over_http = Shelf(tmp_path, address="/exports").listed()
    assert [row[8] for row in over_http.rows] == [f"/exports/telemetry/0001/{row[0]}" for row in answer.rows]


def test_an_incremental_one_goes_on_where_the_last_of_its_name_ended(filled: Tables, tmp_path: Path) -> None:
    """The first has all, whatever the longest period is; the next only what was stored since."""
    reading = desk(EngineStore(filled.engine)).reading("tester")
    shelf = Shelf(tmp_path)
    rows = [
        sum(row[1] for row in export_telemetry(reading, shelf, "jsonl", "warehouse", incremental=True).rows)
        for _ in range(2)
    ]
    assert rows[0] == filled.dicts("SELECT count() AS count FROM telemetry_events")[0]["count"]
    assert rows[1] == 0
    filled.store("otel_logs", logs([call(0)]))
    third = export_telemetry(reading, shelf, "jsonl", "warehouse", incremental=True)
    assert [row[1] for row in third.rows] == [1]
    assert third.result_id == "warehouse/0003"
    assert [one.number for one in shelf.ready()] == [3, 2, 1]


@pytest.mark.parametrize(
    ("arguments", "code", "field"),
    [
        ({"output_format": "xml"}, Code.UNKNOWN_NAME, "format"),
        ({"level": "none"}, Code.UNKNOWN_NAME, "level"),
        ({"name": "../x"}, Code.INVALID_ARGUMENT, "name"),
        ({"name": ""}, Code.INVALID_ARGUMENT, "name"),
        ({"start": "90 days ago"}, Code.RANGE_TOO_LONG, "start_date"),
        ({"start": "1 day ago", "incremental": True}, Code.INVALID_ARGUMENT, "incremental"),
        ({"defuse_formulas": True}, Code.INVALID_ARGUMENT, "defuse_formulas"),
        ({"max_characters": 1}, Code.INVALID_ARGUMENT, "max_characters"),
    ],
)
def test_what_cannot_be_exported_is_refused_before_anything_is_read(
    tmp_path: Path, arguments: dict[str, Any], code: Code, field: str
) -> None:
    """With the field at fault; no folder is made."""
    with pytest.raises(Refusal) as refused:
        export_telemetry(desk(NothingStore()).reading("tester"), Shelf(tmp_path), **arguments)
    assert (refused.value.code, refused.value.field) == (code, field)
    assert list(tmp_path.iterdir()) == []


def test_all_exports_together_have_a_bound(reading: Reading, tmp_path: Path) -> None:
    """One that would pass it is removed; when it is reached none begins, and other folders count as well."""
    kept = export_telemetry(reading, Shelf(tmp_path), "csv", "kept")
    size = Shelf(tmp_path).used()
    assert size > sum(row[2] for row in kept.rows)
    with pytest.raises(Refusal) as refused:
        export_telemetry(reading, Shelf(tmp_path, at_most=size + 10_000), "jsonl", "large")
    assert refused.value.code is Code.RESULT_TOO_LARGE
    assert "TELEMETRY_EXPORT_BYTES" in refused.value.message
    assert [path.name for path in (tmp_path / "large").iterdir()] == [".lock"]
    with pytest.raises(Refusal) as refused:
        export_telemetry(desk(NothingStore()).reading("tester"), Shelf(tmp_path, at_most=size), "csv")
    assert refused.value.code is Code.RESULT_TOO_LARGE


parts = st.one_of(
    st.text(max_size=30),
    st.sampled_from(
        ("telemetry", "0001", "telemetry.json", "manifest.json", "..", ".", "", "plan.json", "\0")
    ),
    st.sampled_from(("../secret", "/etc/passwd", "0001/../../../secret", "linked", "%2e%2e", "..\\secret")),
)


@pytest.fixture(scope="module")
def kept(filled: Tables, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with one export, a secret beside it, and links to that."""
    root = tmp_path_factory.mktemp("kept")
    (root / "secret").write_text("hunter2")
    (root / "others" / "0001").mkdir(parents=True)
    (root / "others" / "0001" / "manifest.json").write_text("{}")
    shelf = Shelf(root / "exports")
    export_telemetry(desk(EngineStore(filled.engine)).reading("tester"), shelf)
    (shelf.folder / "linked").symlink_to(root / "others")
    (shelf.folder / "telemetry" / "0002").symlink_to(shelf.folder / "telemetry" / "0001")
    (shelf.folder / "telemetry" / "0001" / "secret").symlink_to(root / "secret")
    return shelf.folder


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(name=parts, number=parts, file=parts)
def test_no_handle_leads_out_of_the_folder(kept: Path, name: str, number: str, file: str) -> None:
    """Only files that a manifest here lists are handed out, whatever is asked for."""
    ready = {kept / "telemetry" / "0001" / one for one in ("telemetry.json", "manifest.json")}
    try:
        found = Shelf(kept).file(name, number, file)
    except Refusal:
        return
    assert found in ready


def test_what_is_listed_is_handed_out_and_links_are_not(kept: Path) -> None:
    """So that the property above is not about nothing."""
    shelf = Shelf(kept)
    for file in ("telemetry.json", "manifest.json"):
        assert shelf.file("telemetry", "0001", file).is_file()
    for wrong in (
        ("linked", "0001", "manifest.json"),
        ("telemetry", "0002", "manifest.json"),
        ("telemetry", "0001", "secret"),
    ):
        with pytest.raises(Refusal) as refused:
            shelf.file(*wrong)
        assert refused.value.code in {Code.UNKNOWN_NAME, Code.INVALID_ARGUMENT}


class Slow(EngineStore):
    """Waits with each statement until it may go on."""

    pause = 0.15

    def rows(
        self,
        sql: str,
        values: Mapping[str, str] | None = None,
        *,
        at_most: int | None = None,
        max_bytes: int | None = None,
        is_beside: bool = False,
    ) -> Rows:
        time.sleep(self.pause)
        return super().rows(sql, values, at_most=at_most, max_bytes=max_bytes, is_beside=is_beside)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have progress reported soon, so that tests need not last seconds."""
    monkeypatch.setattr(progress, "AFTER_SECONDS", 0.1)
    monkeypatch.setattr(progress, "EVERY_SECONDS", 0.05)


Told = list[tuple[float, float | None, str | None]]


def told(store: Any, shelf: Shelf, tool: str, arguments: dict[str, Any], mode: str) -> Told:
    """Call a tool and return the progress that its caller heard."""
    heard: Told = []

    async def listen(done: float, total: float | None, message: str | None) -> None:
        heard.append((done, total, message))

    async def ask() -> None:
        async with Client(server(desk(store), shelf), mode=mode) as client:
            result = await client.call_tool(tool, arguments, progress_callback=listen)
            assert not result.is_error, result.content

    asyncio.run(ask())
    return heard


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("mode", ["auto", "legacy"])
def test_an_export_reports_how_many_events_it_has(filled: Tables, tmp_path: Path, mode: str) -> None:
    """In events, and growing, as the protocol has it."""
    heard = told(Slow(filled.engine), Shelf(tmp_path), "export_telemetry", {"format": "jsonl"}, mode)
    of_events = [one for one in heard if one[1] is not None]
    assert len(of_events) >= 2
    assert len({total for _, total, _ in of_events}) == 1
    assert [done for done, *_ in heard] == sorted({done for done, *_ in heard})
    assert all(done <= total for done, total, _ in of_events if total)
    assert "events" in str(of_events[0][2])


@pytest.mark.usefixtures("impatient")
def test_other_calls_report_their_time_when_they_last(filled: Tables, tmp_path: Path) -> None:
    """Without a total."""
    asked = {"sql": "SELECT 1 AS one"}
    store = Slow(filled.engine)
    store.pause = 0.6
    heard = told(store, Shelf(tmp_path), "run_sql", asked, "auto")
    assert len(heard) >= 2
    assert {total for _, total, _ in heard} == {None}
    assert [done for done, *_ in heard] == sorted({done for done, *_ in heard})


def test_a_call_that_is_soon_over_reports_nothing(tmp_path: Path) -> None:
    """Not within two seconds."""
    assert told(NothingStore(), Shelf(tmp_path), "list_questions", {"name": "summary"}, "auto") == []


def test_a_call_that_is_cancelled_stops_its_export(filled: Tables, tmp_path: Path) -> None:
    """It stops at the next statement, leaves no lock behind, and the same call goes on where it was."""
    begun = threading.Event()

    class Held(Slow):
        def rows(self, *given: Any, **named: Any) -> Rows:
            if (tmp_path / "telemetry" / "0001").exists():
                begun.set()
            return super().rows(*given, **named)

    arguments = {"format": "jsonl", "start_date": "3 days ago"}

    async def ask() -> None:
        async with (
            Client(server(desk(Held(filled.engine)), Shelf(tmp_path))) as client,
            anyio.create_task_group() as group,
        ):
            group.start_soon(client.call_tool, "export_telemetry", arguments)
            await asyncio.to_thread(begun.wait, 30)
            group.cancel_scope.cancel()

    asyncio.run(ask())
    assert Shelf(tmp_path).ready() == []
    asked = export_telemetry(
        desk(EngineStore(filled.engine)).reading("tester"), Shelf(tmp_path), "jsonl", start="3 days ago"
    )
    assert json.loads((tmp_path / "telemetry" / "0001" / "manifest.json").read_text())["number"] == 1
    assert asked.result_id == "telemetry/0001"
