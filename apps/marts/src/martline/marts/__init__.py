"""The marts: small tables in MySQL, computed from the replicated ones by DuckDB or Spark, with checks.

Each module of :mod:`martline.marts.models` defines one mart: its sources, columns, checks and indexes, and a
function that makes its DataFrame. A full run (:mod:`martline.marts.full`) reads the replica at one moment
(:mod:`martline.marts.reading`), writes each mart to a staging table (:mod:`martline.marts.writing`), checks them
all (:mod:`martline.marts.checks`) and swaps them in together (:mod:`martline.marts.publish`). An incremental run
(:mod:`martline.marts.incremental`) changes the rows that differ.

All averages are exact decimals rounded half away from zero to 2 digits, as PostgreSQL's ``round(avg(x), 2)``.
All times are UTC.
"""
