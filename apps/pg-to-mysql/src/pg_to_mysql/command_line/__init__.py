"""The commands, and parts that other commands can share with them."""

from pg_to_mysql.extras import require

# Only looked for, not imported: a run that nobody watches needs neither a table nor a progress bar.
require("cli", "click", "rich", "tqdm")
