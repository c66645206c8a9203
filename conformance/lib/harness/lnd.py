"""lnd, built from its own source with Go: two nodes on the chain of the real-lightning rows, and a channel between them."""

from __future__ import annotations

import base64
import json
import ssl
import time
from pathlib import Path
from typing import Any

from . import gates, install, wire
from .bitcoin import chain
from .lightning_nodes import DEAR_SATS, PRICE_MSAT, sold
from .market import Market
from .mocks import lasting_seller
from .outcome import Fail, equal, once, require
from .procs import Service, free_port

CHANNEL_SATS = 200_000
_FUNDS_BTC = 0.01
_PRICE_SATS = PRICE_MSAT // 1_000
# How often it looks for blocks and transactions: it has no other way to hear of them here.
_POLL = "200ms"


class Lnd:
    """One running node."""

    def __init__(self, name: str, folder: Path) -> None:
        self._folder = folder / name
        self._port, rest = free_port(), free_port()
        self.url = f"https://127.0.0.1:{rest}"
        flags = [
            f"--lnddir={self._folder}", "--noseedbackup", "--nobootstrap", "--trickledelay=50", "--debuglevel=warn",
            f"--listen=127.0.0.1:{self._port}", f"--rpclisten=127.0.0.1:{free_port()}", f"--restlisten=127.0.0.1:{rest}",
            "--bitcoin.regtest", "--bitcoin.node=bitcoind", f"--bitcoind.rpchost={chain().url.removeprefix('http://')}",
            f"--bitcoind.rpccookie={chain().cookie}", "--bitcoind.rpcpolling",
            f"--bitcoind.blockpollinginterval={_POLL}", f"--bitcoind.txpollinginterval={_POLL}",
        ]
        self._service = Service(f"lnd-{name}", [str(install.lnd()), *flags], {})
        self._service.until(lambda: self._macaroon().exists() and self._is_ready(), "readiness", 60)

    @property
    def certificate(self) -> Path:
        """The one that it shows: nobody else signed it."""
        return self._folder / "tls.cert"

    def _macaroon(self, name: str = "admin") -> Path:
        return self._folder / "data" / "chain" / "bitcoin" / "regtest" / f"{name}.macaroon"

    def key(self, name: str) -> str:
        """One of its macaroons, in hexadecimal digits."""
        return self._macaroon(name).read_bytes().hex()

    def _send(self, path: str, body: Any = None) -> bytes:
        method, data = ("GET", None) if body is None else ("POST", json.dumps(body).encode())
        trusted = ssl.create_default_context(cafile=self.certificate)
        headers = {"grpc-metadata-macaroon": self.key("admin"), "content-type": "application/json"}
        answer = wire.request(f"{self.url}{path}", method, headers, data, trusted=trusted)
        equal(answer.status, 200, f"status of {path} ({answer.body[:300]!r})")
        return answer.body

    def __call__(self, path: str, body: Any = None) -> Any:
        """A call as its owner; what it answers."""
        return json.loads(self._send(path, body))

    def _is_ready(self) -> bool:
        try:
            return self("/v1/state")["state"] == "SERVER_ACTIVE" and self("/v1/getinfo")["synced_to_chain"]
        except Fail:
            # Some of its answers come before it can give them.
            return False

    def fund(self) -> None:
        """Gives it money on the chain."""
        chain()("sendtoaddress", self("/v1/newaddress")["address"], _FUNDS_BTC)
        chain().mine(6)
        self._service.until(lambda: int(self("/v1/balance/blockchain")["confirmed_balance"]) > 0, "money", 30)

    def open(self, other: Lnd) -> None:
        """Opens a channel, all of it on this side."""
        theirs = other("/v1/getinfo")["identity_pubkey"]
        host = f"127.0.0.1:{other._port}"
        self("/v1/peers", {"addr": {"pubkey": theirs, "host": host}, "timeout": "20"})
        peer = base64.b64encode(bytes.fromhex(theirs)).decode()
        self("/v1/channels", {"node_pubkey": peer, "local_funding_amount": str(CHANNEL_SATS)})
        chain().mine(6)
        for side in (self, other):
            side._service.until(lambda side=side: side("/v1/channels?active_only=true")["channels"], "channel", 60)
        # A channel is called active a moment before anything can be sent through it.
        invoice = other("/v1/invoices", {"value": "1"})["payment_request"]
        self._service.until(lambda: self._try_to_pay(invoice)["status"] == "SUCCEEDED", "first payment", 60)

    def can_send(self) -> int:
        """Millisatoshis on its side of the channel."""
        return int(self("/v1/balance/channels")["local_balance"]["msat"])

    def unsettled(self) -> int:
        """Millisatoshis that are on their way."""
        return int(self("/v1/balance/channels")["unsettled_local_balance"]["msat"])

    def _try_to_pay(self, invoice: str) -> Any:
        """How that ended."""
        order = {"payment_request": invoice, "timeout_seconds": 30, "fee_limit_msat": "5000", "no_inflight_updates": True}
        said = self._send("/v2/router/send", order)
        return json.loads(said.strip().splitlines()[-1])["result"]

    def pay(self, invoice: str) -> str:
        """Pays as a stranger to us would; the preimage."""
        ended = self._try_to_pay(invoice)
        equal(ended["status"], "SUCCEEDED", f"how the payment ended ({ended})")
        return ended["payment_preimage"]


class Shop(Market):
    """A gate with one node, a payer with the other."""

    def __init__(self) -> None:
        folder = gates.folder("real-lnd")
        self.seller, self.payer = Lnd("seller", folder), Lnd("payer", folder)
        self.payer.fund()
        self.payer.open(self.seller)
        self._books = folder / "books.db"
        upstream = lasting_seller(sold)
        wallet = gates.Wallet("lnd", self.seller.url, "regtest", self.seller.key("invoice"))
        routes = (
            gates.route("GET /one", f"{_PRICE_SATS} sat"),
            gates.route("GET /many", f"{_PRICE_SATS} sat", "l402 = { uses = 3 }"),
            gates.route("GET /dear", f"{DEAR_SATS} sat"),
        )
        more = f'certificate = "{self.seller.certificate}"\nstrict = true\n'
        program = gates.lightning(folder / "gate.toml", wallet, upstream.url, *routes, more=more)
        program.start()
        self.url = program.url

    def payer_env(self) -> dict[str, str]:
        return {
            "FAREGATE_LIGHTNING": "lnd",
            "FAREGATE_LIGHTNING_URL": self.payer.url,
            "FAREGATE_LIGHTNING_KEY": self.payer.key("admin"),
            "FAREGATE_LIGHTNING_CERT": str(self.payer.certificate),
            "FAREGATE_LIGHTNING_NETWORK": "regtest",
            "FAREGATE_WALLET_DB": str(self._books),
        }

    def can_send(self) -> int:
        # What is on its way is on neither side.
        until = time.monotonic() + 10
        while self.payer.unsettled() and time.monotonic() < until:
            time.sleep(0.05)
        require(self.payer.unsettled() == 0, "nothing is on its way")
        return self.payer.can_send()


@once
def shop() -> Shop:
    """All of it, once."""
    install.lnd()
    return Shop()
