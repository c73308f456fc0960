"""`export`: files of what is stored, with a manifest, whole or what is new since the last export of that name.

An export is a numbered folder below its name. `manifest.json` is written last: a folder that has one is whole, one
without is continued by the same request. Each file is written once; a kill costs the file that was being written.
"""

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import orjson

from access.answer import Answer, Range, moment
from access.export.document import Facts, time_range, write_document
from access.export.files import File, Target, alone, is_whole, make, sync, write
from access.export.request import ExportRequest, Format
from access.export.rows import events_file, parts, write_benchmarks, write_events
from access.export.watermark import Piece, Plan, Watermark, plan
from access.quality import quality
from access.reading import bounds, statement
from access.refusal import Code, Refusal
from access.store import Store
from access.telemetry_sources import filtered

MANIFEST: Final = "manifest.json"
VERSION: Final = 1
_STATE: Final = "plan.json"
Progress = Callable[[int, int], None]
"""Called with how many events are written, and how many there are, about."""


@dataclass(frozen=True, slots=True)
class Export:
    """An export that is whole."""

    folder: Path
    number: int
    """Its place among those of its name, from 1."""
    files: tuple[File, ...]
    manifest: Mapping[str, Any]
    is_resumed: bool = False
    """It was begun by an earlier call."""

    @property
    def rows(self) -> int:
        """The rows of its files."""
        return sum(file.rows for file in self.files)

    @property
    def bytes(self) -> int:
        """The bytes of its files."""
        return sum(file.bytes for file in self.files)

    def as_answer(self) -> Answer:
        """Return what a reader must know to fetch and to judge it."""
        figures = self.manifest["figures"]
        return Answer(
            columns=("file", "rows", "bytes", "sha256"),
            rows=[(file.name, file.rows, file.bytes, file.sha256) for file in self.files],
            finding=f"{figures['records']:,} events were exported as {self.manifest['format']}, {self.bytes:,} bytes.",
            completeness=self.manifest["dataQuality"]["completeness"],
            notes=(f"The files are in {self.folder}, with {MANIFEST}.",),
        )


def unseen(done: int, total: int) -> None:
    """Show no progress."""
    del done, total


def export(store: Store, request: ExportRequest, folder: Path, progress: Progress = unseen) -> Export:
    """Write an export below a folder, or continue the one that was interrupted. Raises Refusal."""
    request.check()
    try:
        home = folder / request.name
        make(home)
        with alone(home):
            return _export(store, request, home, progress)
    except OSError as error:
        raise Refusal(
            Code.INVALID_ARGUMENT,
            f"{folder} cannot be written to ({error.strerror}): name another folder, or make room.",
            "folder",
        ) from error


def abandon(folder: Path, name: str) -> None:
    """Remove the export of a name that was interrupted. Raises Refusal while one is being written."""
    home = folder / name
    with alone(home):
        number = max(_numbers(home), default=0)
        if number and not (_place(home, number) / MANIFEST).is_file():
            shutil.rmtree(_place(home, number))


def read(folder: Path) -> Export:
    """Return an export that is whole, by its numbered folder. Raises Refusal."""
    try:
        manifest = orjson.loads((folder / MANIFEST).read_bytes())
        files = tuple(File(**file) for file in manifest["files"])
        return Export(folder, int(manifest["number"]), files, manifest)
    except (OSError, ValueError, TypeError, KeyError):
        raise Refusal(
            Code.INVALID_ARGUMENT,
            f"{folder} has no {MANIFEST} that can be read: it is no whole export.",
            "folder",
        ) from None


def damaged(found: Export) -> list[str]:
    """Return the files of an export that are missing, or are not what its manifest says."""
    return [file.name for file in found.files if not is_whole(found.folder, file)]


def latest(folder: Path, name: str) -> Export | None:
    """Return the last export of a name that is whole."""
    whole = [
        number for number in _numbers(folder / name) if (_place(folder / name, number) / MANIFEST).is_file()
    ]
    return read(_place(folder / name, whole[-1])) if whole else None


@dataclass(frozen=True, slots=True)
class _Begun:
    """An export that is being written. `request` has the period in which it began."""

    folder: Path
    number: int
    request: ExportRequest
    created: datetime
    plan: Plan
    done: Mapping[str, File]
    is_resumed: bool = False


def _export(store: Store, request: ExportRequest, home: Path, progress: Progress) -> Export:
    before = latest(home.parent, request.name)
    begun = _begun(home, request) or _begin(store, request, home, before)
    facts = _facts(store, begun, before)
    total = begun.plan.records
    written = 0

    def advance(records: int) -> None:
        nonlocal written
        written += records
        progress(min(written, total), total)

    progress(0, total)
    files: dict[str, File] = {}
    for name, records, fill in _files(store, begun, facts, advance):
        if (file := begun.done.get(name)) is not None and is_whole(begun.folder, file):
            advance(records)
        else:
            with Target(begun.folder / name) as target:
                fill(target)
            file = target.file()
        files[name] = file
        _keep(replace(begun, done=files | {one: begun.done[one] for one in begun.done if one not in files}))
    progress(total, total)
    manifest = _manifest(begun, facts, files, before)
    write(begun.folder / MANIFEST, manifest)
    (begun.folder / _STATE).unlink(missing_ok=True)
    sync(begun.folder)
    return Export(begun.folder, begun.number, tuple(files.values()), manifest, begun.is_resumed)


_Fill = Callable[[Target], None]


def _files(
    store: Store, begun: _Begun, facts: Facts, advance: Callable[[int], None]
) -> list[tuple[str, int, _Fill]]:
    """Return the files of an export: the name, the events and the writer of each."""
    request, chosen = begun.request, begun.plan
    if request.format is Format.json:

        def document(target: Target) -> None:
            write_document(store, target, request, chosen, facts, advance)

        return [("telemetry.json", chosen.records, document)]
    if request.format is Format.csv:

        def table(target: Target) -> None:
            write_benchmarks(store, target, request, chosen, advance)

        return [("benchmarks.csv", chosen.records, table)]
    found: list[tuple[str, int, _Fill]] = []
    for piece in chosen.pieces:
        for part in parts([piece]):

            def events(target: Target, part: Any = part) -> None:
                write_events(store, target, request, chosen, part, advance)

            found.append((events_file(part, request.format), part.records, events))
    return found


def _facts(store: Store, begun: _Begun, before: Export | None) -> Facts:
    request, chosen = begun.request, begun.plan
    sql = filtered(statement("export_figures"), chosen.conditions())
    values = bounds(request.period) | chosen.values()
    figures = store.rows(sql, values).dicts()[0]
    found = quality(
        store,
        request.period,
        request.rules,
        conditions=chosen.conditions(),
        values=chosen.values(),
        now=begun.created,
    )
    deltas = _deltas(figures, before.manifest["figures"]) if before is not None else None
    return Facts(begun.created, figures, found, deltas)


def _deltas(figures: Mapping[str, Any], before: Mapping[str, Any]) -> dict[str, Any]:
    """Return each figure that is a number, what it was in the export before, and by how much it changed."""
    return {
        name: {
            "previous": before.get(name),
            "current": value,
            "change": None if value is None or before.get(name) is None else value - before[name],
        }
        for name, value in figures.items()
        if not isinstance(value, datetime) and name not in {"firstRecord", "lastRecord"}
    }


def _manifest(
    begun: _Begun, facts: Facts, files: Mapping[str, File], before: Export | None
) -> dict[str, Any]:
    request, chosen = begun.request, begun.plan
    is_base = chosen.watermark is not None and request.time_range is None
    return {
        "version": VERSION,
        "name": request.name,
        "number": begun.number,
        "format": request.format.value,
        "level": request.level.value,
        "created": moment(begun.created),
        "timeRange": time_range(request, facts.figures),
        "incremental": request.incremental,
        "previous": before.number if before else None,
        "rows": sum(file.rows for file in files.values()),
        "bytes": sum(file.bytes for file in files.values()),
        "files": [file.as_dict() for file in files.values()],
        "replaced": list(chosen.replaced),
        "figures": {
            name: moment(value) if isinstance(value, datetime) else value
            for name, value in facts.figures.items()
        },
        "deltas": facts.deltas,
        "dataQuality": facts.quality.as_document(),
        "watermark": chosen.watermark.as_dict() if is_base and chosen.watermark else None,
    }


def _begin(store: Store, request: ExportRequest, home: Path, before: Export | None) -> _Begun:
    """Return an export with the next number, whose plan is on the disk."""
    base = None
    if request.incremental and before is not None:
        if before.manifest["format"] != request.format.value:
            raise Refusal(
                Code.INVALID_ARGUMENT,
                f"The exports of this name are {before.manifest['format']}: an incremental one goes on in that format."
                " Choose another name for another format.",
                "format",
                accepted=(before.manifest["format"],),
            )
        base = _base(home, before)
    chosen = plan(store, request.period, base, incremental=request.incremental)
    number = max(_numbers(home), default=0) + 1
    begun = _Begun(_place(home, number), number, request, datetime.now(UTC), chosen, {})
    make(begun.folder)
    _keep(begun)
    return begun


def _base(home: Path, before: Export) -> Watermark | None:
    """Return the watermark of the last export of the name that has one: one of a period has none."""
    for number in range(before.number, 0, -1):
        if (_place(home, number) / MANIFEST).is_file():
            found = read(_place(home, number)).manifest["watermark"]
            if found is not None:
                return Watermark.read(found)
    return None


def _begun(home: Path, request: ExportRequest) -> _Begun | None:
    """Return the export that was interrupted, None when there is none; one that was asked otherwise is removed."""
    number = max(_numbers(home), default=0)
    folder = _place(home, number)
    if not number or (folder / MANIFEST).is_file():
        return None
    try:
        state = orjson.loads((folder / _STATE).read_bytes())
        if state["request"] == _asked(request):
            found = state["plan"]
            watermark = found["watermark"]
            chosen = Plan(
                tuple(Piece(**piece) for piece in found["pieces"]),
                Watermark.read(watermark) if watermark else None,
                tuple(found["replaced"]),
            )
            done = {file["name"]: File(**file) for file in state["done"]}
            return _Begun(
                folder, number, replace(request, time_range=_range(state["range"])),
                datetime.fromisoformat(state["created"]), chosen, done, is_resumed=True,
            )  # fmt: skip
    except (FileNotFoundError, ValueError, TypeError, KeyError):
        pass  # It was killed before its plan was written: there is nothing to continue.
    shutil.rmtree(folder)
    return None


def _keep(begun: _Begun) -> None:
    """Write down what is planned and done."""
    period = begun.request.time_range
    state = {
        "request": _asked(begun.request),
        "range": [moment_exact(period.start), moment_exact(period.end), period.zone] if period else None,
        "created": begun.created.isoformat(),
        "plan": {
            "pieces": [
                {
                    "partition": piece.partition,
                    "first": piece.first,
                    "last": piece.last,
                    "records": piece.records,
                }
                for piece in begun.plan.pieces
            ],
            "watermark": begun.plan.watermark.as_dict() if begun.plan.watermark else None,
            "replaced": list(begun.plan.replaced),
        },
        "done": [file.as_dict() for file in begun.done.values()],
    }
    write(begun.folder / _STATE, state)


def moment_exact(time: datetime) -> str:
    """Return a time with all of its digits."""
    return time.astimezone(UTC).isoformat()


def _asked(request: ExportRequest) -> dict[str, Any]:
    """Return what makes two requests the same."""
    period = request.time_range
    written = [moment_exact(period.start), moment_exact(period.end)] if period else None
    return {
        "format": request.format.value,
        "period": request.words or written,
        "incremental": request.incremental,
        "level": request.level.value,
        "defuse_formulas": request.defuse_formulas,
        "rules": None if request.rules is None else [rule.model_dump() for rule in request.rules],
    }


def _range(found: list[str] | None) -> Range | None:
    if found is None:
        return None
    return Range(datetime.fromisoformat(found[0]), datetime.fromisoformat(found[1]), found[2])


def _numbers(home: Path) -> list[int]:
    try:
        return sorted(
            int(path.name) for path in home.iterdir() if path.name.isascii() and path.name.isdigit()
        )
    except FileNotFoundError:
        return []


def _place(home: Path, number: int) -> Path:
    return home / f"{number:04}"
