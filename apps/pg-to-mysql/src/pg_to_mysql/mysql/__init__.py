"""MySQL or MariaDB, the target."""
