"""How the charts' objects fit together, with default and with unusual values."""

import base64
import re
from collections.abc import Mapping
from typing import Any

import pytest
import yaml
from tests.charts.cases import CASES, case
from tests.charts.rendering import (
    RELEASE,
    SERVICES,
    UMBRELLA,
    Object,
    Pod,
    named,
    of_kind,
    pods,
    rendered,
    selects,
)

LABELS = {
    "app.kubernetes.io/name",
    "app.kubernetes.io/instance",
    "app.kubernetes.io/component",
    "app.kubernetes.io/version",
    "app.kubernetes.io/part-of",
    "app.kubernetes.io/managed-by",
    "helm.sh/chart",
}
SECRET_KEYS = re.compile(r"PASSWORD|PWD|TOKEN|KEY|SECRET", re.IGNORECASE)
# Objects of the platform's other charts, for a chart that is installed by itself.
ANOTHER_CHARTS = {
    "postgres-client",
    "postgres-dashboard",
    "airflow-metadata",
    "airflow-dashboard",
    "mysql-client",
    "mysql-dashboard",
    "kafka-client",
    "spark-client",
    "spark-auth",
    "spark-conf",
}
# Secrets that the user creates, if the values say so.
THE_USERS = {
    "pull",
    "postgres-client",
    "postgres-admin",
    "postgres-dashboard",
    "airflow-metadata",
    "airflow-dashboard",
    "mysql-client",
    "mysql-admin",
    "mysql-dashboard",
    "airflow-login",
    "airflow-keys",
    "spark-auth",
    "jupyter-token",
    "dashboard-login",
}


@pytest.fixture(params=CASES)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def objects(name: str) -> list[Object]:
    return case(name)


def test_objects_carry_the_common_labels(objects: list[Object]) -> None:
    for item in objects:
        labels = item["metadata"]["labels"]
        assert labels.keys() >= LABELS, f"{item['kind']} {item['metadata']['name']}"
        assert labels["app.kubernetes.io/instance"] == RELEASE
        assert labels["app.kubernetes.io/part-of"] == "martline"


def test_no_two_objects_have_the_same_name(objects: list[Object]) -> None:
    names = [(item["kind"], item["metadata"]["name"]) for item in objects]
    assert len(names) == len(set(names))


def test_every_reference_resolves(name: str, objects: list[Object]) -> None:
    there = {(item["kind"], item["metadata"]["name"]) for item in objects}
    there.add(("ServiceAccount", "default"))  # every namespace has it
    alone = CASES[name][0] != UMBRELLA
    given = ANOTHER_CHARTS if alone else THE_USERS if name == "Secrets that exist" else {"pull"}
    for pod in pods(objects):
        for kind, wanted in _references(pod):
            assert (kind, wanted) in there or wanted in given, f"{pod} wants {kind} {wanted}"


def test_no_password_stands_outside_of_its_secret(objects: list[Object]) -> None:
    secrets = of_kind(objects, "Secret")
    rest = yaml.safe_dump([item for item in objects if item["kind"] != "Secret"])
    for secret in secrets:
        for key, value in secret.get("data", {}).items():
            if SECRET_KEYS.search(key):
                password = base64.b64decode(value).decode()
                assert len(password) >= 32, f"{secret['metadata']['name']}: {key}"
                assert password not in rest, f"{secret['metadata']['name']}: {key}"
                assert value not in rest, f"{secret['metadata']['name']}: {key}"


def test_no_environment_variable_holds_a_password(objects: list[Object]) -> None:
    for pod in pods(objects):
        for container in pod.containers:
            for variable in container.get("env", []):
                if SECRET_KEYS.search(variable["name"]) and "value" in variable:
                    assert variable["name"].endswith(("_FILE", "_CMD", "_SECRET")), f"{pod}: {variable['name']}"


def test_generated_secrets_are_kept_when_the_release_goes(objects: list[Object]) -> None:
    for secret in of_kind(objects, "Secret"):
        if any(SECRET_KEYS.search(key) for key in secret.get("data", {})):
            assert secret["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep", secret["metadata"][
                "name"
            ]


def test_every_generated_password_is_another() -> None:
    def passwords() -> list[str]:
        return [
            value
            for secret in of_kind(rendered(UMBRELLA), "Secret")
            for key, value in secret.get("data", {}).items()
            if SECRET_KEYS.search(key)
        ]

    both = passwords() + passwords()
    assert len(both) == len(set(both)) > 0


def test_every_service_finds_pods_with_its_ports(objects: list[Object]) -> None:
    for service in of_kind(objects, "Service"):
        found = [pod for pod in pods(objects) if selects(service["spec"]["selector"], pod.labels)]
        assert len(found) == 1, service["metadata"]["name"]
        offered = {port["name"] for container in found[0].containers for port in container.get("ports", [])}
        for port in service["spec"]["ports"]:
            assert port["targetPort"] in offered, service["metadata"]["name"]


def test_every_service_lets_in_its_clients_alone(name: str, objects: list[Object]) -> None:
    policies = of_kind(objects, "NetworkPolicy")
    if name == "no policies":
        assert policies == []
        return
    for service in of_kind(objects, "Service"):
        (pod,) = (pod for pod in pods(objects) if selects(service["spec"]["selector"], pod.labels))
        its = [p["spec"] for p in policies if selects(p["spec"]["podSelector"]["matchLabels"], pod.labels)]
        assert its, service["metadata"]["name"]
        for policy in its:
            assert "Ingress" in policy["policyTypes"]
            for rule in policy["ingress"]:
                assert rule["ports"]
                assert rule["from"]
                assert all(peer["podSelector"]["matchLabels"] for peer in rule["from"])


def test_a_budget_guards_what_has_replicas(objects: list[Object]) -> None:
    budgets = of_kind(objects, "PodDisruptionBudget")
    for workload in of_kind(objects, "Deployment", "StatefulSet"):
        labels = workload["spec"]["template"]["metadata"]["labels"]
        guards = [b for b in budgets if selects(b["spec"]["selector"]["matchLabels"], labels)]
        assert len(guards) == (1 if workload["spec"]["replicas"] > 1 else 0), workload["metadata"]["name"]


def test_workloads_select_their_own_pods_alone(objects: list[Object]) -> None:
    for workload in of_kind(objects, "Deployment", "StatefulSet"):
        selector = workload["spec"]["selector"]["matchLabels"]
        found = [pod for pod in pods(objects) if selects(selector, pod.labels)]
        assert [pod.owner for pod in found] == [workload], workload["metadata"]["name"]
        assert not {"helm.sh/chart", "app.kubernetes.io/version"} & selector.keys()


def test_stateful_sets_have_the_service_that_they_name(objects: list[Object]) -> None:
    services = {service["metadata"]["name"] for service in of_kind(objects, "Service")}
    for workload in of_kind(objects, "StatefulSet"):
        assert workload["spec"]["serviceName"] in services


def test_volumes_can_be_switched_off() -> None:
    objects = case("no volumes")
    assert of_kind(objects, "PersistentVolumeClaim") == []
    assert not any(workload["spec"].get("volumeClaimTemplates") for workload in of_kind(objects, "StatefulSet"))


def test_volumes_take_the_class_of_the_platform() -> None:
    claims = _claims(case("a registry and a class of one's own"))
    assert claims
    assert {claim["spec"]["storageClassName"] for claim in claims} == {"fast"}


def test_volumes_are_left_to_the_clusters_default_class() -> None:
    assert not any("storageClassName" in claim["spec"] for claim in _claims(case("the platform")))


@pytest.mark.parametrize("chart", SERVICES)
def test_every_chart_tests_its_service(chart: str) -> None:
    tests = [pod for pod in of_kind(rendered(chart), "Pod") if _hook(pod) == "test"]
    assert tests
    assert all(pod["spec"]["restartPolicy"] == "Never" for pod in tests)


def test_mounts_have_their_volumes(objects: list[Object]) -> None:
    for pod in pods(objects):
        volumes = {volume["name"] for volume in pod.spec.get("volumes", [])}
        volumes |= {claim["metadata"]["name"] for claim in pod.owner["spec"].get("volumeClaimTemplates", [])}
        mounted = {mount["name"] for container in pod.containers for mount in container.get("volumeMounts", [])}
        assert mounted == volumes, pod


def test_mounted_files_are_in_their_config_map(objects: list[Object]) -> None:
    for pod in pods(objects):
        sources = {v["name"]: v["configMap"]["name"] for v in pod.spec.get("volumes", []) if "configMap" in v}
        for container in pod.containers:
            for mount in container.get("volumeMounts", []):
                if mount["name"] in sources and "subPath" in mount:
                    assert mount["subPath"] in named(objects, "ConfigMap", sources[mount["name"]])["data"], pod


def _hook(item: Object) -> str | None:
    hook = item["metadata"].get("annotations", {}).get("helm.sh/hook")
    return None if hook is None else str(hook)


def _claims(objects: list[Object]) -> list[Object]:
    templates = [w["spec"].get("volumeClaimTemplates", []) for w in of_kind(objects, "StatefulSet")]
    return [*of_kind(objects, "PersistentVolumeClaim"), *(claim for claims in templates for claim in claims)]


def _references(pod: Pod) -> set[tuple[str, str]]:
    """The kinds and names of all objects that a pod's spec refers to."""
    found = {("ServiceAccount", pod.spec["serviceAccountName"])}
    found |= {("Secret", secret["name"]) for secret in pod.spec.get("imagePullSecrets", [])}
    for volume in pod.spec.get("volumes", []):
        for source in (volume, *volume.get("projected", {}).get("sources", [])):
            found |= _of_volume(source)
    for container in pod.containers:
        for source in [
            *container.get("envFrom", []),
            *(v.get("valueFrom", {}) for v in container.get("env", [])),
        ]:
            found |= _of_variable(source)
    return found


def _of_volume(source: Mapping[str, Any]) -> set[tuple[str, str]]:
    found = set()
    if "configMap" in source:
        found.add(("ConfigMap", source["configMap"]["name"]))
    if "secret" in source:
        found.add(("Secret", source["secret"].get("secretName") or source["secret"]["name"]))
    if "persistentVolumeClaim" in source:
        found.add(("PersistentVolumeClaim", source["persistentVolumeClaim"]["claimName"]))
    return found


def _of_variable(source: Mapping[str, Any]) -> set[tuple[str, str]]:
    kinds = {
        "secretRef": "Secret",
        "secretKeyRef": "Secret",
        "configMapRef": "ConfigMap",
        "configMapKeyRef": "ConfigMap",
    }
    return {(kind, source[name]["name"]) for name, kind in kinds.items() if name in source}
