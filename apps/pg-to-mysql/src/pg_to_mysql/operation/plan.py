"""What a run of a replica should do, once or while it is followed."""

from collections.abc import Sequence
from dataclasses import dataclass

from pg_to_mysql.operation.status import WARN_OVER


@dataclass(frozen=True)
class Plan:
    """What a run should do."""

    tables: Sequence[str] = ()
    """The only tables that may join the replica; all, if none is named."""
    exclude: Sequence[str] = ()
    recopy: Sequence[str] = ()
    """Tables of the replica to copy again."""
    start_over: bool = False
    """Whether to copy all tables again, from the current source, even if it is a different one than before."""
    transactional: bool = True
    """Whether each PostgreSQL transaction becomes one MySQL transaction, whatever its size."""
    warn_over: int = WARN_OVER
    """Warn if PostgreSQL keeps more bytes of its log for the slot."""
