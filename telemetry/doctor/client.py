"""What Claude Code is told: its settings files, and whether they make it send all there is, here, in time."""

import os
from collections.abc import Iterator
from typing import Final

from receiver.signals import Signal
from telemetry.client.choices import CONTENT, METRIC_INTERVAL_MS, Protocol
from telemetry.client.destination import (
    GRPC_PORT,
    HTTP_PORT,
    Destination,
    DestinationError,
    destination,
    exported,
)
from telemetry.client.effective import Effective, effective, places, read_layers
from telemetry.client.files import SettingsFileError, read
from telemetry.client.sender import other_protocol
from telemetry.doctor.finding import Check, Finding, broken, ok, warning
from telemetry.doctor.patient import Patient

_SETUP: Final = "Run telemetry setup."
_LONG_METRICS_MS: Final = 15_000
_LONG_EVENTS_MS: Final = 10_000


def settings_files(patient: Patient) -> Finding:
    """See whether the client can read every file."""
    found = []
    for _, path in places(patient.project, patient.environment, patient.managed):
        try:
            if read(path).text is not None:
                found.append(str(path))
        except SettingsFileError as error:
            problem, _, fix = str(error).partition(": ")
            return broken(problem, fix)
    return ok(
        f"Claude Code reads {', '.join(found)}" if found else "there are none; the shell's environment counts"
    )


def telemetry_on(patient: Patient) -> Finding:
    """Look at the client's main switch."""
    variables = variables_of(patient)
    if variables.is_on("CLAUDE_CODE_ENABLE_TELEMETRY"):
        return ok(f"on, says {variables.places['CLAUDE_CODE_ENABLE_TELEMETRY']}")
    if ignored := [place for name, place in variables.ignored if name == "CLAUDE_CODE_ENABLE_TELEMETRY"]:
        return broken(
            f"CLAUDE_CODE_ENABLE_TELEMETRY stands in {ignored[0]}, where Claude Code 2.1.282 and newer ignore it",
            "Run telemetry setup, which writes your own settings; or set it in the shell or in managed settings.",
        )
    if "CLAUDECODE" in os.environ and patient.environment is os.environ:
        return broken(
            "CLAUDE_CODE_ENABLE_TELEMETRY is in no settings file, and Claude Code hides OTEL_ variables from its tools",
            "Run telemetry setup; or run this in the shell that starts Claude Code, which may have them.",
        )
    return broken("CLAUDE_CODE_ENABLE_TELEMETRY is not set", _SETUP)


def exporters(patient: Patient) -> Finding:
    """See whether metrics and events go out over OTLP."""
    variables = variables_of(patient)
    going = exported(variables)
    if not going:
        return broken(
            "OTEL_METRICS_EXPORTER and OTEL_LOGS_EXPORTER do not say otlp, so nothing is sent", _SETUP
        )
    for signal, name, lost in (
        (Signal.LOGS, "OTEL_LOGS_EXPORTER", "no event: no cost, no tool calls, no errors"),
        (Signal.METRICS, "OTEL_METRICS_EXPORTER", "no metrics: no commits, no lines of code, no active time"),
    ):
        if signal not in going:
            place = variables.places.get(name)
            return warning(f"{name} is not otlp{f' ({place})' if place else ''}: {lost}", f"Set {name}=otlp.")
    return ok(", ".join(going))


def traces(patient: Patient) -> Finding:
    """Look at traces, a beta with a switch of its own."""
    variables = variables_of(patient)
    if Signal.TRACES in exported(variables):
        return ok("on")
    what = "traces are off: no steps of a prompt, no waiting for permission, no time to the first token"
    lacking = [
        name
        for name, there in (
            ("CLAUDE_CODE_ENHANCED_TELEMETRY_BETA=1", variables.is_on("CLAUDE_CODE_ENHANCED_TELEMETRY_BETA")),
            ("OTEL_TRACES_EXPORTER=otlp", "otlp" in variables.get("OTEL_TRACES_EXPORTER")),
        )
        if not there
    ]
    return warning(what, f"Set {' and '.join(lacking)}, or run telemetry setup.")


def addresses(patient: Patient) -> Finding:
    """See whether each signal has a protocol and an address, and the two fit."""
    try:
        found = list(destinations(patient))
    except DestinationError as error:
        return broken(error.problem.rstrip("."), error.fix)
    for to in found:
        wrong = HTTP_PORT if to.protocol is Protocol.GRPC else GRPC_PORT
        if to.port == wrong:
            return broken(
                f"{to.signal} go over {to.protocol} to {to.address}, the port of the other",
                other_protocol(to),
            )
        if to.protocol is not Protocol.GRPC and f"/v1/{to.signal}/v1/" in to.url:
            return broken(
                f"{to.signal} go to {to.url}, which is no place of OTLP",
                "OTEL_EXPORTER_OTLP_ENDPOINT has no path: the client adds /v1/logs and so on.",
            )
    return ok(", ".join(dict.fromkeys(f"{to.protocol} to {to.base}" for to in found)))


def intervals(patient: Patient) -> Finding:
    """Look at the intervals: short runs end before a long one does."""
    variables = variables_of(patient)
    for name, default, most in (
        ("OTEL_METRIC_EXPORT_INTERVAL", 60_000, _LONG_METRICS_MS),
        ("OTEL_LOGS_EXPORT_INTERVAL", 5_000, _LONG_EVENTS_MS),
        ("OTEL_TRACES_EXPORT_INTERVAL", 5_000, _LONG_EVENTS_MS),
    ):
        said = variables.get(name)
        if said and not said.isdigit():
            return warning(f"{name} is not a number of milliseconds", f"Set {name}={default}.")
        if int(said or default) > most:
            meaning = f"{name} is {said} ms" if said else f"{name} is not set, which means {default} ms"
            return warning(
                f"{meaning}: short runs end before it", f"Set {name}={min(most, METRIC_INTERVAL_MS)}."
            )
    return ok("short enough for short runs")


def content(patient: Patient) -> Finding:
    """See whether what people and the model write goes out, which somebody must want."""
    variables = variables_of(patient)
    on = [switch for switch in CONTENT if variables.is_on(switch.variable)]
    if variables.is_on("OTEL_LOG_ASSISTANT_RESPONSES") and not any(switch.name == "prompts" for switch in on):
        return warning(
            "OTEL_LOG_ASSISTANT_RESPONSES is on: what the model answers is sent",
            "Unset it unless you want that.",
        )
    if not on:
        return ok("none is sent")
    names = ", ".join(switch.variable for switch in on)
    sent = "; ".join(switch.sends for switch in on)
    return warning(
        f"{names}: sends {sent}. At the level strict this server keeps hashes of it, at balanced the redacted text",
        "Unset what you do not want sent.",
    )


def shadows(patient: Patient) -> Finding:
    """Look for values that seem to count and do not."""
    variables = variables_of(patient)
    ignored = ", ".join(f"{name} in {place}" for name, place in variables.ignored)
    if ignored:
        return warning(
            f"not taken from there: {ignored}",
            "A project's files can only turn telemetry off; what an organization says of the destination holds.",
        )
    overridden = ", ".join(
        f"{name} in {place} (by {variables.places[name]})" for name, place in variables.overridden
    )
    if overridden:
        return warning(f"overridden: {overridden}", "Remove the value that you do not mean.")
    return ok("every value that is set counts")


def variables_of(patient: Patient) -> Effective:
    """Work out what the client goes by. The files have been read once, so they can be."""
    return effective(read_layers(patient.project, patient.environment, patient.managed))


def destinations(patient: Patient) -> Iterator[Destination]:
    """Give where each signal goes that is sent. Raises DestinationError."""
    variables = variables_of(patient)
    return (destination(variables, signal) for signal in exported(variables))


FILES: Final = "settings files"
ADDRESS: Final = "address"
_ON: Final = "telemetry on"
_EXPORTERS: Final = "exporters"
CHECKS: Final = (
    Check(FILES, settings_files),
    Check(_ON, telemetry_on, (FILES,)),
    Check("values that count", shadows, (FILES,)),
    Check(_EXPORTERS, exporters, (_ON,)),
    Check("traces", traces, (_ON,)),
    Check(ADDRESS, addresses, (_EXPORTERS,)),
    Check("intervals", intervals, (_EXPORTERS,)),
    Check("content", content, (_ON,)),
)
