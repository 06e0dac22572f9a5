"""How much the DAGs generate and send."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Sizes:
    """What the DAGs generate and send at scale 1."""

    users: int = 500
    products: int = 800
    orders: int = 3000
    reviews: int = 2000
    loyalty: int = 3000
    user_events: int = 200
    review_events: int = 200
