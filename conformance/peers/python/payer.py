"""What the two paying programs share: who pays, for what, and what they print.

Input is the environment: RESOURCE_URL, EVM_PRIVATE_KEY, METHOD (GET unless told), BODY (none unless told).
Output is one JSON line on standard output:
  {"status", "headers", "body", "sent": {"name", "value"} | null, "receipt": {...} | null}
`sent` is the payment header as it left the package, so that the harness can send it a second time.
`receipt` is what the package itself decodes from the answer.
"""

import json
import os
import sys

PAYMENT_HEADERS = ("payment-signature", "x-payment")


class Call:
    """One request to make, read from the environment."""

    def __init__(self) -> None:
        self.url = os.environ["RESOURCE_URL"]
        self.key = os.environ["EVM_PRIVATE_KEY"]
        self.method = os.environ.get("METHOD", "GET")
        body = os.environ.get("BODY")
        self.body = body.encode() if body is not None else None


def payment_header(headers) -> dict | None:
    """The payment header among `headers`, or None."""
    for name, value in headers.items():
        if name.lower() in PAYMENT_HEADERS:
            return {"name": name.lower(), "value": value}
    return None


def report(status: int, headers, body: str, sent: dict | None, receipt) -> None:
    """Prints the one line the harness reads."""
    decoded = None if receipt is None else receipt.model_dump(by_alias=True, exclude_none=True)
    line = {
        "status": status,
        "headers": {name.lower(): value for name, value in headers.items()},
        "body": body,
        "sent": sent,
        "receipt": decoded,
    }
    json.dump(line, sys.stdout)
    sys.stdout.write("\n")
