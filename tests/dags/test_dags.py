"""Every DAG, built in both profiles by Airflow's own importer."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

DAGS = Path(__file__).parent.parent.parent / "dags"
DESCRIBE = """
import json, sys
from airflow.dag_processing.dagbag import DagBag
bag = DagBag(sys.argv[1])
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
                    "env": str(getattr(task, "env_from", "")),
                }
                for task in dag.tasks
            },
        }
        for dag in bag.dags.values()
    },
}))
"""


@pytest.fixture(scope="module", params=["embedded", "cluster"])
def built(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    home = tmp_path_factory.mktemp("airflow")
    environment = {
        **os.environ,
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__DAGS_FOLDER": str(DAGS),
        "AIRFLOW__LOGGING__LOGGING_LEVEL": "ERROR",
        "MARTLINE_PROFILE": request.param,
        "PYTHONPATH": str(DAGS),
    }
    command = [sys.executable, "-c", DESCRIBE, str(DAGS)]
    process = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
    assert process.returncode == 0, process.stderr
    return {"profile": request.param, **json.loads(process.stdout.splitlines()[-1])}


def test_every_dag_is_read_without_errors(built: dict[str, Any]) -> None:
    assert built["errors"] == {}
    assert set(built["dags"]) == {"shop_generate", "shop_events", "replicate", "build_marts"}


def test_a_task_is_a_local_process_or_a_pod_as_the_profile_says(built: dict[str, Any]) -> None:
    expected = {"embedded": "BashOperator", "cluster": "KubernetesPodOperator"}[built["profile"]]
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
