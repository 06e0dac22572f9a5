"""Spark's way to the replica."""

import subprocess
import sys


def test_a_process_of_spark_that_reads_imports_none_of_what_computes() -> None:
    code = "import sys, martline.marts.reading.source; print({'ibis', 'sqlglot', 'duckdb'} & sys.modules.keys())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
