"""Permits for access tokens: the five releases of `x402-mock` among themselves, where nothing of ours takes part or only our
chain, and their servers paid by our client."""

from __future__ import annotations

from functools import partial

from .. import curl, permit, stacks, wire
from ..chain import Chain, word
from ..outcome import equal, require
from ..permit import Bought, Till
from ..table import row
from ..world import PAYEE, PAYER, PERMIT2, PRICE

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
    # 0.2.0 describes prices as 0.1.1 does, and refuses what that one takes.
    said = permit.ours(f"{server}/joke", PAYER, chain, 3, "ERC3009" if release == "0.2.0" else None)
    equal(said["statuses"], [200] * 3, f"statuses {said['errors']}")
    equal(said["paid"], ["EIP2612" if signs else "ERC3009", None, None], "what was signed for each request")
    equal(wire.request(f"{server}/runs").json()["joke"], runs + 3, "runs of the paid handler")
    if signs:
        permit.until(lambda: permit.nonce(chain, PAYER.address) == nonce + 1, "the permit is on the chain")
        equal(permit.allowance(chain, PAYER.address, PAYEE.address), PRICE, "what the server may take")
        till.wait(0, 0)
        return "an allowance for three requests: this release takes no more"
    till.wait(1)
    bought = curl.get(f"{server}/joke", PAYER.key)
    equal((bought.code, curl.status(bought)), (0, 200), f"exit code and status of faregate curl; {bought.errors[-300:]}")
    till.wait(2)
    return "paid once for three requests, and once by faregate curl"


def _ours_permit2(release: str) -> str:
    """Our client signs a Permit2 order if it is told to, and if Permit2 may take the money."""
    chain = permit.anvil()
    url = f"{permit.servers(chain.url)[release]}/joke"
    allow = f"0x095ea7b3{word(PERMIT2)}"
    chain.send({"from": PAYER.address, "to": chain.token, "data": allow + word(0)})
    till = Till.open(chain, PAYER, PAYEE.address)
    said = permit.ours(url, PAYER, chain, 1, "Permit2")
    equal([one and one["code"] for one in said["errors"]], ["permit_allowance_too_low"], "codes")
    chain.send({"from": PAYER.address, "to": chain.token, "data": allow + word(10 * PRICE)})
    said = permit.ours(url, PAYER, chain, 1, "Permit2")
    equal((said["statuses"], said["paid"]), ([200], ["Permit2"]), f"statuses and kinds {said['errors']}")
    till.wait(1)
    return "refused without an allowance for Permit2, paid with one"


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
row("server/x402-mock-0.3.0+permit2", "our client pays a server of x402-mock 0.3.0 through Permit2")(
    partial(_ours_permit2, "0.3.0")
)
