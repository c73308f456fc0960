"""The values of a column whose name stands in a heading: of an INSERT of SQL, of a CSV file, of a printed table.

`privacy.pairs` finds the name; here the values below it are found, to be judged as its own. Read is a bounded stretch.
"""

import re
from collections.abc import Iterator
from typing import Final

from privacy.literals import LINE

MAX_HEADING: Final = 400
MAX_BELOW: Final = 4096
"""Bytes of a heading on each side of a name, and of the values behind it."""


def column_values(data: bytes, first: int, last: int) -> Iterator[tuple[int, int]]:
    """Yield where the values are of the column that data[first:last] names; none where it is no column's name."""
    yield from _inserted(data, first, last)
    yield from _below(data, first, last)


def _inserted(data: bytes, first: int, last: int) -> Iterator[tuple[int, int]]:
    """Yield the strings of INSERT INTO t (a, password) VALUES ('x', 'y'), ('z', 'w')."""
    behind = _TO_VALUES.match(data, last)
    before = _COLUMNS_BEFORE.search(data, max(0, first - MAX_HEADING), first) if behind else None
    if not behind or not before:
        return
    place = before[1].count(b",")
    at, limit = behind.end(), behind.end() + MAX_BELOW
    while opened := _TUPLE.match(data, at, limit):
        at = opened.end()
        for number in range(MAX_HEADING):
            item = _ITEM.match(data, at, limit)
            if not item:
                return
            at = item.end()
            if number == place and item[1]:
                yield item.start(1) + item[1].index(b"'") + 1, item.end(1) - 1
            if item[2] == b")":
                break


def _below(data: bytes, first: int, last: int) -> Iterator[tuple[int, int]]:
    """Yield the cells below a heading of CSV, of Markdown, of psql and mysql."""
    begin = data.rfind(b"\n", max(0, first - MAX_HEADING), first) + 1
    end = data.find(b"\n", last, last + MAX_HEADING)
    limit = max(end, 0) + MAX_BELOW
    if begin == 0 and (key := _KEY.match(data)):
        begin = key.end()
    if json := _JSON_TEXT.match(data, begin, first):
        begin = json.end()
        closing = _CLOSING.search(data, last, limit)
        limit = closing.start() if closing else limit
    heading = _HEADING.fullmatch(data, begin, end) if end >= 0 else None
    sign = next((sign for sign in _SIGNS if heading and sign in heading[1]), b"")
    if not heading or not sign:
        return
    cells = heading[1].split(sign)
    place = data.count(sign, heading.start(1), first)
    if cells[place].strip(_AROUND) != data[first:last]:
        return
    while 0 <= end < limit:
        begin, end = end + 1, data.find(b"\n", end + 1, limit)
        line = _NUMBERED.match(data, begin)
        begin = line.end() if line else begin
        row = data[begin : end if end >= 0 else limit]
        if _RULE.fullmatch(row):
            continue
        spans = _cells(row, sign)
        if len(spans) != len(cells):
            return
        start, stop = spans[place]
        cell = row[start:stop]
        if cell.strip(_AROUND) == data[first:last]:
            return
        start += len(cell) - len(cell.lstrip(_AROUND))
        stop -= len(cell) - len(cell.rstrip(_AROUND))
        if stop > start:
            yield begin + start, begin + stop


def _cells(row: bytes, sign: bytes) -> list[tuple[int, int]]:
    """Return where the cells of a row are; one in quotes may hold the sign that parts them."""
    spans: list[tuple[int, int]] = []
    start = 0
    while True:
        quoted = _QUOTED_CELL.match(row, start)
        stop = row.find(sign, quoted.end() if quoted else start)
        spans.append((start, stop if stop >= 0 else len(row)))
        if stop < 0:
            return spans
        start = stop + 1


_GAP: Final = rb"(?:" + LINE + rb"|\s){0,20}"
_TO_VALUES: Final = re.compile(
    rb"(?i)[\"`\]\\]{0,3}\s{0,20}(?:,[\w\s\"`\[\]\\,.]{0,400})?\)" + _GAP + rb"VALUES\b"
)
_COLUMNS_BEFORE: Final = re.compile(rb"\(([\w\s\"`\[\]\\,.]{0,400})\Z")
_TUPLE: Final = re.compile(_GAP + rb",?" + _GAP + rb"\(")
_ITEM: Final = re.compile(
    rb"\s{0,40}(?:([NEB]?'(?:[^'\\]|''|\\.){0,400}')(?:::\w{1,20})?|[^,()']{0,200}(?:\([^()]{0,200}\)[^,()']{0,40})?)"
    rb"\s{0,40}([,)])"
)
_SIGNS: Final = (b"|", b"\t", b";", b",")
_AROUND: Final = b" \t\r\"'`*\\"
_NUMBERED: Final = re.compile(rb"(?:[ \t]{0,8}[0-9]{1,6}(?:\t|\xe2\x86\x92))?[+-]?")
_HEADING: Final = re.compile(
    rb"(?:[ \t]{0,8}[0-9]{1,6}(?:\t|\xe2\x86\x92))?[+-]?((?:[\w .#*\"'`|,;\t\r\\-]|[\xc2-\xf4][\x80-\xbf]+){3,800})"
)
_RULE: Final = re.compile(rb"[-+=|: \t\r]*")
# An attribute is searched behind its key.
_KEY: Final = re.compile(rb"[\w.-]{1,120}=")
_CLOSING: Final = re.compile(rb'(?<!\\)"')
_JSON_TEXT: Final = re.compile(rb"[^\n]{0,300}\"[ \t]{0,4}:[ \t]{0,4}\"")
_QUOTED_CELL: Final = re.compile(rb"[ \t]{0,40}\"(?:[^\"]|\"\"){0,400}\"")
