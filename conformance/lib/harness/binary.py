"""The faregate binary under test."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from .outcome import Fail, once
from .paths import REPOSITORY

# Taken before children get an environment without it.
GIVEN = os.environ.get("FAREGATE_BIN")


@once
def faregate() -> Path:
    """FAREGATE_BIN, or the release build of this repository."""
    if GIVEN:
        path = Path(GIVEN).resolve()
        if not os.access(path, os.X_OK):
            raise Fail(f"FAREGATE_BIN={GIVEN} is not an executable file")
        return path
    print("# cargo build --release -p faregate …", file=sys.stderr, flush=True)
    command = ["cargo", "build", "--release", "--locked", "-p", "faregate", "--message-format=json-render-diagnostics"]
    done = subprocess.run(command, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode != 0:
        raise Fail("cargo build --release -p faregate failed")
    for line in done.stdout.splitlines():
        message = json.loads(line)
        if message.get("target", {}).get("name") == "faregate" and message.get("executable"):
            return Path(message["executable"])
    raise Fail("cargo build named no executable called faregate")
