"""Ethereum libraries on the dev chain: each must see there what it sees on npm's anvil."""

from __future__ import annotations

import functools
import json
from functools import partial
from typing import Any

from .. import peers, stacks, wire
from ..chain import Chain
from ..outcome import Fail, equal, once, require, shown
from ..paths import TOKEN_ARTIFACT
from ..procs import run
from ..table import row
from ..world import CHAIN_ID, LIBRARY_ACCOUNTS


@once
def _anvil() -> Chain:
    """A second anvil, untouched by the payments of other rows."""
    return Chain(peers.start_anvil("anvil-chains")[1])


def _dev_chain() -> Chain:
    """A second dev chain: these rows set clocks and states."""
    return stacks.dev("dev-chains").chain


@functools.cache
def _facts(library: str, url: str) -> dict[str, Any]:
    env = {
        "RPC_URL": url,
        "CHAIN_ID": str(CHAIN_ID),
        "KEY": LIBRARY_ACCOUNTS[library].key,
        "TOKEN_ARTIFACT": str(TOKEN_ARTIFACT),
    }
    done = run(peers.CHAIN_READERS[library].command(), env)
    if done.returncode != 0:
        raise Fail(f"{library} on {url} ended with {done.returncode}: {shown(done.stderr[-900:], 900)}")
    return json.loads(done.stdout.splitlines()[-1])


def _differences(seen: Any, expected: Any, at: str = "") -> list[str]:
    """Where two facts differ, by path."""
    if isinstance(seen, dict) and isinstance(expected, dict):
        names = sorted(seen.keys() | expected.keys())
        return [text for name in names for text in _differences(seen.get(name), expected.get(name), f"{at}.{name}")]
    return [] if seen == expected else [f"{at.lstrip('.')}: {shown(seen, 200)} instead of {shown(expected, 200)}"]


def _anvil_makes_sense(library: str) -> str:
    facts = _facts(library, _anvil().url)
    equal(facts.get("chain_id", facts.get("chainId")), CHAIN_ID, "the chain id the library sees")
    return f"{len(facts)} facts"


# Facts in which anvil is not the measure, because it starts without this contract (spec §9.2) and the dev chain with it.
_OURS = {"viem": {"multicall3": True, "multicall": ["Fare", "7", 6]}}


def _dev_is_the_same(library: str) -> str:
    expected = {**_facts(library, _anvil().url), **_OURS.get(library, {})}
    found = _differences(_facts(library, _dev_chain().url), expected)
    require(not found, f"{library} sees the same on the dev chain as on anvil; " + "; ".join(found))
    return f"{len(expected)} facts equal"


def _rpc_manners(url: str) -> dict[str, Any]:
    """How an endpoint answers what is not a proper call."""

    def code(body: bytes) -> Any:
        answer = wire.request(url, "POST", {"content-type": "application/json"}, body)
        reply = json.loads(answer.body) if answer.body else None
        if isinstance(reply, list):
            return [item.get("error", {}).get("code", "result") for item in reply]
        return (reply or {}).get("error", {}).get("code", "result")

    call = '{"jsonrpc":"2.0","id":%d,"method":"%s","params":%s}'
    good, unknown = call % (1, "eth_chainId", "[]"), call % (2, "eth_noSuchMethod", "[]")
    return {
        "good": code(good.encode()),
        "unknown_method": code(unknown.encode()),
        "wrong_params": code((call % (3, "eth_getBalance", '["nonsense","latest"]')).encode()),
        "batch": code(f"[{good},{unknown}]".encode()),
        "string_id": code(good.replace('"id":1', '"id":"one"').encode()),
    }


def _rpc() -> str:
    url = _dev_chain().url
    found = _differences(_rpc_manners(url), _rpc_manners(_anvil().url))
    require(not found, "JSON-RPC manners as on anvil; " + "; ".join(found))
    origin = {"origin": "http://page.example", "access-control-request-method": "POST"}
    preflight = wire.request(url, "OPTIONS", {**origin, "access-control-request-headers": "content-type"})
    require(preflight.status in (200, 204), "a browser's preflight is answered", preflight.status)
    require("access-control-allow-origin" in preflight.headers, "the preflight allows the origin", preflight.headers)
    broken = wire.request(url, "POST", {"content-type": "application/json"}, b'{"jsonrpc":')
    require(broken.status < 500, "half a JSON text is no server error", broken.status)
    equal(broken.json().get("error", {}).get("code"), -32700, "error code of half a JSON text")
    return "errors, batches, CORS"


for _library in peers.CHAIN_READERS:
    row(f"self-check/{_library}+anvil", f"{_library} reads, sends, waits on npm's anvil")(partial(_anvil_makes_sense, _library))
for _library in peers.CHAIN_READERS:
    row(f"chain/{_library}", f"{_library} sees on the dev chain what it sees on anvil")(partial(_dev_is_the_same, _library))
row("chain/rpc", "JSON-RPC errors, batches and CORS of the dev chain")(_rpc)
