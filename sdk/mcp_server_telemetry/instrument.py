"""`instrument(server)`: the one call, and what it returns.

It attaches to what each kind of server has for it: the middleware of `mcp` 2.x, which `fastmcp` shares, and the table
of handlers of `mcp` 1.x. The span that `mcp` 2.x and `fastmcp` make of each message has error texts and names that
clients choose; ours takes its place, so that there is one span a message, without content.
"""

import logging
import weakref
from collections.abc import Iterable, Sequence
from typing import Any, Final

from opentelemetry import metrics, trace
from opentelemetry.metrics import MeterProvider
from opentelemetry.trace import TracerProvider

from mcp_server_telemetry import protocol_1, protocol_2
from mcp_server_telemetry.messages import Messages
from mcp_server_telemetry.options import Options
from mcp_server_telemetry.recorder import Recorder, Sink
from mcp_server_telemetry.sessions import TracedSessionManager

log = logging.getLogger("mcp_server_telemetry")

NAME: Final = "mcp_server_telemetry"
_instrumented: "weakref.WeakKeyDictionary[Any, Instrumented]" = weakref.WeakKeyDictionary()


class Instrumented:
    """The instrumentation of one server."""

    def __init__(self, recorder: Recorder, sessions: TracedSessionManager) -> None:
        self.recorder = recorder
        self.sessions = sessions
        """For sessions that the program manages itself."""

    def admit_tools(self, names: Iterable[str]) -> None:
        """Let tools be counted under their own names before they first answer; those that are listed are, too."""
        for name in names:
            self.recorder.tools.admit(name)


def instrument(
    server: Any,
    options: Options | None = None,
    *,
    tracer_provider: TracerProvider | None = None,
    meter_provider: MeterProvider | None = None,
    sinks: Sequence[Sink] = (),
) -> Instrumented:
    """Measure a server's messages and sessions from now on, and return the instrumentation.

    The providers are those given, else the process's own; `setup_otel` makes these. A second call for a server changes
    nothing. Raises TypeError for an object that is no MCP server of a kind that is known.
    """
    low_level = _low_level(server)
    found = _instrumented.get(low_level)
    if found is not None:
        log.warning("This server is instrumented already; the second call changes nothing.")
        return found
    recorder = Recorder(
        (meter_provider or metrics.get_meter_provider()).get_meter(NAME),
        (tracer_provider or trace.get_tracer_provider()).get_tracer(NAME),
        options or Options(),
        sinks,
    )
    messages = Messages(recorder)
    if protocol_2.is_known(low_level):
        protocol_2.attach(server, low_level, messages, recorder)
    else:
        protocol_1.attach(server, low_level, messages, recorder)
    made = Instrumented(recorder, TracedSessionManager(recorder))
    _instrumented[low_level] = made
    return made


def _low_level(server: Any) -> Any:
    """Return the low-level server, which all messages pass."""
    for candidate in (
        server,
        getattr(server, "_lowlevel_server", None),  # MCPServer of mcp 2.x
        getattr(server, "_mcp_server", None),  # FastMCP, of mcp 1.x and of fastmcp
    ):
        if candidate is not None and (
            (protocol_2.is_known(candidate) and not hasattr(candidate, "_lowlevel_server"))
            or protocol_1.is_known(candidate)
        ):
            return candidate
    raise TypeError(
        f"{type(server).__name__} is no MCP server that can be instrumented: pass an MCPServer or Server of mcp 2.x, a"
        " FastMCP or Server of mcp 1.x, or a FastMCP of fastmcp."
    )
