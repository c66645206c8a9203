"""Our gate as a process of its own, configured by a TOML file, with a facilitator somewhere else."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import NamedTuple

from .. import checks, curl, gates, peers, stacks, wire
from ..mocks import Reply, Seen, Seller, seller
from ..outcome import Fail, equal, require
from ..procs import Service
from ..table import row
from ..world import NETWORK, PAYEE, PAYER, PRICE

_START_SECONDS = 15.0
_TEXT = {"content-type": "text/plain;charset=UTF-8"}  # what fetch says of a string
_JOKE = gates.route("GET /joke", "$0.001", 'description = "one joke"', 'mime_type = "application/json"')
_FREE = gates.route("GET /free", "free")
# A test network that no facilitator here settles on.
_OTHER_NETWORK = "eip155:11155111"


class _Upstream:
    """What is sold: every answer is another one, so that a second run cannot look like a copy. `/broken` is, at first."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._runs = 0
        self.broken = True

    def __call__(self, request: Seen) -> Reply:
        with self._lock:
            self._runs += 1
            run = self._runs
        status = 500 if self.broken and request.path == "/broken" else 200
        body = f'{{"run":{run},"echo":"{request.body.decode()}"}}'.encode()
        return Reply(status, {"content-type": "application/json"}, body)


def _shop(base: str, path: str = "/joke") -> checks.Shop:
    return checks.Shop(f"{base}{path}", stacks.anvil(), PAYER, PAYEE)


def _runs(upstream: Seller, path: str) -> int:
    """How often the service behind the gate ran; it never sees a payment."""
    equal(upstream.payments(), [], "payment headers that reached the service behind the gate")
    return sum(1 for request in upstream.seen if request.path == path)


@contextlib.contextmanager
def _running(*programs: gates.Program) -> Iterator[list[Service]]:
    """The programs, started in order and stopped with the block. The list may be changed meanwhile."""
    services: list[Service] = []
    try:
        for program in programs:
            services.append(program.start())
        yield services
    finally:
        for service in reversed(services):
            service.stop()


def _remote(kind: str, buyers: tuple[tuple[str, int], ...]) -> str:
    """A peer's facilitator settles for our gate."""
    facilitator = stacks.peer_world(kind).facilitator
    with seller(_Upstream()) as upstream:
        gate = gates.gate(gates.folder(f"remote-{kind}") / "gate.toml", facilitator, upstream.url, _JOKE, _FREE)
        with _running(gate):
            equal(wire.request(f"{gate.url}/free").status, 200, "status of the free route")
            equal(wire.request(f"{gate.url}/nowhere").status, 404, "status of a path without a route")
            notes = [checks.buys(_shop(gate.url), client, version) for client, version in buyers]
        equal(_runs(upstream, "/joke"), len(buyers), "runs of the service behind the gate, copies included")
    return ", ".join(notes)


def _signed(shop: checks.Shop) -> dict[str, str]:
    """A payment for the route, signed by the PyPI package and not sent yet."""
    offer = checks.unpaid_both(shop.url, shop.payee.address).headers["payment-required"]
    return {"payment-signature": peers.sign(offer, shop.payer.key)[0]}


def _remote_ours() -> str:
    """Gate, facilitator and client are ours, each a process of its own; then the facilitator dies and comes back."""
    files = gates.folder("remote-faregate")
    facilitator = gates.facilitator(files / "facilitator.toml", stacks.anvil().url)
    with seller(_Upstream()) as upstream:
        gate = gates.gate(files / "gate.toml", facilitator.url, upstream.url, _JOKE, _FREE)
        shop = _shop(gate.url)
        with _running(facilitator, gate) as services:
            note = checks.buys(shop, "requests", 2)
            before = shop.books()
            curl.paid(curl.get(shop.url, PAYER.key), shop.chain, PAYER.address, PAYEE.address)
            equal(shop.books(), before.paid_once(), "books after the purchase by faregate curl")
            _survives(shop, upstream, facilitator, services)
            _remembers(shop, upstream, gate, services)
    return note


def _survives(shop: checks.Shop, upstream: Seller, facilitator: gates.Program, services: list[Service]) -> None:
    """Without its facilitator the gate sells nothing; with it back, the same header buys once."""
    payment = _signed(shop)
    before, runs = shop.books(), _runs(upstream, "/joke")
    services[0].kill()
    away = wire.request(shop.url, headers=payment)
    equal(away.status, 503, "status of a paid request while the facilitator is dead")
    require("retry-after" in away.headers, "a 503 says when to come back", away.headers)
    equal(wire.request(shop.url).status, 402, "status of an unpaid request while the facilitator is dead")
    equal((shop.books(), _runs(upstream, "/joke")), (before, runs), "books and runs while the facilitator is dead")
    services[0] = facilitator.start()
    answers = [wire.request(shop.url, headers=payment) for _ in range(3)]
    statuses = [answer.status for answer in answers]
    equal(statuses, [200] * 3, "statuses of the same header, three times, with the facilitator back")
    equal(len({answer.body for answer in answers}), 1, "different bodies among them")
    equal(shop.books(), before.paid_once(), "books after the facilitator is back")
    equal(_runs(upstream, "/joke"), runs + 1, "runs after the facilitator is back")


def _remembers(shop: checks.Shop, upstream: Seller, gate: gates.Program, services: list[Service]) -> None:
    """A gate that was killed and started again on its ledger still knows what it sold."""
    payment = _signed(shop)
    sold = wire.request(shop.url, headers=payment)
    equal(sold.status, 200, "status of the paid request")
    after, runs = shop.books(), _runs(upstream, "/joke")
    services[1].kill()
    services[1] = gate.start()
    again = wire.request(shop.url, headers=payment)
    equal((again.status, again.body), (200, sold.body), "the same header after the gate was killed")
    equal((shop.books(), _runs(upstream, "/joke")), (after, runs), "books and runs after the gate was killed")


def _settle_before() -> str:
    """Money first, then the work: a POST with a body, its copies, and a service that fails after it was paid."""
    facilitator = stacks.peer_world("py").facilitator
    routes = [
        gates.route("POST /render", "$0.001", 'settle = "before"'),
        gates.route("POST /broken", "$0.001", 'settle = "before"'),
        gates.route("GET /broken", "$0.001", 'settle = "after"'),
    ]
    service = _Upstream()
    with seller(service) as upstream:
        gate = gates.gate(gates.folder("settle-before") / "gate.toml", facilitator, upstream.url, *routes)
        with _running(gate):
            note = _posts(_shop(gate.url, "/render"), upstream)
            _fails_unpaid(_shop(gate.url, "/broken"))
            _fails_paid(_shop(gate.url, "/broken"), service)
    return note


def _posts(shop: checks.Shop, upstream: Seller) -> str:
    before = shop.books()
    paid = peers.pay("fetch", shop.url, PAYER.key, "POST", "a fare")
    transaction = checks.bought(paid, shop.chain, PAYER.address, PAYEE.address)
    require('"echo":"a fare"' in paid.body, "the body reached the service", paid.body)
    after = shop.books()
    equal(after, before.paid_once(), "books after POST")
    copy = checks.resend(shop.url, paid, "POST", "a fare")
    equal((copy.status, copy.body.decode()), (200, paid.body), "a copy of the POST")
    equal(checks.receipt_in(copy.headers).get("transaction"), transaction, "transaction of the copy")
    other = checks.resend(shop.url, paid, "POST", "another fare")
    equal(other.status, 409, "status of a copy with another body")
    require("payment_conflict" in other.body.decode(), "the 409 says payment_conflict", other.body.decode())
    equal(shop.books(), after, "books after the copies")
    equal(_runs(upstream, "/render"), 1, "runs of the service, copies included")
    return f"tx {transaction}"


def _fails_paid(shop: checks.Shop, service: _Upstream) -> None:
    """The service fails after the money moved: the payer gets its error with the receipt, and is still owed an answer."""
    before = shop.books()
    paid = peers.pay("fetch", shop.url, PAYER.key, "POST", "a fare")
    equal(paid.status, 500, "status of a service that fails after settlement")
    receipt = checks.receipt_in(paid.headers)
    equal(receipt.get("success"), True, "success in the receipt of a service that fails")
    shop.chain.check_transfer(receipt.get("transaction"), PAYER.address, PAYEE.address, PRICE)
    service.broken = False
    copies = [checks.resend(shop.url, paid, "POST", "a fare") for _ in range(2)]
    equal([copy.status for copy in copies], [200, 200], "statuses of the same header when the service works again")
    equal(copies[0].body, copies[1].body, "the answer that was owed, and a copy of it")
    transactions = {checks.receipt_in(copy.headers).get("transaction") for copy in copies}
    equal(transactions, {receipt["transaction"]}, "transactions of these answers")
    equal(shop.books(), before.paid_once(), "books after a service that failed after settlement")


def _fails_unpaid(shop: checks.Shop) -> None:
    """With settle = "after" the same failure costs nothing."""
    payment = _signed(shop)
    before = shop.books()
    failed = wire.request(shop.url, headers=payment)
    equal(failed.status, 500, "status of a service that fails before settlement")
    require("payment-response" not in failed.headers, "no receipt when nothing was paid", failed.headers)
    equal(shop.books(), before, "books after a service that fails before settlement")


class _Case(NamedTuple):
    """A gate that must not start: its program, and the words its message must have."""

    program: gates.Program
    words: tuple[str, ...]


def _refuses(case: _Case) -> str | None:
    """What is wrong with how it ended; None if it ended as it must. Meanwhile it may serve nothing."""
    service = case.program.launch()
    name = case.program.file.stem
    limit = time.monotonic() + _START_SECONDS
    try:
        while service.code is None and time.monotonic() < limit:
            with contextlib.suppress(OSError):
                return f"{name}: answered {wire.request(f'{case.program.url}/free', seconds=0.5).status}"
            time.sleep(0.05)
        text = service.tail()
        if service.code is None:
            return f"{name}: still there after {_START_SECONDS:.0f} s"
        missing = [word for word in case.words if word not in text]
        if service.code not in (1, 2) or missing or "panicked" in text:
            return f"{name}: exit {service.code}, no {missing} in {text!r}"
        return None
    finally:
        service.stop()


def _misconfigured() -> str:
    """Every mistake ends the program at once (a silent facilitator: after ten seconds) and says what is wrong."""
    files = gates.folder("misconfigured")
    facilitator = stacks.peer_world("ts").facilitator
    with seller(_Upstream()) as upstream, socket.create_server(("127.0.0.1", 0)) as silent:
        good = gates.gate(files / "good.toml", facilitator, upstream.url, _JOKE, _FREE)
        gone = f"http://127.0.0.1:{gates.free_port()}"
        mute = f"http://127.0.0.1:{silent.getsockname()[1]}"

        def wrong(name: str, *words: str, url: str = facilitator, price: str = "$0.001", network: str = NETWORK,
                  store: Path | None = None) -> _Case:
            routes = (gates.route("GET /joke", price), _FREE)
            program = gates.gate(files / f"{name}.toml", url, upstream.url, *routes, network=network, store=store)
            return _Case(program, words)

        cases = [
            wrong("network", "GET /joke", _OTHER_NETWORK, "does not settle", network=_OTHER_NETWORK),
            wrong("away", "the facilitator does not answer", url=gone),
            wrong("silent", "the facilitator does not answer", url=mute),
            wrong("ledger", "another process uses the ledger", store=good.file.with_suffix(".db")),
            wrong("empty-price", "empty-price.toml", ":14:", "route[1].price: expected a price", price=""),
            wrong("zero-price", "zero-price.toml", ":14:", "route[1].price: expected a price above zero", price="$0"),
        ]
        with _running(good), ThreadPoolExecutor(len(cases)) as pool:
            faults = [fault for fault in pool.map(_refuses, cases) if fault]
            equal(wire.request(f"{good.url}/free").status, 200, "status at the gate whose ledger another one wanted")
        if faults:
            raise Fail("; ".join(faults))
        equal([request.path for request in upstream.seen], ["/free"], "what reached the service behind the gates")
    return f"{len(cases)} cases"


for _kind, _buyers in {"py": (("httpx", 2), ("fetch-v1", 1)), "ts": (("fetch", 2), ("fetch-v1", 1))}.items():
    _names = " and ".join(client for client, _ in _buyers)
    row(f"gate/remote+{_kind}", f"faregate gate with the {_kind} facilitator elsewhere, paid by {_names}")(
        partial(_remote, _kind, _buyers)
    )
row("gate/remote+faregate", "faregate gate and faregate facilitator, two processes; each is killed and comes back")(
    _remote_ours
)
row("gate/settle-before", "faregate gate takes the money first: copies, other bodies, a service that fails")(_settle_before)
row("gate/misconfigured", "a faregate gate that could not be paid refuses to start and says why")(_misconfigured)
