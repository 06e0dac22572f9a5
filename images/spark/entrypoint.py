#!/opt/martline/bin/python
"""Runs a command, or Spark's executor if Spark itself started the pod (`SPARK_MASTER=k8s://…`).

For an executor, Spark passes the argument `executor` and the environment variables that are read here, as the
entrypoint of Spark's own image reads them (kubernetes/dockerfiles/spark/entrypoint.sh in Spark's source).
"""

import base64
import os
import sys
from pathlib import Path

AUTHENTICATION = "_SPARK_AUTH_SECRET"


def executor() -> list[str]:
    """The command line of the executor's JVM."""
    environment = os.environ
    numbered = sorted(
        (int(name.removeprefix("SPARK_JAVA_OPT_")), option)
        for name, option in environment.items()
        if name.startswith("SPARK_JAVA_OPT_")
    )
    memory = environment["SPARK_EXECUTOR_MEMORY"]
    classes = [
        environment.get("SPARK_CONF_DIR"),
        f"{environment['SPARK_HOME']}/jars/*",
        environment.get("SPARK_EXTRA_CLASSPATH"),
    ]
    return [
        f"{environment['JAVA_HOME']}/bin/java",
        *(option for _, option in numbered),
        f"-Xms{memory}",
        f"-Xmx{memory}",
        "-cp",
        ":".join(filter(None, classes)),
        "org.apache.spark.scheduler.cluster.k8s.KubernetesExecutorBackend",
        *("--driver-url", environment["SPARK_DRIVER_URL"]),
        *("--executor-id", environment["SPARK_EXECUTOR_ID"]),
        *("--cores", environment["SPARK_EXECUTOR_CORES"]),
        *("--app-id", environment["SPARK_APPLICATION_ID"]),
        *("--hostname", environment["SPARK_EXECUTOR_POD_IP"]),
        *("--resourceProfileId", environment["SPARK_RESOURCE_PROFILE_ID"]),
        *("--podName", environment["SPARK_EXECUTOR_POD_NAME"]),
    ]


def take_secret() -> None:
    """Set the executor's secret as its driver computes it from the same file (see Spark's SecurityManager)."""
    file = Path(os.environ["SPARK_CONF_DIR"], AUTHENTICATION)
    if file.exists():
        os.environ[AUTHENTICATION] = base64.b64encode(file.read_bytes()).decode()


if sys.argv[1:] == ["executor"]:
    take_secret()
    command = executor()
else:
    command = sys.argv[1:]
if not command:
    sys.exit("Error: no command is given")
try:
    os.execvp(command[0], command)  # noqa: S606
except OSError as error:
    sys.exit(f"Error: {command[0]} can't be run: {error.strerror}")
