"""A request in plain words as PromQL: the query, how sure that is, what was not understood, and what else it may mean.

    translate("p95 latency of service checkout by uri", names)

Every metric is scored by how much of the request its name, its help and its labels' values account for, words that few
metrics have counting more. A query that leaves a word of the request out, or that another metric would answer as well,
is not certain and says so; one that accounts for less than half is not made at all. Every query has been parsed.
"""

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import promql_parser

from connectors.contract import MetricName
from connectors.words.measures import SHARES, Form, Measure, measures
from connectors.words.queries import label_of, query
from connectors.words.reading import CHARACTERS, Request, read
from connectors.words.values import Bound
from connectors.words.vocabulary import Vocabulary, stem, vocabulary

LEAST: Final = 0.55
"""A query that accounts for less of the request is not made."""
CLOSE: Final = 0.12
"""Another metric whose score is so near may be meant as well."""
ALTERNATIVES: Final = 5
TERMS: Final = 16
"""Words that may name the metric; a request with more is a text."""
_FIRST: Final = 4
"""So many of a metric's labels say what it is of."""


@dataclass(frozen=True, slots=True)
class Alternative:
    """A metric that was considered. `query` asks the same of it."""

    metric: str
    query: str
    score: float
    help: str


@dataclass(frozen=True, slots=True)
class Translation:
    """What a request became. `query` is empty where nothing fits; `notes` then say so."""

    query: str
    metric: str
    confidence: float
    """From 0 to 1: how much of the request the query accounts for, less what speaks for another."""
    is_certain: bool
    """Whether nothing speaks against it. A query that is not certain must be shown with its alternatives."""
    not_understood: Sequence[str]
    alternatives: Sequence[Alternative]
    period: str
    """The period that was asked for, as PromQL writes it; empty: none."""
    notes: Sequence[str]


@dataclass(frozen=True, slots=True)
class _Scored:
    measure: Measure
    score: float
    coverage: float
    values: Mapping[str, str]
    missing: tuple[str, ...]


def translate(
    text: str, names: Sequence[MetricName], labels: Mapping[str, Sequence[str]] | None = None
) -> Translation:
    """Return the query for a request. `labels` are the labels of metrics, by name, as far as they are known.

    Where a label's name depends on the system, as `service` does, ask for the labels of `metric` and translate again.
    """
    words = vocabulary()
    every = measures(names, dict(labels or {}), words)
    stems = {word for one in every for word in one.name_words}
    known = {_plain(value) for one in every for value in _known_values(one)}
    request = read(text, words, stems, known, {one.names[0] for one in every})
    ranked = sorted(_scores(request, every, words), key=lambda one: -one.score)
    queries = _queries(request, ranked, words)
    helps = {one.name: one.help for one in names}
    alternatives = [
        Alternative(name, made, round(one.score, 3), helps.get(name, ""))
        for made, one in queries.items()
        for name in one.measure.names[:1]
    ]
    if why := _refusal(text, request, ranked, queries):
        missing = request.unanswered or (ranked[0].missing if ranked else request.terms)
        return Translation("", "", 0.0, False, tuple(missing), alternatives, request.period, (why,))
    best = next(iter(queries.values()))
    notes = _doubts(request, best, ranked, words)
    confidence = max(0.0, min(1.0, best.score)) * (1.0 if not notes else 0.6)
    return Translation(
        alternatives[0].query,
        best.measure.names[0],
        round(confidence, 2),
        not notes,
        best.missing,
        alternatives[1:],
        request.period,
        notes,
    )


def _refusal(text: str, request: Request, ranked: Sequence[_Scored], queries: Mapping[str, _Scored]) -> str:
    """Return why no query is made, empty when one is."""
    if len(text) > CHARACTERS:
        return f"More than {CHARACTERS} characters are not read as plain words: ask shorter, or write PromQL."
    if request.unanswered:
        asked = ", ".join(f'"{one}"' for one in request.unanswered)
        return f"A query for {asked} is not made of words: ask without it, or write PromQL."
    if len(request.terms) > TERMS:
        return f"More than {TERMS} words are not read: ask for one metric, or write PromQL."
    if not (request.terms or request.metric) or not queries or ranked[0].coverage < LEAST:
        return "No metric fits these words: name it, or ask which there are."
    return ""


def _doubts(request: Request, best: _Scored, ranked: Sequence[_Scored], words: Vocabulary) -> list[str]:
    """Return what speaks against a query."""
    notes = []
    if best.missing:
        notes.append(f"Not understood, and left out of the query: {', '.join(best.missing)}.")
    others = [
        one
        for one in ranked[1:]
        if one.measure.names[0] not in best.measure.names
        and one.score > best.score - CLOSE
        and not _is_lesser(one.measure, best.measure)
    ]
    if others:
        notes.append(f"{others[0].measure.names[0]} may be meant as well.")
    if best.measure.type == "unknown":
        notes.append("The metric's type is unknown; it is asked as a gauge.")
    if request.is_percent and best.measure.form not in SHARES and not _is_ratio(best.measure):
        notes.append("A share was asked for, and this is none: the whole is not known.")
    if request.quantile is not None and best.measure.form not in {Form.HISTOGRAM, Form.SUMMARY}:
        notes.append("A quantile was asked for, and the metric has no distribution.")
    if request.is_rate and best.measure.form is Form.GAUGE:
        notes.append("A rate was asked for, and the metric is a gauge.")
    if request.threshold and not _is_comparable(request.threshold, best.measure):
        notes.append(f"The bound is in {_UNITS[request.threshold.unit]}, and the metric is not.")
    if request.unit and request.unit not in _NAMED_UNITS.get(best.measure.unit, ()):
        unit = _UNITS.get(best.measure.unit, best.measure.unit or "no unit")
        notes.append(f"The values are in {unit}, not in {request.unit}.")
    notes += _label_doubts(request, best.measure, words)
    if best.coverage < 0.8:  # noqa: PLR2004
        notes.append("The metric accounts for a part of the words only.")
    return notes


def _label_doubts(request: Request, measure: Measure, words: Vocabulary) -> Iterator[str]:
    for pair in request.either:
        thing, _, name = pair.partition(" ")
        yield f'"{name}" is read as a part of the metric\'s name: if it is a {thing}, write {thing}="{name}".'
    for entity, _, value in request.where:
        if entity == "named":
            yield f'"{value}" is taken for the {label_of(entity, measure, words)}.'
    for entity in [*request.by, *(one[0] for one in request.where)]:
        label = label_of(entity, measure, words)
        if measure.labels and label not in measure.labels:
            yield f"The metric is not known to have the label {label}."
        elif not measure.labels and len(words.entities.get(entity, ())) > 1:
            yield f"The label {label} is assumed."


_UNITS: Final = {"s": "seconds", "ms": "milliseconds", "By": "bytes", "percent": "percent"}
_NAMED_UNITS: Final = {"s": ("seconds",), "ms": ("ms", "millisecond", "milliseconds"), "By": ("bytes",)}


def _is_comparable(bound: Bound, measure: Measure) -> bool:
    """Whether a bound has the unit of what is asked."""
    match bound.unit:
        case "percent":
            return measure.form in SHARES or _is_ratio(measure)
        case "s":
            return measure.unit in {"s", "ms"} and measure.form is not Form.COUNTER
        case "By":
            return measure.unit == "By" and measure.form not in SHARES
        case _:
            return True


def _is_lesser(other: Measure, best: Measure) -> bool:
    """Whether both are of one exporter, of whose metrics the best is the one that is usually meant."""
    family = best.names[0].partition("_")[0]
    is_same = other.names[0].startswith(f"{family}_")
    return is_same and best.known.is_preferred and not other.known.is_preferred


def _is_ratio(measure: Measure) -> bool:
    return measure.unit in {"", "1"} and bool(
        measure.name_words & {stem(word) for word in ("usage", "ratio", "overhead", "percent")}
    )


def _queries(request: Request, ranked: Sequence[_Scored], words: Vocabulary) -> dict[str, _Scored]:
    """Return the best queries that PromQL accepts, best first."""
    found: dict[str, _Scored] = {}
    for one in ranked[: ALTERNATIVES * 4]:
        if one.coverage <= 0 or len(found) > ALTERNATIVES:
            break
        text = query(request, one.measure, one.values, words)
        try:
            promql_parser.parse(text)
        except ValueError:
            # A label or value of the request that PromQL cannot hold.
            continue
        found.setdefault(text, one)
    return found


def _scores(request: Request, every: Sequence[Measure], words: Vocabulary) -> list[_Scored]:
    if request.metric:
        # A name's own words are no doubt, and what else is asked is still held against it.
        every = [one for one in every if one.names[0] == request.metric]
    if not every or not (request.terms or request.metric) or len(request.terms) > TERMS:
        return []
    rarity = _rarity(request, every, words)
    common = _name_rarity(every)
    return [_score(request, one, rarity, common, words) for one in every]


def _strength(term: str, measure: Measure, words: Vocabulary) -> float:  # noqa: PLR0911  a case a degree
    """Return how much a word says about a metric, from 0 to 1."""
    if term in measure.name_words:
        return 1.0
    related = words.related(term)
    if term in measure.more_words:
        return 0.95
    if related and any(related & words.related(word) for word in measure.name_words):
        return 0.9
    if related and any(related & words.related(word) for word in measure.more_words):
        return 0.85
    if term in measure.help_words:
        return 0.75
    if related and any(related & words.related(word) for word in measure.help_words):
        return 0.6
    return 0.0


def _rarity(request: Request, every: Sequence[Measure], words: Vocabulary) -> dict[str, float]:
    """Return the weight of each word: those that few metrics have, and that no metric has, weigh most."""
    found = {}
    scale = math.log(len(every) + 1)
    for term in request.terms:
        having = sum(_strength(term, one, words) >= 0.6 for one in every)  # noqa: PLR2004
        weight = 0.4 + math.log((len(every) + 1) / (having + 1)) / scale
        if term in words.weak or words.entity(term) or term == request.aggregate_word:
            weight *= 0.35 if having else 0.0
        found[term] = weight
    return found


def _name_rarity(every: Sequence[Measure]) -> dict[str, float]:
    counts: dict[str, int] = {}
    for one in every:
        for word in one.name_words:
            counts[word] = counts.get(word, 0) + 1
    return {
        word: math.log(len(every) / count + 1) / math.log(len(every) + 1) for word, count in counts.items()
    }


def _score(
    request: Request,
    measure: Measure,
    rarity: Mapping[str, float],
    common: Mapping[str, float],
    words: Vocabulary,
) -> _Scored:
    values, spoken = _values(request, measure)
    covered = total = float(bool(request.metric))
    missing = []
    for term in request.terms:
        strength = 1.0 if term in spoken else _strength(term, measure, words)
        covered += strength * rarity[term]
        total += rarity[term]
        if strength == 0 and term not in words.weak | {request.aggregate_word} and not words.entity(term):
            missing.append(term)
    coverage = covered / total if total > 0 else 0.0
    surplus = sum(
        common[word]
        for word in measure.name_words - words.boilerplate
        if not any(term == word or words.related(term) & words.related(word) for term in request.terms)
        and not _is_scope(word, request)
    )
    score = coverage - min(0.3, 0.06 * surplus) + (0.03 if measure.known.is_preferred else 0)
    score *= _fit(request, measure, words)
    # A label whose value is not asked for makes a sum over all its values.
    if measure.known.where and not values:
        score *= 0.8
    if values:
        # How busy all modes are together is not what one mode is asked for.
        score = score * 0.3 if measure.form is Form.BUSY else score + 0.02
    if any(label_of(one, measure, words) in measure.labels[:_FIRST] for one in _scopes(request)):
        score += 0.05
    return _Scored(measure, score, coverage, values, tuple(missing))


def _scopes(request: Request) -> list[str]:
    return [*request.by, *(one[0] for one in request.where)]


def _is_scope(word: str, request: Request) -> bool:
    """Whether a word of a name is what the request is about: the pods of kube_pod_info."""
    return any(word == entity for entity in [*request.by, *(one[0] for one in request.where)])


def _fit(request: Request, measure: Measure, words: Vocabulary) -> float:
    """Return how well a form answers what is asked, from 0 to 1."""
    fit = 1.0
    distributions = {Form.HISTOGRAM, Form.SUMMARY}
    if request.quantile is not None and measure.form not in distributions:
        fit *= 0.5
    if request.quantile is not None and measure.form is Form.SUMMARY:
        fit *= 0.9
    if request.is_percent != (measure.form in SHARES) and measure.form is not Form.BUSY:
        fit *= 0.75 if not (request.is_percent and _is_ratio(measure)) else 0.97
    if request.is_rate and measure.form in {Form.GAUGE, Form.USED}:
        fit *= 0.85
    if (
        measure.form in {Form.HISTOGRAM, Form.COUNTER}
        and request.status_class in {"4", "5"}
        and measure.known.errors
    ):
        fit *= 0.8
    if request.status_class and not {"status", "code"} & set(measure.labels):
        fit *= 0.6
    if measure.labels:
        for entity in [*request.by, *(one[0] for one in request.where)]:
            if label_of(entity, measure, words) not in measure.labels:
                fit *= 0.6
    return fit


def _known_values(measure: Measure) -> Iterator[str]:
    for values in measure.known.values.values():
        yield from values


def _plain(value: str) -> str:
    return re.sub(r"[^a-z0-9]", "", value.lower())


def _values(request: Request, measure: Measure) -> tuple[dict[str, str], set[str]]:
    """Return the labels' values that the request names by themselves, and the terms that they account for."""
    found: dict[str, str] = {}
    spoken: set[str] = set()
    raw = request.words
    spans = sorted(
        ((begin, end) for begin in range(len(raw)) for end in range(begin + 1, min(len(raw), begin + 5) + 1)),
        key=lambda span: span[0] - span[1],
    )
    for label, values in measure.known.values.items():
        joined = {_plain(value): value for value in values}
        for begin, end in spans:
            said = _plain("".join(raw[begin:end]))
            value = joined.get(said) or (joined.get(said.removesuffix("s")) if end - begin == 1 else None)
            if value is not None:
                found[label] = value
                spoken |= {stem(word) for word in raw[begin:end]}
                break
    if found:
        found.update(measure.known.where)
    return found, spoken
