"""Failed log-ins, slowed for each address and name, so that a password cannot be guessed by trying.

The first few failures cost nothing: people mistype. From then on the attempts of one address for one name are looked
at one after the other, and each wrong one is answered later than the one before, up to a few seconds. Too many that
wait are refused unread. A right password is as slow as its turn, and is never locked out; other names and addresses
notice nothing. What is remembered is bounded, and forgotten after some quiet minutes.
"""

import asyncio
import ipaddress
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final

from gateway.errors import QueryError

FREE: Final = 3
"""Failures that are answered at once."""
_FIRST_SECONDS: Final = 0.25
_LONGEST_SECONDS: Final = 4.0
_WAITING: Final = 8
_FORGET_SECONDS: Final = 120.0
_KEPT: Final = 4096


@dataclass(slots=True)
class _Tries:
    failures: int = 0
    last: float = 0.0
    waiting: int = 0
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)


class Attempts:
    """The latest failures. `clock` returns seconds that only grow."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._tries: OrderedDict[tuple[str, str], _Tries] = OrderedDict()

    @asynccontextmanager
    async def of(self, address: str, name: str) -> AsyncIterator[None]:
        """Wait for the turn of an attempt, which fails by raising QueryError. Raises it for one too many as well."""
        tries = self._find((_network(address), name))
        if tries.failures < FREE:
            with_turn = False
        elif tries.waiting >= _WAITING:
            raise QueryError.of(
                202,
                "TOO_MANY_SIMULTANEOUS_QUERIES",
                "Too many log-ins failed from this address; try again later.",
            )
        else:
            with_turn = True
        if not with_turn:
            try:
                yield
            except QueryError:
                self._failed(tries)
                raise
            tries.failures = 0
            return
        tries.waiting += 1
        try:
            async with tries.turn:
                try:
                    yield
                except QueryError:
                    self._failed(tries)
                    await asyncio.sleep(
                        min(_FIRST_SECONDS * 2.0 ** min(tries.failures - FREE - 1, 8), _LONGEST_SECONDS)
                    )
                    raise
                tries.failures = 0
        finally:
            tries.waiting -= 1

    def _failed(self, tries: _Tries) -> None:
        tries.failures += 1
        tries.last = self._clock()

    def _find(self, key: tuple[str, str]) -> _Tries:
        tries = self._tries.pop(key, None)
        if tries is None or (not tries.waiting and self._clock() - tries.last > _FORGET_SECONDS):
            tries = _Tries()
        self._tries[key] = tries
        if len(self._tries) > _KEPT:
            self._tries.popitem(last=False)
        return tries


def _network(address: str) -> str:
    """Return what counts as one address: of IPv6 the network that one customer has."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(found, ipaddress.IPv6Address):
        return str(ipaddress.IPv6Network((found, 64), strict=False))
    return str(found)
