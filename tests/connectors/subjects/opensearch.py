"""OpenSearch, recorded from version 2.19 with the shop's lines in the Elastic Common Schema."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import orjson

from connectors.adapters.elasticsearch import OPENSEARCH, ElasticsearchConfig
from connectors.addresses import Policy
from connectors.backend import Auth
from connectors.contract import Adapter
from connectors.moments import rfc3339
from tests.connectors import shop
from tests.connectors.programs import free_port, program_running
from tests.connectors.subject import SECRET, LogsExample, Subject

_NODE = Path(__file__).parent / "OpenSearchNode.java"


def opened(url: str, *, timeout_seconds: float = 30.0) -> Adapter:
    """Open the adapter."""
    auth = Auth.model_validate({"type": "bearer", "token": SECRET})
    config = ElasticsearchConfig(url=url, auth=auth, timeout_seconds=timeout_seconds, index="logs-*")
    return OPENSEARCH.opened(config, Policy())


@contextmanager
def started(program: Path, folder: Path) -> Iterator[str]:
    """Run a node from a folder of OpenSearch's jars, filled with the shop's lines."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    (folder / "config").mkdir()
    command = [
        "java",
        "-Xmx512m",
        "-cp",
        f"{program}/*",
        str(_NODE),
        str(folder),
        str(port),
        str(free_port()),
    ]
    with program_running(command, folder, url, seconds=180):
        rows = [
            row
            for number, line in enumerate(shop.LINES)
            for row in ({"create": {"_id": f"line-{number}"}}, _document(line))
        ]
        body = b"\n".join(orjson.dumps(row) for row in rows) + b"\n"
        kind = {"content-type": "application/x-ndjson"}
        reply = httpx2.post(f"{url}/logs-shop/_bulk?refresh=true", content=body, headers=kind, timeout=180)
        assert reply.json()["errors"] is False
        yield url


def _document(line: shop.Line) -> dict[str, Any]:
    return {
        "@timestamp": rfc3339(line.time_ns),
        "message": line.message,
        "service": {"name": line.service},
        "kubernetes": {"namespace": line.namespace, "pod": {"name": line.pod}},
        **({"log": {"level": line.severity}} if line.severity else {}),
        **({"trace": {"id": line.trace_id}, "span": {"id": line.span_id}} if line.trace_id else {}),
    }


SUBJECTS = (
    Subject(
        "opensearch",
        opened,
        frozenset({"shop", "payments", "mail"}),
        logs=LogsExample(
            text="payment declined",
            regex=r"payment\s+declined: card \d refused",
            service="payments",
            labels={"kubernetes.namespace": "production", "kubernetes.pod.name": "payments-1"},
            query='message:"payment declined" AND service.name:payments',
            bad_queries={"message:(a AND": "Cannot parse", 'service.name:"': "Cannot parse"},
        ),
        started=started,
    ),
)
