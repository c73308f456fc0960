"""Checks of the server by its own metrics: what it refused, what waits in the spool, and how much disk is left."""

import re
import shutil
from collections import Counter
from typing import Final

from config.settings import is_loopback
from onboarding.doctor.client import destinations
from onboarding.doctor.finding import Check, Finding, broken, ok, skipped, warning
from onboarding.doctor.http_get import get
from onboarding.doctor.network import PORT
from onboarding.doctor.target import Target

_SECONDS: Final = 10.0
_WAITED_SECONDS: Final = 60
_LOW: Final = 0.10
_CRITICAL: Final = 0.02
_SAMPLE: Final = re.compile(r"^(\w+)(?:\{(.*)\})? (\S+)$", re.MULTILINE)
_HARMLESS: Final = frozenset({"unauthenticated", "not_found", "method_not_allowed", "stopping"})
"""Reasons of refusals that say nothing about Claude Code's data: scanners, typing errors, restarts."""


def metrics(target: Target) -> Finding:
    """Check that the server's metrics can be read."""
    host, port = next(destinations(target)).host, target.settings.metrics_port
    try:
        samples(target)
    except OSError:
        text = f"no metrics at {host}:{port}"
        if is_loopback(host):
            return skipped(text, "Set TELEMETRY_METRICS_PORT here as the server has it.")
        return skipped(f"{text}: the server may serve them on its own machine only")
    return ok(f"{host}:{port}")


def refusals(target: Target) -> Finding:
    """Count the records that the server refused or kept as dead letters."""
    refused = Counter[str]()
    dead = 0.0
    for name, labels, value in samples(target):
        if name == "telemetry_refused_records_total" and value and labels.get("reason") not in _HARMLESS:
            refused[labels.get("reason", "")] += round(value)
        if name == "telemetry_dead_letter_records_total":
            dead += value
    if dead:
        return warning(
            f"{dead:.0f} records are dead letters: ClickHouse refused them for good",
            "docs/operations.md says how to look at them and try them again.",
        )
    if refused:
        shown = ", ".join(f"{count} {reason}" for reason, count in refused.most_common())
        return warning(
            f"records refused since the start: {shown}", "docs/architecture.md says what each reason means."
        )
    return ok("none since the start")


def waiting(target: Target) -> Finding:
    """Check that nothing has waited long for ClickHouse."""
    found = samples(target)
    seconds = max([value for name, _, value in found if name == "telemetry_waiting_seconds"], default=0)
    size = sum(value for name, _, value in found if name == "telemetry_spool_bytes")
    failed = sum(value for name, _, value in found if name == "telemetry_insert_errors_total")
    if seconds > _WAITED_SECONDS:
        return warning(
            f"the spool holds {size / 1e6:.1f} MB, the oldest for {seconds / 60:.0f} min: ClickHouse takes nothing",
            "Check ClickHouse, its disk and CLICKHOUSE_PASSWORD. The server's log names the error.",
        )
    if failed:
        return ok(f"nothing now; {failed:.0f} inserts failed since the start and were tried again")
    return ok("nothing")


def disk(target: Target) -> Finding:
    """Check how much disk is free."""
    values = {name: value for name, _, value in samples(target)}
    free, size = values.get("telemetry_disk_free_bytes"), values.get("telemetry_disk_size_bytes")
    if free is None or not size:
        if not target.settings.data_dir.is_dir():
            return skipped("the server's metrics do not include its disk")
        usage = shutil.disk_usage(target.settings.data_dir)
        free, size = float(usage.free), float(usage.total)
    shown = f"{free / 1e9:.1f} GB of {size / 1e9:.0f} GB free"
    remedy = "Free some space, or lower TELEMETRY_RETENTION_DAYS."
    if free < _CRITICAL * size:
        return broken(shown, remedy)
    return warning(shown, remedy) if free < _LOW * size else ok(shown)


def samples(target: Target) -> list[tuple[str, dict[str, str], float]]:
    """Return the samples of the server's metrics: name, labels, value. Raises OSError."""
    host, port = next(destinations(target)).host, target.settings.metrics_port
    try:
        text = get(host, port, "/metrics", _SECONDS).body.decode()
    except UnicodeDecodeError:
        raise OSError("what answers is not text") from None
    return [
        (found[1], dict(re.findall(r'(\w+)="([^"]*)"', found[2] or "")), float(found[3]))
        for found in _SAMPLE.finditer(text)
    ]


_METRICS: Final = "metrics"
CHECKS: Final = (
    Check(_METRICS, metrics, (PORT,)),
    Check("refusals", refusals, (_METRICS,)),
    Check("spool", waiting, (_METRICS,)),
    Check("disk", disk, (_METRICS,)),
)
