"""The manifests in deploy/kubernetes: they render, fit the schemas of Kubernetes, and agree with the service."""

import shutil
import subprocess
from collections.abc import Iterator, Mapping
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml

from entrypoints.settings.checks import CONTROLLER_CHECKS, RUNTIME_HOST_CHECKS
from entrypoints.settings.loading import load_settings
from entrypoints.settings.runtime_hosts import host_networks
from entrypoints.settings.settings import Settings

FOLDER = Path(__file__).parents[2] / "deploy" / "kubernetes"
FOLDERS = ["base", "overlays/production", "overlays/cloudnativepg", "overlays/origin"]
KUBERNETES = "1.33"
"""The oldest version that runs the sandbox of a runtime host without a feature gate: it has user namespaces."""
FOREIGN = {"postgresql.cnpg.io/v1"}
"""Kinds of operators, whose schemas are not those of Kubernetes."""
STEPS_AFTER_THE_DRAIN_S = 15
DEFAULTS = load_settings({})

pytestmark = pytest.mark.skipif(shutil.which("kustomize") is None, reason="needs kustomize")


def rendered(folder: str) -> list[dict[str, Any]]:
    built = subprocess.run(
        ["kustomize", "build", str(FOLDER / folder)], capture_output=True, text=True, check=True, timeout=60
    )
    return list(yaml.safe_load_all(built.stdout))


@pytest.fixture(scope="module", params=FOLDERS)
def objects(request) -> list[dict[str, Any]]:
    return rendered(request.param)


def workloads(objects: list[dict[str, Any]]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the name and the pod of each Deployment and StatefulSet."""
    for each in objects:
        if each["kind"] in {"Deployment", "StatefulSet"}:
            yield each["metadata"]["name"], each["spec"]["template"]


def containers(pod: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [*pod["spec"].get("initContainers", []), *pod["spec"]["containers"]]


def environ(container: Mapping[str, Any], objects: list[dict[str, Any]]) -> Mapping[str, str]:
    """Return the variables of a container: those of its map of settings, and its own."""
    maps = {each["metadata"]["name"]: each["data"] for each in objects if each["kind"] == "ConfigMap"}
    shared = [maps[each["configMapRef"]["name"]] for each in container.get("envFrom", [])]
    own = {each["name"]: each["value"] for each in container.get("env", [])}
    return {name: value for variables in (*shared, own) for name, value in variables.items()}


def test_each_object_fits_the_strict_schema_of_its_kind(objects):
    validate = pytest.importorskip("kubernetes_validate").validate
    for each in objects:
        if each["apiVersion"] not in FOREIGN:
            validate(each, KUBERNETES, strict=True)


def test_each_variable_is_a_setting_and_each_path_a_secret_that_is_mounted(objects):
    known = {name.upper() for name in Settings.__struct_fields__}
    for _, pod in workloads(objects):
        for container in containers(pod):
            variables = environ(container, objects)
            folders = {each["mountPath"] for each in container["volumeMounts"]}
            files = {name: value for name, value in variables.items() if name.endswith("_FILE")}
            assert {str(Path(value).parent) for value in files.values()} <= folders
            assert {name.removesuffix("_FILE") for name in variables} <= known


def test_the_service_accepts_its_settings(objects, tmp_path):
    (tmp_path / "database-url").write_text("postgresql://database/pglambda")
    (tmp_path / "runtime-token").write_text("a token of the test")
    (tmp_path / "webhook-key").write_text("a key of the test, of 32 bytes at least")
    (tmp_path / "secrets-key").write_text(f"{'A' * 43}=")
    for name, pod in workloads(objects):
        checks = RUNTIME_HOST_CHECKS if name == "runtime-host" else CONTROLLER_CHECKS
        variables = environ(pod["spec"]["containers"][0], objects)
        mounted = {
            name: str(tmp_path / Path(value).name) if name.endswith("_FILE") else value
            for name, value in variables.items()
        }
        assert load_settings({"HOST": "0.0.0.0", **mounted}, checks).log_format == "json"


def test_no_secret_stands_in_a_manifest(objects):
    assert "Secret" not in {each["kind"] for each in objects}


def test_the_grace_period_covers_the_drain(objects):
    for name, pod in workloads(objects):
        variables = environ(pod["spec"]["containers"][0], objects)
        delay_s = float(variables.get("DRAIN_DELAY_SECONDS", DEFAULTS.drain_delay_seconds))
        drain_s = delay_s + DEFAULTS.shutdown_timeout_seconds + STEPS_AFTER_THE_DRAIN_S
        assert pod["spec"]["terminationGracePeriodSeconds"] >= drain_s, name


def test_every_pod_is_confined_and_selected_by_its_own_labels(objects):
    for name, pod in workloads(objects):
        (workload,) = [each for each in objects if each["metadata"]["name"] == name and "template" in each["spec"]]
        selector = workload["spec"]["selector"]["matchLabels"]
        assert selector.items() <= pod["metadata"]["labels"].items()
        (budget,) = [
            each for each in objects if each["kind"] == "PodDisruptionBudget" and each["metadata"]["name"] == name
        ]
        assert budget["spec"]["selector"]["matchLabels"] == selector
        assert pod["spec"]["automountServiceAccountToken"] is False
        for container in containers(pod):
            confined = container["securityContext"]
            assert confined["capabilities"] == {"drop": ["ALL"]}
            assert (confined["readOnlyRootFilesystem"], confined["allowPrivilegeEscalation"]) == (True, False)


def test_runtime_hosts_register_at_the_service_of_the_controllers_and_have_no_database(objects):
    (pod,) = [pod for name, pod in workloads(objects) if name == "runtime-host"]
    variables = environ(pod["spec"]["containers"][0], objects)
    url = urlsplit(variables["CONTROLLER_URL"])
    (service,) = [
        each["spec"] for each in objects if each["kind"] == "Service" and each["metadata"]["name"] == url.hostname
    ]
    assert service["selector"]["app.kubernetes.io/component"] == "controller"
    assert {"port": url.port or 80, "targetPort": "http"}.items() <= service["ports"][0].items()
    assert not [name for name in variables if name.startswith("DATABASE_URL")]
    secrets = [item["key"] for each in pod["spec"]["volumes"] for item in each.get("secret", {}).get("items", [])]
    assert secrets == ["runtime-token"]
    (controller,) = [pod for name, pod in workloads(objects) if name == "controller"]
    accepted = environ(controller["spec"]["containers"][0], objects)
    networks = {"RUNTIME_HOST_NETWORKS": accepted["RUNTIME_HOST_NETWORKS"], "RUNTIME_TOKEN": "t"}
    assert host_networks(load_settings(networks)).networks
    assert "NODEJS_RUNTIME_URL" not in accepted


def test_clients_of_lambda_microservice_reach_the_second_port_where_there_is_one(objects):
    (settings,) = [each["data"] for each in objects if each["kind"] == "ConfigMap"]
    (pod,) = [pod for name, pod in workloads(objects) if name == "controller"]
    ports = {each["name"]: each["containerPort"] for each in pod["spec"]["containers"][0]["ports"]}
    targets = {
        port.get("targetPort") for each in objects if each["kind"] == "Service" for port in each["spec"]["ports"]
    }
    (policy,) = [
        each["spec"] for each in objects if each["kind"] == "NetworkPolicy" and each["metadata"]["name"] == "controller"
    ]
    assert ports.get("origin") == (int(settings["ORIGIN_PORT"]) if "ORIGIN_PORT" in settings else None)
    assert ("origin" in targets) == ({"port": "origin"} in policy["ingress"][0]["ports"]) == ("origin" in ports)


def test_controllers_share_their_keys_and_reach_public_addresses_only(objects):
    (pod,) = [pod for name, pod in workloads(objects) if name == "controller"]
    variables = environ(pod["spec"]["containers"][0], objects)
    keys = {Path(variables[name]).name for name in ("WEBHOOK_KEY_FILE", "SECRETS_KEY_FILE")}
    (volume,) = [each for each in pod["spec"]["volumes"] if each["name"] == "secrets"]
    files = [
        item["path"] for each in volume.get("projected", {}).get("sources", []) for item in each["secret"]["items"]
    ]
    assert "projected" not in volume or keys <= set(files)
    (egress,) = [
        each["spec"]["egress"]
        for each in objects
        if each["kind"] == "NetworkPolicy" and each["metadata"]["name"] == "controller"
    ]
    (webhooks,) = [each for each in egress if {"port": 443} in each["ports"]]
    blocks = [each["ipBlock"] for each in webhooks["to"]]
    reached = [ip_network(each["cidr"]) for each in blocks]
    excepted = [ip_network(text) for each in blocks for text in each.get("except", [])]
    for address, is_public in (
        ("1.1.1.1", True),
        ("2606:4700::1111", True),
        ("168.63.129.16", False),
        ("169.254.169.254", False),
        ("fd00::1", False),
    ):
        is_reached = any(ip_address(address) in each for each in reached)
        assert (is_reached and not any(ip_address(address) in each for each in excepted)) is is_public
    assert sorted(port["port"] for port in webhooks["ports"]) == sorted(map(int, DEFAULTS.webhook_ports))


def test_nothing_may_connect_but_what_a_policy_allows(objects):
    policies = [each["spec"] for each in objects if each["kind"] == "NetworkPolicy"]
    assert {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]} in policies
    (host,) = [each for each in policies if "runtime-host" in each["podSelector"].get("matchLabels", {}).values()]
    ports = [{port["port"] for port in each["ports"]} for each in host["egress"]]
    assert ports == [{"http"}, {53}], "to controllers, and for their names"
    assert host["egress"][0]["to"] == [{"podSelector": {"matchLabels": {"app.kubernetes.io/component": "controller"}}}]
    (controller,) = [each for each in policies if "controller" in each["podSelector"].get("matchLabels", {}).values()]
    of_hosts = {"podSelector": {"matchLabels": {"app.kubernetes.io/component": "runtime-host"}}}
    assert {"from": [of_hosts], "ports": [{"port": "http"}]} in controller["ingress"]
