"""The state folder: ports and passwords that a platform keeps."""

import socket
import stat
from pathlib import Path

import pytest

from command import WrongSettings
from embedded.settings import Settings
from embedded.state import make_folder, open_state


def test_passwords_and_ports_stay_from_start_to_start(tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "state")
    first = open_state(folder, Settings(), about_to_start=True)
    assert open_state(folder, Settings(), about_to_start=True) == first
    assert len(set(first.ports.values())) == len(first.ports)
    assert len(set(first.secrets.values())) == len(first.secrets)


def test_only_the_owner_reads_the_secrets(tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "state")
    open_state(folder, Settings(), about_to_start=True)
    assert stat.S_IMODE((folder / "secrets.json").stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_a_chosen_password_and_port_are_taken(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    state = open_state(
        make_folder(tmp_path / "state"), Settings(PGPORT=port, PGPASSWORD="chosen"), about_to_start=True
    )
    assert state.ports["pgport"] == port
    assert state.secrets["pgpassword"] == "chosen"


def test_a_chosen_port_that_is_taken_is_named(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(WrongSettings, match=rf"PGPORT={port} in .env: the port is taken"):
            open_state(make_folder(tmp_path / "state"), Settings(PGPORT=port), about_to_start=True)


def test_a_kept_port_that_was_taken_meanwhile_is_replaced(tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "state")
    first = open_state(folder, Settings(), about_to_start=True)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", first.ports["kafka_port"]))
        taken.listen()
        second = open_state(folder, Settings(), about_to_start=True)
    assert second.ports["kafka_port"] != first.ports["kafka_port"]
