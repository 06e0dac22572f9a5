"""The format of events, and generated events."""

import json

import pytest
from tests.shop_events import TOPICS, new_user, schema_of

from martline.shop.events.making import Maker, first_user, review_maker, user_maker
from martline.shop.events.schema import (
    KINDS,
    LAST_SENT_USER,
    REASON_LENGTH,
    NewReview,
    NewUser,
    Refused,
    json_schema,
    one_line,
    read_event,
)

PURCHASES = [(1, 2), (3, 4), (5, 6)]


def value_of(make: Maker, number: int) -> bytes:
    [(_, value)] = make(range(number, number + 1))
    return value


def test_the_documented_schemas_are_those_of_the_code() -> None:
    assert {kind.topic: json_schema(kind) for kind in KINDS} == {topic: schema_of(topic) for topic in TOPICS}


def test_an_event_follows_from_its_seed_and_number_alone() -> None:
    def without_time(event: bytes) -> dict[str, object]:
        return {name: value for name, value in json.loads(event).items() if name != "occurred_at"}

    for maker in (user_maker, lambda seed: review_maker(seed, PURCHASES)):
        some = [without_time(value) for _, value in maker(5)(range(1000, 4000))]
        assert some == [without_time(value_of(maker(5), number)) for number in range(1000, 4000)]
        assert some[0] != without_time(value_of(maker(6), 1000))
    few, more = review_maker(5, PURCHASES), review_maker(5, [*PURCHASES, (7, 8)])
    assert [json.loads(value)["event_id"] for _, value in few(range(50))] == [
        json.loads(value)["event_id"] for _, value in more(range(50))
    ]


@pytest.mark.parametrize("seed", [0, 1, 2**28 - 1, 2**28, 2**63 - 1])
def test_what_is_made_up_is_read_as_an_event(seed: int) -> None:
    last = 2**24 - 1
    for number in (0, 1, last):
        event, _ = read_event(NewUser, value_of(user_maker(seed), number))
        assert isinstance(event, NewUser)
        assert event.user_id == first_user(seed) + number <= LAST_SENT_USER
        assert event.event_id.version == 8
        read_event(NewReview, value_of(review_maker(seed, PURCHASES), number))


def test_seeds_have_users_and_ids_of_their_own() -> None:
    seeds = (*range(100), 2**40, 2**50)
    assert len({first_user(seed) for seed in seeds}) == len(seeds)
    makers = [user_maker(seed) for seed in (1, 2, 2**40)]
    ids = {json.loads(value)["event_id"] for make in makers for _, value in make(range(50))}
    assert len(ids) == 50 * len(makers)


def test_a_reason_is_one_line_of_bounded_length() -> None:
    with pytest.raises(Refused) as refused:
        read_event(NewUser, new_user(**{"\n\0" + "x" * 600_000: 1}))
    assert len(str(refused.value)) <= REASON_LENGTH
    assert str(refused.value).isprintable()
    assert one_line("короткий") == "короткий"
