"""`martline demo` end to end. Its numbers are checked without the code that made them."""

import json
import signal
import socket
import time
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import psutil
import psycopg
import pymysql
import pytest
from tests.marts import require_marts, rows
from tests.platform.checkout import Checkout
from tests.processes import command_lines

from martline.airflow_client import FINISHED, AirflowClient, DagRun
from martline.embedded import airflow as embedded_airflow
from martline.embedded.platform import Platform

# Characters that have a meaning in the settings of some program, and more bytes than a socket's path may have.
FOLDER = "Кириллица 👍, #1; 50% of \"x\" $HOME='y'\\n:z=~ !&*?[]{}()|<>^` " + "long" * 20
FOREIGN = {
    **dict.fromkeys(("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "ALL_PROXY", "all_proxy"), "http://127.0.0.1:9"),
    "NO_PROXY": "example.org",
    **dict.fromkeys(
        ("JAVA_TOOL_OPTIONS", "JDK_JAVA_OPTIONS", "_JAVA_OPTIONS"), "-Dno.such=option -XX:NoSuchOption"
    ),
    **dict.fromkeys(
        ("KAFKA_OPTS", "KAFKA_HEAP_OPTS", "SPARK_SUBMIT_OPTS", "SPARK_DAEMON_JAVA_OPTS"), "-XX:NoSuchOption"
    ),
    **dict.fromkeys(("SPARK_HOME", "HADOOP_CONF_DIR", "SPARK_CONF_DIR", "CLASSPATH", "JAVA_HOME"), "/nowhere"),
    "PYSPARK_SUBMIT_ARGS": "--master yarn pyspark-shell",
    **dict.fromkeys(("PYSPARK_PYTHON", "PYSPARK_DRIVER_PYTHON"), "/nowhere/python"),
    "SPARK_LOCAL_DIRS": "/nowhere,/proc",
    "PYTHONSTARTUP": "/nowhere/start.py",
    "PYTHONWARNINGS": "ignore",
    "AIRFLOW_HOME": "/nowhere",
    "AIRFLOW__CORE__DAGS_FOLDER": "/nowhere",
    "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN_CMD": "false",
    **{
        "PGSERVICE": "none",
        "PGHOSTADDR": "192.0.2.1",
        "PGSSLMODE": "verify-full",
        "PGOPTIONS": "-c no.such=1 -x",
    },
    **{"PGUSER": "nobody", "PGPASSWORD": "wrong", "PGREQUIREAUTH": "none", "PGDATA": "/nowhere"},
    **{
        "MYSQL_HOST": "192.0.2.1",
        "MYSQL_HOME": "/nowhere",
        "MYSQL_TEST_LOGIN_FILE": "/nowhere",
        "MARIADB_HOME": "/x",
    },
    **{"TZ": "America/New_York", "LANG": "C", "LC_ALL": "C"},
}


class Demo:
    """A platform on which the demo has run, and connections to its databases."""

    def __init__(self, checkout: Checkout) -> None:
        self.checkout = checkout
        self.shown = checkout.martline("demo")
        self.platform = Platform(checkout.folder)
        state = self.platform.state
        self.source = psycopg.connect(
            host="127.0.0.1",
            port=state.ports["pgport"],
            user="shop",
            dbname="shop",
            password=state.secrets["pgpassword"],
            autocommit=True,
        )
        self.target = pymysql.connect(
            host="127.0.0.1",
            port=state.ports["mysql_tcp_port"],
            user="shop",
            database="shop",
            password=state.secrets["mysql_pwd"],
            autocommit=True,
        )

    def expected(self, query: str) -> list[tuple[Any, ...]]:
        return self.source.execute(query).fetchall()

    def mart(self, columns: str, mart: str, order: str) -> list[tuple[Any, ...]]:
        return rows(self.target, f"SELECT {columns} FROM {mart} ORDER BY {order}")

    def require_marts(self) -> None:
        require_marts(self.source, self.target)


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    """A demo in a folder with a difficult name, started from a difficult environment."""
    checkout = Checkout(tmp_path_factory.mktemp("demo") / FOLDER)
    checkout.environment |= FOREIGN
    try:
        demo = Demo(checkout)
        with demo.source, demo.target:
            yield demo
    finally:
        checkout.remove()


def test_the_marts_equal_an_independent_computation(demo: Demo) -> None:
    counts = {
        table: demo.expected(f"SELECT count(*) FROM {table}")[0][0]
        for table in ("users", "products", "orders", "reviews", "loyaltypoints")
    }
    assert counts == {"users": 700, "products": 800, "orders": 3000, "reviews": 2200, "loyaltypoints": 3000}
    demo.require_marts()


def test_the_report_shows_marts_counts_times_and_logins(demo: Demo) -> None:
    for heading in ("The marts", "Rows at every stage", "Where the time went"):
        assert heading in demo.shown.stdout
    assert demo.platform.state.secrets["airflow_password"] in demo.shown.stdout
    assert "build_marts: check" in demo.shown.stderr


def test_the_report_has_a_line_with_a_figure_for_each_mart(demo: Demo) -> None:
    figures = rows(
        demo.target,
        "SELECT ROUND(SUM(revenue), 2), COUNT(DISTINCT day) FROM mart_sales_daily",
    )
    lines = {line.split()[1]: line for line in demo.shown.stdout.splitlines() if line.startswith("│ mart_")}
    assert [(name, "700" in line) for name, line in lines.items()] == [
        ("mart_average_check", False),
        ("mart_cohort_retention", False),
        ("mart_customer_rfm", True),
        ("mart_product_rating", False),
        ("mart_sales_daily", False),
        ("mart_user_activity", True),
    ]
    [(revenue, days)] = figures
    assert f"revenue: {revenue:,} in {days:,} days" in lines["mart_sales_daily"]
    assert all(line.split("│")[4].strip() for line in lines.values())
    assert max(map(len, lines.values())) <= 120


def test_the_report_names_no_person(demo: Demo) -> None:
    names = demo.expected("SELECT first_name || ' ' || last_name, first_name, last_name, email FROM users")
    words = set(demo.shown.stdout.replace("│", " ").split())
    assert not {email for _, _, _, email in names} & words
    assert not any(whole in demo.shown.stdout for whole, _, _, _ in names)


def test_the_marts_are_built_once(demo: Demo) -> None:
    assert rows(demo.target, "SELECT COUNT(*) FROM mart_runs") == [(1,)]
    with AirflowClient(embedded_airflow.login(demo.platform.state)) as airflow:
        assert len(airflow.runs("replicate")) == 1
        assert not airflow.is_paused("replicate")


def test_the_last_line_is_the_address_of_the_dashboard(demo: Demo) -> None:
    port = demo.platform.state.ports["dashboard_port"]
    assert demo.shown.stdout.splitlines()[-1] == f"The dashboard: http://127.0.0.1:{port}"


def test_run_again_it_goes_on_where_it_was(demo: Demo) -> None:
    orders = demo.expected("SELECT count(*), max(order_id) FROM orders")
    again = demo.checkout.martline("demo")
    assert "All servers run already" in again.stderr
    assert demo.expected("SELECT count(*), max(order_id) FROM orders") == orders


def test_an_update_and_a_delete_reach_mysql_and_change_the_marts(demo: Demo) -> None:
    before = demo.mart("*", "mart_user_activity", "1")
    demo.source.execute("UPDATE users SET loyalty_status = 'Gold', last_name = 'Ёлкина' WHERE user_id = 1")
    demo.source.execute("DELETE FROM reviews WHERE user_id IN (2, 3)")
    demo.source.execute(
        "DELETE FROM products WHERE product_id = (SELECT max(product_id) FROM products p WHERE NOT EXISTS (SELECT FROM orderdetails d WHERE d.product_id = p.product_id))"
    )
    with AirflowClient(embedded_airflow.login(demo.platform.state)) as airflow:
        replicate = DagRun("replicate", "test-changes")
        airflow.trigger(replicate, {})
        wait_for(lambda: airflow.state(replicate) in FINISHED)
        assert airflow.state(replicate) == "success"
        wait_for(lambda: airflow.started_by(replicate) != [])
        [build] = airflow.started_by(replicate)
        wait_for(lambda: airflow.state(build) in FINISHED)
        assert airflow.state(build) == "success"
    after = demo.mart("*", "mart_user_activity", "1")
    assert after != before
    assert demo.mart("last_name, loyalty_status", "mart_user_activity WHERE user_id = 1", "1") == [
        ("Ёлкина", "Gold")
    ]
    assert demo.mart("reviews, average_rating", "mart_user_activity WHERE user_id = 2", "1") == [
        (Decimal(0), None)
    ]
    demo.require_marts()


def wait_for(condition: Any, seconds: float = 400) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.5)


def test_no_password_is_in_a_log_a_command_line_or_a_rendered_template(demo: Demo) -> None:
    secrets = demo.platform.state.secrets
    # These give access to a database or to the web interface. At its end, the demo shows those for people.
    passwords = [secret.encode() for name, secret in secrets.items()]
    logs = [file for file in demo.platform.state.logs.rglob("*") if file.is_file()]
    assert len(logs) > 10
    for file in logs:
        text = file.read_bytes()
        assert not any(password in text for password in passwords), file
    for line in command_lines(demo.checkout.processes()).values():
        assert not any(password in line.encode() for password in passwords), line
    rendered = psycopg.connect(
        host="127.0.0.1",
        port=demo.platform.state.ports["pgport"],
        user="postgres",
        dbname="airflow",
        password=secrets["postgres_admin"],
    )
    with rendered:
        fields = rendered.execute("SELECT rendered_fields::text FROM rendered_task_instance_fields").fetchall()
        serialized = rendered.execute("SELECT data::text FROM serialized_dag").fetchall()
    assert len(fields) >= 8
    assert not any(password.decode() in row[0] for password in passwords for row in [*fields, *serialized])


def test_nobody_outside_the_machine_can_connect(demo: Demo) -> None:
    own = {process.pid for process in demo.checkout.processes()}
    listening = {
        connection.laddr.ip
        for connection in psutil.net_connections(kind="inet")
        if connection.laddr and connection.pid in own and connection.status == psutil.CONN_LISTEN
    }
    assert listening
    assert listening <= {"127.0.0.1", "::1", "::ffff:127.0.0.1"}


def test_a_second_platform_runs_beside_the_first(demo: Demo, tmp_path: Path) -> None:
    second = Checkout(tmp_path / "second")
    try:
        second.martline("up")
        ports = Platform(second.folder).state.ports
        assert not set(ports.values()) & set(demo.platform.state.ports.values())
        assert demo.checkout.martline("status").returncode == 0
        assert second.martline("status").returncode == 0
        second.martline("down")
        assert demo.checkout.martline("status").returncode == 0
    finally:
        second.remove()


def test_a_paused_dag_ends_the_demo_with_a_word_and_goes_on_when_unpaused(demo: Demo) -> None:
    generate = DagRun("shop_generate", "demo-3")
    with AirflowClient(embedded_airflow.login(demo.platform.state)) as airflow:
        airflow.pause("shop_generate", paused=True)
        ended = demo.checkout.martline("demo", "--scale", "3", check=False)
        assert ended.returncode == 1
        assert (
            "The DAG shop_generate is paused, and the demo waits for it: unpause it in http://127" in ended.stderr
        )
        assert airflow.find(generate) == "queued"
        assert not airflow.is_paused("replicate")
        airflow.pause("shop_generate", paused=False)
        wait_for(lambda: airflow.find(generate) == "success")


def test_a_server_that_dies_while_the_demo_runs_is_named_with_its_log(demo: Demo) -> None:
    process = demo.checkout.start("demo", "--scale", "2")
    assert process.stderr
    while process.stderr.readline() != "Running the DAGs\n":
        assert process.poll() is None
    kafka = next(p for p in demo.platform.supervisor.processes() if p["name"] == "kafka")
    psutil.Process(kafka["pid"]).kill()
    _, log = process.communicate(timeout=300)
    assert process.returncode == 1
    assert "kafka has stopped" in log
    assert str(demo.platform.supervisor.log("kafka")) in log
    assert "Traceback" not in log


def test_a_start_after_the_supervisor_was_killed_finds_its_data_and_leaves_no_orphan(demo: Demo) -> None:
    before = set(demo.checkout.processes())
    supervisor = int((demo.checkout.folder / ".martline" / "run" / "session").read_text())
    psutil.Process(supervisor).send_signal(signal.SIGKILL)
    time.sleep(1)
    assert demo.checkout.martline("status", check=False).returncode == 1
    demo.checkout.martline("up")
    after = set(demo.checkout.processes())
    assert after
    assert not before & after
    with psycopg.connect(
        host="127.0.0.1",
        port=Platform(demo.checkout.folder).state.ports["pgport"],
        user="shop",
        dbname="shop",
        password=demo.platform.state.secrets["pgpassword"],
    ) as source:
        assert source.execute("SELECT count(*) >= 3000 FROM orders").fetchall() == [(True,)]
    names = json.loads((demo.checkout.folder / ".martline" / "ports.json").read_text())
    with socket.create_connection(("127.0.0.1", names["kafka_port"]), timeout=5):
        pass


def test_wrong_settings_and_damaged_ports_keep_nobody_from_stopping_it(demo: Demo) -> None:
    settings, ports = demo.checkout.folder / ".env", demo.platform.state.folder / "ports.json"
    right = settings.read_text()
    ports.write_text("{")
    settings.write_text("PGPORT=none\n")
    assert demo.checkout.martline("status").returncode == 0
    demo.checkout.martline("down")
    assert demo.checkout.processes() == []
    settings.write_text(right)
