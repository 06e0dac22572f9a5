"""The tables that the dashboard reads, and the role in MySQL that can read nothing else."""

from pg_to_mysql.mysql.quoting import quote, text_literal

MARTS = (
    "mart_average_check",
    "mart_cohort_retention",
    "mart_customer_rfm",
    "mart_product_rating",
    "mart_sales_daily",
)
BOOKKEEPING = ("mart_runs", "mart_checks", "_replication", "_replication_tables")
READ = (*MARTS, *BOOKKEEPING)


def role_statements(user: str, host: str, database: str) -> list[str]:
    """The statements that make a role which may read :data:`READ`, and take from it whatever else it had.

    The tables need not be there yet. MySQL and MariaDB grant rights on a table that is missing only together with
    ``CREATE``, which is taken back at once.
    """
    account = f"{text_literal(user)}@{text_literal(host)}"
    statements = [f"CREATE USER IF NOT EXISTS {account} ACCOUNT LOCK", f"REVOKE ALL, GRANT OPTION FROM {account}"]
    for table in READ:
        name = f"{quote(database)}.{quote(table)}"
        statements += [f"GRANT SELECT, CREATE ON {name} TO {account}", f"REVOKE CREATE ON {name} FROM {account}"]
    return statements
