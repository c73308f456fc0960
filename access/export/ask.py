"""`export_telemetry`: an export that a caller asks for, within the bounds of the tools.

It is the export of the command, with three differences: a period is never longer than the desk allows, all exports
together have a bound on their bytes, and it stops when its caller has gone. What was written then is continued by the
same call.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from enum import StrEnum
from typing import Final, TypeVar

from access import budget
from access.answer import Answer
from access.export.export import Progress, abandon, export, unseen
from access.export.request import ExportRequest, Format, Level
from access.export.shelf import Shelf, handle
from access.reading import Reading
from access.refusal import Code, Refusal, unknown
from access.store import Rows, Store

E = TypeVar("E", bound=StrEnum)

FORMATS: Final = tuple(one.value for one in Format)
LEVELS: Final = tuple(one.value for one in Level)


def export_telemetry(
    reading: Reading,
    shelf: Shelf,
    output_format: str = Format.json.value,
    name: str = "telemetry",
    start: str | float | None = None,
    end: str | float | None = None,
    *,
    incremental: bool = False,
    level: str = Level.strict.value,
    defuse_formulas: bool = False,
    zone: str = "UTC",
    max_characters: int | None = None,
    progress: Progress = unseen,
    is_wanted: Callable[[], bool] = lambda: True,
) -> Answer:
    """Write an export and return its files, a row each, with where to get them. Raises Refusal.

    Without times it is of the last seven days; an incremental one takes none, and is of all that was stored since the
    last incremental export of its name. `is_wanted` is asked while rows arrive.
    """
    characters = budget.size(max_characters)
    chosen = _one_of(Format, output_format, "format")
    has_period = start is not None or end is not None
    time_range = None if incremental and not has_period else reading.period(start, end, zone)[0]
    request = ExportRequest(
        format=chosen,
        name=name,
        time_range=time_range,
        words=f"{start if start is not None else ''}..{end if end is not None else ''} {zone}"
        if time_range
        else "",
        incremental=incremental,
        level=_one_of(Level, level, "level"),
        defuse_formulas=defuse_formulas,
        rules=shelf.rules,
    )
    request.check()
    reading.admit()
    bounded = _Bounded(reading.store, shelf.room(), is_wanted)
    try:
        made = export(bounded, request, shelf.folder, progress)
    except _NoRoomError:
        abandon(shelf.folder, name)
        raise shelf.full() from None
    answer = made.as_answer()
    replaced = ", ".join(made.manifest["replaced"])
    return budget.fit(
        replace(
            answer,
            columns=(*answer.columns, "fetch"),
            rows=[(*row, shelf.fetch(made, row[0])) for row in answer.rows],
            result_id=handle(made),
            time_range=time_range,
            freshness=reading.freshness(),
            hints=(
                shelf.how,
                "The manifest is beside the files, as manifest.json. telemetry://export/ready lists what is ready.",
                "With incremental=true and the same name and format, the next export has only what is new.",
            ),
            notes=(
                f"The handle of this export is {handle(made)}, its bytes are {made.bytes:,}.",
                *(
                    (f"Delete these days of earlier exports, which were changed: {replaced}.",)
                    if replaced
                    else ()
                ),
                *(
                    ("It was begun by an earlier call, and has the period of that one.",)
                    if made.is_resumed
                    else ()
                ),
            ),
        ),
        characters,
    )


class _NoRoomError(Exception):
    """The export became larger than it may be."""


class _Bounded:
    """A store whose streams end with _NoRoomError after so many bytes, or with a Refusal when the caller has gone."""

    def __init__(self, store: Store, left: int, is_wanted: Callable[[], bool]) -> None:
        self._store = store
        self._left = left
        self._is_wanted = is_wanted

    def rows(
        self,
        sql: str,
        values: Mapping[str, str] | None = None,
        *,
        at_most: int | None = None,
        max_bytes: int | None = None,
        is_beside: bool = False,
    ) -> Rows:
        """Return the answer; see Store."""
        self._check()
        return self._store.rows(sql, values, at_most=at_most, max_bytes=max_bytes, is_beside=is_beside)

    def stream(self, sql: str, values: Mapping[str, str] | None, output_format: str) -> Iterator[bytes]:
        """Yield the answer; see Store."""
        for piece in self._store.stream(sql, values, output_format):
            self._check()
            self._left -= len(piece)
            if self._left < 0:
                raise _NoRoomError
            yield piece

    def _check(self) -> None:
        if not self._is_wanted():
            raise Refusal(Code.TIMEOUT, "The call was cancelled. The same call again goes on where it is.")


def _one_of(kind: type[E], given: str, field: str) -> E:
    try:
        return kind(given)
    except ValueError:
        raise unknown(field, str(given), [one.value for one in kind], field) from None
