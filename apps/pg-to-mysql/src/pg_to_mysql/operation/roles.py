"""SQL that creates a role with the least privileges on each side. It has no password and can be run again."""

from pg_to_mysql.mysql.quoting import quote
from pg_to_mysql.postgres.keys import HINDRANCE, IS_TABLE


def postgresql(role: str, schema: str, publication: str, database: str) -> str:
    """A role that may read the tables, and the publication of those that can be replicated.

    The user who runs this owns the publication, and must own the tables: PostgreSQL lets nobody else add them.
    """
    return f"""\
-- Run it in {_comment(database)} as a superuser, or as the tables' owner who may make roles with REPLICATION.
-- Run it again when tables are new.
DO $body$
DECLARE
  published record;
BEGIN
  IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = {_text(role)}) THEN
    CREATE ROLE {_name(role)} LOGIN REPLICATION;
  END IF;
  EXECUTE format('GRANT CONNECT ON DATABASE %I TO %I', current_database(), {_text(role)});
  GRANT USAGE ON SCHEMA {_name(schema)} TO {_name(role)};
  GRANT SELECT ON ALL TABLES IN SCHEMA {_name(schema)} TO {_name(role)};
  -- Partitions are read by themselves, in whatever schema they are.
  FOR published IN
    WITH RECURSIVE tree AS (
      SELECT inhrelid FROM pg_inherits JOIN pg_class class ON class.oid = inhparent
      WHERE class.relnamespace = to_regnamespace(quote_ident({_text(schema)})) AND {IS_TABLE}
        AND class.relkind = 'p'
      UNION ALL
      SELECT child.inhrelid FROM tree JOIN pg_inherits child ON child.inhparent = tree.inhrelid
    )
    SELECT class.oid::regclass AS name, class.relnamespace::regnamespace AS schema
    FROM tree JOIN pg_class class ON class.oid = inhrelid
    WHERE class.relnamespace <> to_regnamespace(quote_ident({_text(schema)}))
  LOOP
    EXECUTE format('GRANT USAGE ON SCHEMA %s TO %I', published.schema, {_text(role)});
    EXECUTE format('GRANT SELECT ON %s TO %I', published.name, {_text(role)});
  END LOOP;
  IF NOT EXISTS (SELECT FROM pg_publication WHERE pubname = {_text(publication)}) THEN
    CREATE PUBLICATION {_name(publication)} WITH (publish_via_partition_root = true);
  END IF;
  -- A table without a usable key stays out, or goes: PostgreSQL would refuse its updates.
  FOR published IN
    SELECT class.oid::regclass AS name FROM pg_class class
    JOIN pg_publication_rel r ON r.prrelid = class.oid JOIN pg_publication p ON p.oid = r.prpubid
    WHERE p.pubname = {_text(publication)} AND ({HINDRANCE} IS NOT NULL OR class.relispartition)
  LOOP
    EXECUTE format('ALTER PUBLICATION %I DROP TABLE ONLY %s', {_text(publication)}, published.name);
  END LOOP;
  -- Only where something is missing: `replicate` copies tables again when their publication was altered.
  IF EXISTS (
    SELECT FROM pg_publication WHERE pubname = {_text(publication)}
      AND NOT (pubinsert AND pubupdate AND pubdelete AND pubtruncate AND pubviaroot)
  ) THEN
    ALTER PUBLICATION {_name(publication)}
      SET (publish = 'insert, update, delete, truncate', publish_via_partition_root = true);
  END IF;
  IF EXISTS (  -- from PostgreSQL 18 on
    SELECT FROM pg_publication p WHERE pubname = {_text(publication)} AND to_jsonb(p)->>'pubgencols' <> 's'
  ) THEN
    ALTER PUBLICATION {_name(publication)} SET (publish_generated_columns = stored);
  END IF;
  -- A table of which columns or rows are left out is put in again below, as a whole.
  FOR published IN
    SELECT r.prrelid::regclass AS name
    FROM pg_publication_rel r JOIN pg_publication p ON p.oid = r.prpubid JOIN pg_class c ON c.oid = r.prrelid
    WHERE p.pubname = {_text(publication)} AND c.relnamespace = to_regnamespace(quote_ident({_text(schema)}))
      AND (to_jsonb(r)->>'prattrs' IS NOT NULL OR to_jsonb(r)->>'prqual' IS NOT NULL)
  LOOP
    EXECUTE format('ALTER PUBLICATION %I DROP TABLE ONLY %s', {_text(publication)}, published.name);
  END LOOP;
  FOR published IN
    SELECT class.oid::regclass AS name FROM pg_class class
    WHERE class.relnamespace = to_regnamespace(quote_ident({_text(schema)}))
      AND {IS_TABLE} AND {HINDRANCE} IS NULL
      AND NOT EXISTS (
        SELECT FROM pg_publication_rel r JOIN pg_publication p ON p.oid = r.prpubid
        WHERE r.prrelid = class.oid AND p.pubname = {_text(publication)}
      )
  LOOP
    EXECUTE format('ALTER PUBLICATION %I ADD TABLE ONLY %s', {_text(publication)}, published.name);
  END LOOP;
END
$body$;"""


def mysql(user: str, host: str, database: str) -> str:
    """A user that may create, fill and change tables of this one database; locked until it has a password."""
    account = f"{_text(user)}@{_text(host)}"
    # In a GRANT, _ and % in a database's name stand for any characters.
    pattern = database.replace("\\", "\\\\").replace("_", "\\_").replace("%", "\\%")
    return f"""\
CREATE USER IF NOT EXISTS {account} ACCOUNT LOCK;
GRANT SELECT, INSERT, UPDATE, DELETE, CREATE, DROP, ALTER, INDEX, CREATE TEMPORARY TABLES
  ON {quote(pattern)}.* TO {account};"""


def _name(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _text(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _comment(text: str) -> str:
    return " ".join(text.split())
