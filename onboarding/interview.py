"""The questions of `telemetry setup`: each is an option too, and has a default."""

import re
import sys
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import click

from config.settings import Settings, is_loopback, reachable
from onboarding.choices import (
    CONTENT,
    METRIC_INTERVAL_MS,
    WHY_TOOL_DETAILS,
    ChoiceError,
    Choices,
    attribute,
    content_names,
    recommended,
)
from otlp.destination import GRPC_PORT, HTTP_PORT, Protocol
from otlp.signals import Signal

_TOKEN: Final = re.compile(r"[!-+\--~]*")
"""The characters of a header, except the comma that separates headers in OTEL_EXPORTER_OTLP_HEADERS."""


class Scope(StrEnum):
    """Where the variables are written."""

    USER = "user"
    PROJECT = "project"
    LOCAL = "local"
    ENV = "env"


@dataclass(frozen=True, slots=True)
class Options:
    """The options of the command line; None: not given."""

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
    metric_interval: int | None


def choose(
    options: Options,
    settings: Settings,
    *,
    asks: bool,
    scope: Scope,
    kept: Options | None = None,
    token: str = "",
) -> Choices:
    """Return the choices by options, by questions if `asks`, or by defaults. Raises ChoiceError.

    The defaults are those of `kept` and `token`, as an earlier run chose, where they have any.
    """
    if kept and not asks:
        options = kept
    kept = kept or options
    protocol = _protocol(options, asks=asks, default=kept.protocol or Protocol.GRPC)
    is_kept = kept.endpoint is not None and protocol == kept.protocol
    endpoint = options.endpoint or (kept.endpoint if is_kept else None) or _own_endpoint(settings, protocol)
    if asks and options.endpoint is None:
        endpoint = click.prompt("Server's address (OTLP endpoint)", default=endpoint)
    parts = urlsplit(endpoint)
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.username:
        raise ChoiceError("The endpoint is an address such as http://localhost:4317, without user and path.")
    signals = _signals(options.signals, asks=asks, default=kept.signals)
    asks_content = asks and options.content is None
    content = (
        _ask_content(signals, settings.sanitize_level)
        if asks_content
        else content_names((options.content or "none").split(","))
    )
    return Choices(
        endpoint.rstrip("/"),
        protocol,
        signals,
        content,
        _attributes(options, asks=asks),
        _token(options.token_file, settings, parts.hostname, asks=asks, scope=scope, kept=token),
        _certificate(options.certificate, asks=asks and parts.scheme == "https"),
        options.metric_interval or kept.metric_interval or METRIC_INTERVAL_MS,
    )


def ask_scope() -> Scope:
    """Ask where to write the variables."""
    click.echo("Where to write:")
    click.echo(
        "  user     ~/.claude/settings.json: yours alone, for every project, and for the desktop apps too"
    )
    click.echo(
        "  env      a file to source: only for what is started from a shell that did so; changes no settings"
    )
    click.echo(
        "  local    .claude/settings.local.json: yours, this project, not committed; before 2.1.282 only"
    )
    click.echo("  project  .claude/settings.json: everyone's, this project, committed; before 2.1.282 only")
    click.echo("  Newer versions of Claude Code let a project's files turn telemetry off, but not on.")
    return Scope(
        click.prompt("Scope", type=click.Choice([scope.value for scope in Scope]), default=Scope.USER.value)
    )


def _protocol(options: Options, *, asks: bool, default: str) -> Protocol:
    if options.protocol:
        return Protocol(options.protocol)
    if options.endpoint:  # its port decides
        # Whatever stands after the port, such as a path that is refused later.
        is_http = re.match(rf"[^/]*//[^/]*:{HTTP_PORT}(?!\d)", options.endpoint)
        return Protocol.PROTOBUF if is_http else Protocol.GRPC
    if asks:
        return Protocol(
            click.prompt(
                "Protocol",
                type=click.Choice([protocol.value for protocol in Protocol]),
                default=str(default),
            )
        )
    return Protocol.GRPC


def _own_endpoint(settings: Settings, protocol: Protocol) -> str:
    host = reachable(settings.host)
    is_grpc = protocol is Protocol.GRPC
    port = (settings.otlp_grpc_port or GRPC_PORT) if is_grpc else (settings.otlp_http_port or HTTP_PORT)
    scheme = "https" if settings.tls_certificate else "http"
    return f"{scheme}://{'localhost' if host == '127.0.0.1' else host}:{port}"


def _signals(given: str | None, *, asks: bool, default: str | None) -> frozenset[Signal]:
    if given is None and asks:
        question = "Collect traces too (a beta of Claude Code: how each prompt was worked on, step by step)?"
        return (
            frozenset(Signal)
            if click.confirm(question, default=default is None or Signal.TRACES in default.split(","))
            else frozenset(Signal) - {Signal.TRACES}
        )
    names = {part.strip() for part in (given or ",".join(Signal)).split(",") if part.strip()}
    if not names or names - set(Signal):
        raise ChoiceError(f"--signals takes {', '.join(Signal)}, with commas; events are logs.")
    return frozenset(map(Signal, names))


def _ask_content(signals: frozenset[Signal], level: str) -> frozenset[str]:
    click.echo(
        "Content is sent only if you choose so. At the level strict, the default, this server keeps hashes of it."
    )
    chosen = set()
    for switch in CONTENT:
        if switch.name == "tool-content" and Signal.TRACES not in signals:
            continue
        click.echo(f"  {switch.name}: {switch.sends}; stored {switch.stored}.")
        is_recommended = switch.name in recommended(level)
        if is_recommended:
            click.echo(f"  Recommended at the level {level}: {WHY_TOOL_DETAILS}.")
        if click.confirm(f"  Send it ({switch.variable})?", default=is_recommended):
            chosen.add(switch.name)
    return frozenset(chosen)


def _attributes(options: Options, *, asks: bool) -> dict[str, str]:
    pairs = dict(attribute(text) for text in options.attributes)
    for key, given in (("team.id", options.team), ("department", options.department)):
        value = given
        if given is None and asks:
            value = click.prompt(
                f"{key.partition('.')[0].capitalize()} (empty: none)", default="", show_default=False
            )
        if value is not None:
            pairs[key] = value
    return pairs


def _certificate(path: Path | None, *, asks: bool) -> Path | None:
    if path is None and asks:
        answer = click.prompt(
            "Certificate of the authority (empty: the system's)", default="", show_default=False
        )
        path = Path(answer) if answer else None
    if path is not None and not path.is_file():
        raise ChoiceError(f"There is no file {path}: name the authority's certificate, in PEM form.")
    return path.resolve() if path else None


def _token(
    token_file: str | None, settings: Settings, host: str, *, asks: bool, scope: Scope, kept: str
) -> str:
    token = ""
    if token_file is not None:
        token = _read_token(token_file)
    elif settings.tokens and (is_loopback(host) or host == settings.host):
        own = [token for _, token in settings.tokens]
        token = kept if kept in own else own[0]
    elif asks and not is_loopback(host):
        token = click.prompt(
            f"Bearer token (empty: {'as before' if kept else 'none'})",
            default=kept,
            show_default=False,
            hide_input=True,
        ).strip()
    elif kept and scope is not Scope.PROJECT:
        token = kept
    if not _TOKEN.fullmatch(token):
        raise ChoiceError(
            "The token has a space, a comma or a character that no header may have: use another one."
        )
    if token and scope is Scope.PROJECT:
        raise ChoiceError(
            "The token would be in .claude/settings.json, which is committed: use --scope user, or --scope local for"
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
