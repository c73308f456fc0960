"""The bytes of a block, in the pieces in which it was made, without a copy.

A block has megabytes, and copying it costs as much as receiving it: the kernel clears a page for every four kilobytes.
So files and sockets are written from the engine's own memory.
"""

from collections.abc import Iterable, Iterator
from typing import Any


class Pieces:
    """Bytes in several places. Iterating yields them in order, as views that are valid while this object is kept."""

    __slots__ = ("_owners", "_size", "_views")

    def __init__(self, views: Iterable[bytes | memoryview], owners: Iterable[Any] = ()) -> None:
        self._views = tuple(memoryview(view) for view in views)
        self._owners = tuple(owners)  # a view of the engine's memory does not keep that memory alive
        self._size = sum(view.nbytes for view in self._views)

    @classmethod
    def of(cls, result: Any) -> "Pieces":
        """Return a chDB result's memory, without a copy."""
        lent = result.get_memview()
        return cls([lent.view()], [result, lent])

    @classmethod
    def joined(cls, several: Iterable["Pieces"]) -> "Pieces":
        """Return several blocks' pieces, one after the other."""
        kept = tuple(several)
        return cls((view for one in kept for view in one), kept)

    def __len__(self) -> int:
        """Return the number of bytes."""
        return self._size

    def __iter__(self) -> Iterator[memoryview]:
        """Yield the pieces; the iterator keeps this object alive."""
        yield from self._views

    def __eq__(self, other: object) -> bool:
        """Whether the bytes are equal, however they are divided into pieces."""
        return isinstance(other, Pieces) and bytes(self) == bytes(other)

    def __hash__(self) -> int:
        """Return a hash of the bytes, so that equal objects have equal hashes."""
        return hash(bytes(self))

    def __bytes__(self) -> bytes:
        """Return a copy of all pieces, joined."""
        return b"".join(self._views)
