"""The metrics of the small shop of shop.py, with which systems of metrics are filled: an hour, a sample each 30 s."""

from collections.abc import Iterator

from tests.connectors.subject import START

EVERY_SECONDS = 30
SAMPLES = 120
SERVICES = ("shop", "payments", "mail")
HOSTILE = 'q"uote\\and {brace}'
"""A label's value that breaks out of a query that is not escaped."""
_BUCKETS = (("0.1", 6), ("0.5", 9), ("+Inf", 10))

Sample = tuple[str, str, float]
"""A series' name, its labels as text, its value."""


def samples(number: int) -> Iterator[Sample]:
    """Yield the samples of one moment, the first being 0."""
    for place, service in enumerate(SERVICES):
        labels = f'service="{service}",pod="{service}-1",namespace="production"'
        for code, each in (("200", 20 + place), ("500", place)):
            yield "http_requests_total", f'{labels},code="{code}"', number * each
        for bound, share in _BUCKETS:
            yield "http_request_duration_seconds_bucket", f'{labels},le="{bound}"', number * share
        yield "http_request_duration_seconds_sum", labels, number * 1.5
        yield "http_request_duration_seconds_count", labels, number * 10
        yield "process_resident_memory_bytes", labels, 1e8 * (place + 1) + 1e6 * (number % 10)
    escaped = HOSTILE.replace("\\", "\\\\").replace('"', '\\"')
    yield "queue_length", f'job="mail",queue="{escaped}"', number % 7


METADATA = {
    "http_requests_total": ("counter", "Requests that were answered."),
    "http_request_duration_seconds": ("histogram", "How long a request took."),
    "process_resident_memory_bytes": ("gauge", "Memory that is in use."),
    "queue_length": ("gauge", "Letters that wait."),
}


def exposition(number: int) -> str:
    """Return the samples of one moment as a program exposes them to Prometheus, without their times."""
    rows = list(samples(number))
    lines = []
    for family, (kind, text) in METADATA.items():
        lines += [f"# HELP {family} {text}", f"# TYPE {family} {kind}"]
        lines += [
            f"{name}{{{labels}}} {value:.17g}" for name, labels, value in rows if name.startswith(family)
        ]
    return "\n".join(lines) + "\n"


def openmetrics() -> str:
    """Return all samples in OpenMetrics' text, whose times are in seconds; each family together."""
    series: dict[tuple[str, str], list[str]] = {}
    for number in range(SAMPLES):
        moment = int(START.timestamp()) + number * EVERY_SECONDS
        for name, labels, value in samples(number):
            series.setdefault((name, labels), []).append(f"{name}{{{labels}}} {value:.17g} {moment}")
    lines = []
    for family, (kind, text) in METADATA.items():
        # The family of a counter is without its suffix in OpenMetrics.
        named = family.removesuffix("_total")
        lines += [f"# HELP {named} {text}", f"# TYPE {named} {kind}"]
        lines += [line for (name, _), rows in series.items() if name.startswith(family) for line in rows]
    return "\n".join([*lines, "# EOF", ""])


def with_milliseconds() -> str:
    """Return all samples in Prometheus' text with times in milliseconds, as VictoriaMetrics imports them."""
    return "".join(
        f"{name}{{{labels}}} {value:.17g} {(int(START.timestamp()) + number * EVERY_SECONDS) * 1000}\n"
        for number in range(SAMPLES)
        for name, labels, value in samples(number)
    )
