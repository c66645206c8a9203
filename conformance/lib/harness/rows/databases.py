"""The ledger on PostgreSQL: our tests that need a server, on one that is started for them."""

from __future__ import annotations

import shutil

from .. import cargo
from ..outcome import Skip, once, require
from ..postgres import Server
from ..table import row


@once
def _server() -> Server:
    if shutil.which("cargo") is None:
        raise Skip("cargo is not installed")
    server = Server()
    require(server.run("CREATE SCHEMA faregate_command"), "a schema for the tests of the command")
    return server


def _cargo(name: str, words: list[str], env: dict[str, str]) -> str:
    """Tests with the features that the workspace has together, so that nothing is built anew after `cargo test --workspace`."""
    counts = cargo.test(f"postgres-{name}", ["--workspace", *words], {"FAREGATE_TEST_POSTGRES": _server().url, **env})
    require(counts.passed > 0, "at least one test ran", counts)
    return f"{counts.passed} tests passed"


@row("postgres/ledger", "the suites of ledgers and credit books, all engines compared, sign-ins, processes beside each other, silent servers")
def _ledger() -> str:
    names = ("postgres", "credit_postgres", "engines", "events", "revocations", "access")
    return _cargo("ledger", [word for name in names for word in ("--test", name)], {})


@row("postgres/command", "faregate migrate, and one gate to a database")
def _command() -> str:
    return _cargo("command", ["--test", "it", "migrate"], {})


@row("postgres/killed", "the server killed three times while two instances claim and settle the same payments, and three times while they issue")
def _killed() -> str:
    env = {"FAREGATE_TEST_POSTGRES_KILL": _server().kill_command(), "FAREGATE_TEST_POSTGRES_START": "true"}
    return _cargo("killed", ["--test", "postgres_killed"], env)


@row("postgres/credit-cores", "two credit cores on one database and one chain, killed in turn, and the server killed under them")
def _credit_cores() -> str:
    env = {"FAREGATE_TEST_POSTGRES_KILL": _server().kill_command()}
    return _cargo("credit-cores", ["--test", "it", "credit_cores"], env)
