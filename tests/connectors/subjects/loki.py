"""Loki, stood in: its program is not to be found where the tests run."""

from contextlib import AbstractContextManager
from pathlib import Path

from connectors.adapters.loki import BACKEND, LokiConfig
from connectors.addresses import Policy
from connectors.backend import Auth
from connectors.contract import Adapter
from tests.connectors.loki_stand_in import loki
from tests.connectors.subject import SECRET, LogsExample, MetricsExample, Subject


def opened(url: str, *, timeout_seconds: float = 30.0) -> Adapter:
    """Open the adapter."""
    auth = Auth.model_validate({"type": "bearer", "token": SECRET})
    return BACKEND.opened(LokiConfig(url=url, auth=auth, timeout_seconds=timeout_seconds), Policy())


def stood_in(folder: Path) -> AbstractContextManager[str]:
    """Serve the shop's lines."""
    del folder
    return loki()


SUBJECTS = (
    Subject(
        "loki",
        opened,
        frozenset({"shop", "payments", "mail"}),
        metrics=MetricsExample(
            query='sum by (service_name) (count_over_time({service_name=~".+"}[5m]))',
            labels=frozenset({"service_name"}),
            unknown_query='sum by (service_name) (count_over_time({service_name="none"}[5m]))',
            bad_queries={
                "sum(count_over_time({}[5m]))": "queries require at least one",
                "rate({": "parse error",
            },
            metric="",
            metric_type="",
            label="service_name",
            values=frozenset({"shop", "payments", "mail"}),
        ),
        logs=LogsExample(
            text="payment declined",
            regex=r"payment\s+declined: card \d refused",
            service="payments",
            labels={"namespace": "production", "pod": "payments-1"},
            query='{service_name="payments"} |= "payment declined"',
            bad_queries={'{service_name="payments"': "parse error", "{}": "queries require at least one"},
        ),
        stood_in=stood_in,
    ),
)
