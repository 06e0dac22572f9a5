"""Every value of the charts is explained and checked."""

import json
import re
from collections.abc import Iterator
from copy import deepcopy
from typing import Any

import jsonschema
import pytest
from tests.charts.rendering import CHARTS, SOURCE, Refused, built, default_values, helm, rendered

Place = tuple[str, ...]
# Values in Kubernetes' own format, which its API server checks.
FREE_FORM = "affinity", "tolerations", "extraFrom"


def schema(chart: str) -> dict[str, Any]:
    return dict(json.loads((SOURCE / chart / "values.schema.json").read_text()))


def places(value: Any, kind: type | tuple[type, ...], place: Place = ()) -> Iterator[Place]:
    """Where values of a kind are in a tree of values."""
    if isinstance(value, kind):
        yield place
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from places(inner, kind, (*place, name))


def with_value(values: dict[str, Any], place: Place, value: Any) -> dict[str, Any]:
    changed = deepcopy(values)
    inner = changed
    for name in place[:-1]:
        inner = inner[name]
    inner[place[-1]] = value
    return changed


def is_refused(chart: str, values: dict[str, Any]) -> bool:
    return not jsonschema.Draft7Validator(schema(chart)).is_valid(values)


@pytest.mark.parametrize("chart", CHARTS)
def test_helm_lint_finds_nothing(chart: str) -> None:
    assert "0 chart(s) failed" in helm("lint", "--strict", str(built() / chart))


@pytest.mark.parametrize("chart", CHARTS)
def test_every_value_is_explained_on_the_line_above_it(chart: str) -> None:
    lines = (SOURCE / chart / "values.yaml").read_text().splitlines()
    silent = [
        line.strip()
        for before, line in zip(["", *lines], lines, strict=False)
        if re.match(r"\s*[\w.]+: +\S", line) and not before.strip().startswith("# -- ")
    ]
    assert silent == []


@pytest.mark.parametrize("chart", CHARTS)
def test_the_defaults_pass_their_own_schema(chart: str) -> None:
    jsonschema.Draft7Validator.check_schema(schema(chart))
    jsonschema.Draft7Validator(schema(chart)).validate(default_values(chart))


@pytest.mark.parametrize("chart", CHARTS)
def test_helm_names_a_misspelt_value(chart: str) -> None:
    with pytest.raises(Refused, match="'replicsa'"):
        rendered(chart, {"replicsa": 1})


def test_helm_names_a_misspelt_value_of_a_service_in_the_platform() -> None:
    with pytest.raises(Refused, match=r"kafka:\n.*'/resources'.*'limit'"):
        rendered("martline", {"kafka": {"resources": {"limit": {}}}})


@pytest.mark.parametrize("chart", CHARTS)
def test_a_misspelt_value_is_refused_at_every_place(chart: str) -> None:
    values = default_values(chart)
    # A map of settings, or a map that is empty by default, accepts any name.
    closed = [p for p in places(values, dict) if "config" not in p and (not p or _at(values, p))]
    assert [p for p in closed if not is_refused(chart, with_value(values, (*p, "misspelt"), 1))] == []


@pytest.mark.parametrize("chart", CHARTS)
def test_a_value_of_a_wrong_type_is_refused(chart: str) -> None:
    values = default_values(chart)
    scalars = list(places(values, (str, int, float)))
    assert [p for p in scalars if not is_refused(chart, with_value(values, p, ["a list"]))] == []


@pytest.mark.parametrize("chart", CHARTS)
def test_every_object_of_a_schema_says_what_it_takes(chart: str) -> None:
    def objects(node: Any, place: Place = ()) -> Iterator[tuple[Place, dict[str, Any]]]:
        if isinstance(node, list):
            node = dict(enumerate(node))
        if isinstance(node, dict):
            if node.get("type") == "object":
                yield place, node
            for name, inner in node.items():
                yield from objects(inner, (*place, str(name)))

    def is_another_charts(place: Place) -> bool:
        return chart == "martline" and len(place) == 2

    assert [
        place
        for place, node in objects(schema(chart))
        if "additionalProperties" not in node and not is_another_charts(place) and not set(FREE_FORM) & set(place)
    ] == []


def test_what_several_schemas_define_is_the_same_in_all() -> None:
    known: dict[str, tuple[str, Any]] = {}
    for chart in CHARTS:
        for name, definition in schema(chart)["definitions"].items():
            first, its = known.setdefault(name, (chart, definition))
            assert definition == its, f"{name} differs between {first} and {chart}"


def _at(values: Any, place: Place) -> Any:
    for name in place:
        values = values[name]
    return values
