"""The plan that determines all rows of a batch, and how the database stores it."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import date
from typing import Any

from martline.shop.generation.catalogue import categories

TABLES = ("users", "productcategories", "products", "orders", "orderdetails", "reviews", "loyaltypoints")
"""The tables, in an order in which parents come before the rows that reference them."""
LOCALES = ("en_US", "ru_RU")
YEARS = 3
"""How many years the shop has been selling at the end of the last day."""


@dataclass(frozen=True)
class Sizes:
    """How many rows a batch adds; an order comes with one to five details."""

    users: int
    products: int
    orders: int
    reviews: int
    loyalty: int

    def lacking(self) -> dict[str, str]:
        """The tables that get no rows although others need them, each with a sentence that says which."""
        needs = {
            "users": (self.orders or self.loyalty, "Orders and loyalty entries need users"),
            "products": (self.orders, "Orders need products"),
            "orders": (self.reviews, "Reviews need orders"),
        }
        return {table: need for table, (wanted, need) in needs.items() if wanted and not getattr(self, table)}


@dataclass(frozen=True)
class Plan:
    """A batch. Each of its rows depends only on this plan, the table and the row's number."""

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
    """How many rows of each kind of defect come after the batch's own rows."""
    earlier: Mapping[str, "Plan"] = field(default_factory=dict)
    """For each table of which the batch needs rows but adds none: the earlier batch whose rows it uses."""

    @property
    def language(self) -> str:
        """The language of names and texts, ``en`` or ``ru``."""
        return self.locale[:2]

    def as_json(self) -> dict[str, Any]:
        """The plan in the form in which the database stores it."""
        earlier = {table: plan.as_json() for table, plan in self.earlier.items()}
        return {**asdict(self), "until": self.until.isoformat(), "earlier": earlier}

    @classmethod
    def from_json(cls, kept: Mapping[str, Any]) -> "Plan":
        """The plan from the form in which the database stores it."""
        leaves = tuple((int(number), str(name)) for number, name in kept["leaves"])
        until = date.fromisoformat(kept["until"])
        earlier = {table: cls.from_json(plan) for table, plan in kept["earlier"].items()}
        changed = {"sizes": Sizes(**kept["sizes"]), "until": until, "leaves": leaves, "earlier": earlier}
        return cls(**{**kept, **changed})


def own_leaves(locale: str, first_id: int = 1) -> tuple[tuple[int, str], ...]:
    """The ids and names of the leaves of the category tree that a batch adds."""
    tree = categories(locale[:2])
    return tuple((first_id + number, category.name) for number, category in enumerate(tree) if category.piece)
