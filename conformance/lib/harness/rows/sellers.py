"""Our client against sellers that lie: it signs nothing it should not, and says clearly how it ended.

Exit codes are those of `faregate help curl`: 3 over a cap or rule, 4 no offer to trust, 5 refused by the seller,
6 undecided, 7 HTTP.
"""

from __future__ import annotations

import base64
import json
from typing import Any

from .. import curl, wire
from ..mocks import Reply, Seen, Seller, seller
from ..outcome import Fail, equal, require
from ..table import row
from ..world import NETWORK, OTHER, PAYEE, PAYER, PRICE, USDC

_OVER, _NO_OFFER, _REFUSED, _UNDECIDED = 3, 4, 5, 6


def _terms(**changes: Any) -> dict[str, Any]:
    """A sound v2 offer, changed."""
    sound = {
        "scheme": "exact", "network": NETWORK, "amount": str(PRICE), "asset": USDC, "payTo": PAYEE.address,
        "maxTimeoutSeconds": 60, "extra": {"name": "USDC", "version": "2"},
    }
    return {name: value for name, value in {**sound, **changes}.items() if value is not ...}


def _offer(url: str = "http://127.0.0.1/x", status: int = 402, **changes: Any) -> Reply:
    required = {"x402Version": 2, "resource": {"url": url}, "accepts": [_terms(**changes)]}
    return Reply(status, {"PAYMENT-REQUIRED": wire.encode_header(required)})


_RECEIPT = {"success": True, "transaction": "0x" + "ab" * 32, "network": NETWORK, "payer": PAYER.address}
_SOLD = Reply(200, {"PAYMENT-RESPONSE": wire.encode_header(_RECEIPT)}, b'{"sold":true}')

_MAINNET = {
    "network": "eip155:8453",
    "asset": "0x833589fCD6eDb6E08f4c7C32D4f71b54bdA02913",
    "extra": {"name": "USD Coin", "version": "2"},
}
_FAILURE = {**_RECEIPT, "success": False, "errorReason": "transaction_failed"}

# Offers nobody should sign, and how the client may end.
_UNSOUND: dict[str, tuple[Reply, set[int]]] = {
    "a token nobody knows": (_offer(asset=OTHER.address), {_OVER, _NO_OFFER}),
    "another domain name": (_offer(extra={"name": "Fare Coin", "version": "2"}), {_OVER, _NO_OFFER}),
    "another domain version": (_offer(extra={"name": "USDC", "version": "1"}), {_OVER, _NO_OFFER}),
    "over the cap": (_offer(amount="1000000"), {_OVER}),
    "an amount of 78 digits": (_offer(amount="9" * 77), {_OVER, _NO_OFFER}),
    "amount as number": (_offer(amount=PRICE), {_NO_OFFER}),
    "amount in hex": (_offer(amount="0x3e8"), {_NO_OFFER}),
    "a negative amount": (_offer(amount="-1000"), {_NO_OFFER}),
    "no amount": (_offer(amount=...), {_NO_OFFER}),
    "a payee that is no address": (_offer(payTo="0x1234"), {_NO_OFFER}),
    "a network with real money": (_offer(**_MAINNET), {_OVER, _NO_OFFER}),
    "an unknown network": (_offer(network="eip155:999999"), {_NO_OFFER}),
    "an unknown scheme": (_offer(scheme="gift"), {_NO_OFFER}),
    "an unknown payment flow": (_offer(extra={"name": "USDC", "version": "2", "paymentFlow": "later"}), {_NO_OFFER}),
    "valid for ten years": (_offer(maxTimeoutSeconds=315_360_000), {_OVER, _NO_OFFER}),
    "no offers": (Reply(402, {"PAYMENT-REQUIRED": wire.encode_header({"x402Version": 2, "accepts": []})}), {_NO_OFFER}),
    "no x402 at all": (Reply(402, {}, b"<html>pay at the desk</html>"), {_NO_OFFER}),
    "garbage in the header": (Reply(402, {"PAYMENT-REQUIRED": "!!!"}), {_NO_OFFER}),
    "deep nesting": (Reply(402, {"PAYMENT-REQUIRED": base64.b64encode(b"[" * 20_000).decode()}), {_NO_OFFER}),
    "a header of 200 KB": (Reply(402, {"PAYMENT-REQUIRED": "A" * 200_000}), {_NO_OFFER, 7}),
    "a body of 30 MB": (Reply(402, {}, b'{"x402Version":1,"x":"' + b"a" * 30_000_000 + b'"}'), {_NO_OFFER, 7}),
}


def _check(label: str, wrong: list[str], ran: curl.Run, codes: set[int]) -> None:
    if ran.code not in codes:
        wrong.append(f"{label}: exit {ran.code} instead of {sorted(codes)} (stderr {ran.errors[-160:]!r})")
    if "panicked" in ran.errors:
        wrong.append(f"{label}: panic: {ran.errors[-300:]!r}")


def _unsound() -> str:
    """Nothing is signed for an unsound offer."""
    wrong: list[str] = []
    for label, (reply, codes) in _UNSOUND.items():
        with seller(lambda _, reply=reply: reply) as shop:
            _check(label, wrong, curl.get(f"{shop.url}/x", PAYER.key), codes)
            if shop.payments():
                wrong.append(f"{label}: a payment was signed and sent")
    if wrong:
        raise Fail(f"{len(wrong)} of {len(_UNSOUND)} cases: " + "; ".join(wrong))
    return f"{len(_UNSOUND)} cases"


def _then(reply: Reply, first: Reply | None = None):
    """402 until somebody pays, then `reply`."""
    return lambda request: reply if request.payment else (first or _offer())


def _dishonest() -> str:
    """Sellers that take the payment and then do not keep to it. One signature at most, and a true exit code."""
    cases: dict[str, tuple[Reply, set[int]]] = {
        "402 for ever": (_offer(), {_REFUSED}),
        "another 402, dearer": (_offer(amount="2000"), {_REFUSED}),
        "connection dropped": (Reply(200, drop=True), {_UNDECIDED}),
        "silence": (Reply(200, hang=20.0), {_UNDECIDED}),
        "a receipt that is garbage": (Reply(200, {"PAYMENT-RESPONSE": "???"}, b"{}"), {0, _UNDECIDED}),
        "a receipt of a failure": (
            Reply(402, {"PAYMENT-RESPONSE": wire.encode_header(_FAILURE)}),
            {_REFUSED, _UNDECIDED},
        ),
        "server error": (Reply(500), {0, _REFUSED, _UNDECIDED, 7}),
    }
    wrong: list[str] = []
    for label, (reply, codes) in cases.items():
        with seller(_then(reply)) as shop:
            _check(label, wrong, curl.get(f"{shop.url}/x", PAYER.key, "--max-time", "3"), codes)
            if len(set(shop.payments())) != 1:
                wrong.append(f"{label}: {len(set(shop.payments()))} different payments were sent instead of 1")
    if wrong:
        raise Fail(f"{len(wrong)} of {len(cases)} cases: " + "; ".join(wrong))
    return f"{len(cases)} cases"


def _redirects() -> str:
    """A payment header never reaches another origin, with -L or without."""
    with seller(lambda _: _SOLD) as thief:
        for status in (301, 302, 303, 307, 308):
            for first in (_offer(), Reply(status, {"location": f"{thief.url}/stolen"})):
                with seller(_then(Reply(status, {"location": f"{thief.url}/stolen"}), first)) as shop:
                    curl.get(f"{shop.url}/x", PAYER.key, "-L", "--max-time", "5")
        equal(thief.payments(), [], "payment headers at another origin")
    return "10 redirects"


def _rules() -> str:
    """412 pays like 402; caps per host and the payee are remembered across runs."""
    with seller(_then(_SOLD, _offer(status=412))) as shop:
        equal(curl.get(f"{shop.url}/x", PAYER.key).code, 0, "exit code when the offer comes with 412")
        require(len(shop.payments()) == 1, "an offer with 412 is paid", shop.seen)
    payee = [PAYEE.address]

    def answer(request: Seen) -> Reply:
        return _SOLD if request.payment else _offer(payTo=payee[0])

    with seller(answer) as shop:
        cap = ("--max-per-host", "0.002")
        codes = [curl.get(f"{shop.url}/x", PAYER.key, *cap).code for _ in range(3)]
        equal(codes, [0, 0, _OVER], "exit codes of three purchases under a cap per host of two")
        payee[0] = OTHER.address
        equal(curl.get(f"{shop.url}/x", PAYER.key).code, _OVER, "exit code when the host asks for another payee")
        equal(curl.get(f"{shop.url}/x", PAYER.key, "--allow-new-payee").code, 0, "exit code with --allow-new-payee")
        equal(_payees(shop), [PAYEE.address.lower()] * 2 + [OTHER.address.lower()], "who was paid")
    return ""


def _payees(shop: Seller) -> list[str]:
    payments = (json.loads(base64.b64decode(header)) for header in shop.payments())
    return [payment["payload"]["authorization"]["to"].lower() for payment in payments]


row("hostile/offers", "offers our client must not sign")(_unsound)
row("hostile/sellers", "sellers that take our client's payment and do not keep to it")(_dishonest)
row("hostile/redirects", "redirects that would carry a payment to another origin")(_redirects)
row("hostile/rules", "412, caps per host and payees remembered across runs of our client")(_rules)
