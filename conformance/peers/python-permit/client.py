"""Buys with a release of the PyPI package `x402-mock`, its own client with its default settings.

Input: product.py's; URL; COUNT requests, one after the other or, with CONCURRENT, all at once. With KEEP permits are signed and
noted, and nothing is posted.
Output is one JSON line, {"answers": [{"status", "headers", "body"} or {"error"}], "sent": [{"method", "path", "authorization",
"body"}]}: what came back for each request, and everything that left the client, in its order.
"""

import asyncio
import json
import os

import product
from x402_mock.clients import Http402Client

URL, COUNT = os.environ["URL"], int(os.environ.get("COUNT", "1"))
sent: list[dict] = []


async def note(request) -> None:
    target, authorization = request.url.raw_path.decode(), request.headers.get("authorization")
    sent.append({"method": request.method, "path": target, "authorization": authorization, "body": request.content.decode()})
    if "KEEP" in os.environ and request.method == "POST":
        raise RuntimeError("kept")


async def one(client: Http402Client) -> dict:
    try:
        answer = await client.get(URL)
    except Exception as error:  # pylint: disable=broad-exception-caught
        return {"error": f"{type(error).__name__}: {error}"}
    return {"status": answer.status_code, "headers": dict(answer.headers), "body": answer.text}


async def main() -> None:
    hub = product.hub()
    async with Http402Client(adapter_hub=hub, event_hooks={"request": [note]}) as client:
        product.add_payment_methods(client)
        if product.RELEASE == "0.2.0":
            await hub.initialize(client_role=True)
        if "CONCURRENT" in os.environ:
            answers = await asyncio.gather(*(one(client) for _ in range(COUNT)))
        else:
            answers = [await one(client) for _ in range(COUNT)]
    print(json.dumps({"answers": answers, "sent": sent}))


asyncio.run(main())
