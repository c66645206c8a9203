"""An Ethereum chain seen through its JSON-RPC, and the token on it."""

from __future__ import annotations

import json
import time
from typing import Any

from . import wire
from .outcome import Fail, equal, require
from .paths import PERMIT2_ARTIFACT, TOKEN_ARTIFACT
from .world import FACILITATOR, PAYER, PERMIT2, TOKEN_DECIMALS, TOKEN_NAME, TOKEN_SYMBOL, TOKEN_VERSION, USDC

TRANSFER_TOPIC = "0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef"
_BALANCE_OF = "0x70a08231"
_MINT = "0x40c10f19"
_MINTED = 1_000_000_000  # 1,000 USDC


def word(value: int | str) -> str:
    """One ABI word as 64 hex digits: a number or an address."""
    return f"{value:064x}" if isinstance(value, int) else value.lower().removeprefix("0x").rjust(64, "0")


class Chain:
    """One RPC endpoint."""

    def __init__(self, url: str, token: str = USDC) -> None:
        self.url = url
        self.token = token

    def call(self, method: str, *params: Any) -> Any:
        """One JSON-RPC call; its result, or a failed row."""
        answer = wire.post_json(self.url, {"jsonrpc": "2.0", "id": 1, "method": method, "params": params})
        reply = answer.json()
        if "result" not in reply:
            raise Fail(f"{method} on {self.url} answered {answer.body[:300]!r}")
        return reply["result"]

    def chain_id(self) -> int:
        """eth_chainId as a number."""
        return int(self.call("eth_chainId"), 16)

    def balance(self, address: str) -> int:
        """The USDC balance of `address` in smallest units."""
        return int(self.call("eth_call", {"to": self.token, "data": _BALANCE_OF + word(address)}, "latest"), 16)

    def wait(self, transaction: str, seconds: float = 20.0) -> dict[str, Any]:
        """The receipt of `transaction`, waiting for it if needed."""
        limit = time.monotonic() + seconds
        while time.monotonic() < limit:
            receipt = self.call("eth_getTransactionReceipt", transaction)
            if receipt:
                return receipt
            time.sleep(0.05)
        raise Fail(f"no receipt of {transaction} within {seconds:.0f} s")

    def check_transfer(self, transaction: Any, payer: str, payee: str, amount: int) -> None:
        """Fails unless `transaction` succeeded and moved exactly `amount` USDC from payer to payee, once."""
        require(
            isinstance(transaction, str) and len(transaction) == 66 and transaction.startswith("0x"),
            "the receipt names a transaction hash",
            transaction,
        )
        receipt = self.wait(transaction)
        equal(receipt["status"], "0x1", f"status of {transaction} on chain")
        expected = [TRANSFER_TOPIC, "0x" + word(payer), "0x" + word(payee)]
        amounts = [
            int(log["data"], 16)
            for log in receipt["logs"]
            if log["address"].lower() == self.token.lower() and [topic.lower() for topic in log["topics"]] == expected
        ]
        equal(amounts, [amount], f"USDC Transfer logs payer→payee in {transaction}")

    def place_token(self, name: str = TOKEN_NAME) -> None:
        """Puts the test USDC's code at the token's address, with money for the payer (anvil methods).

        The token is made for this: it needs nothing the constructor leaves in storage.
        """
        artifact = json.loads(TOKEN_ARTIFACT.read_text())
        strings = b""
        heads: list[str] = []
        for text in (name, TOKEN_VERSION, TOKEN_SYMBOL):
            heads.append(word(4 * 32 + len(strings)))
            strings += len(text).to_bytes(32, "big") + text.encode().ljust(32, b"\0")
        arguments = "".join(heads) + word(TOKEN_DECIMALS) + strings.hex()
        made = self.send({"from": FACILITATOR.address, "data": artifact["bytecode"] + arguments, "gas": "0x500000"})
        code = self.call("eth_getCode", made["contractAddress"], "latest")
        require(len(code) > 2, "the token was deployed", made)
        self.call("anvil_setCode", self.token, code)
        self.send({"from": FACILITATOR.address, "to": self.token, "data": _MINT + word(PAYER.address) + word(_MINTED)})
        equal(self.balance(PAYER.address), _MINTED, "USDC minted to the payer")

    def place_permit2(self) -> None:
        """Puts Permit2 at its address: its constructor runs there, so that its domain is the one of that address."""
        made = json.loads(PERMIT2_ARTIFACT.read_text())["bytecode"]
        self.call("anvil_setCode", PERMIT2, made)
        code = self.call("eth_call", {"to": PERMIT2, "data": "0x"}, "latest")
        require(len(code) > 1000, "Permit2's constructor answers with its code", code[:80])
        self.call("anvil_setCode", PERMIT2, code)

    def payments(self, payee: str, since: int) -> list[tuple[str, int]]:
        """Payer and amount of each Transfer of the token to payee after block `since`."""
        topics = [TRANSFER_TOPIC, None, "0x" + word(payee)]
        logs = self.call("eth_getLogs", {"address": self.token, "topics": topics, "fromBlock": hex(since)})
        return [("0x" + log["topics"][1][-40:], int(log["data"], 16)) for log in logs if int(log["blockNumber"], 16) > since]

    def height(self) -> int:
        """The number of the newest block."""
        return int(self.call("eth_blockNumber"), 16)

    def send(self, transaction: dict[str, Any]) -> dict[str, Any]:
        """Sends from one of the node's own accounts and waits; the receipt of a success."""
        receipt = self.wait(self.call("eth_sendTransaction", transaction))
        equal(receipt["status"], "0x1", f"status of {transaction.get('to', 'a deployment')}")
        return receipt
