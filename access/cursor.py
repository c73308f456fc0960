"""Cursors and result ids: what a caller hands back to go on, signed so that nothing else is accepted.

A cursor says where a page ended. It is bound to the caller and to the question, expires, and is opaque to its holder:
what it says may change. It is signed with HMAC-SHA256, not encrypted: it holds no more than the page that it ends.
"""

import base64
import hashlib
import hmac
import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import orjson

from access.refusal import Code, Refusal

SECONDS: Final = 3600
"""How long a cursor holds."""
LONGEST: Final = 2_000
"""Characters of a cursor: no longer ones are looked at."""
_SIGNATURE: Final = 16
_VERSION: Final = 1


@dataclass(frozen=True, slots=True)
class Signer:
    """Makes cursors and takes them back. Without a key it has one of its own, and its cursors end with the process."""

    key: bytes = field(default_factory=lambda: secrets.token_bytes(32), repr=False)
    clock: Callable[[], float] = time.time

    def cursor(self, caller: str, question: str, position: Sequence[Any], seconds: float = SECONDS) -> str:
        """Return a cursor to a position of a question, in scalars: `fingerprint` makes the question's name."""
        expires = int(self.clock() + seconds)
        body = orjson.dumps([_VERSION, expires, _short(caller), question, list(position)])
        return base64.urlsafe_b64encode(self._signature(body) + body).rstrip(b"=").decode()

    def position(self, cursor: str, caller: str, question: str, field_name: str = "cursor") -> list[Any]:
        """Return the position that a cursor says. Raises Refusal for one that is altered, of others or expired."""
        try:
            # Only the form in which we write: base64 has several for the same bytes.
            signed = base64.b64decode(cursor + "=" * (-len(cursor) % 4), b"-_", validate=True)
            is_ours = (
                len(cursor) <= LONGEST
                and base64.urlsafe_b64encode(signed).rstrip(b"=").decode() == cursor
                and hmac.compare_digest(signed[:_SIGNATURE], self._signature(signed[_SIGNATURE:]))
            )
        except ValueError:
            is_ours = False
        if not is_ours:
            raise Refusal(
                Code.INVALID_CURSOR,
                "This is no cursor of this server, or of a time before it was restarted. Ask again without it.",
                field_name,
            )
        _, expires, owner, about, position = orjson.loads(signed[_SIGNATURE:])
        if owner != _short(caller):
            raise Refusal(
                Code.FORBIDDEN, "This cursor was made for another caller. Ask again without it.", field_name
            )
        if about != question:
            raise Refusal(
                Code.INVALID_CURSOR,
                "This cursor belongs to another question: repeat the arguments that it came with, or leave it out.",
                field_name,
            )
        if expires <= self.clock():
            raise Refusal(Code.EXPIRED, "This cursor has expired. Ask again without it.", field_name)
        return list(position)

    def _signature(self, body: bytes) -> bytes:
        return hmac.digest(self.key, b"cursor\0" + body, hashlib.sha256)[:_SIGNATURE]


def fingerprint(*parts: Any) -> str:
    """Return a short name for a question's arguments, the same for equal ones in any process. Takes plain values."""
    return hashlib.sha256(orjson.dumps(parts, option=orjson.OPT_SORT_KEYS)).hexdigest()[:24]


def _short(caller: str) -> str:
    return hashlib.sha256(caller.encode("utf-8", "surrogatepass")).hexdigest()[:16]
