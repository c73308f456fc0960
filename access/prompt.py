"""The interactive prompt of `telemetry query`: statements and names of questions, answered one after the other."""

from collections.abc import Callable
from typing import Final

from prompt_toolkit import PromptSession
from prompt_toolkit.completion import WordCompleter
from prompt_toolkit.lexers import PygmentsLexer
from pygments.lexers.sql import SqlLexer

_HELP: Final = """A statement ends with ; or at the end of a line that names a question.
  \\l           list the questions
  \\f FORMAT    answer as table, csv, json, jsonl or markdown
  \\q           leave (also Ctrl-D)"""


def run(
    names: list[str],
    show: Callable[[str], None],
    list_questions: Callable[[], None],
    use: Callable[[str], None],
) -> None:
    """Read and answer until the person leaves. What is typed is kept in memory only."""
    session: PromptSession[str] = PromptSession(
        lexer=PygmentsLexer(SqlLexer),
        completer=WordCompleter([*names, "SELECT", "FROM", "WHERE", "GROUP BY", "ORDER BY"]),
    )
    print(_HELP)  # noqa: T201  for the person at the terminal
    lines: list[str] = []
    while True:
        try:
            line = session.prompt("  ... " if lines else "query> ").strip()
        except KeyboardInterrupt:
            lines.clear()
            continue
        except EOFError:
            return
        word, _, rest = line.partition(" ")
        match word:
            case "" if not lines:
                pass
            case "\\q" | "exit" | "quit":
                return
            case "\\l":
                list_questions()
            case "\\f":
                use(rest)
            case _:
                lines.append(line)
                whole = "\n".join(lines)
                if whole.endswith(";") or whole in names:
                    lines.clear()
                    show(whole.removesuffix(";"))
