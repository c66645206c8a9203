"""Two Lightning nodes of ours on a real Bitcoin node: one in the gate that sells, one in whatever pays; a channel between."""

from __future__ import annotations

import json
import secrets
import time
from pathlib import Path
from typing import Any

from . import gates
from .binary import faregate_ldk
from .bitcoin import chain
from .market import Market
from .mocks import Reply, Seen, seller
from .outcome import Fail, equal, once, require
from .procs import Service, free_port, run
from .relay import Relay

# What is in the channel, and what both need on the chain besides: LDK keeps 25,000 sat for each channel.
CHANNEL_SATS = 200_000
_PAYER_BTC, _SELLER_BTC = 0.01, 0.001
_PRICE_SATS = 10
PRICE_MSAT = _PRICE_SATS * 1_000
# More than the channel has.
DEAR_SATS = 250_000
# The shortest time that a gate's invoice can be good for.
EXPIRY_SECS = 60

_ROUTES = (
    gates.route("GET /one", f"{_PRICE_SATS} sat"),
    gates.route("GET /many", f"{_PRICE_SATS} sat", "l402 = { uses = 3 }"),
    gates.route("GET /dear", f"{DEAR_SATS} sat"),
)


class Nodes(Market):
    """What runs."""

    def __init__(self) -> None:
        self._folder = gates.folder("real-lightning")
        self._folder.chmod(0o700)
        self.bitcoind = chain()
        self.books = self._folder / "books.db"
        port = free_port()
        self._shop = self._describe("shop", f'listen = "127.0.0.1:{port}"')
        self.payer = self._describe("payer")
        for file, amount in ((self._shop, _SELLER_BTC), (self.payer, _PAYER_BTC)):
            self.bitcoind("sendtoaddress", node(file, "address")["address"], amount)
        self.bitcoind.mine(6)
        shop_id = node(self._shop, "info")["id"]
        # Runs as long as the harness does.
        self._upstream = seller(sold)
        self._gate = self._configure(self._upstream.__enter__().url)  # pylint: disable=unnecessary-dunder-call
        self.url = self._gate.url
        self._running = self._gate.start()
        self.relay = Relay(port)
        self._open_channel(f"{shop_id}@127.0.0.1:{self.relay.port}")

    def restart(self) -> None:
        """Kills the gate with its node, and starts it again."""
        self._running.kill()
        self._running = self._gate.start()

    def payer_env(self) -> dict[str, str]:
        return {"FAREGATE_LDK_NODE": str(self.payer), "FAREGATE_WALLET_DB": str(self.books)}

    def can_send(self) -> int:
        channels = [one for one in node(self.payer, "info")["channels"] if one["ready"]]
        require(len(channels) == 1 and channels[0]["usable"], "the channel is there", channels)
        return channels[0]["sendMsat"]

    def _describe(self, name: str, *lines: str) -> Path:
        file = self._folder / f"{name}.toml"
        text = [
            'network = "regtest"',
            f'folder = "{self._folder / name}"',
            f'bitcoind = "{self.bitcoind.url}"',
            f'bitcoind_key = "file:{self.bitcoind.cookie}"',
            *lines,
        ]
        file.write_text("\n".join(text) + "\n")
        return file

    def _configure(self, upstream: str) -> gates.Program:
        url = f"http://127.0.0.1:{free_port()}"
        text = f"""[gate]
bind = "{url.removeprefix("http://")}"
public_url = "{url}"
upstream = "{upstream}"
store = "{self._folder / "gate.db"}"

[gate.lightning]
backend = "ldk"
node = "{self._shop}"
network = "regtest"
root_key = "env:CONFORMANCE_ROOT_KEY"
invoice_expiry_secs = {EXPIRY_SECS}
strict = true

"""
        file = self._folder / "gate.toml"
        file.write_text(text + "\n".join(_ROUTES))
        env = {"CONFORMANCE_ROOT_KEY": secrets.token_hex(32)}
        return gates.Program("gate", file, url, env, faregate_ldk())

    def _open_channel(self, shop: str) -> None:
        """Opens it, and mines as long as that takes."""
        command = [str(faregate_ldk()), "node", str(self.payer), "open", shop, str(CHANNEL_SATS), "--wait", "90"]
        opening = Service("real-open", command, {"RUST_LOG": "info"})
        until = time.monotonic() + 100
        while opening.alive() and time.monotonic() < until:
            if self.bitcoind("getmempoolinfo")["size"]:
                self.bitcoind.mine(6)
            time.sleep(0.2)
        equal(opening.code, 0, f"exit of the command that opens the channel; {opening.tail()}")
        opening.stop()


def node(file: Path, *words: str, seconds: float = 60) -> Any:
    """One command of a node's owner; what it answers."""
    done = run([str(faregate_ldk()), "node", str(file), *words], seconds=seconds)
    if done.returncode != 0:
        raise Fail(f"faregate-ldk node {words[0]} ended with {done.returncode}: {done.stderr[-600:]}")
    return json.loads(done.stdout)


def sold(request: Seen) -> Reply:
    """What the upstream answers."""
    return Reply(200, {"content-type": "application/json"}, json.dumps({"sold": request.path}).encode())


@once
def nodes() -> Nodes:
    """Everything, once: a chain, two nodes with money, a channel that is ready."""
    faregate_ldk()
    return Nodes()
