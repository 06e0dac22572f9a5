"""Checks every case of the charts with checkov (`make lint-charts`). `.checkov.yaml` lists accepted findings."""

import subprocess
import sys
import tempfile
from pathlib import Path

import yaml
from tests.charts.cases import CASES, case

CHECKOUT = Path(__file__).parent.parent.parent
CHECKOV = "checkov==3.3.30"


def main() -> int:
    with tempfile.TemporaryDirectory() as folder:
        for name in CASES:
            (Path(folder) / f"{name.replace(' ', '-')}.yaml").write_text(yaml.safe_dump_all(case(name)))
        uv = CHECKOUT / ".tools" / "bin" / "uv"
        command = str(uv), "tool", "run", CHECKOV, "--config-file", ".checkov.yaml", "--directory", folder
        return subprocess.call(command, cwd=CHECKOUT)


if __name__ == "__main__":
    sys.exit(main())
