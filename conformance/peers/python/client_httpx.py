"""Pays one request with the PyPI package `x402` on httpx, default settings."""

import asyncio
import os

import httpx
from eth_account import Account
from x402 import x402Client
from x402.http.clients.httpx import x402AsyncTransport
from x402.http.x402_http_client import x402HTTPClient
from x402.mechanisms.evm import EthAccountSigner
from x402.mechanisms.evm.exact import register_exact_evm_client

import payer


class Recorder(httpx.AsyncBaseTransport):
    """Remembers the payment header that passes through to the network; with ONLY_V1 it hides the v2 offer."""

    def __init__(self) -> None:
        self._inner = httpx.AsyncHTTPTransport()
        self.sent: dict | None = None

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.sent = payer.payment_header(request.headers) or self.sent
        answer = await self._inner.handle_async_request(request)
        if "ONLY_V1" in os.environ and "PAYMENT-REQUIRED" in answer.headers:
            del answer.headers["PAYMENT-REQUIRED"]
        return answer

    async def aclose(self) -> None:
        await self._inner.aclose()


async def main() -> None:
    call = payer.Call()
    client = x402Client()
    register_exact_evm_client(client, EthAccountSigner(Account.from_key(call.key)))
    recorder = Recorder()
    async with httpx.AsyncClient(transport=x402AsyncTransport(client, recorder), timeout=60) as http:
        answer = await http.request(call.method, call.url, content=call.body)
        body = (await answer.aread()).decode()
    receipt = None
    if recorder.sent and answer.status_code == 200:
        receipt = x402HTTPClient(client).get_payment_settle_response(answer.headers.get)
    payer.report(answer.status_code, answer.headers, body, recorder.sent, receipt)


asyncio.run(main())
