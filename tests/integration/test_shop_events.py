"""Events through Kafka: each counts once, and what can't be stored is put aside with the reason."""

import json
from collections.abc import Callable, Mapping
from typing import Any
from uuid import uuid4

import pytest
from kafka import KafkaConsumer, KafkaProducer
from tests.connections import to_postgres


def query(settings: Mapping[str, str], statement: str) -> list[Any]:
    with to_postgres(settings) as connection:
        return connection.execute(statement).fetchall()


def send(settings: Mapping[str, str], topic: str, *messages: bytes) -> None:
    producer = KafkaProducer(bootstrap_servers=settings["KAFKA_BOOTSTRAP_SERVERS"])
    for message in messages:
        producer.send(settings["KAFKA_TOPIC_PREFIX"] + topic, message).get(30)
    producer.close()


def read(settings: Mapping[str, str], topic: str, count: int) -> list[Any]:
    consumer = KafkaConsumer(
        settings["KAFKA_TOPIC_PREFIX"] + topic,
        bootstrap_servers=settings["KAFKA_BOOTSTRAP_SERVERS"],
        auto_offset_reset="earliest",
        consumer_timeout_ms=20000,
    )
    messages = [next(consumer) for _ in range(count)]
    consumer.close()
    return messages


def new_user(**changes: Any) -> bytes:
    event = {
        "event_id": str(uuid4()),
        "schema_version": 1,
        "occurred_at": "2026-01-02T03:04:05.678901",
        "first_name": "Анна",
        "last_name": "O'Neil",
        "email": f"{uuid4().hex}@example.com",
        "phone": None,
        "loyalty_status": "Gold",
    }
    return json.dumps({**event, **changes}).encode()


def review(**changes: Any) -> bytes:
    event = {
        "event_id": str(uuid4()),
        "schema_version": 1,
        "occurred_at": "2026-01-02T03:04:05",
        "user_id": 1,
        "product_id": 1,
        "rating": 5,
        "review_text": "Хорошо",
    }
    return json.dumps({**event, **changes}).encode()


@pytest.fixture
def shop(postgres: dict[str, str], kafka: dict[str, str], run: Callable[..., Any]) -> dict[str, str]:
    settings = {**postgres, **kafka}
    run("shop-init", env=settings)
    run("shop-generate", *("--users", 9, "--products", 9, "--orders", 9, "--seed", 1), env=settings)
    run("shop-consume", "--until-caught-up", env=settings)  # makes the topics
    return settings


def consume(run: Callable[..., Any], settings: Mapping[str, str]) -> dict[str, Any]:
    result: dict[str, Any] = run("shop-consume", "--until-caught-up", env=settings).result
    return {name: result[name] for name in ("read", "stored", "repeated", "dead_letters")}


def test_events_that_are_sent_are_stored(shop: dict[str, str], run: Callable[..., Any]) -> None:
    sent = run("shop-produce", "--users", 20, "--reviews", 30, "--seed", 3, env=shop).result
    assert sent["events_sent"] == 50
    assert consume(run, shop) == {"read": 50, "stored": 50, "repeated": 0, "dead_letters": 0}
    assert query(shop, "SELECT count(*) FROM users") == [(29,)]
    assert query(shop, "SELECT count(*) FROM reviews") == [(30,)]


def test_an_event_sent_twice_counts_once(shop: dict[str, str], run: Callable[..., Any]) -> None:
    event = new_user()
    send(shop, "new_user_events", event, event)
    assert consume(run, shop) == {"read": 2, "stored": 1, "repeated": 1, "dead_letters": 0}
    send(shop, "new_user_events", event)
    assert consume(run, shop) == {"read": 1, "stored": 0, "repeated": 1, "dead_letters": 0}
    assert query(shop, "SELECT first_name, last_name FROM users WHERE user_id > 9") == [("Анна", "O'Neil")]


def test_a_producer_that_is_tried_again_adds_nothing(shop: dict[str, str], run: Callable[..., Any]) -> None:
    for _ in range(2):
        run("shop-produce", "--users", 5, "--reviews", 5, "--seed", 3, env=shop)
    assert consume(run, shop) == {"read": 20, "stored": 10, "repeated": 10, "dead_letters": 0}


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (b"{not json", "Invalid JSON"),
        (b"\xff\xfe", "Invalid JSON"),
        (new_user(schema_version=2), "schema_version: Input should be 1"),
        (new_user(loyalty_status="Platinum"), "loyalty_status"),
        (new_user(first_name="a\0b"), "first_name"),
        (new_user(surprise=1), "surprise"),
        (new_user(email="user1.1@example.com"), "users_email_key"),
    ],
)
def test_a_bad_event_goes_to_the_dead_letters_with_the_reason_and_the_rest_go_on(
    shop: dict[str, str], run: Callable[..., Any], message: bytes, reason: str
) -> None:
    send(shop, "new_user_events", new_user(), message, new_user())
    assert consume(run, shop) == {"read": 3, "stored": 2, "repeated": 0, "dead_letters": 1}
    (letter,) = read(shop, "new_user_events_dead_letter", 1)
    headers = {name: value.decode() for name, value in letter.headers}
    assert letter.value == message
    assert reason in headers["reason"]
    assert headers["offset"] == "1"


def test_a_review_of_what_is_not_there_is_put_aside(shop: dict[str, str], run: Callable[..., Any]) -> None:
    send(shop, "new_review_events", review(), review(product_id=10**6), review(rating=6), review(user_id=2))
    assert consume(run, shop) == {"read": 4, "stored": 2, "repeated": 0, "dead_letters": 2}
    reasons = {
        dict(letter.headers)["reason"].decode() for letter in read(shop, "new_review_events_dead_letter", 2)
    }
    assert any("reviews_product_id_fkey" in reason for reason in reasons)
    assert any("rating" in reason for reason in reasons)


def test_a_second_consumer_is_refused(
    shop: dict[str, str], run: Callable[..., Any], start: Callable[..., Any]
) -> None:
    first = start("shop-consume", env=shop)
    locks = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = 70003 AND granted"
    in_database = f"{locks} AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
    while query(shop, in_database) == [(0,)]:
        assert first.poll() is None
    refused = run("shop-consume", "--until-caught-up", env=shop, check=False)
    assert refused.status == 1
    assert "Another shop-consume works on this database" in refused.log
    first.terminate()
    assert first.wait(30) == 0


def test_events_that_kafka_has_lost_are_not_passed_over(shop: dict[str, str], run: Callable[..., Any]) -> None:
    topic = shop["KAFKA_TOPIC_PREFIX"] + "new_user_events"
    with to_postgres(shop) as connection:
        connection.execute("INSERT INTO shop.consumer_offsets VALUES (%s, 0, 5)", [topic])
    refused = run("shop-consume", "--until-caught-up", env=shop, check=False)
    assert refused.status == 1
    assert "the next event to store is number 5, but Kafka has 0 to 0" in refused.log


def test_settings_that_are_missing_are_named(postgres: dict[str, str], run: Callable[..., Any]) -> None:
    run("shop-init", env=postgres)
    refused = run("shop-consume", env=postgres, check=False)
    assert refused.status == 2
    assert "KAFKA_BOOTSTRAP_SERVERS is not set" in refused.log
