"""The ledger on PostgreSQL: our tests that need a server, on one that is started for them."""

from __future__ import annotations

import re
import shutil

from ..outcome import Fail, Skip, once, require
from ..paths import LOGS, REPOSITORY
from ..postgres import Server
from ..procs import run
from ..table import row

_TEST_SECONDS = 1800
_RESULT = re.compile(r"^test result: \w+\. (\d+) passed; (\d+) failed", re.MULTILINE)


@once
def _server() -> Server:
    if shutil.which("cargo") is None:
        raise Skip("cargo is not installed")
    server = Server()
    require(server.run("CREATE SCHEMA faregate_command"), "a schema for the tests of the command")
    return server


def _cargo(name: str, words: list[str], env: dict[str, str]) -> str:
    """Tests with the features that the workspace has together, so that nothing is built anew after `cargo test --workspace`."""
    command = ["cargo", "test", "--locked", "--workspace", "--no-fail-fast", *words]
    done = run(command, {"FAREGATE_TEST_POSTGRES": _server().url, **env}, REPOSITORY, _TEST_SECONDS)
    log = LOGS / f"postgres-{name}.cargo.log"
    log.write_text(done.stdout + "\n--- stderr ---\n" + done.stderr)
    counts = [tuple(map(int, found)) for found in _RESULT.findall(done.stdout)]
    passed, failed = (sum(column) for column in zip(*counts, strict=True)) if counts else (0, 0)
    if done.returncode != 0:
        names = re.findall(r"^test (\S+) \.\.\. FAILED", done.stdout, re.MULTILINE)
        why = ", ".join(names) or done.stderr.strip()[-400:]
        raise Fail(f"cargo test ended with {done.returncode}: {passed} passed, {failed} failed ({why}); see {log}")
    require(passed > 0, "at least one test ran", done.stdout[-400:])
    return f"{passed} tests passed"


@row("postgres/ledger", "the suite of ledgers, all engines compared, processes beside each other, servers that are silent")
def _ledger() -> str:
    names = ("postgres", "engines", "events", "revocations")
    return _cargo("ledger", [word for name in names for word in ("--test", name)], {})


@row("postgres/command", "faregate migrate, and one gate to a database")
def _command() -> str:
    return _cargo("command", ["--test", "it", "migrate"], {})


@row("postgres/killed", "the server killed three times while two instances claim and settle the same payments")
def _killed() -> str:
    env = {"FAREGATE_TEST_POSTGRES_KILL": _server().kill_command(), "FAREGATE_TEST_POSTGRES_START": "true"}
    return _cargo("killed", ["--test", "postgres_killed"], env)
