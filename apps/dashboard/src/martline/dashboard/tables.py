"""The tables that the dashboard reads, and the roles in MySQL and PostgreSQL that can read nothing else."""

from pg_to_mysql.mysql.quoting import quote, text_literal

MARTS = (
    "mart_average_check",
    "mart_cohort_retention",
    "mart_customer_rfm",
    "mart_product_rating",
    "mart_sales_daily",
)
PERSONAL_MARTS = ("mart_user_activity",)
"""Marts with people's names. Only the names and comments of their columns are read."""
ALL_MARTS = (*MARTS, *PERSONAL_MARTS)
VERSIONS, LINEAGE = "mart_versions", "mart_lineage"
BOOKKEEPING = (VERSIONS, LINEAGE, "mart_runs", "mart_checks", "_replication", "_replication_tables")
READ = (*MARTS, *BOOKKEEPING)


def role_statements(user: str, host: str, database: str) -> list[str]:
    """The statements that make a role which may read :data:`READ`, and revoke any other right that it had.

    The tables need not exist yet. MySQL and MariaDB grant rights on a missing table only together with
    ``CREATE``, which is revoked at once. ``REFERENCES`` shows a table's columns and none of its rows.
    """
    account = f"{text_literal(user)}@{text_literal(host)}"
    statements = [f"CREATE USER IF NOT EXISTS {account} ACCOUNT LOCK", f"REVOKE ALL, GRANT OPTION FROM {account}"]
    granted = [(table, "SELECT") for table in READ] + [(table, "REFERENCES") for table in PERSONAL_MARTS]
    for table, right in granted:
        name = f"{quote(database)}.{quote(table)}"
        statements += [f"GRANT {right}, CREATE ON {name} TO {account}", f"REVOKE CREATE ON {name} FROM {account}"]
    return statements


def postgres_role_statements(role: str) -> list[str]:
    """The statements that make a role in PostgreSQL which may look into the schema ``shop``.

    ``shop-init`` lets everybody who may use the schema read how far events are stored, and the topic and the
    times of dead letters. PostgreSQL shows the log's position and the slots to everybody. The tables need not
    exist yet. If the statements create the schema, it belongs to the database's owner.
    """
    name, text = '"' + role.replace('"', '""') + '"', "'" + role.replace("'", "''") + "'"
    return [
        f"DO $body$ BEGIN IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = {text}) THEN"
        f" CREATE ROLE {name}; END IF; END $body$",
        f"ALTER ROLE {name} LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS",
        "CREATE SCHEMA IF NOT EXISTS shop AUTHORIZATION pg_database_owner",
        f"GRANT USAGE ON SCHEMA shop TO {name}",
    ]
