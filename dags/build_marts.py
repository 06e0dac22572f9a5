"""Build the marts."""

from datetime import timedelta

from airflow.sdk import DAG

from defaults import MARTS, REPLICA, REPLICA_POOL, TASK_DEFAULTS
from workload import workload

with DAG(
    "build_marts",
    description="Build the marts in MySQL with Spark, and check them",
    doc_md="""
### Build the marts

Spark reads the replicated tables and builds the marts. They are checked before they take the place of the last
ones, all at once: readers see the old marts or the new ones. The task `check` looks at the published marts once
more. The tables `mart_runs` and `mart_checks` in MySQL tell of every run; `build-marts --rollback` brings back
the marts from before the last one.

Starts when the asset `replica` is updated.
""",
    schedule=[REPLICA],
    catchup=False,
    max_active_runs=1,
    default_args=TASK_DEFAULTS,
    tags=["marts", "spark", "mysql"],
):
    build = workload(
        "build",
        ["build-marts"],
        image="spark",
        settings=["mysql", "spark"],
        timeout=timedelta(hours=1),
        pool=REPLICA_POOL,
    )
    check = workload(
        "check",
        ["check-marts"],
        image="spark",
        settings=["mysql"],
        timeout=timedelta(minutes=15),
        outlets=[MARTS],
    )
    build >> check
