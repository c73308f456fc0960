"""What `telemetry setup` asks: each question is an option too, and has a default."""

import re
import sys
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import click

from receiver.signals import Signal
from telemetry.client.choices import CONTENT, ChoiceError, Choices, Protocol, attribute, content_names
from telemetry.client.destination import GRPC_PORT, HTTP_PORT
from telemetry.settings import Settings, is_loopback, reachable

_TOKEN: Final = re.compile(r"[!-+\--~]*")
"""What a header can hold, less the comma that separates headers in OTEL_EXPORTER_OTLP_HEADERS."""


class Scope(StrEnum):
    """Where the variables go."""

    USER = "user"
    PROJECT = "project"
    LOCAL = "local"
    ENV = "env"


@dataclass(frozen=True, slots=True)
class Said:
    """What was said on the command line; None: not said."""

    scope: str | None
    endpoint: str | None
    protocol: str | None
    signals: str | None
    content: str | None
    team: str | None
    department: str | None
    attributes: tuple[str, ...]
    token_file: str | None
    certificate: Path | None
    metric_interval: int


def choose(said: Said, settings: Settings, *, asks: bool, scope: Scope) -> Choices:
    """Take what was said, ask for the rest if there is somebody to ask, and else go by defaults. Raises ChoiceError."""
    protocol = _protocol(said, asks=asks)
    endpoint = said.endpoint or _own_endpoint(settings, protocol)
    if asks and said.endpoint is None:
        endpoint = click.prompt("Server's address (OTLP endpoint)", default=endpoint)
    parts = urlsplit(endpoint)
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.username:
        raise ChoiceError("The endpoint is an address such as http://localhost:4317, without user and path.")
    signals = _signals(said.signals, asks=asks)
    asks_content = asks and said.content is None
    content = _ask_content(signals) if asks_content else content_names((said.content or "none").split(","))
    return Choices(
        endpoint.rstrip("/"),
        protocol,
        signals,
        content,
        _attributes(said, asks=asks),
        _token(said.token_file, settings, parts.hostname, asks=asks, scope=scope),
        _certificate(said.certificate, asks=asks and parts.scheme == "https"),
        said.metric_interval,
    )


def ask_scope() -> Scope:
    """Ask where the variables go."""
    click.echo("Where to write:")
    click.echo("  user     your settings, for every project")
    click.echo("  env      a file to source in the shell that starts Claude Code")
    click.echo("  local    this project's settings, yours alone: only for Claude Code before 2.1.282")
    click.echo("  project  this project's settings, committed: only for Claude Code before 2.1.282")
    return Scope(
        click.prompt("Scope", type=click.Choice([scope.value for scope in Scope]), default=Scope.USER.value)
    )


def _protocol(said: Said, *, asks: bool) -> Protocol:
    if said.protocol:
        return Protocol(said.protocol)
    if said.endpoint:  # whose port tells
        return Protocol.PROTOBUF if said.endpoint.rstrip("/").endswith(f":{HTTP_PORT}") else Protocol.GRPC
    if asks:
        return Protocol(
            click.prompt(
                "Protocol",
                type=click.Choice([protocol.value for protocol in Protocol]),
                default=Protocol.GRPC.value,
            )
        )
    return Protocol.GRPC


def _own_endpoint(settings: Settings, protocol: Protocol) -> str:
    host = reachable(settings.host)
    is_grpc = protocol is Protocol.GRPC
    port = (settings.otlp_grpc_port or GRPC_PORT) if is_grpc else (settings.otlp_http_port or HTTP_PORT)
    scheme = "https" if settings.tls_certificate else "http"
    return f"{scheme}://{'localhost' if host == '127.0.0.1' else host}:{port}"


def _signals(said: str | None, *, asks: bool) -> frozenset[Signal]:
    if said is None and asks:
        question = "Collect traces too (a beta of Claude Code: how each prompt was worked on, step by step)?"
        return (
            frozenset(Signal)
            if click.confirm(question, default=True)
            else frozenset(Signal) - {Signal.TRACES}
        )
    names = {part.strip() for part in (said or ",".join(Signal)).split(",") if part.strip()}
    if not names or names - set(Signal):
        raise ChoiceError(f"--signals takes {', '.join(Signal)}, with commas; events are logs.")
    return frozenset(map(Signal, names))


def _ask_content(signals: frozenset[Signal]) -> frozenset[str]:
    click.echo(
        "Content is sent only if you say so. At the level strict, the default, this server keeps hashes of it."
    )
    chosen = set()
    for switch in CONTENT:
        if switch.name == "tool-content" and Signal.TRACES not in signals:
            continue
        click.echo(f"  {switch.name}: {switch.sends}; stored {switch.stored}.")
        if click.confirm(f"  Send it ({switch.variable})?", default=False):
            chosen.add(switch.name)
    return frozenset(chosen)


def _attributes(said: Said, *, asks: bool) -> dict[str, str]:
    pairs = dict(attribute(text) for text in said.attributes)
    for key, given in (("team.id", said.team), ("department", said.department)):
        value = given
        if given is None and asks:
            value = click.prompt(
                f"{key.partition('.')[0].capitalize()} (empty: none)", default="", show_default=False
            )
        if value is not None:
            pairs[key] = value
    return pairs


def _certificate(said: Path | None, *, asks: bool) -> Path | None:
    if said is None and asks:
        answer = click.prompt(
            "Certificate of the authority (empty: the system's)", default="", show_default=False
        )
        said = Path(answer) if answer else None
    if said is not None and not said.is_file():
        raise ChoiceError(f"There is no file {said}: name the authority's certificate, in PEM form.")
    return said.resolve() if said else None


def _token(token_file: str | None, settings: Settings, host: str, *, asks: bool, scope: Scope) -> str:
    token = ""
    if token_file is not None:
        token = _read_token(token_file)
    elif settings.tokens and (is_loopback(host) or host == settings.host):
        token = settings.tokens[0][1]
    elif asks and not is_loopback(host):
        token = click.prompt(
            "Bearer token (empty: none)", default="", show_default=False, hide_input=True
        ).strip()
    if not _TOKEN.fullmatch(token):
        raise ChoiceError(
            "The token holds a blank, a comma or a letter that a header cannot hold: use another one."
        )
    if token and scope is Scope.PROJECT:
        raise ChoiceError(
            "The token would stand in .claude/settings.json, which is committed: use --scope user, or --scope local for"
            " .claude/settings.local.json."
        )
    return token


def _read_token(path: str) -> str:
    try:
        text = sys.stdin.readline() if path == "-" else Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text"
        raise ChoiceError(f"The token file cannot be read ({reason}): name a file with one token.") from None
    if not text.strip():
        raise ChoiceError("The token file is empty: name a file with one token.")
    return text.strip()
