"""Credit at our gate: X402Flow of the official Python SDKs pays a route of `faregate dev`, and nothing is charged for what is not
a payment."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

from .. import credit, credit_gate, wire
from ..credit import ETH, RELEASES, Pair
from ..credit_gate import buy, refused, signed
from ..credit_offers import PRICE, good, number
from ..outcome import equal, require
from ..table import row

_DEPOSIT = 1_000_000
_AT_ONCE = 20


def _bought(release: str, version: int) -> str:
    """Two purchases on one tab, each with a certificate, one copied; then what is refused; then many at once."""
    pair = credit_gate.pair(release, credit.core("dev"))
    pair.deposit(_DEPOSIT)
    for count in (1, 2):
        header = signed(pair, version)
        sold = buy(pair.core, version, header)
        equal(sold.receipt["payer"].lower(), pair.payer.address.lower(), "the payer by the receipt")
        good(pair, sold.certificate, version, number(header), PRICE * count)
        equal(buy(pair.core, version, header), sold, "the answer to a copy")
        pair.has(total=_DEPOSIT, locked=PRICE * count)
    count = _refused(pair, version)
    pair.has(total=_DEPOSIT, locked=PRICE * 2)
    _at_once(pair, version)
    return f"two on one tab, each copied once, {count} refused, {_AT_ONCE} at once"


def _refused(pair: Pair, version: int) -> int:
    """Payments that were changed, and promises that the SDK signs for something else than what is asked."""
    good_one = wire.decode_header(signed(pair, version), "the payment")
    fields = good_one["payload"]["claims"]
    # In version 2 the hashes do not fit any more, which is seen first.
    forged = "credit_signature_invalid" if version == 1 else "credit_condition_invalid"
    tampered = {"req_id": hex(int(fields["req_id"], 16) + 7), "tab_id": "0x11", "timestamp": fields["timestamp"] - 1}
    for name, value in tampered.items():
        other = {**good_one, "payload": {**good_one["payload"], "claims": {**fields, name: value}}}
        refused(pair, version, forged, wire.encode_header(other), f"another {name} than was signed")
    elsewhere = {**good_one, "network": "eip155:1"}
    if version == 2:
        elsewhere = {**good_one, "accepted": {**good_one["accepted"], "network": "eip155:1"}}
    refused(pair, version, "network_mismatch", wire.encode_header(elsewhere), "another network")
    offered = credit_gate.offered(pair.core, version)
    changes: list[tuple[str, dict[str, Any]]] = [
        ("credit_amount_mismatch", {"amount": str(PRICE + 1)}),
        ("credit_amount_mismatch", {"amount": str(PRICE - 1)}),
        ("credit_asset_mismatch", {"asset": ETH}),
    ]
    if version == 2:
        changes += [
            ("credit_condition_mismatch", {"extra": {"minValidationScore": 1}}),
            ("credit_condition_mismatch", {"extra": {"jobHash": "0x" + "13" * 32}}),
            ("credit_condition_mismatch", {"extra": {"validationRegistryAddress": pair.payer.address}}),
        ]
    for reason, change in changes:
        refused(pair, version, reason, _signs(pair, offered, change), f"a promise with {change}")
    return len(tampered) + 1 + len(changes)


def _signs(pair: Pair, offered: dict[str, Any], change: dict[str, Any]) -> str:
    """X402Flow signs another offer than the gate's, for a tab of the facilitator, which opens tabs for anything."""
    one = offered["accepts"][0] if "accepts" in offered else offered
    extra = {**one["extra"], "tabEndpoint": f"{pair.core.facilitator}/tabs", **change.get("extra", {})}
    other = {**one, **change, "extra": extra}
    if "maxAmountRequired" in one and "amount" in change:
        other["maxAmountRequired"] = other.pop("amount")
    paid = pair.payer.pay({**offered, "accepts": [other]} if "accepts" in offered else other)
    require(isinstance(paid, dict), f"{pair.payer.release} signs", paid)
    return paid["header"]


def _at_once(pair: Pair, version: int) -> None:
    """One payer, one tab, many requests at once: every payment buys."""
    before = (pair.balance() or {})["locked"]

    def one(_: int) -> int:
        header = signed(pair, version)
        buy(pair.core, version, header)
        return number(header)

    with ThreadPoolExecutor(_AT_ONCE) as pool:
        numbers = list(pool.map(one, range(_AT_ONCE)))
    equal(len(set(numbers)), _AT_ONCE, "numbers on the tab")
    pair.has(total=_DEPOSIT, locked=before + PRICE * _AT_ONCE)


for _release in RELEASES:
    row(f"credit/gate-{_release}", f"sdk-4mica {_release} X402Flow pays our gate on credit (dev)")(partial(_bought, _release, 1))
row("credit/gate-v2-1.1.1", "sdk-4mica 1.1.1 X402Flow pays our gate on credit, on a condition (dev)")(partial(_bought, "1.1.1", 2))
