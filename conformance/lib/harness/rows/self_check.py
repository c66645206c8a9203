"""Peers among themselves on anvil: nothing of ours takes part, so a failure here is not a failure of Faregate."""

from __future__ import annotations

from functools import partial

from .. import checks, peers, stacks, wire
from ..outcome import equal, require
from ..table import row
from ..world import PAYEE, PAYER


def _pairs() -> list[tuple[str, str]]:
    """Every client with every server it can speak to."""
    return [
        (client, server)
        for server, seller in peers.SERVERS.items()
        for client, payer in peers.CLIENTS.items()
        if set(payer.versions) & set(seller.versions)
    ]


def _buy(client: str, server: str, facilitator: str) -> str:
    world = stacks.peer_world(facilitator)
    base = stacks.peer_server(server, world.facilitator)
    url = f"{base}/joke"
    answer = wire.request(url)
    check = checks.unpaid_v2 if 2 in peers.SERVERS[server].versions else checks.unpaid_v1
    check(answer, url, PAYEE.address)
    before = checks.books(world.chain, PAYER.address, PAYEE.address)
    paid = peers.pay(client, url, PAYER.key)
    transaction = checks.bought(paid, world.chain, PAYER.address, PAYEE.address)
    after = checks.books(world.chain, PAYER.address, PAYEE.address)
    equal(after, before.paid_once(), "books after the purchase")
    again = checks.resend(url, paid)
    require(again.status == 402, "the same header again is refused", again.status)
    # Not the whole books: the PyPI facilitator burns gas on a second settlement (spec §2.2, last row).
    equal(checks.books(world.chain, PAYER.address, PAYEE.address)[:2], after[:2], "balances after the same header again")
    return f"tx {transaction}"


for _facilitator in peers.FACILITATORS:
    for _client, _server in _pairs():
        row(f"self-check/{_client}+{_server}+{_facilitator}", f"{_client} pays {_server}, settled by {_facilitator}")(
            partial(_buy, _client, _server, _facilitator)
        )
