"""The shop's console scripts."""

import secrets

import click

from martline.command import Result, console_command
from martline.shop.source import connect, create_tables, require_tables

COUNT = click.IntRange(min=0)
# What PostgreSQL's bigint holds; Python's generator takes a negative seed for the positive one.
SEED = click.IntRange(min=0, max=2**63 - 1)


@console_command
def shop_init() -> Result:
    """Create the source's tables in PostgreSQL, where they are not there."""
    with connect() as connection:
        return {"tables": create_tables(connection)}


@console_command
@click.option("--users", type=COUNT, default=0, help="How many users to add.")
@click.option("--products", type=COUNT, default=0, help="How many products to add.")
@click.option("--orders", type=COUNT, default=0, help="How many orders to add, with one to five details each.")
@click.option("--reviews", type=COUNT, default=0, help="How many reviews to add.")
@click.option("--loyalty", type=COUNT, default=0, help="How many loyalty entries to add.")
@click.option("--seed", type=SEED, help="Makes the rows; a seed's batch is added once. [default: a random one]")
def shop_generate(users: int, products: int, orders: int, reviews: int, loyalty: int, seed: int | None) -> Result:
    """Add generated rows to the source's tables, all of them or none."""
    from martline.shop.generate import Sizes, generate

    seed = secrets.randbelow(2**31) if seed is None else seed
    with connect() as connection:
        require_tables(connection)
        rows = generate(connection, Sizes(users, products, orders, reviews, loyalty), seed)
    return {"seed": seed, "rows": rows, "rows_written": sum(rows.values())}
