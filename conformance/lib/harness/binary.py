"""The faregate binary under test."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from .outcome import Fail, once
from .paths import REPOSITORY

# Taken before children get an environment without them.
_GIVEN = {name: os.environ.get(name) for name in ("FAREGATE_BIN", "FAREGATE_PAYER", "FAREGATE_LDK_BIN")}


@once
def faregate() -> Path:
    """FAREGATE_BIN, or the release build of this repository."""
    return _given("FAREGATE_BIN") or _built("faregate", "--locked", "--release", "-p", "faregate")


@once
def payer() -> Path:
    """FAREGATE_PAYER, or the client library's program (`src/bin/payer.rs` here) from a debug build."""
    return _given("FAREGATE_PAYER") or _built("faregate-payer", "--locked", "-p", "faregate-conformance")


@once
def faregate_ldk() -> Path:
    """FAREGATE_LDK_BIN, or a debug build of the program with a Lightning node in it that can be told where to die."""
    # Not --locked: what was added to the workspace's lock file is added to its own.
    wanted = ("--manifest-path", "ldk/Cargo.toml", "--features", "crash-points")
    return _given("FAREGATE_LDK_BIN") or _built("faregate-ldk", *wanted)


def _given(name: str) -> Path | None:
    path = _GIVEN[name]
    if not path:
        return None
    if not os.access(path, os.X_OK):
        raise Fail(f"{name}={path} is not an executable file")
    return Path(path).resolve()


def _built(name: str, *words: str) -> Path:
    command = ["cargo", "build", *words, "--bin", name]
    print(f"# {' '.join(command)} …", file=sys.stderr, flush=True)
    command.append("--message-format=json-render-diagnostics")
    done = subprocess.run(command, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode != 0:
        raise Fail(f"cargo build of {name} failed")
    for line in done.stdout.splitlines():
        message = json.loads(line)
        if message.get("target", {}).get("name") == name and message.get("executable"):
            return Path(message["executable"])
    raise Fail(f"cargo build named no executable called {name}")
