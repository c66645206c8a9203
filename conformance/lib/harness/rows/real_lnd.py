"""Real Lightning over lnd: our gate and our client, each with the REST API of a node of its own."""

from __future__ import annotations

import base64
import functools
import hashlib
import json
import re
from collections.abc import Callable
from typing import Any

from .. import wire
from ..binary import faregate_ldk
from ..lightning_nodes import DEAR_SATS, PRICE_MSAT
from ..lnd import shop
from ..outcome import equal, require
from ..procs import run
from ..table import row

_OK, _UNDECIDED = 0, 6
_CHALLENGE = re.compile(r'L402 macaroon="([^"]+)", invoice="([^"]+)"')


def _ask(path: str) -> tuple[str, str]:
    """Token and invoice."""
    answer = wire.request(f"{shop().url}{path}")
    equal(answer.status, 402, f"status without a token ({answer.body[:300]!r})")
    found = _CHALLENGE.search(answer.headers.get("www-authenticate", ""))
    require(found, "a challenge with an invoice", answer.headers)
    assert found
    return found[1], found[2]


def _show(path: str, token: str, preimage: str) -> int:
    return wire.request(f"{shop().url}{path}", headers={"authorization": f"L402 {token}:{preimage}"}).status


def _curl(path: str, *flags: str, env: dict[str, str] | None = None) -> tuple[int, dict[str, Any], str]:
    """Exit code, what --json says, and standard error."""
    # The program with a node in it can be told where to die; its node is not used here.
    command = [str(faregate_ldk()), "curl", f"{shop().url}{path}", "--json", *flags]
    done = run(command, {**shop().payer_env(), **(env or {})}, seconds=90)
    return done.returncode, json.loads(done.stdout) if done.stdout.startswith("{") else {}, done.stderr


def _buys(path: str, *, resumed: bool = False) -> dict[str, Any]:
    code, report, errors = _curl(path)
    equal(code, _OK, f"exit code; {errors[-600:]}")
    equal(report["body"], {"sold": path}, "what was sold")
    equal(report["payment"]["resumed"], resumed, "whether an earlier payment was resumed")
    return report["payment"]


def _moves(msat: int) -> Callable[[Callable[[], str]], Callable[[], str]]:
    """The row's purchase moves exactly so much to the seller, as the payer's node sees its channel."""

    def wrap(check: Callable[[], str]) -> Callable[[], str]:
        @functools.wraps(check)
        def checked() -> str:
            before = shop().settled()
            note = check()
            equal(before - shop().settled(), msat, "millisatoshis that went to the seller")
            return note

        return checked

    return wrap


@row("real-lightning/lnd", "`faregate curl` over one lnd buys from a strict gate over another, certificates pinned")
@_moves(PRICE_MSAT)
def _purchase() -> str:
    payment = _buys("/one")
    equal(payment["feeMsat"], 0, "fee of a direct channel")
    return f"payment hash {payment['paymentHash'][:16]}…, no fee"


@row("real-lightning/lnd-tokens", "a token for three requests, paid by lnd alone, opens three; one for one opens one")
@_moves(2 * PRICE_MSAT)
def _tokens() -> str:
    token, invoice = _ask("/many")
    preimage = shop().payer.pay(invoice)
    digest = hashlib.sha256(bytes.fromhex(preimage)).hexdigest()
    equal(digest, shop().payer(f"/v1/payreq/{invoice}")["payment_hash"], "hash of the preimage")
    equal([_show("/many", token, preimage) for _ in range(4)], [200, 200, 200, 402], "statuses of four requests")
    token, invoice = _ask("/one")
    preimage = shop().payer.pay(invoice)
    equal([_show("/one", token, preimage) for _ in range(2)], [200, 402], "statuses of two requests")
    return "200, 200, 200, then 402; 200, then 402"


@row("real-lightning/lnd-unpaid", "who reads the preimage in the seller's lnd and has not paid gets nothing from a strict gate")
@_moves(0)
def _unpaid() -> str:
    token, invoice = _ask("/one")
    equal(_show("/one", token, "00" * 32), 401, "status with a preimage that is none")
    payment_hash = shop().payer(f"/v1/payreq/{invoice}")["payment_hash"]
    known = shop().seller(f"/v1/invoice/{payment_hash}")
    equal(known["state"], "OPEN", "state of the invoice")
    preimage = base64.b64decode(known["r_preimage"]).hex()
    equal(hashlib.sha256(bytes.fromhex(preimage)).hexdigest(), payment_hash, "hash of the preimage")
    equal(_show("/one", token, preimage), 503, "status with the true preimage of an invoice that nobody paid")
    return "401 for none, 503 for the true one"


@row("real-lightning/lnd-no-liquidity", "what the channel cannot carry is refused, and nothing is lost")
@_moves(PRICE_MSAT)
def _no_liquidity() -> str:
    code, report, errors = _curl("/dear", "--max-sats", str(2 * DEAR_SATS))
    require(code not in (_OK, _UNDECIDED), "exit code: certainly not paid", [code, report, errors[-600:]])
    _buys("/one")
    return "refused, then a purchase as usual"


def _killed_at(place: str) -> str:
    code, _, _ = _curl("/one", env={"FAREGATE_CRASH_AT": place})
    equal(code, -6, f"the client died at {place}")
    payment = _buys("/one", resumed=True)
    return f"resumed, paid once: {payment['paymentHash'][:16]}…"


for _place, _about in (
    ("reserved", "a client that dies before lnd hears of the invoice pays it once"),
    ("invoice_paid", "a client that dies after lnd has paid does not pay again"),
):
    row(f"real-lightning/lnd-killed-{_place}", _about)(_moves(PRICE_MSAT)(functools.partial(_killed_at, _place)))
