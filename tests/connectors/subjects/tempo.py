"""Tempo, stood in: its program is not to be found where the tests run."""

from contextlib import AbstractContextManager
from pathlib import Path

from connectors.adapters.tempo import BACKEND, TempoConfig
from connectors.addresses import Policy
from connectors.backend import Auth
from connectors.contract import Adapter
from tests.connectors import shop
from tests.connectors.subject import SECRET, Subject, TracesExample
from tests.connectors.tempo_stand_in import tempo


def opened(url: str, *, timeout_seconds: float = 30.0) -> Adapter:
    """Open the adapter."""
    auth = Auth.model_validate({"type": "bearer", "token": SECRET})
    return BACKEND.opened(TempoConfig(url=url, auth=auth, timeout_seconds=timeout_seconds), Policy())


def stood_in(folder: Path) -> AbstractContextManager[str]:
    """Serve the shop's spans."""
    del folder
    return tempo()


SUBJECTS = (
    Subject(
        "tempo",
        opened,
        frozenset({"shop", "payments", "mail"}),
        traces=TracesExample(
            service="shop",
            operation="GET /checkout",
            tags={"http.status_code": "500"},
            trace_id=shop.SLOW,
            spans=3,
            failed_trace_id=shop.FAILED,
            slow_ns=1_000_000_000,
            bad_trace_id="not-an-id",
        ),
        stood_in=stood_in,
    ),
)
