"""LNbits from PyPI with its FakeWallet: a wallet server with real accounts, invoices and preimages, and no network."""

from __future__ import annotations

import contextlib
import json
import shutil
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any, NamedTuple

from . import install, wire
from .outcome import equal, once, require
from .paths import WORK
from .procs import Service, free_port

# FakeWallet writes invoices of the main network; nobody could pay them with real money.
NETWORK = "mainnet"
_USER, _PASSWORD = "conformance", "not-a-secret-1"
_START_SECONDS = 120
_GIVEN_SATS = 10_000


class Wallet(NamedTuple):
    """An account of the server: its id, a key that pays, and one that only asks for money."""

    id: str
    admin: str
    invoice: str


class Lnbits(NamedTuple):
    """The running server, a shop's wallet and a buyer's, which has money."""

    service: Service
    url: str
    shop: Wallet
    buyer: Wallet

    def ask(self, method: str, path: str, value: Any = None, **headers: str) -> wire.Answer:
        """One call of its API."""
        given = {"content-type": "application/json", **{name.replace("_", "-"): text for name, text in headers.items()}}
        body = None if value is None else json.dumps(value).encode()
        return wire.request(f"{self.url}{path}", method, given, body)

    def msat(self, wallet: Wallet) -> int:
        """What a wallet holds."""
        answer = self.ask("GET", "/api/v1/wallet", x_api_key=wallet.invoice)
        equal(answer.status, 200, "status of LNbits' word about a wallet")
        return int(answer.json()["balance"])

    @contextlib.contextmanager
    def moved(self) -> Iterator[list[int]]:
        """A list that holds, after the block, by how many millisatoshis the buyer's and the shop's balance changed."""
        both = (self.buyer, self.shop)
        before, changes = [self.msat(one) for one in both], []
        yield changes
        changes += [self.msat(one) - start for one, start in zip(both, before, strict=True)]


@once
def start() -> Lnbits:
    """The server, set up over its own API; started once."""
    interpreter = install.python("python-lnbits")
    folder = WORK / "lnbits"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    # It looks for its static files below the working directory.
    (folder / "lnbits").symlink_to(next(interpreter.parents[1].glob("lib/python3*/site-packages/lnbits")))
    for made in ("data/logs", "extensions"):
        (folder / made).mkdir(parents=True)
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    env = {
        "LNBITS_DATA_FOLDER": str(folder / "data"),
        "LNBITS_EXTENSIONS_PATH": str(folder),
        "LNBITS_BACKEND_WALLET_CLASS": "FakeWallet",
        "LNBITS_ADMIN_UI": "true",
        "AUTH_HTTPS_ONLY": "false",
        "AUTH_SECRET_KEY": "conformance",
        "FAKE_WALLET_SECRET": "conformance",
    }
    # Its own command is a second process that restarts this one, and outlives a harness that is killed.
    command = [str(interpreter), "-m", "uvicorn", "lnbits.__main__:app", "--host", "127.0.0.1", "--port", str(port)]
    service = Service("lnbits", command, env, folder)

    def answers() -> bool:
        # Until it is set up, every path leads to the page that does it.
        with contextlib.suppress(urllib.error.HTTPError):
            urllib.request.urlopen(f"{url}/api/v1/health", timeout=2).close()
        return True

    service.until(answers, f"answer from {url}", _START_SECONDS)
    nobody = Wallet("", "", "")
    server = Lnbits(service, url, nobody, nobody)
    first = {"username": _USER, "password": _PASSWORD, "password_repeat": _PASSWORD}
    installed = server.ask("PUT", "/api/v1/auth/first_install", first)
    equal(installed.status, 200, f"status of first_install ({installed.body[:200]!r})")
    bearer = f"Bearer {installed.json()['access_token']}"
    shop, buyer = _account(server, "shop"), _account(server, "buyer")
    given = server.ask("PUT", "/users/api/v1/balance", {"id": buyer.id, "amount": _GIVEN_SATS}, authorization=bearer)
    equal(given.status, 200, f"status of the buyer's first money ({given.body[:200]!r})")
    server = server._replace(shop=shop, buyer=buyer)
    equal(server.msat(buyer), _GIVEN_SATS * 1_000, "the buyer's millisatoshis")
    return server


def _account(server: Lnbits, name: str) -> Wallet:
    made = server.ask("POST", "/api/v1/account", {"name": name})
    require(made.status in (200, 201), "LNbits makes an account", made.body.decode(errors="replace"))
    account = made.json()
    return Wallet(account["id"], account["adminkey"], account["inkey"])
