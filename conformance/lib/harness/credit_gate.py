"""Credit at our gate: its offers, what it answers to a payment, and the certificate in its receipt."""

from __future__ import annotations

from typing import Any, NamedTuple

from . import credit, wire
from .credit import Core, Pair, Raised
from .credit_offers import PRICE
from .outcome import equal, require
from .world import PAYEE

# Per protocol version: the header of a payment and that of its receipt.
_HEADERS = {1: ("x-payment", "x-payment-response"), 2: ("payment-signature", "payment-response")}


class Sold(NamedTuple):
    """An answer that was paid for."""

    body: bytes
    receipt: dict[str, Any]

    @property
    def certificate(self) -> dict[str, Any]:
        """The certificate in the receipt, as the SDK takes it."""
        said = self.receipt.get("certificate") or (self.receipt.get("extra") or {}).get("certificate")
        require(said, "the receipt has a certificate", self.receipt)
        return {"$certificate": said}


def pair(release: str, core: Core) -> Pair:
    """A new payer, and whom the gate of `dev` sells for."""
    return Pair(credit.wallet(release, core), credit.wallet(release, core, PAYEE.key), core.chain.token)


def offered(core: Core, version: int) -> dict[str, Any]:
    """What the gate asks for on credit: an offer of version 1, or the whole answer of version 2 with its offers on credit."""
    answer = wire.request(f"{core.gate}/joke")
    equal(answer.status, 402, "status without a payment")
    said = answer.json() if version == 1 else wire.decode_header(answer.headers.get("payment-required"), "PAYMENT-REQUIRED")
    on_credit = [one for one in said["accepts"] if one["scheme"] == "4mica-credit"]
    equal(len(on_credit), 1, "offers on credit")
    amount = on_credit[0]["maxAmountRequired" if version == 1 else "amount"]
    equal((amount, on_credit[0]["payTo"].lower()), (str(PRICE), PAYEE.address.lower()), "price and recipient")
    return on_credit[0] if version == 1 else {**said, "accepts": on_credit}


def signed(of: Pair, version: int) -> str:
    """The header in which X402Flow pays what the gate asks for."""
    paid = of.payer.pay(offered(of.core, version))
    require(not isinstance(paid, Raised), f"{of.payer.release} signs what the gate offers", paid)
    return paid["header"]


def show(core: Core, version: int, header: str) -> wire.Answer:
    """What the gate answers to a payment."""
    return wire.request(f"{core.gate}/joke", headers={_HEADERS[version][0]: header})


def buy(core: Core, version: int, header: str) -> Sold:
    """What a payment buys; fails the row if it buys nothing."""
    answer = show(core, version, header)
    require(answer.status == 200 and "joke" in answer.json(), "the gate sells", (answer.status, answer.body[:400].decode()))
    name = _HEADERS[version][1]
    receipt = wire.decode_header(answer.headers.get(name), name)
    equal(receipt["success"], True, "the receipt")
    return Sold(answer.body, receipt)


def refused(of: Pair, version: int, reason: str, header: str, what: str) -> None:
    """Fails unless the gate asks for a payment again, and says what is wrong with this one."""
    answer = show(of.core, version, header)
    equal((answer.status, answer.json().get("error")), (402, reason), f"the gate about {what}")
