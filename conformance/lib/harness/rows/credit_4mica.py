"""4Mica's own package for x402, unmodified: its facilitator client, its seller and its payer with our facilitator."""

from __future__ import annotations

import json
from typing import Any

from .. import credit, credit_gate, install, wire
from ..credit import Core, Pair
from ..credit_offers import PRICE, accepted, condition, good, number, offer
from ..outcome import Fail, equal, once, require
from ..paths import PEERS
from ..procs import Service, free_port
from ..table import row

_DEPOSIT = 100_000
_TAB_SECONDS = 3_600


class Peer:
    """The package in a process, which sells for `shop` behind our facilitator."""

    def __init__(self, core: Core, shop: credit.Wallet, extra: dict[str, Any]) -> None:
        folder = install.over_python("x402-4mica", PEERS / "python-credit" / "x402.txt")
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        env = {
            "PYTHONPATH": str(folder), "PORT": str(port), "PAY_TO": shop.address, "FACILITATOR_URL": core.facilitator,
            "NETWORK": f"eip155:{core.chain_id}", "EXTRA": json.dumps(extra), "4MICA_RPC_URL": core.url,
        }
        command = [str(install.python()), str(PEERS / "python-credit" / "x402_4mica.py")]
        Service("x402-4mica", command, env).until_http(f"{self.url}/health")

    def ask(self, **call: Any) -> dict[str, Any]:
        """What the package returned, or raised."""
        return wire.post_json(f"{self.url}/call", call, 60).json()

    def call(self, **call: Any) -> Any:
        """What the package returns; fails the row if it raises."""
        said = self.ask(**call)
        if "raised" in said:
            raise Fail(f"4mica-x402 raised {said['raised']}: {said['text']}")
        return said["said"]


@once
def _peer() -> tuple[Peer, credit.Wallet]:
    core = credit.core("dev")
    shop = credit.wallet("1.1.1", core)
    return Peer(core, shop, condition(core)), shop


def _pair() -> tuple[Peer, Pair]:
    """The package, and a payer who owes its seller."""
    peer, shop = _peer()
    pair = Pair(credit.wallet("1.1.1", shop.core), shop, shop.core.chain.token)
    pair.deposit(_DEPOSIT)
    return peer, pair


def _facilitator() -> str:
    """supported, open_tab, verify and settle, synchronous and not, in both versions; and what they make of a no."""
    peer, pair = _pair()
    kinds = [(one["scheme"], one["x402Version"]) for one in peer.call(supported=True)["kinds"]]
    require({("4mica-credit", 1), ("4mica-credit", 2)} <= set(kinds), "both versions of credit are supported", kinds)
    locked = 0
    for version, offered in ((1, offer(pair)), (2, accepted(pair))):
        tabs = [peer.call(tab=offered, user=pair.payer.address, ttl=ttl, version=version) for ttl in (_TAB_SECONDS, None)]
        tab = tabs[0][0]
        # Every one of them may ask for a guarantee: no two have the same number.
        equal(len({one.pop("next_req_id") for both in tabs for one in both}), 4, "numbers that are given out")
        require(all(other == tab for both in tabs for other in both), "a tab is opened once, whoever asks", tabs)
        said = (tab["user_address"], tab["recipient_address"], tab["asset_address"], tab["ttl_seconds"])
        equal(said, (pair.payer.address, pair.recipient.address, pair.asset, _TAB_SECONDS), "the tab")
        require(tab["start_timestamp"] > 0, "the tab has a start", tab)
        for name, verdict in (("verify", "isValid"), ("settle", "success")):
            both = peer.call(**{name: offered, "key": pair.payer.key})
            equal([one[verdict] for one in both], [True, True], f"{name}, synchronous and not")
            equal([one["payer"] for one in both], [pair.payer.address] * 2, f"the payer by {name}")
        locked += PRICE
        pair.has(total=_DEPOSIT, locked=locked)
        latest = pair.recipient.call("recipient.get_latest_guarantee", int(tab["tab_id"], 16))
        good(pair, {"$certificate": json.loads(latest["certificate"])}, version, latest["req_id"], PRICE)
    dear = offer(pair, maxAmountRequired=str(_DEPOSIT))
    both = peer.call(verify=dear, key=pair.payer.key)
    equal([(one["isValid"], one["invalidReason"]) for one in both], [(False, "credit_collateral_too_low")] * 2, "verify of too much")
    both = peer.call(settle=dear, key=pair.payer.key)
    equal([(one["success"], one["errorReason"]) for one in both], [(False, "credit_collateral_too_low")] * 2, "settle of too much")
    stranger = credit.wallet("1.1.1", pair.core, rich=False).address
    said = peer.ask(tab=offer(pair), user=stranger)
    equal((said.get("raised"), said.get("status")), ("OpenTabError", 400), "a tab for somebody without collateral")
    pair.has(total=_DEPOSIT, locked=locked)
    return "supported, open_tab, verify, settle in both versions; three refused"


def _seller() -> str:
    """Its payer buys from its seller, which asks our facilitator: on one tab, with a certificate that the SDK finds good."""
    peer, pair = _pair()
    tab, last = 0, 0
    for count in (1, 2):
        bought = peer.call(buy=f"{peer.url}/joke", key=pair.payer.key)
        equal((bought["status"], "joke" in bought["body"]), (200, True), "the purchase")
        equal((bought["receipt"]["success"], bought["receipt"]["payer"]), (True, pair.payer.address), "the receipt")
        claims = wire.decode_header(bought["sent"], "PAYMENT-SIGNATURE")["payload"]["claims"]
        equal(claims["version"], "v2", "version of the guarantee")
        tab, last = int(claims["tab_id"], 16), number(bought["sent"])
        pair.has(total=_DEPOSIT, locked=PRICE * count)
    latest = pair.recipient.call("recipient.get_latest_guarantee", tab)
    good(pair, {"$certificate": json.loads(latest["certificate"])}, 2, last, PRICE * 2)
    return "two purchases on one tab"


def _gate() -> str:
    """Its payer buys at our gate, which it was never told about."""
    peer, _ = _peer()
    pair = credit_gate.pair("1.1.1", credit.core("dev"))
    pair.deposit(_DEPOSIT)
    for count in (1, 2):
        bought = peer.call(buy=f"{pair.core.gate}/joke", key=pair.payer.key)
        equal((bought["status"], "joke" in bought["body"]), (200, True), "the purchase")
        equal((bought["receipt"]["success"], bought["receipt"]["payer"]), (True, pair.payer.address), "the receipt")
        sold = credit_gate.buy(pair.core, 2, bought["sent"])
        equal(sold.body.decode(), bought["body"], "a copy")
        good(pair, sold.certificate, 2, number(bought["sent"]), PRICE * count)
        pair.has(total=_DEPOSIT, locked=PRICE * count)
    return "two purchases on one tab, each copied"


row("credit/4mica-x402-gate+dev", "4mica-x402's payer pays our gate on credit (dev)")(_gate)
row("credit/4mica-x402-facilitator+dev", "4mica-x402 opens tabs, verifies and settles at our facilitator (dev)")(_facilitator)
row("credit/4mica-x402-seller+dev", "4mica-x402's payer buys from its seller, which asks our facilitator (dev)")(_seller)
