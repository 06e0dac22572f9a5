"""What a batch of rows follows from, and how it is kept."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import date
from typing import Any

from martline.shop.generation.catalogue import categories

TABLES = ("users", "productcategories", "products", "orders", "orderdetails", "reviews", "loyaltypoints")
"""In an order in which each row's parents come before it."""
LOCALES = ("en_US", "ru_RU")
YEARS = 3
"""How long the shop has been selling on the last day."""


@dataclass(frozen=True)
class Sizes:
    """How many rows a batch adds; an order comes with one to five details."""

    users: int
    products: int
    orders: int
    reviews: int
    loyalty: int

    def lacking(self) -> dict[str, str]:
        """The tables that rows refer to and that get none, with what needs them."""
        needs = {
            "users": (self.orders or self.loyalty, "Orders and loyalty entries need users"),
            "products": (self.orders, "Orders need products"),
            "orders": (self.reviews, "Reviews need orders"),
        }
        return {table: need for table, (wanted, need) in needs.items() if wanted and not getattr(self, table)}


@dataclass(frozen=True)
class Plan:
    """A batch: all of its rows follow from this, each from its table and number alone."""

    seed: int
    sizes: Sizes
    locale: str
    until: date
    """The last day on which anything happens."""
    adds_categories: bool = True
    leaves: tuple[tuple[int, str], ...] = ()
    """The ids and names of the categories that products are in."""
    first_ids: Mapping[str, int] = field(default_factory=lambda: dict.fromkeys(TABLES, 1))
    dirty: int = 0
    """How many rows of each kind of defect come after the batch's own."""
    earlier: Mapping[str, "Plan"] = field(default_factory=dict)
    """The batches whose ``users``, ``products`` and ``orders`` it goes on with, where it has none of its own."""

    @property
    def language(self) -> str:
        """Of names and texts."""
        return self.locale[:2]

    def as_json(self) -> dict[str, Any]:
        """The form in which the database keeps it."""
        earlier = {table: plan.as_json() for table, plan in self.earlier.items()}
        return {**asdict(self), "until": self.until.isoformat(), "earlier": earlier}

    @classmethod
    def from_json(cls, kept: Mapping[str, Any]) -> "Plan":
        """Back from the form in which the database keeps it."""
        leaves = tuple((int(number), str(name)) for number, name in kept["leaves"])
        until = date.fromisoformat(kept["until"])
        earlier = {table: cls.from_json(plan) for table, plan in kept["earlier"].items()}
        changed = {"sizes": Sizes(**kept["sizes"]), "until": until, "leaves": leaves, "earlier": earlier}
        return cls(**{**kept, **changed})


def own_leaves(locale: str, first_id: int = 1) -> tuple[tuple[int, str], ...]:
    """The leaves of the tree that a batch adds."""
    tree = categories(locale[:2])
    return tuple((first_id + number, category.name) for number, category in enumerate(tree) if category.piece)
