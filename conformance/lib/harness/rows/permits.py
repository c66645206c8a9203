"""Permits for access tokens: the five releases of `x402-mock` among themselves, where nothing of ours takes part or only our
chain, and their servers paid by our client."""

from __future__ import annotations

import json
from functools import partial

from .. import permit, stacks, wire
from ..binary import payer
from ..chain import Chain
from ..outcome import equal, require
from ..permit import Bought, Till
from ..procs import run
from ..table import row
from ..world import PAYEE, PAYER, PERMIT2, PRICE, SEPOLIA_ID

_CHAINS = {"anvil": permit.anvil, "dev": lambda: stacks.dev_sepolia().chain}
# A signature without leading zeros comes once in five times; so many in a row hardly ever.
_TRIES = 12


def _asks(release: str, chain: Chain, currency: str = "USDC") -> Bought:
    """One purchase: 402, one permit, 200, and the handler ran once."""
    server = permit.servers(chain.url)[release]
    unpaid = wire.request(f"{server}/joke")
    equal((unpaid.status, unpaid.json()["access_token_endpoint"]), (402, "/token"), "status and endpoint without a token")
    runs = wire.request(f"{server}/runs").json().get("joke", 0)
    bought = permit.buy(release, f"{server}/joke", PAYER.key, chain, currency)
    bought.all_sold()
    equal(len(bought.permits), 1, "permits posted")
    equal(wire.request(f"{server}/runs").json().get("joke"), runs + 1, "runs of the paid handler")
    return bought


def _signs_only(chain: Chain) -> str:
    """0.1.1 brings the permit to the chain and leaves the money where it is."""
    till, nonce = Till.open(chain, PAYER, PAYEE.address), permit.nonce(chain, PAYER.address)
    done = len(wire.request(f"{permit.servers(chain.url)['0.1.1']}/settled").json())
    bought = _asks("0.1.1", chain)
    equal(bought.permits[0]["permit_type"], "EIP2612", "what was signed")
    said = permit.settled(permit.servers(chain.url)["0.1.1"], done + 1)[-1]
    equal(chain.wait(f"0x{said['tx_hash'].removeprefix('0x')}")["status"], "0x1", "status of its transaction")
    equal(permit.nonce(chain, PAYER.address), nonce + 1, "the payer's nonce")
    equal(permit.allowance(chain, PAYER.address, PAYEE.address), PRICE, "what the server may take")
    till.wait(0, 0)
    return "an allowance, and no money: this release has no transferFrom"


def _pays(release: str, chain: Chain, currency: str) -> str:
    """Later releases are paid, except for a signature that begins with a zero."""
    server = permit.servers(chain.url)[release]
    lost = 0
    for _ in range(_TRIES):
        till, done = Till.open(chain, PAYER, PAYEE.address), len(wire.request(f"{server}/settled").json())
        bought = _asks(release, chain, currency)
        equal(bought.permits[0]["permit_type"], "ERC3009" if currency == "USDC" else "Permit2", "what was signed")
        if not permit.short(bought.permits[0]):
            till.wait(1)
            return f"paid once{f', and not paid {lost} times for a signature with a leading zero' if lost else ''}"
        require("error" in permit.settled(server, done + 1)[-1], "a signature with a leading zero is not settled")
        till.wait(0, 0)
        lost += 1
    return f"never paid: {lost} signatures with a leading zero"


def _row(release: str, where: str) -> str:
    chain = _CHAINS[where]()
    if release in permit.SIGNS_PERMITS:
        return _signs_only(chain)
    return _pays(release, chain, "USDC")


def _permit2(release: str) -> str:
    chain = permit.of(permit.anvil(), "USDT")
    note = _pays(release, chain, "USDT")
    require(permit.allowance(chain, PAYER.address, PERMIT2) > 0, "the client approved Permit2")
    return note


def _ours(release: str) -> str:
    """Our client, one for three requests: it pays once, keeps the token and shows it again."""
    chain = permit.anvil()
    server = permit.servers(chain.url)[release]
    signs = release in permit.SIGNS_PERMITS
    till, nonce = Till.open(chain, PAYER, PAYEE.address), permit.nonce(chain, PAYER.address)
    runs = wire.request(f"{server}/runs").json().get("joke", 0)
    env = {"URL": f"{server}/joke", "COUNT": "3", "FAREGATE_PRIVATE_KEY": PAYER.key, "CHAIN": str(SEPOLIA_ID)}
    env["NODE"] = chain.url
    if release == "0.2.0":
        # It describes prices as 0.1.1 does, and refuses what that one takes.
        env["KIND"] = "ERC3009"
    done = run([str(payer())], env)
    equal(done.returncode, 0, f"exit of our client; {done.stderr[-600:]}")
    require(PAYER.key.removeprefix("0x") not in done.stdout + done.stderr, "the private key is not in the output")
    said = json.loads(done.stdout)
    equal(said["statuses"], [200] * 3, f"statuses {said['errors']}")
    equal(said["paid"], ["EIP2612" if signs else "ERC3009", None, None], "what was signed for each request")
    equal(wire.request(f"{server}/runs").json()["joke"], runs + 3, "runs of the paid handler")
    if signs:
        permit.until(lambda: permit.nonce(chain, PAYER.address) == nonce + 1, "the permit is on the chain")
        equal(permit.allowance(chain, PAYER.address, PAYEE.address), PRICE, "what the server may take")
        till.wait(0, 0)
        return "an allowance for three requests: this release takes no more"
    till.wait(1)
    return "paid once for three requests"


for _where in _CHAINS:
    for _release in permit.RELEASES:
        row(f"self-check/x402-mock-{_release}+{_where}", f"x402-mock {_release} pays its own server on {_where}")(
            partial(_row, _release, _where)
        )
for _release in ("0.2.0", "0.3.0"):
    row(f"self-check/x402-mock-{_release}+permit2", f"x402-mock {_release} pays its own server through Permit2 on anvil")(
        partial(_permit2, _release)
    )
for _release in permit.RELEASES:
    row(f"server/x402-mock-{_release}", f"our client pays a server of x402-mock {_release}")(partial(_ours, _release))
