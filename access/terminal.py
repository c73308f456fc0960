"""An answer of ClickHouse on its way to a person: all its characters are seen, and no cell of it is run.

What programs read (CSV, JSON, Parquet) is passed on as it is, unless formulas are to be defused.
"""

import codecs
import re
from collections.abc import Iterable, Iterator
from typing import Final

from access.text import visible

_LINES: Final = re.compile(r"(\n)")
_KEPT: Final = re.compile(r"([\n\t])")
_FORMULA: Final = "=+-@\t\r"
"""How a text begins that a spreadsheet would run."""


def made_visible(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Yield text in which each character but tabs and the ends of lines is seen, whatever was recorded."""
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    for piece in pieces:
        if text := decoder.decode(piece):
            yield _seen(text)
    if rest := decoder.decode(b"", final=True):
        yield _seen(rest)


def without_formulas(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Yield CSV in which texts that begin as a formula does have a ' in front.

    Source: https://owasp.org/www-community/attacks/CSV_Injection
    """
    decoder = codecs.getincrementaldecoder("utf-8")("surrogateescape")
    row, is_open = "", False
    for piece in pieces:
        for part in _LINES.split(decoder.decode(piece)):
            row += part
            is_open ^= part.count('"') % 2 == 1
            if part == "\n" and not is_open:
                yield _defused(row)
                row = ""
    if row := row + decoder.decode(b"", final=True):
        yield _defused(row)


def _seen(text: str) -> bytes:
    return "".join(part if part in {"\n", "\t"} else visible(part) for part in _KEPT.split(text)).encode()


def _defused(row: str) -> bytes:
    """Return a row of CSV. Texts have quotes around them and numbers none; a quote in a text is doubled."""
    made, done, is_open = [], 0, False
    for found in re.finditer('"', row):
        at = found.end()
        if not is_open and row[at - 2 : at - 1] in {"", ","} and row[at : at + 1] in tuple(_FORMULA):
            made.append(f"{row[done:at]}'")
            done = at
        is_open = not is_open
    return "".join([*made, row[done:]]).encode("utf-8", "surrogateescape")
