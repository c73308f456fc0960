"""What a request in plain words asks for: the operation, the labels, the period, and the words that name the metric.

Nothing here knows metrics but for the words of their names, by which "pod restarts" is told from "pod web-1".
"""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Final

from connectors.words import values
from connectors.words.values import Bound, Where
from connectors.words.vocabulary import Vocabulary, stem

CHARACTERS: Final = 300
_UNITS: Final = {"s": "s", "m": "m", "h": "h", "d": "d", "w": "w"}
_UNIT: Final = r"(?:seconds?|secs?|s|minutes?|mins?|m|hours?|hrs?|h|days?|d|weeks?|w)"
_LONG_UNIT: Final = r"(?:minutes?|mins?|m|hours?|hrs?|h|days?|d|weeks?|w)"
_PERIOD: Final = re.compile(
    rf"\b(?:in|over|during|for|within|since)?\s*(?:the\s+)?(?:last|past|previous)\s+(\d+)?\s*({_UNIT})\b"
    rf"|\b(?:in|over|during|within)\s+(\d+)\s*({_LONG_UNIT})\b",
)
"""What is over 2 seconds is a bound."""
_TODAY: Final = re.compile(r"\btoday\b")
_PER: Final = re.compile(r"(?:\bper|\ba|\beach|/)\s*(second|sec|minute|min|hour|s)\b")
_QUANTILE: Final = re.compile(
    r"\bp\s?(\d{2}(?:\.\d+)?|\d{3})\b|\b(\d{2}(?:\.\d+)?)(?:st|nd|rd|th)?\s*-?(?:percentiles?|pctl|quantiles?|%ile)\b"
)
_RANK: Final = "top|bottom|highest|lowest|largest|smallest|busiest|slowest|worst|biggest|fastest"
_TOP: Final = re.compile(rf"\b({_RANK})\s+(\d{{1,4}})\b|\b(\d{{1,4}})\s+({_RANK})\b")
_WHICH: Final = re.compile(
    r"\bwhich\s+(\w+?)\s+(?:uses?|has|have|is|are|consumes?|gets?|takes?)\s+(?:the\s+)?(most|least|highest|lowest|biggest)\b"
)
_CLASS: Final = re.compile(r"\b([1-5])xx\b")
_LABEL: Final = re.compile(r"\b([A-Za-z_]\w*)\s*(=~|!=|!~|=)\s*(\"[^\"]*\"|'[^']*'|[^\s,]+)")
_QUOTED: Final = re.compile(r"\"([^\"]*)\"|'([^']*)'")
_WORD: Final = re.compile(r"[A-Za-z0-9_][\w./:@-]*")
_LOW: Final = (
    "bottom",
    "lowest",
    "smallest",
    "fastest",
    "least",
)
_PERCENT: Final = re.compile(r"%|\b(?:percent|percentage|pct|share|ratio|fraction|proportion)\b")
_AGGREGATES: Final = {
    "average": "avg", "avg": "avg", "mean": "avg", "max": "max", "maximum": "max", "peak": "max", "highest": "max",
    "longest": "max", "min": "min", "minimum": "min", "lowest": "min", "total": "sum", "sum": "sum", "overall": "sum",
    "combined": "sum",
}  # fmt: skip
_BY: Final = ("by", "per", "grouped", "group", "split", "each", "every", "across")
_COUNTS: Final = ("number", "many", "count")


@dataclass(slots=True)
class Request:
    """What is asked. `words` are all words in order, `terms` those that name the metric, without their endings."""

    text: str
    metric: str = ""
    """A metric that is named in full."""
    words: list[str] = field(default_factory=list)
    terms: list[str] = field(default_factory=list)
    quantile: float | None = None
    aggregate: str = ""
    """avg, max, min, sum, or empty."""
    aggregate_word: str = ""
    is_rate: bool = False
    is_count: bool = False
    per_seconds: int = 1
    period: str = ""
    """As PromQL writes it."""
    top: int | None = None
    is_bottom: bool = False
    by: list[str] = field(default_factory=list)
    """Entities or labels."""
    where: list[Where] = field(default_factory=list)
    """Entity or label, operator, value."""
    is_percent: bool = False
    status_class: str = ""
    threshold: Bound | None = None
    unit: str = ""
    """The word for the unit that values are asked in."""
    unanswered: Sequence[str] = ()
    """Words that ask for what no query here answers, such as "except"."""
    loose: list[str] = field(default_factory=list)
    """Values whose label is not said."""
    either: list[str] = field(default_factory=list)
    """Words that may be a thing and its name, and are read as a metric's."""


def read(
    text: str,
    vocabulary: Vocabulary,
    names: Collection[str],
    known: Collection[str] = (),
    metrics: Collection[str] = (),
) -> Request:
    """Return what a request asks for.

    `names` are the stems of all metrics' names, which are no labels' values; `known` values of labels that are known,
    `metrics` the metrics' names.
    """
    found = Request(text[:CHARACTERS])
    rest = _take_metric(found.text.replace("\u2019", "'"), found, metrics)
    rest = _take_labels(rest, found)
    quoted = {f"quoted{number}q": one[1] or one[2] for number, one in enumerate(_QUOTED.finditer(rest))}
    for mark, value in quoted.items():
        rest = rest.replace(f'"{value}"', mark).replace(f"'{value}'", mark)
    for take in (values.methods, values.paths):
        rest, where = take(rest)
        found.where += where
    lowered, where = values.codes(_lowered(rest))
    found.where += where
    lowered = _take_figures(lowered, found)
    found.unanswered = [
        one
        for one in values.unanswered(lowered)
        if one in {"not", "no", "without", "except"} or stem(one) not in names
    ]
    for phrase, instead in vocabulary.phrases:
        lowered = re.sub(rf"\b{re.escape(phrase)}\b", instead, lowered)
    original = {word.lower(): word for word in _WORD.findall(rest)}
    words = [word.rstrip(".,:;?!") for word in _WORD.findall(lowered)]
    found.words = _joined([word for word in words if word], names)
    _take_words(found, vocabulary, names, known, original, quoted)
    return found


def _joined(words: Sequence[str], names: Collection[str]) -> list[str]:
    """Return the words with two that names write as one taken together: consumer group, consumergroup."""
    found: list[str] = []
    for word in words:
        if found and word.isalpha() and stem(found[-1] + word) in names:
            found[-1] += word
        else:
            found.append(word)
    return found


def _take_metric(text: str, found: Request, metrics: Collection[str]) -> str:
    """Take a metric's name, when it is one that is no word."""
    for one in _WORD.finditer(text):
        if "_" in one[0] or "." in one[0]:
            name = re.sub(r"_(?:bucket|sum|count)$", "", one[0]) if one[0] not in metrics else one[0]
            if name in metrics:
                found.metric = name
                return f"{text[: one.start()]} {text[one.end() :]}"
    return text


def _lowered(text: str) -> str:
    return " ".join(text.lower().split())


def _take_labels(text: str, found: Request) -> str:
    """Take `label=value`."""
    for one in _LABEL.finditer(text):
        found.where.append((one[1], one[2], one[3].strip("\"'")))
    return _LABEL.sub(" ", text)


def _take_figures(text: str, found: Request) -> str:
    """Take what has a form of its own: periods, quantiles, ranks, thresholds, shares."""
    for one in _PERIOD.finditer(text):
        found.period = f"{one[1] or one[3] or 1}{_UNITS[(one[2] or one[4])[0]]}"
    # "load average over 15 minutes" names a metric as well as a period: the figure stays among the words.
    text = _PERIOD.sub(lambda one: f" {one[3]} minute " if one[3] and "load" in text else " ", text)
    if "load" in text and found.period:
        found.period = ""
    if _TODAY.search(text) and not found.period:
        found.period = "1d"
        text = _TODAY.sub(" ", text)
    text = _take_rate(text, found)
    text = _take_quantile(text, found)
    text = _take_rank(text, found)
    text, found.unit = values.unit(text)
    if match := _CLASS.search(text):
        found.status_class = match[1]
        text = _CLASS.sub(" error " if match[1] in "45" else " ", text)
    found.is_percent = found.is_percent or bool(_PERCENT.search(text))
    text = _PERCENT.sub(" ", text)
    if re.search(r"\brates?\b|\bthroughput\b", text):
        found.is_rate = True
    return text


def _take_rate(text: str, found: Request) -> str:
    if (one := _PER.search(text)) is not None:
        found.is_rate = True
        found.per_seconds = {"s": 1, "m": 60, "h": 3_600}[one[1][0]]
        text = _PER.sub(" ", text, count=1)
    return text


def _take_quantile(text: str, found: Request) -> str:
    if one := _QUANTILE.search(text):
        digits = one[1] or one[2]
        found.quantile = float(digits) / (1_000 if len(digits.partition(".")[0]) == 3 else 100)  # noqa: PLR2004
        text = _QUANTILE.sub(" ", text, count=1)
    elif re.search(r"\bmedian\b", text):
        found.quantile, text = 0.5, re.sub(r"\bmedian\b", " ", text)
    return text


def _take_rank(text: str, found: Request) -> str:
    """Take "top 5", "which pod uses the most", and "above 80 %"."""
    if one := _WHICH.search(text):
        found.top, found.is_bottom = 1, one[2] in _LOW
        found.by.append(one[1])
        text = _WHICH.sub(" ", text, count=1)
    elif one := _TOP.search(text):
        word = one[1] or one[4]
        found.top, found.is_bottom = int(one[2] or one[3]), word in _LOW
        text = _TOP.sub(" latency toprank " if word in {"slowest", "fastest"} else " toprank ", text, count=1)
    text, found.threshold = values.bound(text)
    if found.threshold is not None and found.threshold.unit == "percent":
        found.is_percent = True
    return text


def _take_words(  # noqa: C901, PLR0912  a case a kind of word
    found: Request,
    vocabulary: Vocabulary,
    names: Collection[str],
    known: Collection[str],
    original: dict[str, str],
    quoted: dict[str, str],
) -> None:
    words = found.words
    used: set[int] = set()

    def is_value(word: str) -> bool:
        """Whether a word can be a label's value: it has a figure or a sign, or no other meaning."""
        if word in quoted or any(letter in "-./:_0123456789" for letter in word):
            return stem(word) not in names and not word.isdigit() and word not in _COUNTS
        return not _means(word, vocabulary, names)

    def value(word: str) -> str:
        return quoted.get(word, original.get(word, word))

    # The service checkout, where there is a metric of checkouts.
    either = {one for one in words if stem(one) in names and not _means(one, vocabulary, ())}
    _take_top_entity(found, vocabulary, used)
    for place, word in enumerate(words):
        if place in used:
            continue
        after = words[place + 1] if place + 1 < len(words) else ""
        # The user of "user mode" is a mode.
        entity = None if word in known and after in vocabulary.entities else vocabulary.entity(word)
        if word in _BY and after and word != "across":
            _take_by(found, vocabulary, place, used)
        elif entity and found.threshold and (after in _HAVING or words[max(0, place - 1)] == "which"):
            # The pods with more than 5 restarts are those of each pod.
            found.by.append(entity)
            used.add(place)
        elif word in vocabulary.entities and after in either and words[max(0, place - 1)] in _NAMING:
            found.either.append(f"{word} {after}")
        elif (
            entity
            and after
            and place + 1 not in used
            and (
                is_value(after)
                or (place + 2 == len(words) and words[place - 1] in _NAMING and after in vocabulary.entities)
            )
        ):
            found.where.append((entity, "=", value(after)))
            used |= {place, place + 1}
        elif (
            vocabulary.entity(after or " ")
            and is_value(word)
            and after not in {"level", "state", "status", "mode", "type"}
            and _BY_BEFORE.isdisjoint(words[max(0, place - 1) : place])
        ):
            found.where.append((vocabulary.entity(after) or "", "=", value(word)))
            used |= {place, place + 1}
    for place, word in enumerate(words):
        if place in used or word in vocabulary.filler or word == "toprank":
            found.is_count = found.is_count or (word in _COUNTS and place not in used)
            continue
        if word in _AGGREGATES and not found.aggregate:
            found.aggregate, found.aggregate_word = _AGGREGATES[word], stem(word)
            # "max connections" may be a metric's name.
            if word not in {"max", "maximum", "total", "peak", "min", "minimum", "longest"}:
                continue
        if word in _COUNTS:
            found.is_count = True
            continue
        if word in {"rate", "throughput"}:
            continue
        is_loose = word in quoted or not _means(word, vocabulary, names)
        if is_loose and place and words[place - 1] in _NAMING and word not in known:
            found.where.append(("named", "=", value(word)))
            continue
        found.terms.append(quoted[word].lower() if word in quoted else stem(word))
        if is_loose:
            found.loose.append(value(word))


_NAMING: Final = ("of", "in", "on", "for")
_HAVING: Final = ("with", "having", "have", "has", "that", "where", "whose", "using", "use")
_BY_BEFORE: Final = frozenset(_BY)


def _means(word: str, vocabulary: Vocabulary, names: Collection[str]) -> bool:
    """Whether a word is one of the vocabulary or of a metric's name."""
    one = stem(word)
    return (
        word in vocabulary.filler
        or word in _AGGREGATES
        or word in _BY
        or word in _COUNTS
        or one in vocabulary.weak
        or one in names
        or bool(vocabulary.related(one))
        or vocabulary.entity(word) is not None
        or word in {"toprank", "rate", "throughput", "in", "last"}
    )


def _take_top_entity(found: Request, vocabulary: Vocabulary, used: set[int]) -> None:
    """Take the pods of "top 5 pods by cpu": the word after the rank is a label, and what follows "by" the metric."""
    if "toprank" not in found.words:
        return
    place = found.words.index("toprank")
    used.add(place)
    if place + 1 < len(found.words) and (entity := vocabulary.entity(found.words[place + 1])):
        found.by.append(entity)
        used.add(place + 1)
        if place + 2 < len(found.words) and found.words[place + 2] in {"by", "in"}:
            used.add(place + 2)


def _take_by(found: Request, vocabulary: Vocabulary, place: int, used: set[int]) -> None:
    """Take "by pod and namespace", "per pod", "grouped by model", "for each device"."""
    words = found.words
    at = place + 1
    used.add(place)
    while at < len(words) and words[at] in {"by", "the", "each"}:
        used.add(at)
        at += 1
    while at < len(words):
        word = words[at]
        if word in vocabulary.filler:
            break
        found.by.append(vocabulary.entity(word) or word)
        used.add(at)
        at += 1
        if at < len(words) and words[at] == "and":
            used.add(at)
            at += 1
        else:
            break
