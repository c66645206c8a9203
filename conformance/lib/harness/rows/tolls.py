"""Our client buys over Lightning from unmodified servers of other projects (`src/bin/payer.rs`, one client for all calls)."""

from __future__ import annotations

import json
from typing import Any

from .. import install, stacks
from ..binary import payer
from ..lightning import FEE_MSAT, moved
from ..outcome import equal, once, require
from ..paths import PEERS
from ..procs import Service, free_port, run
from ..table import row

# What the servers here ask for, in satoshis.
_PRICE = 10
_LIE = 500


@once
def _l402kit() -> str:
    """l402kit's server, whose invoices dev's seller makes."""
    return _server("l402kit", [str(install.python("python-l402")), str(PEERS / "python-l402" / "server_l402kit.py")])


@once
def _lightning_tools() -> str:
    """A server made of lightning-tools' helpers."""
    return _server("lightning-tools", ["node", str(install.node("node-l402") / "server-lightning-tools.mjs")])


def _server(name: str, command: list[str]) -> str:
    dev, port = stacks.dev(), free_port()
    env = {"PORT": str(port), "LND_REST": dev.lnd, "LND_MACAROON": dev.lnd_seller, "AMOUNT_SAT": str(_PRICE)}
    url = f"http://127.0.0.1:{port}"
    Service(f"server-{name}", command, env).until_http(f"{url}/health")
    return url


def _ours(url: str, count: int, most: int = 100, in_all: int = 1_000) -> dict[str, Any]:
    """What our client says of `count` calls, of which each may cost `most` satoshis, with what the way may cost."""
    dev = stacks.dev()
    env = {"URL": url, "COUNT": str(count), "MAX_SATS": str(most), "MAX_SATS_IN_ALL": str(in_all)}
    done = run([str(payer())], {**env, "LND_REST": dev.lnd, "LND_MACAROON": dev.lnd_payer})
    equal(done.returncode, 0, f"exit of our client; {done.stderr[-600:]}")
    require(dev.lnd_payer not in done.stdout + done.stderr, "the macaroon is not in the output")
    return json.loads(done.stdout)


def _theirs(url: str, count: int, **env: str) -> list[int]:
    """The statuses that l402kit's own client gets."""
    dev = stacks.dev()
    command = [str(install.python("python-l402")), str(PEERS / "python-l402" / "client_l402kit.py")]
    env = {"URL": url, "COUNT": str(count), "LND_REST": dev.lnd, "LND_MACAROON": dev.lnd_payer, **env}
    done = run(command, env)
    equal(done.returncode, 0, f"exit of l402kit's client; {done.stderr[-600:]}")
    return json.loads(done.stdout)["statuses"]


def _cost(count: int) -> list[int]:
    return [-count * (_PRICE * 1_000 + FEE_MSAT), count * _PRICE * 1_000]


def _codes(said: dict[str, Any]) -> list[str | None]:
    return [error and error["code"] for error in said["errors"]]


@row("tolls/l402kit", "our client buys three times from l402kit's FastAPI server, whose tokens open once")
def _l402kit_recovered() -> str:
    url = f"{_l402kit()}/paid"
    with moved() as balances:
        said = _ours(url, 3)
    equal(said["statuses"], [200] * 3, f"statuses {said['errors']}")
    equal(said["paid"], [_PRICE * 1_000] * 3, "millisatoshis that each call cost, by our client's word")
    equal(balances, _cost(3), "millisatoshis moved")
    return "three purchases; twice it showed a used token first and paid anew"


@row("tolls/l402kit-own", "l402kit's own client does not get beyond its first purchase there")
def _l402kit_stuck() -> str:
    with moved() as balances:
        statuses = _theirs(f"{_l402kit()}/paid", 3)
    equal(statuses, [200, 401, 401], "statuses")
    equal(balances, _cost(1), "millisatoshis moved")
    return "200, then 401 for good"


@row("tolls/l402kit-caps", "paying anew stays within our client's caps for all payments together")
def _l402kit_caps() -> str:
    with moved() as balances:
        said = _ours(f"{_l402kit()}/paid", 3, in_all=2 * (_PRICE + 5))
    equal(said["statuses"], [200, 200, None], "statuses")
    equal(_codes(said), [None, None, "over_period_cap"], "codes")
    equal(balances, _cost(2), "millisatoshis moved")
    return "two purchases, the third refused before it was paid"


@row("tolls/l402kit-lie", "a server says 1 sat and its invoice asks for 500: our client pays nothing")
def _lie() -> str:
    url = f"{_l402kit()}/lie"
    with moved() as balances:
        said = _ours(url, 1, most=1_000)
    equal(_codes(said), ["invoice_price_mismatch"], "codes")
    equal(balances, [0, 0], "millisatoshis moved")
    with moved() as balances:
        statuses = _theirs(url, 1, BUDGET="10")
    equal(statuses, [200], "statuses of l402kit's client with a budget of 10 sat")
    equal(balances[1], _LIE * 1_000, "millisatoshis that l402kit's client paid")
    return f"refused; l402kit's client paid {_LIE} sat out of a budget of 10"


@row("tolls/l402kit-dev", "an invoice of l402kit's DevProvider, which is none, is refused with a reason")
def _dev() -> str:
    with moved() as balances:
        said = _ours(f"{_l402kit()}/dev", 1)
    equal(_codes(said), ["invoice_unusable"], "codes")
    equal(balances, [0, 0], "millisatoshis moved")
    return said["errors"][0]["text"]


@row("tolls/lightning-tools", "our client buys from a server made of lightning-tools' helpers, and keeps the token")
def _helpers() -> str:
    with moved() as balances:
        said = _ours(f"{_lightning_tools()}/paid", 3)
    equal(said["statuses"], [200] * 3, f"statuses {said['errors']}")
    equal(said["paid"], [_PRICE * 1_000, None, None], "millisatoshis that each call cost, by our client's word")
    equal(balances, _cost(1), "millisatoshis moved")
    return "paid once, the token opened three requests"
