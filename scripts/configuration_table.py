#!/usr/bin/env python3
"""Writes the settings, as telemetry/settings.py declares them, into docs/configuration.md and .env.template.

Run it after a change of the settings. With `--check` it writes nothing and fails when either file is not what
it would write.
"""

import argparse
import sys
from enum import Enum
from pathlib import Path
from typing import Any, get_args

from pydantic import SecretStr
from pydantic.fields import FieldInfo

ROOT = Path(__file__).parent.parent
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

from telemetry.settings import Settings  # noqa: E402  the path is set above

DOCUMENT = ROOT / "docs/configuration.md"
TEMPLATE = ROOT / ".env.template"
BEGIN, END = "<!-- settings:begin -->", "<!-- settings:end -->"
HEAD = """\
# Every setting at its default. Copy this file to .env in the directory where the server is started, and
# uncomment what you change; the environment goes before the file. Keep .env private: it may hold secrets.
# Made by scripts/configuration_table.py from telemetry/settings.py.
"""


def main() -> int:
    """Write both files, or compare them with what is there."""
    parser = argparse.ArgumentParser(description="Write the settings into the documents.")
    parser.add_argument("--check", action="store_true", help="write nothing; fail when a file is stale")
    arguments = parser.parse_args()
    document = DOCUMENT.read_text(encoding="utf-8")
    before, begin, rest = document.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        sys.stderr.write(f"{DOCUMENT} has no place for the table; put {BEGIN} and {END} into it.\n")
        return 1
    fresh = {DOCUMENT: f"{before}{BEGIN}\n{table()}\n{END}{after}", TEMPLATE: template()}
    stale = [path for path, text in fresh.items() if not path.exists() or path.read_text("utf-8") != text]
    if arguments.check:
        for path in stale:
            sys.stderr.write(f"{path} is stale; run scripts/configuration_table.py.\n")
        return len(stale)
    for path in stale:
        path.write_text(fresh[path], encoding="utf-8")
    return 0


def table() -> str:
    """Write the table in Markdown, one line a setting, in the order of their declaration."""
    lines = ["| variable | default | meaning | bounds |", "|---|---|---|---|"]
    for field in Settings.model_fields.values():
        default = _default(field)
        shown = f"`{default}`{_mebibytes(field)}" if default else "unset"
        cells = (f"`{field.alias}`", shown, field.description, _bounds(field))
        lines.append(f"| {' | '.join(str(cell).replace('|', chr(92) + '|') for cell in cells)} |")
    return "\n".join(lines)


def template() -> str:
    """Write the template of a .env file, every setting commented out."""
    blocks = [HEAD]
    for field in Settings.model_fields.values():
        bounds = _bounds(field).replace("`", "")
        meaning = f"# {field.description}" + (f" ({bounds})" if bounds else "")
        blocks.append(f"{meaning}\n# {field.alias}={_default(field)}\n")
    return "\n".join(blocks)


def _default(field: FieldInfo) -> str:
    """Give the default as one would write it into the environment, "" when there is none."""
    default: Any = field.default
    if isinstance(default, SecretStr):
        default = default.get_secret_value()
        if default:
            raise ValueError(f"{field.alias} has a secret as its default, which then is none.")
    match default:
        case None | "" | ():
            return ""
        case Enum():
            return str(default.value)
        case float():
            return f"{default:g}"
        case _:
            return str(default)


def _mebibytes(field: FieldInfo) -> str:
    is_size = str(field.alias).endswith("_BYTES") and field.default % (1 << 20) == 0
    return f" ({field.default >> 20} MiB)" if is_size else ""


def _bounds(field: FieldInfo) -> str:
    """Say which values are taken, "" when any is."""
    if isinstance(field.annotation, type) and issubclass(field.annotation, Enum):
        return _choices([member.value for member in field.annotation])
    choices = [choice for choice in get_args(field.annotation) if isinstance(choice, str)]
    if choices:
        return _choices(choices)
    return " ".join(
        words.format(getattr(bound, name))
        for name, words in _BOUNDS.items()
        for bound in field.metadata
        if getattr(bound, name, None) is not None
    )


_BOUNDS = {
    "ge": "from {}",
    "gt": "over {}",
    "le": "up to {}",
    "min_length": "{} character or more",
    "pattern": "matches `{}`",
}


def _choices(choices: list[str]) -> str:
    *others, last = [f"`{choice}`" for choice in choices]
    return f"{', '.join(others)} or {last}"


if __name__ == "__main__":
    sys.exit(main())
