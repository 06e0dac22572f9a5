"""Events through Kafka: each takes effect once, and those that can't be stored become dead letters."""

import json
import time
import urllib.request
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from jsonschema import Draft202012Validator, FormatChecker
from tests.connections import to_postgres
from tests.ports import free_port
from tests.shop_events import SHOP, TOPICS, Broker, new_user, review, schema_of

USERS, REVIEWS = TOPICS
NEW_USER_ID = 2**40 + 12345

Consume = Callable[..., dict[str, Any]]
Letters = Callable[[], list[dict[str, Any]]]


def query(settings: Mapping[str, str], statement: str) -> list[Any]:
    with to_postgres(settings) as connection:
        return connection.execute(statement.encode()).fetchall()


@pytest.fixture
def shop(postgres: dict[str, str], kafka: dict[str, str], run: Callable[..., Any]) -> dict[str, str]:
    settings = {**postgres, **kafka}
    run("shop-init", env=settings)
    with to_postgres(settings) as connection:
        connection.execute(SHOP)
    Broker(settings).make_topics()
    return settings


@pytest.fixture
def broker(shop: dict[str, str]) -> Broker:
    return Broker(shop)


@pytest.fixture
def consume(shop: dict[str, str], run: Callable[..., Any]) -> Consume:
    """Store the events that are in Kafka. By default, a review does not wait for its user."""

    def consume(*options: object) -> dict[str, Any]:
        arguments = ("--until-caught-up", "--wait-for-user", 0, *options)
        result: dict[str, Any] = run("shop-consume", *arguments, env=shop).result
        return {name: result[name] for name in ("read", "stored", "repeated", "dead_letters")}

    return consume


@pytest.fixture
def letters(shop: dict[str, str], run: Callable[..., Any]) -> Letters:
    def letters() -> list[dict[str, Any]]:
        output = run("shop-dead-letters", "list", env=shop).output
        *lines, result = map(json.loads, output.splitlines())
        assert result["dead_letters"] == len(lines)
        return lines

    return letters


def counts(read: int, stored: int, repeated: int = 0, dead_letters: int = 0) -> dict[str, int]:
    return {"read": read, "stored": stored, "repeated": repeated, "dead_letters": dead_letters}


def test_events_that_are_sent_are_stored(shop: dict[str, str], run: Callable[..., Any], consume: Consume) -> None:
    sent = run("shop-produce", "--users", 20, "--reviews", 30, "--seed", 3, env=shop).result
    assert sent["events_sent"] == 50
    assert sent["events_per_second"] > 0
    assert set(sent["latency_ms"]) == {"p50", "p95", "p99", "max"}
    assert consume() == counts(50, 50)
    assert query(shop, "SELECT count(*) FROM users") == [(29,)]
    assert query(shop, "SELECT count(*) FROM reviews") == [(30,)]


def test_what_is_sent_reads_as_the_documented_schema_says(
    shop: dict[str, str], run: Callable[..., Any], broker: Broker
) -> None:
    run("shop-produce", "--users", 20, "--reviews", 20, "--seed", 2**60, env=shop)
    for topic in TOPICS:
        validator = Draft202012Validator(schema_of(topic), format_checker=FormatChecker())
        messages = broker.read(topic)
        assert len(messages) == 20
        for message in messages:
            validator.validate(json.loads(message.value))
            # A user's events are in one partition of each topic, and so in order.
            assert message.key == str(json.loads(message.value)["user_id"]).encode()


def test_events_go_at_the_rate_that_is_asked_for(shop: dict[str, str], run: Callable[..., Any]) -> None:
    sent = run("shop-produce", "--users", 3000, "--reviews", 2000, "--rate", 1000, env=shop).result
    assert 900 < sent["events_per_second"] <= 1020  # the last answers of a busy server may be late


def test_an_event_sent_twice_counts_once(shop: dict[str, str], broker: Broker, consume: Consume) -> None:
    event = new_user()
    broker.send(USERS, event, event)
    assert consume() == counts(2, 1, repeated=1)
    broker.send(USERS, event)
    assert consume() == counts(1, 0, repeated=1)
    assert query(shop, "SELECT first_name, last_name FROM users WHERE user_id > 9") == [("Анна", "O'Neil")]


def test_a_producer_that_is_tried_again_adds_nothing_though_the_shop_has_grown(
    shop: dict[str, str], run: Callable[..., Any], consume: Consume
) -> None:
    run("shop-produce", "--users", 5, "--reviews", 50, "--seed", 3, env=shop)
    assert consume() == counts(55, 55)
    run("shop-generate", *("--users", 5, "--products", 5, "--orders", 7, "--seed", 99), env=shop)
    run("shop-produce", "--users", 5, "--reviews", 50, "--seed", 3, env=shop)
    assert consume() == counts(55, 0, repeated=55)


def test_texts_come_out_as_they_were_sent(shop: dict[str, str], broker: Broker, consume: Consume) -> None:
    awkward = 'tab\t line\n return\r back\\slash \\N \\. quote" 😀 \x01\x7f  '
    broker.send(REVIEWS, review(review_text=awkward), review(review_text=""), review(review_text=None))
    broker.send(USERS, new_user(last_name="\\N", first_name="\\"), new_user(phone=""))
    assert consume() == counts(5, 5)
    assert query(shop, "SELECT review_text FROM reviews ORDER BY review_text") == [("",), (awkward,), (None,)]
    assert ("\\", "\\N") in query(shop, "SELECT first_name, last_name FROM users")


@pytest.mark.parametrize(
    ("time", "stored"),
    [
        ("2026-01-02T03:04:05", "2026-01-02 03:04:05"),
        ("2026-01-02T03:04:05.678901Z", "2026-01-02 03:04:05.678901"),
        ("2026-01-02T03:04:05+00:00", "2026-01-02 03:04:05"),
        ("2026-01-02T03:04:05+05:30", "2026-01-01 21:34:05"),
    ],
)
def test_a_time_is_stored_in_utc(
    shop: dict[str, str], broker: Broker, consume: Consume, time: str, stored: str
) -> None:
    broker.send(REVIEWS, review(occurred_at=time))
    assert consume() == counts(1, 1)
    assert query(shop, "SELECT created_at::text FROM reviews") == [(stored,)]


BAD_USERS: dict[str, tuple[bytes | None, str]] = {
    "not JSON": (b"{not json", "not JSON in UTF-8"),
    "not UTF-8": (b"\xff\xfe", "not JSON in UTF-8"),
    "no value": (None, "the message has no value"),
    "an empty value": (b"", "not JSON in UTF-8"),
    "a list": (b"[]", "Expected `object`"),
    "an unknown version": (new_user(schema_version=2), "schema_version: Invalid enum value 2"),
    "a version that is a text": (new_user(schema_version="1"), "schema_version: Expected `int`, got `str`"),
    "an unknown type": (new_user(event_type="new_review"), "event_type: Invalid enum value"),
    "a value not in the list": (new_user(loyalty_status="Platinum"), "loyalty_status"),
    "NUL": (new_user(first_name="a\0b"), "first_name: PostgreSQL can't store the character with code zero"),
    "a lone surrogate": (new_user(first_name="a\ud800b"), "surrogate"),
    "an unknown field": (new_user(surprise=1), "unknown field `surprise`"),
    "a missing field": (new_user(email=...), "missing required field `email`"),
    "an e-mail that is none": (new_user(email="a@b\n"), "email"),
    "an e-mail with two @": (new_user(email="a@b@c"), "email"),
    "too long a name": (new_user(last_name="я" * 101), "last_name: Expected `str` of length <= 100"),
    "an e-mail that somebody has": (new_user(email="taken@example.com"), "users_email_key"),
    "an id of the database's own": (new_user(user_id=5), "user_id: Expected `int` >= 1099511627776"),
    "a year beyond the calendar": (new_user(occurred_at="0001-01-01T00:00:00+05:00"), "occurred_at"),
    "a number as time": (new_user(occurred_at=1767323045), "occurred_at: Expected `datetime`"),
    "5 MB": (new_user(first_name="x" * 5_000_000), "the message is too long: 5000"),
    "a field's name of 600 kB": (new_user(**{"\n" + "x" * 600_000: 1}), "unknown field `\\nxxxxx"),
    "deep nesting": (b'{"email":' * 100_000, "email"),
}
BAD_REVIEWS: dict[str, tuple[bytes | None, str]] = {
    "rating 7": (review(rating=7), "rating: Expected `int` <= 5"),
    "a text as rating": (review(rating="5"), "rating: Expected `int`, got `str`"),
    "a fraction as rating": (review(rating=5.0), "rating: Expected `int`, got `float`"),
    "true as rating": (review(rating=True), "rating: Expected `int`, got `bool`"),
    "a number beyond 64 bits": (review(user_id=2**64 + 1), "user_id: Expected `int` <= 9223372036854775807"),
    "a number of 5000 digits": (review().replace(b'"rating": 5', b'"rating": ' + b"9" * 5000), "rating: Integer"),
    "an unknown user": (review(user_id=10**6), "there is no user 1000000"),
    "an unknown product": (review(product_id=10**6), "there is no product 1000000"),
}


@pytest.mark.parametrize(
    ("topic", "bad", "good"),
    [(USERS, BAD_USERS, new_user), (REVIEWS, BAD_REVIEWS, review)],
    ids=("users", "reviews"),
)
def test_bad_events_are_put_aside_with_the_reason_and_the_rest_go_on(
    shop: dict[str, str],
    run: Callable[..., Any],
    broker: Broker,
    consume: Consume,
    letters: Letters,
    topic: str,
    bad: dict[str, tuple[bytes | None, str]],
    good: Callable[..., bytes],
) -> None:
    broker.send(USERS, new_user(email="taken@example.com"))
    consume()
    broker.send(topic, good())
    for name, (message, _) in bad.items():
        broker.send(topic, message, key=name.encode(), headers=[("from", b"a test"), ("none", None)])
        broker.send(topic, good())
    assert consume() == counts(2 * len(bad) + 1, len(bad) + 1, dead_letters=len(bad))
    put_aside = letters()
    assert len(put_aside) == len(bad)
    for letter in put_aside:
        shown = run("shop-dead-letters", "show", letter["id"], env=shop).result
        message, reason = bad[shown["key"]]
        assert reason in letter["reason"], shown["key"]
        assert len(letter["reason"]) <= 300
        assert letter["bytes"] == (None if message is None else len(message))
        assert (letter["topic"], letter["tries"]) == (shop["KAFKA_TOPIC_PREFIX"] + topic, 1)
        assert shown["headers"] == [["from", "a test"], ["none", None]]


def test_a_dead_letter_keeps_the_original_bytes(
    shop: dict[str, str], run: Callable[..., Any], broker: Broker, consume: Consume
) -> None:
    message = b"\x00\xff not an event \n" * 150_000  # more than one piece
    broker.send(USERS, message)
    assert consume() == counts(1, 0, dead_letters=1)
    [(letter, kept)] = query(
        shop,
        "SELECT dead_letter_id, string_agg(bytes, '' ORDER BY piece) FROM shop.dead_letter_pieces"
        " WHERE part = 'value' GROUP BY 1",
    )
    assert kept == message
    assert run("shop-dead-letters", "show", letter, env=shop).result["value"]["base64"]


def test_dead_letters_that_are_stored_when_replayed_leave_the_list(
    shop: dict[str, str], run: Callable[..., Any], broker: Broker, consume: Consume, letters: Letters
) -> None:
    broker.send(REVIEWS, review(user_id=NEW_USER_ID), review(user_id=NEW_USER_ID + 1), b"never")
    assert consume() == counts(3, 0, dead_letters=3)
    broker.send(USERS, new_user(user_id=NEW_USER_ID))
    consume()

    def replay(*options: object) -> tuple[int, int, int, int]:
        result = run("shop-dead-letters", "replay", *options, env=shop).result
        return result["tried"], result["stored"], result["failed"], result["dead_letters"]

    assert replay("--dry-run") == (3, 1, 2, 3)
    assert [letter["tries"] for letter in letters()] == [1, 1, 1]
    assert query(shop, "SELECT count(*) FROM reviews") == [(0,)]
    assert replay("--max", 1)[0] == 1
    assert replay()[2:] == (2, 2)
    assert query(shop, "SELECT count(*) FROM reviews") == [(1,)]
    assert {letter["reason"].split(":")[0] for letter in letters()} == {"user_id", "not JSON in UTF-8"}
    assert max(letter["tries"] for letter in letters()) >= 2
    assert run("shop-dead-letters", "discard", "--older-than", 0, env=shop).result["removed"] == 2
    assert letters() == []


def test_a_review_waits_for_its_user_whichever_topic_is_ahead(
    shop: dict[str, str], start: Callable[..., Any], broker: Broker, letters: Letters
) -> None:
    consumer = start("shop-consume", "--wait-for-user", 60, env=shop)
    broker.send(REVIEWS, review(user_id=NEW_USER_ID))
    waiting = "SELECT count(*) FROM shop.dead_letters WHERE waits_until IS NOT NULL"
    wait_until(lambda: query(shop, waiting) == [(1,)])
    assert query(shop, "SELECT count(*) FROM reviews") == [(0,)]
    broker.send(USERS, new_user(user_id=NEW_USER_ID))
    wait_until(lambda: query(shop, f"SELECT count(*) FROM reviews WHERE user_id = {NEW_USER_ID}") == [(1,)])
    assert letters() == []
    consumer.terminate()
    assert consumer.wait(30) == 0


def test_a_run_that_is_to_end_waits_for_users_too(
    shop: dict[str, str], run: Callable[..., Any], broker: Broker
) -> None:
    broker.send(REVIEWS, review(user_id=NEW_USER_ID), review(user_id=NEW_USER_ID + 1))
    broker.send(USERS, new_user(user_id=NEW_USER_ID))
    result = run("shop-consume", "--until-caught-up", "--wait-for-user", 10, env=shop).result
    assert {name: result[name] for name in counts(0, 0)} == counts(3, 2, dead_letters=1)


@pytest.mark.parametrize(
    ("codec", "size"),
    [("gzip", 300_000_000), ("snappy", 10_000_000), ("lz4", 100_000_000), ("zstd", 300_000_000)],
)
def test_every_codec_is_read_and_so_is_what_it_makes_of_a_large_message(
    broker: Broker, consume: Consume, letters: Letters, codec: str, size: int
) -> None:
    compression = {"compression.type": codec}
    broker.send(USERS, *(new_user() for _ in range(20)), settings=compression)
    broker.send(USERS, b"x" * size, settings=compression)  # less than 1 MB for Kafka
    broker.send(USERS, new_user())
    assert consume() == counts(22, 21, dead_letters=1)
    assert [letter["bytes"] for letter in letters()] == [size]


def test_only_what_is_committed_is_stored(shop: dict[str, str], broker: Broker, consume: Consume) -> None:
    broker.send_in_transaction(USERS, new_user(first_name="Aborted"), commit=False)
    # A transaction's marker is the last thing in the partition.
    assert consume() == counts(0, 0)
    broker.send_in_transaction(USERS, new_user(first_name="Committed"), commit=True)
    assert consume() == counts(1, 1)
    with broker.open_transaction(USERS, new_user(first_name="Open")):
        assert consume() == counts(0, 0)
        broker.send(USERS, new_user(first_name="Behind"))
        assert consume() == counts(0, 0)
    # It was aborted.
    assert consume() == counts(1, 1)
    names = (
        "SELECT first_name FROM users WHERE first_name IN ('Aborted', 'Committed', 'Open', 'Behind') ORDER BY 1"
    )
    assert query(shop, names) == [("Behind",), ("Committed",)]


def test_a_topic_that_was_made_anew_is_refused_until_it_is_started_over(
    shop: dict[str, str], run: Callable[..., Any], broker: Broker, consume: Consume
) -> None:
    topic = shop["KAFKA_TOPIC_PREFIX"] + USERS
    run("shop-produce", "--users", 36, "--seed", 1, env=shop)
    assert consume() == counts(36, 36)
    broker.make_anew(USERS)
    run("shop-produce", "--users", 46, "--seed", 2, env=shop)
    refused = run("shop-consume", "--until-caught-up", env=shop, check=False)
    assert refused.status == 1
    assert f"The topic {topic} was deleted and created again" in refused.log
    assert f"run shop-consume --start-over {topic}" in refused.log
    assert consume("--start-over", topic) == counts(46, 46)
    assert query(shop, "SELECT count(*) FROM users") == [(9 + 36 + 46,)]


def test_a_topic_that_is_made_anew_under_a_consumer_is_noticed(
    shop: dict[str, str], run: Callable[..., Any], start: Callable[..., Any], broker: Broker
) -> None:
    broker.send(USERS, *(new_user() for _ in range(5)))
    consumer = start("shop-consume", env=shop)
    wait_until(lambda: query(shop, "SELECT count(*) FROM users") == [(14,)])
    broker.make_anew(USERS)
    broker.send(USERS, *(new_user() for _ in range(10)))
    log = consumer.communicate(timeout=60)[1]
    assert consumer.returncode == 1
    assert "created again" in log or "is gone from Kafka" in log
    assert query(shop, "SELECT count(*) FROM users") == [(14,)]


def test_a_topic_that_is_gone_is_not_made_anew(
    shop: dict[str, str], run: Callable[..., Any], broker: Broker, consume: Consume
) -> None:
    broker.send(USERS, new_user())
    consume()
    broker.delete(USERS)
    refused = run("shop-consume", "--until-caught-up", env=shop, check=False)
    assert refused.status == 1
    assert f"{USERS} is gone from Kafka" in refused.log


def test_events_that_kafka_has_removed_unread_are_not_passed_over(
    shop: dict[str, str], run: Callable[..., Any], broker: Broker, consume: Consume
) -> None:
    consume()  # from here on, removed messages are missed
    broker.send(USERS, *(new_user() for _ in range(5)))
    broker.remove_before(USERS, 3)
    refused = run("shop-consume", "--until-caught-up", env=shop, check=False)
    assert refused.status == 1
    assert "the next event to store is number 0, but Kafka has 3 to 5; nothing was skipped" in refused.log
    assert consume("--start-over", shop["KAFKA_TOPIC_PREFIX"] + USERS) == counts(2, 2)


def test_partitions_that_are_added_are_found(
    shop: dict[str, str], start: Callable[..., Any], broker: Broker
) -> None:
    consumer = start("shop-consume", env=shop)
    broker.send(USERS, new_user())
    wait_until(lambda: query(shop, "SELECT count(*) FROM users") == [(10,)])
    broker.add_partitions(USERS, 5)
    for partition in range(5):
        broker.send(USERS, new_user(), partition=partition)
    wait_until(lambda: query(shop, "SELECT count(*) FROM users") == [(15,)])
    consumer.terminate()
    assert consumer.wait(30) == 0


def test_consumers_share_the_partitions_and_take_them_over(
    shop: dict[str, str], run: Callable[..., Any], start: Callable[..., Any], broker: Broker
) -> None:
    consumers = [start("shop-consume", env=shop) for _ in range(2)]
    group = query(shop, "SELECT name FROM shop.consumer_group")[0][0]
    name = f"{shop['KAFKA_TOPIC_PREFIX']}shop-consume-{group}"
    wait_until(lambda: broker.members(name) == 2)
    run("shop-produce", "--users", 3000, "--seed", 5, env=shop)
    wait_until(lambda: query(shop, "SELECT count(*) FROM users") == [(3009,)])
    consumers[0].kill()
    run("shop-produce", "--users", 3000, "--seed", 6, env=shop)
    wait_until(lambda: query(shop, "SELECT count(*) FROM users") == [(6009,)])
    # Tools that show the lag read the group's offsets.
    wait_until(lambda: broker.committed(name, USERS) == 6000)
    consumers[1].terminate()
    assert consumers[1].wait(30) == 0


def test_a_consumer_that_was_overtaken_rolls_back(
    shop: dict[str, str], run: Callable[..., Any], start: Callable[..., Any], broker: Broker
) -> None:
    """The two groups make Kafka give all partitions to both consumers, so only PostgreSQL fences them off."""
    first, second = (
        start("shop-consume", env={**shop, "KAFKA_CONSUMER_GROUP": f"{shop['KAFKA_TOPIC_PREFIX']}{name}"})
        for name in ("one", "two")
    )
    for name in ("one", "two"):
        wait_until(lambda group=shop["KAFKA_TOPIC_PREFIX"] + name: broker.members(group) == 1)
    run("shop-produce", "--users", 20_000, "--rate", 10_000, "--seed", 5, env=shop)
    wait_until(lambda: query(shop, "SELECT count(*) FROM users") == [(20_009,)])
    logs = []
    for consumer in (first, second):
        consumer.terminate()
        output, log = consumer.communicate(timeout=30)
        assert consumer.returncode == 0, log
        assert json.loads(output)["dead_letters"] == json.loads(output)["repeated"] == 0
        logs.append(log)
    assert any("Another consumer has stored these events" in log for log in logs)


def test_metrics_and_health_are_served(shop: dict[str, str], start: Callable[..., Any], broker: Broker) -> None:
    port = free_port()
    consumer = start("shop-consume", "--metrics-port", port, env=shop)

    def get(path: str) -> str:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/{path}", timeout=10) as answer:
            return str(answer.read().decode())

    broker.send(USERS, new_user(), b"bad")
    wait_until(lambda: query(shop, "SELECT count(*) FROM users") == [(10,)])
    wait_until(lambda: 'shop_consumer_events_total{outcome="stored"} 1.0' in get("metrics"))
    metrics = get("metrics")
    assert 'shop_consumer_events_total{outcome="dead_letter"} 1.0' in metrics
    topic = shop["KAFKA_TOPIC_PREFIX"] + USERS
    wait_until(lambda: f'shop_consumer_lag_messages{{partition="0",topic="{topic}"}} 0.0' in get("metrics"))
    assert f'shop_consumer_lag_seconds{{partition="0",topic="{topic}"}} 0.0' in get("metrics")
    assert json.loads(get("healthz"))["state"] in ("idle", "storing")
    consumer.terminate()
    assert consumer.wait(30) == 0


def test_a_producer_says_how_many_events_kafka_did_not_take(
    shop: dict[str, str], run: Callable[..., Any], broker: Broker
) -> None:
    broker.configure(USERS, "max.message.bytes", "10")
    refused = run("shop-produce", "--users", 7, "--seed", 4, "--delivery-timeout", 5, env=shop, check=False)
    assert refused.status == 1
    assert "Kafka did not acknowledge 7 of 7 events" in refused.log
    assert "--seed 4" in refused.log


def test_a_producer_that_is_stopped_says_how_many_events_it_has_not_sent(
    shop: dict[str, str], start: Callable[..., Any], broker: Broker
) -> None:
    sending = start("shop-produce", "--users", 100_000, "--rate", 500, "--seed", 4, env=shop)
    while len(broker.read(USERS)) < 100:
        assert sending.poll() is None, sending.stderr.read()
    sending.terminate()
    _, log = sending.communicate(timeout=20)
    assert sending.returncode == 1
    assert f"{100_000 - len(broker.read(USERS))} of 100000 events" in log
    assert "--seed 4" in log


def test_a_producer_that_is_stopped_does_not_wait_for_a_broker_that_is_away(
    shop: dict[str, str], start: Callable[..., Any]
) -> None:
    away = {**shop, "KAFKA_BOOTSTRAP_SERVERS": f"127.0.0.1:{free_port()}"}
    sending = start("shop-produce", "--users", 7, "--seed", 4, env=away)
    assert "trying again" in sending.stderr.readline()
    sending.terminate()
    _, log = sending.communicate(timeout=15)
    assert sending.returncode == 1
    assert "7 of 7 events" in log


def test_topics_have_the_partitions_that_are_set(
    postgres: dict[str, str], kafka: dict[str, str], run: Callable[..., Any]
) -> None:
    settings = {**postgres, **kafka, "KAFKA_TOPIC_PARTITIONS": "4"}
    run("shop-init", env=settings)
    run("shop-consume", "--until-caught-up", env=settings)
    assert {Broker(settings).partitions(topic) for topic in TOPICS} == {4}
    other = {**settings, "KAFKA_TOPIC_PREFIX": f"{settings['KAFKA_TOPIC_PREFIX']}other_"}
    refused = run("shop-consume", env={**other, "KAFKA_TOPIC_PARTITIONS": "none"}, check=False)
    assert refused.status == 2
    assert "KAFKA_TOPIC_PARTITIONS is 'none'" in refused.log


def test_settings_that_are_missing_are_named(postgres: dict[str, str], run: Callable[..., Any]) -> None:
    run("shop-init", env=postgres)
    refused = run("shop-consume", env=postgres, check=False)
    assert refused.status == 2
    assert "KAFKA_BOOTSTRAP_SERVERS is not set" in refused.log


def test_a_server_that_is_away_is_waited_for_in_words(
    postgres: dict[str, str], kafka: dict[str, str], start: Callable[..., Any], run: Callable[..., Any]
) -> None:
    run("shop-init", env=postgres)
    settings = {**postgres, **kafka, "KAFKA_BOOTSTRAP_SERVERS": f"127.0.0.1:{free_port()}"}
    consumer = start("shop-consume", env=settings)
    line = consumer.stderr.readline()
    assert "can't be reached" in line
    assert "trying again in" in line
    began = time.monotonic()
    consumer.terminate()
    assert consumer.wait(30) == 0
    assert time.monotonic() - began < 15


def wait_until(is_so: Callable[..., bool], seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.1)
