"""A run of ``build-marts``: incremental where it can be, else in full."""

from collections.abc import Sequence

from martline.command import MySQLSettings
from martline.marts import engines, publish, runs
from martline.marts.catalogue import MARTS
from martline.marts.definition import Mart
from martline.marts.full import run_in_full
from martline.marts.incremental.kept import file
from martline.marts.incremental.run import run_incrementally
from martline.marts.reading.plan import needed_columns, require
from martline.marts.runs import Run


def build(marts: Sequence[Mart], settings: MySQLSettings, *, fewer_rows: bool = False, anew: bool = False) -> Run:
    """Build these marts and put them in the places of those that readers see.

    A run of all marts is incremental if the last one has kept what it takes.

    :param fewer_rows: let a mart have far fewer rows than its last version.
    :param anew: read all rows again.
    :raises Failure: a source is missing, a mart can't be computed or a check does not hold; the old marts stay.
    """
    with settings.connect(autocommit=True) as connection:
        publish.keep_others_out(connection)
        publish.create_versions(connection)
        published, _ = publish.newest_run(connection, publish.VERSIONS)
        with runs.recorded(connection, [mart.name for mart in marts], published) as run:
            require(connection, needed_columns(marts))
            publish.clear(connection, [*MARTS, publish.VERSIONS])
            kept = file() if len(marts) == len(MARTS) and engines.on_this_machine() else None
            if anew or not run_incrementally(connection, settings, run, marts, kept, fewer_rows=fewer_rows):
                run_in_full(connection, settings, run, marts, kept, fewer_rows=fewer_rows)
    return run
