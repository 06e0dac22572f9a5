"""Files for other programs are read back by these programs, or by a parser of their format."""

import configparser
import shlex
import subprocess
from pathlib import Path

import pytest

from martline.embedded.environment import inherited
from martline.embedded.folder import Folder
from martline.embedded.java import java_home
from martline.embedded.kafka import java_property
from martline.embedded.server import quoted

WORDS = [
    "plain",
    " a  b ",
    "a #1",
    "a ; b",
    "50% %(x)s",
    "$HOME",
    'it\'s "q"',
    "back\\slash",
    "a,b=c:d~!",
    "дом 👍",
    "",
]
READ = """
import java.io.*; import java.util.*;
class Read { public static void main(String[] a) throws Exception {
  Properties p = new Properties(); p.load(new FileInputStream(a[0]));
  PrintStream out = new PrintStream(System.out, true, "UTF-8");
  for (int i = 0; i < Integer.parseInt(a[1]); i++) out.print(p.getProperty("k" + i) + "\0"); } }
"""


def test_java_reads_every_value_of_its_properties(tmp_path: Path) -> None:
    values = [*WORDS, "two\nlines", "tab\t", "!x", "#x"]
    written = "".join(f"k{number}={java_property(value)}\n" for number, value in enumerate(values))
    (tmp_path / "x.properties").write_text(written, encoding="ascii")
    (tmp_path / "Read.java").write_text(READ)
    folder = Folder(tmp_path / "state")
    folder.make()
    ended = subprocess.run(
        [java_home(folder) / "bin" / "java", tmp_path / "Read.java", tmp_path / "x.properties", str(len(values))],
        env=inherited(),
        capture_output=True,
        check=True,
    )
    assert ended.stdout.decode().split("\0")[:-1] == values


def test_supervisord_reads_every_word_of_a_command() -> None:
    words = [word for word in WORDS if word]
    parser = configparser.RawConfigParser(inline_comment_prefixes=(";", "#"), strict=False)
    parser.read_string(f"[program:x]\ncommand={quoted(['x', *words, 'end'])}\n")
    assert shlex.split(parser["program:x"]["command"] % {}) == ["x", *words, "end"]


def test_only_what_users_need_is_inherited() -> None:
    foreign = (
        "PGSERVICE",
        "PYTHONPATH",
        "JAVA_TOOL_OPTIONS",
        "_JAVA_OPTIONS",
        "PYSPARK_PYTHON",
        "LD_LIBRARY_PATH",
        "CLASSPATH",
    )
    ours = {
        "HOME": "/home/x",
        "JAVA_HOME": "/java",
        "XDG_CACHE_HOME": "/cache",
        "MARTLINE_CACHE": "/c",
        "ALL_PROXY": "p",
    }
    environment = inherited({**dict.fromkeys(foreign, "x"), **ours, "TZ": "x", "LC_ALL": "C"})
    assert not set(foreign) & set(environment)
    assert ours.items() <= environment.items()
    assert environment["TZ"] == "UTC"
    assert environment["LC_ALL"].endswith("UTF-8")


def test_a_proxy_that_airflow_could_not_start_with_is_not_inherited() -> None:
    environment = inherited(
        {"ALL_PROXY": "socks://127.0.0.1:9", "https_proxy": "host:9", "NO_PROXY": "[::1], a.org"}
    )
    assert "ALL_PROXY" not in environment
    assert environment["https_proxy"] == "host:9"
    assert environment["NO_PROXY"] == "127.0.0.1,localhost,::1,a.org"


@pytest.mark.parametrize("name", ["NO_PROXY", "no_proxy"])
def test_no_proxy_stands_before_this_machine(name: str) -> None:
    environment = inherited({"http_proxy": "http://127.0.0.1:9", name: "example.org,127.0.0.1"})
    assert environment["no_proxy"] == environment["NO_PROXY"] == "127.0.0.1,localhost,::1,example.org"
