"""Downloads: verified, kept, and explained when they fail. The repository is a real HTTP server on loopback."""

import hashlib
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from martline.command import Failure
from martline.embedded.artifacts import Artifact, cache_folder, download

CONTENT = b"a program" * 1000


class QuietHandler(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *arguments: object) -> None:
        pass


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    folder = tmp_path / "repository"
    (folder / "org").mkdir(parents=True)
    (folder / "org" / "program.jar").write_bytes(CONTENT)
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(QuietHandler, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    monkeypatch.setenv("MARTLINE_MAVEN_REPOSITORY", f"http://127.0.0.1:{server.server_port}")
    yield folder
    server.shutdown()
    thread.join()
    server.server_close()


def pinned(content: bytes = CONTENT) -> Artifact:
    return Artifact("org/program.jar", hashlib.sha256(content).hexdigest(), len(content))


def test_a_verified_file_is_kept_and_not_downloaded_again(repository: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    download([pinned()], cache)
    assert (cache / "org" / "program.jar").read_bytes() == CONTENT
    (repository / "org" / "program.jar").unlink()
    download([pinned()], cache)


def test_a_file_whose_hash_is_off_is_thrown_away(repository: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    with pytest.raises(Failure, match=r"program.jar has the SHA-256 .* instead of .*was removed"):
        download([pinned(b"something else")], cache)
    assert list((cache / "org").iterdir()) == []


def test_without_a_network_the_cache_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MARTLINE_MAVEN_REPOSITORY", "http://127.0.0.1:9")
    with pytest.raises(
        Failure,
        match=r"program.jar is not in the cache .* can't be downloaded .*the first start needs the network",
    ):
        download([pinned()], tmp_path / "cache")


def test_a_proxy_of_an_unknown_kind_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALL_PROXY", "socks://127.0.0.1:9/")
    with pytest.raises(Failure, match=r"The proxy in the environment can't be used .*ALL_PROXY"):
        download([pinned()], tmp_path / "cache")


def test_a_cache_that_cannot_be_written_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("MARTLINE_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.raises(Failure, match=r"The cache folder .*file/cache can't be written .*set HOME"):
        cache_folder()
