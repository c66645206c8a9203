"""A PostgreSQL server of our own: started over a folder of its own, started again whenever it dies, gone at the end.

The programs are those of FAREGATE_POSTGRES (a folder with `initdb` and `postgres`), of this machine (15 or newer), or of Debian's
unstable distribution, unpacked beside the machine's own.
"""

from __future__ import annotations

import atexit
import os
import re
import shlex
import shutil
import socket
import struct
import tempfile
from pathlib import Path

from . import debian
from .outcome import Fail, Skip
from .procs import Service, free_port, run

# Taken before children get an environment without it.
_GIVEN = os.environ.get("FAREGATE_POSTGRES")
_OLDEST = 15
_USER = "nobody"
_INITDB_SECONDS = 120


class Server:
    """A server without a password for whoever is on this machine."""

    def __init__(self) -> None:
        # Where another user than root may look: PostgreSQL does not run as root.
        self.folder = Path(tempfile.mkdtemp(prefix="faregate-postgres-"))
        self.folder.chmod(0o755)
        atexit.register(shutil.rmtree, self.folder, ignore_errors=True)
        self.port = free_port()
        self._data = self.folder / "data"
        self.service = self._start()

    def _start(self) -> Service:
        programs = _programs(self.folder)
        self._data.mkdir(mode=0o700)
        prefix: list[str] = []
        if os.geteuid() == 0:
            if shutil.which("setpriv") is None:
                raise Skip("setpriv is not installed, and PostgreSQL does not run as root")
            shutil.chown(self._data, _USER)
            prefix = ["setpriv", f"--reuid={_USER}", "--clear-groups", "--pdeathsig", "KILL", "--"]
        words = ["-D", str(self._data), "-A", "trust", "-U", "faregate", "--locale=C", "-E", "UTF8"]
        made = run([*prefix, str(programs / "initdb"), *words], {"TZ": "GMT"}, self.folder, _INITDB_SECONDS)
        if made.returncode != 0:
            raise Fail(f"initdb ended with {made.returncode}: {made.stderr[-600:] or made.stdout[-600:]}")
        server = [*prefix, str(programs / "postgres"), "-D", str(self._data), "-p", str(self.port)]
        server += ["-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories="]
        # Whatever ends it, it is there again before long; with the loop it ends for good.
        loop = f"trap 'kill -INT $!; wait; exit' TERM INT; while :; do {shlex.join(server)} & wait; sleep 0.2; done"
        service = Service("postgres", ["sh", "-c", loop], {"TZ": "GMT"}, self.folder)
        service.until(lambda: self.run("SELECT 1"), "a server that answers", 60)
        return service

    @property
    def url(self) -> str:
        """Its address."""
        return f"postgres://faregate@127.0.0.1:{self.port}/postgres"

    def kill_command(self) -> str:
        """A command that kills the server (-9) once it is ready; it comes back by itself."""
        script = self.folder / "kill.sh"
        pid = self._data / "postmaster.pid"
        script.write_text(
            f"#!/bin/sh\nfor _ in $(seq 600); do\n  if [ \"$(sed -n 8p {pid} | tr -d ' ')\" = ready ]; then\n"
            f"    kill -9 \"$(head -n 1 {pid})\" && exit 0\n  fi\n  sleep 0.1\ndone\nexit 1\n"
        )
        script.chmod(0o755)
        return str(script)

    def run(self, sql: str) -> bool:
        """Runs a statement over a connection of its own. False while the server does not take any."""
        with socket.create_connection(("127.0.0.1", self.port), 10) as wire:
            words = b"user\0faregate\0database\0postgres\0\0"
            wire.sendall(struct.pack("!ii", 8 + len(words), 196608) + words)
            if not _until_ready(wire):
                return False
            text = sql.encode() + b"\0"
            wire.sendall(b"Q" + struct.pack("!i", 4 + len(text)) + text)
            return _until_ready(wire)

def _until_ready(wire: socket.socket) -> bool:
    """Reads messages until the server waits for the next one; False when it says that something is wrong."""
    fine = True
    while True:
        head = _exactly(wire, 5)
        kind, size = head[:1], struct.unpack("!i", head[1:])[0]
        _exactly(wire, size - 4)
        if kind == b"E":
            fine = False
        if kind == b"Z":
            return fine


def _exactly(wire: socket.socket, size: int) -> bytes:
    read = b""
    while len(read) < size:
        more = wire.recv(size - len(read))
        if not more:
            raise ConnectionError("the server hung up")
        read += more
    return read


def _programs(folder: Path) -> Path:
    """The folder of `initdb` and `postgres`."""
    if _GIVEN:
        return Path(_GIVEN)
    own = [path for path in Path("/usr/lib/postgresql").glob("*/bin") if path.parent.name.isdigit()]
    own = [path for path in own if int(path.parent.name) >= _OLDEST and (path / "initdb").exists()]
    if own:
        return max(own, key=lambda path: int(path.parent.name))
    package = debian.newest(re.compile(r"postgresql-(\d+)"))
    program = debian.program(package, f"usr/lib/postgresql/{package.removeprefix('postgresql-')}/bin/postgres")
    # The cache may be where only root looks.
    root = folder / "programs"
    shutil.copytree(program.root, root, symlinks=True)
    binaries = (root / program.path).parent
    # `initdb` starts `postgres` by itself, and neither knows of the loader and the libraries they were built for.
    for name in ("initdb", "postgres"):
        real = binaries / f"{name}.real"
        (binaries / name).rename(real)
        moved = debian.Program(root, str(real.relative_to(root)))
        (binaries / name).write_text(f'#!/bin/sh\nexec {shlex.join(moved.command())} "$@"\n')
        (binaries / name).chmod(0o755)
    return binaries
