"""What each of the services' charts promises by itself."""

import base64
import re
from pathlib import Path
from typing import Any

import pytest
from tests.charts.cases import EXTERNAL, case
from tests.charts.databases import docker, require_image
from tests.charts.rendering import SERVICES, Object, Refused, named, of_kind, pods, rendered


def properties(text: str) -> dict[str, str]:
    lines = (line for line in text.splitlines() if "=" in line and not line.startswith("#"))
    return {name.strip(): value.strip() for name, _, value in (line.partition("=") for line in lines)}


def broker(objects: list[Object]) -> dict[str, str]:
    return properties(named(objects, "ConfigMap", "kafka")["data"]["server.properties"])


def secret(objects: list[Object], name: str) -> dict[str, str]:
    return {
        key: base64.b64decode(value).decode() for key, value in named(objects, "Secret", name)["data"].items()
    }


def test_kafka_is_on_zookeeper_by_default() -> None:
    objects = case("the platform")
    assert broker(objects)["zookeeper.connect"] == "zookeeper:2181/kafka"
    labels = named(objects, "StatefulSet", "kafka")["spec"]["template"]["metadata"]["labels"]
    assert labels["martline.io/client-zookeeper"] == "true"


def test_one_value_puts_kafka_on_kraft_without_any_zookeeper() -> None:
    objects = case("KRaft")
    assert "zookeeper.connect" not in broker(objects)
    assert broker(objects)["process.roles"] == "broker,controller"
    assert not [item for item in objects if item["metadata"]["labels"]["app.kubernetes.io/name"] == "zookeeper"]


def test_each_kraft_broker_votes_and_the_clusters_id_stays() -> None:
    values = {"global": {"zookeeper": {"enabled": False}}, "replicas": 3}
    objects = rendered("kafka", values)
    assert broker(objects)["controller.quorum.voters"] == ",".join(
        f"{index}@kafka-{index}.kafka-headless.platform.svc:9093" for index in range(3)
    )
    start = named(objects, "ConfigMap", "kafka")["data"]["start.sh"]
    cluster = start.partition("--cluster-id ")[2].split()[0]
    assert len(base64.urlsafe_b64decode(f"{cluster}==")) == 16
    assert named(rendered("kafka", values), "ConfigMap", "kafka")["data"]["start.sh"] == start


@pytest.mark.parametrize(("brokers", "copies", "in_sync"), [(1, 1, 1), (2, 2, 1), (3, 3, 2), (5, 3, 2)])
def test_topics_are_replicated_as_far_as_there_are_brokers(brokers: int, copies: int, in_sync: int) -> None:
    settings = broker(rendered("kafka", {"replicas": brokers}))
    assert settings["default.replication.factor"] == str(copies)
    assert settings["offsets.topic.replication.factor"] == str(copies)
    assert settings["min.insync.replicas"] == str(in_sync)


def test_a_setting_of_the_user_is_the_last_and_whole_numbers_stay_whole() -> None:
    text = named(rendered("kafka", {"config": {"log.retention.bytes": 1073741824}}), "ConfigMap", "kafka")
    assert "log.retention.bytes=1073741824\n" in text["data"]["server.properties"]


@pytest.mark.parametrize("servers", [1, 3])
def test_zookeepers_servers_know_each_other(servers: int) -> None:
    config = named(rendered("zookeeper", {"replicas": servers}), "ConfigMap", "zookeeper")["data"]["zoo.cfg"]
    assert [line for line in config.splitlines() if line.startswith("server.")] == [
        f"server.{index + 1}=zookeeper-{index}.zookeeper-headless.platform.svc:2888:3888"
        for index in range(servers)
        if servers > 1
    ]


def test_an_even_number_of_zookeepers_is_refused() -> None:
    with pytest.raises(Refused, match=r"/replicas.*one of 1, 3, 5"):
        rendered("zookeeper", {"replicas": 2})


def test_external_servers_are_named_to_the_clients_and_none_runs_here() -> None:
    objects = case("external servers")
    assert secret(objects, "postgres-client") | {"PGPASSWORD": ""} == {
        "PGHOST": "pg.example.com",
        "PGPORT": "6432",
        "PGUSER": "shop",
        "PGPASSWORD": "",
        "PGDATABASE": "shop",
    }
    assert secret(objects, "postgres-dashboard") | {"PGPASSWORD": ""} == {
        "PGHOST": "pg.example.com",
        "PGPORT": "6432",
        "PGUSER": "dashboard",
        "PGPASSWORD": "",
        "PGDATABASE": "shop",
    }
    assert secret(objects, "airflow-metadata")["PGHOST"] == "pg.example.com"
    assert secret(objects, "mysql-client") | {"MYSQL_PWD": ""} == {
        "MYSQL_HOST": "mysql.example.com",
        "MYSQL_TCP_PORT": "3306",
        "MYSQL_USER": "shop",
        "MYSQL_PWD": "",
        "MYSQL_DATABASE": "shop",
    }
    assert secret(objects, "mysql-dashboard") | {"MYSQL_PWD": ""} == {
        "MYSQL_HOST": "mysql.example.com",
        "MYSQL_TCP_PORT": "3306",
        "MYSQL_USER": "dashboard",
        "MYSQL_PWD": "",
        "MYSQL_DATABASE": "shop",
    }
    brokers = EXTERNAL["kafka"]["external"]
    assert named(objects, "ConfigMap", "kafka-client")["data"] == {
        "KAFKA_BOOTSTRAP_SERVERS": brokers["bootstrapServers"]  # type: ignore[index]
    }
    running = {workload["metadata"]["name"] for workload in of_kind(objects, "StatefulSet", "Deployment")}
    assert not running & {"postgres", "mysql", "kafka"}


@pytest.mark.parametrize(
    ("chart", "value"),
    [("postgres", "external.host"), ("mysql", "external.host"), ("kafka", "external.bootstrapServers")],
)
def test_an_external_server_without_an_address_is_refused(chart: str, value: str) -> None:
    with pytest.raises(Refused, match=rf"{chart}\.enabled=false needs {chart}\.{value}"):
        rendered(chart, {"enabled": False})


@pytest.mark.parametrize("chart", ["postgres", "mysql"])
def test_secrets_that_exist_are_left_alone(chart: str) -> None:
    assert of_kind(rendered(chart, {"auth": {"createSecrets": False}}), "Secret") == []
    values = {"enabled": False, "auth": {"createSecrets": False}}
    assert of_kind(rendered(chart, values), "Secret") == []


@pytest.mark.parametrize(
    ("chart", "config"),
    [("postgres", {"work_mem": "8MB"}), ("mysql", {"max_connections": 9}), ("kafka", {"num.io.threads": 4})],
)
def test_a_changed_setting_changes_the_pods_checksum(chart: str, config: dict[str, Any]) -> None:
    def annotations(values: dict[str, Any]) -> Any:
        workload = named(rendered(chart, values), "StatefulSet", chart)
        return workload["spec"]["template"]["metadata"]["annotations"]

    assert annotations({}) == annotations({})
    assert annotations({"config": config}) != annotations({})


def test_another_image_of_a_task_restarts_what_starts_tasks() -> None:
    def template(tag: str) -> Any:
        objects = rendered("airflow", {"workloads": {"shop": {"image": {"tag": tag}}}})
        return named(objects, "StatefulSet", "airflow-scheduler")["spec"]["template"]

    assert template("one") == template("one")
    assert template("one") != template("another")


def test_a_setting_of_postgresql_may_hold_quotes() -> None:
    config = named(rendered("postgres", {"config": {"log_line_prefix": "it's %m "}}), "ConfigMap", "postgres")
    assert "log_line_prefix = 'it''s %m '\n" in config["data"]["postgresql.conf"]


def test_a_setting_of_airflow_that_the_chart_sets_too_is_the_users() -> None:
    settings = {"AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": 30, "SHOP_USERS": 2000000}
    data = named(rendered("airflow", {"settings": settings}), "ConfigMap", "airflow-settings")["data"]
    assert data["AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL"] == "30"
    assert data["SHOP_USERS"] == "2000000"


@pytest.mark.parametrize("chart", SERVICES)
def test_an_image_may_be_named_by_its_digest(chart: str) -> None:
    digest = f"sha256:{'0123456789abcdef' * 4}"
    images = {
        container["image"]
        for pod in pods(rendered(chart, {"image": {"digest": digest}}))
        for container in pod.servers
    }
    assert {image.partition("@")[2] for image in images} == {digest}


@pytest.mark.parametrize("digest", ["sha256:0123", "0" * 64, f"sha256:{'0' * 63}g", f"sha256:{'0' * 64} "])
def test_what_is_no_digest_is_refused(digest: str) -> None:
    with pytest.raises(Refused, match="/image/digest"):
        rendered("postgres", {"image": {"digest": digest}})


@pytest.mark.parametrize(
    ("chart", "values", "sentence"),
    [
        (
            "postgres",
            {"auth": {"shop": {"user": "airflow"}}},
            "auth.shop.user and auth.airflow.user are the same",
        ),
        (
            "postgres",
            {"auth": {"dashboard": {"user": "airflow"}}},
            "auth.dashboard.user is also the name of another account",
        ),
        ("postgres", {"auth": {"dashboard": {"user": "pg_read_all_data"}}}, "auth.dashboard.user is pg_read_all"),
        ("airflow", {"login": {"user": "dashboard"}}, "login.user and login.dashboard.user are the same"),
        ("postgres", {"auth": {"airflow": {"database": "shop"}}}, "are the same"),
        ("postgres", {"auth": {"shop": {"user": "postgres"}}}, "auth.shop.user is postgres, a name"),
        ("postgres", {"auth": {"airflow": {"user": "public"}}}, "auth.airflow.user is public, a name"),
        ("postgres", {"auth": {"shop": {"user": "pg_shop"}}}, "auth.shop.user is pg_shop, a name"),
        ("postgres", {"auth": {"shop": {"database": "template1"}}}, "auth.shop.database is template1, a name"),
        ("postgres", {"auth": {"shop": {"user": "é" * 32}}}, "auth.shop.user is not a valid name"),
        ("mysql", {"auth": {"user": "root"}}, "auth.user is root, a name"),
        ("mysql", {"auth": {"user": "mysql.sys"}}, "auth.user is mysql.sys, a name"),
        ("mysql", {"auth": {"dashboard": {"user": "root"}}}, "auth.dashboard.user is root, a name"),
        ("mysql", {"auth": {"user": "one", "dashboard": {"user": "one"}}}, "auth.dashboard.user are the same"),
        ("mysql", {"auth": {"database": "Performance_Schema"}}, "auth.database is Performance_Schema, a name"),
        ("mysql", {"auth": {"user": "u" * 33}}, "auth.user is not a valid name"),
        ("mysql", {"auth": {"database": "a/b"}}, "auth.database is not a valid name"),
    ],
)
def test_a_name_that_the_first_start_could_not_use_is_refused(
    chart: str, values: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(Refused, match=re.escape(sentence)):
        rendered(chart, values)


@pytest.mark.parametrize(
    ("chart", "values", "sentence"),
    [
        ("postgres", {"config": {"hba_file": "/tmp/all"}}, "config.hba_file cannot be set"),
        ("postgres", {"config": {"TimeZone": "UTC"}}, "config has TimeZone and timezone, which are the same"),
        ("postgres", {"config": {"work mem": 1}}, 'config has a setting named "work mem"'),
        ("mysql", {"config": {"datadir": "/tmp"}}, "config.datadir cannot be set"),
        ("mysql", {"config": {"init-file": "/tmp/a"}}, "config.init-file cannot be set"),
        ("mysql", {"config": {"local-infile": "OFF"}}, "config has local-infile and local_infile, which are the"),
        ("mysql", {"config": {"init_connect": "x" * 2001}}, "config.init_connect is longer"),
        ("kafka", {"config": {"broker.id": 7}}, "config.broker.id cannot be set"),
        ("kafka", {"config": {"log.dirs": "/tmp"}}, "config.log.dirs cannot be set"),
        ("kafka", {"config": {"a=b": 1}}, 'config has a setting named "a=b"'),
        ("kafka", {"config": {"log.flush.interval.messages": 2**63 - 1}}, "write it in quotes"),
        ("kafka", {"config": {"log.cleaner.io.max": 1e-9}}, "write it in quotes"),
        (
            "kafka",
            {"config": {"super.users": "User:\U0001f600"}},
            "config.super.users contains a character beyond",
        ),
        ("zookeeper", {"config": {"dataDir": "/tmp"}}, "config.dataDir cannot be set"),
        ("zookeeper", {"config": {"sample": "bell\u0007"}}, "config.sample contains a control character"),
        ("spark", {"config": {"spark.authenticate.secret": "known"}}, "config.spark.authenticate.secret cannot"),
        ("airflow", {"settings": {"AIRFLOW__CORE__FERNET_KEY": "known"}}, "the Secret airflow-keys sets it"),
        ("airflow", {"settings": {"PGHOST": "elsewhere"}}, "the Secret airflow-metadata sets it"),
        ("airflow", {"settings": {"SHOP.USERS": 1}}, "settings.SHOP.USERS is not a valid name"),
        ("airflow", {"extraDags": {"helm_test.py": ""}}, "extraDags has helm_test.py"),
    ],
)
def test_a_setting_that_would_not_count_is_refused(chart: str, values: dict[str, Any], sentence: str) -> None:
    with pytest.raises(Refused, match=re.escape(sentence)):
        rendered(chart, values)


@pytest.mark.parametrize("on_zookeeper", [True, False])
def test_kafka_refuses_a_volume_with_partitions_of_no_known_cluster(on_zookeeper: bool, tmp_path: Path) -> None:
    objects = rendered("kafka", {"global": {"zookeeper": {"enabled": on_zookeeper}}})
    image = named(objects, "StatefulSet", "kafka")["spec"]["template"]["spec"]["containers"][0]["image"]
    require_image(image)
    (tmp_path / "start.sh").write_text(named(objects, "ConfigMap", "kafka")["data"]["start.sh"])
    kept = "mkdir -p /var/lib/kafka/data/log/orders-0; echo row > /var/lib/kafka/data/log/orders-0/0.log"
    after = "find /var/lib/kafka/data -type f"
    script = f"{kept}; HOSTNAME=kafka-0 bash -e /start.sh && exit 99; echo $?; {after}"
    mounts = "--volume", f"{tmp_path / 'start.sh'}:/start.sh:ro", "--tmpfs", "/var/lib/kafka/data"
    printed = docker(
        "run", "--rm", "--user=0:0", *mounts, "--entrypoint", "bash", image, "-c", f"exec 2>&1; {script}"
    )
    sentence, code, file = printed.splitlines()
    assert sentence.startswith(
        "Refused to start: the volume contains partitions, but no /var/lib/kafka/data/log/meta"
    )
    assert (code, file) == ("1", "/var/lib/kafka/data/log/orders-0/0.log")


def test_kafka_does_not_keep_what_zookeeper_forgets() -> None:
    forgetful = {"zookeeper": {"persistence": {"enabled": False}}}
    with pytest.raises(Refused, match=r"needs kafka\.persistence\.enabled=false"):
        rendered("martline", forgetful)
    assert rendered("martline", {**forgetful, "kafka": {"persistence": {"enabled": False}}})
    assert rendered("martline", {**forgetful, "global": {"zookeeper": {"enabled": False}}})
