"""Unmodified clients of other projects pay our gate over Lightning (`faregate dev`)."""

from __future__ import annotations

import json
from functools import partial

from .. import install, stacks, wire
from ..outcome import equal, require
from ..paths import PEERS
from ..procs import run
from ..table import row

# What GET /joke costs, and what dev's network takes for the way of such a payment.
_PRICE_MSAT = 10_000
_FEE_MSAT = 1_001


def _balances() -> list[int]:
    dev = stacks.dev()
    found = []
    for macaroon in (dev.lnd_payer, dev.lnd_seller):
        answer = wire.request(f"{dev.lnd}/v1/balance/channels", headers={"grpc-metadata-macaroon": macaroon})
        equal(answer.status, 200, "status of the node's balance")
        found.append(int(json.loads(answer.body)["local_balance"]["msat"]))
    return found


def _client(program: str, *words: str, count: int) -> tuple[list[int], list[str], list[int]]:
    """Statuses, bodies, and how the payer's and the seller's balance moved."""
    dev = stacks.dev()
    before = _balances()
    command = [str(install.python("python-l402")), str(PEERS / "python-l402" / program), *words]
    env = {"URL": f"{dev.gate}/joke", "COUNT": str(count), "LND_REST": dev.lnd, "LND_MACAROON": dev.lnd_payer}
    done = run(command, env, seconds=120)
    equal(done.returncode, 0, f"exit of the client; {done.stderr[-600:]}")
    said = json.loads(done.stdout.strip().splitlines()[-1])
    moved = [after - start for after, start in zip(_balances(), before, strict=True)]
    return said["statuses"], said["bodies"], moved


def _buys(program: str, *words: str) -> str:
    """Each token opens one request: the client finds it used up, pays the new challenge, and is served again."""
    count = 3
    statuses, bodies, moved = _client(program, *words, count=count)
    equal(statuses, [200] * count, "statuses")
    require(all("joke" in json.loads(body) for body in bodies), "every answer is a joke", bodies)
    equal(moved, [-count * (_PRICE_MSAT + _FEE_MSAT), count * _PRICE_MSAT], "millisatoshis moved")
    return f"{count} purchases, each paid once"


def _spoilt_preimage() -> str:
    """Its LND wallet takes hexadecimal digits for base64: what it shows opens nothing, and is told apart from a forgery."""
    statuses, bodies, moved = _client("client_l402_requests.py", "lnd", count=1)
    equal(statuses, [401], "statuses")
    equal(moved, [-(_PRICE_MSAT + _FEE_MSAT), _PRICE_MSAT], "millisatoshis moved")
    error = json.loads(bodies[0])["error"]
    return f"refused: {error}"


for _name, _program, _words in (
    ("l402kit", "client_l402kit.py", ()),
    ("l402kit-async", "client_l402kit.py", ("async",)),
    ("l402-requests", "client_l402_requests.py", ()),
):
    row(f"lightning/{_name}", f"{_name} pays /joke three times, each token once")(partial(_buys, _program, *_words))
row("lightning/l402-requests-lnd", "the preimage that its LND wallet spoils is refused with a reason")(_spoilt_preimage)
