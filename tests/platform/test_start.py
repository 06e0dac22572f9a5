"""How the platform starts and stops under unusual conditions."""

import os
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests.platform.checkout import CHECKOUT, Checkout, interrupt
from tests.processes import command_lines


def test_an_interrupt_while_it_starts_leaves_nothing(checkout: Checkout) -> None:
    for seconds in (0, 3, 8):
        process = checkout.start("up")
        assert process.stderr
        assert process.stderr.readline() == "Starting the servers\n"
        time.sleep(seconds)
        interrupt(process)
        log = process.communicate(timeout=300)[1]
        assert process.returncode == 130, log
        assert "Traceback" not in log
        assert checkout.processes() == []


def test_a_port_that_is_taken_is_named(checkout: Checkout) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        settings = checkout.folder / ".env"
        settings.write_text(settings.read_text().replace("KAFKA_PORT=\n", f"KAFKA_PORT={port}\n"))
        ended = checkout.martline("up", check=False)
        assert ended.returncode == 2
        assert f"KAFKA_PORT={port} in .env: the port is taken" in ended.stderr
        settings.write_text(settings.read_text().replace(f"KAFKA_PORT={port}", "KAFKA_PORT="))


def test_a_wrong_line_of_the_settings_is_named(checkout: Checkout) -> None:
    settings = checkout.folder / ".env"
    right = settings.read_text()
    settings.write_text(right.replace("SHOP_USERS=500", "SHOP_USERS=many"))
    line = next(n for n, text in enumerate(right.splitlines(), 1) if text.startswith("SHOP_USERS"))
    ended = checkout.martline("up", check=False)
    assert ended.returncode == 2
    assert f"line {line}" in ended.stderr
    settings.write_text(right)


def test_a_server_that_cannot_start_is_named_with_its_log(checkout: Checkout) -> None:
    data = checkout.folder / ".martline" / "data" / "zookeeper"
    data.mkdir(parents=True)
    (data / "myid").mkdir()
    (data / "version-2").write_text("not a folder")
    ended = checkout.martline("up", check=False)
    assert ended.returncode == 1
    assert "zookeeper" in ended.stderr
    assert ".log" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert checkout.processes() == []


@pytest.mark.skipif(os.getuid() != 0, reason="only root can mount a small disk")
def test_a_full_disk_is_named(checkout: Checkout) -> None:
    disk = checkout.folder / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", str(disk)], check=True)
    try:
        checkout.environment["MARTLINE_HOME"] = str(disk)
        ended = checkout.martline("up", check=False)
    finally:
        subprocess.run(["umount", str(disk)], check=True)
        del checkout.environment["MARTLINE_HOME"]
    assert ended.returncode == 1
    assert f"The disk of {disk} has 6" in ended.stderr


@pytest.mark.skipif(os.getuid() != 0, reason="the other tests are run by an ordinary user already")
def test_an_ordinary_user_can_start_it(checkout: Checkout) -> None:
    # In this user namespace, root is an ordinary user who owns root's files.
    checkout.program = ["unshare", "--user", "--map-user=1000", "--map-group=1000", *checkout.program]
    checkout.martline("up")
    assert checkout.martline("run", "id", "-u").stdout == "1000\n"
    # Only root must become another user for PostgreSQL.
    programs = [line.split()[0] for line in command_lines(checkout.processes()).values()]
    assert any("postgres" in program for program in programs)
    assert not any("unshare" in program or "setpriv" in program for program in programs)


@pytest.mark.parametrize("home", [None, "/proc/nothing"])
def test_a_home_that_cannot_be_used_is_named(tmp_path: Path, home: str | None) -> None:
    shutil.copy(CHECKOUT / "bootstrap.py", tmp_path)
    environment = {
        "PATH": os.environ["PATH"],
        **({"HOME": home} if home else {"XDG_CACHE_HOME": "/proc/nothing"}),
    }
    ended = subprocess.run(
        [sys.executable, "bootstrap.py"], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert ended.returncode == 1
    assert ended.stderr.startswith("Error: The cache folder /proc/nothing")
    assert "set HOME or XDG_CACHE_HOME" in ended.stderr
