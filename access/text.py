"""How recorded text is shown: as data that cannot be mistaken for an instruction, a new line or a terminal's control.

What was recorded may be anything: escape sequences, marks that reverse the reading order, letters without width that
hide a message, megabytes. `visible` is the one function that makes text fit to be shown, for every reader alike.
It guarantees that each character of its result is one that people see, on one line. Applied twice it changes nothing.
"""

import re
import unicodedata
from typing import Final

CELL: Final = 1_000
"""Characters of a cell, unless the budget needs it shorter."""
_PICTURES: Final = 0x2400
_DELETE: Final = "\x7f"
# Unicode's Default_Ignorable_Code_Point: drawn as nothing, though not all are of a category that says so.
# https://www.unicode.org/reports/tr44/#Default_Ignorable_Code_Point
_IGNORABLE: Final = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f"
    "\ufeff\uffa0\ufff0-\ufff8\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)
# Spaces of all widths are seen well enough; lines and paragraphs of their own are not.
_SPACE: Final = "Zs"
_OTHER: Final = re.compile(r"[^\x20-\x7e]")


def visible(text: str, limit: int | None = None) -> str:
    """Return the text with each character that is not seen replaced, cut to `limit` characters when one is given.

    The control characters of ASCII become their pictures (a new line is `␊`), others `<U+202E>`.
    """
    # A long text is cut first: only what is shown has to be looked at.
    short = cut(text, limit) if limit else text
    if short.isprintable() and not _IGNORABLE.search(short):
        return short
    shown = _OTHER.sub(_picture, short)
    return cut(shown, limit, len(text)) if limit else shown


def cut(text: str, limit: int, length: int | None = None) -> str:
    """Return at most `limit` characters, the last of which say how long the text was."""
    if len(text) <= limit:
        return text
    marker = f"…[{len(text) if length is None else length:,} characters]"
    return (text[: max(0, limit - len(marker))] + marker)[:limit]


def units(text: str) -> int:
    """Return a text's length in UTF-16 units, as JavaScript counts it: a reader's limit is in these."""
    return len(text) if text.isascii() else len(text.encode("utf-16-le", "surrogatepass")) // 2


def _picture(found: re.Match[str]) -> str:
    letter = found[0]
    if letter < " ":
        return chr(_PICTURES + ord(letter))
    if letter == _DELETE:
        return "\u2421"
    is_seen = letter.isprintable() or unicodedata.category(letter) == _SPACE
    return letter if is_seen and not _IGNORABLE.match(letter) else f"<U+{ord(letter):04X}>"
