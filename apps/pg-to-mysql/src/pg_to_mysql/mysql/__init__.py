"""MySQL or MariaDB, the side that is written."""
