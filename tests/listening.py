"""A scrub that notes what the native pass asks it."""

from collections.abc import Sequence

from privacy.sanitizer import Sanitizer
from receiver.scrub import Question, Scrub


class Listening(Scrub):
    """Notes each question in `asked`, and answers it."""

    def __init__(self, sanitizer: Sanitizer) -> None:
        super().__init__(sanitizer)
        self.asked: list[Question] = []

    def answers(self, statement: int, questions: Sequence[Question]) -> list[str | list[tuple[str, str]]]:
        self.asked += questions
        return super().answers(statement, questions)
