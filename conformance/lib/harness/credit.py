"""The credit core as its official Python SDKs see it: releases of `sdk-4mica` with wallets of their own, and a core to talk to."""

from __future__ import annotations

import itertools
import secrets
import time
from collections.abc import Callable
from typing import Any, NamedTuple

from . import install, peers, stacks, wire
from .binary import faregate
from .chain import Chain, word
from .outcome import Fail, equal, once, require, shown
from .paths import PEERS, WORK
from .procs import Service, free_port
from .world import CHAIN_ID, USDC, Account

RELEASES = ("0.4.3", "1.1.1")
# Where the core stands: on our dev chain, and on a node that is not ours.
WHERE = ("dev", "anvil")
# Long against what a row takes, on any machine: grace, expiration, delay, withdrawal. They pass by the chain's clock, at once.
_TIMING = "1209600,1814400,21600,1900800"
ETH = "0x" + "00" * 20
# What a call may take: three blocks and a pairing in Python, on a busy machine.
_CALL_SECONDS = 120.0
# Deposits, payments and the rest are in the books this long after their block at the latest; usually within a second.
FOLLOW_SECONDS = 30.0
_WEALTH_ETH, _WEALTH_USDC = 100 * 10**18, 1_000 * 10**6
_MINT = "0x40c10f19"
_ENV_NAMES = (
    "FAREGATE_RPC_URL FAREGATE_CHAIN_ID FAREGATE_USDC FAREGATE_CREDIT_URL FAREGATE_CREDIT_CONTRACT FAREGATE_ADMIN_API_KEY "
    "FAREGATE_VALIDATION_REGISTRY FAREGATE_VALIDATOR_ADDRESS FAREGATE_CREDIT_ADMIN_ADDRESS FAREGATE_FACILITATOR_URL "
    "FAREGATE_GATE_URL"
).split()
_numbers = itertools.count()


class Core(NamedTuple):
    """A running credit core and its chain."""

    service: Service
    chain: Chain
    url: str
    contract: str
    admin_key: str
    registry: str
    validator: str
    admin: str
    facilitator: str
    gate: str
    chain_id: int

    def get(self, path: str, headers: dict[str, str] | None = None) -> Any:
        """What a GET of that path says, as it is on the wire."""
        answer = wire.request(f"{self.url}{path}", headers=headers)
        equal(answer.status, 200, f"status of {path}")
        return answer.json()

    def seconds(self, selector: str) -> int:
        """One of the contract's durations."""
        return int(self.chain.call("eth_call", {"to": self.contract, "data": selector}, "latest"), 16)

    def send_as(self, sender: str, to: str, data: str) -> None:
        """A transaction of anybody's, whose success is required."""
        self.chain.call("anvil_impersonateAccount", sender)
        if self.wealth(sender, None) == 0:
            self.chain.call("anvil_setBalance", sender, hex(_WEALTH_ETH))
        self.chain.send({"from": sender, "to": to, "data": data, "gas": hex(1_000_000)})

    def wealth(self, address: str, token: str | None) -> int:
        """What an address has in its own hands."""
        return self.chain.balance(address) if token else int(self.chain.call("eth_getBalance", address, "latest"), 16)

    def until(self, timestamp: int) -> None:
        """Lets the chain's time pass until a block has this timestamp or a later one."""
        newest = int(self.chain.call("eth_getBlockByNumber", "latest", False)["timestamp"], 16)
        if newest < timestamp:
            self.chain.call("evm_setNextBlockTimestamp", timestamp)
        self.chain.call("evm_mine")


class Raised(NamedTuple):
    """What the SDK raised."""

    kind: str
    text: str
    status: int | None


class Wallet:
    """A client of the SDK with a key of its own, opened against a core."""

    def __init__(self, release: str, core: Core, key: str, settings: dict[str, Any]) -> None:
        self.release, self.core, self.key = release, core, key
        self._sdk, self._name = sdk(release), f"wallet-{next(_numbers)}"
        settings = {"rpc_url": core.url, "wallet_private_key": key, **settings}
        said = self._post({"open": self._name, "set": settings})
        require("said" in said, f"{release} opens a client", said)
        self.opened = said["said"]
        self.address: str = self.opened["address"]

    def _post(self, call: dict[str, Any]) -> dict[str, Any]:
        return wire.post_json(self._sdk, call, _CALL_SECONDS).json()

    def ask(self, path: str, *values: Any, **named: Any) -> Any:
        """What the SDK returns, or `Raised`."""
        said = self._post({"client": self._name, "do": path, "with": values, "named": named})
        return Raised(said["raised"], said["text"], said["status"]) if "raised" in said else said["said"]

    def call(self, path: str, *values: Any, **named: Any) -> Any:
        """What the SDK returns; fails the row if it raises."""
        said = self.ask(path, *values, **named)
        if isinstance(said, Raised):
            raise Fail(f"{self.release} {path} raised {said.kind}: {shown(said.text)}")
        return said

    def pay(self, offer: dict[str, Any], at: str | None = None) -> Any:
        """What X402Flow makes of an offer, or of a 402 answer of version 2; `Raised` if it raises."""
        said = self._post({"client": self._name, "pay": offer, "at": at})
        return Raised(said["raised"], said["text"], said["status"]) if "raised" in said else said["said"]

    def refused(self, kind: str, status: int | None, text: str, path: str, *values: Any, **named: Any) -> None:
        """Fails the row unless the SDK raises exactly this. With a status the text is the core's."""
        said = self.ask(path, *values, **named)
        expected = Raised(kind, f"{status}: {text}" if status else text, status)
        require(said == expected, f"{self.release} {path} raises {shown(expected)}", said)

    def reverted(self, kind: str, path: str, *values: Any) -> None:
        """Fails the row unless the transaction is on the chain and did nothing."""
        said = self.ask(path, *values)
        if self.release == "0.4.3":  # it does not look at the status
            equal(said.get("status") if isinstance(said, dict) else said, 0, f"status of {path} on the chain")
            return
        require(isinstance(said, Raised) and said.kind == kind, f"{path} raises {kind}", said)
        require(said.text.startswith("transaction reverted: "), f"{path} reverts", said)

    def unpaid(self, reason: str, certificate: dict[str, Any]) -> None:
        """Fails the row unless the contract refuses to redeem this for the reason whose selector is given."""
        said = self.ask("recipient.remunerate", certificate)
        require(isinstance(said, Raised) and said.kind == "RemunerateError", "remunerate raises RemunerateError", said)
        require(reason in said.text, f"remunerate is refused with {reason}", said.text)


@once
def sdk(release: str) -> str:
    """The address of a process with that release in it."""
    folder = install.over_python(f"sdk-4mica-{release}", PEERS / "python-credit" / f"{release}.txt")
    port = free_port()
    command = [str(install.python()), str(PEERS / "python-credit" / "client.py")]
    service = Service(f"sdk-4mica-{release}", command, {"PYTHONPATH": str(folder), "PORT": str(port)})
    url = f"http://127.0.0.1:{port}/"
    service.until_http(url)
    equal(wire.request(url).json(), {"release": release}, "the release that runs")
    return url


def wallet(release: str, core: Core, key: str | None = None, rich: bool = True, **settings: Any) -> Wallet:
    """A wallet with ETH and USDC; a new one unless a key is given."""
    made = Wallet(release, core, key or "0x" + secrets.token_hex(32), settings)
    if key is None and rich:
        core.chain.call("anvil_setBalance", made.address, hex(_WEALTH_ETH))
        core.send_as(made.address, core.chain.token, _MINT + word(made.address) + word(_WEALTH_USDC))
    return made


class Pair(NamedTuple):
    """A payer, a recipient and what is owed between them; `token` is None for ETH."""

    payer: Wallet
    recipient: Wallet
    token: str | None

    @property
    def core(self) -> Core:
        """Where they meet."""
        return self.payer.core

    @property
    def asset(self) -> str:
        """The token, or the zero address."""
        return self.token or ETH

    def deposit(self, amount: int) -> None:
        """Puts collateral down and waits until the core has seen it."""
        if self.token:
            self.payer.call("user.approve_erc20", self.token, amount)
        self.payer.call("user.deposit", amount, self.token)
        self.has(total=amount, locked=0)

    def balance(self) -> dict[str, Any] | None:
        """What the core says the payer has."""
        return self.payer.call("recipient.get_user_asset_balance", self.payer.address, self.asset)

    def has(self, total: int, locked: int) -> None:
        """Waits for these numbers; fails if they do not come."""
        found: dict[str, Any] | None = None

        def there() -> bool:
            nonlocal found
            found = self.balance()
            return found is not None and (found["total"], found["locked"]) == (total, locked)

        wait(there, lambda: f"total {total} and locked {locked} in the core; seen: {shown(found)}")

    def on_chain(self) -> dict[str, Any]:
        """What the contract says the payer has."""
        return next(one for one in self.payer.call("user.get_user") if one["asset"].lower() == self.asset.lower())

    def tab(self, ttl: int | None = 3600, **named: Any) -> int:
        """The recipient asks for a tab."""
        return self.recipient.call(
            "recipient.create_tab", self.payer.address, self.recipient.address, self.token, ttl, **named
        )

    def claims(self, tab: int, req: int, amount: int, **other: Any) -> dict[str, Any]:
        """What the payer signs."""
        return {
            "$claims": {
                "user_address": self.payer.address, "recipient_address": self.recipient.address, "tab_id": tab,
                "req_id": req, "amount": amount, "timestamp": int(time.time()), "erc20_token": self.token, **other,
            }
        }

    def sign(self, claims: dict[str, Any], scheme: str = "eip712") -> list[Any]:
        """Claims, signature and scheme as the recipient hands them in."""
        signed = self.payer.call("user.sign_payment", claims, {"$scheme": scheme})
        equal(signed["scheme"], scheme, "the scheme that was signed in")
        return [claims, signed["signature"], {"$scheme": scheme}]

    def issue(self, tab: int, req: int, amount: int, scheme: str = "eip712", **other: Any) -> dict[str, Any]:
        """Signs and has a certificate issued."""
        signed = self.sign(self.claims(tab, req, amount, **other), scheme)
        said = self.recipient.call("recipient.issue_payment_guarantee", *signed)
        return {"$certificate": said}

    def unissued(self, status: int, text: str, signed: list[Any], by: Wallet | None = None) -> None:
        """Fails unless the core refuses these claims so."""
        kind = "IssuePaymentGuaranteeError"
        (by or self.recipient).refused(kind, status, text, "recipient.issue_payment_guarantee", *signed)

    def unopened(self, status: int | None, text: str, token: str | None, ttl: int | None = 3600, **named: Any) -> None:
        """Fails unless the core refuses a tab so."""
        values = (self.payer.address, self.recipient.address, token, ttl)
        self.recipient.refused("CreateTabError", status, text, "recipient.create_tab", *values, **named)


def pair(release: str, core: Core, token: str | None = USDC, **settings: Any) -> Pair:
    """Two new wallets."""
    return Pair(wallet(release, core, **settings), wallet(release, core, **settings), token)


def wait(ready: Callable[[], bool], what: Callable[[], str], seconds: float = FOLLOW_SECONDS) -> None:
    """Waits for what the core has to learn from the chain."""
    limit = time.monotonic() + seconds
    while not ready():
        if time.monotonic() > limit:
            raise Fail(f"not within {seconds:.0f} s: {what()}")
        time.sleep(0.1)


@once
def core(where: str, name: str = "still", *flags: str) -> Core:
    """A core of that name on our dev chain or on npm's anvil. The rows of one name share the passing of time."""
    words = ["--rpc-port", "0"]
    if where == "anvil":
        chain = Chain(peers.start_anvil(f"anvil-credit-{name}")[1])
        chain.place_token()
        words = ["--rpc-url", chain.url]
    return _start(f"credit-{name}-{where}", *words, *flags)


def started_again(before: Core) -> Core:
    """Ends a core and starts another one on the same node."""
    before.service.stop()
    return _start(f"{before.service.name.removeprefix('faregate-')}-again", "--rpc-url", before.chain.url)


@once
def chain(name: str, chain_id: int, usdc: str) -> Core:
    """A core on a dev chain with another id, whose token is there."""
    return _start(f"credit-{name}", "--rpc-port", "0", "--chain-id", str(chain_id), chain_id=chain_id, usdc=usdc)


def _start(name: str, *flags: str, chain_id: int = CHAIN_ID, usdc: str = USDC) -> Core:
    WORK.mkdir(parents=True, exist_ok=True)
    file = WORK / f"{name}.env"
    file.unlink(missing_ok=True)
    command = [str(faregate()), "dev", "--env-file", str(file), "--gate-port", "0", "--facilitator-port", "0"]
    command += ["--credit-timing", _TIMING]
    if "--credit-port" not in flags:
        command += ["--credit-port", "0"]
    service = Service(f"faregate-{name}", [*command, "--lnd-port", "0", *flags], {})
    service.until(lambda: file.exists() and file.read_text().endswith("\n"), "env file", 60)
    values = stacks.parse(file.read_text())
    equal([one for one in _ENV_NAMES if one not in values], [], "names that the env file lacks")
    equal((values["FAREGATE_CHAIN_ID"], values["FAREGATE_USDC"].lower()), (str(chain_id), usdc.lower()), "chain and token")
    return Core(
        service,
        Chain(values["FAREGATE_RPC_URL"], usdc),
        values["FAREGATE_CREDIT_URL"].rstrip("/"),
        values["FAREGATE_CREDIT_CONTRACT"],
        values["FAREGATE_ADMIN_API_KEY"],
        values["FAREGATE_VALIDATION_REGISTRY"],
        values["FAREGATE_VALIDATOR_ADDRESS"],
        values["FAREGATE_CREDIT_ADMIN_ADDRESS"],
        values["FAREGATE_FACILITATOR_URL"].rstrip("/"),
        values["FAREGATE_GATE_URL"].rstrip("/"),
        chain_id,
    )
