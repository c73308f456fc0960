"""Checks of Claude Code's settings: whether they make it send every signal, to this server, soon enough."""

import os
from collections.abc import Iterator
from typing import Final

from access.needs import NEEDS, TOOL_DETAILS
from onboarding.choices import CONTENT, METRIC_INTERVAL_MS, RECOMMENDED, WHY_TOOL_DETAILS, recommended
from onboarding.destination import DestinationError, destination, exported
from onboarding.doctor.finding import Check, Finding, broken, ok, warning
from onboarding.doctor.target import Target
from onboarding.mcp_registration import Reach, RegistrationError, is_known
from onboarding.precedence import Variables, in_force, places, read_layers
from onboarding.settings_files import SettingsFileError, read
from otlp.destination import GRPC_PORT, HTTP_PORT, Destination, Protocol
from otlp.sender import other_protocol
from otlp.signals import Signal

_SETUP: Final = "Run telemetry setup."
_LONG_METRICS_MS: Final = 15_000
_LONG_EVENTS_MS: Final = 10_000


def settings_files(target: Target) -> Finding:
    """Check that the client can read every settings file."""
    found = []
    for _, path in places(target.project, target.environment, target.managed):
        try:
            if read(path).text is not None:
                found.append(str(path))
        except SettingsFileError as error:
            problem, _, fix = str(error).partition(": ")
            return broken(problem, fix)
    return ok(
        f"Claude Code reads {', '.join(found)}"
        if found
        else "there are none; only the shell's environment counts"
    )


def telemetry_on(target: Target) -> Finding:
    """Check the client's main switch."""
    variables = variables_of(target)
    if variables.is_on("CLAUDE_CODE_ENABLE_TELEMETRY"):
        return ok(f"on, says {variables.places['CLAUDE_CODE_ENABLE_TELEMETRY']}")
    if ignored := [place for name, place in variables.ignored if name == "CLAUDE_CODE_ENABLE_TELEMETRY"]:
        return broken(
            f"CLAUDE_CODE_ENABLE_TELEMETRY is set in {ignored[0]}, where Claude Code 2.1.282 and newer ignore it",
            "Run telemetry setup, which writes your user settings; or set it in the shell or in managed settings.",
        )
    if "CLAUDECODE" in os.environ and target.environment is os.environ:
        return broken(
            "CLAUDE_CODE_ENABLE_TELEMETRY is in no settings file, and Claude Code hides OTEL_ variables from its tools",
            "Run telemetry setup; or run this in the shell that starts Claude Code, where they may be set.",
        )
    return broken("CLAUDE_CODE_ENABLE_TELEMETRY is not set", _SETUP)


def exporters(target: Target) -> Finding:
    """Check that metrics and events are exported over OTLP."""
    variables = variables_of(target)
    signals = exported(variables)
    if not signals:
        return broken(
            "neither OTEL_METRICS_EXPORTER nor OTEL_LOGS_EXPORTER is otlp, so nothing is sent", _SETUP
        )
    for signal, name, loss in (
        (Signal.LOGS, "OTEL_LOGS_EXPORTER", "no events: no cost, no tool calls, no errors"),
        (Signal.METRICS, "OTEL_METRICS_EXPORTER", "no metrics: no commits, no lines of code, no active time"),
    ):
        if signal not in signals:
            place = variables.places.get(name)
            return warning(f"{name} is not otlp{f' ({place})' if place else ''}: {loss}", f"Set {name}=otlp.")
    return ok(", ".join(signals))


def traces(target: Target) -> Finding:
    """Check traces, a beta with a switch of its own."""
    variables = variables_of(target)
    if Signal.TRACES in exported(variables):
        return ok("on")
    text = "traces are off: no steps of a prompt, no waiting for permission, no time to the first token"
    missing = [
        name
        for name, is_set in (
            ("CLAUDE_CODE_ENHANCED_TELEMETRY_BETA=1", variables.is_on("CLAUDE_CODE_ENHANCED_TELEMETRY_BETA")),
            ("OTEL_TRACES_EXPORTER=otlp", "otlp" in variables.get("OTEL_TRACES_EXPORTER")),
        )
        if not is_set
    ]
    return warning(text, f"Set {' and '.join(missing)}, or run telemetry setup.")


def addresses(target: Target) -> Finding:
    """Check that each signal has a protocol and an address, and that these match."""
    try:
        found = list(destinations(target))
    except DestinationError as error:
        return broken(error.problem.rstrip("."), error.fix)
    for to in found:
        wrong = HTTP_PORT if to.protocol is Protocol.GRPC else GRPC_PORT
        if to.port == wrong:
            return broken(
                f"{to.signal} go over {to.protocol} to {to.address}, the usual port of the other protocol",
                other_protocol(to),
            )
        if to.protocol is not Protocol.GRPC and f"/v1/{to.signal}/v1/" in to.url:
            return broken(
                f"{to.signal} go to {to.url}, which is not a path of OTLP",
                "OTEL_EXPORTER_OTLP_ENDPOINT has no path: the client adds /v1/logs and the like.",
            )
    return ok(", ".join(dict.fromkeys(f"{to.protocol} to {to.base}" for to in found)))


def intervals(target: Target) -> Finding:
    """Check the export intervals: a short run ends before a long interval does."""
    variables = variables_of(target)
    for name, default, most in (
        ("OTEL_METRIC_EXPORT_INTERVAL", 60_000, _LONG_METRICS_MS),
        ("OTEL_LOGS_EXPORT_INTERVAL", 5_000, _LONG_EVENTS_MS),
        ("OTEL_TRACES_EXPORT_INTERVAL", 5_000, _LONG_EVENTS_MS),
    ):
        value = variables.get(name)
        if value and not value.isdigit():
            return warning(f"{name} is not a number of milliseconds", f"Set {name}={default}.")
        if int(value or default) > most:
            meaning = f"{name} is {value} ms" if value else f"{name} is not set, which means {default} ms"
            return warning(
                f"{meaning}: short runs end before it", f"Set {name}={min(most, METRIC_INTERVAL_MS)}."
            )
    return ok("short enough for short runs")


def content(target: Target) -> Finding:
    """Check whether the text of people and the model is sent, which should be a decision."""
    variables = variables_of(target)
    on = [switch for switch in CONTENT if variables.is_on(switch.variable)]
    if variables.is_on("OTEL_LOG_ASSISTANT_RESPONSES") and not any(switch.name == "prompts" for switch in on):
        return warning(
            "OTEL_LOG_ASSISTANT_RESPONSES is on: the model's responses are sent",
            "Unset it unless you want that.",
        )
    if not on:
        if RECOMMENDED in recommended(target.settings.sanitize_level):
            return ok(f"none is sent; {WHY_TOOL_DETAILS}: {NEEDS[TOOL_DETAILS].sentence}")
        return ok("none is sent")
    names = ", ".join(switch.variable for switch in on)
    sent = "; ".join(switch.sends for switch in on)
    if {switch.name for switch in on} <= recommended(target.settings.sanitize_level):
        return ok(f"{names}, as is recommended: sends {sent}; this server keeps hashes of it")
    return warning(
        f"{names}: sends {sent}. At the level strict this server keeps hashes of it, at balanced the redacted text",
        "Unset what you do not want sent.",
    )


def shadows(target: Target) -> Finding:
    """Look for values that are set and have no effect."""
    variables = variables_of(target)
    ignored = ", ".join(f"{name} in {place}" for name, place in variables.ignored)
    if ignored:
        return warning(
            f"ignored: {ignored}",
            "A project's files can only turn telemetry off, and the organization's destination overrides all others.",
        )
    overridden = ", ".join(
        f"{name} in {place} (by {variables.places[name]})" for name, place in variables.overridden
    )
    if overridden:
        return warning(f"overridden: {overridden}", "Remove the value that you do not want.")
    return ok("every value that is set counts")


def variables_of(target: Target) -> Variables:
    """Return the variables in force. An earlier check has read the files, so they can be read."""
    return in_force(read_layers(target.project, target.environment, target.managed))


def destinations(target: Target) -> Iterator[Destination]:
    """Yield the destination of each signal that is sent. Raises DestinationError."""
    variables = variables_of(target)
    return (destination(variables, signal) for signal in exported(variables))


def mcp(target: Target) -> Finding:
    """Check whether Claude can ask this server about its own work."""
    try:
        reaches = [reach.value for reach in Reach if is_known(reach, target.project)]
    except RegistrationError as error:
        problem, _, fix = str(error).partition(": ")
        return warning(problem, f"{fix[:1].upper()}{fix[1:]}")
    if not reaches:
        return ok("not registered: telemetry setup --mcp user lets Claude ask this server")
    return ok(f"registered ({', '.join(reaches)})")


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
    Check("MCP server", mcp),
)
