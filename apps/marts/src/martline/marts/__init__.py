"""The marts: small tables that Spark builds in MySQL from the replicated ones, with checks that must hold.

Each module of :mod:`martline.marts.models` has one mart: what it is made of, its columns, checks and indexes, and
a function that makes its DataFrame. A run (:mod:`martline.marts.build`) reads the replica at one moment
(:mod:`martline.marts.reading`), writes each mart to a staging table (:mod:`martline.marts.writing`), checks them
all (:mod:`martline.marts.checks`) and swaps them in together (:mod:`martline.marts.publish`).

All averages are exact decimals rounded half away from zero to 2 digits, as PostgreSQL's ``round(avg(x), 2)``.
All times are UTC.
"""
