"""What can be asked of a list of metrics: each metric, shares of two of them, and what one says by its labels.

Free and total bytes make "used" and "percent used"; used and maximum, hits and misses a share; a request histogram with
a status makes errors. They are found by the words of names alone: `disk_free_bytes` and `disk_total_bytes` differ in
one.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Final

from connectors.contract import MetricName
from connectors.words.vocabulary import Known, Vocabulary, stem, tokens


class Form(StrEnum):
    """How a measure is asked."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"
    SUMMARY = "summary"
    SHARE = "share"
    """The first of the whole, which is the second."""
    REST = "rest"
    """The whole without the first, as a share of it."""
    USED = "used"
    """The whole without the first."""
    HITS = "hits"
    """The first as a share of both."""
    BUSY = "busy"
    """One without the mode idle, in percent."""
    FAILED = "failed"
    """The failed of all requests, a second."""
    FAILED_SHARE = "failed share"


SHARES: Final = (Form.SHARE, Form.REST, Form.HITS, Form.BUSY, Form.FAILED_SHARE)


@dataclass(frozen=True, slots=True)
class Measure:
    """Something to ask for: `names` are one metric, or the part and the whole."""

    names: tuple[str, ...]
    form: Form
    type: str
    unit: str
    name_words: frozenset[str]
    """Those of the name, the subject of a match."""
    more_words: frozenset[str]
    """Words that fit too: of derived measures, and of widely used exporters."""
    help_words: frozenset[str]
    known: Known = field(default_factory=Known)
    labels: Sequence[str] = ()


def _stems(text: str) -> tuple[str, ...]:
    return tuple(stem(word) for word in text.split())


_FREE: Final = _stems("avail available free")
_WHOLE: Final = _stems("total size max limit maximum capacity")
_PARTS: Final = _stems("used usage active allocated busy current open live")
_USED: Final = frozenset(_stems("use used usage utilization utilisation full consumption busy"))


def base_names(names: Sequence[MetricName]) -> list[MetricName]:
    """Return the metrics with the parts of a histogram or summary taken together, and types that their names show."""
    known = {one.name: one for one in names}
    found: dict[str, MetricName] = {}
    for one in names:
        for part in ("_bucket", "_sum", "_count"):
            base = one.name.removesuffix(part)
            if base == one.name:
                continue
            if f"{base}_bucket" in known:
                found.setdefault(base, replace(one, name=base, type="histogram"))
                break
            if f"{base}_sum" in known and f"{base}_count" in known:
                found.setdefault(base, replace(known.get(base, one), name=base, type="summary"))
                break
        else:
            is_counter = one.type == "unknown" and one.name.endswith("_total")
            found[one.name] = replace(one, type="counter") if is_counter else one
    return list(found.values())


def measures(
    names: Sequence[MetricName], labels: dict[str, Sequence[str]], vocabulary: Vocabulary
) -> list[Measure]:
    """Return everything that can be asked of these metrics. `labels` are those of metrics, as far as they are known."""
    plain = [_plain(one, labels, vocabulary) for one in base_names(names)]
    return [*plain, *_derived(plain)]


def _plain(one: MetricName, labels: dict[str, Sequence[str]], vocabulary: Vocabulary) -> Measure:
    known = vocabulary.known(one.name)
    form = Form(one.type) if one.type in {"counter", "histogram", "summary"} else Form.GAUGE
    more = set(known.words)
    unit = one.unit or ("s" if "_seconds" in one.name else "By" if "_bytes" in one.name else "")
    if form in {Form.HISTOGRAM, Form.SUMMARY} and unit in {"s", "ms"}:
        more |= set(_stems("latency duration time"))
    return Measure(
        (one.name,),
        form,
        one.type,
        unit,
        frozenset(tokens(one.name)),
        frozenset(more),
        frozenset(tokens(one.help)),
        known,
        labels.get(one.name) or known.labels,
    )


def _derived(plain: Sequence[Measure]) -> Iterator[Measure]:  # noqa: C901  a case a form
    by_words: dict[tuple[str, ...], Measure] = {
        tuple(tokens(one.names[0])): one for one in plain if one.form in {Form.GAUGE, Form.COUNTER}
    }
    for words, one in by_words.items():
        if one.form is Form.GAUGE:
            for place, word in enumerate(words):
                if word in _FREE and (whole := _whole(words, place, by_words)):
                    used = _pair(one, whole, Form.USED, _USED, drop=word)
                    yield used
                    yield replace(used, form=Form.REST)
                    yield _pair(one, whole, Form.SHARE, frozenset())
                elif word in _PARTS and (whole := _whole(words, place, by_words)):
                    yield _pair(one, whole, Form.SHARE, _USED)
        elif "hit" in words:
            place = words.index("hit")
            for other in ("miss", "read"):
                pair = by_words.get((*words[:place], other, *words[place + 1 :]))
                if pair:
                    yield _pair(one, pair, Form.HITS, frozenset(_stems("cache hit")))
        if one.form is Form.COUNTER and "idle" in one.known.values.get("mode", ()):
            yield replace(one, form=Form.BUSY, more_words=one.more_words | _USED)
    for one in plain:
        if one.form in {Form.HISTOGRAM, Form.COUNTER} and _errors(one):
            yield replace(one, form=Form.FAILED, more_words=one.more_words | set(_stems("error fail")))
            yield replace(one, form=Form.FAILED_SHARE, more_words=one.more_words | set(_stems("error fail")))


def _errors(one: Measure) -> str:
    """Return the matcher of failed requests: as it is known, or by a label that the system reports."""
    if one.known.errors:
        return one.known.errors
    if "request" in one.name_words or stem("response") in one.name_words:
        label = next(
            (label for label in ("status", "code", "status_code", "http_status_code") if label in one.labels),
            "",
        )
        return f'{label}=~"5.."' if label and not one.names[0].startswith("telemetry_") else ""
    return ""


def errors_of(one: Measure) -> str:
    """Return the matcher of failed requests."""
    return _errors(one)


def _whole(words: tuple[str, ...], place: int, by_words: dict[tuple[str, ...], Measure]) -> Measure | None:
    tries = [(*words[:place], whole, *words[place + 1 :]) for whole in _WHOLE]
    # node_filesystem_files_free and node_filesystem_files.
    tries.append((*words[:place], *words[place + 1 :]))
    tries += [(*words[:place], *words[place + 1 :], whole) for whole in ("limit",)]
    return next(
        (by_words[one] for one in tries if one in by_words and by_words[one].form is Form.GAUGE), None
    )


def _pair(part: Measure, whole: Measure, form: Form, more: frozenset[str], drop: str = "") -> Measure:
    common = part.name_words & whole.name_words
    name_words = common if drop else part.name_words
    return replace(
        part,
        names=(part.names[0], whole.names[0]),
        form=form,
        name_words=name_words,
        more_words=(part.more_words - (set(_stems("free space")) if drop else set())) | more,
        help_words=frozenset() if drop else part.help_words,
    )
