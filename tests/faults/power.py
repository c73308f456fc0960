"""Loss of power, modelled: the parts of a spool's work that a file system may have kept, at every instant.

A play runs on a real directory while every call that changes it is recorded with the state of the tree at that moment.
Afterwards the power is cut after each call, in every way that fsync allows, and the spool that is found is opened:

* the names in a directory are those of some moment between its last fsync and the cut, each directory by itself; a
  rename happens in both of its directories or in neither, as journals do it;
* a file has the bytes of its last fsync if nothing was written since; else none, half, all, or as many zeros.

That is less than ext4 and xfs promise, who keep the order of names across directories.
"""

import itertools
import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

_VARIANTS: Sequence[Callable[[bytes], bytes]] = (
    lambda _: b"",
    lambda content: content[: len(content) // 2],
    lambda content: bytes(len(content)),
    bytes,
)


@dataclass(frozen=True, slots=True)
class Change:
    """One call that changed names, and the inode numbers of the directories it changed them in."""

    kind: str
    path: Path
    target: Path | None
    inode: int
    directories: tuple[int, ...]


@dataclass(slots=True)
class Moment:
    """After a call: the number of changes, the syncs until then, and the contents of files."""

    changes: int
    synced_names: dict[int, int]
    """By directory: how many of all changes its last fsync covers."""
    synced_content: dict[int, bytes]
    content: dict[int, bytes]
    promises: int
    """How many entries the play's list of promises had."""


class Recorder:
    """Records what is done under a directory while it is `recording`. One thread."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.changes: list[Change] = []
        self.moments: list[Moment] = []
        self.promises: list[Any] = []
        """The promises on which the play may rely from now on; written by the play."""
        self.root_inode = root.stat().st_ino
        self._synced_names: dict[int, int] = {}
        self._synced_content: dict[int, bytes] = {}
        self._real_open = os.open
        self._held: list[int] = []

    @contextmanager
    def recording(self) -> Iterator[None]:
        """Record every call that goes through `os`, and check afterwards that none went another way."""
        with (
            mock.patch.object(os, "open", self._open(os.open)),
            mock.patch.object(os, "mkdir", self._making(os.mkdir)),
            mock.patch.object(os, "rename", self._moving(os.rename)),
            mock.patch.object(os, "replace", self._moving(os.replace)),
            mock.patch.object(os, "unlink", self._removing("unlink", os.unlink)),
            mock.patch.object(os, "rmdir", self._removing("rmdir", os.rmdir)),
            mock.patch.object(os, "fsync", self._syncing(os.fsync)),
        ):
            try:
                yield
            finally:
                for descriptor in self._held:
                    os.close(descriptor)
        tree = {path: inode for path, inode in self.names(len(self.changes)).items() if path != self.root}
        actual = {path: path.stat().st_ino for path in self.root.rglob("*")}
        assert tree == actual, "something changed the tree without being recorded"

    def note(self) -> None:
        """Note a moment: the power may be cut here."""
        content = {path.stat().st_ino: path.read_bytes() for path in self.root.rglob("*") if path.is_file()}
        self.moments.append(
            Moment(
                len(self.changes),
                dict(self._synced_names),
                dict(self._synced_content),
                content,
                len(self.promises),
            )
        )

    def names(self, count: int, kept: Callable[[Change, int], bool] = lambda *_: True) -> dict[Path, int]:
        """Return the tree that the first changes make, without those that are not kept: inodes by path."""
        children: dict[int, dict[str, int]] = {self.root_inode: {}}
        for number, change in enumerate(self.changes[:count]):
            if not kept(change, number):
                continue
            source = children.setdefault(change.directories[0], {})
            if change.kind in {"create", "mkdir"}:
                source[change.path.name] = change.inode
            elif change.kind in {"unlink", "rmdir"}:
                source.pop(change.path.name, None)
            else:
                assert change.target
                source.pop(change.path.name, None)
                children.setdefault(change.directories[-1], {})[change.target.name] = change.inode
        found: dict[Path, int] = {}

        def walk(path: Path, inode: int) -> None:
            found[path] = inode
            for name, child in children.get(inode, {}).items():
                walk(path / name, child)

        walk(self.root, self.root_inode)
        return found

    def _changed(
        self, kind: str, path: Path, target: Path | None, inode: int, directories: tuple[int, ...]
    ) -> None:
        if kind in {"create", "mkdir"}:  # as long as it is held, its inode's number is not given to another
            self._held.append(self._real_open(path, os.O_PATH))
        self.changes.append(Change(kind, path, target, inode, directories))
        self.note()

    def _open(self, real: Callable[..., int]) -> Callable[..., int]:
        def call(path: Any, flags: int, *rest: Any, **named: Any) -> int:
            creates = bool(flags & os.O_CREAT) and self._is_ours(path, named) and not Path(path).exists()
            descriptor = real(path, flags, *rest, **named)
            if creates:
                where = Path(path)
                inode, above = os.fstat(descriptor).st_ino, where.parent.stat().st_ino
                self._changed("create", where, None, inode, (above,))
            return descriptor

        return call

    def _making(self, real: Callable[..., None]) -> Callable[..., None]:
        def call(path: Any, *rest: Any, **named: Any) -> None:
            real(path, *rest, **named)
            if self._is_ours(path, named):
                where = Path(path)
                self._changed("mkdir", where, None, where.stat().st_ino, (where.parent.stat().st_ino,))

        return call

    def _moving(self, real: Callable[..., None]) -> Callable[..., None]:
        def call(source: Any, target: Any, **named: Any) -> None:
            old, new = Path(source), Path(target)
            inode = old.stat().st_ino
            directories = old.parent.stat().st_ino, new.parent.stat().st_ino
            real(source, target, **named)
            if self._is_ours(source, named):
                self._changed("rename", old, new, inode, directories)

        return call

    def _removing(self, kind: str, real: Callable[..., None]) -> Callable[..., None]:
        def call(path: Any, **named: Any) -> None:
            where = Path(path)
            if (descriptor := named.get("dir_fd")) is not None:
                where = Path(f"/proc/self/fd/{descriptor}").readlink() / path
            inode, above = where.stat().st_ino, where.parent.stat().st_ino
            real(path, **named)
            if self._is_ours(where, {}):
                self._changed(kind, where, None, inode, (above,))

        return call

    def _syncing(self, real: Callable[[int], None]) -> Callable[[int], None]:
        def call(descriptor: int) -> None:
            real(descriptor)
            where = Path(f"/proc/self/fd/{descriptor}").readlink()
            if where.is_dir():
                self._synced_names[where.stat().st_ino] = len(self.changes)
            else:
                self._synced_content[where.stat().st_ino] = where.read_bytes()
            self.note()

        return call

    def _is_ours(self, path: Any, named: Mapping[str, Any]) -> bool:
        return named.get("dir_fd") is None and Path(path).is_relative_to(self.root)


@dataclass(frozen=True, slots=True)
class Cut:
    """One way in which the power can go."""

    moment: Moment
    files: Mapping[Path, bytes]
    directories: frozenset[Path]

    def lay_out(self, folder: Path, root: Path) -> None:
        """Make the files that are left."""
        shutil.rmtree(folder, ignore_errors=True)
        for directory in sorted(self.directories):
            (folder / directory.relative_to(root)).mkdir(parents=True, exist_ok=True)
        for path, content in self.files.items():
            (folder / path.relative_to(root)).write_bytes(content)


def cuts(recorder: Recorder) -> Iterator[Cut]:
    """Yield every way in which the power can fail: each state of the disk once for each set of promises."""
    seen = set()
    for moment in recorder.moments:
        for tree in {tuple(tree.items()) for tree in _trees(recorder, moment)}:
            for variant in _VARIANTS:
                cut = _cut(recorder, moment, dict(tree), variant)
                state = (moment.promises, cut.directories, tuple(sorted(cut.files.items())))
                if state not in seen:
                    seen.add(state)
                    yield cut


def _trees(recorder: Recorder, moment: Moment) -> Iterator[dict[Path, int]]:
    changes = recorder.changes[: moment.changes]
    certain = _certain(changes, moment.synced_names)
    pending: dict[int, list[int]] = {}
    for number, change in enumerate(changes):
        for directory in dict.fromkeys(change.directories):
            if number >= certain.get(directory, 0):
                pending.setdefault(directory, []).append(number)
    for chosen in itertools.product(*([*numbers, len(changes)] for numbers in pending.values())):
        ends = dict(zip(pending, chosen, strict=True))

        def is_kept(change: Change, number: int, ends: Mapping[int, int] = ends) -> bool:
            return all(number < ends.get(directory, number + 1) for directory in change.directories)

        yield recorder.names(moment.changes, is_kept)


def _certain(changes: Sequence[Change], synced: Mapping[int, int]) -> dict[int, int]:
    """Return the change up to which each directory is certain: by its own fsync, or by that of a rename's other end."""
    certain = dict(synced)
    before: dict[int, int] = {}
    while before != certain:
        before = dict(certain)
        for number, change in enumerate(changes):
            if any(number < certain.get(directory, 0) for directory in change.directories):
                for directory in change.directories:
                    certain[directory] = max(certain.get(directory, 0), number + 1)
    return certain


def _cut(
    recorder: Recorder, moment: Moment, tree: Mapping[Path, int], variant: Callable[[bytes], bytes]
) -> Cut:
    directories, files = set(), {}
    made = {change.inode for change in recorder.changes if change.kind == "create"}
    for path, inode in tree.items():
        if inode not in made:
            directories.add(path)
            continue
        now = moment.content.get(inode)
        synced = moment.synced_content.get(inode)
        if now is None:  # removed by then, though its name is still there
            now = next(
                (
                    earlier.content[inode]
                    for earlier in reversed(recorder.moments)
                    if inode in earlier.content
                ),
                b"",
            )
        files[path] = now if now == synced else variant(now)
    return Cut(moment, files, frozenset(directories))
