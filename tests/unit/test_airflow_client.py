"""What the client does when Airflow's API fails. The API is a real HTTP server that fails on request."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from martline.airflow_client import AirflowClient, AirflowLogin, DagRun
from martline.command import Failure

CUT = 0
"""Used instead of a status: the connection is closed without an answer."""


class Api:
    """Knows runs by name, and fails as ``failures`` says, before or after it has done the requested work."""

    def __init__(self) -> None:
        self.failures: list[int] = []
        self.does_it_before_it_fails = False
        self.runs: list[str] = []
        self.asked = 0
        api = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, format: str, *arguments: object) -> None:
                pass

            def do_GET(self) -> None:
                api.asked += 1
                self.end(404, {}) if not api.failures else self.end(api.failures.pop(0), {})

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                if self.path == "/auth/token":
                    self.end(201, {"access_token": "token"})
                    return
                api.asked += 1
                failure = api.failures.pop(0) if api.failures else None
                status = 409 if body["dag_run_id"] in api.runs else 200
                if (failure is None or api.does_it_before_it_fails) and status == 200:
                    api.runs.append(body["dag_run_id"])
                self.end(status if failure is None else failure, {})

            def end(self, status: int, answer: dict[str, Any]) -> None:
                if status == CUT:
                    self.close_connection = True
                    return
                text = json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.login = AirflowLogin(f"http://127.0.0.1:{self.server.server_port}", "admin", "secret")


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> Iterator[Api]:
    monkeypatch.setattr("martline.airflow_client.client.PAUSE_SECONDS", 0.01)
    api = Api()
    thread = threading.Thread(target=api.server.serve_forever, args=[0.01])
    thread.start()
    yield api
    api.server.shutdown()
    thread.join()
    api.server.server_close()


@pytest.mark.parametrize("failure", [500, 502, 503, 504, CUT])
@pytest.mark.parametrize("does_it", [False, True])
def test_a_run_is_started_once_over_a_passing_error(
    api: Api, capsys: pytest.CaptureFixture[str], failure: int, does_it: bool
) -> None:
    api.does_it_before_it_fails = does_it
    with AirflowClient(api.login) as client:
        api.failures = [failure, failure]
        client.trigger(DagRun("replicate", "demo-1"), {})
    assert api.runs == ["demo-1"]
    assert api.asked == 3
    assert "trying again for 120 s" in " ".join(capsys.readouterr().err.split())


def test_an_error_that_does_not_pass_ends_with_a_sentence(api: Api) -> None:
    with AirflowClient(api.login, patience=0.1) as client:
        api.failures = [503] * 1000
        with pytest.raises(Failure, match=r"Airflow answers 503 to GET .*see the log of its API server"):
            client.state(DagRun("replicate", "demo-1"))
    assert api.asked > 1


def test_an_error_of_the_request_itself_is_not_repeated(api: Api) -> None:
    with AirflowClient(api.login) as client:
        api.failures = [403]
        with pytest.raises(Failure, match="Airflow answers 403"):
            client.state(DagRun("replicate", "demo-1"))
    assert api.asked == 1


def test_waiting_ends_when_a_server_has_stopped(api: Api) -> None:
    def stopped() -> None:
        raise Failure("postgres has stopped")

    with AirflowClient(api.login, stopped) as client:
        api.failures = [500]
        with pytest.raises(Failure, match="postgres has stopped"):
            client.state(DagRun("replicate", "demo-1"))


def test_a_run_that_is_not_there_is_not_found(api: Api) -> None:
    with AirflowClient(api.login) as client:
        assert client.find(DagRun("replicate", "demo-1")) is None


def test_a_proxy_of_the_environment_is_not_asked(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    with AirflowClient(api.login, patience=0) as client:
        assert client.find(DagRun("replicate", "demo-1")) is None
