"""The kind cluster: creates it, and loads missing images."""

import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from martline.cluster import programs
from martline.cluster.images import exists
from martline.command import Failure
from martline.command.terminal import console

NAMESPACE = "martline"
SECONDS_TO_ANSWER = 120


@dataclass(frozen=True)
class Cluster:
    """A kind cluster and the namespace in it that holds the platform."""

    checkout: Path
    name: str
    node_image: str | None = None

    @property
    def context(self) -> str:
        """The cluster's name in kubectl's configuration."""
        return f"kind-{self.name}"

    def kubectl(self, *arguments: str) -> tuple[str, ...]:
        """The kubectl command line with these arguments in the platform's namespace."""
        return ("kubectl", "--context", self.context, "--namespace", NAMESPACE, *arguments)

    def helm(self, *arguments: str) -> tuple[str, ...]:
        """The helm command line with these arguments in the platform's namespace."""
        return ("helm", "--kube-context", self.context, "--namespace", NAMESPACE, *arguments)

    def exists(self) -> bool:
        """Whether kind has the cluster."""
        return self.name in programs.read("kind", "get", "clusters").split()

    @property
    def is_unfinished(self) -> bool:
        """Whether a run was killed while it made the cluster."""
        return self._unfinished.exists()

    def require(self) -> None:
        """Raise :class:`Failure` if there is no such cluster, or it does not answer."""
        programs.require_programs()
        if not self.exists():
            raise Failure(f"There is no cluster {self.name}: make it with `make cluster-up`")
        self._adopt()

    def up(self) -> None:
        """Make the cluster if there is none, and wait until it answers."""
        if self.is_unfinished:  # an earlier run was killed while kind was at work
            self.down()
        if self.exists():
            self._start_nodes()
            self._adopt()
        else:
            self._create()
        self._make_namespace()

    def down(self) -> None:
        """Delete the cluster with everything in it."""
        programs.read("kind", "delete", "cluster", "--name", self.name)
        self._unfinished.unlink(missing_ok=True)

    def volumes(self) -> str:
        """The contents of the cluster's volumes, for the question before they are removed."""
        listed = (
            "get",
            "persistentvolumeclaims",
            "--all-namespaces",
            "--output",
            "json",
            "--request-timeout",
            "5s",
        )
        try:
            claims = programs.read_json(*self.kubectl(*listed))["items"]
        except Failure as failure:
            return f"with whatever is on its volumes, which can't be listed ({failure})"
        names = [
            f"{claim['metadata']['name']} ({claim['spec']['resources']['requests']['storage']})"
            for claim in claims
        ]
        return f"with the data on its volumes {', '.join(sorted(names))}" if names else "which has no volumes"

    def load(self, references: Iterable[str]) -> None:
        """Load images that the nodes lack, if Docker has them; nodes pull the others."""
        everywhere = set.intersection(*(self._images(node) for node in self._nodes()))
        missing = [reference for reference in references if reference not in everywhere and exists(reference)]
        if missing:
            started = time.monotonic()
            console.print(f"Loading {', '.join(missing)}")
            # All at once, so that shared layers are sent once.
            programs.read("kind", "load", "docker-image", "--name", self.name, *missing)
            console.print(f"  [green]✓[/] the cluster has every image [dim]{time.monotonic() - started:.1f} s[/]")

    @property
    def _unfinished(self) -> Path:
        """A file that exists while kind makes the cluster."""
        return self.checkout / ".martline" / f"cluster-{self.name}-unfinished"

    def _create(self) -> None:
        console.print(f"Making the cluster {self.name}")
        started = time.monotonic()
        self._unfinished.parent.mkdir(parents=True, exist_ok=True)
        self._unfinished.touch()
        config = str(self.checkout / "kind-config.yaml")
        image = ["--image", self.node_image] if self.node_image else []
        try:
            programs.read("kind", "create", "cluster", "--name", self.name, "--config", config, *image)
        except BaseException:
            self.down()
            raise
        self._unfinished.unlink()
        console.print(f"  [green]✓[/] cluster {self.name} [dim]{time.monotonic() - started:.1f} s[/]")

    def _start_nodes(self) -> None:
        """Start nodes that Docker has stopped, for example when the machine was restarted."""
        stopped = [
            node
            for node in self._nodes()
            if programs.read("docker", "inspect", "--format", "{{.State.Running}}", node).strip() != "true"
        ]
        if stopped:
            programs.read("docker", "start", *stopped)

    def _adopt(self) -> None:
        contexts = programs.read("kubectl", "config", "get-contexts", "--output", "name").split()
        if self.context not in contexts:
            programs.read("kind", "export", "kubeconfig", "--name", self.name)
        deadline = time.monotonic() + SECONDS_TO_ANSWER
        while True:
            try:
                programs.read(*self.kubectl("get", "nodes", "--request-timeout", "5s"))
                return
            except Failure as failure:
                if time.monotonic() > deadline:
                    raise Failure(
                        f"The cluster {self.name} does not answer ({failure}): delete it with `make cluster-down`"
                    ) from failure
                time.sleep(1)

    def _make_namespace(self) -> None:
        labels = {"pod-security.kubernetes.io/enforce": "restricted"}
        namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE, "labels": labels}}
        programs.apply(self.kubectl("apply", "--server-side", "--filename", "-"), namespace)

    def _nodes(self) -> list[str]:
        return programs.read("kind", "get", "nodes", "--name", self.name).split()

    def _images(self, node: str) -> set[str]:
        command = ("ctr", "--namespace", "k8s.io", "images", "list", "--quiet")
        names = programs.read("docker", "exec", node, *command).split()
        return {name.removeprefix("docker.io/").removeprefix("library/") for name in names}
