"""Offers of scheme `4mica-credit`, and what our facilitator says of payments for them."""

from __future__ import annotations

import secrets
from typing import Any

from . import wire
from .credit import Core, Pair, Raised
from .outcome import equal, require

PRICE = 1_000


def offer(pair: Pair, **other: Any) -> dict[str, Any]:
    """What the recipient asks for, in version 1."""
    return {
        "scheme": "4mica-credit", "network": f"eip155:{pair.core.chain_id}", "maxAmountRequired": str(PRICE),
        "payTo": pair.recipient.address, "asset": pair.asset, "resource": "/premium", "description": "d",
        "mimeType": "application/json", "maxTimeoutSeconds": 300,
        "extra": {"tabEndpoint": f"{pair.core.facilitator}/tabs"}, **other,
    }


def condition(core: Core, **other: Any) -> dict[str, Any]:
    """What a guarantee of version 2 depends on, as offers have it."""
    return {
        "validationRegistryAddress": core.registry, "validatorAddress": core.validator, "validatorAgentId": "7",
        "minValidationScore": 80, "jobHash": "0x" + secrets.token_hex(32), "requiredValidationTag": "hard-finality", **other,
    }


def accepted(pair: Pair, **other: Any) -> dict[str, Any]:
    """What the recipient asks for, in version 2; `other` changes its condition."""
    return {
        "scheme": "4mica-credit", "network": f"eip155:{pair.core.chain_id}", "amount": str(PRICE),
        "payTo": pair.recipient.address, "asset": pair.asset, "maxTimeoutSeconds": 300,
        "extra": {"tabEndpoint": f"{pair.core.facilitator}/tabs", **condition(pair.core, **other)},
    }


def required(offered: dict[str, Any]) -> dict[str, Any]:
    """The 402 answer of version 2 with one offer."""
    resource = {"url": "https://api.example.com/premium", "description": "premium", "mimeType": "application/json"}
    return {"x402Version": 2, "resource": resource, "accepts": [offered]}


def signed(pair: Pair, offered: dict[str, Any]) -> str:
    """The header in which X402Flow pays an offer of either version."""
    paid = pair.payer.pay(required(offered) if "amount" in offered else offered)
    require(not isinstance(paid, Raised), f"{pair.payer.release} signs a payment", paid)
    return paid["header"]


def number(header: str) -> int:
    """The number on its tab that a payment asks for."""
    return int(wire.decode_header(header, "the payment")["payload"]["claims"]["req_id"], 16)


def ask(pair: Pair, call: str, header: str, offered: dict[str, Any]) -> dict[str, Any]:
    """What the facilitator says of a payment in a header."""
    version = 2 if "amount" in offered else 1
    body = {"x402Version": version, "paymentHeader": header, "paymentRequirements": offered}
    answer = wire.post_json(f"{pair.core.facilitator}/{call}", body)
    equal(answer.status, 200, f"status of /{call}")
    return answer.json()


def refused(pair: Pair, reason: str, header: str, offered: dict[str, Any], what: str) -> None:
    """Fails unless both calls refuse a payment for this reason."""
    verdict, settled = ask(pair, "verify", header, offered), ask(pair, "settle", header, offered)
    equal((verdict["isValid"], verdict["invalidReason"]), (False, reason), f"/verify of {what}")
    equal((settled["success"], settled["errorReason"]), (False, reason), f"/settle of {what}")
    require(settled["error"] and "certificate" not in settled, f"{what} is refused in words, without a certificate", settled)


def certified(pair: Pair, said: dict[str, Any], version: int, req: int, total: int) -> dict[str, Any]:
    """A settlement whose certificate the SDK finds good: the certificate as the SDK takes it."""
    equal((said["success"], said["error"], said["txHash"]), (True, None, None), "the settlement")
    certificate = {"$certificate": said["certificate"]}
    good(pair, certificate, version, req, total)
    return certificate


def good(pair: Pair, certificate: dict[str, Any], version: int, req: int, total: int) -> None:
    """Fails unless the SDK finds a certificate good, and it says this."""
    checked = pair.recipient.call("recipient.verify_payment_guarantee", certificate)
    expected = {"version": version, "req_id": req, "amount": PRICE, "total_amount": total,
                "recipient_address": pair.recipient.address.lower(), "user_address": pair.payer.address.lower(),
                "asset_address": pair.asset.lower()}
    equal({name: checked[name] for name in expected}, expected, "what the certificate says")
