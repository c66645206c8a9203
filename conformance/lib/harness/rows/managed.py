"""Unmodified sellers of l402kit's managed mode are paid through `faregate managed`, over dev's Lightning network."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path

from .. import gates, install, stacks, wire
from ..lightning import moved
from ..outcome import equal, once, require
from ..paths import PEERS
from ..procs import Service, free_port, run
from ..table import row

_PRICE_SAT = 100
# A satoshi of it is the operator's.
_SHARE_MSAT = 99_000
# What the way costs: a satoshi and a ten-thousandth.
_WAY_IN, _WAY_OUT = 1_010, 1_009
_PATIENCE = 30


def _owner() -> str:
    """The Lightning address of dev's third wallet."""
    return f"owner@{stacks.dev().lnd.removeprefix('http://')}"


@once
def _managed() -> tuple[str, Path]:
    """Our server and the file of its ledger."""
    program = gates.managed(gates.folder("managed") / "managed.toml", stacks.dev().lnd, stacks.dev().lnd_seller)
    program.start()
    return program.url, program.file.with_suffix(".db")


@once
def _seller() -> str:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    command = [str(install.python("python-l402")), str(PEERS / "python-l402" / "server_l402kit_managed.py")]
    env = {"PORT": str(port), "OWNER": _owner(), "SHINYDAPPS_API_URL": _managed()[0], "API_URL": f"{url}/data"}
    Service("server-l402kit-managed", command, env).until_http(f"{url}/health")
    return url


def _owed_and_paid() -> tuple[int, int]:
    """What the books say was owed to the owner, and what was paid out, in millisatoshis."""
    with contextlib.closing(sqlite3.connect(f"file:{_managed()[1]}?mode=ro", uri=True)) as books:
        found = books.execute(
            "SELECT credits_posted, debits_posted FROM balance WHERE account = ?", (f"owner/{_owner()}",)
        ).fetchone()
    return (int(found[0]), int(found[1])) if found else (0, 0)


def _until(what: str, is_so: Callable[[], bool]) -> None:
    end = time.monotonic() + _PATIENCE
    while not is_so():
        require(time.monotonic() < end, what)
        time.sleep(0.1)


def _apis() -> list[dict]:
    answer = wire.request(f"{_managed()[0]}/api/apis.json?category=data")
    equal(answer.status, 200, "status of the directory")
    return json.loads(answer.body)["apis"]


@row("managed/l402kit", "l402kit's ManagedProvider sells through our server, and its owner is paid")
def _sold_and_paid() -> str:
    dev = stacks.dev()
    owed, paid = _owed_and_paid()
    command = [str(install.python("python-l402")), str(PEERS / "python-l402" / "client_l402kit.py")]
    env = {"URL": f"{_seller()}/data", "COUNT": "1", "LND_REST": dev.lnd, "LND_MACAROON": dev.lnd_payer}
    with moved() as balances:
        done = run(command, env, seconds=120)
        equal(done.returncode, 0, f"exit of the client; {done.stderr[-600:]}")
        equal(json.loads(done.stdout)["statuses"], [200], "statuses")
        _until("the owner is paid out", lambda: _owed_and_paid() == (owed + _SHARE_MSAT, paid + _SHARE_MSAT))
    price = _PRICE_SAT * 1_000
    equal(balances, [-price - _WAY_IN, price - _SHARE_MSAT - _WAY_OUT], "millisatoshis moved")
    return f"{_SHARE_MSAT} of {price} msat paid out to {_owner()}"


@row("managed/l402kit-directory", "what l402kit registers at its start stands in our directory")
def _registered() -> str:
    url = f"{_seller()}/data"
    _until("the entry is there", lambda: any(api["url"] == url for api in _apis()))
    entry = next(api for api in _apis() if api["url"] == url)
    said = {key: entry[key] for key in ("name", "price_sats", "lightning_address", "category", "verified")}
    expected = {"name": "Conformance", "price_sats": 100, "lightning_address": _owner(), "category": "data"}
    equal(said, {**expected, "verified": False}, "the entry")
    return "listed, not verified"


@row("managed/l402kit-forged", "a token l402kit's server would take for a good one is none to our /api/verify")
def _forged() -> str:
    preimage = bytes(range(32))
    digest = hashlib.sha256(preimage).hexdigest()
    content = json.dumps({"hash": digest, "exp": int(time.time() * 1000) + 3_600_000})
    token = f"{base64.b64encode(content.encode()).decode()}:{preimage.hex()}"
    theirs = wire.request(f"{_seller()}/data", headers={"authorization": f"L402 {token}"})
    equal(theirs.status, 200, "status of l402kit's own server, which nobody paid")
    body = json.dumps({"token": token}).encode()
    ours = wire.request(f"{_managed()[0]}/api/verify", method="POST", body=body, headers={"content-type": "application/json"})
    said = json.loads(ours.body)
    equal((ours.status, said["valid"]), (200, False), "our verdict")
    return f"refused: {said['error']}"
