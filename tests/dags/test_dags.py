"""Every DAG, built in both profiles by Airflow's own importer."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

DAGS = Path(__file__).parent.parent.parent / "dags"
DESCRIBE = """
import json, shlex, sys
from airflow.dag_processing.dagbag import DagBag
from kubernetes.client import ApiClient
bag = DagBag(sys.argv[1])

def pod_of(task):
    # As Kubernetes would get it.
    if not hasattr(task, "build_pod_request_obj"):
        return None
    task.do_xcom_push = False  # what its sidecar is like is said by a connection, of which there is none here
    return ApiClient().sanitize_for_serialization(task.build_pod_request_obj(dry_run=True))

print(json.dumps({
    "errors": bag.import_errors,
    "dags": {
        dag.dag_id: {
            "tags": sorted(dag.tags),
            "documented": bool(dag.doc_md),
            "schedule": [asset.name for asset in dag.schedule or []],
            "tasks": {
                task.task_id: {
                    "operator": type(task).__name__,
                    "owner": task.owner,
                    "retries": task.retries,
                    "timeout": task.execution_timeout.total_seconds(),
                    "outlets": [asset.name for asset in task.outlets],
                    "xcom": task.do_xcom_push,
                    "upstream": sorted(task.upstream_task_ids),
                    "pool": task.pool,
                    "pod": pod_of(task),
                }
                for task in dag.tasks
            },
        }
        for dag in bag.dags.values()
    },
}))
"""

# A short form of the files that Airflow's chart puts into the folder MARTLINE_WORKLOADS.
WORKLOADS = {
    name: {
        "image": f"martline/{name}:1",
        "pull_policy": "IfNotPresent",
        "resources": {"requests": {"memory": memory}, "limits": {"memory": "2Gi"}},
    }
    for name, memory in {"shop": "128Mi", "spark": "512Mi"}.items()
}
POD = """
apiVersion: v1
kind: Pod
spec:
  serviceAccountName: airflow-workload
  securityContext: {runAsNonRoot: true}
  containers:
    - name: base
      env: [{name: REPLICATION_JOURNAL_MIB, value: "256"}]
      securityContext: {readOnlyRootFilesystem: true}
      volumeMounts: [{name: scratch, mountPath: /tmp}]
  volumes: [{name: scratch, emptyDir: {}}]
"""


@pytest.fixture(scope="module", params=["embedded", "cluster"])
def airflow(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Any]:
    """Run a program in Airflow's environment in one of the profiles, and return the JSON that it prints last."""
    home = tmp_path_factory.mktemp("airflow")
    (home / "workloads.json").write_text(json.dumps(WORKLOADS))
    (home / "pod.yaml").write_text(POD)
    environment = {
        **os.environ,
        "MARTLINE_WORKLOADS": str(home),
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__DAGS_FOLDER": str(DAGS),
        "AIRFLOW__LOGGING__LOGGING_LEVEL": "ERROR",
        "MARTLINE_PROFILE": request.param,
        "PYTHONPATH": str(DAGS),
    }

    def run(program: str) -> Any:
        command = [sys.executable, "-c", program, str(DAGS)]
        process = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
        assert process.returncode == 0, process.stderr
        return {"profile": request.param, "said": json.loads(process.stdout.splitlines()[-1])}

    return run


@pytest.fixture(scope="module")
def built(airflow: Callable[[str], Any]) -> dict[str, Any]:
    described = airflow(DESCRIBE)
    return {"profile": described["profile"], **described["said"]}


def test_every_dag_is_read_without_errors(built: dict[str, Any]) -> None:
    assert built["errors"] == {}
    assert set(built["dags"]) == {"shop_generate", "shop_events", "replicate", "build_marts"}


def test_a_task_is_a_local_process_or_a_pod_as_the_profile_says(built: dict[str, Any]) -> None:
    expected = {"embedded": "BashOperator", "cluster": "PodOperator"}[built["profile"]]
    tasks = [task for dag in built["dags"].values() for task in dag["tasks"].values()]
    assert {task["operator"] for task in tasks} == {expected}


def test_every_task_has_an_owner_retries_a_timeout_and_its_result_in_xcom(built: dict[str, Any]) -> None:
    for dag in built["dags"].values():
        assert dag["documented"]
        assert dag["tags"]
        for task in dag["tasks"].values():
            assert task["owner"] == "martline"
            assert task["retries"] > 0
            assert task["timeout"] > 0
            assert task["xcom"]


def test_assets_lead_from_the_source_to_the_marts(built: dict[str, Any]) -> None:
    dags = built["dags"]
    outlets = {
        name: [asset for task in dag["tasks"].values() for asset in task["outlets"]] for name, dag in dags.items()
    }
    assert outlets == {
        "shop_generate": ["source"],
        "shop_events": ["source"],
        "replicate": ["replica"],
        "build_marts": ["marts"],
    }
    assert dags["replicate"]["schedule"] == ["source"]
    assert dags["build_marts"]["schedule"] == ["replica"]


def test_an_asset_is_updated_only_by_the_last_task_of_its_dag(built: dict[str, Any]) -> None:
    for dag in built["dags"].values():
        upstream = {name for task in dag["tasks"].values() for name in task["upstream"]}
        updating = {name for name, task in dag["tasks"].items() if task["outlets"]}
        assert updating == set(dag["tasks"]) - upstream


def test_what_reads_or_writes_the_whole_replica_shares_a_pool_of_one(built: dict[str, Any]) -> None:
    pools = json.loads((DAGS / "pools.json").read_text())
    assert pools["replica"]["slots"] == 1
    pooled = {
        f"{dag}.{name}"
        for dag, tasks in built["dags"].items()
        for name, task in tasks["tasks"].items()
        if task["pool"] == "replica"
    }
    assert pooled == {"replicate.replicate", "replicate.compare", "build_marts.build"}


SEEDS = """
import json, shlex, sys
from datetime import UTC, datetime
from airflow.dag_processing.dagbag import DagBag
from airflow.sdk.api.datamodels._generated import DagRun
from airflow.sdk.execution_time import macros

def seed(dag, task, run_id, run_after, chosen=None):
    run = DagRun(
        dag_id=dag.dag_id, run_id=run_id, run_after=run_after, run_type="manual", state="running",
        start_date=run_after, end_date=None, logical_date=None, data_interval_start=None, data_interval_end=None,
        partition_key=None, consumed_asset_events=[],
    )
    task = dag.get_task(task).prepare_for_execution()
    params = {**dag.params.dump(), "seed": chosen}
    task.render_template_fields({"dag_run": run, "run_id": run_id, "params": params, "macros": macros})
    words = getattr(task, "arguments", None) or shlex.split(task.bash_command)
    return words[words.index("--seed") + 1]

bag = DagBag(sys.argv[1])
moment, later = (datetime(2026, 1, 1, microsecond=part, tzinfo=UTC) for part in (1, 2))
print(json.dumps({
    name: {
        "once": seed(bag.dags[name], task, "a", moment), "again": seed(bag.dags[name], task, "a", moment),
        "other": seed(bag.dags[name], task, "b", moment), "later": seed(bag.dags[name], task, "a", later),
        "chosen": [seed(bag.dags[name], task, "a", moment, chosen) for chosen in (0, 2**63 - 1)],
    }
    for name, task in (("shop_generate", "generate"), ("shop_events", "produce"))
}))
"""


def test_the_seed_is_the_runs_own_also_among_runs_of_the_same_moment_and_stays_when_it_is_tried_again(
    airflow: Callable[[str], Any],
) -> None:
    for seeds in airflow(SEEDS)["said"].values():
        assert seeds["once"] == seeds["again"]
        numbers = [int(seeds[name]) for name in ("once", "other", "later")]
        assert len(set(numbers)) == 3
        assert all(0 <= number < 2**53 for number in numbers)
        assert seeds["chosen"] == ["0", str(2**63 - 1)]


IN_THE_CLUSTER = pytest.mark.parametrize("airflow", ["cluster"], indirect=True)


def _pods(built: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {
        f"{dag}.{name}": task["pod"]
        for dag, tasks in built["dags"].items()
        for name, task in tasks["tasks"].items()
    }


@IN_THE_CLUSTER
def test_a_pod_has_its_workloads_image_and_resources_and_what_all_pods_have(built: dict[str, Any]) -> None:
    for name, pod in _pods(built).items():
        image = "shop" if name.startswith("shop_") else "spark"
        base = pod["spec"]["containers"][0]
        assert base["image"] == WORKLOADS[image]["image"], name
        assert base["resources"] == WORKLOADS[image]["resources"], name
        assert base["securityContext"] == {"readOnlyRootFilesystem": True}
        assert pod["spec"]["securityContext"] == {"runAsNonRoot": True}
        assert {"name": "scratch", "mountPath": "/tmp"} in base["volumeMounts"]
        assert {"name": "REPLICATION_JOURNAL_MIB", "value": "256"} in base["env"]


@IN_THE_CLUSTER
def test_a_pod_refers_to_its_settings_and_is_labelled_as_the_services_client(built: dict[str, Any]) -> None:
    expected = {
        "shop_generate.create_tables": {"postgres"},
        "shop_generate.generate": {"postgres"},
        "shop_events.produce": {"postgres", "kafka"},
        "shop_events.consume": {"postgres", "kafka"},
        "replicate.replicate": {"postgres", "mysql", "spark"},
        "replicate.compare": {"postgres", "mysql"},
        "build_marts.build": {"mysql", "spark"},
        "build_marts.check": {"mysql"},
    }
    pods = _pods(built)
    assert pods.keys() == expected.keys()
    for name, services in expected.items():
        base = pods[name]["spec"]["containers"][0]
        sources = {reference["name"] for source in base["envFrom"] for reference in source.values()}
        assert sources - {"spark-auth"} == {f"{service}-client" for service in services}, name
        assert ("spark-auth" in sources) == ("spark" in services), name
        labels = {label for label in pods[name]["metadata"]["labels"] if label.startswith("martline.io/client-")}
        assert labels == {f"martline.io/client-{service}" for service in services}, name


@IN_THE_CLUSTER
def test_no_value_of_a_secret_stands_in_a_pod(built: dict[str, Any]) -> None:
    for pod in _pods(built).values():
        variables = {variable.pop("name"): variable for variable in pod["spec"]["containers"][0]["env"]}
        assert variables.pop("REPLICATION_JOURNAL_MIB") == {"value": "256"}
        assert variables in (
            {},
            {"SPARK_LOCAL_HOSTNAME": {"valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}}},
        )


@IN_THE_CLUSTER
def test_a_spark_driver_has_sparks_configuration_and_account(built: dict[str, Any]) -> None:
    pods = _pods(built)
    drivers = {name for name, pod in pods.items() if pod["spec"]["serviceAccountName"] == "spark-driver"}
    assert drivers == {"replicate.replicate", "build_marts.build"}
    for name in drivers:
        base = pods[name]["spec"]["containers"][0]
        assert {"name": "spark-conf", "mountPath": "/etc/spark", "readOnly": True} in base["volumeMounts"]
