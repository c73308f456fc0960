"""The second shape of answers: lists of objects and further fields whose names are the tool's own.

An Answer has columns and rows. Where the names of fields are part of an interface (`results`, `logs`, `traces`,
`anomalies`), a tool returns a Document: named lists of plain nested values, further fields, and beside them what every
answer says, as an Answer without rows. It keeps the same promises: `fit` bounds it, all its text is visible and cut,
it says what was left out, and that its content is data. `written` puts each item on a line of its own.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from access import budget
from access.answer import DATA, Answer, json, scalar
from access.budget import DEFAULT, LEAST, MOST, Continue
from access.text import CELL, units, visible

_STEPS: Final = ((CELL, 1_000), (CELL, 200), (400, 200), (400, 60), (150, 60), (150, 20), (60, 10), (60, 3))
"""To how many characters texts are cut, and to how many elements lists within an item, while too few have room."""
_ENOUGH: Final = 20
_NAME: Final = 120
_DEPTH: Final = 8
_FIELDS: Final = 24
_SPARE: Final = 900
"""Room for the hints on what was left out, and the cursor."""


@dataclass(frozen=True, slots=True)
class Document:
    """Named lists, the main one first, and fields. A field that is None is sent as null: it is unknown."""

    lists: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    """Items are mappings, sequences and what a cell of an Answer takes."""
    fields: Mapping[str, Any] = field(default_factory=dict)
    about: Answer = field(default_factory=Answer)
    """Its rows and tables are not sent."""
    cut: tuple[int, int] = (CELL, 1_000)
    """To how many characters texts are cut, and to how many elements lists within items."""

    def as_dict(self) -> dict[str, Any]:
        """Return what is sent."""
        found: dict[str, Any] = {"finding": visible(self.about.finding, 600)} if self.about.finding else {}
        for name, items in self.lists.items():
            found[name] = [_plain(item, _Cut(*self.cut)) for item in items]
        for name, value in self.fields.items():
            found[visible(name, _NAME)] = _plain(value, _Cut(*self.cut))
        if any(self.lists.values()):
            found["content"] = DATA
        return found | replace(self.about, columns=(), rows=(), tables={}).about()

    def as_json(self) -> str:
        """Return it as JSON, a field or an item a line."""
        return written(self.as_dict(), tuple(self.lists))


def written(found: Mapping[str, Any], lists: Sequence[str]) -> str:
    """Return a document's fields as JSON: compact, but with each item of its lists on a line of its own."""
    parts = []
    for name, value in found.items():
        is_list = name in lists and value
        text = "[\n" + ",\n".join(map(json, value)) + "\n]" if is_list else json(value)
        parts.append(f"{json(name)}:{text}")
    return "{" + ",\n".join(parts) + "}"


def fit(document: Document, characters: int = DEFAULT, continue_at: Continue | None = None) -> Document:
    """Return the document with as many of its items, and as much of each, as its JSON has room for.

    `continue_at` makes the cursor for items that are left out of the main list, by the number of those that are kept.
    """
    characters = max(LEAST, min(characters, MOST))
    # What is beside the items may take half of the room: see access.budget.
    about = budget.fit(replace(document.about, columns=(), rows=(), tables={}), characters)
    bounded = replace(document, about=about, fields=dict(list(document.fields.items())[:_FIELDS]))
    fitted = bounded
    for step in _STEPS:
        fitted = _filled(replace(bounded, cut=step), document, characters, continue_at)
        if all(len(fitted.lists[name]) >= min(_ENOUGH, len(items)) for name, items in document.lists.items()):
            break
    return fitted


def length(document: Document) -> int:
    """Return a document's length as it is sent."""
    return units(document.as_json())


class _Cut:
    """To what values are cut, and whether any was."""

    def __init__(self, cell: int, inner: int) -> None:
        self.cell = cell
        self.inner = inner
        self.texts = False
        self.elements = False


def _plain(value: Any, cut: _Cut, depth: int = _DEPTH) -> Any:
    """Return a nested value as plain ones: visible text, bounded in each direction."""
    if isinstance(value, Mapping) and depth:
        # An item's own fields are the tool's; maps within it, as of labels, are as long as what was recorded.
        most = max(_FIELDS, cut.inner) if depth == _DEPTH else cut.inner
        if len(value) > most:
            cut.elements = True
        pairs = zip(value.items(), range(most), strict=False)
        return {visible(str(key), _NAME): _plain(item, cut, depth - 1) for (key, item), _ in pairs}
    if isinstance(value, list | tuple) and depth:
        if len(value) > cut.inner:
            cut.elements = True
        return [_plain(item, cut, depth - 1) for item in value[: cut.inner]]
    if isinstance(value, str) and len(value) > cut.cell:
        cut.texts = True
    return scalar(value, cut.cell)


def _filled(document: Document, whole: Document, characters: int, continue_at: Continue | None) -> Document:
    """Return the document, cut to its step, with as many items as have room."""
    empty = replace(document, lists=dict.fromkeys(document.lists, ()))
    while length(empty) + _SPARE > characters and empty.fields:
        # Long fields give way from the end; the budget has room for those that tools have.
        name = list(empty.fields)[-1]
        kept = {key: value for key, value in empty.fields.items() if key != name}
        empty = replace(empty, fields=kept, about=replace(empty.about, truncated=True))
    room = characters - length(empty) - _SPARE
    while True:
        lists, cut = _chosen(document, max(0, room))
        found = _said(replace(empty, lists=lists), whole, cut, continue_at)
        over = length(found) - characters
        if over <= 0 or not any(lists.values()):
            return found
        room -= over


def _chosen(document: Document, room: int) -> tuple[dict[str, Sequence[Any]], _Cut]:
    """Return the items that have room, lists sharing it fairly."""
    cut = _Cut(*document.cut)
    sized = {name: list(_sizes(items, room, document.cut)) for name, items in document.lists.items()}
    shares = _shares([sum(sizes) for sizes in sized.values()], room)
    lists: dict[str, Sequence[Any]] = {}
    for (name, sizes), share in zip(sized.items(), shares, strict=True):
        used = count = 0
        for size in sizes:
            if used + size > share:
                break
            used, count = used + size, count + 1
        lists[name] = document.lists[name][:count]
        for item in lists[name]:
            _plain(item, cut)
    return lists, cut


def _sizes(items: Sequence[Any], room: int, step: tuple[int, int]) -> Iterator[int]:
    """Yield the length of each item as it is sent, as far as the room could reach."""
    for item in items:
        size = units(json(_plain(item, _Cut(*step)))) + 2
        yield size
        room -= size
        if room < 0:
            return


def _shares(wanted: Sequence[int], room: int) -> list[int]:
    """Return what each may take: those who want less leave it to others."""
    found = [0] * len(wanted)
    left = room
    for place, number in enumerate(sorted(range(len(wanted)), key=lambda one: wanted[one])):
        found[number] = min(wanted[number], left // (len(wanted) - place))
        left -= found[number]
    return found


def _said(fitted: Document, whole: Document, cut: _Cut, continue_at: Continue | None) -> Document:
    """Return the fitted document with what was left out of it said."""
    about = fitted.about
    hints = list(about.hints)
    cursor, has_more, is_short = about.next_cursor, about.has_more, False
    for number, (name, items) in enumerate(whole.lists.items()):
        kept = len(fitted.lists[name])
        if kept == len(items):
            continue
        is_short = True
        if number == 0:
            has_more = True
            cursor = continue_at(kept) if continue_at else None
        remedy = (
            "pass next_cursor as cursor to go on after these"
            if cursor and number == 0
            else "ask for a shorter period or with more filters, or pass a larger max_characters"
        )
        hints.append(f"{kept:,} of {len(items):,} {visible(name, 40)} have room: {remedy}.")
    if cut.texts:
        hints.append(f"Long texts are cut to {cut.cell:,} characters.")
    if cut.elements:
        hints.append(f"Of lists within an item the first {cut.inner:,} elements are shown.")
    fields = dict(fitted.fields)
    if "returned_count" in fields and whole.lists:
        fields["returned_count"] = len(next(iter(fitted.lists.values())))
    left = about.truncated or is_short or cut.texts or cut.elements or len(whole.fields) > len(fitted.fields)
    if left and not (hints or cursor):
        hints.append("Some fields had no room.")
    return replace(
        fitted,
        fields=fields,
        about=replace(about, hints=tuple(hints), has_more=has_more, truncated=left, next_cursor=cursor),
    )
