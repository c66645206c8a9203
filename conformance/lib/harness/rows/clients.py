"""Unmodified clients of other projects pay our gate (`faregate dev`)."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import partial

from .. import checks, credit, gates, peers, stacks, wire
from ..mocks import Reply, seller
from ..outcome import Fail, equal, require
from ..table import row
from ..world import NETWORK, PAYEE, PAYER

_COPIES = 48


def _buys(client: str, version: int, only_v1: bool = False) -> str:
    dev = stacks.dev()
    shop = checks.Shop(f"{dev.gate}/joke", dev.chain, dev.payer, dev.payee)
    return checks.buys(shop, client, version, only_v1)


def _strict() -> str:
    """x402-fetch 1.2.0 reads no list of offers that has a scheme it does not know: where credit is offered in version 1 it stops
    before it signs. A seller whose clients are like that offers credit in version 2 only."""
    core = credit.core("dev")
    url = f"{core.gate}/joke"
    before = checks.books(core.chain, PAYER.address, PAYEE.address)
    try:
        said = f"status {peers.pay('fetch-v1', url, PAYER.key).status}"
    except Fail as error:
        said = str(error)
    require("invalid_enum_value" in said and "4mica-credit" in said, "fetch-v1 cannot read an offer on credit", said)
    equal(checks.books(core.chain, PAYER.address, PAYEE.address), before, "books after that")
    terms = gates.conditional(NETWORK, core.url, core.chain.url, core.contract, core.registry, core.validator)
    with seller(lambda _: Reply(200, {"content-type": "application/json"}, b'{"joke":"a joke"}')) as upstream:
        file = gates.folder("client-fetch-v1") / "gate.toml"
        gate = gates.gate(file, core.facilitator, upstream.url, terms, gates.route("GET /joke"))
        service = gate.start()
        try:
            offered = wire.decode_header(wire.request(f"{gate.url}/joke").headers.get("payment-required"), "PAYMENT-REQUIRED")
            equal([one["scheme"] for one in offered["accepts"]], ["exact", "4mica-credit"], "what version 2 offers")
            return checks.buys(checks.Shop(f"{gate.url}/joke", core.chain, PAYER, PAYEE), "fetch-v1", 1)
        finally:
            service.stop()


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
    _check = _strict if _name == "fetch-v1" else partial(_buys, _name, _version)
    row(f"client/{_name}", f"{_name} (v{_version}) pays our gate")(_check)
for _name in ("httpx", "fetch"):
    row(f"client/{_name}+v1-offer", f"{_name}, seeing only the v1 body, pays our gate")(partial(_buys, _name, 1, True))
row("gate/race", f"{_COPIES} copies of one payment at once are one charge")(_race)
row("gate/free", "the free route is free")(_free)
row("gate/browser", "CORS lets a browser page pay")(_browser)
