"""Signs payments without sending them, with the PyPI package `x402`.

Input: PAYMENT_REQUIRED (the header's value), EVM_PRIVATE_KEY, COUNT (1 unless told).
Output: one PAYMENT-SIGNATURE value per line, each with a nonce of its own.
"""

import asyncio
import os

from eth_account import Account
from x402 import x402Client
from x402.http.utils import decode_payment_required_header, encode_payment_signature_header
from x402.mechanisms.evm import EthAccountSigner
from x402.mechanisms.evm.exact import register_exact_evm_client


async def main() -> None:
    client = x402Client()
    register_exact_evm_client(client, EthAccountSigner(Account.from_key(os.environ["EVM_PRIVATE_KEY"])))
    required = decode_payment_required_header(os.environ["PAYMENT_REQUIRED"])
    for _ in range(int(os.environ.get("COUNT", "1"))):
        print(encode_payment_signature_header(await client.create_payment_payload(required)))


asyncio.run(main())
