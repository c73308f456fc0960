"""The command `telemetry tail`: follow events as they arrive."""

import json
import signal
import sys
from collections.abc import Mapping, Sequence
from contextlib import closing, suppress
from types import FrameType
from typing import Any, Final

import click

from access.answer import scalar
from access.ids import short_id
from access.reading import desk
from access.refusal import Refusal
from access.store import reader_store
from access.tail import ANOMALY, COMPLETE, ERROR, follow
from access.text import visible
from config.settings import SettingsError, load
from telemetry.commands.error_text import report_errors
from telemetry.commands.url_option import url_option

_KINDS: Final = {"calls": COMPLETE, "errors": ERROR, "slow": ANOMALY}
_WORDS: Final = {COMPLETE: "", ERROR: "failed", ANOMALY: "slow"}
_ABOUT: Final = 44
_MESSAGE: Final = 60


@click.command("tail")
@click.option(
    "--only",
    type=click.Choice(list(_KINDS)),
    multiple=True,
    help="Only calls and requests that ended well, errors, or unusually slow ones; may be repeated. Default: all.",
)
@click.option(
    "-f", "--format", "output_format", type=click.Choice(["text", "jsonl"]), default="text", show_default=True
)
@url_option()
@report_errors(SettingsError, Refusal)
def tail_command(*, only: Sequence[str], output_format: str, url: str | None) -> None:
    """Follow tool calls, model requests and errors as they arrive, until Ctrl-C.

    They are shown as they are stored, after the privacy rules. In JSON, ids are whole. The server must be running.
    """
    settings = load()
    store = reader_store(settings, url)
    store.open()
    signal.signal(signal.SIGTERM, _interrupt)
    types = [_KINDS[name] for name in only] or None
    with closing(store), suppress(KeyboardInterrupt):
        for events in follow(desk(store, settings).reading("tail"), types):
            if not events and output_format == "text":
                click.echo("Following what arrives; Ctrl-C ends it.", err=True)
            for event in events:
                click.echo(_json(*event) if output_format == "jsonl" else _line(*event))
            sys.stdout.flush()


def _interrupt(number: int, frame: FrameType | None) -> None:
    del number, frame
    raise KeyboardInterrupt


def _json(kind: str, time: Any, data: Mapping[str, Any]) -> str:
    whole = {"type": kind, "timestamp": scalar(time)} | {name: scalar(value) for name, value in data.items()}
    return json.dumps(whole, ensure_ascii=False)


def _line(kind: str, time: Any, data: Mapping[str, Any]) -> str:
    """Return an event as a line: when (UTC), what, how long, what it cost, whether it failed, and in which session."""
    named = data.get("tool") or data.get("model") or data.get("mcp_server") or ""
    about = visible(f"{data.get('event', '')} {named}".strip(), _ABOUT)
    took = data.get("duration_ms")
    cost = data.get("cost_usd")
    said = " ".join(str(data[name]) for name in ("failure", "message") if data.get(name))
    parts = (
        f"{time:%H:%M:%S}",
        f"{about:{_ABOUT}}",
        f"{took / 1000:8.2f} s" if took is not None else " " * 10,
        f"${cost:.4f}" if cost is not None else " " * 7,
        f"{_WORDS[kind]:6}",
        short_id(str(data.get("session_id", ""))),
        visible(said, _MESSAGE),
    )
    return "  ".join(parts).rstrip()
