"""The words that generated rows are made of: pools that Faker fills once, as a row by row call is slow."""

from dataclasses import dataclass
from random import Random

from faker import Faker

POOL_SIZE = 300


@dataclass(frozen=True)
class Names:
    """Pools of names and texts, in English and Russian."""

    first: list[str]
    last: list[str]
    products: list[str]
    sentences: list[str]

    @classmethod
    def seeded(cls, random: Random) -> "Names":
        """Pools that depend on the generator's seed alone."""
        faker = Faker(["en_US", "ru_RU"])
        faker.seed_instance(random.getrandbits(32))
        return cls(
            first=[faker.first_name() for _ in range(POOL_SIZE)],
            last=[faker.last_name() for _ in range(POOL_SIZE)],
            products=[faker.word().capitalize() for _ in range(POOL_SIZE)],
            sentences=[faker.sentence() for _ in range(POOL_SIZE)],
        )
