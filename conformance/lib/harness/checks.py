"""What every purchase must satisfy, whoever sells and whoever pays."""

from __future__ import annotations

from typing import Any, NamedTuple

from . import peers, wire
from .chain import Chain
from .outcome import equal, require
from .world import FACILITATOR, NETWORK, NETWORK_V1, PRICE, TOKEN_NAME, TOKEN_VERSION, USDC, Account

_HEADER_OF = {1: "x-payment", 2: "payment-signature"}
_NETWORK_OF = {1: NETWORK_V1, 2: NETWORK}
RESPONSE_HEADERS = ("payment-response", "x-payment-response")


class Books(NamedTuple):
    """What payer and payee hold, and how many transactions the facilitator's key has sent."""

    payer: int
    payee: int
    sent: int

    def paid_once(self) -> Books:
        """The same books after one payment at the price of these suites."""
        return Books(self.payer - PRICE, self.payee + PRICE, self.sent + 1)


def books(chain: Chain, payer: str, payee: str) -> Books:
    """Reads the books from the chain."""
    sent = chain.call("eth_getTransactionCount", FACILITATOR.address, "latest")
    return Books(chain.balance(payer), chain.balance(payee), int(sent, 16))


class Shop(NamedTuple):
    """A priced route of our gate, and who pays whom for it on which chain."""

    url: str
    chain: Chain
    payer: Account
    payee: Account

    def books(self) -> Books:
        """The books of the two, now."""
        return books(self.chain, self.payer.address, self.payee.address)


def _offer_is_ours(offer: dict[str, Any], amount_name: str, network: str, payee: str) -> None:
    equal(offer.get("scheme"), "exact", "scheme of the offer")
    equal(offer.get("network"), network, "network of the offer")
    equal(offer.get(amount_name), str(PRICE), f"{amount_name} of the offer")
    equal(offer.get("asset", "").lower(), USDC.lower(), "asset of the offer")
    equal(offer.get("payTo", "").lower(), payee.lower(), "payTo of the offer")
    require(isinstance(offer.get("maxTimeoutSeconds"), int), "maxTimeoutSeconds is an integer", offer)
    extra = offer.get("extra") or {}
    equal((extra.get("name"), extra.get("version")), (TOKEN_NAME, TOKEN_VERSION), "EIP-712 name and version in extra")


def unpaid_v2(answer: wire.Answer, url: str, payee: str) -> None:
    """A 402 with a v2 offer in its header (spec §1.1)."""
    equal(answer.status, 402, f"status of the unpaid {url}")
    offer = wire.decode_header(answer.headers.get("payment-required"), "PAYMENT-REQUIRED")
    equal(offer.get("x402Version"), 2, "x402Version in PAYMENT-REQUIRED")
    require(isinstance(offer.get("resource", {}).get("url"), str), "resource.url in PAYMENT-REQUIRED", offer)
    require(offer.get("accepts"), "accepts in PAYMENT-REQUIRED has an item", offer)
    _offer_is_ours(offer["accepts"][0], "amount", NETWORK, payee)


def unpaid_v1(answer: wire.Answer, url: str, payee: str) -> None:
    """A 402 with a v1 offer in its body (spec §1.2)."""
    equal(answer.status, 402, f"status of the unpaid {url}")
    body = answer.json()
    equal(body.get("x402Version"), 1, "x402Version in the body")
    require(body.get("accepts"), "accepts in the body has an item", body)
    offer = body["accepts"][0]
    _offer_is_ours(offer, "maxAmountRequired", NETWORK_V1, payee)
    for name in ("resource", "description", "mimeType"):
        require(isinstance(offer.get(name), str), f"{name} of the v1 offer is a string", offer)
    for name in ("extra", "outputSchema"):
        require(offer.get(name, {}) is not None, f"{name} of the v1 offer is not null", offer)


def unpaid_both(url: str, payee: str) -> wire.Answer:
    """Our 402: both versions at once, and never cached (spec §1.3)."""
    answer = wire.request(url)
    unpaid_v2(answer, url, payee)
    unpaid_v1(answer, url, payee)
    require("no-store" in answer.headers.get("cache-control", ""), "Cache-Control of a 402 has no-store", answer.headers)
    return answer


def receipt_in(headers: dict[str, str]) -> dict[str, Any]:
    """The settlement an answer reports, decoded by us, in whichever of the two headers it came."""
    names = [name for name in RESPONSE_HEADERS if name in headers]
    require(names, "PAYMENT-RESPONSE or X-PAYMENT-RESPONSE is there", headers)
    receipts = [wire.decode_header(headers[name], name) for name in names]
    for other in receipts[1:]:
        equal(other.get("transaction"), receipts[0].get("transaction"), "the transaction in both response headers")
    return receipts[0]


def bought(paid: peers.Paid, chain: Chain, payer: str, payee: str) -> str:
    """200, a receipt that the package itself and we can read, and a transfer on chain. Returns the transaction."""
    equal(paid.status, 200, f"status of the paid request (body {paid.body[:200]!r})")
    require(paid.sent, "the client sent a payment header")
    ours, theirs = receipt_in(paid.headers), paid.receipt or {}
    equal(ours.get("success"), True, "success in the payment response")
    equal(theirs.get("success"), True, "success as the client's own package decodes it")
    equal(theirs.get("transaction"), ours.get("transaction"), "transaction as the client's own package decodes it")
    equal((ours.get("payer") or "").lower(), payer.lower(), "payer in the payment response")
    require(ours.get("network") in (NETWORK, NETWORK_V1), "network in the payment response", ours)
    chain.check_transfer(ours.get("transaction"), payer, payee, PRICE)
    return str(ours["transaction"])


def resend(url: str, paid: peers.Paid, method: str = "GET", body: str | None = None) -> wire.Answer:
    """Sends a payment header a second time."""
    assert paid.sent is not None
    headers = {paid.sent["name"]: paid.sent["value"]}
    if body is not None:
        headers["content-type"] = "text/plain;charset=UTF-8"
    return wire.request(url, method, headers, body.encode() if body is not None else None)


def buys(shop: Shop, client: str, version: int, only_v1: bool = False) -> str:
    """One purchase at our gate: 402, payment, 200, receipt, transfer on chain, and no second charge."""
    unpaid_both(shop.url, shop.payee.address)
    before = shop.books()
    paid = peers.pay(client, shop.url, shop.payer.key, only_v1=only_v1)
    transaction = bought(paid, shop.chain, shop.payer.address, shop.payee.address)
    equal((paid.sent or {}).get("name"), _HEADER_OF[version], "the header the client paid with")
    equal(receipt_in(paid.headers).get("network"), _NETWORK_OF[version], "network in the payment response")
    require(paid.body, "the paid answer has a body")
    after = shop.books()
    equal(after, before.paid_once(), "books (payer, payee, transactions sent) after the purchase")
    _not_charged_again(shop.url, paid, transaction)
    equal(shop.books(), after, "books after the same header again")
    return f"v{version} tx {transaction}"


def _not_charged_again(url: str, paid: peers.Paid, transaction: str) -> None:
    """The same credential for the same request gets the same answer or a clear refusal (DESIGN §4)."""
    again = resend(url, paid)
    require(again.status in (200, 402, 409), "the same header again: 200, 402 or 409", again.status)
    if again.status == 200:
        equal(again.body.decode(), paid.body, "body of the same header again")
        equal(receipt_in(again.headers).get("transaction"), transaction, "transaction of the same header again")
    other = resend(f"{url}?other=1", paid)
    require(other.status in (402, 409), "the same header for another request is refused", other.status)
