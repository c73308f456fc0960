"""Claude Code's settings files, and changes to the `env` block in one of them that can be taken back exactly.

A change is written in one step, with a copy of the file as it was beside it, and remembered in `telemetry-setup.json`
in the same folder: which variables were written and what they were before. What is not ours stays as it is. Settings
are strict JSON: a file that is not is refused, since Claude Code ignores such a file as a whole.

Source: https://code.claude.com/docs/en/settings
"""

import difflib
import hashlib
import json
import os
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

RECORD: Final = "telemetry-setup.json"
_SECRET: Final = re.compile(r"HEADERS|TOKEN|KEY|SECRET|PASSWORD|AUTH", re.IGNORECASE)
_INDENT: Final = re.compile(r'\A\{\r?\n([ \t]+)"')


class SettingsFileError(Exception):
    """A settings file cannot be read or written. The text has the remedy and nothing of the content."""


@dataclass(frozen=True, slots=True)
class SettingsFile:
    """What one file holds. `text` is None when there is no such file."""

    path: Path
    text: str | None
    content: Mapping[str, Any]

    @property
    def env(self) -> dict[str, str]:
        """The variables that it sets."""
        block = self.content.get("env", {})
        return {str(name): _text(value) for name, value in block.items()} if isinstance(block, dict) else {}


@dataclass(frozen=True, slots=True)
class Change:
    """One file before and after, and what is to be remembered of it."""

    file: SettingsFile
    after: Mapping[str, Any] | None
    """None: the file goes, since it was made for these variables alone."""
    record: Mapping[str, Any] | None
    left: tuple[str, ...] = field(default=())
    """Variables of ours that somebody changed meanwhile, which therefore stay."""

    @property
    def text(self) -> str | None:
        """The file's new text, None when it goes."""
        return None if self.after is None else _dump(self.after, self.file.text)

    def diff(self) -> str:
        """Show what changes, line by line, with secrets hidden; "" when nothing does."""
        now = _shown(self.file.content, self.file.content, self.file.text)
        then = _shown(self.after or {}, self.file.content, self.file.text)
        names = f"{self.file.path} (now)", f"{self.file.path} (then)"
        return "\n".join(difflib.unified_diff(now, then, *names, lineterm=""))


def user_folder(environment: Mapping[str, str]) -> Path:
    """Where Claude Code keeps a person's settings."""
    return Path(environment.get("CLAUDE_CONFIG_DIR") or Path.home() / ".claude")


def managed_files() -> list[Path]:
    """List what an organization may put on this machine, the later over the earlier."""
    folder = Path(
        "/Library/Application Support/ClaudeCode" if sys.platform == "darwin" else "/etc/claude-code"
    )
    return [folder / "managed-settings.json", *sorted((folder / "managed-settings.d").glob("*.json"))]


def read(path: Path) -> SettingsFile:
    """Read a settings file; one that does not exist is empty. Raises SettingsFileError."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return SettingsFile(path, None, {})
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise SettingsFileError(f"{path} cannot be read ({reason}): mend that, then try again.") from None
    try:
        content = json.loads(text) if text.strip() else {}
    except json.JSONDecodeError as error:
        raise SettingsFileError(
            f"{path} is not JSON: {error.msg} at line {error.lineno}, column {error.colno}. Claude Code ignores the"
            " whole file until that is mended (no comments, no comma after the last entry)."
        ) from None
    if not isinstance(content, dict) or not isinstance(content.get("env", {}), dict):
        what = "the file" if not isinstance(content, dict) else '"env"'
        raise SettingsFileError(f"{path}: {what} must be a JSON object, in braces; mend it, then try again.")
    return SettingsFile(path, text, content)


def add(path: Path, variables: Mapping[str, str]) -> Change:
    """Plan to set variables in the file's `env` block. Raises SettingsFileError."""
    file = read(path)
    record = _read_record(path)
    before = dict(record.get("before", {}))
    written = dict(record.get("written", {}))
    env = dict(file.content.get("env", {}))
    for name, value in variables.items():
        ours = name in written and _digest(_text(env.get(name, ""))) == written[name]
        if not ours:
            before[name] = env.get(name)
        written[name] = _digest(value)
        env[name] = value
    # What an earlier run wrote and this one does not is ours to take away.
    for name in [name for name in written if name not in variables]:
        _give_back(env, name, before.pop(name, None), written.pop(name))
    after = {**file.content, "env": env}
    made = {
        "made_file": record.get("made_file", file.text is None),
        "made_env": record.get("made_env", "env" not in file.content),
    }
    return Change(file, after, {"written": written, "before": before, **made})


def remove(path: Path) -> Change:
    """Plan to take away what `add` set, and to bring back what was there before. Raises SettingsFileError."""
    file = read(path)
    record = _read_record(path)
    if not record:
        found = ", ".join(sorted(name for name in file.env if name.startswith(("OTEL_", "CLAUDE_CODE_E"))))
        hand = f" These were set by hand, so take them out by hand: {found}." if found else ""
        raise SettingsFileError(f"telemetry setup has changed nothing in {path}.{hand}")
    env = dict(file.content.get("env", {}))
    before = record.get("before", {})
    left = tuple(
        name
        for name, digest in record.get("written", {}).items()
        if not _give_back(env, name, before.get(name), digest)
    )
    after: dict[str, Any] | None = {**file.content, "env": env}
    if not env and record.get("made_env") and after is not None:
        del after["env"]
    if not after and record.get("made_file"):
        after = None
    return Change(file, after, None, left)


def write(change: Change, now: datetime | None = None) -> Path | None:
    """Carry a change out; give the path of the copy made of the file as it was. Raises SettingsFileError."""
    path = change.file.path
    # A link stays a link: people keep these files elsewhere.
    target = path.resolve()
    backup = None
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        mode = target.stat().st_mode & 0o777 if change.file.text is not None else 0o600
        if change.file.text is not None and change.text != change.file.text:
            stamp = (now or datetime.now(UTC)).strftime("%Y%m%d-%H%M%S-%f")
            backup = path.with_name(f"{path.name}.backup-{stamp}")
            replace(backup, change.file.text, mode & 0o600)
        # Before the settings, so that what is written can always be taken back.
        if change.record is not None:
            _remember(_record_path(path), path.name, change.record)
        if change.text is None:
            target.unlink(missing_ok=True)
        elif change.text != change.file.text:
            holds_secret = any(_SECRET.search(name) for name in (change.record or {}).get("written", {}))
            replace(target, change.text, mode & 0o600 if holds_secret else mode)
        if change.record is None:
            _forget(_record_path(path), path.name)
    except OSError as error:
        raise SettingsFileError(
            f"{path} cannot be written ({error.strerror}): mend that, then try again."
        ) from None
    return backup


def _give_back(env: dict[str, Any], name: str, before: Any, digest: str) -> bool:
    """Put one variable back as it was; not one that somebody changed since."""
    if name in env and _digest(_text(env[name])) != digest:
        return False
    if before is None:
        env.pop(name, None)
    else:
        env[name] = before
    return True


def _record_path(path: Path) -> Path:
    return path.with_name(RECORD)


def _read_record(path: Path) -> Mapping[str, Any]:
    content = read(_record_path(path)).content.get(path.name, {})
    return content if isinstance(content, dict) else {}


def _remember(record: Path, name: str, entry: Mapping[str, Any]) -> None:
    replace(record, _dump({**read(record).content, name: entry}, None), 0o600)


def _forget(record: Path, name: str) -> None:
    rest = {key: value for key, value in read(record).content.items() if key != name}
    if rest:
        replace(record, _dump(rest, None), 0o600)
    else:
        record.unlink(missing_ok=True)


def replace(path: Path, text: str, mode: int) -> None:
    """Write a file in one step, so that a crash leaves the old one or the new one."""
    new = path.with_name(f"{path.name}.new-{os.getpid()}")
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as file:
            os.fchmod(file.fileno(), mode)
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        new.replace(path)
    except BaseException:
        new.unlink(missing_ok=True)
        raise


def _dump(content: Mapping[str, Any], like: str | None) -> str:
    """Write JSON, indented as the text that it replaces."""
    found = _INDENT.match(like or "")
    text = json.dumps(content, indent=found[1] if found else 2, ensure_ascii=False)
    if like and "\r\n" in like:
        text = text.replace("\n", "\r\n")
    return text if like and not like.endswith("\n") else text + ("\r\n" if like and "\r\n" in like else "\n")


def _shown(content: Mapping[str, Any], now: Mapping[str, Any], like: str | None) -> list[str]:
    """Give a file's lines as they may be shown: of a variable that may be a secret, only whether it is a new one."""
    env = content.get("env")
    if isinstance(env, dict):
        known = now.get("env", {})
        shown = {
            name: ("<hidden>" if known.get(name) == value else "<hidden, new>")
            if _SECRET.search(name)
            else value
            for name, value in env.items()
        }
        content = {**content, "env": shown}
    return _dump(content, like).splitlines() if content else []


def _text(value: Any) -> str:
    """Give a variable's value as the process sees it: Claude Code takes numbers and truth values as text."""
    return value if isinstance(value, str) else json.dumps(value)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
