"""Downloads one of the artifacts that artifacts.json pins: `fetch_artifact.py NAME FILE`."""

import hashlib
import json
import sys
from pathlib import Path
from urllib.request import urlopen

from jgo.constants import MAVEN_CENTRAL_URL

name, file = sys.argv[1:]
[artifact] = json.loads(Path(__file__).with_name("artifacts.json").read_text())[name]
with urlopen(f"{MAVEN_CENTRAL_URL.rstrip('/')}/{artifact['path']}", timeout=60) as response:  # noqa: S310
    content = response.read()
if hashlib.sha256(content).hexdigest() != artifact["sha256"]:
    sys.exit(f"Error: {artifact['path']} is not the file that artifacts.json pins: its SHA-256 differs")
Path(file).write_bytes(content)
