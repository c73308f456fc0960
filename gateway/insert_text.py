"""The text of an INSERT: where its data begins, and the same statement with its data in a file.

A wrong split is refused later, since the halves are parsed separately: the statement by the engine's parser, the data
by the format's.
"""

import re
from typing import Final

# Words, strings, quoted names, comments and single characters: enough of SQL to split an INSERT. An unclosed string or
# comment extends to the end of the text, so that no text is matched twice.
_TOKEN: Final = re.compile(
    rb"""\s+|--[^\n]*|\#[!\x20][^\n]*|/\*.*?(?:\*/|\Z)|'(?:[^'\\]|\\.)*(?:'|\\?\Z)"""
    rb"""|"(?:[^"\\]|\\.)*(?:"|\\?\Z)|`(?:[^`\\]|\\.)*(?:`|\\?\Z)|\w+|.""",
    re.DOTALL,
)
_BLANKS: Final = re.compile(rb"[ \t\r\f]*\n?")


def split_insert(text: bytes) -> tuple[str, str | None, int] | None:
    """Split an INSERT from the data after it: return the statement, its format if it names one, and the data's offset.

    None when it is not an INSERT followed by data. A wrong split is refused later, since the halves are parsed
    separately: the statement by the engine's parser, the data by the format's.
    """
    depth = 0
    words: list[bytes] = []
    for token in _TOKEN.finditer(text):
        word = token[0]
        if word in {b"(", b")"}:
            depth += 1 if word == b"(" else -1
        if depth or not (word[0:1].isalnum() or word[0:1] in b'_`"'):
            if word == b";":
                return None
            continue
        upper = word.upper()
        if not words and upper != b"INSERT":
            return None
        named = len(words) > 2  # noqa: PLR2004  INSERT INTO x
        if named and words[-1] == b"FORMAT" and upper != b"FORMAT" and words[-2] != b"INTO":
            statement = text[: token.start()].decode("utf-8", "replace").rstrip()[: -len("FORMAT")]
            return statement, word.decode(), _BLANKS.match(text, token.end()).end()  # type: ignore[union-attr]
        if named and upper == b"VALUES":
            return text[: token.start()].decode("utf-8", "replace"), "Values", token.end()
        if len(words) > 1 and upper in {b"SELECT", b"WITH", b"INFILE", b"EXPLAIN"}:
            return None
        words.append(upper)
    return (text.decode("utf-8", "replace"), None, len(text)) if words else None


def from_file(insert: str, data_format: str, compression: str, path: str) -> str:
    """Return the INSERT, which ends before its FORMAT, with its data read from a file."""
    depth = words = 0
    before = b""
    text = insert.encode()
    at = len(text)
    for token in _TOKEN.finditer(text):
        word = token[0]
        if word in {b"(", b")"}:
            depth += 1 if word == b"(" else -1
        elif not depth and (word[0:1].isalnum() or word[0:1] in b'_`"'):
            words += 1
            if words > 3 and word.upper() == b"SETTINGS" and before != b".":  # noqa: PLR2004  INSERT INTO x SETTINGS
                at = token.start()
                break
        before = word
    # The clause is on a line of its own, since the text before it may end in a comment.
    clause = f"\nFROM INFILE '{path}' COMPRESSION '{compression}'\n"
    return f"{text[:at].decode()}{clause}{text[at:].decode()}\nFORMAT {data_format}"
