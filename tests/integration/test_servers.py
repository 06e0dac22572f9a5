"""The embedded servers work."""

from collections.abc import Mapping

import pymysql
from kafka import KafkaConsumer, KafkaProducer
from tests.connections import to_postgres


def test_postgres_decodes_changes(postgres: Mapping[str, str]) -> None:
    with to_postgres(postgres) as connection:
        assert connection.execute("SHOW wal_level").fetchone() == ("logical",)
        slot = connection.execute("SELECT slot_name FROM pg_create_logical_replication_slot('s', 'pgoutput')")
        assert slot.fetchone() == ("s",)


def test_mariadb_keeps_any_unicode(mysql: Mapping[str, str]) -> None:
    connection = pymysql.connect(
        host=mysql["MYSQL_HOST"],
        port=int(mysql["MYSQL_TCP_PORT"]),
        user=mysql["MYSQL_USER"],
        password=mysql["MYSQL_PWD"],
        database=mysql["MYSQL_DATABASE"],
    )
    with connection, connection.cursor() as cursor:
        cursor.execute("CREATE TABLE t (a TEXT)")
        cursor.execute("INSERT INTO t VALUES (%s)", ["Кофе ☕ 😀"])
        cursor.execute("SELECT a FROM t")
        assert cursor.fetchone() == ("Кофе ☕ 😀",)


def test_kafka_keeps_a_message_and_hands_it_over(kafka: Mapping[str, str]) -> None:
    from kafka import KafkaAdminClient
    from kafka.admin import NewTopic

    servers = kafka["KAFKA_BOOTSTRAP_SERVERS"]
    topic = f"{kafka['KAFKA_TOPIC_PREFIX']}topic"
    admin = KafkaAdminClient(bootstrap_servers=servers)
    admin.create_topics([NewTopic(topic, 1, 1)])
    admin.close()
    producer = KafkaProducer(bootstrap_servers=servers)
    producer.send(topic, b"message").get(30)
    producer.close()
    consumer = KafkaConsumer(
        topic, bootstrap_servers=servers, auto_offset_reset="earliest", consumer_timeout_ms=30000
    )
    assert next(consumer).value == b"message"
    consumer.close()
