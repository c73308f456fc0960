"""The manifests in kubernetes/: valid by Kubernetes' own schemas, consistent, and closed as the compose file is."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from config.settings import Settings
from tests.server import ROOT

FOLDER = ROOT / "kubernetes"
KUSTOMIZATION: dict[str, Any] = yaml.safe_load((FOLDER / "kustomization.yaml").read_text())
VERSIONS = ("1.30", "1.37")
DOCUMENTS: list[tuple[Path, dict[str, Any]]] = [
    (path, document)
    for path in sorted(FOLDER.glob("*.yaml"))
    if path.name != "kustomization.yaml"
    for document in yaml.safe_load_all(path.read_text())
]
STATEFUL = next(document for _, document in DOCUMENTS if document["kind"] == "StatefulSet")
POD = STATEFUL["spec"]["template"]["spec"]
CONTAINER = POD["containers"][0]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    "document", [pytest.param(document, id=document["kind"]) for _, document in DOCUMENTS]
)
def test_a_manifest_is_valid(document: dict[str, Any], version: str) -> None:
    """Kubernetes' schema of that version takes it, and knows every field."""
    # Two seconds to import, which each process that collects the tests would spend.
    import kubernetes_validate  # noqa: PLC0415

    kubernetes_validate.validate(document, version, strict=True)


def test_a_wrong_manifest_is_noticed() -> None:
    """The check can fail: a misspelt field is an error."""
    import kubernetes_validate  # noqa: PLC0415

    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(
            {**STATEFUL, "spec": {**STATEFUL["spec"], "replica": 2}}, "1.30", strict=True
        )


def test_kustomize_takes_every_file() -> None:
    """Its resources are the files that are there."""
    assert KUSTOMIZATION["resources"] == [
        *("namespace.yaml", "receiver.yaml", "service.yaml", "network.yaml"),
    ]
    assert {path.name for path, _ in DOCUMENTS} == set(KUSTOMIZATION["resources"])


def test_variables_are_settings() -> None:
    """The pod's variables are settings of the server, none of them a secret in clear."""
    literals = dict(line.split("=", 1) for line in KUSTOMIZATION["configMapGenerator"][0]["literals"])
    fields = {str(field.alias): field.annotation for field in Settings.model_fields.values()}
    named = {*literals, *(one["name"] for one in CONTAINER["env"])}
    assert named <= set(fields)
    assert [name for name in named if "Secret" in str(fields[name])] == []


def test_pods_labels_are_those_that_services_and_policies_select() -> None:
    """Service, budget and policy mean the receivers, and their ports are the container's."""
    labels = STATEFUL["spec"]["template"]["metadata"]["labels"]
    ports = {port["name"] for port in CONTAINER["ports"]}
    by_kind = {document["kind"]: document["spec"] for _, document in DOCUMENTS if "spec" in document}
    assert by_kind["Service"]["selector"] == labels
    assert by_kind["PodDisruptionBudget"]["selector"]["matchLabels"] == labels
    assert by_kind["NetworkPolicy"]["podSelector"]["matchLabels"] == labels
    assert {port["targetPort"] for port in by_kind["Service"]["ports"]} <= ports
    assert {one["port"] for rule in by_kind["NetworkPolicy"]["ingress"] for one in rule["ports"]} <= ports


def test_the_container_is_closed_and_stops_in_time() -> None:
    """No root, no capabilities, nothing to write but its volumes; the grace is longer than the server's own."""
    assert POD["securityContext"]["runAsNonRoot"] is True
    assert CONTAINER["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert {one["mountPath"] for one in CONTAINER["volumeMounts"]} == {"/data", "/tmp"}  # noqa: S108  a mount
    assert POD["terminationGracePeriodSeconds"] > Settings.model_fields["shutdown_seconds"].default + 10
