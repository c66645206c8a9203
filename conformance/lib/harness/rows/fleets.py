"""Two of our gates, each with its own ledger, share one Redis: a token is sold once by both together."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import resource
import socket
import threading
from collections import Counter
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from .. import debian, gates, install, stacks, wire
from ..lightning import pay
from ..mocks import Reply, Seen, lasting_seller
from ..outcome import equal, once, require
from ..paths import PEERS, WORK
from ..procs import Service, free_port, run
from ..table import row

_PASSWORD, _PASSWORD_VARIABLE = "not-a-secret-2", "CONFORMANCE_REDIS_PASSWORD"
_CALLS = 1_000
# Taken before children get an environment without it.
_GIVEN = os.environ.get("FAREGATE_REDIS")


class _Fleet:
    """The gates, what they sell, and the Redis server they share."""

    def __init__(self) -> None:
        self.port = free_port()
        self.sold: list[str] = []
        self.holding, self.held = threading.Event(), threading.Event()
        upstream = lasting_seller(self._sell).url
        dev = stacks.dev()
        wallet = gates.Wallet("lnd", dev.lnd, "regtest", dev.lnd_seller)
        more = f"""replay = "redis://127.0.0.1:{self.port}/1"
replay_password = "env:{_PASSWORD_VARIABLE}"
invoices_per_minute = 10000
invoices_at_once = 2000
"""
        routes = [gates.route(f"GET /{name}", "10 sat") for name in ("one", "slow")]
        routes.append(gates.route("GET /three", "10 sat", "l402 = { uses = 3 }"))
        folder = gates.folder("fleet")
        self._folder = folder
        self.redis = self.start_redis()
        self.programs, self.services = [], []
        for name in ("a", "b"):
            program = gates.lightning(folder / f"{name}.toml", wallet, upstream, *routes, more=more)
            # Tokens say for which host they are; behind one balancer it is one.
            text = program.file.read_text()
            program.file.write_text(text.replace(f'public_url = "{program.url}"', 'public_url = "http://fleet.example"'))
            program = program._replace(env={**program.env, _PASSWORD_VARIABLE: _PASSWORD})
            self.programs.append(program)
            self.services.append(program.start())

    @property
    def urls(self) -> list[str]:
        """Where the gates are."""
        return [program.url for program in self.programs]

    def _sell(self, request: Seen) -> Reply:
        self.sold.append(request.path)
        if request.path == "/slow" and not self.held.is_set():
            self.holding.set()
            self.held.wait(60)
        return Reply(200, {}, b'{"sold":true}')

    def start_redis(self) -> Service:
        """Starts the server over the files it left, if any."""
        command = [_GIVEN] if _GIVEN else _redis()
        command += ["--port", str(self.port), "--bind", "127.0.0.1", "--requirepass", _PASSWORD]
        command += ["--dir", str(self._folder), "--save", "", "--appendonly", "yes", "--appendfsync", "always"]
        service = Service("redis", command, {})

        def listens() -> bool:
            socket.create_connection(("127.0.0.1", self.port), 1).close()
            return True

        service.until(listens, "a listener", 20)
        return service


def _redis() -> list[str]:
    """Debian's server: the program of `redis-tools` under the name that `redis-server` links to it."""
    program = debian.program("redis-tools", "usr/bin/redis-server")
    link = program.root / program.path
    if not link.exists():
        link.symlink_to("redis-check-rdb")
    return program.command()


@once
def _fleet() -> _Fleet:
    return _Fleet()


class _Token(NamedTuple):
    """What opens a route."""

    path: str
    preimage: str
    header: str


def _buy(path: str) -> _Token:
    """A token from the first gate, paid for."""
    answer = wire.request(f"{_fleet().urls[0]}{path}")
    equal(answer.status, 402, f"status without a token ({answer.body[:200]!r})")
    asked = answer.json()
    preimage = pay(asked["invoice"])
    return _Token(path, preimage, f"L402 {asked['macaroon']}:{preimage}")


def _show(gate: int, token: _Token) -> wire.Answer:
    return wire.request(f"{_fleet().urls[gate]}{token.path}", headers={"authorization": token.header})


def _refused(gate: int, token: _Token, code: str = "Token already used", status: int = 402) -> wire.Answer:
    answer = _show(gate, token)
    equal(answer.status, status, f"status of the token at gate {gate} ({answer.body[:200]!r})")
    said = answer.json()
    equal(said.get("code") or said["error"], code, f"what gate {gate} says")
    return answer


def _served(gate: int, token: _Token) -> None:
    answer = _show(gate, token)
    equal(answer.status, 200, f"status of the token at gate {gate} ({answer.body[:200]!r})")


@row("redis/thousand", f"{_CALLS} uses of a one-use token at once, half of them at each gate: one is served")
def _thousand() -> str:
    fleet, token = _fleet(), _buy("/one")
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    before = len(fleet.sold)
    parts = [urlsplit(url) for url in fleet.urls]
    sockets, others = [], []
    with contextlib.ExitStack() as open_ones:
        for n in range(_CALLS):
            place = parts[n % 2]
            connected = socket.create_connection((place.hostname, place.port), 30)
            sockets.append(open_ones.enter_context(connected))
        head = f"GET {token.path} HTTP/1.1\r\nhost: fleet.example\r\nauthorization: {token.header}\r\nconnection: close\r\n\r\n"
        for connected in sockets:
            connected.sendall(head.encode())
        statuses: Counter[str] = Counter()
        for connected in sockets:
            connected.settimeout(60)
            answer = connected.makefile("rb").read().decode(errors="replace")
            status = (answer.split(maxsplit=2) + ["nothing"] * 2)[1]
            statuses[status] += 1
            if status not in ("200", "402"):
                others.append(answer[-300:])
    # On a machine that is too busy a gate may not hear from Redis in time: then it does not serve, and says so.
    require(all('"replay_store_unavailable"' in other for other in others), "any other answer says why", others[:2])
    served = statuses["200"] + sum(_show(gate, token).status == 200 for gate in (0, 1, 0, 1))
    equal(served, 1, f"served of {dict(statuses)} and four afterwards")
    equal(len(fleet.sold) - before, 1, "requests that reached what is sold")
    return ", ".join(f"{count} × {status}" for status, count in sorted(statuses.items()))


@row("redis/three", "a token for three requests opens three at both gates together")
def _three() -> str:
    token = _buy("/three")
    for gate in (0, 1, 1):
        _served(gate, token)
    for gate in (0, 1):
        _refused(gate, token)
    return "one here, two there, then refused by both"


def _l402kit(token: _Token) -> dict[str, Any]:
    url = f"redis://:{_PASSWORD}@127.0.0.1:{_fleet().port}/1"
    command = [str(install.python("python-l402")), str(PEERS / "python-l402" / "replay_l402kit.py")]
    done = run(command, {"REDIS_URL": url, "PREIMAGE": token.preimage})
    equal(done.returncode, 0, f"exit of l402kit's store; {done.stderr[-600:]}")
    return json.loads(done.stdout)


@row("redis/l402kit", "what we sold l402kit's RedisReplayAdapter takes for used, and what it marked we do not sell")
def _mixed() -> str:
    ours, theirs = _buy("/one"), _buy("/one")
    _served(0, ours)
    said = _l402kit(ours)
    equal(said["new"], False, "whether l402kit takes a preimage that we sold for new")
    key = f"l402:used:{hashlib.sha256(ours.preimage.encode()).hexdigest()}"
    equal(list(said["keys"]), [key], "keys in Redis")
    require(86_000 < said["keys"][key] <= 86_400, "it is kept as long as l402kit keeps it", said)
    equal(_l402kit(theirs)["new"], True, "whether l402kit takes a new preimage for new")
    for gate in (0, 1):
        _refused(gate, theirs)
    return "one key for both, in both directions"


@row("redis/gate-killed", "a gate killed while it serves knows its note again; the other does not sell the token")
def _gate_killed() -> str:
    fleet, token = _fleet(), _buy("/slow")
    asking = threading.Thread(target=lambda: _lost(token), daemon=True)
    asking.start()
    require(fleet.holding.wait(30), "the request reaches what is sold")
    fleet.services[0].kill()
    asking.join(30)
    _refused(1, token)
    fleet.held.set()
    fleet.services[0] = fleet.programs[0].start()
    _refused(1, token)
    _served(0, token)
    for gate in (0, 1):
        _refused(gate, token)
    return "refused there, served here after the restart, once"


def _lost(token: _Token) -> None:
    with contextlib.suppress(OSError, ConnectionError, wire.http.client.HTTPException):
        _show(0, token)


@row("redis/away", "Redis is killed: 503 with a code and nothing served; when it is back, everything is as it was")
def _away() -> str:
    fleet = _fleet()
    used, fresh = _buy("/one"), _buy("/one")
    _served(1, used)
    fleet.redis.kill()
    before = len(fleet.sold)
    for gate in (0, 1):
        for _ in range(3):
            answer = _refused(gate, fresh, "replay_store_unavailable", 503)
            require("retry-after" in answer.headers, "it says when to come again", answer.headers)
    equal(len(fleet.sold), before, "requests that reached what is sold")
    logs = "".join((WORK / "logs" / f"fleet-{name}.log").read_text(errors="replace") for name in ("a", "b"))
    require(_PASSWORD not in logs, "the password is not in the gates' logs")
    require("used tokens did not answer" in logs, "the gates' logs say what is wrong", logs[-300:])
    fleet.redis = fleet.start_redis()

    def serves() -> bool:
        return _show(0, fresh).status == 200

    fleet.redis.until(serves, "a gate that serves again", 10)
    for gate in (0, 1):
        _refused(gate, fresh)
        _refused(gate, used)
    return "503 replay_store_unavailable; then one is served"
