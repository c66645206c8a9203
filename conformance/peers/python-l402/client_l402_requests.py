"""Buys with the PyPI package `l402-requests`; with its own LND wallet, or one that hands on LND's preimage as it is."""

import sys

import node
from l402_requests.client import L402Client
from l402_requests.wallets import WalletBase
from l402_requests.wallets.lnd import LndWallet


class Wallet(WalletBase):
    async def pay_invoice(self, bolt11: str) -> str:
        return node.pay(bolt11)


client = L402Client(wallet=LndWallet(node.HOST, node.MACAROON) if "lnd" in sys.argv else Wallet())
node.report([client.get(node.URL) for _ in range(node.COUNT)])
