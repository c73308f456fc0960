"""The memory of all readers' statements together, lent to each as it begins.

A statement that runs alone gets as much as one may have. Each further one gets less, so that the sum stays within the
bound and every free slot can still be used.
"""

from typing import Final

from gateway.errors import QueryError

_LEAST: Final = 16 << 20


class Memory:
    """`total` bytes for `slots` statements at a time, `each` at most for one."""

    def __init__(self, total: int, each: int, slots: int) -> None:
        self._free = total
        self._each = each
        self._slots = slots
        self._floor = total // (2 * slots)
        self._lent = 0

    def lend(self, *, is_beside: bool = False) -> int:
        """Return the bytes that a statement may have until it gives them back. Raises QueryError when none are left.

        One that is asked beside another gets what its slot has for certain, so that the other may have as much as ever.
        """
        others = max(self._slots - self._lent - 1, 0)
        share = min(self._each, self._free - others * self._floor)
        if is_beside:
            share = min(share, max(self._floor, _LEAST))
        if share < min(_LEAST, self._each):
            raise QueryError.of(
                202,
                "TOO_MANY_SIMULTANEOUS_QUERIES",
                "The memory for readers is in use (TELEMETRY_QUERIES_MEMORY_BYTES); try again.",
            )
        self._free -= share
        self._lent += 1
        return share

    def give_back(self, share: int) -> None:
        """Take back what was lent."""
        self._free += share
        self._lent -= 1

    def let_go(self, share: int, used: int) -> int:
        """Take back what a statement that cannot be stopped does not use; return what it keeps until `ended`."""
        kept = min(share, used)
        self.give_back(share - kept)
        return kept

    def ended(self, kept: int) -> None:
        """Take back what a statement kept that could not be stopped."""
        self._free += kept
