"""Buys with the PyPI package `l402kit`, its own client and a wallet that pays with the node. BUDGET is the client's, in sats."""

import asyncio
import os
import sys

import node
from l402kit.client import AsyncL402Client, L402Client, L402Wallet

BUDGET = int(os.environ["BUDGET"]) if "BUDGET" in os.environ else None


class Wallet(L402Wallet):
    def pay_invoice(self, bolt11: str) -> str:
        return node.pay(bolt11)


async def later() -> list:
    async with AsyncL402Client(wallet=Wallet()) as client:
        return [await client.get(node.URL) for _ in range(node.COUNT)]


if "async" in sys.argv:
    node.report(asyncio.run(later()))
else:
    client = L402Client(wallet=Wallet(), budget_sats=BUDGET)
    node.report([client.get(node.URL) for _ in range(node.COUNT)])
