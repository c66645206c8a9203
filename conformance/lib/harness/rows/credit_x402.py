"""Credit over x402: X402Flow of the official Python SDKs and our facilitator."""

from __future__ import annotations

import secrets
from functools import partial
from typing import Any

from .. import credit, wire
from ..credit import RELEASES, Pair, Raised
from ..outcome import equal, require
from ..table import row
from ..world import CHAIN_ID, USDC

_PRICE, _DEPOSIT = 1_000, 100_000


def _offer(pair: Pair, **other: Any) -> dict[str, Any]:
    """What the recipient asks for, in version 1."""
    return {
        "scheme": "4mica-credit", "network": f"eip155:{CHAIN_ID}", "maxAmountRequired": str(_PRICE),
        "payTo": pair.recipient.address, "asset": USDC, "resource": "/premium", "description": "d",
        "mimeType": "application/json", "maxTimeoutSeconds": 300,
        "extra": {"tabEndpoint": f"{pair.core.facilitator}/tabs"}, **other,
    }


def _ask(pair: Pair, call: str, version: int, header: str, offer: dict[str, Any]) -> dict[str, Any]:
    """What the facilitator says of a payment in a header."""
    body = {"x402Version": version, "paymentHeader": header, "paymentRequirements": offer}
    answer = wire.post_json(f"{pair.core.facilitator}/{call}", body)
    equal(answer.status, 200, f"status of /{call}")
    return answer.json()


def _certified(pair: Pair, said: dict[str, Any], version: int, req: int, total: int) -> dict[str, Any]:
    """A settlement whose certificate the SDK finds good."""
    equal((said["success"], said["error"], said["txHash"]), (True, None, None), "the settlement")
    certificate = {"$certificate": said["certificate"]}
    checked = pair.recipient.call("recipient.verify_payment_guarantee", certificate)
    expected = {"version": version, "req_id": req, "amount": _PRICE, "total_amount": total,
                "recipient_address": pair.recipient.address.lower(), "user_address": pair.payer.address.lower()}
    equal({name: checked[name] for name in expected}, expected, "what the certificate says")
    return checked


def _v1(release: str) -> str:
    """sign_payment and settle_payment: twice on one tab, repeated, and refused for what was not offered."""
    pair = credit.pair(release, credit.core("dev"))
    pair.deposit(_DEPOSIT)
    offer = _offer(pair)
    supported = wire.request(f"{pair.core.facilitator}/supported").json()["kinds"]
    kinds = [(one["network"], one["x402Version"]) for one in supported if one["scheme"] == "4mica-credit"]
    equal(kinds, [(f"eip155:{CHAIN_ID}", 1), (f"eip155:{CHAIN_ID}", 2)], "kinds of credit")
    for req in (0, 1):
        paid = pair.payer.pay(offer, f"{pair.core.facilitator}/")
        require(not isinstance(paid, Raised), f"{release} pays and settles", paid)
        _certified(pair, paid["settlement"], 1, req, _PRICE * (req + 1))
        pair.has(total=_DEPOSIT, locked=_PRICE * (req + 1))
    again = _ask(pair, "settle", 1, paid["header"], offer)
    equal(again["certificate"], paid["settlement"]["certificate"], "the same payment settled again")
    equal(_ask(pair, "verify", 1, paid["header"], offer)["invalidReason"], "credit_req_id_taken", "the same payment verified")
    fresh = pair.payer.pay(offer)["header"]
    equal(_ask(pair, "verify", 1, fresh, offer)["isValid"], True, "a fresh payment verified")
    refused = {
        "credit_amount_mismatch": ({"maxAmountRequired": str(_PRICE + 1)}, {"maxAmountRequired": str(_PRICE - 1)}),
        "credit_recipient_mismatch": ({"payTo": pair.payer.address},),
        "credit_asset_mismatch": ({"asset": pair.payer.address},),
        "network_mismatch": ({"network": "eip155:1"},),
    }
    for reason, changes in refused.items():
        for change in changes:
            equal(_ask(pair, "verify", 1, fresh, {**offer, **change})["invalidReason"], reason, f"verify with {change}")
            equal(_ask(pair, "settle", 1, fresh, {**offer, **change})["errorReason"], reason, f"settle with {change}")
    costly = _offer(pair, maxAmountRequired=str(_DEPOSIT))
    header = pair.payer.pay(costly)["header"]
    equal(_ask(pair, "verify", 1, header, costly)["invalidReason"], "credit_collateral_too_low", "more than there is")
    pair.has(total=_DEPOSIT, locked=_PRICE * 2)
    return "two guarantees on one tab, one repeated, six refused"


def _v2() -> str:
    """sign_payment_v2 with the registry's condition, settled by its header."""
    pair = credit.pair("1.1.1", credit.core("dev"))
    pair.deposit(_DEPOSIT)
    condition = {
        "validationRegistryAddress": pair.core.registry, "validatorAddress": pair.core.validator, "validatorAgentId": "7",
        "minValidationScore": 80, "jobHash": "0x" + secrets.token_hex(32), "requiredValidationTag": "hard-finality",
    }
    accepted = {
        "scheme": "4mica-credit", "network": f"eip155:{CHAIN_ID}", "amount": str(_PRICE), "payTo": pair.recipient.address,
        "asset": USDC, "maxTimeoutSeconds": 300, "extra": {"tabEndpoint": f"{pair.core.facilitator}/tabs", **condition},
    }
    resource = {"url": "https://api.example.com/premium", "description": "premium", "mimeType": "application/json"}
    paid = pair.payer.pay({"x402Version": 2, "resource": resource, "accepts": [accepted]})
    require(not isinstance(paid, Raised), "1.1.1 signs a payment of version 2", paid)
    refused = {
        "credit_condition_mismatch": ({"minValidationScore": 81}, {"jobHash": "0x" + "11" * 32}, {"requiredValidationTag": ""}),
        "invalid_payment_requirements": ({"minValidationScore": 0}, {"jobHash": "0x" + "00" * 32}),
    }
    for reason, changes in refused.items():
        for change in changes:
            other = {**accepted, "extra": {**accepted["extra"], **change}}
            equal(_ask(pair, "verify", 2, paid["header"], other)["invalidReason"], reason, f"verify with {change}")
    equal(_ask(pair, "verify", 2, paid["header"], accepted)["isValid"], True, "the payment verified")
    settled = _ask(pair, "settle", 2, paid["header"], accepted)
    _certified(pair, settled, 2, 0, _PRICE)
    elsewhere = {**condition, "validationRegistryAddress": pair.payer.address}
    untrusted = {**accepted, "extra": {**accepted["extra"], **elsewhere}}
    header = pair.payer.pay({"x402Version": 2, "resource": resource, "accepts": [untrusted]})["header"]
    equal(_ask(pair, "verify", 2, header, untrusted)["invalidReason"], "credit_registry_not_trusted", "another registry")
    pair.has(total=_DEPOSIT, locked=_PRICE)
    return "a guarantee on a condition, six refused"


for _release in RELEASES:
    row(f"credit/x402-{_release}+dev", f"sdk-4mica {_release} X402Flow signs and settles at our facilitator (dev)")(partial(_v1, _release))
row("credit/x402-v2-1.1.1+dev", "sdk-4mica 1.1.1 X402Flow signs version 2 for our facilitator (dev)")(_v2)
