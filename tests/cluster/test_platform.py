"""The whole platform on Kubernetes, as a user runs it: up, the four DAGs, an upgrade, failures.

The tests share one cluster and build on one another in the order of this file.
"""

import csv
import json
import os
import re
import signal
import socket
import time
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import psutil
import psycopg
import pymysql
import pytest
from kafka import KafkaProducer
from kafka.admin import KafkaAdminClient, NewTopic
from tests.cluster.conftest import Platform
from tests.dashboard import detail
from tests.marts import require_marts, rows

from martline.airflow_client import FINISHED, AirflowClient, AirflowLogin, DagRun
from martline.cluster import access, programs
from martline.command import Failure, port_is_free
from pg_to_mysql.command_line.environment import mysql_from_environment

pytestmark = pytest.mark.timeout(1800)

TABLES = {
    "users": "user_id, first_name, last_name, email, phone, registration_date, loyalty_status",
    "productcategories": "category_id, name, parent_category_id",
    "products": "product_id, name, description, category_id, price, stock_quantity, creation_date",
    "orders": "order_id, user_id, order_date, total_amount, status, delivery_date",
    "orderdetails": "order_detail_id, order_id, product_id, quantity, price_per_unit, total_price",
    "reviews": "review_id, user_id, product_id, rating, review_text, created_at",
    "loyaltypoints": "loyalty_id, user_id, points, reason, created_at",
}
PAGES = {
    access.AIRFLOW: ("/", "Airflow"),
    access.SPARK: ("/", "Spark Master at spark://"),
    access.JUPYTER: ("/login", "Jupyter"),
    access.DASHBOARD: ("/", 'action="/login"'),
}


# Sends messages that no consumer can store.
SEND_TWO = """
from confluent_kafka import Producer
producer = Producer({"bootstrap.servers": "kafka:9092"})
for value in (b"no", b"event"):
    producer.produce("new_user_events", value)
assert producer.flush(60) == 0
"""


def test_the_charts_own_tests_pass(platform: Platform) -> None:
    shown = platform.run("test")
    charts = sorted(
        folder.name
        for folder in (platform.folder / "charts").glob("*")
        if (folder / "templates" / "tests").exists()
    )
    lines = [line.split()[:2] for line in shown.stdout.splitlines()]
    assert [(mark, re.sub("-test-.*", "", test)) for mark, test in lines] == [("✓", chart) for chart in charts]
    assert shown.stderr == ""


def test_the_cluster_is_not_deleted_without_a_yes(platform: Platform) -> None:
    platform.environment.pop("YES")
    try:
        refused = platform.run("down", check=False)
    finally:
        platform.environment["YES"] = "1"
    assert refused.returncode == 2
    assert f"kind's cluster {platform.cluster.name} with the data on its volumes" in refused.stderr
    assert "postgres" in refused.stderr
    assert platform.cluster.exists()


def test_the_demo_ends_with_the_report_of_the_embedded_one(platform: Platform) -> None:
    shown = platform.run("demo")
    for heading in ("mart_user_activity", "mart_product_rating", "mart_average_check", "Rows at every stage"):
        assert heading in shown.stdout
    assert "build_marts: check" in shown.stderr
    assert shown.stdout.splitlines()[-1].endswith("the dashboard: http://127.0.0.1:8090")
    require_data(platform, users=700)


def test_each_web_page_answers_with_what_belongs_there(platform: Platform) -> None:
    with platform.forwarded(*PAGES) as ports:
        for service, (path, word) in PAGES.items():
            page = httpx.get(f"http://127.0.0.1:{ports[service]}{path}", follow_redirects=True, timeout=60)
            assert page.status_code == 200, service.title
            assert word in page.text, service.title


def test_jupyter_asks_for_its_token(platform: Platform) -> None:
    token = access.credentials(platform.cluster, access.JUPYTER)["token"]
    with platform.forwarded(access.JUPYTER) as ports:
        contents = f"http://127.0.0.1:{ports[access.JUPYTER]}/api/contents"
        assert httpx.get(contents, timeout=60).status_code == 403
        assert httpx.get(contents, headers={"Authorization": f"token {token}"}, timeout=60).status_code == 200


def test_the_dashboard_shows_the_numbers_of_the_marts_to_whoever_has_its_password(platform: Platform) -> None:
    password = access.credentials(platform.cluster, access.DASHBOARD)["password"]
    with (
        platform.forwarded(access.DASHBOARD, access.MYSQL) as ports,
        platform.replica(ports) as replica,
        httpx.Client(base_url=f"http://127.0.0.1:{ports[access.DASHBOARD]}", timeout=60) as browser,
    ):
        assert browser.get("/shop/revenue.csv").headers["location"] == "/login"
        assert browser.post("/login", data={"password": f"{password}?"}).status_code == 401
        assert browser.post("/login", data={"password": password}).status_code == 303
        (last,) = rows(replica, "SELECT MAX(day) FROM mart_sales_daily")[0]
        first = last - timedelta(days=59)
        by_day = f"FROM mart_sales_daily WHERE day BETWEEN '{first}' AND '{last}' GROUP BY day"
        expected = {
            str(day): (str(revenue), str(orders))
            for day, revenue, orders in rows(replica, f"SELECT day, SUM(revenue), SUM(orders) {by_day}")
        }

        def shown() -> dict[str, tuple[str, str]]:
            """Revenue and orders of the days that have orders, as the dashboard shows them."""
            revenue, orders = (
                list(csv.DictReader(browser.get(f"/shop/{name}.csv?from={first}&to={last}").text.splitlines()))
                for name in ("revenue", "orders")
            )
            days = zip(revenue, orders, strict=True)
            return {r["from"]: (r["revenue"], o["orders"]) for r, o in days if r["from"] in expected}

        wait_for(lambda: shown() == expected, seconds=60)
        page = browser.get(f"/?lang=en&from={first}&to={last}").text
        by_category = by_day.replace("BY day", "BY category_id")
        for (revenue,) in rows(replica, f"SELECT SUM(revenue) {by_category}"):
            assert f">{revenue:,.2f}<" in page


def test_the_dashboard_shows_how_far_each_server_of_the_pipeline_is(platform: Platform) -> None:
    password = access.credentials(platform.cluster, access.DASHBOARD)["password"]
    with (
        platform.forwarded(access.DASHBOARD, access.POSTGRES, access.MYSQL, access.AIRFLOW) as ports,
        platform.source(ports) as source,
        platform.replica(ports) as replica,
        platform.airflow(ports) as airflow,
        httpx.Client(base_url=f"http://127.0.0.1:{ports[access.DASHBOARD]}", timeout=60) as browser,
    ):
        source.autocommit = True
        assert browser.post("/login", data={"password": password}).status_code == 303

        def page() -> str:
            return browser.get("/pipeline?lang=en").text

        def lag() -> int:
            (applied,) = rows(replica, "SELECT applied_lsn FROM _replication")[0]
            query = "SELECT pg_current_wal_flush_lsn() - %s::numeric - '0/0'::pg_lsn"
            [(size,)] = source.execute(query, [applied]).fetchall()
            return int(size)

        def waiting() -> str:
            return detail(page(), "Waiting in new_user_events")

        def shows_last_run(dag: str) -> bool:
            """Whether the page shows the run that Airflow names. It asks Airflow only every ten seconds."""
            (run,) = airflow.last_runs(dag, 1)
            row = rf"<td>{dag}</td><td>succeeded</td>.*?>{run.seconds or 0:,.1f}<"
            return re.search(row, page()) is not None

        for table in ("mart_customer_rfm", "orders"):
            assert f"<td>{table}</td>" in page(), table
        wait_for(lambda: "does not answer" not in page())
        before = lag()  # Airflow writes to the same log all the time
        wait_for(lambda: before <= int(detail(page(), "Lag, bytes of log").replace(",", "")) <= lag())
        for dag in ("shop_generate", "shop_events", "replicate", "build_marts"):
            wait_for(partial(shows_last_run, dag))
        wait_for(lambda: waiting() == "0")
        programs.read(*platform.cluster.kubectl("exec", "deployment/dashboard", "--", "python", "-c", SEND_TWO))
        wait_for(lambda: waiting() == "2")
        consumers = platform.cluster.kubectl("scale", "deployment/shop-consumer")
        programs.read(*consumers, "--replicas=1")
        wait_for(lambda: waiting() == "0")
        wait_for(lambda: detail(page(), "Dead letters") == "2")
        programs.read(*consumers, "--replicas=0")


def test_the_dashboards_user_of_mysql_reads_no_customers_names(platform: Platform) -> None:
    with platform.forwarded(access.MYSQL) as ports:
        address = {"MYSQL_HOST": "127.0.0.1", "MYSQL_TCP_PORT": str(ports[access.MYSQL])}
        with (
            mysql_from_environment(platform.secret("mysql-dashboard") | address).connect() as connection,
            connection.cursor() as cursor,
        ):
            assert cursor.execute("SELECT * FROM mart_customer_rfm LIMIT 1") == 1
            for statement in ("SELECT * FROM users", "SELECT * FROM mart_user_activity", "DELETE FROM mart_runs"):
                with pytest.raises(pymysql.err.OperationalError, match="denied"):
                    cursor.execute(statement)


def test_the_dashboards_role_of_postgresql_and_user_of_airflow_can_only_look(platform: Platform) -> None:
    with platform.forwarded(access.POSTGRES, access.AIRFLOW) as ports:
        login = platform.secret("postgres-dashboard")
        with psycopg.connect(
            host="127.0.0.1",
            port=ports[access.POSTGRES],
            user=login["PGUSER"],
            password=login["PGPASSWORD"],
            dbname=login["PGDATABASE"],
        ) as connection:
            assert connection.execute("SELECT count(*) FROM shop.consumer_offsets").fetchall() != [(0,)]
            for statement in (
                "SELECT * FROM public.users",
                "SELECT reason FROM shop.dead_letters",
                "CREATE ROLE other",
            ):
                with pytest.raises(psycopg.errors.InsufficientPrivilege):
                    connection.execute(statement.encode())
                connection.rollback()
        login = platform.secret("airflow-dashboard")
        url = f"http://127.0.0.1:{ports[access.AIRFLOW]}"
        looker = AirflowLogin(url, login["AIRFLOW_USER"], login["AIRFLOW_PASSWORD"])
        with AirflowClient(looker, patience=0) as client:
            assert client.last_runs("build_marts", 1)
            with pytest.raises(Failure, match="403"):
                client.trigger(DagRun("build_marts", "mine"), {})


@pytest.mark.parametrize("name", ["1-tour", "2-returned-first-order", "3-pyspark", "4-add-a-mart"])
def test_a_notebook_runs_in_jupyter_and_shows_its_charts(platform: Platform, name: str) -> None:
    execute = f"cp /opt/martline/notebooks/{name}.ipynb /tmp && jupyter execute /tmp/{name}.ipynb --inplace"
    jupyter = platform.cluster.kubectl("exec", "deployment/jupyter", "--")
    programs.read(*jupyter, "sh", "-c", execute)
    notebook = json.loads(programs.read(*jupyter, "cat", f"/tmp/{name}.ipynb"))
    outputs = [output for cell in notebook["cells"] for output in cell.get("outputs", ())]
    assert any("image/svg+xml" in output.get("data", {}) for output in outputs)
    assert [output["text"] for output in outputs if output.get("name") == "stderr"] == []


def test_ports_that_are_taken_are_named(platform: Platform) -> None:
    with socket.socket() as taken:
        try:
            taken.bind(("127.0.0.1", access.AIRFLOW.local_port))
            taken.listen()
        except OSError:
            pass  # another program has taken it, which serves as well
        ended = platform.run("ui", check=False)
    assert ended.returncode == 1
    assert f"{access.AIRFLOW.local_port} (for Airflow)" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_ui_opens_every_service_on_its_usual_port_until_ctrl_c(platform: Platform) -> None:
    taken = [str(service.local_port) for service in access.SERVICES if not port_is_free(service.local_port)]
    if taken:
        pytest.skip(f"other programs of this machine use the ports {', '.join(taken)}")
    process = platform.start("ui")
    try:
        assert process.stderr
        assert "Ctrl-C ends it" in process.stderr.readline()
        usual = {service: service.local_port for service in access.SERVICES}
        with (
            platform.source(usual) as source,
            platform.replica(usual) as replica,
            platform.airflow(usual) as airflow,
        ):
            assert source.execute("SELECT 1").fetchall() == list(rows(replica, "SELECT 1")) == [(1,)]
            assert airflow.runs("shop_generate")
        broker, topic = f"localhost:{access.KAFKA.local_port}", f"test-{time.time_ns()}"
        with KafkaAdminClient(bootstrap_servers=broker) as admin:
            admin.create_topics([NewTopic(topic, num_partitions=1, replication_factor=1)])
        with KafkaProducer(bootstrap_servers=broker) as producer:
            assert producer.send(topic, b"a message").get(timeout=60).offset == 0
    finally:
        os.killpg(process.pid, signal.SIGINT)
        output, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    assert access.credentials(platform.cluster, access.AIRFLOW)["password"] in output
    assert all(port_is_free(service.local_port) for service in access.SERVICES)


def test_the_usage_of_every_pod_is_shown(platform: Platform) -> None:
    shown = platform.run("usage", "--seconds", "30").stdout
    for name in ("postgres-0", "mysql-0", "kafka-0", "zookeeper-0"):
        assert re.search(rf"{name}\s*│\s*[1-9][\d,]*\s*│", shown), name


def test_no_credential_is_in_a_pods_spec_a_config_map_or_a_rendered_template(platform: Platform) -> None:
    secrets = platform.secrets()
    assert len(secrets) >= 6
    seen = repr(
        [platform.get(kind)["items"] for kind in ("pods", "configmaps", "deployments", "statefulsets", "jobs")]
    )
    with platform.forwarded(access.AIRFLOW) as ports, platform.airflow(ports) as airflow:
        for dag in ("shop_generate", "shop_events", "replicate", "build_marts"):
            for run in airflow.runs(dag):
                rendered = airflow.rendered_fields(DagRun(dag, run))
                assert rendered
                seen += repr(rendered)
    assert [secret for secret in secrets if secret in seen] == []


def test_the_namespace_refuses_a_pod_that_is_not_restricted(platform: Platform) -> None:
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "privileged"},
        "spec": {"containers": [{"name": "a", "image": "a", "securityContext": {"privileged": True}}]},
    }
    with pytest.raises(Failure, match="restricted"):
        programs.apply(platform.cluster.kubectl("create", "--dry-run=server", "--filename", "-"), pod)


def test_a_killed_spark_master_comes_back_with_its_applications(platform: Platform) -> None:
    with platform.forwarded(access.AIRFLOW, access.SPARK) as ports, platform.airflow(ports) as airflow:
        run = DagRun("build_marts", f"test-{time.time_ns()}")
        airflow.trigger(run, {})
        master = f"http://127.0.0.1:{ports[access.SPARK]}/json/"
        [application] = wait_for(
            lambda: [app["id"] for app in httpx.get(master, timeout=30).json()["activeapps"]]
        )
        before = platform.pods("app.kubernetes.io/name=spark,app.kubernetes.io/component=master")
        programs.read(*platform.cluster.kubectl("delete", "pod", "--grace-period=0", "--force", *before))

        def known() -> bool:
            try:
                found = httpx.get(master, timeout=5).json()
            except (httpx.HTTPError, ValueError):
                return False
            everything = found["activeapps"] + found["completedapps"]
            return found["status"] == "ALIVE" and application in [known["id"] for known in everything]

        wait_for(known)
        assert (
            not before.items()
            & platform.pods("app.kubernetes.io/name=spark,app.kubernetes.io/component=master").items()
        )
        wait_for(lambda: airflow.state(run) in FINISHED)
        assert airflow.state(run) == "success"
        assert [task.try_number for task in airflow.tasks(run)] == [1, 1]


def test_a_task_outlives_the_scheduler_and_the_triggerer(platform: Platform) -> None:
    with platform.forwarded(access.AIRFLOW) as ports, platform.airflow(ports) as airflow:
        run = DagRun("build_marts", f"test-{time.time_ns()}")
        airflow.trigger(run, {})
        build = "dag_id=build_marts,task_id=build"
        wait_for(lambda: platform.pods(build))
        wait_for(lambda: [task.state for task in airflow.tasks(run)] == ["deferred", None])
        pods = platform.pods(build)
        killed = platform.pods("app.kubernetes.io/component in (scheduler, triggerer)")
        assert len(killed) == 2
        programs.read(*platform.cluster.kubectl("delete", "pod", "--grace-period=0", "--force", *killed))
        seen: dict[str, str] = {}

        def finished() -> bool:
            seen.update(platform.pods(build))
            return airflow.state(run) in FINISHED

        wait_for(finished)
        assert airflow.state(run) == "success"
        assert seen.items() <= pods.items()
        assert [task.try_number for task in airflow.tasks(run)] == [1, 1]
        assert airflow.result(run, "build")


def test_a_large_table_is_copied_by_the_workers_of_spark(platform: Platform) -> None:
    with (
        platform.forwarded(access.AIRFLOW, access.SPARK, access.POSTGRES, access.MYSQL) as ports,
        platform.airflow(ports) as airflow,
        platform.source(ports) as source,
        platform.replica(ports) as replica,
    ):
        source.autocommit = True
        source.execute("SET search_path = public")  # a schema has the same name as the user
        source.execute("CREATE TABLE large (id int PRIMARY KEY, t text)")
        # 180 MB, because the program copies less than 128 MB with threads instead of Spark.
        source.execute("INSERT INTO large SELECT n, repeat(md5(n::text), 20) FROM generate_series(1, 260000) n")
        run = DagRun("replicate", f"test-{time.time_ns()}")
        airflow.trigger(run, {})
        wait_for(lambda: airflow.state(run) in FINISHED)
        assert airflow.state(run) == "success"
        assert airflow.result(run, "replicate")["copied"]["large"] == 260_000
        query = "SELECT count(*), sum(length(t)), min(t), max(t) FROM large"
        assert rows(replica, query) == source.execute(query).fetchall()
        applications = httpx.get(f"http://127.0.0.1:{ports[access.SPARK]}/json/", timeout=30).json()[
            "completedapps"
        ]
        assert "replicate" in {application["name"] for application in applications}
        source.execute("DROP TABLE large")
        wait_for(lambda: airflow.started_by(run))
        wait_for(lambda: all(airflow.state(started) in FINISHED for started in airflow.started_by(run)))


def test_a_program_that_is_told_to_end_leaves_no_port_forward(platform: Platform) -> None:
    process = platform.start("ui")
    assert process.stderr
    assert "Ctrl-C ends it" in process.stderr.readline()
    forwards = psutil.Process(process.pid).children()
    assert len(forwards) == len(access.SERVICES)
    process.terminate()
    process.communicate(timeout=60)
    assert [forward for forward in forwards if forward.is_running()] == []


def test_spark_runs_without_standing_workers_and_its_executors_carry_no_secret(
    platform: Platform, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    values = tmp_path / "values.json"
    values.write_text(json.dumps({"spark": {"mode": "kubernetes"}}))
    monkeypatch.setitem(platform.environment, "VALUES", str(values))
    platform.run("up")
    secrets = platform.secrets()
    executors: dict[str, str] = {}
    with platform.forwarded(access.AIRFLOW) as ports, platform.airflow(ports) as airflow:
        run = DagRun("build_marts", f"test-{time.time_ns()}")
        airflow.trigger(run, {})

        def finished() -> bool:
            for pod in platform.get("pods", "--selector", "spark-role=executor")["items"]:
                executors[pod["metadata"]["name"]] = repr(pod)
            return airflow.state(run) in FINISHED

        wait_for(finished)
        assert airflow.state(run) == "success"
    assert executors
    assert [secret for secret in secrets if secret in repr(executors)] == []
    require_data(platform, users=700)
    wait_for(lambda: not platform.pods("app.kubernetes.io/name=spark,app.kubernetes.io/component=worker"))


def test_after_an_interrupted_upgrade_the_next_one_succeeds(platform: Platform) -> None:
    change(platform, "apps/marts/src/martline/marts/checks.py")
    process = platform.start("up")
    assert process.stderr
    for line in process.stderr:
        if "Installing the platform" in line:
            break
    time.sleep(1)
    os.killpg(process.pid, signal.SIGINT)
    _, log = process.communicate(timeout=120)
    assert process.returncode == 130, log
    assert "Traceback" not in log
    platform.run("up")


def test_an_upgrade_keeps_passwords_data_and_the_pods_that_did_not_change(platform: Platform) -> None:
    databases = "app.kubernetes.io/name in (postgres, mysql, kafka, zookeeper, jupyter)"
    pods, secrets = platform.pods(databases), platform.secrets()
    change(platform, "apps/shop/src/martline/shop/generate.py")
    platform.run("up")
    assert platform.pods(databases) == pods
    assert platform.secrets() == secrets
    require_data(platform, users=700)
    platform.run("demo", "--scale", "2")
    require_data(platform, users=700 + 2 * 700)


def test_up_repeated_with_nothing_changed_restarts_nothing(platform: Platform) -> None:
    everything = "app.kubernetes.io/part-of=martline"
    pods = platform.pods(everything)
    started = time.monotonic()
    platform.run("up")
    assert time.monotonic() - started < 180
    assert platform.pods(everything) == pods


def require_data(platform: Platform, users: int) -> None:
    """Compare MySQL with PostgreSQL, row by row, and the marts with PostgreSQL's own computation."""
    with (
        platform.forwarded(access.POSTGRES, access.MYSQL) as ports,
        platform.source(ports) as source,
        platform.replica(ports) as replica,
    ):
        assert source.execute("SELECT count(*) FROM users").fetchall() == [(users,)]
        for table, columns in TABLES.items():
            query = f"SELECT {columns} FROM {table} ORDER BY 1"
            assert rows(replica, query) == source.execute(query).fetchall(), table
        require_marts(source, replica)


def change(platform: Platform, file: str) -> None:
    """Change a line of Python."""
    with (platform.folder / file).open("a") as source:
        source.write(f"# {time.time_ns()}\n")


def wait_for(condition: Callable[[], Any], seconds: float = 900) -> Any:
    """Wait until the condition is true, and return what it then gave."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline
        time.sleep(0.5)
    return found
