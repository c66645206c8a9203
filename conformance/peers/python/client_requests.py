"""Pays one request with the PyPI package `x402` on requests, default settings."""

import requests
from eth_account import Account
from x402 import x402ClientSync
from x402.http.clients.requests import x402_requests
from x402.http.x402_http_client import x402HTTPClientSync
from x402.mechanisms.evm import EthAccountSigner
from x402.mechanisms.evm.exact import register_exact_evm_client

import payer


def main() -> None:
    call = payer.Call()
    client = x402ClientSync()
    register_exact_evm_client(client, EthAccountSigner(Account.from_key(call.key)))
    session: requests.Session = x402_requests(client)
    answer = session.request(call.method, call.url, data=call.body, timeout=60)
    sent = payer.payment_header(answer.request.headers)
    receipt = None
    if sent and answer.status_code == 200:
        receipt = x402HTTPClientSync(client).get_payment_settle_response(answer.headers.get)
    payer.report(answer.status_code, answer.headers, answer.text, sent, receipt)


main()
