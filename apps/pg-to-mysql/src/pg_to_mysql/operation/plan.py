"""What a run of a replica is to do, once or as long as it is followed."""

from collections.abc import Sequence
from dataclasses import dataclass

from pg_to_mysql.operation.status import WARN_OVER


@dataclass(frozen=True)
class Plan:
    """What a run is to do."""

    tables: Sequence[str] = ()
    """The only ones that may join the replica; all, if none is named."""
    exclude: Sequence[str] = ()
    recopy: Sequence[str] = ()
    """Tables of the replica that are copied once more."""
    start_over: bool = False
    """Whether all are, from the source that is there now, even if it is another one than before."""
    transactional: bool = True
    """Whether what is one transaction in PostgreSQL is one in MySQL, whatever its size."""
    warn_over: int = WARN_OVER
    """Bytes of PostgreSQL's log that are kept for the slot."""
