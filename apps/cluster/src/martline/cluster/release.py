"""The Helm release: the umbrella chart, installed or upgraded with the images of this checkout."""

import json
import re
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from martline.cluster import programs
from martline.cluster.images import Image
from martline.cluster.kind import Cluster
from martline.command import Failure
from martline.command.terminal import console, results

RELEASE = "martline"
TIMEOUT = "10m"
LINES_OF_A_FAILURE = 30
SERVICES = ("airflow", "dashboard", "jupyter", "shop", "spark")
WORKLOADS = ("shop", "spark")


class Release:
    """The release of the umbrella chart in a cluster. ``values`` are files that override its values."""

    def __init__(self, cluster: Cluster, values: Sequence[Path] = ()) -> None:
        self._cluster = cluster
        self._chart = str(cluster.checkout / "charts" / "martline")
        self._values = [f"--values={file}" for file in values]

    def third_party_images(self, images: Sequence[Image]) -> set[str]:
        """The images that the release runs and the project does not build."""
        rendered = programs.read(
            *self._cluster.helm("template", RELEASE, self._chart, "--values=-", *self._values),
            given=_values_of(images),
        )
        ours = {image.reference for image in images}
        return set(re.findall(r"""^\s*(?:- )?image: ["']?([^\s"']+)""", rendered, re.MULTILINE)) - ours

    def package(self) -> None:
        """Package each chart's dependencies, which are sibling folders, into it; the umbrella comes last."""
        charts = self._cluster.checkout / "charts"
        umbrella = Path(self._chart)
        with_dependencies = [
            file.parent for file in charts.glob("*/Chart.yaml") if "dependencies:" in file.read_text()
        ]
        for chart in sorted(with_dependencies, key=lambda chart: chart == umbrella):
            programs.read("helm", "dependency", "update", "--skip-refresh", str(chart))

    def deploy(self, images: Sequence[Image]) -> None:
        """Install or upgrade the release, and wait until every pod is ready."""
        self._forget_unfinished()
        console.print("Installing the platform")
        started = time.monotonic()
        command = ("upgrade", "--install", RELEASE, self._chart, "--values=-", *self._values)
        waiting = ("--wait", "--wait-for-jobs", "--timeout", TIMEOUT, "--output", "json")
        try:
            programs.read(*self._cluster.helm(*command, *waiting), given=_values_of(images))
        except Failure as failure:
            raise Failure(f"The platform can't be installed: {self._obstacle() or failure}") from failure
        console.print(f"  [green]✓[/] every pod is ready [dim]{time.monotonic() - started:.1f} s[/]")

    def test(self) -> None:
        """Run the charts' own tests; show one line for each, and the log of those that fail.

        :raises Failure: a test failed.
        """
        status = programs.read_json(*self._cluster.helm("status", RELEASE, "--output", "json"))
        tests = [hook["name"] for hook in status.get("hooks", []) if "test" in hook["events"]]
        failed = [test for test in tests if not self._passes(test)]
        if failed:
            raise Failure(
                f"{len(failed)} of {len(tests)} tests failed: {', '.join(failed)}; the log of each says why"
            )

    def _passes(self, test: str) -> bool:
        started = time.monotonic()
        command = ("test", RELEASE, "--filter", f"name={test}", "--timeout", TIMEOUT)
        try:
            programs.read(*self._cluster.helm(*command))
            failure = None
        except Failure as failed:
            failure = failed
        mark = "[red]✗[/]" if failure else "[green]✓[/]"
        results.print(f"{mark} {test} [dim]{time.monotonic() - started:.1f} s[/]")
        if failure:
            console.print(self._log_of(test) or str(failure), markup=False, highlight=False, soft_wrap=True)
        return failure is None

    def _log_of(self, pod: str) -> str | None:
        """The end of a pod's log, or else the reason why it does not run, if known."""
        try:
            if log := programs.read(*self._cluster.kubectl("logs", pod, f"--tail={LINES_OF_A_FAILURE}")).strip():
                return log
        except Failure:
            pass  # it has not started
        try:
            return _why_not_ready(
                programs.read_json(*self._cluster.kubectl("get", "pod", pod, "--output", "json"))
            )
        except Failure:
            return None

    def _forget_unfinished(self) -> None:
        """Remove the record of an interrupted installation; the next installation adopts its objects."""
        unfinished = (
            "owner=helm,name=" + RELEASE + ",status in (pending-install,pending-upgrade,pending-rollback)"
        )
        programs.read(*self._cluster.kubectl("delete", "secret", "--selector", unfinished))

    def _obstacle(self) -> str | None:
        """The first pod that is not ready, with the reason; without tests and tasks, which have no owner."""
        for pod in programs.read_json(*self._cluster.kubectl("get", "pods", "--output", "json"))["items"]:
            if "ownerReferences" in pod["metadata"] and (reason := _why_not_ready(pod)):
                name = pod["metadata"]["name"]
                return (
                    f"the pod {name} is not ready ({reason}): see `kubectl describe pod {name}` and `make logs`"
                )
        return None


def _values_of(images: Sequence[Image]) -> str:
    """The values with this checkout's images, for the services and for the pods that Airflow starts."""
    tags = {image.name: {"image": {"tag": image.tag}} for image in images}
    workloads = {name: tags[name] for name in WORKLOADS}
    services: dict[str, Any] = {name: tag for name, tag in tags.items() if name in SERVICES}
    services["airflow"] = {**services["airflow"], "workloads": workloads}
    return json.dumps(services)


def _why_not_ready(pod: Any) -> str | None:
    status = pod["status"]
    if status["phase"] == "Succeeded":
        return None
    containers = [*status.get("initContainerStatuses", []), *status.get("containerStatuses", [])]
    for container in containers:
        waiting = container["state"].get("waiting")
        if waiting:
            return f"{container['name']}: {waiting.get('message') or waiting['reason']}"
    for condition in status.get("conditions", []):
        if condition["status"] == "False" and condition["type"] in ("PodScheduled", "Ready"):
            return str(condition.get("message") or condition.get("reason"))
    return None
