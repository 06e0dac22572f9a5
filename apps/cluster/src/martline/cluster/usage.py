"""The memory and cores that each pod uses, as the nodes' kubelets measure them."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from martline.cluster import programs
from martline.cluster.kind import Cluster


@dataclass(frozen=True)
class Usage:
    """A pod's memory in bytes (its working set) and the cores that it kept busy."""

    namespace: str
    pod: str
    memory: int
    cores: float


def measure(cluster: Cluster, seconds: float) -> list[Usage]:
    """Each pod's usage over the next ``seconds``, the largest memory first.

    The kubelet measures every 10 to 20 seconds, so use at least 30 ``seconds``.
    """
    before = _summary(cluster)
    time.sleep(seconds)
    after = _summary(cluster)
    usages = [
        Usage(*pod, after[pod]["memory"]["workingSetBytes"], _cores(before[pod]["cpu"], after[pod]["cpu"]))
        for pod in after.keys() & before.keys()
    ]
    return sorted(usages, key=lambda usage: -usage.memory)


def _summary(cluster: Cluster) -> dict[tuple[str, str], Any]:
    """The kubelets' statistics of every running pod, by namespace and name."""
    nodes = programs.read(*cluster.kubectl("get", "nodes", "--output", "name")).split()
    summaries = [
        programs.read_json(*cluster.kubectl("get", "--raw", f"/api/v1/nodes/{node}/proxy/stats/summary"))
        for node in (name.removeprefix("node/") for name in nodes)
    ]
    pods = [pod for summary in summaries for pod in summary["pods"]]
    running = [pod for pod in pods if "usageCoreNanoSeconds" in pod.get("cpu", {}) and "memory" in pod]
    return {(pod["podRef"]["namespace"], pod["podRef"]["name"]): pod for pod in running}


def _cores(before: Mapping[str, Any], after: Mapping[str, Any]) -> float:
    busy = (after["usageCoreNanoSeconds"] - before["usageCoreNanoSeconds"]) / 1e9
    elapsed = (datetime.fromisoformat(after["time"]) - datetime.fromisoformat(before["time"])).total_seconds()
    return float(busy / elapsed) if elapsed else 0.0
