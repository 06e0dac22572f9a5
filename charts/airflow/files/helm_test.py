"""The DAG that `helm test` runs: a task in a pod that does next to nothing."""

from datetime import timedelta

from airflow.sdk import DAG

from workload import workload

with DAG(
    "helm_test",
    description="Start a pod that does next to nothing, to see that tasks run",
    schedule=None,
    catchup=False,
    default_args={"owner": "martline", "retries": 0},
    tags=["test"],
):
    workload(
        "answer",
        ["sh", "-c", 'echo "The pod has run" >&2; echo "{\\"answer\\": 42}"'],
        image="shop",
        settings=[],
        timeout=timedelta(minutes=5),
    )
