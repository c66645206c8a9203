"""The peers as things that can be called: clients that pay, servers that sell, facilitators that settle."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, NamedTuple

from . import install
from .chain import Chain
from .outcome import Fail, require, shown
from .paths import PEERS
from .procs import Service, free_port, run
from .world import FACILITATOR, NETWORK, NETWORK_V1, PAYEE


class Program(NamedTuple):
    """One peer program: how to start it. Commands are made late, because making one may install the package."""

    command: Callable[[], list[str]]
    versions: tuple[int, ...]


def _python(name: str) -> Callable[[], list[str]]:
    return lambda: [str(install.python()), str(PEERS / "python" / name)]


def _node(folder: str, name: str) -> Callable[[], list[str]]:
    return lambda: ["node", str(install.node(folder) / name)]


CLIENTS = {
    "httpx": Program(_python("client_httpx.py"), (1, 2)),
    "requests": Program(_python("client_requests.py"), (1, 2)),
    "fetch": Program(_node("node-v2", "client-fetch.mjs"), (1, 2)),
    "fetch-v1": Program(_node("node-v1", "client-fetch.mjs"), (1,)),
}
SERVERS = {
    "express": Program(_node("node-v2", "server-express.mjs"), (2,)),
    "fastapi": Program(_python("server_fastapi.py"), (2,)),
    "express-v1": Program(_node("node-v1", "server-express.mjs"), (1,)),
}
FACILITATORS = {
    "py": Program(_python("facilitator.py"), (1, 2)),
    "ts": Program(_node("node-v2", "facilitator.mjs"), (1, 2)),
}
CHAIN_READERS = {
    "web3": Program(_python("chain_web3.py"), ()),
    "viem": Program(_node("node-v2", "chain-viem.mjs"), ()),
    "ethers": Program(_node("node-v2", "chain-ethers.mjs"), ()),
}


class Paid(NamedTuple):
    """What a paying client reported."""

    status: int
    headers: dict[str, str]
    body: str
    sent: dict[str, str] | None
    receipt: dict[str, Any] | None


def pay(client: str, url: str, key: str, method: str = "GET", body: str | None = None, only_v1: bool = False) -> Paid:
    """Lets an unmodified client package pay for one request. `only_v1` hides the v2 offer from it on the way."""
    env = {"RESOURCE_URL": url, "EVM_PRIVATE_KEY": key, "METHOD": method, "NETWORK_V1": NETWORK_V1}
    if only_v1:
        env["ONLY_V1"] = "1"
    if body is not None:
        env["BODY"] = body
    done = run(CLIENTS[client].command(), env)
    if done.returncode != 0:
        raise Fail(f"{client} on {method} {url} ended with {done.returncode}: {shown(done.stderr[-900:], 900)}")
    return Paid(**json.loads(done.stdout.splitlines()[-1]))


def sign(required_header: str, key: str, count: int = 1) -> list[str]:
    """Payment headers (v2) signed by the PyPI package, not sent anywhere."""
    env = {"PAYMENT_REQUIRED": required_header, "EVM_PRIVATE_KEY": key, "COUNT": str(count)}
    done = run(_python("sign.py")(), env)
    require(done.returncode == 0, "the PyPI package signs what is offered", done.stderr[-900:])
    return done.stdout.split()


def start_anvil(name: str = "anvil", chain_id: int = 84532) -> tuple[Service, str]:
    """npm's anvil on a free port; the service and its RPC address."""
    port = free_port()
    command = [str(install.anvil()), "--host", "127.0.0.1", "--port", str(port), "--chain-id", str(chain_id), "--silent"]
    # Old states in memory only: what it puts below ~/.foundry it leaves there when it is killed, gigabytes of it.
    command += ["--max-persisted-states", "0"]
    service = Service(name, command, {})
    url = f"http://127.0.0.1:{port}"
    service.until(lambda: Chain(url).chain_id() == chain_id, f"RPC answer from {url}", 30)
    return service, url


def start_facilitator(kind: str, rpc: str) -> tuple[Service, str]:
    """A peer's facilitator on a chain; the service and its base address."""
    port = free_port()
    env = {"PORT": str(port), "NETWORK": NETWORK, "EVM_RPC_URL": rpc, "EVM_PRIVATE_KEY": FACILITATOR.key}
    url = f"http://127.0.0.1:{port}"
    return Service(f"facilitator-{kind}-{port}", FACILITATORS[kind].command(), env).until_http(f"{url}/health"), url


def start_server(kind: str, facilitator: str) -> tuple[Service, str]:
    """A peer's seller in front of a facilitator; the service and its base address."""
    port = free_port()
    env = {
        "PORT": str(port),
        "PAY_TO": PAYEE.address,
        "FACILITATOR_URL": facilitator,
        "NETWORK": NETWORK,
        "NETWORK_V1": NETWORK_V1,
    }
    url = f"http://127.0.0.1:{port}"
    return Service(f"server-{kind}-{port}", SERVERS[kind].command(), env).until_http(f"{url}/health"), url
