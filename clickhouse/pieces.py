"""The bytes of a block, in as many pieces as it was made of, none of them copied.

A block is megabytes, and to copy it costs as much as to receive it: the kernel clears a page for every four
kilobytes. So the engine's own memory is what is written to files and sockets.
"""

from collections.abc import Iterable, Iterator
from typing import Any


class Pieces:
    """Bytes in several places. Iterating gives them in order, as views that are valid while this object is kept."""

    __slots__ = ("_owners", "_size", "_views")

    def __init__(self, views: Iterable[bytes | memoryview], owners: Iterable[Any] = ()) -> None:
        self._views = tuple(memoryview(view) for view in views)
        self._owners = tuple(owners)  # a view of the engine's memory does not keep that alive
        self._size = sum(view.nbytes for view in self._views)

    @classmethod
    def of(cls, result: Any) -> "Pieces":
        """Lend the memory of a chDB result."""
        lent = result.get_memview()
        return cls([lent.view()], [result, lent])

    @classmethod
    def joined(cls, several: Iterable["Pieces"]) -> "Pieces":
        """Put several after each other."""
        kept = tuple(several)
        return cls((view for one in kept for view in one), kept)

    def __len__(self) -> int:
        """Give how many bytes there are."""
        return self._size

    def __iter__(self) -> Iterator[memoryview]:
        """Give the pieces; the iterator keeps this object."""
        yield from self._views

    def __eq__(self, other: object) -> bool:
        """Compare the bytes, however they are divided."""
        return isinstance(other, Pieces) and bytes(self) == bytes(other)

    def __hash__(self) -> int:
        """Agree with equality."""
        return hash(bytes(self))

    def __bytes__(self) -> bytes:
        """Copy everything into one place."""
        return b"".join(self._views)
