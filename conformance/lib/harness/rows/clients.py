"""Unmodified clients of other projects pay our gate (`faregate dev`)."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import partial

from .. import checks, peers, stacks, wire
from ..outcome import equal, require
from ..table import row
from ..world import NETWORK, NETWORK_V1

_COPIES = 48
_HEADER_OF = {1: "x-payment", 2: "payment-signature"}
_NETWORK_OF = {1: NETWORK_V1, 2: NETWORK}


def _buys(client: str, version: int, only_v1: bool = False) -> str:
    """One purchase at our gate: 402, payment, 200, receipt, transfer on chain, and no second charge."""
    dev = stacks.dev()
    url = f"{dev.gate}/joke"
    checks.unpaid_both(url, dev.payee.address)
    before = checks.books(dev.chain, dev.payer.address, dev.payee.address)
    paid = peers.pay(client, url, dev.payer.key, only_v1=only_v1)
    transaction = checks.bought(paid, dev.chain, dev.payer.address, dev.payee.address)
    equal((paid.sent or {}).get("name"), _HEADER_OF[version], "the header the client paid with")
    equal(checks.receipt_in(paid.headers).get("network"), _NETWORK_OF[version], "network in the payment response")
    require(paid.body, "the paid answer has a body")
    after = checks.books(dev.chain, dev.payer.address, dev.payee.address)
    equal(after, before.paid_once(), "books (payer, payee, transactions sent) after the purchase")
    _not_charged_again(url, paid, transaction)
    equal(checks.books(dev.chain, dev.payer.address, dev.payee.address), after, "books after the same header again")
    return f"v{version} tx {transaction}"


def _not_charged_again(url: str, paid: peers.Paid, transaction: str) -> None:
    """The same credential for the same request gets the same answer or a clear refusal (DESIGN §4)."""
    again = checks.resend(url, paid)
    require(again.status in (200, 402, 409), "the same header again: 200, 402 or 409", again.status)
    if again.status == 200:
        equal(again.body.decode(), paid.body, "body of the same header again")
        equal(checks.receipt_in(again.headers).get("transaction"), transaction, "transaction of the same header again")
    other = checks.resend(f"{url}?other=1", paid)
    require(other.status in (402, 409), "the same header for another request is refused", other.status)


def _race() -> str:
    """Many copies of one payment at once: one transaction, one charge."""
    dev = stacks.dev()
    url = f"{dev.gate}/joke"
    offer = checks.unpaid_both(url, dev.payee.address).headers["payment-required"]
    header = peers.sign(offer, dev.payer.key)[0]
    before = checks.books(dev.chain, dev.payer.address, dev.payee.address)
    with ThreadPoolExecutor(_COPIES) as pool:
        answers = list(pool.map(lambda _: wire.request(url, headers={"payment-signature": header}), range(_COPIES)))
    statuses = sorted(answer.status for answer in answers)
    require(set(statuses) <= {200, 402, 409, 425, 503} and 200 in statuses, "each copy is served or clearly refused", statuses)
    served = [answer for answer in answers if answer.status == 200]
    equal(len({answer.body for answer in served}), 1, "different bodies among the served copies")
    transactions = {checks.receipt_in(answer.headers)["transaction"] for answer in served}
    equal(len(transactions), 1, "different transactions among the served copies")
    after = checks.books(dev.chain, dev.payer.address, dev.payee.address)
    equal(after, before.paid_once(), "books after the race")
    return f"{_COPIES} copies, {len(served)} served, one charge"


def _free() -> str:
    answer = wire.request(f"{stacks.dev().gate}/free")
    equal(answer.status, 200, "status of the free route")
    require("payment-required" not in answer.headers, "no offer on a free route", answer.headers)
    return ""


def _words(text: str | None) -> set[str]:
    return {word.strip().lower() for word in (text or "").split(",")}


def _browser() -> str:
    """A page of another origin may pay: preflight free of charge, headers allowed and exposed (spec §1.1, CORS)."""
    url = f"{stacks.dev().gate}/joke"
    wanted = "payment-signature, x-payment, access-control-expose-headers"
    origin = {"origin": "http://page.example"}
    asked = {**origin, "access-control-request-method": "GET", "access-control-request-headers": wanted}
    preflight = wire.request(url, "OPTIONS", asked)
    require(preflight.status in (200, 204), "a preflight is never charged", preflight.status)
    allowed = _words(preflight.headers.get("access-control-allow-headers"))
    require(_words(wanted) <= allowed or "*" in allowed, "the preflight allows the payment headers", preflight.headers)
    answer = wire.request(url, headers=origin)
    require("access-control-allow-origin" in answer.headers, "a 402 allows the origin", answer.headers)
    exposed = _words(answer.headers.get("access-control-expose-headers"))
    needed = {"payment-required", "payment-response", "x-payment-response"}
    require(needed <= exposed, "a 402 exposes the payment headers", sorted(exposed))
    return ""


for _name, _program in peers.CLIENTS.items():
    _version = max(_program.versions)
    row(f"client/{_name}", f"{_name} (v{_version}) pays our gate")(partial(_buys, _name, _version))
for _name in ("httpx", "fetch"):
    row(f"client/{_name}+v1-offer", f"{_name}, seeing only the v1 body, pays our gate")(partial(_buys, _name, 1, True))
row("gate/race", f"{_COPIES} copies of one payment at once are one charge")(_race)
row("gate/free", "the free route is free")(_free)
row("gate/browser", "CORS lets a browser page pay")(_browser)
