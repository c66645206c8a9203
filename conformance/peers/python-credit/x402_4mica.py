"""The PyPI package `4mica-x402`, unmodified: its seller on FastAPI, its payer and its facilitator client.

Input: PORT, PAY_TO, FACILITATOR_URL, NETWORK (CAIP-2), EXTRA (JSON, the condition of guarantees of version 2), and what the
package's payer reads itself: 4MICA_RPC_URL. GET /joke costs 1000 atomic units of USDC. Each POST to /call is one call as JSON,
answered with JSON: `{"said": …}`, or `{"raised": type, "text": …, "status": …}` with what the package raised.

    {"buy": "http://…", "key": "0x…"}
    {"tab": {…}, "user": "0x…", "ttl": 3600}
    {"verify": {…}, "key": "0x…"}, {"settle": {…}, "key": "0x…"}

`buy` is x402's client on requests with the package's scheme. The others are calls of its facilitator client about an offer of
either protocol version, synchronous and not, whose payment its scheme signs with that key.
"""

import asyncio
import json
import os

import uvicorn
from fastapi import FastAPI, Request
from fourmica_x402 import FourMicaFacilitatorClient, FourMicaFacilitatorClientSync
from fourmica_x402.client_scheme import FourMicaEvmScheme
from fourmica_x402.http import fastapi_payment_middleware_from_config
from starlette.concurrency import run_in_threadpool
from x402 import x402ClientSync
from x402.http.clients import x402_requests
from x402.http.x402_http_client import x402HTTPClientSync
from x402.schemas import PaymentPayload, PaymentRequirements
from x402.schemas.v1 import PaymentPayloadV1, PaymentRequirementsV1

PORT, NETWORK = int(os.environ["PORT"]), os.environ["NETWORK"]
CONFIG = {"url": os.environ["FACILITATOR_URL"]}
SOLD = {"scheme": "4mica-credit", "price": "$0.001", "network": NETWORK, "payTo": os.environ["PAY_TO"]}
SOLD["extra"] = json.loads(os.environ["EXTRA"])
schemes: dict = {}

app = FastAPI()
gate = fastapi_payment_middleware_from_config(
    {"GET /joke": {"accepts": SOLD, "description": "a joke", "mimeType": "application/json"}},
    tab_endpoint=f"http://127.0.0.1:{PORT}/tab",
    facilitator_client=FourMicaFacilitatorClient(CONFIG),
)


@app.middleware("http")
async def paywall(request: Request, call_next):
    return await gate(request, call_next)


@app.get("/joke")
async def joke():
    return {"joke": "A fare walks into a gate, on credit."}


@app.get("/health")
async def health():
    return {"ok": True}


def scheme(key: str) -> FourMicaEvmScheme:
    return schemes.setdefault(key, FourMicaEvmScheme(key))


def bought(url: str, key: str) -> dict:
    client = x402ClientSync()
    client.register(NETWORK, scheme(key))
    answer = x402_requests(client).get(url, timeout=60)
    receipt = None
    if answer.status_code == 200:
        receipt = x402HTTPClientSync(client).get_payment_settle_response(answer.headers.get)
    sent = answer.request.headers.get("payment-signature")
    return {"status": answer.status_code, "body": answer.text, "sent": sent, "receipt": plain(receipt)}


def plain(model):
    return model if model is None else model.model_dump(by_alias=True, exclude_none=True)


def paid(offer: dict, key: str) -> tuple:
    if "maxAmountRequired" in offer:
        wanted = PaymentRequirementsV1.model_validate(offer)
        signed = scheme(key).create_payment_payload(wanted)
        return PaymentPayloadV1(scheme=wanted.scheme, network=wanted.network, payload=signed), wanted
    wanted = PaymentRequirements.model_validate(offer)
    return PaymentPayload(accepted=wanted, payload=scheme(key).create_payment_payload(wanted)), wanted


def called(call: dict):
    if "buy" in call:
        return bought(call["buy"], call["key"])
    if "tab" in call:
        asked = (call["user"], call["tab"], call.get("ttl"), call.get("version"))
        slow = asyncio.run(FourMicaFacilitatorClient(CONFIG).open_tab(*asked))
        fast = FourMicaFacilitatorClientSync(CONFIG).open_tab(*asked)
        return [vars(slow), vars(fast)]
    if "supported" in call:
        return plain(FourMicaFacilitatorClientSync(CONFIG).get_supported())
    name = next(name for name in ("verify", "settle") if name in call)
    payment, wanted = paid(call[name], call["key"])
    fast = getattr(FourMicaFacilitatorClientSync(CONFIG), name)(payment, wanted)
    slow = asyncio.run(getattr(FourMicaFacilitatorClient(CONFIG), name)(payment, wanted))
    return [plain(fast), plain(slow)]


@app.post("/call")
async def call(request: Request):
    try:
        return {"said": await run_in_threadpool(called, await request.json())}
    except Exception as error:  # pylint: disable=broad-exception-caught
        status = getattr(error, "status", None)
        return {"raised": type(error).__name__, "text": str(error), "status": status}


uvicorn.run(app, host="127.0.0.1", port=PORT, log_level="warning")
