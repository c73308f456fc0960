"""Text that Markdown shows unchanged."""

import re
from typing import Final

_SPECIAL: Final = re.compile(
    r"[\\`*{}\[\]<>|~&$@#]"
    # Within a word an underscore is one: https://spec.commonmark.org/0.31.2/#emphasis-and-strong-emphasis
    r"|(?<![0-9A-Za-z])_|_(?![0-9A-Za-z])"
    r"|:(?=//|[a-zA-Z+-][\w+-]*:)"  # a link, an emoji
    r"|(?<=www)\.|(?<=WWW)\."
    r"|^[-+=](?=[-+=\s]|$)"  # a list, a rule
)
_NUMBERED: Final = re.compile(r"^(\d{1,9})([.)])(?=\s|$)")
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f\u2028\u2029]+")


def on_one_line(text: str) -> str:
    """Return a text without line breaks and control characters."""
    return _CONTROL.sub(" ", text)


def escape(text: str) -> str:
    """Return a text escaped so that Markdown shows it unchanged, on one line.

    A character gets a backslash where CommonMark, its tables or GitHub give it a meaning:
    https://spec.commonmark.org/0.31.2/#backslash-escapes
    """
    return _NUMBERED.sub(r"\1\\\2", _SPECIAL.sub(r"\\\g<0>", on_one_line(text).strip()))
