"""Make MySQL equal to PostgreSQL."""

from datetime import timedelta

from airflow.sdk import DAG

from defaults import REPLICA, REPLICA_POOL, SOURCE, TASK_DEFAULTS
from workload import workload

with DAG(
    "replicate",
    description="Make MySQL equal to PostgreSQL, and prove it",
    doc_md="""
### Replicate PostgreSQL to MySQL

Copies the tables that are new, applies the changes since the last run in whole transactions, and then
compares both sides by checksums: the run fails with the keys that differ.

Starts when the asset `source` is updated; updates the asset `replica`, which starts the DAG `build_marts`.
""",
    schedule=[SOURCE],
    catchup=False,
    max_active_runs=1,
    default_args=TASK_DEFAULTS,
    tags=["replication", "postgres", "mysql"],
):
    replicate = workload(
        "replicate",
        ["replicate"],
        image="spark",
        settings=["postgres", "mysql", "spark"],
        timeout=timedelta(hours=2),
        pool=REPLICA_POOL,
    )
    compare = workload(
        "compare",
        ["replication-compare"],
        image="spark",
        settings=["postgres", "mysql"],
        timeout=timedelta(hours=1),
        outlets=[REPLICA],
        pool=REPLICA_POOL,
    )
    replicate >> compare
