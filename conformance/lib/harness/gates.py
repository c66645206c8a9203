"""`faregate gate` and `faregate facilitator` as their users run them: one process each, one TOML file each."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from .binary import faregate
from .paths import WORK
from .procs import Service, free_port
from .world import FACILITATOR, NETWORK, PAYEE, SEPOLIA_ID, SEPOLIA_USDT

_KEY_VARIABLE = "CONFORMANCE_GAS_KEY"
# Of a gate over Lightning: its wallet's key, and what its tokens are signed with.
_WALLET_VARIABLE, _MASTER_VARIABLE = "CONFORMANCE_WALLET_KEY", "CONFORMANCE_MASTER_KEY"
_MASTER_KEY = "5a" * 32


def folder(name: str) -> Path:
    """An empty folder for the files of one row: its configurations and its ledgers."""
    path = WORK / "gates" / name
    shutil.rmtree(path, ignore_errors=True)
    path.mkdir(parents=True)
    return path


class Program(NamedTuple):
    """One of our services: its command, the file it reads, where it listens. Start it as often as you like."""

    command: str
    file: Path
    url: str
    env: dict[str, str]
    binary: Path | None = None

    def launch(self) -> Service:
        """Starts it and does not wait."""
        name = f"{self.file.parent.name}-{self.file.stem}"
        return Service(name, [str(self.binary or faregate()), self.command, "-c", str(self.file)], self.env)

    def start(self) -> Service:
        """Starts it and waits until it answers."""
        return self.launch().until_http(f"{self.url}/livez", 30)


def route(match: str, price: str = "$0.001", *lines: str) -> str:
    """One `[[route]]` of a configuration."""
    return "\n".join(["[[route]]", f'match = "{match}"', f'price = "{price}"', *lines, ""])


def gate(
    file: Path, facilitator: str, upstream: str, *routes: str, network: str = NETWORK, store: Path | None = None
) -> Program:
    """A gate with a remote facilitator; its ledger is beside its file unless `store` says otherwise. What `routes` hold need not
    be routes: `conditional` is the part about credit."""
    url = f"http://127.0.0.1:{free_port()}"
    text = f"""[gate]
bind = "{url.removeprefix("http://")}"
public_url = "{url}"
upstream = "{upstream}"
network = "{network}"
pay_to = "{PAYEE.address}"
store = "{store or file.with_suffix(".db")}"

[gate.facilitator]
url = "{facilitator}"

"""
    file.write_text(text + "\n".join(routes))
    return Program("gate", file, url, {_KEY_VARIABLE: FACILITATOR.key})


def conditional(network: str, core: str, node: str, contract: str, registry: str, validator: str) -> str:
    """`[gate.credit]` with guarantees on a condition and no others: the body of a 402 says nothing of credit."""
    return f"""[gate.credit]
plain = false

[gate.credit.condition]
registry = "{registry}"
validator = "{validator}"
agent_id = 7
min_score = 80
job_hash = "0x{"11" * 32}"

[[gate.credit.core]]
network = "{network}"
url = "{core}"
rpc_url = "{node}"
contract = "{contract}"
key = "env:{_KEY_VARIABLE}"

"""


def permits(file: Path, rpc: str, upstream: str, *routes: str, policy: str = "optimistic") -> Program:
    """A gate on Sepolia that takes permits for access tokens, in USDC and USDT, and x402, and settles both itself."""
    url = f"http://127.0.0.1:{free_port()}"
    text = f"""[gate]
bind = "{url.removeprefix("http://")}"
public_url = "{url}"
upstream = "{upstream}"
network = "eip155:{SEPOLIA_ID}"
pay_to = "{PAYEE.address}"
store = "{file.with_suffix(".db")}"

[gate.facilitator]
rpc_url = "{rpc}"
signer_key = "env:{_KEY_VARIABLE}"

[gate.permit]
token_key = "env:{_MASTER_VARIABLE}"
policy = "{policy}"

[[asset]]
id = "eip155:{SEPOLIA_ID}/erc20:{SEPOLIA_USDT}"
symbol = "USDT"
name = "Tether USD"
version = "2"
decimals = 6
transfer = "permit2"

"""
    file.write_text(text + "\n".join(routes))
    return Program("gate", file, url, {_KEY_VARIABLE: FACILITATOR.key, _MASTER_VARIABLE: _MASTER_KEY})


class Wallet(NamedTuple):
    """Who makes a gate's invoices: whose API, where, on which network, and the key to it."""

    backend: str
    url: str
    network: str
    key: str


def lightning(file: Path, wallet: Wallet, upstream: str, *routes: str, more: str = "") -> Program:
    """A gate that sells for satoshis; its ledger is beside its file. All of them sign with the same key. `more` is for
    `[gate.lightning]` and tables after it."""
    url = f"http://127.0.0.1:{free_port()}"
    text = f"""mainnet = {str(wallet.network == "mainnet").lower()}

[gate]
bind = "{url.removeprefix("http://")}"
public_url = "{url}"
upstream = "{upstream}"
store = "{file.with_suffix(".db")}"

[gate.lightning]
backend = "{wallet.backend}"
url = "{wallet.url}"
key = "env:{_WALLET_VARIABLE}"
network = "{wallet.network}"
master_key = "env:{_MASTER_VARIABLE}"
{more}
"""
    file.write_text(text + "\n".join(routes))
    return Program("gate", file, url, {_WALLET_VARIABLE: wallet.key, _MASTER_VARIABLE: _MASTER_KEY})


def managed(file: Path, lnd: str, macaroon: str) -> Program:
    """A managed mode server for anybody, over a node of dev's Lightning network; owners' wallets are on this machine."""
    url = f"http://127.0.0.1:{free_port()}"
    text = f"""[managed]
bind = "{url.removeprefix("http://")}"
store = "{file.with_suffix(".db")}"
directory = "{file.with_suffix(".directory.json")}"
owners = "*"
payout_min = "50 sat"
routing_max_min = "2 sat"
private_addresses = true

[managed.lightning]
backend = "lnd"
url = "{lnd}"
key = "env:{_WALLET_VARIABLE}"
network = "regtest"
"""
    file.write_text(text)
    return Program("managed", file, url, {_WALLET_VARIABLE: macaroon})


def facilitator(file: Path, rpc: str, credit: Iterable[tuple[str, str, str, str]] = ()) -> Program:
    """A facilitator on a chain; the key that pays the gas comes by environment, and signs in at credit cores: each its
    network, its URL, its node's, and its contract."""
    url = f"http://127.0.0.1:{free_port()}"
    text = f"""[facilitator]
bind = "{url.removeprefix("http://")}"
store = "{file.with_suffix(".db")}"
signer_key = "env:{_KEY_VARIABLE}"

[[facilitator.network]]
network = "{NETWORK}"
rpc_url = "{rpc}"
"""
    for network, core, node, contract in credit:
        text += f'''
[[facilitator.credit]]
network = "{network}"
url = "{core}"
rpc_url = "{node}"
contract = "{contract}"
key = "env:{_KEY_VARIABLE}"
'''
    file.write_text(text)
    return Program("facilitator", file, url, {_KEY_VARIABLE: FACILITATOR.key})
