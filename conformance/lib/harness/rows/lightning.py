"""Unmodified clients of other projects pay our gate over Lightning (`faregate dev`)."""

from __future__ import annotations

import json
from functools import partial
from subprocess import CompletedProcess

from .. import install, stacks
from ..lightning import FEE_MSAT, moved
from ..outcome import equal, require
from ..paths import PEERS
from ..procs import run
from ..table import row

# What GET /joke costs.
_PRICE_MSAT = 10_000


def _command(program: str) -> list[str]:
    if program.endswith(".mjs"):
        return ["node", str(install.node("node-l402") / program)]
    return [str(install.python("python-l402")), str(PEERS / "python-l402" / program)]


def _run(program: str, *words: str, count: int) -> tuple[CompletedProcess[str], list[int]]:
    """The client's end, and how the payer's and the seller's balance moved."""
    dev = stacks.dev()
    env = {"URL": f"{dev.gate}/joke", "COUNT": str(count), "LND_REST": dev.lnd, "LND_MACAROON": dev.lnd_payer}
    with moved() as balances:
        done = run([*_command(program), *words], env, seconds=120)
    return done, balances


def _client(program: str, *words: str, count: int) -> tuple[list[int], list[str], list[int]]:
    """Statuses and bodies of a client that ends well, and how the balances moved."""
    done, balances = _run(program, *words, count=count)
    equal(done.returncode, 0, f"exit of the client; {done.stderr[-600:]}")
    said = json.loads(done.stdout.strip().splitlines()[-1])
    return said["statuses"], said["bodies"], balances


def _buys(program: str, *words: str) -> str:
    """Each token opens one request: the client finds it used up, pays the new challenge, and is served again."""
    count = 3
    statuses, bodies, balances = _client(program, *words, count=count)
    equal(statuses, [200] * count, "statuses")
    require(all("joke" in json.loads(body) for body in bodies), "every answer is a joke", bodies)
    equal(balances, [-count * (_PRICE_MSAT + FEE_MSAT), count * _PRICE_MSAT], "millisatoshis moved")
    return f"{count} purchases, each paid once"


def _spoilt_preimage() -> str:
    """Its LND wallet takes hexadecimal digits for base64: what it shows opens nothing, and is told apart from a forgery."""
    statuses, bodies, balances = _client("client_l402_requests.py", "lnd", count=1)
    equal(statuses, [401], "statuses")
    equal(balances, [-(_PRICE_MSAT + FEE_MSAT), _PRICE_MSAT], "millisatoshis moved")
    error = json.loads(bodies[0])["error"]
    return f"refused: {error}"


def _shown_again() -> str:
    """What it paid with is shown once more: it never pays anew then, and hears that the token was used."""
    statuses, bodies, balances = _client("client-lightning-tools.mjs", "again", count=1)
    equal(statuses, [200, 402], "statuses")
    error = json.loads(bodies[1])["error"]
    equal(error, "l402_token_used_up", "error of the second answer")
    equal(balances, [-(_PRICE_MSAT + FEE_MSAT), _PRICE_MSAT], "millisatoshis moved")
    return f"paid once, then refused: {error}"


def _over_its_cap() -> str:
    """Its `maxAmount` of one satoshi is compared with our invoice."""
    done, balances = _run("client-lightning-tools.mjs", "fetch402", "cap", count=1)
    require(done.returncode != 0, "the client refuses", done.stdout[-300:])
    require("exceeds" in done.stderr, "it says that the amount is too high", done.stderr[-600:])
    equal(balances, [0, 0], "millisatoshis moved")
    return "refused by the client, nothing paid"


for _name, _program, _words in (
    ("l402kit", "client_l402kit.py", ()),
    ("l402kit-async", "client_l402kit.py", ("async",)),
    ("l402-requests", "client_l402_requests.py", ()),
    ("lightning-tools", "client-lightning-tools.mjs", ()),
    ("lightning-tools-402", "client-lightning-tools.mjs", ("fetch402",)),
):
    row(f"lightning/{_name}", f"{_name} pays /joke three times, each token once")(partial(_buys, _program, *_words))
row("lightning/l402-requests-lnd", "the preimage that its LND wallet spoils is refused with a reason")(_spoilt_preimage)
row("lightning/lightning-tools-again", "its credentials, shown twice, open one request and cost once")(_shown_again)
row("lightning/lightning-tools-cap", "its most for a payment keeps it from paying /joke")(_over_its_cap)
