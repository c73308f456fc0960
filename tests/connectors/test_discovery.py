"""What identifies a question for names: all that its answer depends on."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

from access.reading import Desk
from connectors.answers import key
from connectors.connected import Asked, Connection, Question
from connectors.contract import Window
from connectors.tools import discovery
from connectors.tools.asker import Asker
from tests.nothing_store import NothingStore

NOW = datetime(2026, 1, 2, tzinfo=UTC)
TODAY = Window(NOW - timedelta(hours=1), NOW)
EARLIER = Window(NOW - timedelta(days=9), NOW - timedelta(days=8))


class Asking:
    """Keeps the questions that it is asked."""

    def __init__(self) -> None:
        self.questions: list[Question] = []

    async def ask(self, caller: str, connection: Connection, question: Question, call: Any) -> Asked[Any]:
        del caller, call
        self.questions.append(question)
        return Asked([], connection, "", 0)


def test_another_period_and_another_limit_are_other_questions() -> None:
    """What one tool was told is given to another only when it asked for the same."""
    asking = Asking()
    asker = Asker(Desk(NothingStore()).reading("a"), asking)  # type: ignore[arg-type]
    connection = Connection("1", "one", "prometheus", frozenset())

    async def ask() -> None:
        for window in (TODAY, EARLIER):
            for limit in (10, 500):
                await discovery.label_names(asker, connection, "a", "up", window, limit)
                await discovery.label_values(asker, connection, "a", "job", "up", window, limit)
        for limit in (10, 500):
            await discovery.metric_names(asker, connection, "a", "", limit)

    asyncio.run(ask())
    keys = {key("1", question, NOW) for question in asking.questions}
    assert len(keys) == len(asking.questions) == 10
    asyncio.run(ask())
    assert {key("1", question, NOW) for question in asking.questions} == keys
