"""Generated events: their ids and texts depend only on the seed and the event's number.

Each event is a template of bytes with values filled in, because calling a serializer takes longer than everything
else.
"""

import hashlib
import json
import math
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from itertools import cycle, islice

from martline.shop.events.schema import FIRST_SENT_USER, NewReview, NewUser
from martline.shop.generation.plan import LOCALES
from martline.shop.generation.pool_files import read_pools

USERS_OF_A_SEED = 2**24
"""How many user ids each seed has."""
SMALL_SEEDS = 2**28
"""Smaller seeds have ids of their own. Larger seeds share the remaining ids, by their hash."""
LARGE_SEEDS = SMALL_SEEDS - FIRST_SENT_USER // USERS_OF_A_SEED
LOYALTY = (b"Gold", b"Silver", b"Bronze")

Maker = Callable[[range], Iterator[tuple[bytes, bytes]]]
"""Makes the keys and the JSON of events from their numbers. The events occur at the time of the call."""


def user_maker(seed: int) -> Maker:
    """Events of new users. The key is the user's id, so all events of a user are in one partition."""
    first_names, last_names = _names("first_names"), _names("last_names")
    # The two lengths must have no common divisor, so that all pairs of names occur.
    while math.gcd(len(first_names), len(last_names)) > 1:
        last_names.pop()
    head, first_id = _id_head(seed, NewUser.topic), first_user(seed)

    def make(numbers: range) -> Iterator[tuple[bytes, bytes]]:
        template = (
            f'{{"event_id":"{head}%012x","event_type":"new_user","schema_version":1,"occurred_at":"{_now()}"'
            f',"user_id":%d,"first_name":%b,"last_name":%b,"email":"new%d.{seed}@example.com","phone":"+7%010d"'
            ',"loyalty_status":"%b"}'
        ).encode()
        ids = range(first_id + numbers.start, first_id + numbers.stop)
        phones = ((number * 7_368_787 + seed) % 10**10 for number in numbers)
        values = zip(
            *(numbers, ids, _in_turn(first_names, numbers), _in_turn(last_names, numbers)),
            *(numbers, phones, _in_turn(LOYALTY, numbers)),
            strict=False,
        )
        return zip(map(b"%d".__mod__, ids), map(template.__mod__, values), strict=True)

    return make


def review_maker(seed: int, purchases: Sequence[tuple[int, int]]) -> Maker:
    """Events of new reviews, by users and of products from ``purchases``."""
    texts = [_quoted(text) for locale in LOCALES for text in read_pools(locale)["texts"]]
    head = _id_head(seed, NewReview.topic)

    def make(numbers: range) -> Iterator[tuple[bytes, bytes]]:
        template = (
            f'{{"event_id":"{head}%012x","event_type":"new_review","schema_version":1,"occurred_at":"{_now()}"'
            ',"user_id":%d,"product_id":%d,"rating":%d,"review_text":%b}'
        ).encode()
        for number in numbers:
            drawn = (number * 2_654_435_761 + seed) % 2**32
            user, product = purchases[drawn % len(purchases)]
            rating, text = (drawn >> 8) % 5 + 1, texts[drawn % len(texts)]
            yield b"%d" % user, template % (number, user, product, rating, text)

    return make


def _in_turn(pool: Sequence[bytes], numbers: range) -> Iterator[bytes]:
    """For each number an entry of the pool, which starts again after its end."""
    start = numbers.start % len(pool)
    return islice(cycle([*pool[start:], *pool[:start]]), len(numbers))


def first_user(seed: int) -> int:
    """The id of the first user of this seed."""
    slot = seed if seed < SMALL_SEEDS else SMALL_SEEDS + _hash(f"{seed}") % LARGE_SEEDS
    return FIRST_SENT_USER + slot * USERS_OF_A_SEED


def _id_head(seed: int, topic: str) -> str:
    """A UUID of version 8 (RFC 9562) up to the event's number. Such ids ascend within a seed."""
    digits = f"{_hash(f'{topic} {seed}'):016x}"
    return f"{digits[:8]}-{digits[8:12]}-8{digits[12:15]}-8000-"


def _hash(text: str) -> int:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8])


def _names(pool: str) -> list[bytes]:
    return [_quoted(name) for locale in LOCALES for names in read_pools(locale)[pool] for name in names]


def _quoted(text: str) -> bytes:
    return json.dumps(text, ensure_ascii=False).encode()


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
