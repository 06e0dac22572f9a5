"""`shop-consume` killed at random moments: each event counts once."""

import random
import time
from collections.abc import Callable
from typing import Any

from tests.connections import to_postgres

KILLS = 10
USERS = 20_000


def test_a_killed_consumer_loses_no_event_and_counts_none_twice(
    postgres: dict[str, str], kafka: dict[str, str], run: Callable[..., Any], start: Callable[..., Any]
) -> None:
    seed = random.randrange(10**9)
    print(f"seed {seed}")
    chance = random.Random(seed)
    settings = {**postgres, **kafka}
    run("shop-init", env=settings)
    run("shop-generate", "--users", 10, "--products", 10, "--orders", 50, "--seed", 1, env=settings)
    producer = start("shop-produce", "--users", USERS, "--reviews", 100, "--seed", 2, env=settings)
    for _ in range(KILLS):
        consumer = start("shop-consume", env=settings)
        time.sleep(chance.uniform(0.8, 2.5))
        assert consumer.poll() is None, consumer.stderr.read()
        consumer.kill()
        consumer.wait()
    log = producer.communicate(timeout=120)[1]
    assert producer.returncode == 0, log
    assert run("shop-consume", "--until-caught-up", env=settings).result["dead_letters"] == 0
    with to_postgres(postgres) as connection:
        [counts] = connection.execute(
            "SELECT (SELECT count(*) FROM users), (SELECT count(DISTINCT email) FROM users),"
            " (SELECT count(*) FROM reviews)"
        ).fetchall()
    assert counts == (10 + USERS, 10 + USERS, 100)
