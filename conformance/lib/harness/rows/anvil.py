"""What runs on our dev chain runs on npm's anvil too: the dev chain is not the judge of itself (DESIGN §7)."""

from __future__ import annotations

import shutil
from functools import partial

from .. import cargo, checks, peers, stacks
from ..outcome import Skip, equal, require
from ..paths import REPOSITORY
from ..table import row
from ..world import PAYEE, PAYER


def _evm_tests(name: str, credit: bool) -> str:
    """Integration tests of faregate-evm, which set up what they need themselves, on a chain of their own.

    Those of credit let time pass on it, which signatures of the others would not outlive.
    """
    if shutil.which("cargo") is None:
        raise Skip("cargo is not installed")
    files = sorted(path.stem for path in (REPOSITORY / "crates/faregate-evm/tests").glob("*.rs"))
    tests = [stem for stem in files if stem.startswith("credit") == credit]
    service, url = peers.start_anvil(name)
    try:
        words = ["-p", "faregate-evm", *(word for test in tests for word in ("--test", test))]
        counts = cargo.test(name, words, {"FAREGATE_TEST_RPC": url})
    finally:
        service.stop()
    require(counts.programs == len(tests) and counts.passed > 0, "every integration test ran", counts)
    return f"{counts.passed} tests passed" + (f", {counts.ignored} ignored" if counts.ignored else "")


def _stack() -> str:
    """Our gate and facilitator with anvil below them, paid by a v2 and a v1 client."""
    dev = stacks.dev_on_anvil()
    notes = []
    for client, version in (("httpx", 2), ("fetch", 1)):
        before = checks.books(dev.chain, PAYER.address, PAYEE.address)
        checks.unpaid_both(f"{dev.gate}/joke", PAYEE.address)
        paid = peers.pay(client, f"{dev.gate}/joke", PAYER.key, only_v1=version == 1)
        transaction = checks.bought(paid, dev.chain, PAYER.address, PAYEE.address)
        after = checks.books(dev.chain, PAYER.address, PAYEE.address)
        equal(after, before.paid_once(), f"books after the purchase by {client}")
        checks.resend(f"{dev.gate}/joke", paid)
        equal(checks.books(dev.chain, PAYER.address, PAYEE.address), after, "books after the same header again")
        notes.append(f"v{version} tx {transaction}")
    return ", ".join(notes)


row("anvil/stack", "our gate and facilitator on npm's anvil, paid by httpx, and by fetch in version 1")(_stack)
row("anvil/evm-tests", "the tests of faregate-evm on npm's anvil")(partial(_evm_tests, "anvil-evm-tests", False))
row("anvil/evm-credit", "the tests of its credit core on another")(partial(_evm_tests, "anvil-evm-credit", True))
