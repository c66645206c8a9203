"""Sells with a release of the PyPI package `x402-mock`, its own server with its default settings.

Input: product.py's; PORT.
Routes: GET /joke at the price; free of charge GET /health, GET /runs (how often the paid handler ran) and GET /settled, what the
package's own events said of settlements so far: [{"tx_hash"} or {"error"}].
"""

import os
from collections import Counter

import product
import uvicorn
from x402_mock.engine import SettleFailedEvent, SettleSuccessEvent
from x402_mock.servers import Http402Server, create_private_key

app = Http402Server(token_key=create_private_key(), adapter_hub=product.hub())
product.add_payment_methods(app)
runs: Counter[str] = Counter()
settled: list[dict] = []


@app.get("/joke")
@app.payment_required
async def joke(payload):
    runs["joke"] += 1
    return {"joke": "A fare walks into a gate."}


@app.hook(SettleSuccessEvent)
async def success(event, deps):
    settled.append({"tx_hash": event.settlement_result.tx_hash})


@app.hook(SettleFailedEvent)
async def failed(event, deps):
    settled.append({"error": event.error_message})


@app.get("/settled")
async def settlements():
    return settled


@app.get("/runs")
async def count():
    return dict(runs)


@app.get("/health")
async def health():
    return {"release": product.RELEASE}


uvicorn.run(app, host="127.0.0.1", port=int(os.environ["PORT"]), log_level="warning")
