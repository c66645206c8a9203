"""Dev's Lightning network: what its wallets hold, and how that moved."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator

from . import stacks, wire
from .outcome import equal

# What dev's network takes for the way of a payment.
FEE_MSAT = 1_001


def _balances() -> list[int]:
    dev = stacks.dev()
    found = []
    for macaroon in (dev.lnd_payer, dev.lnd_seller):
        answer = wire.request(f"{dev.lnd}/v1/balance/channels", headers={"grpc-metadata-macaroon": macaroon})
        equal(answer.status, 200, "status of the node's balance")
        found.append(int(json.loads(answer.body)["local_balance"]["msat"]))
    return found


def pay(invoice: str) -> str:
    """Pays with the payer's wallet; the preimage."""
    dev = stacks.dev()
    order = {"payment_request": invoice, "timeout_seconds": 30, "fee_limit_msat": "5000", "no_inflight_updates": True}
    headers = {"grpc-metadata-macaroon": dev.lnd_payer, "content-type": "application/json"}
    answer = wire.request(f"{dev.lnd}/v2/router/send", "POST", headers, json.dumps(order).encode())
    equal(answer.status, 200, f"status of the payment ({answer.body[:200]!r})")
    return json.loads(answer.body.strip().splitlines()[-1])["result"]["payment_preimage"]


@contextlib.contextmanager
def moved() -> Iterator[list[int]]:
    """A list that holds, after the block, by how many millisatoshis the payer's and the seller's balance changed."""
    before, changes = _balances(), []
    yield changes
    changes += [after - start for after, start in zip(_balances(), before, strict=True)]
