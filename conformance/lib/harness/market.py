"""A gate over real Lightning, and a payer: what the rows do with them, whichever nodes they have."""

from __future__ import annotations

import abc
import functools
import json
import re
import time
from collections.abc import Callable
from typing import Any, NamedTuple

from . import wire
from .binary import faregate_ldk
from .outcome import equal, require
from .procs import run

_OK = 0
_CHALLENGE = re.compile(r'L402 macaroon="([^"]+)", invoice="([^"]+)"')


class Invoice(NamedTuple):
    """A challenge of the gate."""

    token: str
    invoice: str
    at: float

    def payment_hash(self) -> str:
        """As our decoder reads it."""
        done = run([str(faregate_ldk()), "decode", self.invoice, "--json"])
        found = re.search(r'"payment_?[hH]ash":\s*"([0-9a-f]{64})"', done.stdout)
        require(found, "the decoder names the payment hash", done.stdout)
        return found[1] if found else ""


class Market(abc.ABC):
    """A gate at `url` and who pays it."""

    url: str

    @abc.abstractmethod
    def payer_env(self) -> dict[str, str]:
        """The environment of a program of ours that pays with the payer's node."""

    @abc.abstractmethod
    def can_send(self) -> int:
        """Millisatoshis on the payer's side of the channel, as its node says."""

    def ask(self, path: str) -> Invoice:
        """A challenge."""
        answer = wire.request(f"{self.url}{path}")
        equal(answer.status, 402, f"status without a token ({answer.body[:300]!r})")
        found = _CHALLENGE.search(answer.headers.get("www-authenticate", ""))
        require(found, "a challenge with an invoice", answer.headers)
        assert found
        return Invoice(found[1], found[2], time.monotonic())

    def show(self, path: str, token: str, preimage: str) -> wire.Answer:
        """A request with a token and what opens it."""
        return wire.request(f"{self.url}{path}", headers={"authorization": f"L402 {token}:{preimage}"})

    def curl_command(self, path: str, *flags: str) -> list[str]:
        """`faregate curl` of a path of the gate, by the program that can be told where to die."""
        return [str(faregate_ldk()), "curl", f"{self.url}{path}", "--json", *flags]

    def curl(self, path: str, *flags: str, env: dict[str, str] | None = None) -> tuple[int, dict[str, Any], str]:
        """Exit code, what --json says, and standard error."""
        done = run(self.curl_command(path, *flags), {**self.payer_env(), **(env or {})}, seconds=90)
        return done.returncode, json.loads(done.stdout) if done.stdout.startswith("{") else {}, done.stderr

    def buys(self, path: str, *, resumed: bool = False) -> dict[str, Any]:
        """`faregate curl` buys; its payment."""
        code, report, errors = self.curl(path)
        equal(code, _OK, f"exit code; {errors[-600:]}")
        equal(report["status"], 200, "status")
        equal(report["body"], {"sold": path}, "what was sold")
        equal(report["payment"]["resumed"], resumed, "whether an earlier payment was resumed")
        return report["payment"]

    def killed_at(self, place: str) -> str:
        """`faregate curl` dies at a place of its way, and the next one goes on from there."""
        code, _, _ = self.curl("/one", env={"FAREGATE_CRASH_AT": place})
        equal(code, -6, f"the client died at {place}")
        payment = self.buys("/one", resumed=True)
        return f"resumed, paid once: {payment['paymentHash'][:16]}…"


def moves(there: Callable[[], Market], msat: int) -> Callable[[Callable[[], str]], Callable[[], str]]:
    """The row moves exactly so much to the seller, as the payer's node sees its channel."""

    def wrap(check: Callable[[], str]) -> Callable[[], str]:
        @functools.wraps(check)
        def checked() -> str:
            before = there().can_send()
            note = check()
            equal(before - there().can_send(), msat, "millisatoshis that went to the seller")
            return note

        return checked

    return wrap
