"""The charts as Helm renders them, as Python objects. No cluster is needed."""

import functools
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

Object = dict[str, Any]

SOURCE = Path(__file__).parent.parent.parent / "charts"
UMBRELLA = "martline"
WORKLOADS = "Deployment", "StatefulSet", "DaemonSet", "Job"
RELEASE, NAMESPACE = "shop", "platform"


def _charts() -> list[str]:
    declarations = [yaml.safe_load(file.read_text()) for file in sorted(SOURCE.glob("*/Chart.yaml"))]
    names = [chart["name"] for chart in declarations if chart["type"] == "application"]
    return sorted(names, key=lambda name: name == UMBRELLA)


CHARTS = _charts()
SERVICES = [name for name in CHARTS if name != UMBRELLA]


class Refused(Exception):
    """Helm does not render the chart; the text says why."""


def helm(*arguments: str, given: str = "") -> str:
    run = subprocess.run(["helm", *arguments], input=given, capture_output=True, text=True)
    if run.returncode != 0:
        raise Refused(run.stdout + run.stderr)
    return run.stdout


@functools.cache
def built() -> Path:
    """A copy of the charts with their dependencies in place; the checkout stays as it is."""
    folder = Path(tempfile.mkdtemp(prefix="martline-charts-"))
    shutil.copytree(SOURCE, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("*.tgz", "Chart.lock"))
    for chart in CHARTS:
        helm("dependency", "update", "--skip-refresh", str(folder / chart))
    return folder


class _Loader(yaml.CSafeLoader):  # type: ignore[misc]
    """YAML in which no map may have a key twice, because Kubernetes would silently ignore one of the two."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        assert len(keys) == len(set(keys)), f"a key occurs twice:\n{keys}"
        mapping: dict[Any, Any] = super().construct_mapping(node, deep)
        return mapping


def default_values(chart: str) -> dict[str, Any]:
    return dict(yaml.safe_load((SOURCE / chart / "values.yaml").read_text()))


def rendered(chart: str, values: Mapping[str, Any] | None = None) -> list[Object]:
    """The objects of a release of the chart."""
    # As in a cluster with KEDA, so that all objects that a chart can make are tested.
    where = "--namespace", NAMESPACE, "--api-versions", "keda.sh/v1alpha1"
    command = "template", RELEASE, str(built() / chart), *where, "--values", "-"
    documents = yaml.load_all(helm(*command, given=yaml.safe_dump(dict(values or {}))), _Loader)
    return [document for document in documents if document]


@dataclass(frozen=True)
class Pod:
    """A pod or a pod template, and the object that contains it."""

    owner: Object
    metadata: Object
    spec: Object

    def __str__(self) -> str:
        return f"{self.owner['kind']} {self.owner['metadata']['name']}"

    @property
    def labels(self) -> dict[str, str]:
        return dict(self.metadata.get("labels", {}))

    @property
    def containers(self) -> list[Object]:
        return [*self.spec.get("initContainers", []), *self.spec["containers"]]

    @property
    def servers(self) -> list[Object]:
        """The containers that keep running, including sidecars."""
        if self.owner["kind"] not in ("Deployment", "StatefulSet", "DaemonSet"):
            return []
        sidecars = [c for c in self.spec.get("initContainers", []) if c.get("restartPolicy") == "Always"]
        return [*sidecars, *self.spec["containers"]]


def pods(objects: list[Object]) -> Iterator[Pod]:
    for item in objects:
        if item["kind"] == "Pod":
            yield Pod(item, item["metadata"], item["spec"])
        elif item["kind"] in WORKLOADS:
            template = item["spec"]["template"]
            yield Pod(item, template["metadata"], template["spec"])
        elif item["kind"] == "CronJob":
            template = item["spec"]["jobTemplate"]["spec"]["template"]
            yield Pod(item, template["metadata"], template["spec"])


def of_kind(objects: list[Object], *kinds: str) -> list[Object]:
    return [item for item in objects if item["kind"] in kinds]


def named(objects: list[Object], kind: str, name: str) -> Object:
    return next(item for item in of_kind(objects, kind) if item["metadata"]["name"] == name)


def selects(selector: Mapping[str, str], labels: Mapping[str, str]) -> bool:
    return selector.items() <= labels.items()
