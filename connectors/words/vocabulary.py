"""The words in which people ask, and what is known of widely used exporters: two YAML files beside this one."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, lru_cache
from importlib import resources
from typing import Any, Final

import yaml

_CAMEL: Final = re.compile(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Za-z]{2})(?=\d)|(?<=\d)(?=[A-Z])")
_SPLIT: Final = re.compile(r"[^A-Za-z0-9]+")
_SHORT: Final = 3


@lru_cache(maxsize=32_768)
def stem(word: str) -> str:
    """Return a word without its ending: connections, connection; dropped, drop; inserts, insert."""
    word = word.lower()
    if len(word) <= _SHORT or not word.isalpha():
        return word
    for ending, instead in (("ies", "y"), ("sses", "ss"), ("ches", "ch"), ("shes", "sh"), ("xes", "x")):
        if word.endswith(ending):
            word = word.removesuffix(ending) + instead
            break
    else:
        if word.endswith("s") and not word.endswith(("ss", "us", "is")):
            word = word[:-1]
    for ending in ("ing", "ed"):
        if word.endswith(ending) and len(word) - len(ending) >= _SHORT:
            word = word.removesuffix(ending)
            if word[-1] == word[-2] and word[-1] not in "lsz":
                word = word[:-1]
            break
    return word.removesuffix("e") if len(word) > _SHORT + 1 else word


@lru_cache(maxsize=32_768)
def tokens(name: str) -> tuple[str, ...]:
    """Return the words of a metric's name or of a sentence, without their endings, in order."""
    return tuple(stem(part) for word in _SPLIT.split(name) for part in _CAMEL.split(word) if part)


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of a metric by its name."""

    labels: Sequence[str] = ()
    """Empty: nothing is known of its labels."""
    values: Mapping[str, Sequence[str]] = field(default_factory=dict)
    where: Mapping[str, str] = field(default_factory=dict)
    """What must be selected beside a value."""
    errors: str = ""
    """The matcher of failed requests."""
    words: frozenset[str] = frozenset()
    is_preferred: bool = False
    """Of several that would do, this one is usually meant."""


@dataclass(frozen=True)
class Vocabulary:
    """The words, all without their endings."""

    concepts: Mapping[str, frozenset[str]]
    """The concepts of a word."""
    phrases: Sequence[tuple[str, str]]
    filler: frozenset[str]
    weak: frozenset[str]
    boilerplate: frozenset[str]
    entities: Mapping[str, Sequence[str]]
    exporters: Sequence[tuple[re.Pattern[str], Known]]

    def related(self, word: str) -> frozenset[str]:
        """Return the concepts of a stem."""
        return self.concepts.get(word, frozenset())

    def known(self, name: str) -> Known:
        """Return what is known of a metric."""
        return next((known for pattern, known in self.exporters if pattern.fullmatch(name)), Known())

    def entity(self, word: str) -> str | None:
        """Return the entity that a word names, in the singular."""
        found = next(
            (one for one in (word.lower(), word.lower().removesuffix("s")) if one in self.entities), None
        )
        return found or {"databases": "database", "queries": None}.get(word.lower())


@cache
def vocabulary() -> Vocabulary:
    """Return the words of the two files, read once."""
    here = resources.files("connectors.words")
    words: dict[str, Any] = yaml.safe_load((here / "vocabulary.yaml").read_text("utf-8"))
    concepts: dict[str, set[str]] = {}
    for concept, members in words["concepts"].items():
        for member in members:
            concepts.setdefault(stem(str(member)), set()).add(concept)
    exporters = yaml.safe_load((here / "exporters.yaml").read_text("utf-8"))
    return Vocabulary(
        {word: frozenset(found) for word, found in concepts.items()},
        sorted(words["phrases"].items(), key=lambda pair: -len(pair[0])),
        frozenset(words["filler"]),
        frozenset(stem(word) for word in words["weak"]),
        frozenset(stem(word) for word in words["boilerplate"]),
        words["entities"],
        [
            (
                re.compile(one["names"]),
                Known(
                    one.get("labels", ()),
                    one.get("values", {}),
                    one.get("where", {}),
                    one.get("errors", ""),
                    frozenset(tokens(one.get("words", ""))),
                    one.get("prefer", False),
                ),
            )
            for one in exporters
        ],
    )
