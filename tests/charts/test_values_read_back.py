"""
Every value of every chart arrives unchanged: its program, or a parser of its format, reads it back.

The values come from the schemas, so a new value is covered as soon as its schema has it.
"""

import base64
import json
import re
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import jsonschema
import py4j.java_gateway
import pyspark
import pytest
import yaml
from tests.charts.databases import docker, require_image
from tests.charts.rendering import SERVICES, Object, Refused, pods, rendered
from tests.charts.test_values import schema
from tests.postgres_binaries import postgres_programs

from martline.embedded.folder import Folder
from martline.embedded.java import java_home

Place = tuple[str, ...]
TEXT = 'it\'s "quoted" \\t \\ %d # $$ $(HOME) ${x} {{ y }}; é: <&> \t end'
# The kinds of values. Each place gets a different value of a kind.
KINDS = {
    "an integer above 2^24": lambda number: 2**24 + 1 + number,
    "an integer above 2^32": lambda number: 2**40 + number,
    "a fraction": lambda number: 0.5 + number / 1024,
    "a numeric string": lambda number: f"{number + 1}0268435456.50",
    "a string that YAML reads as a number": lambda number: f"{number + 1}.0e+3",
    "a string with every awkward character": lambda number: f"{number} {TEXT}\nnext = line ",
    "a line of awkward characters": lambda number: f"{number} {TEXT}",
    "a digest": lambda number: f"sha256:{number:064x}",
}
# The name of a setting for each chart's map of settings.
SETTING = {
    "postgres": "martline.sample",
    "mysql": "init_connect",
    "kafka": "martline.sample",
    "zookeeper": "martline.sample",
    "spark": "spark.martline.sample",
    "airflow": "MARTLINE_SAMPLE",
}
NAMES = {"extraDags": "sample.py", "nodeSelector": "sample"}
# Some values have an effect only together with others, so each value is rendered with each of these in turn.
OWN_TAG_BLANK = {"image": {"tag": ""}}
VARIANTS: dict[str, list[dict[str, Any]]] = {
    "postgres": [OWN_TAG_BLANK, {"enabled": False, "external": {"host": "elsewhere"}}],
    "mysql": [OWN_TAG_BLANK, {"enabled": False, "external": {"host": "elsewhere"}}],
    "zookeeper": [OWN_TAG_BLANK],
    "kafka": [OWN_TAG_BLANK, {"enabled": False, "external": {"bootstrapServers": "elsewhere:9092"}}],
    "spark": [{}, {"mode": "kubernetes"}],
    "shop": [
        OWN_TAG_BLANK,
        {"autoscaling": {"maxReplicas": 0}},
        {"autoscaling": {"maxReplicas": 3, "consumerGroup": "sample"}},
    ],
}
# Helm passes `global` to all charts, but these three have no volumes, and the library has no objects.
WITHOUT_EFFECT = re.compile(r"common\.|(dashboard|spark|shop)\.global\.storageClass$")


def places(chart: str) -> Iterator[tuple[Place, Mapping[str, Any]]]:
    """The places of a chart's values, with their schemas. A list has one element, and a free map one name."""
    whole = schema(chart)

    def walk(node: Mapping[str, Any], place: Place) -> Iterator[tuple[Place, Mapping[str, Any]]]:
        if "$ref" in node:
            node = whole["definitions"][node["$ref"].removeprefix("#/definitions/")]
        kind, more = node.get("type"), node.get("additionalProperties")
        if kind == "object" and "properties" in node:
            for name, inner in node["properties"].items():
                yield from walk(inner, (*place, name))
        elif kind == "object" and isinstance(more, dict):
            yield from walk(more, (*place, NAMES.get(place[-1]) or SETTING[chart]))
        elif kind == "array":
            yield from walk(node["items"], (*place, "[]"))
        elif kind == "object":
            yield (*place, "sample"), {}
        else:
            yield place, {**node, "definitions": whole["definitions"]}

    yield from walk(whole, ())


def nested(place: Place, value: Any) -> Any:
    for name in reversed(place):
        value = [value] if name == "[]" else {name: value}
    return value


def merged(one: Any, other: Any) -> Any:
    if isinstance(one, dict) and isinstance(other, dict):
        return {**one, **other, **{name: merged(one[name], other[name]) for name in one.keys() & other.keys()}}
    return other


@pytest.fixture(scope="session")
def java(tmp_path_factory: pytest.TempPathFactory) -> Iterator[py4j.java_gateway.JavaGateway]:
    """A Java virtual machine."""
    jar = next(Path(pyspark.__file__).parent.glob("jars/py4j-*.jar"))
    home = java_home(Folder(tmp_path_factory.mktemp("java")))
    port = py4j.java_gateway.launch_gateway(
        jarpath=str(jar), java_path=str(home / "bin" / "java"), die_on_exit=True
    )
    gateway = py4j.java_gateway.JavaGateway(
        gateway_parameters=py4j.java_gateway.GatewayParameters(port=port, auto_convert=True)
    )
    yield gateway
    gateway.shutdown()


class Readers:
    """Reads each file as the program that it is for does."""

    def __init__(self, java: py4j.java_gateway.JavaGateway, folder: Path) -> None:
        self._java = java
        self._folder = folder

    def properties(self, text: str) -> dict[str, str]:
        """As Kafka and ZooKeeper read it, in ISO 8859-1."""
        read = self._java.jvm.java.util.Properties()
        read.load(self._java.jvm.java.io.ByteArrayInputStream(text.encode()))
        return {name: read.getProperty(name) for name in read.stringPropertyNames()}

    def spark(self, text: str) -> dict[str, str]:
        """As Spark reads it, in UTF-8."""
        read = self._java.jvm.java.util.Properties()
        read.load(self._java.jvm.java.io.StringReader(text))
        return {name: read.getProperty(name) for name in read.stringPropertyNames()}

    def postgres(self, text: str) -> dict[str, str]:
        """The value that PostgreSQL reports for each setting."""
        file = self._folder / "postgresql.conf"
        file.write_text(text)
        names = re.findall(r"^([\w.]+) = ", text, re.MULTILINE)
        return {name: self._setting(file, name) for name in names}

    def _setting(self, file: Path, name: str) -> str:
        program = postgres_programs(18) / "postgres"
        # With -C first, PostgreSQL answers even when root runs it.
        command = [str(program), "-C", name, "-D", str(self._folder), "-c", f"config_file={file}"]
        run = subprocess.run(command, capture_output=True, text=True)
        assert run.returncode == 0, run.stderr
        return run.stdout.removesuffix("\n")

    def mysql(self, text: str) -> dict[str, str]:
        """The values that MySQL's programs read from the file."""
        image = "mysql:9.7"
        require_image(image)
        file = self._folder / "martline.cnf"
        file.write_text(text)
        (self._folder / "martline.cnf").chmod(0o644)
        mount = f"{file}:/martline.cnf:ro"
        command = "my_print_defaults --defaults-file=/martline.cnf mysqld"
        printed = docker("run", "--rm", "--volume", mount, "--entrypoint", "bash", image, "-c", command)
        options = re.split(r"^--", printed, flags=re.MULTILINE)[1:]
        return {name: value.removesuffix("\n") for name, _, value in (o.partition("=") for o in options)}


READERS = {
    "postgresql.conf": Readers.postgres,
    "martline.cnf": Readers.mysql,
    "server.properties": Readers.properties,
    "zoo.cfg": Readers.properties,
    "spark-defaults.conf": Readers.spark,
}


@pytest.fixture
def readers(java: py4j.java_gateway.JavaGateway, tmp_path: Path) -> Readers:
    return Readers(java, tmp_path)


def scalars(value: Any) -> Iterator[Any]:
    """All scalars in a tree, including names and those in texts that are JSON."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield name
            yield from scalars(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from scalars(inner)
    else:
        yield value
        if isinstance(value, str) and value.startswith("{"):
            yield from scalars(json.loads(value))


def read_back(objects: list[Object], readers: Readers) -> Iterator[Any]:
    """Every scalar of the objects as it reaches its program."""
    for item in objects:
        if item["kind"] == "Secret":
            yield from (base64.b64decode(value).decode() for value in item["data"].values())
        elif item["kind"] == "ConfigMap":
            for name, text in item["data"].items():
                if reader := READERS.get(name):
                    yield from scalars(reader(readers, text))
                elif name.endswith(".yaml"):
                    yield from scalars(yaml.safe_load(text))
                else:
                    yield from scalars(text)
        else:
            yield from scalars(item)
    for pod in pods(objects):
        for container in pod.containers:
            texts = [*container.get("command", []), *container.get("args", [])]
            texts += [variable.get("value", "") for variable in container.get("env", [])]
            yield from (text.replace("$$", "$") for text in texts)


def is_there(value: Any, found: list[Any]) -> bool:
    """Whether the value was found, with the same type, or is part of a text."""
    texts = [text for text in found if isinstance(text, str)]
    return any(value == other and type(value) is type(other) for other in found) or any(
        str(value) in text for text in texts
    )


def accepted(chart: str, make: Any) -> dict[Place, Any]:
    """A value of this kind for each place whose schema allows it."""
    values = {}
    for number, (place, node) in enumerate(places(chart)):
        value = make(number)
        if not WITHOUT_EFFECT.match(
            ".".join((chart, *place)).replace(f"{chart}.common", "common")
        ) and jsonschema.Draft7Validator(node).is_valid(value):
            values[place] = value
    return values


def missing(chart: str, values: Mapping[Place, Any], readers: Readers) -> dict[Place, Any]:
    """The values that do not arrive unchanged when the chart is rendered with all of them at once."""
    found = []
    for variant in VARIANTS.get(chart, [{}]):
        tree: Any = {}
        for place, value in values.items():
            tree = merged(tree, nested(place, value))
        found += list(read_back(rendered(chart, merged(variant, tree)), readers))
    return {place: value for place, value in values.items() if not is_there(value, found)}


def refusal(chart: str, place: Place, value: Any, readers: Readers) -> str | None:
    """Why the chart refuses a value at a place, or None if the value arrives unchanged."""
    try:
        assert missing(chart, {place: value}, readers) == {}
    except Refused as refused:
        return str(refused)
    return None


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("chart", SERVICES)
def test_every_value_comes_out_as_it_went_in_or_is_refused_by_its_name(
    chart: str, kind: str, readers: Readers
) -> None:
    values = accepted(chart, KINDS[kind])
    try:
        # One value may hide another, for example the value of a part that of the chart.
        alone = missing(chart, values, readers)
    except Refused:
        alone = values
    for place, value in alone.items():
        if reason := refusal(chart, place, value, readers):
            name = ".".join(place).replace(".[]", "")
            assert f"{name} " in reason, reason
            assert "parse error" not in reason
            assert "YAML" not in reason.replace("--debug flag to render out invalid YAML", "")
