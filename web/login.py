"""The log-in of people: the link with a token becomes a cookie of their browser, which holds no token itself.

A cookie says who has it and until when, signed with that person's token: with the token taken out of the settings, the
cookie ends too. Browsers send cookies to every port of a host, so each token has a cookie of its own name.
"""

import base64
import hashlib
import hmac
import time
from collections.abc import Mapping, Sequence
from typing import Final

PREFIX: Final = "telemetry_"
SECONDS: Final = 30 * 86_400
"""How long a browser stays logged in."""


def cookie(name: str, token: str, now: float | None = None) -> tuple[str, str]:
    """Return the name and the value of the cookie of the token's holder."""
    expires = int(time.time() if now is None else now) + SECONDS
    holder = base64.urlsafe_b64encode(name.encode()).decode().rstrip("=")
    said = f"{holder}.{expires}"
    return _name(token), f"{said}.{_signature(token, said)}"


def holder(
    cookies: Mapping[str, str], tokens: Sequence[tuple[str, str]], now: float | None = None
) -> str | None:
    """Return who is logged in, by the cookies that a browser sent; None: no one whose token is known."""
    moment = time.time() if now is None else now
    for name, token in tokens:
        said, _, signature = cookies.get(_name(token), "").rpartition(".")
        expires = said.rpartition(".")[2]
        is_signed = hmac.compare_digest(signature.encode(), _signature(token, said).encode())
        if is_signed and expires.isdecimal() and int(expires) > moment:
            return name
    return None


def form_key(secret: str, name: str) -> str:
    """Return what each form of a person's pages holds, so that no other page can send it."""
    return _signature(secret, f"form {name}")


def token_of(given: str, tokens: Sequence[tuple[str, str]]) -> tuple[str, str] | None:
    """Return the name and the token of who has this token, None for one that is not known; takes constant time."""
    sent = given.strip().encode("utf-8", "surrogateescape")
    known = [pair for pair in tokens if hmac.compare_digest(sent, pair[1].encode())]
    return known[0] if known else None


def _name(token: str) -> str:
    return PREFIX + hashlib.sha256(token.encode()).hexdigest()[:8]


def _signature(token: str, said: str) -> str:
    return hmac.new(token.encode(), f"page.{said}".encode(), hashlib.sha256).hexdigest()
