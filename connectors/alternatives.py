"""The text of a LogsRequest, read: alternatives, each of words and phrases that a line must contain.

`timeout OR "connection refused" upstream` has two alternatives; the second wants a phrase and a word, in any order.
A quote without its end is a letter like others. Case does not matter, OR in capitals does.
"""

import itertools
import re
from collections.abc import Sequence
from typing import Final

from connectors.contract import BackendError, Kind

Alternatives = tuple[tuple[str, ...], ...]

_TERM: Final = re.compile(r'"([^"]+)"|(\S+)')
_CLAUSES: Final = 64
_LONGEST: Final = 2_000


def alternatives(text: str) -> Alternatives:
    """Return the alternatives of a text, none for an empty one. Raises BackendError for one that is too long."""
    if len(text) > _LONGEST:
        raise BackendError(Kind.BAD_QUERY, f"The text is longer than {_LONGEST:,} characters: shorten it.")
    found: list[list[str]] = [[]]
    for term in _TERM.finditer(text):
        if term[2] == "OR":
            found.append([])
        else:
            found[-1].append(term[1] or term[2])
    return tuple(tuple(dict.fromkeys(words)) for words in found if words)


def clauses(found: Alternatives) -> Sequence[tuple[str, ...]]:
    """Return clauses, of each of which a line must contain one word at least: for systems that filter step by step.

    Raises BackendError for more of them than a system should be asked.
    """
    count = 1
    for words in found:
        count *= len(words)
    if count > _CLAUSES:
        raise BackendError(
            Kind.BAD_QUERY,
            "The text has too many words in too many alternatives: put those that belong together in quotes, or use"
            " a regular expression.",
        )
    return tuple(dict.fromkeys(itertools.product(*found))) if found else ()


def is_in(message: str, found: Alternatives) -> bool:
    """Whether a line contains all words of one of the alternatives; any line, when there are none."""
    lower = message.lower()
    return not found or any(all(word.lower() in lower for word in words) for words in found)
