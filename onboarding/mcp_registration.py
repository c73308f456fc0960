"""Registers the MCP server with Claude Code: for a person by Claude Code's own command, for a project by a file.

A project's `.mcp.json` is committed, so it holds no token: it names the variable that holds one. Removing our entry
leaves other servers as they are.

Source: https://code.claude.com/docs/en/mcp
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

from config.settings import Settings, reachable

NAME: Final = "telemetry"
FILE: Final = ".mcp.json"
TOKEN: Final = "TELEMETRY_WEB_TOKEN"  # noqa: S105  a variable's name
_SECONDS: Final = 60.0
_SERVERS: Final = "mcpServers"


class RegistrationError(Exception):
    """Claude Code's configuration could not be changed. The text has the remedy, and no token."""


class Reach(StrEnum):
    """Who gets the server: one person in all projects, one person in one project, or everyone in one project."""

    USER = "user"
    LOCAL = "local"
    PROJECT = "project"


@dataclass(frozen=True, slots=True)
class Stdio:
    """The server as a process that Claude Code starts; `variables` say where the store is."""

    command: str
    variables: Mapping[str, str]

    def entry(self) -> dict[str, Any]:
        """Return it as `.mcp.json` has it."""
        return {"type": "stdio", "command": self.command, "args": ["mcp"], "env": dict(self.variables)}


@dataclass(frozen=True, slots=True)
class Http:
    """The server over HTTP, with the token in a variable of the shell that starts Claude Code."""

    url: str

    def entry(self) -> dict[str, Any]:
        """Return it as `.mcp.json` has it."""
        return {"type": "http", "url": self.url, "headers": {"Authorization": f"Bearer ${{{TOKEN}}}"}}


Server = Stdio | Http


def can_register() -> bool:
    """Whether Claude Code's command is on the PATH, which registers for a person."""
    return shutil.which("claude") is not None


def own_server(settings: Settings, reach: Reach) -> Server:
    """Return this installation's server: over HTTP for a project, whose file is shared, else as a process.

    The process finds the passwords in the data directory. Raises RegistrationError without a port for HTTP.
    """
    if reach is Reach.PROJECT:
        port = settings.web_port
        if port == "off" or not int(port):
            raise RegistrationError(
                "A project's .mcp.json needs a fixed port of the web process: set TELEMETRY_WEB_PORT, or use"
                " --mcp user."
            )
        scheme = "https" if settings.tls_certificate else "http"
        host = reachable(settings.web_host)
        return Http(f"{scheme}://{'localhost' if host == '127.0.0.1' else host}:{port}/mcp")
    variables = {"TELEMETRY_DATA_DIR": str(settings.data_dir.resolve())}
    if settings.clickhouse_url:
        variables["CLICKHOUSE_URL"] = settings.clickhouse_url
    elif settings.clickhouse_http_port:
        variables["TELEMETRY_CLICKHOUSE_HTTP_PORT"] = str(settings.clickhouse_http_port)
    return Stdio(program(), variables)


def program() -> str:
    """Return where the command `telemetry` of this installation is."""
    beside = Path(sys.executable).with_name("telemetry")
    return str(beside if beside.is_file() else shutil.which("telemetry") or beside)


def add(server: Server, reach: Reach, project: Path) -> str:
    """Register the server with Claude Code, in place of an earlier registration. Return where it is written.

    Raises RegistrationError.
    """
    if reach is Reach.PROJECT:
        path = project / FILE
        document = _read(path)
        servers = {**document.get(_SERVERS, {}), NAME: server.entry()}
        _write(path, {**document, _SERVERS: servers})
        return str(path)
    # The command refuses a name that is there.
    if is_known(reach, project):
        remove(reach, project)
    _claude(project, "mcp", "add-json", "--scope", reach.value, NAME, json.dumps(server.entry()))
    return f"Claude Code's {reach.value} configuration"


def remove(reach: Reach, project: Path) -> bool:
    """Remove the registration. Return whether there was one. Raises RegistrationError."""
    if reach is not Reach.PROJECT:
        if not is_known(reach, project):
            return False
        _claude(project, "mcp", "remove", "--scope", reach.value, NAME)
        return True
    path = project / FILE
    document = _read(path)
    servers = dict(document.get(_SERVERS, {}))
    if servers.pop(NAME, None) is None:
        return False
    if not servers and set(document) == {_SERVERS}:
        path.unlink()
    else:
        _write(path, {**document, _SERVERS: servers})
    return True


def is_known(reach: Reach, project: Path) -> bool:
    """Whether the server is registered. Raises RegistrationError for a file that is not JSON."""
    if reach is Reach.PROJECT:
        return NAME in _read(project / FILE).get(_SERVERS, {})
    folder = os.environ.get("CLAUDE_CONFIG_DIR")
    document = _read((Path(folder) if folder else Path.home()) / ".claude.json")
    if reach is Reach.LOCAL:
        document = document.get("projects", {}).get(str(project.resolve()), {})
    return NAME in document.get(_SERVERS, {})


def _claude(project: Path, *arguments: str) -> None:
    claude = shutil.which("claude")
    if claude is None:
        raise RegistrationError(
            "Claude Code's command `claude` is not on the PATH: put it there, or register in a project's .mcp.json."
        )
    try:
        done = subprocess.run(  # noqa: S603  the person's own program
            [claude, *arguments], cwd=project, capture_output=True, timeout=_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise RegistrationError(f"`claude mcp` did not end ({type(error).__name__}): run it again.") from None
    if done.returncode:
        raise RegistrationError(
            f"`claude {arguments[0]} {arguments[1]}` ended with code {done.returncode}: run it by hand to see why."
        )


def _read(path: Path) -> dict[str, Any]:
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError):
        document = None
    if not isinstance(document, dict) or not isinstance(document.get(_SERVERS, {}), dict):
        raise RegistrationError(f"{path} is not a JSON file that can be changed: correct it first.")
    return document


def _write(path: Path, document: Mapping[str, Any]) -> None:
    """Replace the file in one step."""
    new = path.with_name(f"{path.name}.new")
    try:
        new.write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        new.replace(path)
    except OSError as error:
        raise RegistrationError(f"{path} cannot be written ({error.strerror}).") from None
