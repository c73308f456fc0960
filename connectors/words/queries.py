"""How a measure of each form is asked in PromQL: counters by rate, histograms by quantile, gauges by an aggregate."""

import re
from collections.abc import Mapping, Sequence
from typing import Final

from connectors.words.measures import Form, Measure, errors_of
from connectors.words.reading import Request
from connectors.words.vocabulary import Vocabulary, stem

WINDOW: Final = "5m"
_NAME: Final = re.compile(r"[A-Za-z_:][A-Za-z0-9_:]*")
_LOAD: Final = re.compile(r"load(?:\d|_average)")
_NOT_ADDED: Final = frozenset(
    stem(word) for word in ("temp", "celsius", "offset", "age", "usage", "ratio", "percent", "overhead")
)


def label_of(entity: str, measure: Measure, vocabulary: Vocabulary) -> str:
    """Return the label that an entity means: the first that the metric has, or the likeliest where that is unknown."""
    choices = [*vocabulary.entities.get(entity, ()), entity]
    return next((one for one in choices if one in measure.labels), choices[0])


def query(request: Request, measure: Measure, values: Mapping[str, str], vocabulary: Vocabulary) -> str:
    """Return the query. `values` are the values of labels that the request names by themselves."""
    matchers = [f"{name}={_quoted(value)}" for name, value in values.items()]
    for entity, operator, value in request.where:
        matchers.append(_matcher(label_of(entity, measure, vocabulary), operator, value))
    by = list(dict.fromkeys(label_of(entity, measure, vocabulary) for entity in request.by))
    if request.status_class and measure.form not in {Form.FAILED, Form.FAILED_SHARE}:
        label = label_of("status", measure, vocabulary)
        matchers.append(f'{label}=~"{request.status_class}.."')
    found = _formed(request, measure, matchers, by)
    if request.top is not None:
        found = f"{'bottomk' if request.is_bottom else 'topk'}({request.top}, {found})"
    if request.threshold:
        number = request.threshold.value
        if request.threshold.unit == "s" and measure.unit == "ms":
            number *= 1_000
        found = f"{found} {request.threshold.operator} {number:.15g}"
    return found


def _formed(  # noqa: PLR0911  a case a form
    request: Request, measure: Measure, matchers: Sequence[str], by: Sequence[str]
) -> str:
    first = measure.names[0]
    match measure.form:
        case Form.SHARE | Form.REST | Form.USED:
            part, whole = (_aggregated("sum", by, _selector(name, matchers)) for name in measure.names)
            if measure.form is Form.USED:
                return f"{whole} - {part}"
            return (
                f"100 * {part} / {whole}" if measure.form is Form.SHARE else f"100 * (1 - {part} / {whole})"
            )
        case Form.HITS:
            hit, miss = (_aggregated("sum", by, _rate(name, matchers)) for name in measure.names)
            return f"100 * {hit} / ({hit} + {miss})"
        case Form.BUSY:
            idle = _aggregated("avg", by, _rate(first, ['mode="idle"', *matchers]))
            return f"100 * (1 - {idle})"
        case Form.FAILED | Form.FAILED_SHARE:
            name = f"{first}_count" if measure.type == "histogram" else first
            errors = (
                f'{errors_of(measure).partition("=~")[0]}=~"{request.status_class}.."'
                if request.status_class
                else errors_of(measure)
            )
            failed = _counted(request, name, [errors, *matchers], by)
            if measure.form is Form.FAILED:
                return failed
            return f"100 * {failed} / {_counted(request, name, matchers, by)}"
        case Form.HISTOGRAM | Form.SUMMARY:
            return _distribution(request, measure, matchers, by)
        case Form.COUNTER:
            return _counted(request, first, matchers, by, measure.unit)
        case Form.GAUGE:
            selector = _selector(first, matchers)
            scale = "100 * " if request.is_percent and measure.unit in {"", "1"} else ""
            return scale + _aggregated(request.aggregate or _aggregate(request, measure), by, selector)


def _aggregate(request: Request, measure: Measure) -> str:
    """Return how series of a gauge are taken together: what can be added is, of what is up the worst is told."""
    if "up" in measure.name_words:
        return "min"
    if (
        request.is_percent
        or ((measure.name_words & _NOT_ADDED or _LOAD.search(measure.names[0])) and measure.unit != "By")
        or measure.unit in {"s", "Cel"}
    ):
        return "avg"
    return "sum"


def _distribution(request: Request, measure: Measure, matchers: Sequence[str], by: Sequence[str]) -> str:
    first = measure.names[0]
    is_count = (
        request.is_rate or request.is_count or asks_for_count(request, measure)
    ) and request.quantile is None
    if is_count and request.aggregate != "avg":
        return _counted(request, f"{first}_count", matchers, by)
    if request.aggregate == "avg" or (measure.form is Form.SUMMARY and request.quantile is None):
        total, count = (
            _aggregated("sum", by, _rate(f"{first}_{part}", matchers)) for part in ("sum", "count")
        )
        return f"{total} / {count}"
    quantile = 0.95 if request.quantile is None else request.quantile
    if measure.form is Form.SUMMARY:
        return _aggregated("max", by, _selector(first, [f'quantile="{quantile:g}"', *matchers]))
    rate = _aggregated("sum", ["le", *by], _rate(f"{first}_bucket", matchers))
    return f"histogram_quantile({quantile:g}, {rate})"


def asks_for_count(request: Request, measure: Measure) -> bool:
    """Whether a histogram is asked for how often, and not for how long."""
    subject = {stem(word) for word in ("latency", "duration", "time", "slow", "size", "pause")}
    return (
        not subject & set(request.terms)
        and bool({"request", "call", "event"} & set(request.terms))
        and request.aggregate not in {"avg", "max", "min"}
        and "request" in measure.name_words
    )


def _counted(request: Request, name: str, matchers: Sequence[str], by: Sequence[str], unit: str = "") -> str:
    aggregate = request.aggregate or "sum"
    if (
        not request.is_rate
        and unit not in {"s", "By", "ms"}
        and (request.period or request.is_count or request.threshold)
    ):
        return _aggregated(aggregate, by, f"increase({_selector(name, matchers)}[{request.period or '1h'}])")
    found = _aggregated(aggregate, by, _rate(name, matchers))
    return f"{request.per_seconds} * {found}" if request.per_seconds > 1 else found


def _rate(name: str, matchers: Sequence[str]) -> str:
    return f"rate({_selector(name, matchers)}[{WINDOW}])"


def _aggregated(operator: str, by: Sequence[str], inner: str) -> str:
    return f"{operator} by ({', '.join(by)}) ({inner})" if by else f"{operator}({inner})"


def _selector(name: str, matchers: Sequence[str]) -> str:
    if not _NAME.fullmatch(name):
        matchers, name = [f"__name__={_quoted(name)}", *matchers], ""
    return f"{name}{{{','.join(matchers)}}}" if matchers else name


def _matcher(label: str, operator: str, value: str) -> str:
    if label == "instance" and operator == "=" and ":" not in value:
        # An instance is a host with the port that is scraped.
        return f"instance=~{_quoted(re.escape(value).replace(chr(92) + '-', '-') + '(:[0-9]+)?')}"
    return f"{label}{operator}{_quoted(value)}"


def _quoted(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'
