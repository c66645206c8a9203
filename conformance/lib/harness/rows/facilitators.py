"""Our facilitator settles for servers of other projects, paid by their clients and by ours."""

from __future__ import annotations

from functools import partial

from .. import checks, curl, peers, stacks, wire
from ..outcome import equal, require
from ..table import row
from ..world import NETWORK, NETWORK_V1, PAYEE

_PAYERS = {
    "express": ("fetch", "httpx", "faregate"),
    "fastapi": ("httpx", "requests", "fetch", "faregate"),
    "express-v1": ("fetch-v1", "fetch", "requests", "faregate"),
}


def _server(kind: str) -> str:
    return stacks.peer_server(kind, stacks.dev().facilitator)


def _settles(server: str, client: str) -> str:
    dev = stacks.dev()
    url = f"{_server(server)}/joke"
    before = checks.books(dev.chain, dev.payer.address, PAYEE.address)
    if client == "faregate":
        run = curl.get(url, dev.payer.key)
        transaction = curl.paid(run, dev.chain, dev.payer.address, PAYEE.address)
        equal(checks.books(dev.chain, dev.payer.address, PAYEE.address), before.paid_once(), "books after the purchase")
        return f"tx {transaction}"
    paid = peers.pay(client, url, dev.payer.key)
    transaction = checks.bought(paid, dev.chain, dev.payer.address, PAYEE.address)
    after = checks.books(dev.chain, dev.payer.address, PAYEE.address)
    equal(after, before.paid_once(), "books (payer, payee, transactions sent) after the purchase")
    again = checks.resend(url, paid)
    equal(again.status, 402, "status of the same header again")
    # Unlike the PyPI facilitator, ours must not even burn gas on it (spec §2.2, last row).
    equal(checks.books(dev.chain, dev.payer.address, PAYEE.address), after, "books after the same header again")
    return f"tx {transaction}"


def _broken(server: str) -> str:
    """A handler that fails: the verified payment is not settled."""
    dev = stacks.dev()
    url = f"{_server(server)}/broken"
    before = checks.books(dev.chain, dev.payer.address, PAYEE.address)
    client = _PAYERS[server][0]
    equal(peers.pay(client, url, dev.payer.key).status, 500, "status of the broken route")
    equal(checks.books(dev.chain, dev.payer.address, PAYEE.address), before, "books after a broken upstream")
    return ""


def _api() -> str:
    """/supported and /health as the SDKs read them (spec §1.1, §3.1)."""
    base = stacks.dev().facilitator
    equal(wire.request(f"{base}/health").status, 200, "status of /health")
    supported = wire.request(f"{base}/supported").json()
    kinds = {(kind.get("x402Version"), kind.get("scheme"), kind.get("network")) for kind in supported.get("kinds", [])}
    wanted = {(2, "exact", NETWORK), (1, "exact", NETWORK_V1)}
    require(wanted <= kinds, "both protocol versions are in kinds", supported)
    require(isinstance(supported.get("extensions"), list), "extensions is a list", supported)
    signers = supported.get("signers", {})
    require(signers and all(isinstance(found, list) and found for found in signers.values()), "signers are named", signers)
    return f"{len(kinds)} kinds"


row("facilitator/api", "/supported and /health of our facilitator")(_api)
for _kind, _clients in _PAYERS.items():
    for _client in _clients:
        row(f"facilitator/{_kind}+{_client}", f"{_client} pays {_kind}, settled by our facilitator")(
            partial(_settles, _kind, _client)
        )
    row(f"facilitator/{_kind}+broken", f"{_kind} whose handler fails: our facilitator settles nothing")(partial(_broken, _kind))
