"""Our client (`faregate curl`) pays servers of other projects; chain and facilitator are theirs too."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from .. import checks, curl, peers, stacks, wire
from ..outcome import equal, require
from ..table import row
from ..world import PAYEE, PAYER


def _pays(server: str) -> str:
    world = stacks.peer_world("py")
    base = stacks.peer_server(server, world.facilitator)
    chain = world.chain

    def books() -> checks.Books:
        return checks.books(chain, PAYER.address, PAYEE.address)

    before = books()
    bought = curl.get(f"{base}/joke", PAYER.key)
    transaction = curl.paid(bought, chain, PAYER.address, PAYEE.address)
    require("A fare walks into a gate." in bought.text, "the answer is printed", bought.text)
    equal(books(), before.paid_once(), "books after GET /joke")

    posted = curl.get(f"{base}/echo", PAYER.key, "-X", "POST", "-d", "fare=1&gate=2")
    curl.paid(posted, chain, PAYER.address, PAYEE.address)
    require("fare=1&gate=2" in posted.text, "the body was sent again with the payment", posted.text)
    equal(books(), before.paid_once().paid_once(), "books after POST /echo")
    _pays_nothing(base, books)
    return f"tx {transaction}"


def _pays_nothing(base: str, books: Callable[[], checks.Books]) -> None:
    """What must leave the balances alone: a broken upstream, a free route, a cap, a dry run."""
    before = books()
    runs = wire.request(f"{base}/runs").json()
    broken = curl.get(f"{base}/broken", PAYER.key)
    equal(curl.status(broken), 500, "status of the broken upstream as printed by --json")
    equal(wire.request(f"{base}/runs").json().get("broken"), runs.get("broken", 0) + 1, "runs of the broken upstream")
    free = curl.get(f"{base}/free", PAYER.key)
    equal((free.code, curl.status(free)), (0, 200), "exit code and status of the free route")
    capped = curl.get(f"{base}/joke", PAYER.key, cap="0.0005")
    equal(capped.code, curl.OVER_BUDGET, "exit code when the price is over --max-amount")
    dry = curl.get(f"{base}/joke", PAYER.key, "--dry-run")
    equal(dry.code, 0, "exit code of --dry-run")
    keyless = curl.get(f"{base}/joke", None)
    require(keyless.code not in (0, curl.OVER_BUDGET), "no key: an exit code of its own", keyless.code)
    equal(books(), before, "books after a broken upstream, a free route, a cap, a dry run and no key")
    after = wire.request(f"{base}/runs").json()
    equal(after.get("joke"), runs.get("joke"), "runs of GET /joke without a payment")


for _server in peers.SERVERS:
    row(f"server/{_server}", f"faregate curl pays {_server} (their facilitator, anvil)")(partial(_pays, _server))
