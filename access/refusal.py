"""Why a question was not answered, in a form by which a program or a model can correct its call.

A Refusal is an answer like any other: short, with a code of this module's, and with what to do. It holds nothing of
the store's data, and of the caller's own values only what shows which of them is meant.
"""

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

import orjson

from access.text import cut, units, visible

CHARACTERS: Final = 2_000
"""A refusal is shorter than this as JSON: Claude Code cuts longer errors in the middle."""
_MESSAGE: Final = 900
_ITEM: Final = 120
_ITEMS: Final = 40


class Code(StrEnum):
    """The kinds of refusal."""

    INVALID_ARGUMENT = "INVALID_ARGUMENT"
    UNKNOWN_NAME = "UNKNOWN_NAME"
    RANGE_TOO_LONG = "RANGE_TOO_LONG"
    RESULT_TOO_LARGE = "RESULT_TOO_LARGE"
    RATE_LIMITED = "RATE_LIMITED"
    INVALID_CURSOR = "INVALID_CURSOR"
    EXPIRED = "EXPIRED"
    FORBIDDEN = "FORBIDDEN"
    STORE_UNAVAILABLE = "STORE_UNAVAILABLE"
    QUERY_FAILED = "QUERY_FAILED"
    TIMEOUT = "TIMEOUT"
    BUSY = "BUSY"
    CONFLICT = "CONFLICT"
    """What is to be made is there already."""
    UPSTREAM_UNAVAILABLE = "UPSTREAM_UNAVAILABLE"
    """Another system cannot be reached."""
    UPSTREAM_UNAUTHORIZED = "UPSTREAM_UNAUTHORIZED"
    """Another system refused the credentials of its connection."""
    UPSTREAM_FAILED = "UPSTREAM_FAILED"
    """Another system reports an error, or its answer cannot be read."""
    UNSUPPORTED = "UNSUPPORTED"
    """Another system cannot answer a question of this kind."""


# Not frozen: contextlib sets an exception's traceback.
@dataclass(eq=False)
class Refusal(Exception):  # noqa: N818  it is an answer, and named as one
    """One reason. `field` names the argument at fault; empty parts are left out of the answer."""

    code: Code
    message: str
    field: str = ""
    nearest: tuple[str, ...] = ()
    accepted: tuple[str, ...] = ()
    """The forms or values that the field takes."""
    retry_after_seconds: float | None = None
    suggestions: tuple[str, ...] = ()
    """Calls to make instead, such as the two halves of a range."""

    def __str__(self) -> str:
        return self.message

    def as_dict(self) -> dict[str, Any]:
        """Return what is sent, shorter than CHARACTERS as JSON."""
        found: dict[str, Any] = {"code": self.code.value, "message": _short(self.message, _MESSAGE)}
        if self.field:
            found["field"] = _short(self.field, _ITEM)
        if self.retry_after_seconds is not None:
            found["retry_after_seconds"] = self.retry_after_seconds
        # The most useful come first: the others give way when there is no room.
        for name, items in (
            ("suggestions", self.suggestions),
            ("nearest", self.nearest),
            ("accepted", self.accepted),
        ):
            shown = [_short(item, _ITEM) for item in items[:_ITEMS]]
            while shown and _size({**found, name: shown}) >= CHARACTERS:
                shown.pop()
            if shown:
                found[name] = shown
        return found

    def as_json(self) -> str:
        """Return that as JSON."""
        return orjson.dumps({"error": self.as_dict()}).decode()


def unknown(kind: str, name: str, names: Iterable[str], field: str = "") -> Refusal:
    """Return a refusal for a name that does not exist, with those that resemble it most."""
    known = sorted(set(names))
    nearest = tuple(difflib.get_close_matches(name, known, n=5, cutoff=0.4))
    remedy = f" Did you mean {nearest[0]}?" if nearest else ""
    return Refusal(
        Code.UNKNOWN_NAME,
        f"There is no {kind} {cut(name, _ITEM)!r}.{remedy}",
        field,
        nearest,
        tuple(known) if len(known) <= _ITEMS else (),
    )


def invalid(field: str, message: str, accepted: Iterable[str] = (), **more: Any) -> Refusal:
    """Return a refusal for a value that a field does not take."""
    return Refusal(Code.INVALID_ARGUMENT, message, field, accepted=tuple(accepted), **more)


def _short(text: str, limit: int) -> str:
    """Return a text as shown, bounded as JSON, where a quotation mark and letters beyond ASCII may take more."""
    shown = visible(text, limit)
    while units(orjson.dumps(shown).decode()) > limit + 2:
        shown = cut(shown, len(shown) - max(1, len(shown) // 8))
    return shown


def _size(found: Mapping[str, Any]) -> int:
    return units(orjson.dumps({"error": found}).decode())
