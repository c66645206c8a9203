"""A Bitcoin node on a chain of its own (regtest): Debian's Bitcoin Knots, or whatever FAREGATE_BITCOIND names."""

from __future__ import annotations

import base64
import json
import os
from pathlib import Path
from typing import Any

from . import debian, gates, wire
from .outcome import equal, once
from .procs import Service, free_port

# Taken before children get an environment without it.
_GIVEN = os.environ.get("FAREGATE_BITCOIND")
# Blocks until a block's reward can be spent.
_MATURE = 101


class Bitcoind:
    """A running node with a wallet that owns the first blocks' rewards."""

    def __init__(self, folder: Path) -> None:
        self.cookie = folder / "regtest" / ".cookie"
        port, command = free_port(), [_GIVEN] if _GIVEN else debian.program("bitcoin-knots", "usr/bin/bitcoind").command()
        flags = [f"-datadir={folder}", f"-rpcport={port}", "-regtest", "-server", "-listen=0", "-dnsseed=0", "-fallbackfee=0.0002"]
        self.url = f"http://127.0.0.1:{port}"
        folder.mkdir(parents=True)
        self._service = Service("bitcoind", [*command, *flags], {})
        self._service.until(lambda: self.cookie.exists() and self._is_up(), "answer", 60)
        self("createwallet", "miner")
        self._address = self("getnewaddress")
        self.mine(_MATURE)

    def _is_up(self) -> bool:
        return wire.request(self.url, "POST", self._headers(), b'{"method":"uptime","params":[]}').status == 200

    def _headers(self) -> dict[str, str]:
        key = base64.b64encode(self.cookie.read_bytes().strip()).decode()
        return {"content-type": "application/json", "authorization": f"Basic {key}"}

    def __call__(self, method: str, *params: Any) -> Any:
        """One call; what it answers."""
        body = json.dumps({"method": method, "params": params}).encode()
        answer = wire.request(self.url, "POST", self._headers(), body)
        equal(answer.status, 200, f"status of {method} {answer.body[:300]!r}")
        return answer.json()["result"]

    def mine(self, blocks: int) -> None:
        """Adds blocks to the chain."""
        self("generatetoaddress", blocks, self._address)

    def height(self) -> int:
        """How many blocks there are."""
        return self("getblockcount")


@once
def chain() -> Bitcoind:
    """The chain of all rows, once."""
    return Bitcoind(gates.folder("bitcoin") / "node")
