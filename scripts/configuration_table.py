#!/usr/bin/env python3
"""Writes the settings into docs/configuration.md, .env.template and the receiver's part of docker-compose.yml.

The settings are declared in config/settings.py; the few that only docker-compose.yml reads are declared in its
`x-settings`. Run this after a change of either. With `--check` it writes nothing and fails when a file is stale.
"""

import argparse
import sys
from enum import Enum
from pathlib import Path
from typing import Any, get_args

import yaml
from pydantic import SecretStr
from pydantic.fields import FieldInfo

ROOT = Path(__file__).parent.parent
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

from config.settings import Settings  # noqa: E402  the path is set above

DOCUMENT = ROOT / "docs/configuration.md"
TEMPLATE = ROOT / ".env.template"
COMPOSE = ROOT / "docker-compose.yml"
BEGIN, END = "<!-- settings:begin -->", "<!-- settings:end -->"
STACK_BEGIN, STACK_END = "<!-- stack:begin -->", "<!-- stack:end -->"
COMPOSE_BEGIN, COMPOSE_END = "      # settings:begin\n", "      # settings:end\n"
HEAD = """\
# Every setting at its default. Copy this file to .env in the directory where the server is started, and
# uncomment what you change; the environment goes before the file. Keep .env private: it may hold secrets.
# Made by scripts/configuration_table.py. For Docker let scripts/make-env.sh write .env, with secrets of your own.
"""
STACK_HEAD = """\
# The variables below are for docker-compose.yml alone.
"""


def main() -> int:
    """Write the files, or compare them with the present ones."""
    parser = argparse.ArgumentParser(description="Write the settings into the documents.")
    parser.add_argument("--check", action="store_true", help="write nothing; fail when a file is stale")
    arguments = parser.parse_args()
    document = between(DOCUMENT.read_text(encoding="utf-8"), BEGIN, END, f"\n{table()}\n")
    fresh = {
        DOCUMENT: between(document, STACK_BEGIN, STACK_END, f"\n{stack_table()}\n"),
        TEMPLATE: template(),
        COMPOSE: between(COMPOSE.read_text(encoding="utf-8"), COMPOSE_BEGIN, COMPOSE_END, passed_on()),
    }
    stale = [path for path, text in fresh.items() if not path.exists() or path.read_text("utf-8") != text]
    if arguments.check:
        for path in stale:
            sys.stderr.write(f"{path} is stale; run scripts/configuration_table.py.\n")
        return len(stale)
    for path in stale:
        path.write_text(fresh[path], encoding="utf-8")
    return 0


def between(text: str, begin: str, end: str, content: str) -> str:
    """Replace the text between two marks."""
    before, found_begin, rest = text.partition(begin)
    _, found_end, after = rest.partition(end)
    if not found_begin or not found_end:
        raise SystemExit(f"There is no place for the settings: put {begin.strip()} and {end.strip()} back.")
    return f"{before}{begin}{content}{end}{after}"


def stack() -> dict[str, dict[str, str]]:
    """Read the variables that docker-compose.yml declares, with their `default` and `meaning`."""
    declared: dict[str, dict[str, str]] = yaml.safe_load(COMPOSE.read_text(encoding="utf-8"))["x-settings"]
    return declared


def stack_table() -> str:
    """Write the table of docker-compose.yml's own variables."""
    lines = ["| variable | default | meaning |", "|---|---|---|"]
    for name, about in stack().items():
        default = f"`{about['default']}`" if about["default"] else "unset"
        lines.append(f"| `{name}` | {default} | {about['meaning']} |")
    return "\n".join(lines)


def passed_on() -> str:
    """Write the settings that docker-compose.yml passes to the receiver, except those that it sets itself."""
    services = yaml.safe_load(COMPOSE.read_text(encoding="utf-8"))["services"]
    text = COMPOSE.read_text(encoding="utf-8")
    decided = text[text.index("  receiver:") : text.index(COMPOSE_BEGIN)]
    names = [str(field.alias) for field in Settings.model_fields.values()]
    given = [name for name in services["receiver"]["environment"] if f"      {name}: " in decided]
    # It has an HTTP interface of its own only without a ClickHouse server.
    left = [name for name in names if name not in {*given, "TELEMETRY_CLICKHOUSE_HTTP_PORT"}]
    return "".join(f"      {name}: ${{{name}:-}}\n" for name in left)


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
    blocks.append(STACK_HEAD)
    blocks += [f"# {about['meaning']}\n# {name}={about['default']}\n" for name, about in stack().items()]
    return "\n".join(blocks)


def _default(field: FieldInfo) -> str:
    """Return the default as it is written in the environment, "" when there is none."""
    default: Any = field.default
    if isinstance(default, SecretStr):
        default = default.get_secret_value()
        if default:
            raise ValueError(f"{field.alias} has a default, and a secret must have none.")
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
    """Describe the values that are accepted, "" when any value is."""
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
