"""Logging: structlog, as text for people or JSON for machines, on standard error.

The server logs events and numbers, and never a request's content, a header or a token. Libraries that log
through the standard library are shown from `warning` on, by their message alone.
"""

import logging
import sys

import structlog

from access.text import visible


def configure(log_format: str, level: str) -> None:
    """Set up logging for the process."""
    renderer: structlog.typing.Processor = (
        structlog.processors.JSONRenderer()
        if log_format == "json"
        else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _visible,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    logging.basicConfig(level=logging.WARNING, handlers=[_Forward()], force=True)
    # They warn of every connection that fails; the server logs it once, and again when it is over.
    # uvicorn warns of what any client can send: a request that is no HTTP, an offer of another protocol.
    for name in ("urllib3.connectionpool", "clickhouse_connect", "uvicorn.error"):
        logging.getLogger(name).setLevel(logging.ERROR)


def _visible(_: object, __: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    """Return an event whose texts cannot disturb a terminal: names in them come from clients."""
    return {key: visible(value) if isinstance(value, str) else value for key, value in event.items()}


class _Forward(logging.Handler):
    """Hands a library's record to structlog without its arguments' traceback, which could quote content."""

    def emit(self, record: logging.LogRecord) -> None:
        cause = record.exc_info[0].__name__ if record.exc_info and record.exc_info[0] else None
        structlog.get_logger().log(
            record.levelno,
            "A library reports.",
            library=record.name,
            error=cause,
            place=f"{record.module}:{record.lineno}",
        )
