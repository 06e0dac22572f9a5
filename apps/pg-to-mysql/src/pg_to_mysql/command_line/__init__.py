"""The commands, and what other commands may have in common with them."""

from importlib.util import find_spec

from pg_to_mysql.errors import WrongSettings

for _name in ("click", "rich", "tqdm"):
    if find_spec(_name) is None:
        raise WrongSettings(f"{_name} is not installed: install pg-to-mysql[cli]")
