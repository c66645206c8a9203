"""`faregate curl`, the paying client under test."""

from __future__ import annotations

import functools
import json
import re
import shutil
from pathlib import Path
from typing import Any, NamedTuple

from .binary import faregate
from .chain import Chain
from .outcome import Fail, equal, require
from .paths import WORK
from .procs import run
from .world import PRICE

_HASH = re.compile(r"0x[0-9a-fA-F]{64}(?![0-9a-fA-F])")
CAP = "0.01"
# Exit codes as `faregate help curl` documents them.
OVER_BUDGET = 3


class Run(NamedTuple):
    """One finished command."""

    code: int
    text: str
    errors: str

    def report(self) -> dict[str, Any]:
        """The one JSON object that --json prints."""
        try:
            return json.loads(self.text)
        except ValueError as error:
            raise Fail(f"--json prints one JSON object; seen {self.text[:300]!r}, stderr {self.errors[-300:]!r}") from error


@functools.cache
def _books() -> Path:
    """The wallet's books of this run: fresh, so that caps and payees remembered from an earlier run play no part."""
    folder = WORK / "wallet"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder / "books.sqlite"


def get(url: str, key: str | None, *flags: str, cap: str = CAP) -> Run:
    """`faregate curl URL --json --max-amount CAP …`; the key goes in by environment, the wallet's books are of this run."""
    env = {"FAREGATE_WALLET_DB": str(_books())}
    if key is not None:
        env["FAREGATE_PRIVATE_KEY"] = key
    done = run([str(faregate()), "curl", url, "--json", "--max-amount", cap, *flags], env, seconds=60)
    if key is not None:
        secret = key.removeprefix("0x").lower()
        require(secret not in (done.stdout + done.stderr).lower(), "the private key is not in the output")
    return Run(done.returncode, done.stdout, done.stderr)


def status(ran: Run) -> int:
    """The HTTP status that --json reports."""
    return ran.report().get("status", -1)


def paid(ran: Run, chain: Chain, payer: str, payee: str) -> str:
    """Exit code 0, status 200, and a transaction that really paid. Returns the transaction."""
    equal(ran.code, 0, f"exit code of faregate curl (stderr {ran.errors[-300:]!r}, stdout {ran.text[:300]!r})")
    equal(status(ran), 200, "status that --json reports")
    hashes = set(_HASH.findall(json.dumps(ran.report())))
    require(hashes, "--json names the transaction", ran.text)
    for candidate in sorted(hashes):
        if chain.call("eth_getTransactionReceipt", candidate):
            chain.check_transfer(candidate, payer, payee, PRICE)
            return candidate
    raise Fail(f"no transaction that --json names is on chain: {sorted(hashes)}")
