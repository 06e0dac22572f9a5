"""The commands, and what other commands may have in common with them."""

from pg_to_mysql.extras import extra

with extra("cli"):
    import click  # noqa: F401
    import rich  # noqa: F401
    import tqdm  # noqa: F401
