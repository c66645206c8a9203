"""Real Lightning: our gate and our client, each with a node of LDK in its process, over a real Bitcoin node (regtest)."""

from __future__ import annotations

import functools
import hashlib
import json
import time

from .. import install, wire
from ..binary import faregate_ldk
from ..lightning_nodes import DEAR_SATS, EXPIRY_SECS, PRICE_MSAT, Nodes, node, nodes
from ..market import Invoice, moves
from ..outcome import equal, require
from ..paths import PEERS
from ..procs import Service, run
from ..table import row

_OK, _OVER_BUDGET, _REFUSED, _UNDECIDED = 0, 3, 5, 6


def _error(answer: wire.Answer) -> str:
    return str(answer.json().get("code") or answer.json().get("error"))


@functools.cache
def _old() -> Invoice:
    """An invoice of the first row, which the last row finds expired."""
    return nodes().ask("/one")


def _there() -> Nodes:
    _old()
    return nodes()


_moves = functools.partial(moves, _there)


@row("real-lightning/purchase", "`faregate curl` with a node in it buys from a gate with a node in it")
@_moves(PRICE_MSAT)
def _purchase() -> str:
    payment = nodes().buys("/one")
    equal(payment["feeMsat"], 0, "fee of a direct channel")
    return f"payment hash {payment['paymentHash'][:16]}…, no fee"


@row("real-lightning/tokens", "a token for three requests opens three; its preimage has the invoice's hash")
@_moves(PRICE_MSAT)
def _tokens() -> str:
    asked = nodes().ask("/many")
    equal(nodes().show("/many", asked.token, "00" * 32).status, 401, "status with a preimage that is none")
    paid = node(nodes().payer, "pay", asked.invoice)
    digest = hashlib.sha256(bytes.fromhex(paid["preimage"])).hexdigest()
    equal(digest, asked.payment_hash(), "hash of the preimage")
    statuses = [nodes().show("/many", asked.token, paid["preimage"]).status for _ in range(4)]
    equal(statuses, [200, 200, 200, 402], "statuses of four requests")
    return "200, 200, 200, then 402"


@row("real-lightning/used-up", "a token for one request is refused the second time, and on another route")
@_moves(PRICE_MSAT)
def _used_up() -> str:
    asked = nodes().ask("/one")
    preimage = node(nodes().payer, "pay", asked.invoice)["preimage"]
    elsewhere = nodes().show("/many", asked.token, preimage)
    require(elsewhere.status in (401, 402), "refused on another route", elsewhere.status)
    equal(nodes().show("/one", asked.token, preimage).status, 200, "status of the first request")
    again = nodes().show("/one", asked.token, preimage)
    equal(again.status, 402, "status of the second request")
    return _error(again)


@row("real-lightning/paid-twice", "an invoice that was paid is not paid again: the node says the same preimage")
@_moves(PRICE_MSAT)
def _paid_twice() -> str:
    asked = nodes().ask("/one")
    first = node(nodes().payer, "pay", asked.invoice)
    second = node(nodes().payer, "pay", asked.invoice)
    equal(second["preimage"], first["preimage"], "preimage of the second try")
    return "paid once, told twice"


@row("real-lightning/no-liquidity", "what the channel cannot carry is refused, and nothing is lost")
@_moves(PRICE_MSAT)
def _no_liquidity() -> str:
    code, report, errors = nodes().curl("/dear")
    equal(code, _OVER_BUDGET, f"exit code above the cap; {errors[-600:]}")
    code, report, errors = nodes().curl("/dear", "--max-sats", str(2 * DEAR_SATS))
    require(code not in (_OK, _UNDECIDED), "exit code above the channel: certainly not paid", [code, errors[-600:]])
    require("insufficient_funds" in json.dumps(report) + errors, "the reason is named", [report, errors])
    # Nothing is left open, and what can be paid still is.
    nodes().buys("/one")
    return "insufficient_funds, then a purchase as usual"


_ABOUT_RESERVED = "a client that dies before its node hears of the invoice pays it once"
row("real-lightning/killed-reserved", _ABOUT_RESERVED)(_moves(PRICE_MSAT)(lambda: nodes().killed_at("reserved")))


@row("real-lightning/killed-in-flight", "a client and its node, killed while the payment is on its way, resume it: paid once")
@_moves(PRICE_MSAT)
def _killed_in_flight() -> str:
    there = nodes()
    there.relay.hold_next_payment()
    try:
        buying = Service("real-buying", there.curl_command("/one"), there.payer_env())
        buying.until(there.relay.held.is_set, "payment", 30)
        # The node writes its state down behind the payment. Killed before, it would close the channel.
        time.sleep(3)
        require(buying.alive(), "the client waits for its payment", buying.tail())
        buying.kill()
    finally:
        there.relay.mend()
    payment = nodes().buys("/one", resumed=True)
    return f"resumed, paid once: {payment['paymentHash'][:16]}…"


@row("real-lightning/seller-restarts", "the gate and its node are killed and started: an invoice of before still buys, once")
@_moves(2 * PRICE_MSAT)
def _seller_restarts() -> str:
    there = nodes()
    asked = nodes().ask("/one")
    preimage = node(there.payer, "pay", asked.invoice)["preimage"]
    later = nodes().ask("/one")
    # The node writes its state down behind the payment. Killed before, it would close the channel.
    time.sleep(3)
    there.restart()
    equal(nodes().show("/one", asked.token, preimage).status, 200, "status of a token that was paid before")
    equal(nodes().show("/one", asked.token, preimage).status, 402, "status of the same token again")
    preimage = node(there.payer, "pay", later.invoice)["preimage"]
    equal(nodes().show("/one", later.token, preimage).status, 200, "status of an invoice that was made before")
    return "killed and started in between"


def _peer(program: str, *words: str) -> str:
    """A client of somebody else, with our node as the wallet behind it."""
    there = nodes()
    count = 2
    command = [str(install.python("python-l402")), str(PEERS / "python-l402" / program), *words]
    pay = json.dumps([str(faregate_ldk()), "node", str(there.payer), "pay"])
    done = run(command, {"URL": f"{there.url}/one", "COUNT": str(count), "PAY_COMMAND": pay}, seconds=120)
    equal(done.returncode, 0, f"exit of the client; {done.stderr[-600:]}")
    said = json.loads(done.stdout.strip().splitlines()[-1])
    equal(said["statuses"], [200] * count, "statuses")
    return f"{count} purchases, each paid once"


for _name, _program in (("l402kit", "client_l402kit.py"), ("l402-requests", "client_l402_requests.py")):
    _check = _moves(2 * PRICE_MSAT)(functools.partial(_peer, _program))
    row(f"real-lightning/{_name}", f"{_name} buys twice, paying through our node")(_check)


@row("real-lightning/expired", "an invoice that has expired is not paid, and the gate makes a new one")
@_moves(PRICE_MSAT)
def _expired() -> str:
    asked = _old()
    time.sleep(max(0.0, asked.at + EXPIRY_SECS + 1 - time.monotonic()))
    done = run([str(faregate_ldk()), "node", str(nodes().payer), "pay", asked.invoice])
    equal(done.returncode, _REFUSED, f"exit code; {done.stderr[-600:]}")
    require("invoice_expired" in done.stderr, "the reason is named", done.stderr)
    nodes().buys("/one")
    return "invoice_expired, then a purchase as usual"


# The last one, because the node may close its channel: LDK does when it dies between two of its writes.
@row("real-lightning/killed-invoice_paid", "a client that dies with its node, right after that has paid, does not pay again")
def _killed_when_paid() -> str:
    there = nodes()
    before = there.can_send()
    note = there.killed_at("invoice_paid")
    if not any(one["ready"] for one in node(there.payer, "info")["channels"]):
        return f"{note} The node closed its channel."
    equal(before - there.can_send(), PRICE_MSAT, "millisatoshis that went to the seller")
    return note
