"""What the programs here share: which release of `x402-mock` runs, and how it is told its key, its chain and its prices.

PYTHONPATH decides the release. EVM_PRIVATE_KEY is its wallet, RPC_URL and CHAIN (CAIP-2) the chain, AMOUNT a price or a limit
in whole units, CURRENCIES a JSON object {currency: token address}.

Only the two releases before 0.2.1 know tokens by themselves; later ones are told the address, and ask the chain for the rest.
"""

import json
import os
from importlib.metadata import version

from x402_mock.adapters import AdapterHub

RELEASE = version("x402-mock")
KNOWS_TOKENS = RELEASE in ("0.1.1", "0.2.0")
KEY, RPC_URL, CHAIN = os.environ["EVM_PRIVATE_KEY"], os.environ["RPC_URL"], os.environ["CHAIN"]
AMOUNT = float(os.environ["AMOUNT"])


def hub() -> AdapterHub:
    if KNOWS_TOKENS:
        return AdapterHub(evm_private_key=KEY, rpc_url=RPC_URL)
    return AdapterHub(evm_private_key=KEY)


def add_payment_methods(to) -> None:
    """To a server or to a client: both have the same method."""
    for currency, token in json.loads(os.environ["CURRENCIES"]).items():
        if KNOWS_TOKENS:
            to.add_payment_method(CHAIN, AMOUNT, currency)
        else:
            to.add_payment_method(
                {"payment_type": "evm", "amount": AMOUNT, "currency": currency, "caip2": CHAIN, "token": token, "rpc_url": RPC_URL}
            )
