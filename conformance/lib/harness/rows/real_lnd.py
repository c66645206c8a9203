"""Real Lightning over lnd: our gate and our client, each with the REST API of a node of its own."""

from __future__ import annotations

import base64
import functools
import hashlib

from ..lightning_nodes import DEAR_SATS, PRICE_MSAT
from ..lnd import shop
from ..market import moves
from ..outcome import equal, require
from ..table import row

_OK, _UNDECIDED = 0, 6

_moves = functools.partial(moves, shop)


@row("real-lightning/lnd", "`faregate curl` over one lnd buys from a strict gate over another, certificates pinned")
@_moves(PRICE_MSAT)
def _purchase() -> str:
    payment = shop().buys("/one")
    equal(payment["feeMsat"], 0, "fee of a direct channel")
    return f"payment hash {payment['paymentHash'][:16]}…, no fee"


@row("real-lightning/lnd-tokens", "a token for three requests, paid by lnd alone, opens three; one for one opens one")
@_moves(2 * PRICE_MSAT)
def _tokens() -> str:
    token, invoice, _ = shop().ask("/many")
    preimage = shop().payer.pay(invoice)
    digest = hashlib.sha256(bytes.fromhex(preimage)).hexdigest()
    equal(digest, shop().payer(f"/v1/payreq/{invoice}")["payment_hash"], "hash of the preimage")
    equal([shop().show("/many", token, preimage).status for _ in range(4)], [200, 200, 200, 402], "statuses of four requests")
    token, invoice, _ = shop().ask("/one")
    preimage = shop().payer.pay(invoice)
    equal([shop().show("/one", token, preimage).status for _ in range(2)], [200, 402], "statuses of two requests")
    return "200, 200, 200, then 402; 200, then 402"


@row("real-lightning/lnd-unpaid", "who reads the preimage in the seller's lnd and has not paid gets nothing from a strict gate")
@_moves(0)
def _unpaid() -> str:
    token, invoice, _ = shop().ask("/one")
    equal(shop().show("/one", token, "00" * 32).status, 401, "status with a preimage that is none")
    payment_hash = shop().payer(f"/v1/payreq/{invoice}")["payment_hash"]
    known = shop().seller(f"/v1/invoice/{payment_hash}")
    equal(known["state"], "OPEN", "state of the invoice")
    preimage = base64.b64decode(known["r_preimage"]).hex()
    equal(hashlib.sha256(bytes.fromhex(preimage)).hexdigest(), payment_hash, "hash of the preimage")
    equal(shop().show("/one", token, preimage).status, 503, "status with the true preimage of an invoice that nobody paid")
    return "401 for none, 503 for the true one"


@row("real-lightning/lnd-no-liquidity", "what the channel cannot carry is refused, and nothing is lost")
@_moves(PRICE_MSAT)
def _no_liquidity() -> str:
    code, report, errors = shop().curl("/dear", "--max-sats", str(2 * DEAR_SATS))
    require(code not in (_OK, _UNDECIDED), "exit code: certainly not paid", [code, report, errors[-600:]])
    shop().buys("/one")
    return "refused, then a purchase as usual"


def _killed_at(place: str) -> str:
    return shop().killed_at(place)


for _place, _about in (
    ("reserved", "a client that dies before lnd hears of the invoice pays it once"),
    ("invoice_paid", "a client that dies after lnd has paid does not pay again"),
):
    row(f"real-lightning/lnd-killed-{_place}", _about)(_moves(PRICE_MSAT)(functools.partial(_killed_at, _place)))
