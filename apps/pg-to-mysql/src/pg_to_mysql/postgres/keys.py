"""Which tables can be published: SQL that both the replication and the script of ``replication-roles`` run.

A statement of the application fails if it changes a row of a published table without a usable replica identity.
In a partitioned table, the identity of each partition counts; it is not inherited, but the primary key is.
"""

KEY_INDEX = """
    SELECT indexrelid FROM pg_index
    WHERE indrelid = class.oid AND indisunique AND indimmediate AND indisvalid AND indpred IS NULL
        AND CASE
            WHEN class.relkind = 'p' OR class.relreplident = 'd' THEN indisprimary
            WHEN class.relreplident = 'i' THEN indisreplident
            WHEN class.relreplident = 'f' THEN indexprs IS NULL AND NOT EXISTS (
                SELECT FROM pg_attribute WHERE attrelid = class.oid AND NOT attnotnull
                    AND attnum = ANY ((indkey::int2[])[0:indnkeyatts - 1])
            )
            ELSE false
        END
    ORDER BY indisprimary DESC, indexrelid LIMIT 1
"""
"""The index of the table ``class`` whose columns form the key. Changes contain the old values of these columns.

With REPLICA IDENTITY FULL they contain the whole old row. A deferrable key does not count, because two rows may
have the same one for a while.
"""
NO_KEY = (
    "it has no primary key: add one, or a unique key over NOT NULL columns and set REPLICA IDENTITY FULL or"
    " USING INDEX"
)
_VIRTUAL_IN_IDENTITY = """
    {table}.relreplident = 'f' AND EXISTS (
        SELECT FROM pg_attribute WHERE attrelid = {table}.oid AND attgenerated = 'v' AND NOT attisdropped
    )
"""
"""Whether REPLICA IDENTITY FULL contains a virtual column: PostgreSQL 18 then refuses updates."""
_PARTITION_HINDRANCE = f"""
    CASE
        WHEN leaf.relkind = 'f' THEN 'is a foreign table, whose changes are not in PostgreSQL''s log: detach it'
        WHEN leaf.relpersistence <> 'p' THEN 'is not logged: set it to LOGGED'
        WHEN leaf.relkind = 'p' THEN NULL
        WHEN {_VIRTUAL_IN_IDENTITY.format(table="leaf")}
            THEN 'has REPLICA IDENTITY FULL and a virtual generated column: set the identity to DEFAULT'
        WHEN leaf.relreplident <> 'f' AND NOT EXISTS (
            SELECT FROM pg_index WHERE indrelid = leaf.oid AND indisprimary AND indimmediate AND indisvalid
                AND (leaf.relreplident = 'd' OR (leaf.relreplident = 'i' AND indisreplident))
        ) THEN 'has a REPLICA IDENTITY that does not tell the old values of the primary key: set it to DEFAULT'
    END
"""
HINDRANCE = f"""
    CASE
        WHEN class.relkind = 'r' AND class.relreplident = 'n'
            THEN 'its REPLICA IDENTITY is NOTHING: set it to DEFAULT'
        WHEN class.relkind = 'r' AND {_VIRTUAL_IN_IDENTITY.format(table="class")} THEN
            'it has REPLICA IDENTITY FULL and a virtual generated column, so PostgreSQL would allow no updates:'
            ' set the identity to DEFAULT'
        WHEN NOT EXISTS ({KEY_INDEX}) THEN CASE class.relkind WHEN 'p'
            THEN 'it is partitioned and has no primary key, the only one that each new partition has too: add one'
            ELSE '{NO_KEY}' END
        ELSE (
            WITH RECURSIVE tree AS (
                SELECT inhrelid FROM pg_inherits WHERE inhparent = class.oid AND class.relkind = 'p'
                UNION ALL
                SELECT child.inhrelid FROM tree JOIN pg_inherits child ON child.inhparent = tree.inhrelid
            )
            SELECT concat('its partition ', leaf.oid::regclass, ' ', {_PARTITION_HINDRANCE})
            FROM tree JOIN pg_class leaf ON leaf.oid = inhrelid
            WHERE {_PARTITION_HINDRANCE} IS NOT NULL
            ORDER BY leaf.relname LIMIT 1
        )
    END
"""
"""A sentence that says why the table ``class`` can't be published; NULL if it can."""
IS_TABLE = """
    class.relkind IN ('r', 'p') AND class.relpersistence = 'p' AND NOT class.relispartition
"""
"""Whether ``class`` is a logged table and no partition of another one. It may have no key."""
