"""What all DAGs share: the assets that join them, and how a task is treated that fails."""

from datetime import timedelta
from typing import Any

from airflow.sdk import Asset

SOURCE = Asset("source", uri="martline://postgres/public")
REPLICA = Asset("replica", uri="martline://mysql/tables")
MARTS = Asset("marts", uri="martline://mysql/marts")

TASK_DEFAULTS: dict[str, Any] = {
    "owner": "martline",
    "retries": 2,
    "retry_delay": timedelta(seconds=10),
    "retry_exponential_backoff": True,
}
# A replica that changes while marts are read would make marts of two moments: one at a time.
REPLICA_POOL = "replica"
