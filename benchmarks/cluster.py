"""Times of `make cluster-up`: from nothing, again, and after a change. Also resources at rest, and image sizes.

Runs on a separate cluster and on a copy of this checkout, which are both removed at the end. The base images must
be present. The project's own images are built again, with the caches of `docker build`.
"""

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.measure import Measure, publish

from martline.airflow_client import FINISHED, AirflowClient, DagRun
from martline.cluster import access, usage
from martline.cluster.images import images, size
from martline.cluster.kind import NAMESPACE, Cluster
from martline.command import Failure

CHECKOUT = Path(__file__).parent.parent
PROGRAM = Path(sys.executable).with_name("martline-cluster")
NAME = "martline-bench"
SETTLE_SECONDS, REST_SECONDS = 120, 120
EMPTY_TASKS = 5


def timed(folder: Path, *arguments: str) -> float:
    """Run `martline-cluster`, and return the seconds that it took."""
    started = time.monotonic()
    subprocess.run([PROGRAM, *arguments], cwd=folder, env={**os.environ, "CLUSTER": NAME, "YES": "1"}, check=True)
    return time.monotonic() - started


def change(file: Path) -> None:
    """Change a line of Python, and with it the image."""
    with file.open("a") as source:
        source.write(f"# {time.time_ns()}\n")


def seconds_of_an_empty_task(cluster: Cluster) -> float:
    """The median time from triggering a DAG to its end, if its only pod does next to nothing."""
    took = []
    with (
        access.forwarded(cluster, access.AIRFLOW) as ports,
        AirflowClient(access.airflow_login(cluster, ports[access.AIRFLOW])) as airflow,
    ):
        for number in range(EMPTY_TASKS):
            run = DagRun("helm_test", f"bench-{number}")
            started = time.monotonic()
            airflow.trigger(run, {})
            while (state := airflow.state(run)) not in FINISHED:
                time.sleep(0.2)
            took.append(time.monotonic() - started)
            if state != "success":
                raise Failure(f"The run {run.run} of {run.dag} has failed")
    return statistics.median(took)


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="martline-bench-") as name:
        folder = Path(name) / "martline"
        subprocess.run(["git", "clone", "--quiet", str(CHECKOUT), str(folder)], check=True)
        os.environ["KUBECONFIG"] = str(Path(name) / "kubeconfig")
        cluster = Cluster(folder, NAME)
        built = [image.reference for image in images(folder)]
        # The images are removed, but their layers may still be in Docker's cache.
        subprocess.run(["docker", "image", "rm", "--force", *built], check=False, capture_output=True)
        try:
            nothing = timed(folder, "up")
            again = timed(folder, "up")
            changed = {}
            for app in ("shop", "marts"):
                change(folder / "apps" / app / "src" / app / "cli.py")
                changed[app] = timed(folder, "up")
            change(folder / "dags" / "defaults.py")
            changed["dags"] = timed(folder, "up")
            demo = timed(folder, "demo")
            empty_task = seconds_of_an_empty_task(cluster)
            time.sleep(SETTLE_SECONDS)
            pods = [pod for pod in usage.measure(cluster, REST_SECONDS) if pod.namespace == NAMESPACE]
        finally:
            timed(folder, "down")
        sizes = [Measure(f"image: {image.name}", size(image.reference) / 1e6, "MB") for image in images(folder)]
        shutil.rmtree(folder)
    publish(
        "cluster",
        [
            Measure("cluster-up from nothing", nothing, "s", goal=600),
            Measure("cluster-up again, nothing changed", again, "s", goal=30),
            *(
                Measure(f"cluster-up after a change in {app}", took, "s", goal=90)
                for app, took in changed.items()
            ),
            Measure("the four DAGs", demo, "s"),
            Measure("a task whose pod does nothing, from its trigger to its end", empty_task, "s", goal=10),
            Measure("memory at rest", sum(pod.memory for pod in pods) / 2**30, "GiB", goal=7),
            Measure("cores at rest", sum(pod.cores for pod in pods), "cores", goal=0.3),
            *(Measure(f"memory at rest: {pod.pod}", pod.memory / 2**20, "MiB") for pod in pods),
            *(Measure(f"cores at rest: {pod.pod}", pod.cores, "cores") for pod in pods),
            *sizes,
        ],
    )


if __name__ == "__main__":
    main()
