"""Credit over x402: X402Flow of the official Python SDKs and our facilitator."""

from __future__ import annotations

from functools import partial
from typing import Any

from .. import credit, gates, wire
from ..credit import ETH, RELEASES, WHERE, Core, Pair, Raised
from ..credit_offers import PRICE, accepted, ask, certified, number, offer, refused, signed
from ..outcome import equal, require
from ..table import row
from ..world import CHAIN_ID, NETWORK_V1, SEPOLIA_ID, SEPOLIA_USDC, USDC

_DEPOSIT = 100_000


def _v1(release: str, where: str) -> str:
    """sign_payment and settle_payment: twice on one tab, repeated, and refused for what was not offered."""
    pair = credit.pair(release, credit.core(where))
    pair.deposit(_DEPOSIT)
    offered = offer(pair)
    equal(_kinds(pair.core), [(f"eip155:{CHAIN_ID}", 1), (f"eip155:{CHAIN_ID}", 2)], "kinds of credit")
    for count in (1, 2):
        paid = _settled(pair, offered, count)
        certified(pair, paid["settlement"], 1, number(paid["header"]), PRICE * count)
    again = ask(pair, "settle", paid["header"], offered)
    equal(again["certificate"], paid["settlement"]["certificate"], "the same payment settled again")
    equal(ask(pair, "verify", paid["header"], offered)["invalidReason"], "credit_req_id_taken", "the same payment verified")
    fresh = signed(pair, offered)
    equal(ask(pair, "verify", fresh, offered)["isValid"], True, "a fresh payment verified")
    _other_offers(pair, fresh, offered)
    _other_claims(pair, fresh, number(paid["header"]), offered)
    pair.has(total=_DEPOSIT, locked=PRICE * 2)
    equal(ask(pair, "settle", fresh, offered)["success"], True, "the fresh payment after all that")
    return "three guarantees on one tab, one repeated, fourteen refused"


def _settled(pair: Pair, offered: dict[str, Any], count: int) -> dict[str, Any]:
    """sign_payment and settle_payment: so many on one tab."""
    paid = pair.payer.pay(offered, f"{pair.core.facilitator}/")
    require(not isinstance(paid, Raised), f"{pair.payer.release} pays and settles", paid)
    equal((paid["settlement"]["success"], paid["settlement"]["error"]), (True, None), "the settlement")
    pair.has(total=_DEPOSIT, locked=PRICE * count)
    return paid


def _kinds(core: Core) -> list[tuple[str, int]]:
    supported = wire.request(f"{core.facilitator}/supported").json()["kinds"]
    return [(one["network"], one["x402Version"]) for one in supported if one["scheme"] == "4mica-credit"]


def _other_offers(pair: Pair, header: str, offered: dict[str, Any]) -> None:
    """A good payment, for something else than what is asked."""
    for reason, change in (
        ("credit_amount_mismatch", {"maxAmountRequired": str(PRICE + 1)}),
        ("credit_amount_mismatch", {"maxAmountRequired": str(PRICE - 1)}),
        ("credit_recipient_mismatch", {"payTo": pair.payer.address}),
        ("credit_asset_mismatch", {"asset": ETH}),
        ("network_mismatch", {"network": "eip155:1"}),
    ):
        refused(pair, reason, header, {**offered, **change}, str(change))
    costly = {**offered, "maxAmountRequired": str(_DEPOSIT)}
    refused(pair, "credit_collateral_too_low", signed(pair, costly), costly, "more than there is")
    for name, value, reason in (("network", "eip155:1", "invalid_network"), ("scheme", "exact", "unsupported_scheme")):
        paid = wire.encode_header({**wire.decode_header(header, "X-PAYMENT"), name: value})
        other = {**offered, name: value} if name == "network" else offered
        refused(pair, reason, paid, other, f"{name} {value}")


def _other_claims(pair: Pair, header: str, taken: int, offered: dict[str, Any]) -> None:
    """A payment that was changed after it was signed, and what is signed with the SDK for a tab that does not take it."""
    payment = wire.decode_header(header, "X-PAYMENT")
    tab, req = (int(payment["payload"]["claims"][name], 16) for name in ("tab_id", "req_id"))
    for name, value, change in (
        ("amount", hex(PRICE - 1), {"maxAmountRequired": str(PRICE - 1)}),
        ("req_id", hex(req + 1), {}),
        ("recipient_address", pair.payer.address, {"payTo": pair.payer.address}),
    ):
        other = {**payment["payload"], "claims": {**payment["payload"]["claims"], name: value}}
        header = wire.encode_header({**payment, "payload": other})
        refused(pair, "credit_signature_invalid", header, {**offered, **change}, f"another {name}")
    rival = Pair(credit.wallet(pair.payer.release, pair.core), pair.recipient, pair.token)
    rival.deposit(PRICE)
    for reason, payer, fields in (
        ("credit_tab_mismatch", rival, {"tab_id": tab, "req_id": req}),
        ("credit_tab_unknown", pair, {"tab_id": 17, "req_id": 0}),
        ("credit_req_id_taken", pair, {"tab_id": tab, "req_id": taken, "timestamp": payment["payload"]["claims"]["timestamp"] + 1}),
        ("credit_timestamp_invalid", pair, {"tab_id": tab, "req_id": req, "timestamp": 1}),
    ):
        claims = payer.claims(tab, req, PRICE, **{name: value for name, value in fields.items() if name == "timestamp"})
        claims["$claims"] |= fields
        said = payer.payer.call("user.sign_payment", claims, {"$scheme": "eip712"})
        told = {"user_address": payer.payer.address, "tab_id": hex(fields["tab_id"]), "req_id": hex(fields["req_id"])}
        told["timestamp"] = claims["$claims"]["timestamp"]
        inner = {**payment["payload"], "claims": {**payment["payload"]["claims"], **told}, "signature": said["signature"]}
        refused(payer, reason, wire.encode_header({**payment, "payload": inner}), offered, f"{reason}: {fields}")


def _v2(where: str) -> str:
    """sign_payment_v2 with the registry's condition, settled by its header."""
    pair = credit.pair("1.1.1", credit.core(where))
    pair.deposit(_DEPOSIT)
    offered = accepted(pair)
    header = signed(pair, offered)
    for reason, change in (
        ("credit_condition_mismatch", {"minValidationScore": 81}),
        ("credit_condition_mismatch", {"jobHash": "0x" + "11" * 32}),
        ("credit_condition_mismatch", {"requiredValidationTag": ""}),
        ("invalid_payment_requirements", {"minValidationScore": 0}),
        ("invalid_payment_requirements", {"minValidationScore": 101}),
        ("invalid_payment_requirements", {"jobHash": "0x" + "00" * 32}),
    ):
        refused(pair, reason, header, {**offered, "extra": {**offered["extra"], **change}}, str(change))
    untrusted = accepted(pair, validationRegistryAddress=pair.payer.address)
    refused(pair, "credit_registry_not_trusted", signed(pair, untrusted), untrusted, "another registry")
    pair.has(total=_DEPOSIT, locked=0)
    equal(ask(pair, "verify", header, offered)["isValid"], True, "the payment verified")
    settled = ask(pair, "settle", header, offered)
    certified(pair, settled, 2, number(header), PRICE)
    equal(ask(pair, "settle", header, offered), settled, "the same payment settled again")
    pair.has(total=_DEPOSIT, locked=PRICE)
    return "a guarantee on a condition, once, seven refused"


def _networks() -> str:
    """One facilitator before two cores: each network by each of its names, and one alone when the other core is away."""
    near = credit.core("dev")
    far = credit.chain("sepolia", SEPOLIA_ID, SEPOLIA_USDC)
    file = gates.folder("credit-networks") / "facilitator.toml"
    cores = [(f"eip155:{core.chain_id}", core.url, core.chain.url, core.contract) for core in (near, far)]
    desk = gates.facilitator(file, near.chain.url, cores)
    desk.start()
    pairs = []
    for release, core, token, names in (
        ("1.1.1", near, USDC, (NETWORK_V1, f"eip155:{CHAIN_ID}")),
        ("0.4.3", far, SEPOLIA_USDC, ("sepolia", f"eip155:{SEPOLIA_ID}")),
    ):
        pair = credit.pair(release, core._replace(facilitator=desk.url), token)
        pair.deposit(_DEPOSIT)
        for count, name in enumerate(names, 1):
            said = _settled(pair, offer(pair, network=name), count)["settlement"]
            equal((said["network"], said["networkId"]), (name, name), "the network as it was spelled")
        pairs.append(pair)
    equal(_kinds(pairs[0].core), [(f"eip155:{chain}", version) for chain in (CHAIN_ID, SEPOLIA_ID) for version in (1, 2)], "kinds")
    far_offer = offer(pairs[1])
    header = signed(pairs[1], far_offer)
    far.service.kill()
    equal(_kinds(pairs[0].core), [(f"eip155:{CHAIN_ID}", 1), (f"eip155:{CHAIN_ID}", 2)], "kinds of what is left")
    body = {"x402Version": 1, "paymentHeader": header, "paymentRequirements": far_offer}
    for call in ("verify", "settle"):
        answer = wire.post_json(f"{desk.url}/{call}", body)
        away = answer.status == 503 or answer.json().get("errorReason") == "settlement_pending"
        require(away, f"/{call} on the network that is away", (answer.status, answer.body[:300]))
    _settled(pairs[0], offer(pairs[0]), 3)
    return "two networks with two names each, and one while the other was away"


for _where in WHERE:
    for _release in RELEASES:
        _about = f"sdk-4mica {_release} X402Flow signs and settles at our facilitator ({_where})"
        row(f"credit/x402-{_release}+{_where}", _about)(partial(_v1, _release, _where))
    row(f"credit/x402-v2-1.1.1+{_where}", f"sdk-4mica 1.1.1 X402Flow signs version 2 for our facilitator ({_where})")(partial(_v2, _where))
row("credit/x402-networks+dev", "both releases of sdk-4mica settle at one facilitator before two credit cores (dev)")(_networks)
