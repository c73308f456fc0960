"""PromQL as its grammar reads it, before anything is sent or translated.

The parser is recursive: some thousand operators or parentheses overflow its stack, and that ends the process. So the
text is measured before it is parsed: at most MAX_CHARACTERS, and at most MAX_OPERATORS of what can nest.
"""

import re
from typing import Any, Final

import promql_parser

from connectors.contract import BackendError, Kind

MAX_CHARACTERS: Final = 16_384
MAX_OPERATORS: Final = 1_000
"""A query of 4,000 additions still parses on a stack of 8 MiB, and one of 5,000 does not (promql-parser 0.12)."""

TEXTS: Final = re.compile(r"""#[^\n]*|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'|`[^`]*`""")
"""Comments and strings, in which nothing nests."""
_NESTING: Final = re.compile(r"[(+\-*/%^<>=!]|\b(?:and|or|unless|atan2)\b", re.IGNORECASE)
_UNKNOWN_FUNCTION: Final = "unknown function"


def parsed(query: str) -> Any:
    """Return the tree of a query. Raises BackendError of the kind BAD_QUERY with the grammar's words."""
    check_size(query)
    try:
        return promql_parser.parse(query)
    except ValueError as error:
        raise BackendError(
            Kind.BAD_QUERY,
            "The query is not PromQL; detail says where it breaks the grammar.",
            detail=str(error)[:1_000],
        ) from None


def check(query: str) -> None:
    """Raise BackendError for what no version of Prometheus accepts.

    A function that the grammar does not know is left to the system, which may be newer than the grammar.
    """
    try:
        parsed(query)
    except BackendError as error:
        if not error.detail.startswith(_UNKNOWN_FUNCTION):
            raise


def check_size(query: str) -> None:
    """Raise BackendError for a query that is too long or too deep to be parsed."""
    if len(query) > MAX_CHARACTERS:
        raise BackendError(
            Kind.BAD_QUERY,
            f"The query has {len(query):,} characters, and at most {MAX_CHARACTERS:,} are sent: ask a shorter one.",
        )
    operators = sum(1 for _ in _NESTING.finditer(TEXTS.sub("''", query)))
    if operators > MAX_OPERATORS:
        raise BackendError(
            Kind.BAD_QUERY,
            f"The query has {operators:,} operators and parentheses, and at most {MAX_OPERATORS:,} are sent: ask for"
            " fewer at a time.",
        )
