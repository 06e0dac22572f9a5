"""Stream events through Kafka into the source."""

import os
from datetime import timedelta

from airflow.sdk import DAG, Param

from defaults import SEED, SEED_PARAM, SOURCE, TASK_DEFAULTS
from workload import workload

SIZES = {"users": ("SHOP_USER_EVENTS", 200), "reviews": ("SHOP_REVIEW_EVENTS", 200)}

with DAG(
    "shop_events",
    description="Send new users and reviews through Kafka into PostgreSQL",
    doc_md="""
### Stream events through Kafka into the source

Sends events of new users and new reviews to Kafka's topics `new_user_events` and `new_review_events`, and
stores everything that is there and has not been stored yet into PostgreSQL. An event counts once, however
often it is sent or read; one that can't be read or stored is put aside with the reason: `shop-dead-letters list`.

Updates the asset `source`, which starts the DAG `replicate`.
""",
    schedule=None,
    catchup=False,
    max_active_runs=1,
    default_args=TASK_DEFAULTS,
    tags=["source", "kafka", "postgres"],
    params={
        **{
            name: Param(int(os.environ.get(variable, size)), type="integer", minimum=0)
            for name, (variable, size) in SIZES.items()
        },
        "seed": SEED_PARAM,
    },
):
    produce = workload(
        "produce",
        [
            "shop-produce",
            *(word for name in SIZES for word in (f"--{name}", f"{{{{ params.{name} }}}}")),
            *("--seed", SEED),
        ],
        image="shop",
        settings=["postgres", "kafka"],
        timeout=timedelta(minutes=30),
    )
    consume = workload(
        "consume",
        ["shop-consume", "--until-caught-up"],
        image="shop",
        settings=["postgres", "kafka"],
        timeout=timedelta(hours=1),
        outlets=[SOURCE],
    )
    produce >> consume
