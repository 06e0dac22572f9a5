"""Decides where a workload runs. Only this module knows the profile.

``MARTLINE_PROFILE`` is ``embedded`` (a task is a local process) or ``cluster`` (a task is a pod). In the cluster
``MARTLINE_WORKLOADS`` is the folder in which the chart of Airflow says what it knows: ``workloads.json`` has each
image's reference, pull policy and resources, and ``pod.yaml`` is what all pods begin as.
"""

import json
import os
import shlex
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

from airflow.sdk import Asset, BaseOperator

# The Secrets and ConfigMaps from which a pod takes its settings; a pod's spec holds only their names.
SECRETS = {"postgres": "postgres-client", "mysql": "mysql-client", "spark": "spark-auth"}
CONFIG_MAPS = {"kafka": "kafka-client", "spark": "spark-client"}
RESULT_FILE = "/airflow/xcom/return.json"


def workload(
    task_id: str,
    command: Sequence[str],
    *,
    image: str,
    settings: Sequence[str],
    timeout: timedelta,
    outlets: Sequence[Asset] = (),
    pool: str = "default_pool",
) -> BaseOperator:
    """A task that runs one of the platform's commands.

    ``command`` may hold Jinja templates. ``image`` and ``settings`` (keys of :data:`SECRETS` and
    :data:`CONFIG_MAPS`) say what the command needs. The JSON line that it prints at its end becomes
    the task's XCom.
    """
    common = {
        "task_id": task_id,
        "execution_timeout": timeout,
        "outlets": list(outlets),
        "pool": pool,
        "do_xcom_push": True,
    }
    if os.environ.get("MARTLINE_PROFILE") == "cluster":
        return _pod(command, image, settings, common)
    return _process(command, common)


def _process(command: Sequence[str], common: dict[str, Any]) -> BaseOperator:
    from airflow.providers.standard.operators.bash import BashOperator

    return BashOperator(
        bash_command=f"exec {shlex.join(command)}", append_env=True, output_processor=json.loads, **common
    )


def _pod(command: Sequence[str], image: str, settings: Sequence[str], common: dict[str, Any]) -> BaseOperator:
    # Imported here, because every task reads its DAG's file, and these imports take a second.
    from kubernetes.client import models as k8s

    from pod_operator import PodOperator

    folder = Path(os.environ["MARTLINE_WORKLOADS"])
    workload = json.loads((folder / "workloads.json").read_text())[image]
    return PodOperator(
        name=common["task_id"].replace("_", "-"),
        pod_template_file=str(folder / "pod.yaml"),
        image=workload["image"],
        image_pull_policy=workload["pull_policy"],
        container_resources=k8s.V1ResourceRequirements(**workload["resources"]),
        # The log goes to standard error; the result line is what the XCom sidecar hands over.
        cmds=["sh", "-c", f'exec "$@" > {RESULT_FILE}', "sh"],
        arguments=list(command),
        env_from=[
            *(
                k8s.V1EnvFromSource(secret_ref=k8s.V1SecretEnvSource(SECRETS[name]))
                for name in settings
                if name in SECRETS
            ),
            *(
                k8s.V1EnvFromSource(config_map_ref=k8s.V1ConfigMapEnvSource(CONFIG_MAPS[name]))
                for name in settings
                if name in CONFIG_MAPS
            ),
        ],
        # The services' NetworkPolicies let in the pods with these labels.
        labels={f"martline.io/client-{name}": "true" for name in settings},
        **(_spark_driver() if "spark" in settings else {}),
        # No process of Airflow waits while the pod runs; a task that was killed finds the pod again.
        deferrable=True,
        durable=True,
        on_finish_action="delete_pod",
        startup_timeout_seconds=300,
        startup_check_interval_seconds=1,
        poll_interval=1,
        log_events_on_failure=True,
        # The triggerer copies the log every few seconds, to be watched; at the end the task writes all of it once
        # more to its own log, from the start, as that of the triggerer is not shown then.
        logging_interval=10,
        trigger_kwargs={"last_log_time": None},
        **common,
    )


def _spark_driver() -> dict[str, Any]:
    """What a pod needs in which a Spark driver runs: its address, and the chart's configuration and account."""
    from kubernetes.client import models as k8s

    pod_ip = k8s.V1EnvVarSource(field_ref=k8s.V1ObjectFieldSelector(field_path="status.podIP"))
    configuration = k8s.V1ProjectedVolumeSource(
        sources=[
            k8s.V1VolumeProjection(config_map=k8s.V1ConfigMapProjection(name="spark-conf")),
            k8s.V1VolumeProjection(secret=k8s.V1SecretProjection(name=SECRETS["spark"])),
        ]
    )
    return {
        "service_account_name": "spark-driver",
        "env_vars": [k8s.V1EnvVar("SPARK_LOCAL_HOSTNAME", value_from=pod_ip)],
        "volumes": [k8s.V1Volume(name="spark-conf", projected=configuration)],
        "volume_mounts": [k8s.V1VolumeMount(name="spark-conf", mount_path="/etc/spark", read_only=True)],
    }
