"""The OpenAPI document: requests made of it, right and wrong, are answered as it says, by a real web process."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import GenerationMode, checks

from config.settings import Settings
from connectors.remembered import Past
from connectors.state.opening import open_state
from tests.server import NO_TLS
from tests.web_process import ALICE, Web, web

EXAMPLES = 25
"""Requests of each operation and kind, right or wrong."""
OPERATIONS = (
    "GET /observability/backends",
    "GET /observability/connections",
    "POST /observability/connections",
    "GET /observability/connections/{connection_id}",
    "PUT /observability/connections/{connection_id}",
    "DELETE /observability/connections/{connection_id}",
    "POST /observability/connections/{connection_id}/test",
    "GET /observability/query-history",
    "GET /observability/query-history/{query_id}",
    "POST /observability/query-history/{query_id}/run",
)


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    """Run a web process that this module's tests share."""
    with web(tmp_path_factory.mktemp("openapi") / "data", TELEMETRY_CONNECTOR_HEALTH_SECONDS="0") as found:
        yield found


@pytest.fixture(scope="module")
def document(here: Web) -> dict[str, Any]:
    """Return the document as the process serves it."""
    found: dict[str, Any] = here.call("GET", "/api/v1/openapi.json").json()
    return found


def test_the_document_lists_the_operations(document: dict[str, Any]) -> None:
    """All of them, under the version of OpenAPI whose schemas are JSON Schema."""
    found = [
        f"{method.upper()} {path}"
        for path, item in document["paths"].items()
        for method in item
        if method != "parameters"
    ]
    assert (document["openapi"], sorted(found)) == ("3.1.0", sorted(OPERATIONS))


@pytest.fixture(scope="module")
def asked(here: Web) -> str:
    """Return the id of a question of the history."""
    given_settings = Settings(_env_file=None, TELEMETRY_DATA_DIR=here.data)  # type: ignore[call-arg,arg-type]
    state = open_state(given_settings)
    state.history.add(
        Past("question-1", "alice", "gone", "gone", "metrics", "up", result_sample=[{"a": [1, None]}])
    )
    state.database.close()
    return "question-1"


@pytest.mark.slow
@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE], ids=["right", "wrong"])
@pytest.mark.parametrize("name", OPERATIONS)
def test_requests_are_answered_as_the_document_says(
    here: Web, document: dict[str, Any], asked: str, name: str, mode: GenerationMode
) -> None:
    """No failure of the server, no status, type or shape that is not documented; a wrong request is refused.

    Right ones are about what there is, so that they are not all refused.
    """
    if mode is GenerationMode.NEGATIVE and name == OPERATIONS[0]:
        return  # it takes nothing that could be wrong
    body = {"name": f"{mode} {name}", "backend_type": "plain", "config": {"url": "http://127.0.0.1:9"}}
    known = {"connection_id": here.call("POST", "connections", json=body).json()["id"], "query_id": asked}
    schema = schemathesis.openapi.from_dict(document)
    schema.config.update(base_url=f"{here.url}/api/v1")
    method, path = name.split()
    operation = schema[path][method]
    before = len(here.log.read_text())
    statuses = []

    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def run(case: schemathesis.Case) -> None:
        if mode is GenerationMode.POSITIVE:
            case.path_parameters = {name: known[name] for name in case.path_parameters or ()}
            if isinstance(case.body, dict):
                case.body |= {"backend_type": "plain", "config": body["config"]}
                case.body |= {"name": body["name"]} if method == "PUT" else {}
        response = case.call_and_validate(
            headers=ALICE,
            checks=[
                checks.not_a_server_error,
                checks.CHECKS.get_one("status_code_conformance"),
                checks.CHECKS.get_one("content_type_conformance"),
                checks.CHECKS.get_one("response_schema_conformance"),
                checks.CHECKS.get_one("negative_data_rejection"),
            ],
            timeout=180,
        )
        statuses.append(response.status_code)

    run()
    assert {status // 100 for status in statuses} & ({4} if mode is GenerationMode.NEGATIVE else {2, 4})
    if mode is GenerationMode.POSITIVE and not name.endswith("/run"):
        assert {200, 201, 204} & set(statuses), statuses
    assert "A request failed." not in here.log.read_text()[before:]
    assert httpx.get(f"{here.url}/health", timeout=180, verify=NO_TLS).status_code == 200
