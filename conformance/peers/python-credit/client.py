"""A release of the PyPI package `sdk-4mica`, unmodified, whose clients are called from outside.

Input: PORT. Each POST to / is one call as JSON, answered with JSON: `{"said": …}`, or `{"raised": type, "text": …,
"status": …}` with what the SDK raised.

    {"open": "payer", "set": {"rpc_url": "http://…", "wallet_private_key": "0x…", "enable_auth": null}}
    {"client": "payer", "do": "user.deposit", "with": [1000, "0x…"], "named": {}}
    {"client": "payer", "pay": {…}, "at": "http://facilitator/"}

`set` holds methods of ConfigBuilder. Among the values, {"$claims": {…}} is what a payer signs (with `validation` one of
version 2, its two hashes made by the SDK), {"$certificate": {…}} a certificate, {"$scheme": "eip712"} how it is signed.
`pay` holds what X402Flow pays: an offer of version 1, which is settled `at` a facilitator if one is named, or all of a 402
answer of version 2, whose first offer is paid.
"""

import asyncio
import dataclasses
import enum
import json
import os
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.metadata import version

from fourmica_sdk import client as sdk
from fourmica_sdk import config, models, x402

clients: dict = {}
loop = asyncio.new_event_loop()


def claims(fields: dict):
    validation = fields.pop("validation", None)
    plain = models.PaymentGuaranteeRequestClaims.new(**fields)
    if validation is None:
        return plain
    from fourmica_sdk import validation as binding  # 0.4.3 has none

    given = {"validation_subject_hash": binding.compute_validation_subject_hash(plain), **validation}
    policy = models.PaymentGuaranteeValidationPolicyV2(**{"validation_request_hash": "0x" + "00" * 32, **given})
    given = {"validation_request_hash": binding.compute_validation_request_hash(policy), **given}
    return models.PaymentGuaranteeRequestClaimsV2.new(**fields, **given)


READ = {
    "$claims": claims,
    "$certificate": lambda fields: models.BLSCert(**fields),
    "$scheme": models.SigningScheme,
}


def read(value):
    if isinstance(value, dict) and len(value) == 1 and next(iter(value)) in READ:
        tag, inner = next(iter(value.items()))
        return READ[tag](inner)
    return value


def shown(value):
    """As JSON has it: bytes are 0x and digits, numbers are numbers however long."""
    if dataclasses.is_dataclass(value):
        return {field.name: shown(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, (bytes, bytearray)):
        return "0x" + bytes(value).hex()
    if hasattr(value, "items"):
        return {str(key): shown(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [shown(inner) for inner in value]
    return value if value is None or isinstance(value, (bool, int, float, str)) else str(value)


async def opened(name: str, settings: dict) -> dict:
    builder = config.ConfigBuilder()
    for setting, value in settings.items():
        getattr(builder, setting)(*([] if value is None else [value]))
    client = clients[name] = await sdk.Client.new(builder.build())
    domains = getattr(client, "guarantee_domains", {1: client.guarantee_domain})
    return {
        "release": version("sdk-4mica"), "address": client.gateway.account.address, "params": vars(client.params),
        "domains": domains, "domain": client.guarantee_domain,
    }


async def called(client, path: str, values: list, named: dict):
    target = client
    for name in path.split("."):
        target = getattr(target, name)
    said = target(*map(read, values), **named)
    return await said if hasattr(said, "__await__") else said


async def paid(client, offer: dict, at: str | None):
    flow, address = x402.X402Flow.from_client(client), client.gateway.account.address
    if "accepts" in offer:
        required = x402.X402PaymentRequired.from_raw(offer)
        return {"header": (await flow.sign_payment_v2(required, required.accepts[0], address)).header}
    requirements = x402.PaymentRequirements.from_raw(offer)
    payment = await flow.sign_payment(requirements, address)
    if at is None:
        return {"header": payment.header}
    settled = (await flow.settle_payment(payment, requirements, at)).settlement
    # 0.4.3 has no receipt around it
    return {"header": payment.header, "settlement": getattr(settled, "raw", settled)}


async def answer(call: dict):
    try:
        if "open" in call:
            return {"said": shown(await opened(call["open"], call["set"]))}
        client = clients[call["client"]]
        if "pay" in call:
            return {"said": shown(await paid(client, call["pay"], call.get("at")))}
        said = await called(client, call["do"], call.get("with", []), call.get("named", {}))
        return {"said": None if said is client.rpc else shown(said)}
    except Exception as error:  # pylint: disable=broad-exception-caught
        return {"raised": type(error).__name__, "text": str(error), "status": getattr(error, "status_code", None)}


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.write({"release": version("sdk-4mica")})

    def do_POST(self) -> None:
        call = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.write(asyncio.run_coroutine_threadsafe(answer(call), loop).result())

    def write(self, value) -> None:
        body = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_) -> None:
        pass


class Server(ThreadingHTTPServer):
    request_queue_size = 128  # rows call it many times at once


threading.Thread(target=loop.run_forever, daemon=True).start()
Server(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
