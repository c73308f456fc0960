"""The corpus: each kind's text, made several times, in the places where Claude Code's telemetry holds such texts."""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from random import Random
from typing import Final

from tests.private_texts.fresh import FRESH, FRESH_LOOK_ALIKES, FRESH_PEOPLE
from tests.private_texts.ids import IDS
from tests.private_texts.later import LATER, LATER_LOOK_ALIKES
from tests.private_texts.look_alikes import LOOK_ALIKES
from tests.private_texts.made import _SPECIAL, WORDS, fill
from tests.private_texts.named import NAMED
from tests.private_texts.pii import PII
from tests.private_texts.tokens import TOKENS

_SPECIAL.update(IDS)


@dataclass(frozen=True, slots=True)
class Text:
    """One text. `gone` are the private parts, none in a look-alike; `where` names the place it stands in."""

    group: str
    kind: str
    where: str
    text: str
    gone: tuple[str, ...]

    @property
    def half(self) -> str:
        """The part that the kind belongs to: `developed`, `held out`, or `later`, which was written after the rules."""
        if self.kind.startswith(("later ", "last ", "fresh ")):
            return "later"
        digest = hashlib.sha256(f"{self.group}/{self.kind}".encode()).digest()
        return "held out" if digest[0] % 2 else "developed"


def corpus(seed: int = 1) -> Iterator[Text]:
    """Make every text of the corpus; the same for the same seed."""
    for kind, template in _lines(TOKENS):
        for where, around in _TOKEN_PLACES.items():
            random = Random(f"{seed}/{kind}/{where}")  # noqa: S311  no secret
            token = fill(template, random)
            yield from _placed("token", kind, where, around.replace("@", f"«{token}»"), _as_it_is)
    groups = (
        ("secret", NAMED),
        ("secret", LATER),
        ("secret", FRESH),
        ("person", PII),
        ("person", FRESH_PEOPLE),
    )
    for group, lines in groups:
        for kind, template in _lines(lines):
            for where, wrap in _PLACES.items():
                random = Random(f"{seed}/{kind}/{where}")  # noqa: S311  no secret
                yield from _placed(group, kind, where, fill(_words(template, random), random), wrap)
    for kind, template in _lines(LOOK_ALIKES + LATER_LOOK_ALIKES + FRESH_LOOK_ALIKES):
        for number, (where, wrap) in enumerate(_PLACES.items()):
            random = Random(f"{seed}/{kind}/{number}")  # noqa: S311  no secret
            yield from _placed("look-alike", kind, where, fill(_words(template, random), random), wrap)


def _placed(group: str, kind: str, where: str, marked: str, wrap: Callable[[str], str]) -> Iterator[Text]:
    parts = marked.split("»")
    gone = tuple(part.partition("«")[2] for part in parts[:-1])
    plain = marked.replace("«", "").replace("»", "")
    yield Text(group, kind, where, wrap(plain), gone)


def _words(template: str, random: Random) -> str:
    return template.replace("{WORD}", random.choice(WORDS).upper())


def _lines(text: str) -> Iterator[tuple[str, str]]:
    for line in text.strip().splitlines():
        kind, _, template = line.partition(": ")
        yield (
            kind,
            template.replace("\\\\", "\x00")
            .replace("\\n", "\n")
            .replace("\\r", "\r")
            .replace("\\t", "\t")
            .replace("\\uff1a", "\uff1a")
            .replace("\x00", "\\"),
        )


def _as_it_is(text: str) -> str:
    return text


_TOKEN_PLACES: Final[Mapping[str, str]] = {
    "shell": "echo @ | wc -c",
    "code": 'client = Client("@")',
    "array": '["x", "@", 3]',
    "json": '{"note":"@","n":1}',
    "url": "https://api.corp.test/v1/x?v=@&n=2",
    "error": "401 Unauthorized: @ was refused",
    "table": "| service | @ | active |",
    "env": "VALUE=@",
    "yaml": "value: @\nother: 1",
    "lines": "first\n@\nlast",
    "escaped": '{"out":"first\\n@\\nlast"}',
    "diff": "+@",
    "colour": "\x1b[32m@\x1b[0m",
    "sentence": "I used @, and it worked.",
}
_PLACES: Final[Mapping[str, Callable[[str], str]]] = {
    "alone": _as_it_is,
    "lines": lambda text: f"$ make\n{text}\ndone\n",
    "json": lambda text: json.dumps({"command": text, "timeout": 60}, ensure_ascii=False),
    "json lines": lambda text: json.dumps({"output": f"one\n{text}\ntwo"}, ensure_ascii=False),
    "colour": lambda text: f"\x1b[36m{text}\x1b[0m\n",
    "diff": lambda text: "\n".join(f"+{line}" for line in text.split("\n")),
    "numbered": lambda text: "\n".join(f"{n:>6}\t{line}" for n, line in enumerate(text.split("\n"), 41)),
}
