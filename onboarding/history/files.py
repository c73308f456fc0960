"""The transcripts of Claude Code: where they are, in which order they are read, and their lines.

A session is a file of JSON lines below `projects/`; subagents have files of their own in a folder beside it. The format
is internal to the client and changes: a line that cannot be read is counted and left out. Nothing is written here.

Source: https://code.claude.com/docs/en/sessions, and files of clients 2.1.197 and 2.1.332.
"""

import json
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import orjson

NANOSECONDS: Final = 1_000_000_000
LONGEST_LINE: Final = 64 << 20
"""A longer line is left out: a session's whole history is not one record."""
_FIRST_LINES: Final = 50


class FilesError(Exception):
    """There are no transcripts to read. The text has the remedy."""


@dataclass(frozen=True, slots=True)
class Transcript:
    """A file. `began` is the time of its first record, in Unix nanoseconds; 0 when it has none."""

    path: Path
    size: int
    began: int
    changed: float
    """When it was last written, in Unix seconds."""


@dataclass(frozen=True, slots=True)
class Line:
    """A line: its number in the file, from 1, the bytes it takes, and its object, None when it was left out."""

    number: int
    size: int
    record: dict[str, Any] | None


def folders(environment: Mapping[str, str]) -> list[Path]:
    """Return the folders where the client keeps transcripts, as far as they exist."""
    home = Path(environment.get("HOME") or Path.home())
    named = environment.get("CLAUDE_CONFIG_DIR", "").strip()
    places = [Path(named)] if named else [home / ".claude", home / ".config" / "claude"]
    return [place / "projects" for place in places if (place / "projects").is_dir()]


def transcripts(paths: Iterable[Path], unread: Counter[str]) -> list[Transcript]:
    """Return the transcripts in folders, or named themselves, the one that began first first.

    A session that was resumed into a file of its own begins with a copy of the old one's lines. The old file is the one
    that is read first: it began earlier, or else was written last earlier. Counts what cannot be read in `unread`.
    Raises FilesError for a path that does not exist.
    """
    found: dict[Path, Transcript] = {}
    for path in paths:
        if not path.exists():
            raise FilesError(f"There is no {path}. Name a folder of transcripts, such as ~/.claude/projects.")
        for one in [path] if path.is_file() else _below(path):
            try:
                status = one.stat()
                found[one.resolve()] = Transcript(one, status.st_size, _began(one), status.st_mtime)
            except OSError:
                unread["files that cannot be read"] += 1
    return sorted(found.values(), key=lambda one: (one.began, one.changed, str(one.path)))


def lines(transcript: Transcript, unread: Counter[str]) -> Iterator[Line]:
    """Yield a transcript's lines, up to the size that it had. Counts what cannot be read in `unread`.

    A last line without its end is being written by a running session, and is left to the next run.
    """
    try:
        with transcript.path.open("rb") as file:
            left, number = transcript.size, 0
            while left > 0 and (raw := file.readline(min(left, LONGEST_LINE))):
                number += 1
                size = len(raw)
                left -= size
                if not raw.endswith(b"\n") and left > 0:
                    size += _skip_line(file, left)
                    left -= size - len(raw)
                    unread["lines that are too long"] += 1
                    yield Line(number, size, None)
                    continue
                record = parsed(raw)
                if record is None and raw.strip():
                    whole = raw.endswith(b"\n")
                    unread["lines that are not JSON objects" if whole else "last lines being written"] += 1
                yield Line(number, size, record)
    except OSError:
        unread["files that cannot be read"] += 1


def parsed(raw: bytes) -> dict[str, Any] | None:
    """Return a line's object; None for what is none."""
    try:
        found = orjson.loads(raw)
    except orjson.JSONDecodeError:
        # The client cuts texts in the middle of a character, which JSON's grammar allows and orjson does not.
        try:
            found = json.loads(raw.decode("utf-8", "replace"))
        except (ValueError, RecursionError):
            return None
    return found if isinstance(found, dict) else None


def nanoseconds(value: object) -> int | None:
    """Return a time in Unix nanoseconds from ISO 8601 with a zone; None for what is none."""
    if not isinstance(value, str):
        return None
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        return None
    if moment.tzinfo is None:
        return None
    since = moment.astimezone(UTC) - datetime(1970, 1, 1, tzinfo=UTC)
    whole = (since.days * 86_400 + since.seconds) * NANOSECONDS + since.microseconds * 1000
    return whole if 0 < whole < 1 << 63 else None


def _below(folder: Path) -> Iterator[Path]:
    for place, _, names in os.walk(folder):  # links to folders are not followed
        yield from (Path(place) / name for name in names if name.endswith(".jsonl"))


def _began(path: Path) -> int:
    with path.open("rb") as file:
        for _ in range(_FIRST_LINES):
            raw = file.readline(LONGEST_LINE)
            if not raw:
                break
            if (record := parsed(raw)) and (time := nanoseconds(record.get("timestamp"))):
                return time
    return 0


def _skip_line(file: Any, most: int) -> int:
    skipped = 0
    while skipped < most and (raw := file.readline(min(most - skipped, LONGEST_LINE))):
        skipped += len(raw)
        if raw.endswith(b"\n"):
            break
    return skipped
