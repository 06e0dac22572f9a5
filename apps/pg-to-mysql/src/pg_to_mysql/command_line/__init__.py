"""The commands, and what other commands may have in common with them."""

from pg_to_mysql.extras import require

# Not imported here: a run that nobody watches needs neither a bar nor a table.
require("cli", "click", "rich", "tqdm")
