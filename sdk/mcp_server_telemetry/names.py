"""The names that a scrape by Prometheus shows for each instrument, read from a real page of metrics.

An exporter rewrites names and adds units, so that they are read and not guessed: dashboards and alerts are made of
these. Needs the extra `prometheus`.
"""

from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.trace import NoOpTracer
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from mcp_server_telemetry.definitions import DEFINITIONS, Kind
from mcp_server_telemetry.options import Options
from mcp_server_telemetry.recorder import Recorder


def page() -> str:
    """Return the page of metrics of a server on which everything was measured once."""
    from opentelemetry.exporter.prometheus import PrometheusMetricReader

    registry = CollectorRegistry()
    reader = PrometheusMetricReader(registry=registry)
    provider = MeterProvider(metric_readers=[reader], shutdown_on_exit=False)
    recorder = Recorder(provider.get_meter("mcp_server_telemetry"), NoOpTracer(), Options())
    for definition in DEFINITIONS:
        if definition.kind is not Kind.GAUGE:
            recorder.record(definition, 1, dict.fromkeys(definition.attributes, "x"))
    text = generate_latest(registry).decode()
    provider.shutdown()
    return text


def scraped() -> dict[str, str]:
    """Return the scraped name of each instrument by its own: of a histogram without `_bucket`, of a counter whole.

    An instrument is found by its description, which is on the page as it is.
    """
    by_description = {definition.description: definition for definition in DEFINITIONS}
    found = {}
    for family in text_string_to_metric_families(page()):
        definition = by_description.get(family.documentation)
        if definition is not None:
            is_counter = definition.kind is Kind.COUNTER
            found[definition.name] = family.samples[0].name if is_counter else family.name
    return {definition.name: found[definition.name] for definition in DEFINITIONS}
