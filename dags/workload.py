"""Where a workload runs: the one place that knows the profile.

``MARTLINE_PROFILE`` is ``embedded`` (a task is a local process) or ``cluster`` (a task is a pod).
"""

import json
import os
import shlex
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from airflow.sdk import Asset, BaseOperator

# The Secrets and ConfigMaps from which a pod takes its settings; a pod's spec holds only their names.
SECRETS = {"postgres": "postgres-client", "mysql": "mysql-client"}
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
    # Imported where it is used: every task reads its DAG's file, and this import takes a second.
    from airflow.providers.cncf.kubernetes.operators.pod import KubernetesPodOperator
    from kubernetes.client import models as k8s

    secrets = [k8s.V1SecretEnvSource(SECRETS[name]) for name in settings if name in SECRETS]
    config_maps = [k8s.V1ConfigMapEnvSource(CONFIG_MAPS[name]) for name in settings if name in CONFIG_MAPS]
    return KubernetesPodOperator(
        name=common["task_id"].replace("_", "-"),
        namespace=os.environ.get("MARTLINE_NAMESPACE", "martline"),
        image=f"martline/{image}:{os.environ.get('MARTLINE_IMAGE_TAG', 'dev')}",
        # The log goes to standard error; the result line is what the XCom sidecar hands over.
        cmds=["sh", "-c", f'exec "$@" > {RESULT_FILE}', "sh"],
        arguments=list(command),
        env_from=[
            *(k8s.V1EnvFromSource(secret_ref=secret) for secret in secrets),
            *(k8s.V1EnvFromSource(config_map_ref=config_map) for config_map in config_maps),
        ],
        deferrable=True,
        reattach_on_restart=True,
        on_finish_action="delete_pod",
        container_resources=k8s.V1ResourceRequirements(
            requests={"cpu": "100m", "memory": "256Mi"}, limits={"memory": "2Gi"}
        ),
        security_context={"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
        container_security_context={
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "readOnlyRootFilesystem": True,
        },
        **common,
    )
