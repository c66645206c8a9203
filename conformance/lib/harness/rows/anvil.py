"""What runs on our dev chain runs on npm's anvil too: the dev chain is not the judge of itself (DESIGN §7)."""

from __future__ import annotations

import re
import shutil
from functools import partial

from .. import checks, peers, stacks
from ..outcome import Fail, Skip, equal, require
from ..paths import LOGS, REPOSITORY
from ..procs import run
from ..table import row
from ..world import PAYEE, PAYER

_TEST_SECONDS = 1800
_RESULT = re.compile(r"^test result: \w+\. (\d+) passed; (\d+) failed; (\d+) ignored", re.MULTILINE)


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
        command = ["cargo", "test", "--locked", "-p", "faregate-evm", "--no-fail-fast"]
        for test in tests:
            command += ["--test", test]
        done = run(command, {"FAREGATE_TEST_RPC": url}, REPOSITORY, _TEST_SECONDS)
    finally:
        service.stop()
    log = LOGS / f"{name}.cargo.log"
    log.write_text(done.stdout + "\n--- stderr ---\n" + done.stderr)
    counts = [tuple(map(int, found)) for found in _RESULT.findall(done.stdout)]
    passed, failed, ignored = (sum(column) for column in zip(*counts, strict=True)) if counts else (0, 0, 0)
    if done.returncode != 0:
        names = re.findall(r"^test (\S+) \.\.\. FAILED", done.stdout, re.MULTILINE)
        why = ", ".join(names) or done.stderr.strip()[-400:]
        raise Fail(f"cargo test ended with {done.returncode}: {passed} passed, {failed} failed ({why}); see {log}")
    require(len(counts) == len(tests) and passed > 0, "every integration test ran", done.stdout[-400:])
    return f"{passed} tests passed" + (f", {ignored} ignored" if ignored else "")


def _stack() -> str:
    """Our gate and facilitator with anvil below them, paid by a v2 and a v1 client."""
    dev = stacks.dev_on_anvil()
    notes = []
    for client, version in (("httpx", 2), ("fetch-v1", 1)):
        before = checks.books(dev.chain, PAYER.address, PAYEE.address)
        checks.unpaid_both(f"{dev.gate}/joke", PAYEE.address)
        paid = peers.pay(client, f"{dev.gate}/joke", PAYER.key)
        transaction = checks.bought(paid, dev.chain, PAYER.address, PAYEE.address)
        after = checks.books(dev.chain, PAYER.address, PAYEE.address)
        equal(after, before.paid_once(), f"books after the purchase by {client}")
        checks.resend(f"{dev.gate}/joke", paid)
        equal(checks.books(dev.chain, PAYER.address, PAYEE.address), after, "books after the same header again")
        notes.append(f"v{version} tx {transaction}")
    return ", ".join(notes)


row("anvil/stack", "our gate and facilitator on npm's anvil, paid by httpx and x402-fetch")(_stack)
row("anvil/evm-tests", "the tests of faregate-evm on npm's anvil")(partial(_evm_tests, "anvil-evm-tests", False))
row("anvil/evm-credit", "the tests of its credit core on another")(partial(_evm_tests, "anvil-evm-credit", True))
