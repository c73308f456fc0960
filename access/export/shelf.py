"""The folder in which exports are kept: which are ready, how large they are, and where a caller gets their files.

An export's handle is its name and number, as `weekly/0003`. Files are found by what manifests list and by nothing else,
so that no handle and no name leads out of the folder.
"""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from access.answer import Answer
from access.export.export import MANIFEST, Export, read
from access.export.request import is_name
from access.quality import Rule
from access.refusal import Code, Refusal

BYTES: Final = 1 << 30
READY: Final = 20
"""Exports that are listed."""
_NUMBER: Final = re.compile(r"[0-9]{4,9}")
_COLUMNS: Final = ("handle", "created", "format", "events", "file", "rows", "bytes", "sha256", "fetch")
HTTP: Final = "fetch is a path at the address of this MCP server: GET it with the same Authorization header."
LOCAL: Final = "fetch is the path of the file on the machine on which this MCP server runs."


@dataclass(frozen=True, slots=True)
class Shelf:
    """A folder of exports, for callers who may write at most so many bytes into it."""

    folder: Path
    at_most: int = BYTES
    rules: tuple[Rule, ...] | None = None
    """The validation rules of exports that are made here; None: the bundled ones."""
    address: str = ""
    """The path below which the web process hands out files; "" where callers read the folder themselves."""

    @property
    def how(self) -> str:
        """How a caller gets what `fetch` names."""
        return HTTP if self.address else LOCAL

    def fetch(self, found: Export, file: str) -> str:
        """Return where a file of an export is got."""
        return (
            f"{self.address}/{handle(found)}/{file}" if self.address else str(found.folder.resolve() / file)
        )

    def used(self) -> int:
        """Return the bytes of all files in the folder."""
        return sum(
            (Path(place) / name).lstat().st_size
            for place, _, names in os.walk(self.folder)
            for name in names
            if (Path(place) / name).exists()
        )

    def newest(self) -> int:
        """Return when the last export became ready, in nanoseconds since 1970; 0 without any."""
        return max((at for at, _ in self._whole()), default=0)

    def ready(self, at_most: int = READY) -> list[Export]:
        """Return the last exports that are whole, the newest first."""
        found = []
        for _, folder in sorted(self._whole(), reverse=True)[:at_most]:
            try:
                found.append(read(folder))
            except Refusal:
                continue  # It was removed meanwhile, or is of another program.
        return found

    def listed(self) -> Answer:
        """Return the last exports, a row a file."""
        ready = self.ready()
        rows = [
            (
                handle(one), one.manifest["created"], one.manifest["format"], one.manifest["figures"]["records"],
                file.name, file.rows, file.bytes, file.sha256, self.fetch(one, file.name),
            )
            for one in ready
            for file in one.files
        ]  # fmt: skip
        notes = (
            (self.how,) if rows else ("No export is ready: export_telemetry or telemetry export makes one.",)
        )
        finding = f"{len(ready)} {'export is' if len(ready) == 1 else 'exports are'} ready."
        return Answer(_COLUMNS, rows, finding, notes=notes)

    def file(self, name: str, number: str, file: str) -> Path:
        """Return the path of a file that is whole and of an export here. Raises Refusal."""
        folder = self.folder / name / number
        if (
            is_name(name)
            and _NUMBER.fullmatch(number)
            and not (self.folder / name).is_symlink()
            and not folder.is_symlink()
        ):
            found = read(folder)
            path = folder / file
            if (
                file in {MANIFEST, *(one.name for one in found.files)}
                and path.is_file()
                and not path.is_symlink()
            ):
                return path
        raise Refusal(
            Code.UNKNOWN_NAME, "There is no such file: telemetry://export/ready lists those that are ready."
        )

    def room(self) -> int:
        """Return how many bytes may still be written. Raises Refusal when there are none."""
        left = self.at_most - self.used()
        if left <= 0:
            raise self.full()
        return left

    def full(self) -> Refusal:
        """Return the refusal of what has no room."""
        return Refusal(
            Code.RESULT_TOO_LARGE,
            f"All exports together would have more than {self.at_most:,} bytes (TELEMETRY_EXPORT_BYTES). Ask for a"
            " shorter period or for csv, or have the person who runs the server remove old exports.",
            "start_date",
            suggestions=('export_telemetry(format="csv", start_date="1 day ago")',),
        )

    def _whole(self) -> Iterator[tuple[int, Path]]:
        """Yield when each export became ready, and its folder."""
        for manifest in self.folder.glob(f"*/*/{MANIFEST}"):
            if is_name(manifest.parent.parent.name) and _NUMBER.fullmatch(manifest.parent.name):
                try:
                    yield manifest.stat().st_mtime_ns, manifest.parent
                except FileNotFoundError:
                    continue


def handle(found: Export) -> str:
    """Return the name and number of an export."""
    return f"{found.folder.parent.name}/{found.folder.name}"
