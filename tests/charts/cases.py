"""The values with which the charts are rendered: the defaults and unusual ones."""

import functools
from collections.abc import Callable, Mapping
from typing import Any

from tests.charts.rendering import CHARTS, SERVICES, UMBRELLA, Object, default_values, rendered

Values = dict[str, Any]


def _everywhere(change: Callable[[str, Any], Any | None]) -> Values:
    """Values for the umbrella: the result of `change` for each value of each service's chart; None is omitted."""

    def changed(values: Mapping[str, Any]) -> Values:
        result = {}
        for name, value in values.items():
            new = change(name, value)
            if new is None and isinstance(value, dict):
                new = changed(value) or None
            if new is not None:
                result[name] = new
        return result

    return {chart: changed(default_values(chart)) for chart in SERVICES}


EXTERNAL = {
    "postgres": {"enabled": False, "external": {"host": "pg.example.com", "port": 6432}},
    "mysql": {"enabled": False, "external": {"host": "mysql.example.com"}},
    "kafka": {"enabled": False, "external": {"bootstrapServers": "a.example.com:9092,b.example.com:9092"}},
}
REGISTRY = "registry.example.com/mirror"
CASES: dict[str, tuple[str, Values]] = {
    **{f"{chart} alone": (chart, {}) for chart in SERVICES},
    "the platform": (UMBRELLA, {}),
    "KRaft": (UMBRELLA, {"global": {"zookeeper": {"enabled": False}}}),
    "replicas": (UMBRELLA, _everywhere(lambda name, _: 3 if name == "replicas" else None)),
    "external servers": (UMBRELLA, EXTERNAL),
    "Secrets that exist": (UMBRELLA, _everywhere(lambda name, _: False if name == "createSecrets" else None)),
    "no volumes": (UMBRELLA, _everywhere(lambda n, _: {"enabled": False} if n == "persistence" else None)),
    "no policies": (UMBRELLA, _everywhere(lambda n, _: {"enabled": False} if n == "networkPolicy" else None)),
    "a registry and a class of one's own": (
        UMBRELLA,
        {"global": {"imageRegistry": REGISTRY, "imagePullSecrets": ["pull"], "storageClass": "fast"}},
    ),
    "placed": (
        UMBRELLA,
        _everywhere(
            lambda name, _: {
                "nodeSelector": {"disk": "ssd"},
                "tolerations": [{"key": "data", "operator": "Exists"}],
            }.get(name)
        ),
    ),
}
assert set(SERVICES) < set(CHARTS)


@functools.cache
def case(name: str) -> list[Object]:
    """The objects of a case."""
    return rendered(*CASES[name])
