"""LNbits makes our gate's invoices, and pays for our client and others (its FakeWallet: real accounts, no network)."""

from __future__ import annotations

import base64
import json
import time

from .. import gates, install, lnbits, wire
from ..binary import payer
from ..mocks import Reply, lasting_seller
from ..outcome import equal, once, require
from ..paths import PEERS
from ..procs import Service, free_port, run
from ..table import row

_PRICE_SATS = 10
_COST = [-_PRICE_SATS * 1_000, _PRICE_SATS * 1_000]
# A gate must say within this time that its wallet is away, in seconds.
_SOON = 15.0


@once
def _gate() -> str:
    """Our gate over the shop's wallet, and its address. The shop's key can ask for money and not pay."""
    server = lnbits.start()
    upstream = lasting_seller(lambda _: Reply(200, {}, b'{"joke":"sold"}'))
    wallet = gates.Wallet("lnbits", server.url, lnbits.NETWORK, server.shop.invoice)
    routes = gates.route("GET /joke", f"{_PRICE_SATS} sat")
    program = gates.lightning(gates.folder("lnbits") / "gate.toml", wallet, upstream.url, routes)
    program.start()
    return program.url


def _times(cost: list[int], count: int) -> list[int]:
    return [one * count for one in cost]


def _ours(url: str, count: int) -> None:
    """Our client with the buyer's wallet is served each time, and pays each time."""
    server = lnbits.start()
    env = {"URL": url, "COUNT": str(count), "MAX_SATS": "100", "MAX_SATS_IN_ALL": "1000", "NETWORK": lnbits.NETWORK}
    with server.moved() as balances:
        done = run([str(payer())], {**env, "LNBITS_URL": server.url, "LNBITS_KEY": server.buyer.admin})
    equal(done.returncode, 0, f"exit of our client; {done.stderr[-600:]}")
    require(server.buyer.admin not in done.stdout + done.stderr, "the key is not in the output")
    said = json.loads(done.stdout)
    equal(said["statuses"], [200] * count, f"statuses {said['errors']}")
    equal(said["paid"], [_PRICE_SATS * 1_000] * count, "millisatoshis that each call cost, by our client's word")
    equal(balances, _times(_COST, count), "millisatoshis moved")


@row("lnbits/both", "our gate and our client, each with a wallet of the same LNbits")
def _both() -> str:
    _ours(f"{_gate()}/joke", 3)
    return "3 purchases, each paid once"


@row("lnbits/l402kit", "l402kit's client pays our gate, with a wallet of LNbits each")
def _l402kit() -> str:
    server, count = lnbits.start(), 3
    command = [str(install.python("python-l402")), str(PEERS / "python-l402" / "client_l402kit.py")]
    env = {"URL": f"{_gate()}/joke", "COUNT": str(count), "LNBITS_URL": server.url, "LNBITS_KEY": server.buyer.admin}
    with server.moved() as balances:
        done = run(command, env)
    equal(done.returncode, 0, f"exit of l402kit's client; {done.stderr[-600:]}")
    equal(json.loads(done.stdout)["statuses"], [200] * count, "statuses")
    equal(balances, _times(_COST, count), "millisatoshis moved")
    return f"{count} purchases, each paid once"


@row("lnbits/l402kit-server", "our client pays l402kit's FastAPI server with its own LNbitsProvider")
def _l402kit_server() -> str:
    server, port = lnbits.start(), free_port()
    command = [str(install.python("python-l402")), str(PEERS / "python-l402" / "server_l402kit.py")]
    env = {"PORT": str(port), "LNBITS_URL": server.url, "LNBITS_KEY": server.shop.invoice}
    url = f"http://127.0.0.1:{port}"
    service = Service("server-l402kit-lnbits", command, env).until_http(f"{url}/health")
    try:
        _ours(f"{url}/paid", 2)
    finally:
        service.stop()
    return "2 purchases, each paid once"


def _challenge() -> dict[str, str]:
    answer = wire.request(f"{_gate()}/joke")
    equal(answer.status, 402, "status without a token")
    return answer.json()


def _show(token: str, preimage: str) -> int:
    return wire.request(f"{_gate()}/joke", headers={"authorization": f"L402 {token}:{preimage}"}).status


def _pay(invoice: str) -> tuple[str, str]:
    """Payment hash and preimage."""
    server = lnbits.start()
    paid = server.ask("POST", "/api/v1/payments", {"out": True, "bolt11": invoice}, x_api_key=server.buyer.admin)
    equal(paid.status, 201, f"status of the payment ({paid.body[:200]!r})")
    return paid.json()["payment_hash"], paid.json()["preimage"]


@row("lnbits/leaked-preimage", "LNbits tells everybody the preimage of a paid invoice: without the token it opens nothing")
def _leak() -> str:
    bought, others = _challenge(), _challenge()
    payment_hash, preimage = _pay(bought["invoice"])
    seen = lnbits.start().ask("GET", f"/api/v1/payments/{payment_hash}")
    equal(seen.json()["preimage"], preimage, "what LNbits tells without a key")
    expires_at = int(time.time() * 1_000) + 3_000_000
    unsigned = base64.b64encode(json.dumps({"hash": payment_hash, "exp": expires_at}).encode()).decode()
    equal(_show(unsigned, preimage), 401, "status of l402kit's unsigned token with the true preimage")
    equal(_show(others["macaroon"], preimage), 401, "status of the token of another invoice")
    equal(_show(bought["macaroon"], preimage), 200, "status of the token that was paid")
    equal(_show(bought["macaroon"], preimage), 402, "status of the same once more")
    return "an unsigned token and another invoice's are refused"


@row("lnbits/away", "LNbits is killed: no invoice, said soon and with a code; what was paid before still opens")
def _away() -> str:
    bought = _challenge()
    _, preimage = _pay(bought["invoice"])
    lnbits.start().service.kill()
    start = time.monotonic()
    answer = wire.request(f"{_gate()}/joke")
    took = time.monotonic() - start
    equal(answer.status, 503, f"status without a token ({answer.body[:300]!r})")
    code = answer.json()["code"]
    equal(code, "lightning_unavailable", "code")
    require(took < _SOON, f"said within {_SOON:.0f} s", took)
    require("retry-after" in answer.headers, "it says when to come again", answer.headers)
    equal(_show(bought["macaroon"], preimage), 200, "status of the token that was paid before")
    return f"503 {code}, then 200 for a token that was paid before"
