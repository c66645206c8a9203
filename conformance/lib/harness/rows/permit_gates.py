"""Our gate sells over the permit rail to the five releases of `x402-mock`, unmodified, beside x402."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from .. import checks, gates, permit, stacks, wire
from ..chain import Chain, word
from ..mocks import Reply, seller
from ..outcome import Fail, equal, require
from ..permit import Till
from ..stacks import Dev
from ..table import row
from ..world import OTHER, PAYEE, PAYER, PERMIT2, PRICE, SEPOLIA_ID

_KIND = {"0.1.1": "EIP2612"}
_COPIES = 20
# Identical permits are signed within one second; the beginning of a second may come between them.
_TRIES = 5
# The product's clients wait this long for an answer.
_PATIENCE = 5.0
# anvil calls the block before these final.
_FINAL_BLOCKS = 70
_JOKE, _OTHER = gates.route("GET /joke"), gates.route("GET /other", "$0.002")
_TETHER = f'[[route]]\nmatch = "GET /tether"\nprice = {{ asset = "USDT", amount = "{PRICE}" }}\n'


def _till(dev: Dev) -> Till:
    return Till.open(dev.chain, dev.payer, dev.payee.address)


def _show(dev: Dev, authorization: str, path: str = "/joke") -> wire.Answer:
    return wire.request(f"{dev.gate}{path}", headers={"authorization": authorization})


def _token(answer: wire.Answer) -> str:
    equal(answer.status, 200, f"status of the token request ({answer.body[:300]!r})")
    return f"Bearer {answer.json()['access_token']}"


def _buys(release: str) -> str:
    """The whole purchase, and the token afterwards."""
    dev = stacks.dev_sepolia()
    till = _till(dev)
    bought = permit.buy(release, f"{dev.gate}/joke", dev.payer.key, dev.chain)
    bought.all_sold()
    equal([one["permit_type"] for one in bought.permits], [_KIND.get(release, "ERC3009")], "what was signed")
    require(bought.endpoints[0].startswith("/token/q_"), "it was posted to the quote's endpoint", bought.endpoints)
    require("joke" in json.loads(bought.answers[0]["body"]), "a joke", bought.answers[0]["body"])
    till.wait(1)
    again = _show(dev, bought.tokens[0])
    equal(again.status, 200, "the token again")
    posted = next(one["body"] for one in bought.sent if one["method"] == "POST")
    copy = permit.post(f"{dev.gate}/token", posted)
    require(copy.status == 400 or _token(copy) == bought.tokens[0], "the same permit buys no second token", copy.body[:300])
    till.wait(1, 0)
    return f"paid once{', for a signature with a leading zero' if permit.short(bought.permits[0]) else ''}"


def _plain(release: str) -> str:
    """Clients that were built against a fixed path post to `/token`."""
    dev = stacks.dev_sepolia()
    till = _till(dev)
    request = permit.signed(release, f"{dev.gate}/joke", dev.payer.key, dev.chain)[0]
    till.wait(0, 0)
    answer = permit.post(f"{dev.gate}/token", request)
    equal(_show(dev, _token(answer)).status, 200, "status with the token")
    till.wait(1)
    return "paid once"


def _at_once() -> str:
    """Three requests of one client at once: 0.1.1 signs the same permit three times."""
    dev = stacks.dev_sepolia()
    for _ in range(_TRIES):
        till = _till(dev)
        bought = permit.buy("0.1.1", f"{dev.gate}/joke", dev.payer.key, dev.chain, count=3, how="CONCURRENT")
        same = len({one["signature"]["r"] for one in bought.permits}) == 1
        if same:
            bought.all_sold()
            till.wait(1)
            return "one permit three times, three answers, one payment"
        # Signed in two different seconds: two permits with one nonce, of which one pays.
        till.wait(1)
    raise Fail(f"in {_TRIES} attempts no three permits were the same")


def _copies() -> str:
    """One permit posted many times at once."""
    dev = stacks.dev_sepolia()
    till = _till(dev)
    request = permit.signed("0.1.1", f"{dev.gate}/joke", dev.payer.key, dev.chain)[0]
    url = f"{dev.gate}{permit.endpoint(dev.gate)}"
    with ThreadPoolExecutor(_COPIES) as pool:
        answers = list(pool.map(lambda _: permit.post(url, request, _PATIENCE), range(_COPIES)))
    tokens = {_token(answer) for answer in answers}
    equal(len(tokens), 1, "tokens")
    equal(_show(dev, tokens.pop()).status, 200, "status with the token")
    till.wait(1)
    return f"{_COPIES} posts, one token, one payment"


def _receipt(release: str) -> str:
    """What became of a payment is told to whoever holds its token request."""
    dev = stacks.dev_sepolia()
    till = _till(dev)
    request = permit.signed(release, f"{dev.gate}/joke", dev.payer.key, dev.chain)[0]
    issued = permit.post(f"{dev.gate}{permit.endpoint(dev.gate)}", request)
    _token(issued)
    till.wait(1)
    status_url = f"{dev.gate}{issued.json()['metadata']['status_url']}"
    permit.until(lambda: wire.request(status_url).json()["state"] == "settled", "the receipt says settled")
    said = wire.request(status_url).json()
    equal((said["amount"], said["asset"].lower()), (str(PRICE), f"eip155:{SEPOLIA_ID}/erc20:{dev.chain.token.lower()}"), "what was paid")
    receipt = dev.chain.wait(said["tx_hash"])
    equal(receipt["status"], "0x1", "status of the transaction that the receipt names")
    equal(int(receipt["blockNumber"], 16) > till.since, True, "it is of this purchase")
    return f"tx {said['tx_hash']}"


def _beside(release: str) -> str:
    """One route, three payers: x402 in both versions and a permit."""
    dev = stacks.dev()
    url = f"{dev.gate}/joke"
    checks.unpaid_both(url, dev.payee.address)
    shop = checks.Shop(url, dev.chain, dev.payer, dev.payee)
    notes = [checks.buys(shop, client, version, version == 1) for client, version in (("fetch", 1), ("httpx", 2))]
    till = _till(dev)
    permit.buy(release, url, dev.payer.key, dev.chain).all_sold()
    till.wait(1)
    return ", ".join([*notes, "and a permit"])


def _ours() -> str:
    """Our client, with each kind of permit it can be told to sign; each token serves two requests."""
    dev = stacks.dev_sepolia()
    allow = f"0x095ea7b3{word(PERMIT2)}{word(10 * PRICE)}"
    dev.chain.send({"from": dev.payer.address, "to": dev.chain.token, "data": allow})
    for kind in ("EIP2612", "ERC3009", "Permit2"):
        till = _till(dev)
        said = permit.ours(f"{dev.gate}/joke", dev.payer, dev.chain, 2, kind)
        equal((said["statuses"], said["paid"]), ([200, 200], [kind, None]), f"statuses and kinds {said['errors']}")
        till.wait(1)
    return "three kinds of permit, each paid once for two requests"


@contextlib.contextmanager
def _own(name: str, policy: str = "optimistic") -> Iterator[tuple[gates.Program, Chain]]:
    """A gate of its own on anvil, whose blocks wait for nobody and can be made to."""
    chain = permit.anvil()
    with seller(lambda _: Reply(200, {"content-type": "application/json"}, b'{"joke":"one"}')) as upstream:
        file = gates.folder(f"permit-{name}") / "gate.toml"
        yield gates.permits(file, chain.url, upstream.url, _JOKE, _OTHER, _TETHER, policy=policy), chain


@contextlib.contextmanager
def _no_blocks(chain: Chain) -> Iterator[None]:
    """Transactions wait during the block."""
    chain.call("evm_setAutomine", False)
    try:
        yield
    finally:
        chain.call("evm_setAutomine", True)
        chain.call("evm_mine")


def _permit2(release: str) -> str:
    """A token that only Permit2 moves."""
    with _own(f"permit2-{release}") as (gate, chain):
        service, tether = gate.start(), permit.of(chain, "USDT")
        till = Till.open(tether, PAYER, PAYEE.address)
        bought = permit.buy(release, f"{gate.url}/tether", PAYER.key, tether, "USDT")
        bought.all_sold()
        equal([one["permit_type"] for one in bought.permits], ["Permit2"], "what was signed")
        till.wait(1)
        service.stop()
    return "paid once"


def _settled() -> str:
    """The token comes when the money is there, in less time than clients wait; and it opens nothing else."""
    with _own("settled", "settled") as (gate, chain):
        service = gate.start()
        for release in ("0.1.1", "0.3.0"):
            till = Till.open(chain, PAYER, PAYEE.address)
            bought = permit.buy(release, f"{gate.url}/joke", PAYER.key, chain)
            bought.all_sold()
            till.wait(1, 0)
            shown = wire.request(f"{gate.url}/other", headers={"authorization": bought.tokens[0]})
            equal((shown.status, shown.json()["reason"]), (402, "Token is not valid for this resource"), "status elsewhere")
        service.stop()
    return "the money was there first, and the token opens its own route"


def _killed() -> str:
    """The gate dies between token and payment."""
    with _own("killed") as (gate, chain):
        service = gate.start()
        till = Till.open(chain, PAYER, PAYEE.address)
        with _no_blocks(chain):
            bought = permit.buy("0.1.1", f"{gate.url}/joke", PAYER.key, chain)
            bought.all_sold()
            service.kill()
            service = gate.start()
        till.wait(1)
        shown = wire.request(f"{gate.url}/joke", headers={"authorization": bought.tokens[0]})
        equal(shown.status, 200, "the token of before")
        service.kill()
        service = gate.start()
        time.sleep(1)
        till.wait(1, 0)
        service.stop()
    return "killed twice, paid once, and the token is good"


def _emptied() -> str:
    """A payer takes the money away between token and payment."""
    with _own("emptied") as (gate, chain):
        service = gate.start()
        poor = OTHER.address
        chain.send({"from": poor, "to": chain.token, "data": f"0x40c10f19{word(poor)}{word(2 * PRICE)}"})
        till = Till.open(chain, OTHER, PAYEE.address)
        with _no_blocks(chain):
            bought = permit.buy("0.1.1", f"{gate.url}/joke", OTHER.key, chain)
            bought.all_sold()
            away = f"0xa9059cbb{word(chain.token)}{word(chain.balance(poor))}"
            tip = hex(200 * 10**9)
            sent = {"from": poor, "to": chain.token, "data": away, "maxFeePerGas": tip, "maxPriorityFeePerGas": tip}
            chain.call("eth_sendTransaction", sent)
        chain.call("anvil_mine", hex(1))

        def show() -> wire.Answer:
            return wire.request(f"{gate.url}/joke", headers={"authorization": bought.tokens[0]})

        # Reverted, and not final yet: nothing more is given on trust.
        permit.until(lambda: show().status != 200, "the token is refused once its settlement was reverted")
        chain.call("anvil_mine", hex(_FINAL_BLOCKS))
        shown = show()
        equal((shown.status, shown.json()["reason"]), (402, "Token has been revoked"), "status and reason")
        equal((till.came(), chain.balance(poor)), ([], 0), "what came, and what the payer has left")
        service.stop()
    return "the token was refused after that"


for _release in permit.RELEASES:
    row(f"gate/x402-mock-{_release}", f"x402-mock {_release} pays our gate")(partial(_buys, _release))
for _release in ("0.1.1", "0.3.0"):
    row(f"gate/x402-mock-{_release}+plain", f"a permit of x402-mock {_release}, posted to /token")(partial(_plain, _release))
for _release in ("0.1.1", "0.2.0"):
    row(f"gate/x402-mock-{_release}+receipt", f"the receipt of a permit of x402-mock {_release}")(partial(_receipt, _release))
row("gate/x402-mock+x402", "one route paid by fetch (in version 1), httpx and x402-mock 0.3.0")(partial(_beside, "0.3.0"))
for _release in ("0.2.0", "0.3.0"):
    row(f"gate/x402-mock-{_release}+permit2", f"x402-mock {_release} pays our gate through Permit2")(partial(_permit2, _release))
row("gate/x402-mock+settled", "our gate gives out tokens when the money is there")(_settled)
row("gate/permit+ours", "our client pays our gate with each kind of permit")(_ours)
row("gate/x402-mock+killed", "a gate killed between token and payment")(_killed)
row("gate/x402-mock+emptied", "an account emptied between token and payment")(_emptied)
row("gate/x402-mock+at-once", "three requests of one client of x402-mock 0.1.1 at once")(_at_once)
row("gate/x402-mock+copies", f"one permit, posted {_COPIES} times at once")(_copies)
