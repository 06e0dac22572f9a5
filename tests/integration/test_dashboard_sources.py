"""The dashboard's sources besides MySQL, on real servers: each number is compared with the source's own."""

import re
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
from kafka import KafkaConsumer, TopicPartition
from psycopg import sql
from tests.airflow_server import AirflowServer
from tests.connections import to_postgres
from tests.dashboard import REPLICATION, Start, add, add_marts, detail, open_pages, wait_for
from tests.kafka_server import KafkaServer
from tests.servers import PostgreSQL, open_server
from tests.shop_events import TOPICS, Broker, new_user, review

from martline.airflow_client import AirflowClient, AirflowLogin, DagRun
from martline.command import Failure


@pytest.fixture
def looker(
    server: Callable[[str], Any], postgres: dict[str, str], pair: tuple[str, str], run: Callable[..., Any]
) -> Iterator[dict[str, str]]:
    """The settings of the dashboard's role in PostgreSQL, which is created before the tables, as in real use."""
    database_server = server(pair[0])
    assert isinstance(database_server, PostgreSQL)
    role, password = f"looker_{secrets.token_hex(4)}", secrets.token_hex(8)
    statements = run("dashboard-role", "--postgres", "--user", role).output
    with database_server.admin(postgres["PGDATABASE"]) as admin:
        admin.execute(statements)
        admin.execute(statements)  # it can be run again
        admin.execute(sql.SQL("ALTER ROLE {} PASSWORD {}").format(sql.Identifier(role), password))
        try:
            yield {**postgres, "PGUSER": role, "PGPASSWORD": password}
        finally:
            admin.execute(
                sql.SQL("DROP OWNED BY {0}; DROP ROLE {0}").format(sql.Identifier(role)).as_string(admin)
            )


@pytest.fixture
def broker(
    run: Callable[..., Any], owner: Any, servers: dict[str, str], looker: dict[str, str], kafka: dict[str, str]
) -> Broker:
    """The broker, with the topics of a shop. Its tables and marts are made after the dashboard's role."""
    add_marts(owner)
    run("shop-init", env=servers)
    made = Broker(kafka)
    made.make_topics()
    return made


def test_what_waits_and_lags_equals_what_kafka_and_postgresql_say(
    start: Start,
    run: Callable[..., Any],
    role: dict[str, str],
    owner: Any,
    servers: dict[str, str],
    looker: dict[str, str],
    kafka: dict[str, str],
    broker: Broker,
) -> None:
    broker.send(TOPICS[0], *(new_user() for _ in range(5)), b"no event", b"nor this")
    broker.send(TOPICS[1], review(user_id=77, product_id=99))
    run("shop-consume", "--until-caught-up", env={**servers, **kafka})
    broker.send(TOPICS[0], *(new_user() for _ in range(4)), partition=1)
    broker.send(TOPICS[1], *(review() for _ in range(1234)), partition=2)
    run("replicate", env=servers)
    client = open_pages(start, {**role, **looker, **kafka})

    def page() -> str:
        return client.get("/pipeline?lang=en").text

    ends: dict[str, int] = {}
    consumer = KafkaConsumer(bootstrap_servers=kafka["KAFKA_BOOTSTRAP_SERVERS"])
    for topic in TOPICS:
        places = [TopicPartition(kafka["KAFKA_TOPIC_PREFIX"] + topic, number) for number in range(3)]
        ends[topic] = sum(consumer.end_offsets(places).values())
    consumer.close()
    wait_for(lambda: detail(page(), "Dead letters") != "–" and "Waiting in" in page())
    with to_postgres(servers) as source:
        for topic in TOPICS:
            name = kafka["KAFKA_TOPIC_PREFIX"] + topic
            [(stored,)] = source.execute(
                "SELECT sum(next_offset) FROM shop.consumer_offsets WHERE topic = %s", [name]
            ).fetchall()
            assert detail(page(), f"Waiting in {name}") == f"{ends[topic] - stored:,}"
        [(letters,)] = source.execute("SELECT count(*) FROM shop.dead_letters").fetchall()
        assert letters == 3
        assert detail(page(), "Dead letters") == "3"
        assert "Messages that could not be stored: 2" in page()
        assert "<code>shop-dead-letters list</code>" in page()
        for name, query in {
            "Lag, bytes of log": "SELECT pg_current_wal_flush_lsn() - %s::numeric - '0/0'::pg_lsn",
            "Log kept for it, bytes": "SELECT pg_current_wal_flush_lsn() - restart_lsn FROM pg_replication_slots"
            " WHERE database = current_database() AND %s IS NOT NULL",
        }.items():
            with owner.cursor() as cursor:
                cursor.execute("SELECT applied_lsn FROM _replication")
                [(applied,)] = cursor.fetchall()

            def size(query: str = query, applied: int = applied) -> int:
                [(size,)] = source.execute(query, [applied]).fetchall()
                return int(size)

            _require_current(page, name, size)
            source.execute("SELECT pg_logical_emit_message(true, 'test', repeat('x', 100000))")
            assert size() > 100_000
            _require_current(page, name, size)


def test_a_topic_that_was_made_anew_is_told_with_the_command(
    start: Start,
    run: Callable[..., Any],
    role: dict[str, str],
    servers: dict[str, str],
    looker: dict[str, str],
    kafka: dict[str, str],
    broker: Broker,
) -> None:
    broker.send(TOPICS[0], *(new_user() for _ in range(5)))
    run("shop-consume", "--until-caught-up", env={**servers, **kafka})
    broker.make_anew(TOPICS[0])
    broker.send(TOPICS[0], new_user(), new_user())
    name = kafka["KAFKA_TOPIC_PREFIX"] + TOPICS[0]
    client = open_pages(start, {**role, **looker, **kafka})
    wait_for(lambda: f"shop-consume --start-over {name}" in client.get("/pipeline").text)
    assert detail(client.get("/pipeline?lang=en").text, f"Waiting in {name}") == "2"


def test_the_role_in_postgresql_can_count_and_nothing_else(
    run: Callable[..., Any], servers: dict[str, str], looker: dict[str, str]
) -> None:
    run("shop-init", env=servers)
    with to_postgres(looker) as connection:
        connection.execute("SELECT topic, put_aside_at, waits_until FROM shop.dead_letters")
        connection.execute("SELECT * FROM shop.consumer_offsets")
        for statement in (
            "SELECT * FROM users",
            "SELECT reason FROM shop.dead_letters",
            "SELECT * FROM shop.dead_letter_pieces",
            "SELECT * FROM shop.consumed_events",
            "DELETE FROM shop.dead_letters",
            "UPDATE shop.consumer_offsets SET next_offset = 0",
            "CREATE TABLE shop.own (n int)",
            "CREATE TABLE public.own (n int)",
            "CREATE ROLE other",
            "SELECT pg_drop_replication_slot('any')",
            "SELECT pg_read_file('/etc/passwd')",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(statement.encode())


def test_while_postgresql_is_away_its_last_state_is_shown_with_its_age(
    start: Start, role: dict[str, str], owner: Any, tmp_path: Path
) -> None:
    add_marts(owner)
    add(owner, REPLICATION)
    own = open_server("postgresql-18", tmp_path / "postgres")
    own.start()
    try:
        assert isinstance(own, PostgreSQL)
        with own.database() as settings:
            with own.admin(settings["PGDATABASE"]) as admin:
                admin.execute("SELECT pg_create_logical_replication_slot('shop', 'pgoutput')")
            client = open_pages(start, {**role, **settings})
            _require_away_and_back(client, "PostgreSQL", own.kill, own.start, "Log kept for it, bytes")
            wait_for(lambda: detail(client.get("/pipeline?lang=en").text, "Log kept for it, bytes") != "–")
    finally:
        own.remove()


def test_while_kafka_is_away_its_last_state_is_shown_with_its_age(
    start: Start,
    run: Callable[..., Any],
    role: dict[str, str],
    owner: Any,
    servers: dict[str, str],
    looker: dict[str, str],
    tmp_path: Path,
) -> None:
    add_marts(owner)
    run("shop-init", env=servers)
    own = KafkaServer(tmp_path)
    own.start()
    try:
        settings = {**own.settings, "KAFKA_TOPIC_PREFIX": ""}
        broker = Broker(settings)
        broker.make_topics()
        broker.send(TOPICS[0], *(new_user() for _ in range(7)))
        client = open_pages(start, {**role, **looker, **settings})
        _require_away_and_back(client, "Kafka", own.kill, own.start, f"Waiting in {TOPICS[0]}")
        # A restarted broker needs a moment until it reports its topics again.
        wait_for(lambda: f"<dt>Waiting in {TOPICS[0]}</dt><dd>7</dd>" in client.get("/pipeline?lang=en").text)
    finally:
        own.remove()


def _require_current(page: Callable[[], str], name: str, size: Callable[[], int]) -> None:
    """Wait until the page shows this size of the log, which grows, because other tests write to it."""
    least = size()

    def is_current() -> bool:
        shown = detail(page(), name)
        return shown != "–" and least <= int(shown.replace(",", "")) <= size()

    wait_for(is_current)


def _require_away_and_back(
    client: httpx.Client, name: str, kill: Callable[[], object], start: Callable[[], object], shown: str
) -> None:
    def page() -> str:
        return client.get("/pipeline?lang=en").text

    wait_for(lambda: f"<dt>{shown}</dt><dd>" in page() and detail(page(), shown) != "–")
    wait_for(lambda: f"{name} does not answer" not in page())
    before = detail(page(), shown)
    kill()
    away = rf"{name} does not answer: what is shown of it is what it said \d+ seconds? ago"
    wait_for(lambda: re.search(away, page()))
    assert detail(page(), shown) == before
    assert "Nothing needs attention" not in page()
    assert client.get("/").status_code == 200
    start()
    wait_for(lambda: f"{name} does not answer" not in page())


@pytest.fixture(scope="session")
def airflow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AirflowServer]:
    """Airflow's API server with two DAGs and no scheduler. It knows only the runs that a test writes."""
    server = AirflowServer(tmp_path_factory.mktemp("airflow"))
    try:
        server.start()
        yield server
    finally:
        server.kill()


def test_the_runs_of_each_dag_equal_what_airflow_says(
    start: Start, role: dict[str, str], owner: Any, airflow: AirflowServer
) -> None:
    add_marts(owner)
    airflow.write_runs("good", [("success", 12.5), ("failed", 3.0), ("success", 1234.5)])
    airflow.write_runs("hostile", [("failed", 2.0), ("success", 1.0)])
    client = open_pages(start, {**role, **airflow.settings})

    def page() -> str:
        return client.get("/pipeline?lang=en").text

    wait_for(lambda: "<td>good</td>" in page())
    with AirflowClient(airflow.admin) as admin:
        runs = admin.last_runs("good", 10)
    assert [run.state for run in runs] == ["success", "failed", "success"]
    assert runs[0].started_at
    assert (
        f'<td>good</td><td>succeeded</td><td class="t">{runs[0].started_at:%-d %b %Y, %H:%M:%S} UTC</td>'
        f'<td class="n">{runs[0].seconds:,.1f}</td><td class="t"><span class="run poor">failed</span>'
        f' <span class="run">{runs[2].seconds:,.1f}</span>' in page()
    )
    assert "<b>DAG" not in page()
    assert "The last run of the DAG &lt;b&gt;DAG&lt;/b&gt; failed" in page()
    assert "<code>airflow dags trigger hostile</code>" in page()
    assert '<tr class="bad"><td>&lt;b&gt;DAG&lt;/b&gt; (paused)</td>' in page()


def test_while_airflow_is_away_its_last_state_is_shown_with_its_age(
    start: Start, role: dict[str, str], owner: Any, airflow: AirflowServer
) -> None:
    add_marts(owner)
    client = open_pages(start, {**role, **airflow.settings})

    def page() -> str:
        return client.get("/pipeline?lang=en").text

    wait_for(lambda: "<td>good</td>" in page())
    airflow.kill()
    wait_for(
        lambda: re.search(r"Airflow does not answer: what is shown of it is what it said \d+ seconds?", page())
    )
    assert "<td>good</td>" in page()
    airflow.start()
    wait_for(lambda: "Airflow does not answer" not in page())


def test_the_user_of_airflow_can_only_look(airflow: AirflowServer) -> None:
    login = AirflowLogin(
        airflow.settings["AIRFLOW_URL"], airflow.settings["AIRFLOW_USER"], airflow.settings["AIRFLOW_PASSWORD"]
    )
    with AirflowClient(login, patience=0) as client:
        assert [dag.name for dag in client.dags(10)] == ["good", "hostile"]
        with pytest.raises(Failure, match="403"):
            client.trigger(DagRun("good", "mine"), {})
        with pytest.raises(Failure, match="403"):
            client.pause("good", paused=True)


def test_a_source_that_is_not_set_is_named_with_the_command_that_tells(
    start: Start, role: dict[str, str], owner: Any
) -> None:
    add_marts(owner)
    page = open_pages(start, role).get("/pipeline?lang=en").text
    for command in ("replication-status", "shop-dead-letters list", "airflow dags list-runs build_marts"):
        assert f"<code>{command}</code>" in page


def test_airflow_without_a_login_is_refused_by_name(start: Start, role: dict[str, str]) -> None:
    process = start("dashboard", env={**role, "AIRFLOW_URL": "http://127.0.0.1:1"})
    _, log = process.communicate(timeout=60)
    assert process.returncode == 2
    assert "AIRFLOW_USER" in log
    assert "Traceback" not in log
