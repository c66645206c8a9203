"""A seller on FastAPI with the PyPI package `l402kit` in its managed mode: no wallet, only a Lightning address.

Input: PORT; OWNER, the Lightning address; SHINYDAPPS_API_URL, the package's own variable: the server that makes the invoices;
API_URL, what is listed in that server's directory.
Routes: GET /data for 100 sat; GET /health.
"""

import os

import uvicorn
from fastapi import FastAPI, Request
from l402kit import ManagedProvider, l402_required

provider = ManagedProvider.from_address(
    os.environ["OWNER"],
    register_directory={"url": os.environ["API_URL"], "name": "Conformance", "price_sats": 100, "category": "data"},
)
app = FastAPI()


@app.get("/data")
@l402_required(price_sats=100, lightning=provider)
async def data(request: Request) -> dict:
    return {"data": "joke"}


@app.get("/health")
async def health() -> dict:
    return {"ok": True}


uvicorn.run(app, host="127.0.0.1", port=int(os.environ["PORT"]), log_level="warning")
