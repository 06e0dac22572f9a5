"""Events that are made up: their ids and texts follow from the seed and their number alone.

They are written as JSON at once, since a serializer's call takes longer than the rest.
"""

import hashlib
import json
import math
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from martline.shop.events.schema import FIRST_SENT_USER, NewReview, NewUser
from martline.shop.generation.plan import LOCALES
from martline.shop.generation.pool_files import read_pools

USERS_OF_A_SEED = 2**24
"""Each seed has so many ids of users."""
SMALL_SEEDS = 2**28
"""Seeds below have ids of their own; those from here on share as many, by their hash."""
LARGE_SEEDS = SMALL_SEEDS - FIRST_SENT_USER // USERS_OF_A_SEED
LOYALTY = ("Gold", "Silver", "Bronze")

Maker = Callable[[int], tuple[str, str]]
"""From an event's number to its key and its JSON."""


def user_maker(seed: int) -> Maker:
    """Events of new users. The key is the user's id, so that all events of a user are in one partition."""
    first_names, last_names = _names("first_names"), _names("last_names")
    # Their numbers have no common divisor, so that all pairs occur.
    while math.gcd(len(first_names), len(last_names)) > 1:
        last_names.pop()
    number_of_names, number_of_last_names = len(first_names), len(last_names)
    head = f'{{"event_id":"{_id_head(seed, NewUser.topic)}'
    middle = f'","event_type":"new_user","schema_version":1,"occurred_at":"{_now()}","user_id":'
    first_id = first_user(seed)

    def make(number: int) -> tuple[str, str]:
        key = str(first_id + number)
        return key, (
            f'{head}{number:012x}{middle}{key},"first_name":{first_names[number % number_of_names]},"last_name":'
            f'{last_names[number % number_of_last_names]},"email":"new{number}.{seed}@example.com","phone":"+7'
            f'{(number * 7_368_787 + seed) % 10**10:010d}","loyalty_status":"{LOYALTY[number % 3]}"}}'
        )

    return make


def review_maker(seed: int, purchases: Sequence[tuple[int, int]]) -> Maker:
    """Events of new reviews, of users and products that ``purchases`` names."""
    texts = [_quoted(text) for locale in LOCALES for text in read_pools(locale)["texts"]]
    number_of_texts, number_of_purchases = len(texts), len(purchases)
    head = f'{{"event_id":"{_id_head(seed, NewReview.topic)}'
    middle = f'","event_type":"new_review","schema_version":1,"occurred_at":"{_now()}","user_id":'

    def make(number: int) -> tuple[str, str]:
        drawn = (number * 2_654_435_761 + seed) % 2**32
        user, product = purchases[drawn % number_of_purchases]
        return str(user), (
            f'{head}{number:012x}{middle}{user},"product_id":{product},"rating":{(drawn >> 8) % 5 + 1},'
            f'"review_text":{texts[drawn % number_of_texts]}}}'
        )

    return make


def first_user(seed: int) -> int:
    """The id of the first user whom this seed makes."""
    slot = seed if seed < SMALL_SEEDS else SMALL_SEEDS + _hash(f"{seed}") % LARGE_SEEDS
    return FIRST_SENT_USER + slot * USERS_OF_A_SEED


def _id_head(seed: int, topic: str) -> str:
    """A UUID of version 8 (RFC 9562) up to the event's number: in order, as PostgreSQL's index likes them."""
    digits = f"{_hash(f'{topic} {seed}'):016x}"
    return f"{digits[:8]}-{digits[8:12]}-8{digits[12:15]}-8000-"


def _hash(text: str) -> int:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8])


def _names(pool: str) -> list[str]:
    return [_quoted(name) for locale in LOCALES for names in read_pools(locale)[pool] for name in names]


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
