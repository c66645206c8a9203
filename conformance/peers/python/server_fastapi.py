"""A seller on FastAPI with the PyPI package `x402`'s middleware, default settings.

Input: PORT, PAY_TO, FACILITATOR_URL, NETWORK (CAIP-2).
Routes: GET /joke and POST /echo at $0.001, GET /broken at $0.001 (its handler always answers 500, so nothing may
be settled), and free of charge GET /free, GET /health and GET /runs (how often each paid handler ran).
"""

import os
from collections import Counter

import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from x402 import x402ResourceServer
from x402.http import HTTPFacilitatorClient
from x402.http.facilitator_client_base import FacilitatorConfig
from x402.http.middleware.fastapi import payment_middleware
from x402.http.types import PaymentOption, RouteConfig
from x402.mechanisms.evm.exact import register_exact_evm_server

NETWORK = os.environ["NETWORK"]
PAID = ("GET /joke", "POST /echo", "GET /broken")

server = x402ResourceServer(HTTPFacilitatorClient(FacilitatorConfig(url=os.environ["FACILITATOR_URL"])))
register_exact_evm_server(server, NETWORK)
price = PaymentOption(scheme="exact", pay_to=os.environ["PAY_TO"], price="$0.001", network=NETWORK)
gate = payment_middleware(
    {route: RouteConfig(accepts=price, description=f"{route}, sold", mime_type="application/json") for route in PAID},
    server,
)

app = FastAPI()
runs: Counter[str] = Counter()


@app.middleware("http")
async def paywall(request: Request, call_next):
    return await gate(request, call_next)


@app.get("/joke")
async def joke():
    runs["joke"] += 1
    return {"joke": "A fare walks into a gate."}


@app.post("/echo")
async def echo(request: Request):
    runs["echo"] += 1
    return {"echo": (await request.body()).decode()}


@app.get("/broken")
async def broken():
    runs["broken"] += 1
    return JSONResponse({"error": "broken on purpose"}, status_code=500)


@app.get("/free")
async def free():
    return {"free": True}


@app.get("/runs")
async def count():
    return dict(runs)


@app.get("/health")
async def health():
    return {"ok": True}


uvicorn.run(app, host="127.0.0.1", port=int(os.environ["PORT"]), log_level="warning")
