"""A seller on FastAPI with the PyPI package `l402kit`'s decorator, default settings.

Input: PORT; LND_REST and LND_MACAROON, the node that makes the invoices, or LNBITS_URL and LNBITS_KEY for the package's own
LNbitsProvider.
Routes: GET /paid for 10 sat; GET /lie, which says 1 sat and whose invoice asks for 500; GET /dev with the package's own
DevProvider; GET /health.
"""

import base64
import json
import os
import time

import httpx
import uvicorn
from fastapi import FastAPI, Request
from l402kit import l402_required
from l402kit.dev import DevProvider
from l402kit.providers.lnbits import LNbitsProvider
from l402kit.types import Invoice

HOST, MACAROON = os.environ.get("LND_REST"), os.environ.get("LND_MACAROON")


class Node:
    """A provider as the package's documents describe one: it makes invoice and token."""

    def __init__(self, sats: int | None = None) -> None:
        self._sats = sats

    async def create_invoice(self, amount_sats: int) -> Invoice:
        order = {"value": str(self._sats or amount_sats), "memo": "conformance"}
        async with httpx.AsyncClient() as client:
            answer = await client.post(f"{HOST}/v1/invoices", json=order, headers={"Grpc-Metadata-macaroon": MACAROON})
        made = answer.raise_for_status().json()
        payment_hash = base64.b64decode(made["r_hash"]).hex()
        expires_at = int(time.time() * 1000) + 3_600_000
        token = base64.b64encode(json.dumps({"hash": payment_hash, "exp": expires_at}).encode()).decode()
        return Invoice(made["payment_request"], payment_hash, token, amount_sats, expires_at)

    async def check_payment(self, payment_hash: str) -> bool:
        raise NotImplementedError


if "LNBITS_URL" in os.environ:
    provider = LNbitsProvider(os.environ["LNBITS_KEY"], os.environ["LNBITS_URL"])
else:
    provider = Node()
app = FastAPI()


@app.get("/paid")
@l402_required(price_sats=10, lightning=provider)
async def paid(request: Request) -> dict:
    return {"paid": True}


@app.get("/lie")
@l402_required(price_sats=1, lightning=Node(sats=500))
async def lie(request: Request) -> dict:
    return {"paid": True}


@app.get("/dev")
@l402_required(price_sats=1, lightning=DevProvider())
async def dev(request: Request) -> dict:
    return {"paid": True}


@app.get("/health")
async def health() -> dict:
    return {}


uvicorn.run(app, host="127.0.0.1", port=int(os.environ["PORT"]), log_level="warning")
