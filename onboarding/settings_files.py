"""Claude Code's settings files, and changes to the `env` block of one that can be undone exactly.

A change is written in one step. The first one leaves a backup of the file beside it, as it was before any run of setup;
later ones leave that as it is. `telemetry-setup.json` in the same folder records
which variables were written and their values before. All other settings stay as they are. Settings are strict JSON: a
file that is not is refused, since Claude Code ignores such a file as a whole.

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
from pathlib import Path
from typing import Any, Final

RECORD: Final = "telemetry-setup.json"
BACKUP: Final = ".backup-telemetry"
"""The end of the backup's name."""
_SECRET: Final = re.compile(r"HEADERS|TOKEN|KEY|SECRET|PASSWORD|AUTH", re.IGNORECASE)
_INDENT: Final = re.compile(r'\A\{\r?\n([ \t]+)"')


class SettingsFileError(Exception):
    """A settings file cannot be read or written. The text has the remedy and nothing of the content."""


@dataclass(frozen=True, slots=True)
class SettingsFile:
    """The content of one file. `text` is None when there is no such file."""

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
    """One file before and after a change, and the record of the change."""

    file: SettingsFile
    after: Mapping[str, Any] | None
    """None: the file is removed, since it was made for these variables alone."""
    record: Mapping[str, Any] | None
    left: tuple[str, ...] = field(default=())
    """Variables that setup wrote and that were changed by hand since: they stay."""

    @property
    def text(self) -> str | None:
        """The file's new text, None when it is removed."""
        return None if self.after is None else _dump(self.after, self.file.text)

    def diff(self) -> str:
        """Return the changed lines, with secrets hidden; "" when nothing changes."""
        now = _shown(self.file.content, self.file.content, self.file.text)
        then = _shown(self.after or {}, self.file.content, self.file.text)
        names = f"{self.file.path} (now)", f"{self.file.path} (then)"
        return "\n".join(difflib.unified_diff(now, then, *names, lineterm=""))


def user_folder(environment: Mapping[str, str]) -> Path:
    """Return the folder of a person's settings of Claude Code."""
    return Path(environment.get("CLAUDE_CONFIG_DIR") or Path.home() / ".claude")


def managed_files() -> list[Path]:
    """Return the files that an organization may manage on this machine; later ones override earlier ones."""
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
        raise SettingsFileError(f"{path} cannot be read ({reason}): correct that, then try again.") from None
    try:
        content = json.loads(text) if text.strip() else {}
    except json.JSONDecodeError as error:
        raise SettingsFileError(
            f"{path} is not JSON: {error.msg} at line {error.lineno}, column {error.colno}. Claude Code ignores the"
            " whole file until that is corrected (no comments, no comma after the last entry)."
        ) from None
    if not isinstance(content, dict) or not isinstance(content.get("env", {}), dict):
        what = "the file" if not isinstance(content, dict) else '"env"'
        raise SettingsFileError(
            f"{path}: {what} must be a JSON object, in braces; correct it, then try again."
        )
    return SettingsFile(path, text, content)


def add(path: Path, variables: Mapping[str, str]) -> Change:
    """Return the change that sets variables in the file's `env` block. Raises SettingsFileError."""
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
    # Variables that an earlier run wrote and this one does not are removed.
    for name in [name for name in written if name not in variables]:
        _restore(env, name, before.pop(name, None), written.pop(name))
    after = {**file.content, "env": env}
    made = {
        "made_file": record.get("made_file", file.text is None),
        "made_env": record.get("made_env", "env" not in file.content),
    }
    return Change(file, after, {"written": written, "before": before, **made})


def written(path: Path) -> dict[str, str]:
    """Return the variables that an earlier run wrote, as they are now. Raises SettingsFileError."""
    names = _read_record(path).get("written", {})
    return {name: value for name, value in read(path).env.items() if name in names}


def remove(path: Path) -> Change:
    """Return the change that undoes what `add` set and restores the values before. Raises SettingsFileError."""
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
        if not _restore(env, name, before.get(name), digest)
    )
    after: dict[str, Any] | None = {**file.content, "env": env}
    if not env and record.get("made_env") and after is not None:
        del after["env"]
    if not after and record.get("made_file"):
        after = None
    return Change(file, after, None, left)


def write(change: Change) -> Path | None:
    """Make a change and return the path of the backup, None when none was made. Raises SettingsFileError."""
    path = change.file.path
    # A link stays a link: people keep these files in other folders.
    target = path.resolve()
    backup = None
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        mode = target.stat().st_mode & 0o777 if change.file.text is not None else 0o600
        # What later runs change is recorded, and `remove` undoes it.
        is_first = not _read_record(path)
        if change.file.text is not None and change.text != change.file.text and is_first:
            backup = path.with_name(f"{path.name}{BACKUP}")
            replace(backup, change.file.text, mode & 0o600)
        # The record is written before the settings, so that the change can always be undone.
        if change.record is not None:
            _add_record(_record_path(path), path.name, change.record)
        if change.text is None:
            target.unlink(missing_ok=True)
        elif change.text != change.file.text:
            holds_secret = any(_SECRET.search(name) for name in (change.record or {}).get("written", {}))
            replace(target, change.text, mode & 0o600 if holds_secret else mode)
        if change.record is None:
            _remove_record(_record_path(path), path.name)
    except OSError as error:
        raise SettingsFileError(
            f"{path} cannot be written ({error.strerror}): correct that, then try again."
        ) from None
    return backup


def _restore(env: dict[str, Any], name: str, before: Any, digest: str) -> bool:
    """Restore one variable, unless it was changed since. Return whether it was restored."""
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


def _add_record(record: Path, name: str, entry: Mapping[str, Any]) -> None:
    replace(record, _dump({**read(record).content, name: entry}, None), 0o600)


def _remove_record(record: Path, name: str) -> None:
    rest = {key: value for key, value in read(record).content.items() if key != name}
    if rest:
        replace(record, _dump(rest, None), 0o600)
    else:
        record.unlink(missing_ok=True)


def replace(path: Path, text: str, mode: int) -> None:
    """Write a file in one step: a crash leaves the old file or the new one."""
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
    """Return JSON, indented like the text that it replaces."""
    found = _INDENT.match(like or "")
    text = json.dumps(content, indent=found[1] if found else 2, ensure_ascii=False)
    if like and "\r\n" in like:
        text = text.replace("\n", "\r\n")
    return text if like and not like.endswith("\n") else text + ("\r\n" if like and "\r\n" in like else "\n")


def _shown(content: Mapping[str, Any], now: Mapping[str, Any], like: str | None) -> list[str]:
    """Return a file's lines for display: of a variable that may be a secret, only whether its value is new."""
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
    """Return a variable's value as a process sees it: Claude Code turns numbers and booleans into text."""
    return value if isinstance(value, str) else json.dumps(value)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
