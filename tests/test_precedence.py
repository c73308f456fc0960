"""Which value the client goes by, as its documentation says."""

import json
import subprocess
from pathlib import Path

import pytest

from onboarding.choices import (
    CONTENT,
    ChoiceError,
    Choices,
    content_names,
    resource_attributes,
    shell_lines,
)
from onboarding.destination import DestinationError, destination, exported
from onboarding.precedence import Layer, Origin, Variables, in_force, read_layers
from otlp.destination import Protocol
from otlp.signals import Signal

ON = {
    "CLAUDE_CODE_ENABLE_TELEMETRY": "1",
    "OTEL_LOGS_EXPORTER": "otlp",
    "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc",
    "OTEL_EXPORTER_OTLP_ENDPOINT": "http://localhost:4317",
}


def layers(**variables: dict[str, str]) -> list[Layer]:
    """Write each place's variables; `inherited` is the shell's."""
    names = {Origin.SHELL: "inherited"}
    return [
        Layer(origin, None, variables.get(names.get(origin, origin.name.lower()), {})) for origin in Origin
    ]


def values(**variables: dict[str, str]) -> Variables:
    return Variables(values=in_force(layers(**variables)).values, places={})


def test_a_file_wins_over_the_shell() -> None:
    """Claude Code replaces what it inherits."""
    found = in_force(
        layers(user={"OTEL_METRIC_EXPORT_INTERVAL": "1"}, inherited={"OTEL_METRIC_EXPORT_INTERVAL": "2"})
    )
    assert found.get("OTEL_METRIC_EXPORT_INTERVAL") == "1"
    assert found.overridden == (("OTEL_METRIC_EXPORT_INTERVAL", Origin.SHELL.value),)


def test_the_organization_wins_over_all() -> None:
    """Managed settings stand first."""
    found = in_force(layers(managed={"OTEL_LOGS_EXPORTER": "otlp"}, user={"OTEL_LOGS_EXPORTER": "none"}))
    assert (found.get("OTEL_LOGS_EXPORTER"), found.places["OTEL_LOGS_EXPORTER"]) == (
        "otlp",
        "managed settings",
    )


def test_a_repository_cannot_turn_telemetry_on() -> None:
    """Neither on, nor elsewhere, nor with content."""
    found = in_force(layers(project={**ON, "OTEL_LOG_USER_PROMPTS": "1"}))
    assert found.values == {}
    assert {name for name, _ in found.ignored} == {*ON, "OTEL_LOG_USER_PROMPTS"}


def test_a_repository_can_turn_telemetry_off() -> None:
    """Over the user's settings, but not over the shell's."""
    off = {"OTEL_LOGS_EXPORTER": "none", "OTEL_LOG_USER_PROMPTS": "0"}
    assert values(project=off, user=ON).get("OTEL_LOGS_EXPORTER") == "none"
    assert (
        values(project=off, user=ON, inherited={"OTEL_LOGS_EXPORTER": "otlp"}).get("OTEL_LOGS_EXPORTER")
        == "otlp"
    )


def test_the_organizations_destination_holds_for_every_signal() -> None:
    """A person cannot send one signal elsewhere, or send the organization's credentials elsewhere."""
    managed = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": "http://a:1",
        "OTEL_EXPORTER_OTLP_HEADERS": "Authorization=Bearer x",
    }
    user = {"OTEL_EXPORTER_OTLP_LOGS_ENDPOINT": "http://b:2"}
    assert values(managed=managed, user=user).values == managed
    assert (
        "OTEL_EXPORTER_OTLP_ENDPOINT"
        not in values(
            managed={"OTEL_EXPORTER_OTLP_HEADERS": "a=b"}, user={"OTEL_EXPORTER_OTLP_ENDPOINT": "http://b:2"}
        ).values
    )


def test_files_are_read_where_the_client_reads_them(tmp_path: Path) -> None:
    """CLAUDE_CONFIG_DIR moves the user's; drop-ins stand over the organization's first file."""
    for path, interval in {
        "managed.json": "1", "drop-in.json": "2", "config/settings.json": "3",
        "project/.claude/settings.local.json": "4", "project/.claude/settings.json": "5",
    }.items():  # fmt: skip
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(json.dumps({"env": {"OTEL_METRIC_EXPORT_INTERVAL": int(interval)}}))
    environment = {"CLAUDE_CONFIG_DIR": str(tmp_path / "config"), "OTEL_METRIC_EXPORT_INTERVAL": "6"}
    managed = [tmp_path / "managed.json", tmp_path / "drop-in.json"]
    found = read_layers(tmp_path / "project", environment, managed)
    assert [layer.variables["OTEL_METRIC_EXPORT_INTERVAL"] for layer in found] == [
        "2",
        "1",
        "4",
        "5",
        "3",
        "6",
    ]


def test_signals_go_out_when_their_exporter_says_so() -> None:
    """Traces need the client's beta too."""
    variables = {
        "OTEL_METRICS_EXPORTER": "console, otlp",
        "OTEL_LOGS_EXPORTER": "none",
        "OTEL_TRACES_EXPORTER": "otlp",
    }
    assert exported(Variables(variables, {})) == [Signal.METRICS]
    beta = {"CLAUDE_CODE_ENHANCED_TELEMETRY_BETA": "1"}
    assert exported(Variables({**variables, **beta}, {})) == [Signal.METRICS, Signal.TRACES]


def test_a_signals_own_variables_win() -> None:
    """An endpoint of its own has its path in full; headers are merged."""
    variables = Variables(
        {
            "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc",
            "OTEL_EXPORTER_OTLP_ENDPOINT": "http://a:1",
            "OTEL_EXPORTER_OTLP_HEADERS": "Authorization=Bearer%20x,x-a=1",
            "OTEL_EXPORTER_OTLP_LOGS_PROTOCOL": "http/json",
            "OTEL_EXPORTER_OTLP_LOGS_ENDPOINT": "https://b/v1/logs",
            "OTEL_EXPORTER_OTLP_LOGS_HEADERS": "x-a=2",
        },
        {},
    )
    logs, traces = destination(variables, Signal.LOGS), destination(variables, Signal.TRACES)
    assert (logs.protocol, logs.url, logs.address, logs.is_tls) == (
        Protocol.JSON,
        "https://b/v1/logs",
        "b:443",
        True,
    )
    assert logs.headers == (("authorization", "Bearer x"), ("x-a", "2"))
    assert (traces.protocol, traces.url, traces.address) == (Protocol.GRPC, "http://a:1", "a:1")
    assert "Bearer" not in repr(logs)


def test_the_common_endpoint_gets_the_path_over_http() -> None:
    """As the specification says."""
    variables = Variables({**ON, "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf"}, {})
    assert destination(variables, Signal.METRICS).url == "http://localhost:4317/v1/metrics"


@pytest.mark.parametrize(
    ("variables", "problem"),
    [
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://a:1"}, "OTEL_EXPORTER_OTLP_PROTOCOL is not set"),
        (
            {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://a:1", "OTEL_EXPORTER_OTLP_PROTOCOL": "http"},
            "'http' is not known",
        ),
        ({"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, "OTEL_EXPORTER_OTLP_ENDPOINT is not set"),
        ({**ON, "OTEL_EXPORTER_OTLP_ENDPOINT": "localhost:4317"}, "is not an address"),
    ],
)
def test_a_destination_that_is_none_says_what_lacks(variables: dict[str, str], problem: str) -> None:
    """The client has no default for the protocol."""
    with pytest.raises(DestinationError, match=problem):
        destination(Variables(variables, {}), Signal.LOGS)


def test_choices_become_the_clients_variables() -> None:
    """All of them, and no other."""
    everything = Choices(
        "https://t.example:4317", Protocol.GRPC, content=frozenset(switch.name for switch in CONTENT),
        attributes={"team.id": "a, b", "department": ""}, token="t", certificate=Path("/ca.pem"),
    )  # fmt: skip
    assert everything.variables({"OTEL_RESOURCE_ATTRIBUTES": "cost_center=7,department=x"}) == {
        "CLAUDE_CODE_ENABLE_TELEMETRY": "1",
        "OTEL_METRICS_EXPORTER": "otlp",
        "OTEL_LOGS_EXPORTER": "otlp",
        "OTEL_TRACES_EXPORTER": "otlp",
        "CLAUDE_CODE_ENHANCED_TELEMETRY_BETA": "1",
        "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc",
        "OTEL_EXPORTER_OTLP_ENDPOINT": "https://t.example:4317",
        "OTEL_EXPORTER_OTLP_HEADERS": "Authorization=Bearer t",
        "OTEL_EXPORTER_OTLP_CERTIFICATE": "/ca.pem",
        "OTEL_METRIC_EXPORT_INTERVAL": "10000",
        "OTEL_LOG_USER_PROMPTS": "1",
        "OTEL_LOG_TOOL_DETAILS": "1",
        "OTEL_LOG_TOOL_CONTENT": "1",
        "OTEL_LOG_RAW_API_BODIES": "1",
        "OTEL_RESOURCE_ATTRIBUTES": "cost_center=7,team.id=a%2C%20b",
    }
    assert resource_attributes("cost_center=7,team.id=a%2C%20b") == {"cost_center": "7", "team.id": "a, b"}


def test_content_is_chosen_by_name() -> None:
    """And a wrong name says which there are."""
    assert content_names(["none"]) == frozenset()
    assert content_names(["all"]) == {switch.name for switch in CONTENT}
    with pytest.raises(ChoiceError, match="no content called prompt; there are api-bodies, prompts"):
        content_names(["prompt"])


def test_a_shell_reads_what_is_written_for_it() -> None:
    """For a value of any content."""
    value = 'it\'s $HOME `x` \\ "y"'
    script = shell_lines({"X": value}) + 'printf %s "$X"'
    assert subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True).stdout == value
