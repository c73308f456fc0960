"""One budget of bytes for all requests that are still arriving, over gRPC and HTTP.

A body over HTTP takes from it what it holds, piece by piece, as it is read and decompressed. gRPC's core says nothing
of a message until it is whole, so half of the budget is gRPC's, in parts as large as a message may be
(`incoming_calls`). When there is no room, the body that holds the most of those that have been arriving for a while
gives way: it is told to try later. So senders that never finish cannot keep out those that do, and what they hold is
bounded.

Belongs to the event loop. Knows nothing of HTTP: the taker of a share says how it is given up.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from otlp.status import Reason, TryLater

PATIENCE_SECONDS: Final = 0.5
"""A request that has been arriving for less than this is not told to give way."""


def crowded() -> TryLater:
    """Return the failure of a request for which there is no room."""
    return TryLater(
        Reason.CROWDED,
        "Too many bytes of unfinished requests are arriving; send again later. If it stays so, send smaller batches, or"
        " raise TELEMETRY_ARRIVING_BYTES.",
    )


@dataclass(frozen=True, slots=True)
class ArrivingLimits:
    """The bytes that may be on their way, and the largest request."""

    arriving_bytes: int
    request_bytes: int

    @property
    def grpc_messages(self) -> int:
        """How many messages may be on their way over gRPC."""
        return max(1, self.arriving_bytes // 2 // self.request_bytes)

    @property
    def http_bytes(self) -> int:
        """The bytes that may be on their way over HTTP."""
        return max(self.request_bytes, self.arriving_bytes - self.grpc_messages * self.request_bytes)


class Share:
    """What one body holds of the budget. `give_up` is called when it has to give way, once."""

    __slots__ = ("arrived", "begun", "bytes", "give_up", "given_up")

    def __init__(self) -> None:
        self.give_up: Callable[[], None] = lambda: None
        self.begun = time.monotonic()
        self.bytes = 0
        self.arrived = False
        """Whether it is whole: it holds its bytes until they are handed on, and does not give way."""
        self.given_up = False


class Arriving:
    """The budget of HTTP's bodies, of `limit` bytes."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._used = 0
        self._shares: set[Share] = set()

    @property
    def used(self) -> int:
        """The bytes that requests hold."""
        return self._used

    def take(self, share: Share, size: int) -> bool:
        """Take so many bytes more for a share; return False, and take none, when there is no room for them."""
        if share.given_up:
            return False
        self._make_room(share, size)
        if self._used + size > self.limit:
            return False
        self._used += size
        share.bytes += size
        self._shares.add(share)
        return True

    def release(self, share: Share) -> None:
        """Return all that a share holds to the budget."""
        self._shares.discard(share)
        self._used -= share.bytes
        share.bytes = 0

    def _make_room(self, asking: Share, size: int) -> None:
        """Drop the largest of the shares that have been arriving for a while, until there is room or none is left."""
        if self._used + size <= self.limit:
            return
        before = time.monotonic() - PATIENCE_SECONDS
        slow = [one for one in self._shares if one.begun < before and not one.arrived and one is not asking]
        for one in sorted(slow, key=lambda one: (-one.bytes, one.begun)):
            if self._used + size <= self.limit:
                break
            one.given_up = True
            self.release(one)
            one.give_up()
