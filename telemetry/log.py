"""Logging: structlog, as text for people or JSON for machines, on standard error.

What is logged is chosen by us: events and numbers, never a request's content, a header or a token. Libraries
that log through the standard library are heard from `warning` on, and by their message alone.
"""

import logging
import sys

import structlog


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
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    logging.basicConfig(level=logging.WARNING, handlers=[_Forward()], force=True)
    # They warn of every connection that fails; we tell it once, and when it is over.
    for name in ("urllib3.connectionpool", "clickhouse_connect"):
        logging.getLogger(name).setLevel(logging.ERROR)


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
