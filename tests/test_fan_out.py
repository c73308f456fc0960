"""A Collector in front that sends the same telemetry over every protocol at once."""

import json
import time

import pytest
from google.protobuf.json_format import MessageToDict
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

from tests.gateway.client import GatewayClient
from tests.server import Server, running


@pytest.mark.parametrize("order", [("grpc", "protobuf", "json"), ("json", "grpc", "protobuf")])
def test_a_request_sent_over_three_protocols_is_stored_once(
    tmp_path_factory: pytest.TempPathFactory, order: tuple[str, ...]
) -> None:
    """Its content is the same, so the second and the third are resent ones: acknowledged, counted, not stored."""
    with running(tmp_path_factory.mktemp("fan") / "data", TELEMETRY_RESEND_SECONDS="900") as server:
        request = ExportLogsServiceRequest()
        logs = request.resource_logs.add()
        name = logs.resource.attributes.add(key="service.name")
        name.value.string_value = "fan"
        for number in range(3):
            record = logs.scope_logs.add().log_records.add(
                time_unix_nano=time.time_ns(), trace_id=bytes(range(16)), severity_text="INFO"
            )
            record.body.string_value = f"record {number}"
            record.attributes.add(key="n").value.int_value = number
        for protocol in order:
            send(server, protocol, request)
        reader = GatewayClient(server, "telemetry_reader")
        assert reader.text("SELECT count() FROM otel_logs WHERE ServiceName = 'fan'") == "3\n"
        assert server.metric("telemetry_resent_records_total", signal="logs") == 6


def send(server: Server, protocol: str, request: ExportLogsServiceRequest) -> None:
    """Send the request over one of the protocols; it must be acknowledged."""
    body = request.SerializeToString()
    if protocol == "grpc":
        server.export("logs", body)
    elif protocol == "protobuf":
        assert server.post("logs", body).status_code == 200
    else:
        made = MessageToDict(request)
        for scope in made["resourceLogs"][0]["scopeLogs"]:
            scope["logRecords"][0]["traceId"] = bytes(range(16)).hex()
        assert server.post("logs", json.dumps(made).encode(), "application/json").json() == {}
