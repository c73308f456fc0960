"""Names for people to read and type: short session and trace ids, and an alias for a user whom the rules hash.

A short form is the beginning of the whole, so that it is the same in every answer, and is accepted where the whole is.
CSV, JSON and the tools have the whole.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from access.reading import statement

Ask = Callable[[str, Mapping[str, str]], Sequence[Sequence[Any]]]
"""Returns the rows of a statement, with these values bound."""
SHORT: Final = 8
_ALIAS: Final = "user-"
_HASH: Final = re.compile(r"(?:hmac-)?sha256:([0-9a-f]{64})|([0-9a-f]{32,64})")
_ID: Final = re.compile(
    r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}|[0-9a-fA-F]{16}|[0-9a-fA-F]{32}"
)
_SHORT_USER: Final = re.compile(rf"{_ALIAS}([0-9a-f]{{{SHORT}}})")
_SHORT_ID: Final = re.compile(r"[0-9a-zA-Z-]{6,35}")


class Ambiguous(ValueError):  # noqa: N818  what it is, as in Python's own StopIteration
    """A short form is the beginning of several. The text has them."""


def short_id(value: str) -> str:
    """Return the first eight characters of a UUID or of a trace's id, any other value as it is."""
    return value[:SHORT] if _ID.fullmatch(value) else value


def alias(user: str) -> str:
    """Return a user's name as the rules leave it; for one who is a hash, `user-` and its first eight digits."""
    found = _HASH.fullmatch(user)
    return f"{_ALIAS}{(found[1] or found[2])[:SHORT]}" if found else user


def whole(name: str, value: str, ask: Ask) -> str:
    """Return the whole value of a parameter that has a short form; any other value as it is.

    Raises Ambiguous, and what `ask` raises.
    """
    if name == "user" and (short := _SHORT_USER.fullmatch(value)):
        found = [
            row[0]
            for row in ask(statement(f"whole_{name}"), {"short": short[1]})
            if alias(str(row[0])) == value
        ]
    elif name in {"session", "trace"} and _SHORT_ID.fullmatch(value):
        found = [row[0] for row in ask(statement(f"whole_{name}"), {"short": value})]
    else:
        return value
    if value in found or not found:
        return value
    if len(found) > 1:
        raise Ambiguous(f"Several begin with {value}: {', '.join(map(str, found))}. Give more of it.")
    return str(found[0])
