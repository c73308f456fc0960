"""The interactive prompt of `telemetry query`: it answers statements and names of questions, one after the other."""

import difflib
import re
from collections.abc import Callable, Sequence
from typing import Final

from prompt_toolkit import PromptSession
from prompt_toolkit.completion import WordCompleter
from prompt_toolkit.lexers import PygmentsLexer
from pygments.lexers.sql import SqlLexer

_HELP: Final = """Type the name of a question, with its parameters: errors team=platform from="3 days ago"
or a statement of SQL. A line that is not finished (it ends with a comma, a word such as FROM, or in a bracket) goes on.
  list, list NAME    the questions; one with its parameters and columns
  format NAME        answer as table, csv, json, jsonl or markdown
  help, quit         this text; leave (also Ctrl-D)"""
_STATEMENT: Final = frozenset(
    {"select", "with", "show", "describe", "desc", "explain", "exists", "check", "use", "set", "insert", "alter",
     "drop", "create", "truncate", "delete", "update", "system", "optimize", "grant", "kill", "values", "from"}
)  # fmt: skip
"""Words with which a statement begins; the user who asks may only read, and hears so."""
_UNFINISHED: Final = re.compile(
    r"(?:[,(+\-*/=<>]|\b(?:select|from|where|and|or|not|by|on|join|left|inner|as|in|having|limit|with|union|all|between"
    r"|like|using|group|order|distinct|case|when|then|else))\s*$",
    re.IGNORECASE,
)
_TEXTS: Final = re.compile(r"'(?:[^'\\]|\\.|'')*'|`[^`]*`|\"[^\"]*\"|--[^\n]*|/\*.*?\*/", re.DOTALL)
_LEAVE: Final = frozenset({"\\q", "exit", "quit", "q", "bye", ":q"})
_HELPS: Final = frozenset({"help", "?", "\\?", "\\h", "h"})


class Prompt:
    """What a person types, line by line: each is answered, or is the beginning of a statement that goes on."""

    def __init__(
        self,
        names: Sequence[str],
        show: Callable[[str], None],
        list_questions: Callable[[str], None],
        use: Callable[[str], None],
        say: Callable[[str], None],
    ) -> None:
        self._names = names
        self._show = show
        self._list = list_questions
        self._use = use
        self._say = say
        self._lines: list[str] = []

    @property
    def is_within(self) -> bool:
        """Whether a statement has begun and is not finished."""
        return bool(self._lines)

    def forget(self) -> None:
        """Drop the lines of a statement that is not finished."""
        self._lines.clear()

    def take(self, line: str) -> bool:
        """Answer a line. Return False when the person leaves."""
        typed = line.strip()
        bare = typed.rstrip("; ").strip()
        word, _, rest = bare.partition(" ")
        if bare.casefold() in _LEAVE:
            return False
        if not self.is_within and self._answered(bare, word.casefold(), rest.strip()):
            return True
        self._lines.append(typed)
        whole = "\n".join(self._lines)
        if typed.endswith(";") or not typed or is_finished(whole):
            self._lines.clear()
            if statement := whole.strip().removesuffix(";").strip():
                self._show(statement)
        return True

    def _answered(self, bare: str, word: str, rest: str) -> bool:
        """Whether the line was a command, a question's name, or a word that is neither."""
        if not bare:
            return True
        if word in _HELPS:
            self._say(_HELP)
        elif word in {"\\l", "list"}:
            self._list(rest)
        elif word in {"\\f", "format"}:
            self._use(rest)
        elif bare.partition(" ")[0] in self._names:
            self._show(bare)
        elif word.partition("(")[0] in _STATEMENT or word.startswith(("--", "/*", "(")):
            return False
        else:
            near = difflib.get_close_matches(word, [*self._names, "help", "list", "quit"], 3)
            meant = f"; did you mean {' or '.join(near)}?" if near else "."
            self._say(
                f"There is no question {bare.partition(' ')[0]}{meant} Type list to see them, help for the rest."
            )
        return True


def is_finished(statement: str) -> bool:
    """Whether a statement without a semicolon may be run: its brackets and texts are closed, and no word is awaited."""
    plain = _TEXTS.sub("''", statement)
    if plain.count("(") > plain.count(")") or "'" in plain.replace("''", "") or "/*" in plain:
        return False
    return not _UNFINISHED.search(plain) or plain.rstrip().endswith("*")


def run(prompt: Prompt, names: Sequence[str]) -> None:
    """Read and answer until the person leaves. The history of typed lines is kept in memory only."""
    session: PromptSession[str] = PromptSession(
        lexer=PygmentsLexer(SqlLexer),
        completer=WordCompleter(
            [*names, "SELECT", "FROM", "WHERE", "GROUP BY", "ORDER BY", "list", "help", "quit"]
        ),
    )
    print("Type a question's name or a statement; help for more.")  # noqa: T201  for the person at the terminal
    while True:
        try:
            line = session.prompt("  ... " if prompt.is_within else "query> ")
        except KeyboardInterrupt:
            prompt.forget()
            continue
        except EOFError:
            return
        if not prompt.take(line):
            return
