"""What all DAGs share: the assets that connect them, and what happens when a task fails."""

from datetime import timedelta
from typing import Any

from airflow.sdk import Asset, Param

SOURCE = Asset("source", uri="martline://postgres/public")
REPLICA = Asset("replica", uri="martline://mysql/tables")
MARTS = Asset("marts", uri="martline://mysql/marts")

TASK_DEFAULTS: dict[str, Any] = {
    "owner": "martline",
    "retries": 2,
    "retry_delay": timedelta(seconds=10),
    "retry_exponential_backoff": True,
}
# One at a time: a replica that changes while it is read would give marts of two moments.
REPLICA_POOL = "replica"

# What a run is known by, as an integer below 2**53, which JSON keeps exactly: the same when a task is tried again
# or cleared, another for any other run, also for one with the name of a run that was deleted.
_RUN = "dag_run.run_id ~ ' ' ~ dag_run.run_after.isoformat()"
_SEED_OF_RUN = f"macros.uuid.uuid5(macros.uuid.NAMESPACE_OID, {_RUN}).int % 2**53"
SEED = f"{{{{ params.seed if params.seed is not none else {_SEED_OF_RUN} }}}}"
SEED_PARAM = Param(
    None,
    type=["null", "integer"],
    minimum=0,
    maximum=2**63 - 1,
    description="blank: one of the run's own",
)
