"""Text as a literal of a query language: whatever it holds, it stays one literal.

LogQL and TraceQL read strings as Go does (https://go.dev/ref/spec#String_literals), expressions as RE2 does.
"""

from typing import Final

_SPECIAL: Final = frozenset("\\.+*?()|[]{}^$")
_REPLACEMENT: Final = "\ufffd"


def quoted(text: str) -> str:
    """Return a text as a string in double quotes, as Go reads it. What cannot be UTF-8 becomes U+FFFD."""
    return '"' + "".join(_letter(letter) for letter in text) + '"'


def literal(text: str) -> str:
    """Return an RE2 expression that matches a text and nothing else."""
    return "".join("\\" + letter if letter in _SPECIAL else letter for letter in text)


def _letter(letter: str) -> str:
    if letter in {'"', "\\"}:
        return "\\" + letter
    code = ord(letter)
    if 0xD800 <= code <= 0xDFFF:  # noqa: PLR2004  half of a pair, which UTF-8 does not have
        return _REPLACEMENT
    if letter.isprintable():
        return letter
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"  # noqa: PLR2004
