"""Fill the source with generated rows."""

import os
from datetime import timedelta

from airflow.sdk import DAG, Param

from defaults import SEED, SEED_PARAM, SOURCE, TASK_DEFAULTS
from workload import workload

SIZES = {"users": 500, "products": 800, "orders": 3000, "reviews": 2000, "loyalty": 3000}

with DAG(
    "shop_generate",
    description="Fill the source's tables in PostgreSQL with generated rows",
    doc_md="""
### Fill the source with generated rows

Creates the shop's tables in PostgreSQL if they are not there, and adds as many users, products, orders
(each with one to five details), reviews and loyalty entries as the parameters say. All of a run's rows
are committed together.

The **seed** identifies a run's rows: the same seed gives the same rows and is added once, so a task that is
tried again adds nothing twice. Without one, each run has its own.

Updates the asset `source`, which starts the DAG `replicate`.
""",
    schedule=None,
    catchup=False,
    max_active_runs=1,
    default_args=TASK_DEFAULTS,
    tags=["source", "postgres"],
    params={
        **{
            name: Param(int(os.environ.get(f"SHOP_{name.upper()}", size)), type="integer", minimum=0)
            for name, size in SIZES.items()
        },
        "seed": SEED_PARAM,
    },
):
    create_tables = workload(
        "create_tables", ["shop-init"], image="shop", settings=["postgres"], timeout=timedelta(minutes=5)
    )
    generate = workload(
        "generate",
        [
            "shop-generate",
            *(word for name in SIZES for word in (f"--{name}", f"{{{{ params.{name} }}}}")),
            *("--seed", SEED),
            # The run's own day, so that a task that is tried again after midnight makes the same rows.
            *("--until", "{{ dag_run.run_after | ds }}"),
        ],
        image="shop",
        settings=["postgres"],
        timeout=timedelta(hours=1),
        outlets=[SOURCE],
    )
    create_tables >> generate
