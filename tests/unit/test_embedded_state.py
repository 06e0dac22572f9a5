"""The state folder: ports and passwords that a platform keeps."""

import json
import os
import socket
import stat
from pathlib import Path

import pytest

from martline.command import Failure, WrongSettings
from martline.embedded import kafka
from martline.embedded.folder import PLAIN, Folder
from martline.embedded.settings import Settings
from martline.embedded.state import make_folder, open_state, read_ports


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
        make_folder(tmp_path / "state"),
        Settings.model_validate({"PGPORT": port, "PGPASSWORD": "chosen"}),
        about_to_start=True,
    )
    assert state.ports["pgport"] == port
    assert state.secrets["pgpassword"] == "chosen"


def test_a_chosen_port_that_is_taken_is_named(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(WrongSettings, match=rf"PGPORT={port} in .env: the port is taken"):
            open_state(
                make_folder(tmp_path / "state"), Settings.model_validate({"PGPORT": port}), about_to_start=True
            )


def test_a_kept_port_that_was_taken_meanwhile_is_replaced(tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "state")
    first = open_state(folder, Settings(), about_to_start=True)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", first.ports["kafka_port"]))
        taken.listen()
        second = open_state(folder, Settings(), about_to_start=True)
    assert second.ports["kafka_port"] != first.ports["kafka_port"]


def test_a_kept_port_that_another_server_is_to_have_is_replaced(tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "state")
    port = open_state(folder, Settings(), about_to_start=True).ports["zookeeper_port"]
    ports = open_state(folder, Settings.model_validate({"MYSQL_TCP_PORT": port}), about_to_start=True).ports
    assert ports["mysql_tcp_port"] == port
    assert len(set(ports.values())) == len(ports)


def test_one_port_for_two_servers_is_refused(tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "state")
    with pytest.raises(WrongSettings, match=r"PGPORT and KAFKA_PORT in \.env are both 15432"):
        open_state(folder, Settings.model_validate({"PGPORT": 15432, "KAFKA_PORT": 15432}), about_to_start=True)


def test_who_holds_a_port_is_named(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(WrongSettings, match=rf"taken by .+ \(process {os.getpid()}\)"):
            open_state(
                make_folder(tmp_path / "state"),
                Settings.model_validate({"KAFKA_PORT": port}),
                about_to_start=True,
            )


DAMAGED = [b"", b"{", b"[]", b"3", b"\xff\x00", b'{"pgport": 1}', b'{"pgport": "many"}']


@pytest.mark.parametrize("content", DAMAGED)
def test_damaged_ports_are_chosen_anew(tmp_path: Path, content: bytes) -> None:
    folder = make_folder(tmp_path / "state")
    open_state(folder, Settings(), about_to_start=True)
    (folder / "ports.json").write_bytes(content)
    assert read_ports(folder) == {}
    ports = open_state(folder, Settings(), about_to_start=True).ports
    assert read_ports(folder) == ports


def test_ports_that_are_kept_twice_are_chosen_anew(tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "state")
    ports = open_state(folder, Settings(), about_to_start=True).ports
    (folder / "ports.json").write_text(json.dumps({**ports, "kafka_port": ports["pgport"]}))
    again = open_state(folder, Settings(), about_to_start=True).ports
    assert len(set(again.values())) == len(again)


@pytest.mark.parametrize("content", [*DAMAGED, None])
def test_passwords_that_data_needs_are_not_made_anew(tmp_path: Path, content: bytes | None) -> None:
    folder = make_folder(tmp_path / "state")
    open_state(folder, Settings(), about_to_start=True)
    secrets = folder / "secrets.json"
    secrets.unlink() if content is None else secrets.write_bytes(content)
    assert open_state(folder, Settings(), about_to_start=True).secrets["postgres_admin"]
    (folder / "data" / "postgres").mkdir()
    secrets.unlink() if content is None else secrets.write_bytes(content)
    with pytest.raises(Failure, match=r"secrets\.json is (damaged|gone), .*restore it from a copy"):
        open_state(folder, Settings(), about_to_start=True)
    assert (secrets.read_bytes() if secrets.exists() else None) == content


def test_a_secret_that_is_new_is_added_to_those_that_are_kept(tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "state")
    kept = open_state(folder, Settings(), about_to_start=True).secrets
    (folder / "data" / "postgres").mkdir()
    (folder / "secrets.json").write_text(json.dumps({name: kept[name] for name in kept if name != "zookeeper"}))
    again = open_state(folder, Settings(), about_to_start=True).secrets
    assert again["zookeeper"]
    assert {**again, "zookeeper": ""} == {**kept, "zookeeper": ""}


@pytest.mark.parametrize(
    "name", ["plain", "a b", "x,y", "x:y", "#", ";", "%", "$HOME", "'\"\\", "дом", "=~*?", "l" * 200]
)
def test_every_folder_has_a_plain_name_that_leads_to_it(tmp_path: Path, name: str) -> None:
    folder = Folder(tmp_path / name)
    folder.make()
    plain = folder.plain(folder.run)
    assert PLAIN.fullmatch(str(plain))
    assert plain.resolve() == folder.run
    assert folder.plain(folder.run) == plain


@pytest.mark.parametrize("name", ["two\nlines", "\t", "\udcff"])
def test_a_folder_that_no_program_can_name_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(Failure, match="set MARTLINE_HOME"):
        Folder(tmp_path / name).make()


def test_kafkas_data_that_lay_beside_the_folder_is_moved_in(tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "дом")
    stray = tmp_path / "дом".encode().decode("latin-1") / "data"
    for server in ("kafka", "zookeeper"):
        (stray / server).mkdir(parents=True)
        (stray / server / "rows").write_text(server)
    kafka.prepare(open_state(folder, Settings(), about_to_start=True))
    for server in ("kafka", "zookeeper"):
        assert (folder / "data" / server / "rows").read_text() == server
        assert not (stray / server).exists()
