"""The expected answer to each question, in plain Python: a module for each topic, a function for each question."""

from access.questions import Question
from tests.answers import cost, data, errors, people, security, sessions, speed, tools
from tests.oracle import Row, World

_TOPICS = {
    "cost": cost,
    "data": data,
    "errors": errors,
    "people": people,
    "security": security,
    "sessions": sessions,
    "speed": speed,
    "tools": tools,
}


def expected(question: Question, world: World) -> list[Row]:
    """Return the rows that a question should have, in order."""
    rows: list[Row] = getattr(_TOPICS[question.topic], question.name)(world)
    return rows
