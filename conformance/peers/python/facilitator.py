"""A facilitator made of the PyPI package `x402`, both protocol versions.

Input: PORT, NETWORK (CAIP-2), EVM_RPC_URL, EVM_PRIVATE_KEY (pays the gas).
"""

import os

import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from x402 import x402Facilitator
from x402.mechanisms.evm import FacilitatorWeb3Signer
from x402.mechanisms.evm.exact import register_exact_evm_facilitator
from x402.schemas.helpers import parse_payment_payload, parse_payment_requirements

facilitator = x402Facilitator()
register_exact_evm_facilitator(
    facilitator,
    FacilitatorWeb3Signer(private_key=os.environ["EVM_PRIVATE_KEY"], rpc_url=os.environ["EVM_RPC_URL"]),
    networks=os.environ["NETWORK"],
)
app = FastAPI()


async def parts(request: Request):
    """The two halves of a verify or settle body."""
    body = await request.json()
    version = body.get("x402Version") or body["paymentPayload"]["x402Version"]
    payload = parse_payment_payload(body["paymentPayload"])
    return payload, parse_payment_requirements(version, body["paymentRequirements"])


def plain(model) -> JSONResponse:
    return JSONResponse(model.model_dump(by_alias=True, exclude_none=True, mode="json"))


@app.post("/verify")
async def verify(request: Request):
    return plain(await facilitator.verify(*await parts(request)))


@app.post("/settle")
async def settle(request: Request):
    return plain(await facilitator.settle(*await parts(request)))


@app.get("/supported")
async def supported():
    return plain(facilitator.get_supported())


@app.get("/health")
async def health():
    return {"ok": True}


uvicorn.run(app, host="127.0.0.1", port=int(os.environ["PORT"]), log_level="warning")
