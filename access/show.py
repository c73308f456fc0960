"""An answer for a person at a terminal: a table, sentences on what is not collected, and the way to the rest."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import orjson

from access.emptiness import reason
from access.ids import whole_in
from access.needs import EVENTS, lacking
from access.query import QuestionRefused, ask, plain
from access.questions import Question
from access.refusal import Refusal
from access.store import ROWS, Rows, parsed
from access.table import WIDTH, Shown, fitted, markdown, readable, text, unpriced
from access.tree import COLUMNS, TYPES, tree
from clickhouse.client_errors import OtherFormat, StatementRefused

if TYPE_CHECKING:
    from clickhouse.client import Client  # its driver takes a third of a second to import

READABLE: Final = frozenset({"table", "markdown"})
"""The formats for people; those for programs are ClickHouse's own, and exact."""
MOST: Final = 10_000
"""Rows of a table."""
HEAD: Final = 64 << 10
"""Bytes of an answer in which it shows whether it has rows."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A statement with its values, and the bundled question that it is, if it is one."""

    sql: str
    values: Mapping[str, str]
    question: Question | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """A table as text, and what is to be said beside it."""

    text: str
    notes: tuple[str, ...]


def completed(client: "Client", asked: Asked) -> Asked:
    """Return the question with short ids replaced by whole ones. Raises Ambiguous, ClientError."""
    if asked.question is None:
        return asked
    values = {name: whole_in(client, name, value) for name, value in asked.values.items()}
    return Asked(asked.sql, values, asked.question)


def page(
    client: "Client", asked: Asked, output_format: str, width: int = WIDTH, *, is_full: bool = False
) -> Page | None:
    """Return an answer for people, None when the statement asks for a format of its own.

    `is_full`: ids whole, columns as wide as they are. Raises QuestionRefused, and other ClientErrors.
    """
    try:
        rows = parsed(client.stream(asked.sql, asked.values, ROWS, is_fixed=True), MOST)
    except OtherFormat:
        return None
    except StatementRefused as error:
        words = plain(error.message or str(error))
        raise QuestionRefused(words, error.reason, error.code, error.message) from None
    except Refusal as refusal:
        raise QuestionRefused(plain(str(refusal)), refusal.code.value, 0, str(refusal)) from None
    shown, notes = _shown(asked, rows, width=None if is_full else width)
    if not rows.rows:
        return Page("", none(client, asked))
    written = markdown(shown) if output_format == "markdown" else text(shown)
    return Page(written, (*notes, *unmet(client, asked)))


def has_no_rows(asked: Asked, output_format: str, start: bytes) -> bool:
    """Whether an answer as ClickHouse writes it has no rows. `start` is all of it, or more than HEAD bytes."""
    if output_format == "csv" and asked.question is not None:  # a statement may ask for another format
        return start.count(b"\n") <= 1
    if output_format == "json" and len(start) <= HEAD:
        try:
            document = orjson.loads(start)
        except orjson.JSONDecodeError:  # in a format that the statement itself asks for
            return not start
        return (
            isinstance(document, dict) and {"meta", "data"} <= document.keys() and document.get("rows") == 0
        )
    return not start


def none(client: "Client", asked: Asked) -> tuple[str, ...]:
    """Return what there is to say about an answer without rows. Raises ClientError."""
    question = asked.question
    if question is None:
        return ("No rows.",)
    asker = _asker(client)
    lacks = lacking(question.needs, asked.values, asker)
    why = reason(question, asked.values, lacks, asker)
    return (f"No rows: {why}." if why else "No rows.", *(lack.sentence for lack in lacks))


def unmet(client: "Client", asked: Asked) -> tuple[str, ...]:
    """Return a sentence for each thing that an answer with rows lacks, as it is not collected. Raises ClientError."""
    question = asked.question
    if question is None or question.needs in {(), (EVENTS,)}:
        return ()
    return tuple(lack.sentence for lack in lacking(question.needs, asked.values, _asker(client)))


def exact(client: "Client", asked: Asked, output_format: str) -> Iterator[bytes]:
    """Yield an answer for programs as it arrives. Raises QuestionRefused, and other ClientErrors."""
    return ask(client, asked.sql, asked.values, output_format)


def _shown(asked: Asked, rows: Rows, width: int | None) -> tuple[Shown, tuple[str, ...]]:
    question = asked.question
    columns, types, found = rows.columns, rows.types, rows.rows
    is_short = question is not None and width is not None
    if question is not None and question.name == "trace" and is_short:
        columns, types, found = COLUMNS, TYPES, tree(rows.dicts())
    shown = readable(columns, types, found, is_question=question is not None, has_short_ids=is_short)
    notes = [unpriced(columns, found)] if question is not None else []
    if width is not None:
        shown = fitted(shown, question.wide if question else (), width)
    if shown.hidden:
        notes.append(f"No room for {', '.join(shown.hidden)}: --full or --format csv has them.")
    if rows.has_more:
        notes.append(f"These are the first {MOST:,} rows: --format csv has them all.")
    return shown, tuple(note for note in notes if note)


def _asker(client: "Client") -> Any:
    def rows(sql: str, values: Mapping[str, str]) -> Sequence[Sequence[Any]]:
        return parsed(client.stream(sql, values, ROWS)).rows

    return rows
