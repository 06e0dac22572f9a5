"""The commands, and what other commands may have in common with them."""

from pg_to_mysql.extras import require

# Looked for, not imported: a run that nobody watches needs neither a table nor a bar.
require("cli", "click", "rich", "tqdm")
