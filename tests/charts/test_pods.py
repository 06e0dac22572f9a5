"""Every pod of every chart, with default and with unusual values."""

import pytest
import yaml
from tests.charts.cases import CASES, REGISTRY, case
from tests.charts.rendering import Object, Pod, named, of_kind, pods, rendered

# The kinds of volumes that the `restricted` Pod Security Standard allows.
VOLUMES = {
    "configMap",
    "csi",
    "downwardAPI",
    "emptyDir",
    "ephemeral",
    "persistentVolumeClaim",
    "projected",
    "secret",
}
# The objects from which a pod takes the settings of a service, with the name of that service.
CLIENTS = {
    "postgres-client": "postgres",
    "postgres-dashboard": "postgres",
    "airflow-metadata": "postgres",
    "mysql-client": "mysql",
    "mysql-dashboard": "mysql",
    "kafka-client": "kafka",
    "airflow-dashboard": "airflow",
    "spark-client": "spark",
}


@pytest.fixture(params=CASES)
def objects(request: pytest.FixtureRequest) -> list[Object]:
    return case(request.param)


def test_pods_pass_the_restricted_standard(objects: list[Object]) -> None:
    for pod in pods(objects):
        context = pod.spec["securityContext"]
        assert context["runAsNonRoot"] is True, pod
        assert context["runAsUser"] > 0, pod
        assert context["seccompProfile"] == {"type": "RuntimeDefault"}, pod
        assert not {"hostNetwork", "hostPID", "hostIPC"} & pod.spec.keys(), pod
        for volume in pod.spec.get("volumes", []):
            assert volume.keys() - {"name"} <= VOLUMES, f"{pod}: {volume}"
        for container in pod.containers:
            own = container["securityContext"]
            assert own["allowPrivilegeEscalation"] is False, pod
            assert own["capabilities"] == {"drop": ["ALL"]}, pod
            assert own["readOnlyRootFilesystem"] is True, pod
            assert own.get("runAsUser", 1) > 0, pod
            assert not any("hostPort" in port for port in container.get("ports", [])), pod


def test_containers_say_what_they_need_and_what_they_may_take(objects: list[Object]) -> None:
    for pod in pods(objects):
        for container in pod.containers:
            resources = container["resources"]
            assert resources["requests"].keys() >= {"cpu", "memory"}, f"{pod}: {container['name']}"
            assert "memory" in resources["limits"], f"{pod}: {container['name']}"


def test_servers_have_all_three_probes(objects: list[Object]) -> None:
    for pod in pods(objects):
        for container in pod.servers:
            assert container.keys() >= {"startupProbe", "readinessProbe", "livenessProbe"}, (
                f"{pod}: {container['name']}"
            )


def test_probes_start_no_java_virtual_machine(objects: list[Object]) -> None:
    for pod in pods(objects):
        for container in pod.servers:
            for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
                command = " ".join(container[probe].get("exec", {}).get("command", []))
                assert "java" not in command, pod
                assert "/opt/kafka/bin" not in command, pod
                assert "zkCli" not in command, pod


def test_images_are_pinned_by_a_tag(objects: list[Object]) -> None:
    for pod in pods(objects):
        for container in pod.containers:
            _, _, tag = container["image"].rpartition("/")[2].partition(":")
            assert tag, f"{pod}: {container['image']}"
            assert tag != "latest", f"{pod}: {container['image']}"


def test_every_image_comes_from_ones_own_registry() -> None:
    for pod in pods(case("a registry and a class of one's own")):
        assert pod.spec["imagePullSecrets"] == [{"name": "pull"}], pod
        for container in pod.containers:
            assert container["image"].startswith(f"{REGISTRY}/"), f"{pod}: {container['image']}"


def test_services_addresses_do_not_become_environment_variables(objects: list[Object]) -> None:
    assert [str(pod) for pod in pods(objects) if pod.spec.get("enableServiceLinks") is not False] == []


def test_only_pods_whose_account_has_a_role_get_a_token(objects: list[Object]) -> None:
    bound = {
        subject["name"]
        for binding in of_kind(objects, "RoleBinding")
        for subject in binding["subjects"]
        if subject["kind"] == "ServiceAccount"
    }
    for account in of_kind(objects, "ServiceAccount"):
        assert account["automountServiceAccountToken"] is False, account["metadata"]["name"]
    for pod in pods(objects):
        if pod.spec["automountServiceAccountToken"]:
            assert pod.spec["serviceAccountName"] in bound, pod


def test_pods_that_take_a_services_settings_are_labelled_as_its_clients(objects: list[Object]) -> None:
    for pod in pods(objects):
        for service in {CLIENTS[name] for name in _settings(pod) if name in CLIENTS}:
            assert pod.labels.get(f"martline.io/client-{service}") == "true", f"{pod}: {service}"


def test_a_changed_configuration_restarts_the_pod(objects: list[Object]) -> None:
    own = {config["metadata"]["name"] for config in of_kind(objects, "ConfigMap")} - CLIENTS.keys()
    for pod in pods(objects):
        mounted = {volume["configMap"]["name"] for volume in pod.spec.get("volumes", []) if "configMap" in volume}
        if pod.servers and mounted & own:
            annotations = pod.metadata.get("annotations", {})
            assert any(name.startswith("checksum/") for name in annotations), pod


def test_scratch_space_has_a_limit(objects: list[Object]) -> None:
    for pod in pods(objects):
        for volume in pod.spec.get("volumes", []):
            assert "emptyDir" not in volume or volume["emptyDir"].get("sizeLimit"), f"{pod}: {volume['name']}"


@pytest.mark.parametrize(("values", "bound"), [({}, "256"), ({"replicationJournalMiB": 0}, "0")])
def test_the_pods_of_tasks_are_told_how_large_the_replications_journal_may_be(
    values: dict[str, int], bound: str
) -> None:
    objects = rendered("airflow", {"workloadPods": values})
    pod = yaml.safe_load(named(objects, "ConfigMap", "airflow-workloads")["data"]["pod.yaml"])
    assert pod["spec"]["containers"][0]["env"] == [{"name": "REPLICATION_JOURNAL_MIB", "value": bound}]


def test_pods_go_where_they_are_told() -> None:
    for pod in pods(case("placed")):
        if pod.servers:
            assert pod.spec["nodeSelector"] == {"disk": "ssd"}, pod
            assert pod.spec["tolerations"] == [{"key": "data", "operator": "Exists"}], pod


def _settings(pod: Pod) -> set[str]:
    """The names of the Secrets and ConfigMaps that become environment variables."""
    names = set()
    for container in pod.containers:
        for source in container.get("envFrom", []):
            names.add((source.get("secretRef") or source["configMapRef"])["name"])
        for variable in container.get("env", []):
            source = variable.get("valueFrom", {})
            names |= {source[kind]["name"] for kind in ("secretKeyRef", "configMapKeyRef") if kind in source}
    return names
