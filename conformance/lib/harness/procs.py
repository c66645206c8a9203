"""Processes: started in groups of their own, logged to files, and all gone at the end.

Whatever ends a run (success, failure, Ctrl-C, a termination signal), `stop_all` runs; with
`setpriv` (Linux) the kernel also kills the children if the harness itself is killed outright.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .outcome import Fail
from .paths import LOGS

STOP_SECONDS = 5.0
_running: list[Service] = []


def free_port() -> int:
    """A TCP port on 127.0.0.1 that nothing listens on at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _guarded(command: list[str]) -> list[str]:
    """The command, made to die with the harness where the system has a tool for that."""
    setpriv = shutil.which("setpriv")
    return [setpriv, "--pdeathsig", "KILL", "--", *command] if setpriv else command


class Service:
    """A background process with a name, a log file and, once it answers, an address."""

    def __init__(self, name: str, command: list[str], env: dict[str, str], cwd: Path | None = None) -> None:
        self.name = name
        LOGS.mkdir(parents=True, exist_ok=True)
        self.log = LOGS / f"{name}.log"
        with open(self.log, "wb") as log:
            self._process = subprocess.Popen(  # pylint: disable=consider-using-with
                _guarded(command),
                env={**clean_env(), **env},
                cwd=cwd,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        _running.append(self)

    @property
    def pid(self) -> int:
        """Process id; also the id of the group."""
        return self._process.pid

    def alive(self) -> bool:
        """True while the process runs."""
        return self._process.poll() is None

    @property
    def code(self) -> int | None:
        """The exit code; None while the process runs."""
        return self._process.poll()

    def tail(self, size: int = 1500) -> str:
        """The end of the log, for a failure message."""
        text = self.log.read_text(errors="replace") if self.log.exists() else ""
        return text[-size:]

    def until(self, ready: Callable[[], Any], what: str, seconds: float = 60.0) -> Any:
        """Waits until `ready()` returns something true; fails if the process ends or time runs out first."""
        limit = time.monotonic() + seconds
        while time.monotonic() < limit:
            if not self.alive():
                raise Fail(f"{self.name} ended with {self._process.returncode} before {what}; log: {self.tail()}")
            with contextlib.suppress(OSError, ValueError, urllib.error.URLError):
                found = ready()
                if found:
                    return found
            time.sleep(0.05)
        raise Fail(f"{self.name}: no {what} within {seconds:.0f} s; log: {self.tail()}")

    def until_http(self, url: str, seconds: float = 60.0) -> Service:
        """Waits until a GET of `url` answers 200."""

        def ready() -> bool:
            with urllib.request.urlopen(url, timeout=2) as answer:
                return answer.status == 200

        self.until(ready, f"200 from {url}", seconds)
        return self

    def kill(self) -> None:
        """Ends the whole process group at once (kill -9), as a power cut would."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)
        self._process.wait(STOP_SECONDS)
        self.stop()

    def stop(self) -> None:
        """Ends the whole process group: asks, waits, then kills."""
        if self in _running:
            _running.remove(self)
        for sign, wait in ((signal.SIGTERM, STOP_SECONDS), (signal.SIGKILL, STOP_SECONDS)):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, sign)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(wait)
            if not _group_exists(self.pid):
                return


def _group_exists(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except (ProcessLookupError, PermissionError):
        return False
    return True


def clean_env() -> dict[str, str]:
    """The environment for children: ours without anything that could lead a peer elsewhere."""
    drop = ("FAREGATE_", "EVM_", "FACILITATOR_", "PRIVATE_KEY", "PAYMENT_")
    env = {name: value for name, value in os.environ.items() if not name.startswith(drop)}
    env["NO_PROXY"] = env["no_proxy"] = "127.0.0.1,localhost"
    env["PYTHONDONTWRITEBYTECODE"] = "1"
    env["DO_NOT_TRACK"] = "1"
    return env


def stop_all() -> None:
    """Stops every service that still runs, newest first."""
    for service in reversed(list(_running)):
        service.stop()


def _on_signal(number: int, _frame: object) -> None:
    sys.exit(128 + number)


def install_traps() -> None:
    """Makes sure that no service outlives the harness."""
    atexit.register(stop_all)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _on_signal)


def run(
    command: list[str],
    env: dict[str, str] | None = None,
    cwd: Path | None = None,
    seconds: float = 120.0,
) -> subprocess.CompletedProcess[str]:
    """Runs one command to its end in a group of its own; the group is killed if it takes too long."""
    with subprocess.Popen(
        _guarded(command),
        env={**clean_env(), **(env or {})},
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        start_new_session=True,
    ) as process:
        try:
            out, err = process.communicate(timeout=seconds)
        except BaseException as error:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
            if isinstance(error, subprocess.TimeoutExpired):
                raise Fail(f"{Path(command[0]).name} {command[1:]} took longer than {seconds:.0f} s") from error
            raise
    return subprocess.CompletedProcess(command, process.returncode, out, err)
