"""What the programs here share: who pays, and the one JSON line they print.

URL is what is bought, COUNT how often. LND_REST and LND_MACAROON are the payer's node, or LNBITS_URL and LNBITS_KEY its wallet,
or PAY_COMMAND, a JSON list of words, which is given the invoice and prints JSON with the preimage.
"""

import json
import os
import subprocess

import httpx

URL = os.environ["URL"]
COUNT = int(os.environ["COUNT"])
HOST = os.environ.get("LND_REST", "")
MACAROON = os.environ.get("LND_MACAROON", "")


def pay(invoice: str) -> str:
    """Pays; the preimage in hexadecimal digits."""
    if "PAY_COMMAND" in os.environ:
        command = [*json.loads(os.environ["PAY_COMMAND"]), invoice]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
        return json.loads(done.stdout)["preimage"]
    if "LNBITS_URL" in os.environ:
        order, headers = {"out": True, "bolt11": invoice}, {"X-Api-Key": os.environ["LNBITS_KEY"]}
        answer = httpx.post(f"{os.environ['LNBITS_URL']}/api/v1/payments", headers=headers, json=order, timeout=60)
        return answer.raise_for_status().json()["preimage"]
    order = {"payment_request": invoice, "timeout_seconds": 30, "fee_limit_msat": "5000", "no_inflight_updates": True}
    headers = {"Grpc-Metadata-macaroon": MACAROON}
    answer = httpx.post(f"{HOST}/v2/router/send", headers=headers, json=order, timeout=60)
    return json.loads(answer.text.strip().splitlines()[-1])["result"]["payment_preimage"]


def report(answers: list[httpx.Response]) -> None:
    print(json.dumps({"statuses": [one.status_code for one in answers], "bodies": [one.text for one in answers]}))
