"""Deletion on demand from the page: `telemetry forget` in a process of its own, so that this one never holds the right.

The page's own process asks as the user who only reads. A person's name goes in by standard input, and is in no log and
no list of processes. One deletion runs at a time; it goes on when the browser is closed, and what it said is kept until
the next one.
"""

import asyncio
import contextlib
from asyncio.subprocess import PIPE, STDOUT
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import structlog

from access.refusal import Code, Refusal, invalid
from access.text import visible

log = structlog.get_logger()

KINDS: Final = ("session", "user")
_COUNT_SECONDS: Final = 120.0
_LINES: Final = 100
_LONGEST: Final = 500


@dataclass(frozen=True, slots=True)
class Said:
    """What the command said, and whether it did what it was told."""

    text: str
    is_done: bool


class Forgetting:
    """The deletions of this process. `command` is how `telemetry forget` is run; empty: not from here."""

    def __init__(self, command: Sequence[str]) -> None:
        self._command = command
        self._task: asyncio.Task[None] | None = None
        self.last: Said | None = None

    @property
    def is_possible(self) -> bool:
        """Whether this process knows how."""
        return bool(self._command)

    @property
    def is_running(self) -> bool:
        """Whether a deletion is under way."""
        return self._task is not None and not self._task.done()

    async def count(self, kind: str, value: str) -> Said:
        """Return what would be deleted, by table. Raises Refusal."""
        try:
            async with asyncio.timeout(_COUNT_SECONDS):
                return await self._run(kind, value, "--dry-run")
        except TimeoutError:
            message = "Counting took too long. At the command line, telemetry forget --dry-run has no limit."
            raise Refusal(Code.TIMEOUT, message) from None

    def begin(self, kind: str, value: str, caller: str) -> None:
        """Begin a deletion. Raises Refusal while another runs."""
        if self.is_running:
            raise Refusal(Code.CONFLICT, "A deletion is under way: wait for it to end.")
        _checked(kind, value)
        log.info("A deletion was begun on the page.", kind=kind, caller=visible(caller, 80))
        self.last = None
        self._task = asyncio.create_task(self._delete(kind, value))

    async def close(self) -> None:
        """Wait for nothing: what runs is stopped, and telemetry forget --resume takes it up."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    async def _delete(self, kind: str, value: str) -> None:
        try:
            self.last = await self._run(kind, value, "--yes")
        except Refusal as refusal:
            self.last = Said(refusal.message, is_done=False)

    async def _run(self, kind: str, value: str, option: str) -> Said:
        _checked(kind, value)
        # A person's name is in no list of processes; a session's id begins with no dash.
        named = ["--user", "-"] if kind == "user" else [f"--session={value}"]
        try:
            process = await asyncio.create_subprocess_exec(
                *self._command, *named, option, stdin=PIPE, stdout=PIPE, stderr=STDOUT
            )
        except OSError as error:
            message = (
                f"telemetry forget could not be run ({type(error).__name__}): run it at the command line."
            )
            raise Refusal(Code.QUERY_FAILED, message) from None
        try:
            given = f"{value}\n".encode() if kind == "user" else b""
            output, _ = await process.communicate(given)
        except BaseException:
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
            await process.wait()
            raise
        lines = output.decode(errors="replace").splitlines()[:_LINES]
        return Said("\n".join(visible(line, _LONGEST) for line in lines), process.returncode == 0)


def _checked(kind: str, value: str) -> None:
    if kind not in KINDS:
        raise invalid("kind", "A session or a person can be forgotten.", KINDS)
    if not value or len(value) > _LONGEST or not value.isprintable() or value.startswith("-"):
        raise invalid("value", f"Name the {'session' if kind == 'session' else 'person'} in one line.")
