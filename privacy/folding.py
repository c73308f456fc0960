"""A text as it is searched: what only parts it, or spells a character in another way, is folded to what it means.

Parting: colour codes of terminals, characters of no width, the escapes for line ends and tabs of a text inside JSON,
and the sign at the start of a line of a diff. Spelling: fullwidth forms, entities, percent and backslash escapes, one
level of them. Guarantees that a folded text can be unfolded: what was not replaced in it comes back byte by byte.

A code may stand between two words or inside one (`ghp_ESC[1mabc`), and an escape may be a part of a password. So a text
is read in up to three ways, and each is searched.

The engine does not fold: it looks for FOLDABLE and PARTING too, and Python searches each text that has one of them.
"""

import html
import re
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

FOLDABLE: Final = (
    r"\x1b[\[\]]",
    r"\x{9b}",
    r"\\(?:u[0-9A-Fa-f{]|x[0-9A-Fa-f]{2}|033|e\[|/)",
    r"%[0-9A-Fa-f]{2}",
    r"&(?:#[0-9xX]|[A-Za-z]{2,8};)",
    r"\[[0-9;]{1,16}m|\^\[\[",
    (
        r"[\x{a0}\x{ad}\x{61c}\x{180e}\x{2000}-\x{200f}\x{202a}-\x{202f}\x{205f}-\x{206f}\x{3000}\x{fe50}-\x{fe6b}\x{feff}"
        r"\x{ff01}-\x{ff5e}]"
    ),
    r"[\x{17f}\x{212a}]",
)
"""What a text can hold that is folded, in the syntax of RE2; a search for it may find too much, never too little.

The last, a long s and the sign for kelvin, are an s and a k for RE2 where case does not matter, not for Hyperscan."""

PARTING: Final = (r"\\[nrt]", r'(?:^|[\n\r\t"=])[+-]')
"""The same, of the frequent kinds. A text may stand behind its key and `=`."""


@dataclass(slots=True)
class Folded:
    """A folded text. `edits` are the places in `data` that stood otherwise: position, length, the bytes of the text."""

    data: bytes
    edits: list[tuple[int, int, bytes]]

    def unfolded(self) -> bytes:
        """Return the text, with what was replaced in it."""
        pieces: list[bytes] = []
        copied = 0
        for at, length, original in self.edits:
            pieces += (self.data[copied:at], original)
            copied = at + length
        pieces.append(self.data[copied:])
        return b"".join(pieces)

    def replace(self, spans: Sequence[tuple[int, int]], markers: Sequence[bytes]) -> None:
        """Put a marker for each span of the folded text; spans are in order and do not overlap."""
        pieces: list[bytes] = []
        copied = 0
        if not self.edits:
            for (start, end), marker in zip(spans, markers, strict=True):
                pieces += (self.data[copied:start], marker)
                copied = end
            self.data = b"".join((*pieces, self.data[copied:]))
            return
        kept: list[tuple[int, int, bytes]] = []
        edits = iter(self.edits)
        edit = next(edits, None)
        moved = 0
        for (start, end), marker in zip(spans, markers, strict=True):
            while edit is not None and edit[0] + edit[1] <= start:
                kept.append((edit[0] + moved, edit[1], edit[2]))
                edit = next(edits, None)
            while edit is not None and edit[0] < end:
                edit = next(edits, None)
            pieces += (self.data[copied:start], marker)
            moved += len(marker) - (end - start)
            copied = end
        while edit is not None:
            kept.append((edit[0] + moved, edit[1], edit[2]))
            edit = next(edits, None)
        pieces.append(self.data[copied:])
        self.data, self.edits = b"".join(pieces), kept


Reading = Callable[[bytes], Folded]
"""A way to read a text; `floor` is the length of the prefix."""


def readings(text: bytes) -> Iterator[Reading]:
    """Yield the ways in which a text is to be read. Texts with nothing to fold have one, which changes nothing."""
    kinds = {_kind(found) for found in _TOKEN.finditer(text)}
    if "spelling" in kinds:
        # First: decoded, a name in an address (`ann%40example.com:password@`) would hide what stands behind it.
        yield lambda data: _fold(data, b" ", decodes=False)
    yield lambda data: _fold(data, b" ", decodes=True)
    if "code" in kinds or "spelling" in kinds:
        yield lambda data: _fold(data, b"", decodes=True)


def _fold(text: bytes, parting: bytes, *, decodes: bool) -> Folded:
    """Fold a text. `parting` takes the place of codes and of characters of no width."""
    pieces: list[bytes] = []
    edits: list[tuple[int, int, bytes]] = []
    copied = length = line_start = 0
    for found in _TOKEN.finditer(text):
        start, end = found.span()
        kind = _kind(found)
        if kind == "path":
            continue
        if kind == "sign":
            if start not in (0, line_start) and text[start - 1 : start] not in _BEFORE_SIGN:
                continue
            folded = b""
        elif kind == "line":
            folded = _LINES[text[end - 1]]
            line_start = end
        elif kind == "code":
            folded = parting
            # `ESC[32m+` begins a line as `+` does.
            if start in (0, line_start) or text[start - 1 : start] in (b"\n", b"\r"):
                line_start = end
        elif decodes:
            folded = _decoded(found[0], parting)
            if folded == found[0]:
                continue
        else:
            continue
        before = text[copied:start]
        pieces += (before, folded)
        length += len(before)
        edits.append((length, len(folded), found[0]))
        length += len(folded)
        copied = end
    pieces.append(text[copied:])
    return Folded(b"".join(pieces), edits)


def _kind(found: re.Match[bytes]) -> str:
    return found.lastgroup or ""


def _decoded(token: bytes, parting: bytes) -> bytes:
    """Return the characters that a token spells, in UTF-8."""
    if token.startswith(b"%"):
        return _from_percents(token)
    if token == b"\\/":
        return b"/"
    if token.startswith(b"\\"):
        text = _from_backslashes(token)
    else:
        text = token.decode("utf-8", "replace")
        text = html.unescape(text) if text.startswith("&") else unicodedata.normalize("NFKC", text)
    if len(text) == 1 and text in _NO_WIDTH:
        return parting
    return (" " if text.isspace() and text not in "\n\r\t" else text).encode("utf-8", "replace")


def _from_percents(token: bytes) -> bytes:
    data = bytes.fromhex(token.replace(b"%", b"").decode())
    try:
        data.decode()
    except UnicodeDecodeError:
        return token
    return data


def _from_backslashes(token: bytes) -> str:
    units = [int(digits, 16) for digits in _HEX.findall(token)]
    if len(units) == 1 and units[0] < 0x110000 and not 0xD800 <= units[0] < 0xE000:  # noqa: PLR2004
        return chr(units[0])
    data = b"".join((unit & 0xFFFF).to_bytes(2, "big") for unit in units)
    return data.decode("utf-16-be", "replace")


_HEX: Final = re.compile(rb"(?:u\{?|x)([0-9A-Fa-f]+)")
_LINES: Final = {ord("n"): b"\n", ord("r"): b"\r", ord("t"): b"\t"}
_BEFORE_SIGN: Final = (b"\n", b"\r", b"\t", b'"')
"""The start of a line, of one behind its number, and of a text in JSON."""
_NO_WIDTH: Final = frozenset(
    "\xad\u061c\u180e\u200b\u200c\u200d\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2060\u2061\u2062\u2063\u2064"
    "\u2066\u2067\u2068\u2069\u206a\u206b\u206c\u206d\u206e\u206f\ufeff"
)
_ESCAPE: Final = rb"(?:\x1b|\\{1,4}(?:u001[bB]|u\{1[bB]\}|x1[bB]|033|e)|\^\[|%1[bB]|&#(?:27|[xX]1[bB]);)"
_DATE: Final = rb"[0-9]{4}-[0-9]{2}-[0-9]{2}"
_HOMES: Final = rb"[Uu]sers|home|USERS|Documents and Settings"
_TOKEN: Final = re.compile(
    # A folder of Windows may begin with n, r or t: `C:\Users\nadia\repos`.
    rb"(?P<path>\\(?:"
    + _HOMES
    + rb")\\(?!\\)[^\\/:*?\"<>|\r\n]{1,64}(?:\\(?!\\))?|\\\\(?:"
    + _HOMES
    + rb")\\\\)"
    rb"|(?P<code>" + _ESCAPE + rb"(?:\[|%5[bB])[0-?]{0,32}[ -/]{0,4}[@-~]"
    rb"|\x1b\][^\x07\x1b]{0,256}(?:\x07|\x1b\\)|\x1b[()#][0-9A-B]|\xc2\x9b[0-?]{0,32}[@-~]|\[[0-9;]{1,16}m"
    rb"|(?:\xe2\x80[\x8b-\x8f\xaa-\xae]|\xe2\x81[\xa0-\xa4\xa6-\xaf]|\xef\xbb\xbf|\xc2\xad|\xe1\xa0\x8e|\xd8\x9c)+)"
    rb"|(?P<line>\\{1,4}[nrt])"
    rb"|(?P<sign>(?:\+{1,2}(?=[^\s+0-9]|"
    + _DATE
    + rb")|-(?="
    + _DATE
    + rb"|[^-\s0-9A-Za-z]|[A-Za-z][^\s=:\"']))"
    rb")"
    rb"|(?P<spelling>(?:\\{1,2}u[0-9A-Fa-f]{4})+|\\{1,2}u\{[0-9A-Fa-f]{1,6}\}|\\{1,2}x[0-9A-Fa-f]{2}|\\/"
    rb"|(?:%[0-9A-Fa-f]{2})+|&#[0-9]{1,7};|&#[xX][0-9A-Fa-f]{1,6};|&[A-Za-z]{2,8};"
    rb"|\xef\xbc[\x81-\xbf]|\xef\xbd[\x80-\x9e]|\xef\xb9[\x90-\xab]|\xc2\xa0|\xe2\x80[\x80-\x8a\xaf]|\xe2\x81\x9f"
    rb"|\xe3\x80\x80)"
)
