"""Installs the pinned peers under .work, once per content of their lock files.

A folder is named after a hash of what decides its content; a finished one carries a stamp, so a second run installs
nothing, and an interrupted one is made again.
"""

from __future__ import annotations

import fcntl
import functools
import hashlib
import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

from .outcome import Fail, Skip, shown
from .paths import LOGS, PEERS, WORK

# Taken before children get an environment without it.
GIVEN_ANVIL, GIVEN_LND = os.environ.get("FAREGATE_ANVIL"), os.environ.get("FAREGATE_LND")
# The parts of its API that its releases have.
_LND_TAGS = "invoicesrpc routerrpc signrpc walletrpc chainrpc"
_STAMP = ".installed"
_INSTALL_SECONDS = 900


def _version(tool: str) -> str:
    path = shutil.which(tool)
    if path is None:
        raise Skip(f"{tool} is not installed")
    return subprocess.run([path, "--version"], capture_output=True, text=True, check=True, timeout=30).stdout.strip()


def _fresh_folder(name: str, inputs: list[Path], runtime: str) -> Path:
    """The folder for this content; a missing or unfinished one is empty, older ones are removed."""
    digest = hashlib.sha256(runtime.encode())
    for file in inputs:
        digest.update(file.name.encode() + b"\0" + file.read_bytes())
    folder = WORK / f"{name}-{digest.hexdigest()[:12]}"
    if not (folder / _STAMP).exists():
        for old in WORK.glob(f"{name}-*"):
            shutil.rmtree(old)
        folder.mkdir(parents=True)
    return folder


def _install(name: str, folder: Path, command: list[str]) -> None:
    """Runs an installer; its output goes to a log, and to the terminal if it fails."""
    print(f"# installing {name} …", file=sys.stderr, flush=True)
    LOGS.mkdir(parents=True, exist_ok=True)
    log = LOGS / f"install-{name}.log"
    with open(log, "wb") as out:
        done = subprocess.run(
            command, cwd=folder, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT,
            timeout=_INSTALL_SECONDS, check=False,
        )
    if done.returncode != 0:
        said = log.read_text(errors="replace")
        raise Fail(f"installing {name} failed, see {log}: {shown(said[:700], 700)}")


class Lock:
    """Only one harness installs at a time."""

    def __enter__(self) -> None:
        WORK.mkdir(parents=True, exist_ok=True)
        self._file = open(WORK / "install.lock", "w", encoding="utf-8")  # noqa: SIM115
        fcntl.flock(self._file, fcntl.LOCK_EX)

    def __exit__(self, *_: object) -> None:
        self._file.close()


@functools.cache
def python(name: str = "python") -> Path:
    """The interpreter of a venv that holds requirements.txt of peers/<name>."""
    wanted = PEERS / name / "requirements.txt"
    with Lock():
        folder = _fresh_folder(f"{name}-venv", [wanted], sys.version)
        interpreter = folder / "bin" / "python"
        if not (folder / _STAMP).exists():
            _install(f"{name} (venv)", folder, [sys.executable, "-m", "venv", str(folder)])
            pip = [str(interpreter), "-m", "pip", "--disable-pip-version-check", "install", "--quiet", "--no-deps"]
            _install(name, folder, [*pip, "-r", str(wanted)])
            (folder / _STAMP).touch()
    return interpreter


@functools.cache
def release(version: str) -> Path:
    """A folder with one release of x402-mock, to be put before what `python()` has; all it needs is there."""
    return over_python(f"x402-mock-{version}", PEERS / "python-permit" / f"{version}.txt")


@functools.cache
def over_python(name: str, wanted: Path) -> Path:
    """A folder with what a lock file names, hashes included, to be put before what `python()` has."""
    interpreter = python()
    with Lock():
        folder = _fresh_folder(name, [wanted], sys.version)
        if not (folder / _STAMP).exists():
            pip = [str(interpreter), "-m", "pip", "--disable-pip-version-check", "install", "--quiet", "--no-deps"]
            _install(name, folder, [*pip, "--require-hashes", "--target", str(folder), "-r", str(wanted)])
            (folder / _STAMP).touch()
    return folder


@functools.cache
def sources(name: str, wanted: Path, tools: Path) -> Path:
    """A folder with the source distribution that a lock file names; `tools` has setuptools, which pip asks what it is."""
    interpreter = python()
    with Lock():
        folder = _fresh_folder(name, [wanted], sys.version)
        if not (folder / _STAMP).exists():
            pip = ["env", f"PYTHONPATH={tools}", str(interpreter), "-m", "pip", "--disable-pip-version-check", "download"]
            pip += ["--quiet", "--no-deps", "--no-binary", ":all:", "--no-build-isolation", "--require-hashes"]
            _install(name, folder, [*pip, "--dest", str(folder), "-r", str(wanted)])
            for archive in folder.glob("*.tar.gz"):
                with tarfile.open(archive) as packed:
                    packed.extractall(folder, filter="data")
            (folder / _STAMP).touch()
    return folder


@functools.cache
def node(name: str) -> Path:
    """A folder with the node_modules of peers/<name> and today's copy of its programs."""
    source = PEERS / name
    inputs = [source / "package.json", source / "package-lock.json", source / ".npmrc"]
    with Lock():
        folder = _fresh_folder(name, inputs, _version("node"))
        if not (folder / _STAMP).exists():
            for file in inputs:
                shutil.copy(file, folder)
            _version("npm")
            _install(name, folder, ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--no-progress"])
            (folder / _STAMP).touch()
        for program in (*source.glob("*.mjs"), *(PEERS / "node-shared").glob("*.mjs")):
            shutil.copy(program, folder)
    return folder


@functools.cache
def lnd() -> Path:
    """lnd: FAREGATE_LND, or built with Go from the module that peers/go-lnd pins."""
    if GIVEN_LND:
        return Path(GIVEN_LND)
    source, go = PEERS / "go-lnd", shutil.which("go")
    if go is None:
        raise Skip("go is not installed")
    runtime = subprocess.run([go, "version"], capture_output=True, text=True, check=True, timeout=30).stdout
    with Lock():
        folder = _fresh_folder("go-lnd", [source / "go.mod", source / "go.sum"], runtime)
        if not (folder / _STAMP).exists():
            build = [go, "build", "-C", str(source), "-mod=readonly", "-trimpath", "-tags", _LND_TAGS]
            _install("go-lnd", folder, [*build, "-o", str(folder / "lnd"), "github.com/lightningnetwork/lnd/cmd/lnd"])
            (folder / _STAMP).touch()
    return folder / "lnd"


@functools.cache
def anvil() -> Path:
    """The anvil executable: FAREGATE_ANVIL, or the one from npm (its own binary, not the wrapper script)."""
    if GIVEN_ANVIL:
        return Path(GIVEN_ANVIL)
    packages = node("anvil") / "node_modules" / "@foundry-rs"
    found = sorted(packages.glob("anvil-*/bin/anvil*"))
    if not found:
        raise Skip(f"peers/anvil has no package for {sys.platform}; FAREGATE_ANVIL may name an anvil 1.7.1")
    found[0].chmod(0o755)
    return found[0]
