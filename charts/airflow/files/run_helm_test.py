"""Run the DAG helm_test through Airflow's API, and check its result and its log."""

import sys
import time
from pathlib import Path
from typing import Any

import httpx

RUN = f"helm-{time.time_ns()}"
RUNS = "/api/v2/dags/helm_test/dagRuns"

http = httpx.Client(base_url="http://airflow-api-server:8080", timeout=30)


def ask(method: str, path: str, **options: Any) -> Any:
    """The answer to one request."""
    return http.request(method, path, **options).raise_for_status().json()


login = {name: (Path("/run/secrets/login") / name).read_text() for name in ("username", "password")}
http.headers["Authorization"] = f"Bearer {ask('POST', '/auth/token', json=login)['access_token']}"

# If the release has just been installed, Airflow may not have read the DAG yet.
deadline = time.monotonic() + 300
while http.get("/api/v2/dags/helm_test").status_code == 404 and time.monotonic() < deadline:
    time.sleep(2)
ask("POST", RUNS, json={"dag_run_id": RUN, "logical_date": None})
while (state := ask("GET", f"{RUNS}/{RUN}")["state"]) not in ("success", "failed"):
    if time.monotonic() > deadline:
        sys.exit(f"The run is still {state}")
    time.sleep(0.5)
task = f"{RUNS}/{RUN}/taskInstances/answer"
log = http.get(f"{task}/logs/1", headers={"Accept": "application/x-ndjson"}).text
if state != "success" or "The pod has run" not in log:
    sys.exit(f"The run ended as {state}, with this log:\n{log}")
result = ask("GET", f"{task}/xcomEntries/return_value", params={"deserialize": True})["value"]
if result != {"answer": 42}:
    sys.exit(f"The task's result is {result}")
print(f"The task ran in {ask('GET', task)['duration']:.1f} s; its log and its result are there")
