"""The five releases of `x402-mock` as clients that pay and servers that sell, and the chain they look for: Sepolia's."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any, NamedTuple

from . import install, peers, wire
from .binary import payer
from .chain import Chain, word
from .outcome import Fail, equal, once, require, shown
from .paths import PEERS
from .procs import Service, free_port, run
from .world import PAYEE, PRICE, SEPOLIA_ID, SEPOLIA_USDC, SEPOLIA_USDT, Account

RELEASES = ("0.1.1", "0.2.0", "0.2.1", "0.2.2", "0.3.0")
# Later ones sign EIP-3009 authorizations and Permit2 orders.
SIGNS_PERMITS = ("0.1.1",)
TOKENS = {"USDC": SEPOLIA_USDC, "USDT": SEPOLIA_USDT}
# What they call the price, and how much a client allows.
_PRICE, _LIMIT = PRICE / 1_000_000, 0.01
_SETTLE_SECONDS = 20.0
_NONCES, _ALLOWANCE = "0x7ecebe00", "0xdd62ed3e"


class Bought(NamedTuple):
    """What a client said: an answer or an error for each request, and all that it sent."""

    answers: list[dict[str, Any]]
    sent: list[dict[str, Any]]

    @property
    def permits(self) -> list[dict[str, Any]]:
        """The permits it posted, in their order."""
        return [json.loads(one["body"])["permit"] for one in self.sent if one["method"] == "POST"]

    @property
    def endpoints(self) -> list[str]:
        """The paths it posted them to."""
        return [one["path"] for one in self.sent if one["method"] == "POST"]

    @property
    def tokens(self) -> list[str]:
        """The Authorization headers it showed, each once."""
        return list(dict.fromkeys(one["authorization"] for one in self.sent if one["authorization"]))

    def all_sold(self) -> None:
        """Fails unless each request was answered with 200."""
        equal([one.get("status") for one in self.answers], [200] * len(self.answers), f"statuses of {shown(self.answers)}")


def signed(release: str, url: str, key: str, chain: Chain, count: int = 1) -> list[str]:
    """Token requests that a client wrote and did not post."""
    kept = buy(release, url, key, chain, count=count, how="KEEP")
    equal([one.get("error") for one in kept.answers], ["RuntimeError: kept"] * count, "permits are signed and not posted")
    return [one["body"] for one in kept.sent if one["method"] == "POST"]


def endpoint(gate: str, path: str = "/joke") -> str:
    """Where a fresh 402 answer of our gate says that tokens are had."""
    unpaid = wire.request(f"{gate}{path}")
    equal(unpaid.status, 402, f"status of {path} without a token")
    named = unpaid.json()["access_token_endpoint"]
    require(named.startswith("/token/q_"), "an endpoint for this quote", named)
    return named


def post(url: str, request: str, seconds: float = wire.ANSWER_SECONDS) -> wire.Answer:
    """Posts a token request."""
    return wire.request(url, "POST", {"content-type": "application/json"}, request.encode(), seconds)


def short(permit: dict[str, Any]) -> bool:
    """Whether its signature lacks leading zeros, as one in five of those from 0.2.0 on does. Their own servers give a token
    for it and then cannot settle it."""
    return any(len(permit["signature"][name]) != 66 for name in ("r", "s"))


def _env(release: str, key: str, chain: Chain, amount: float, currencies: dict[str, str]) -> dict[str, str]:
    return {
        "PYTHONPATH": str(install.release(release)),
        "EVM_PRIVATE_KEY": key,
        "RPC_URL": chain.url,
        "CHAIN": f"eip155:{chain.chain_id()}",
        "AMOUNT": str(amount),
        "CURRENCIES": json.dumps(currencies),
    }


def _program(name: str) -> list[str]:
    return [str(install.python()), str(PEERS / "python-permit" / name)]


def buy(release: str, url: str, key: str, chain: Chain, currency: str = "USDC", count: int = 1, how: str = "") -> Bought:
    """Lets an unmodified client of that release ask for `url`; it pays with the chain's token and calls that `currency`. `how`
    is CONCURRENT, all requests at once, or KEEP."""
    env = {**_env(release, key, chain, _LIMIT, {currency: chain.token}), "URL": url, "COUNT": str(count)}
    if how:
        env[how] = "1"
    done = run(_program("client.py"), env)
    if done.returncode != 0:
        raise Fail(f"{release} on {url} ended with {done.returncode}: {shown(done.stderr[-900:], 900)}")
    return Bought(**json.loads(done.stdout.splitlines()[-1]))


@once
def servers(rpc: str) -> dict[str, str]:
    """A server of each release on that chain, all started together; each one's address. Their wallet is the payee."""
    chain = Chain(rpc, SEPOLIA_USDC)
    there = {name: token for name, token in TOKENS.items() if len(chain.call("eth_getCode", token, "latest")) > 2}
    started = {}
    for release in RELEASES:
        port = free_port()
        # 0.1.1 takes every currency for USDC.
        currencies = {"USDC": SEPOLIA_USDC} if release in SIGNS_PERMITS else there
        env = {**_env(release, PAYEE.key, chain, _PRICE, currencies), "PORT": str(port)}
        name = f"server-x402-mock-{release}-{port}"
        started[release] = (Service(name, _program("server.py"), env), f"http://127.0.0.1:{port}")
    for release, (service, url) in started.items():
        service.until_http(f"{url}/health")
        equal(wire.request(f"{url}/health").json(), {"release": release}, "the release that runs")
    return {release: url for release, (_, url) in started.items()}


@once
def anvil() -> Chain:
    """npm's anvil as Sepolia, with two tokens and Permit2."""
    chain = Chain(peers.start_anvil("anvil-sepolia", SEPOLIA_ID)[1], SEPOLIA_USDC)
    chain.place_token()
    chain.place_permit2()
    Chain(chain.url, SEPOLIA_USDT).place_token("Tether USD")
    return chain


def of(chain: Chain, currency: str) -> Chain:
    """The same chain, judged by another token."""
    return Chain(chain.url, TOKENS[currency])


def nonce(chain: Chain, owner: str) -> int:
    """The owner's next EIP-2612 nonce."""
    return int(chain.call("eth_call", {"to": chain.token, "data": _NONCES + word(owner)}, "latest"), 16)


def allowance(chain: Chain, owner: str, spender: str) -> int:
    """What spender may take from owner."""
    return int(chain.call("eth_call", {"to": chain.token, "data": _ALLOWANCE + word(owner) + word(spender)}, "latest"), 16)


class Till(NamedTuple):
    """Who pays whom, and what both had at a block; what came since."""

    chain: Chain
    payer: Account
    payee: str
    since: int
    balances: tuple[int, int]

    @staticmethod
    def open(chain: Chain, payer: Account, payee: str) -> Till:
        """From now on."""
        return Till(chain, payer, payee, chain.height(), (chain.balance(payer.address), chain.balance(payee)))

    def came(self) -> list[int]:
        """How much came since, Transfer by Transfer. A contract may stand between payer and payee."""
        return [amount for _, amount in self.chain.payments(self.payee, self.since)]

    def wait(self, count: int, seconds: float = _SETTLE_SECONDS) -> None:
        """Waits for as many payments of the price; fails if there are others, or if balances say something else."""
        limit = time.monotonic() + seconds
        while len(self.came()) < count and time.monotonic() < limit:
            time.sleep(0.05)
        equal(self.came(), [PRICE] * count, "Transfers to the payee")
        now = (self.chain.balance(self.payer.address), self.chain.balance(self.payee))
        equal(now, (self.balances[0] - count * PRICE, self.balances[1] + count * PRICE), "balances of payer and payee")


def until(ready: Callable[[], bool], what: str) -> None:
    """Waits for what a chain does not say at once."""
    limit = time.monotonic() + _SETTLE_SECONDS
    while not ready():
        require(time.monotonic() < limit, f"{what}: in time")
        time.sleep(0.1)


def ours(url: str, account: Account, chain: Chain, count: int, kind: str | None = None) -> dict[str, Any]:
    """What our client library says of `count` requests, with a node of the chain, permits first, and of no other kind."""
    env = {"URL": url, "COUNT": str(count), "FAREGATE_PRIVATE_KEY": account.key, "NODE": chain.url}
    env["CHAIN"] = str(chain.chain_id())
    if kind is not None:
        env["KIND"] = kind
    done = run([str(payer())], env)
    equal(done.returncode, 0, f"exit of our client; {done.stderr[-600:]}")
    require(account.key.removeprefix("0x") not in done.stdout + done.stderr, "the private key is not in the output")
    return json.loads(done.stdout)


def settled(server: str, count: int) -> list[dict[str, str]]:
    """What a server's own events say of settlements, once it has said so many things."""
    limit = time.monotonic() + _SETTLE_SECONDS
    while len(said := wire.request(f"{server}/settled").json()) < count:
        require(time.monotonic() < limit, f"{count} settlements by the word of {server}", said)
        time.sleep(0.1)
    return said
