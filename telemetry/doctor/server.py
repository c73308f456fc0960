"""How the server fares, from its own metrics: what it refused, what waits, and how much room is left."""

import http.client
import re
import shutil
from collections import Counter
from typing import Final

from telemetry.doctor.client import destinations
from telemetry.doctor.finding import Check, Finding, broken, ok, skipped, warning
from telemetry.doctor.network import PORT
from telemetry.doctor.patient import Patient
from telemetry.settings import is_loopback

_SECONDS: Final = 10.0
_WAITED_SECONDS: Final = 60
_LITTLE: Final = 0.10
_NEXT_TO_NOTHING: Final = 0.02
_SAMPLE: Final = re.compile(r"^(\w+)(?:\{(.*)\})? (\S+)$", re.MULTILINE)
_HARMLESS: Final = frozenset({"unauthenticated", "not_found", "method_not_allowed", "stopping"})
"""Reasons of refusals that say nothing about Claude Code's data: scanners, typing errors, restarts."""


def metrics(patient: Patient) -> Finding:
    """See whether the server's metrics can be read."""
    host, port = next(destinations(patient)).host, patient.settings.metrics_port
    try:
        samples(patient)
    except OSError:
        text = f"no metrics at {host}:{port}"
        if is_loopback(host):
            return skipped(text, "Set TELEMETRY_METRICS_PORT here as the server has it.")
        return skipped(f"{text}: they may be shown on the server's machine only")
    return ok(f"{host}:{port}")


def refusals(patient: Patient) -> Finding:
    """Count what clients sent and the server refused or put aside."""
    refused = Counter[str]()
    dead = 0.0
    for name, labels, value in samples(patient):
        if name == "telemetry_refused_records_total" and value and labels.get("reason") not in _HARMLESS:
            refused[labels.get("reason", "")] += round(value)
        if name == "telemetry_dead_letter_records_total":
            dead += value
    if dead:
        return warning(
            f"{dead:.0f} records are dead letters: ClickHouse refused them for good",
            "docs/operations.md says how to look at them and have them tried again.",
        )
    if refused:
        told = ", ".join(f"{count} {reason}" for reason, count in refused.most_common())
        return warning(
            f"records refused since the start: {told}", "docs/architecture.md says what each reason means."
        )
    return ok("none since the start")


def waiting(patient: Patient) -> Finding:
    """See whether anything waits long for ClickHouse."""
    found = samples(patient)
    seconds = max([value for name, _, value in found if name == "telemetry_waiting_seconds"], default=0)
    size = sum(value for name, _, value in found if name == "telemetry_spool_bytes")
    failed = sum(value for name, _, value in found if name == "telemetry_insert_errors_total")
    if seconds > _WAITED_SECONDS:
        return warning(
            f"the spool holds {size / 1e6:.1f} MB, the oldest for {seconds / 60:.0f} min: ClickHouse does not take it",
            "Is ClickHouse up, has it room, is CLICKHOUSE_PASSWORD right? The server's log names the error.",
        )
    if failed:
        return ok(f"nothing now; {failed:.0f} inserts failed since the start and were tried again")
    return ok("nothing")


def disk(patient: Patient) -> Finding:
    """See how much room there is."""
    values = {name: value for name, _, value in samples(patient)}
    free, size = values.get("telemetry_disk_free_bytes"), values.get("telemetry_disk_size_bytes")
    if free is None or not size:
        if not patient.settings.data_dir.is_dir():
            return skipped("the server says nothing of its disk")
        usage = shutil.disk_usage(patient.settings.data_dir)
        free, size = float(usage.free), float(usage.total)
    told = f"{free / 1e9:.1f} GB of {size / 1e9:.0f} GB free"
    remedy = "Make room, or lower TELEMETRY_RETENTION_DAYS."
    if free < _NEXT_TO_NOTHING * size:
        return broken(told, remedy)
    return warning(told, remedy) if free < _LITTLE * size else ok(told)


def samples(patient: Patient) -> list[tuple[str, dict[str, str], float]]:
    """Read the server's metrics: name, labels, value. Raises OSError."""
    host, port = next(destinations(patient)).host, patient.settings.metrics_port
    connection = http.client.HTTPConnection(host, port, timeout=_SECONDS)
    try:
        connection.request("GET", "/metrics")
        text = connection.getresponse().read().decode()
    except (http.client.HTTPException, UnicodeDecodeError):
        raise OSError from None
    finally:
        connection.close()
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
