"""Bad input, on raw sockets, against our gate and our facilitator.

Every answer has a documented status, none is a server error, none takes over ten seconds, and no money moves.
"""

from __future__ import annotations

import base64
import json
from typing import Any

from .. import checks, peers, raw, stacks, wire
from ..forging import Report, mutants, replaced
from ..outcome import equal, require
from ..table import row

# Other ways to write /joke; none may lead to it free of charge.
_DETOURS = (
    *("//joke", "/joke/", "/JOKE", "/%6aoke", "/joke%2F", "/./joke", "/free/../joke", "/joke;a=b", "/joke?", "/%2e/joke"),
    *("/joke%00", "/joke#x", "\\joke", "http://127.0.0.1/joke"),
)


def _good_payment() -> tuple[str, dict[str, Any], dict[str, Any]]:
    """A fresh payment for GET /joke: header, payload, requirements."""
    dev = stacks.dev()
    offer = checks.unpaid_both(f"{dev.gate}/joke", dev.payee.address).headers["payment-required"]
    header = peers.sign(offer, dev.payer.key)[0]
    payload = json.loads(base64.b64decode(header))
    return header, payload, wire.decode_header(offer, "PAYMENT-REQUIRED")["accepts"][0]


def _headers() -> str:
    """Malformed payment headers at the gate: 402 with a fresh offer (spec §1.1 step 2), or refused for their size."""
    dev = stacks.dev()
    url = f"{dev.gate}/joke"
    good, payload, _ = _good_payment()
    before = checks.books(dev.chain, dev.payer.address, dev.payee.address)
    encode = wire.encode_header
    values: dict[str, bytes | str] = {
        "empty": "",
        "not base64": "!!!!",
        "truncated base64": good[: len(good) // 2 + 1],
        "one byte less": good[:-5],
        "url-safe alphabet": base64.urlsafe_b64encode(b"\xff\xfe" * 30).decode(),
        "not UTF-8 inside": base64.b64encode(b"\xff\xfe{").decode(),
        "bytes over 127": b"\xff\xfe\xfd",
        "not JSON inside": base64.b64encode(b"hello").decode(),
        "a list": encode([]),
        "a number": encode(7),
        "deep nesting": base64.b64encode(b"[" * 6000).decode(),
        "two documents": base64.b64encode(base64.b64decode(good) * 2).decode(),
        "version 0": encode({**payload, "x402Version": 0}),
        "version 3": encode({**payload, "x402Version": 3}),
        "version as text": encode({**payload, "x402Version": "2"}),
        "unknown network": encode(replaced(payload, ("accepted", "network"), "eip155:999999")),
        "network of v1": encode(replaced(payload, ("accepted", "network"), "base-sepolia")),
        "unknown scheme": encode(replaced(payload, ("accepted", "scheme"), "gift")),
        "cheaper": encode(replaced(payload, ("accepted", "amount"), "1")),
        "other payee": encode(replaced(payload, ("accepted", "payTo"), dev.payer.address)),
        "other signer": encode(replaced(payload, ("payload", "authorization", "from"), dev.payee.address)),
        "no signature": encode(replaced(payload, ("payload", "signature"), "0x")),
        "zero signature": encode(replaced(payload, ("payload", "signature"), "0x" + "00" * 65)),
        "expired": encode(replaced(payload, ("payload", "authorization", "validBefore"), "1")),
    }
    report = Report()
    for name in ("payment-signature", "x-payment"):
        for kind, value in values.items():
            seen = raw.exchange(url, [raw.head(url, "GET", {name: value, "connection": "close"})])
            allowed: set[int | None] = {402, 400} if kind in ("empty", "bytes over 127") else {402}
            report.add(f"{name}: {kind}", seen.status, allowed, seen.seconds)
            if seen.status == 402 and b"payment-required" not in seen.answer.lower():
                report.wrong.append(f"{name}: {kind}: the 402 has no PAYMENT-REQUIRED")
        for size in (9_000, 33_000, 64 * 1024, 300_000):
            seen = raw.exchange(url, [raw.head(url, "GET", {name: "A" * size, "connection": "close"})])
            report.add(f"{name}: {size} bytes", seen.status, {402, 400, 413, 431}, seen.seconds)
    equal(checks.books(dev.chain, dev.payer.address, dev.payee.address), before, "books after malformed headers")
    return report.close()


def _gate_mutants() -> str:
    """Every member of a good payment forged, one at a time. What is left valid may buy; it buys once."""
    dev = stacks.dev()
    url = f"{dev.gate}/joke"
    _, payload, _ = _good_payment()
    before = checks.books(dev.chain, dev.payer.address, dev.payee.address)
    report = Report()
    for name, make in mutants(payload):
        answer = wire.request(url, headers={"payment-signature": wire.encode_header(make())}, seconds=raw.PATIENCE_SECONDS)
        served = {200} if name.startswith(("resource", "extensions")) else set()
        report.add(name, answer.status, {400, 402, 409, 431} | served, 0)
    after = checks.books(dev.chain, dev.payer.address, dev.payee.address)
    require(after in (before, before.paid_once()), "one credential pays at most once", [before, after])
    return report.close()


def _protocol(url: str, report: Report, label: str) -> None:
    """HTTP itself, badly spoken. Closing the connection without an answer is fine; hanging is not."""
    close = {"connection": "close"}
    bad: dict[str, list[bytes]] = {
        "no HTTP": [b"hello\r\n\r\n"],
        "binary": [bytes(range(256)) * 8],
        "TLS greeting": [b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\0" * 200],
        "two lengths": [raw.head(url, "POST", {"content-length": "5", "Content-Length": "6", **close}), b"aaaaaa"],
        "negative length": [raw.head(url, "POST", {"content-length": "-1", **close})],
        "huge length": [raw.head(url, "POST", {"content-length": "9" * 30, **close})],
        "bad chunk": [raw.head(url, "POST", {"transfer-encoding": "chunked", **close}), b"zz\r\nab\r\n0\r\n\r\n"],
        "thousand headers": [raw.head(url, "GET", {**{f"x-{n}": "1" for n in range(1000)}, **close})],
        "long target": [raw.head(f"{url}/" + "a" * 100_000, "GET", close)],
        "no host": [b"GET / HTTP/1.1\r\nconnection: close\r\n\r\n"],
        "space in a name": [raw.head(url, "GET", {"x y": "1", **close})],
        "unknown method": [raw.head(url, "FARE", close)],
        "half a head": [b"GET / HTT"],
    }
    fine: set[int | None] = {None, *range(200, 500)}
    for name, parts in bad.items():
        patience = 1.0 if name == "half a head" else raw.PATIENCE_SECONDS
        seen = raw.exchange(url, parts, patience=patience)
        report.add(f"{label}: {name}", seen.status, fine, seen.seconds)
    # A client that sends one byte per half second is cut off.
    drip = [raw.head(url, "POST", {"content-type": "application/json", "content-length": "4000"})] + [b"{"] * 60
    seen = raw.exchange(url, drip, pause=0.5)
    if seen.answer == b"still reading":
        report.add(f"{label}: slow body", None, {408, 413, 400, 402, 404, 405}, seen.seconds)
    else:
        report.add(f"{label}: slow body", seen.status, fine, seen.seconds)


def _gate() -> str:
    """The gate's HTTP, large bodies, and paths that must not lead around the price."""
    dev = stacks.dev()
    report = Report()
    url = f"{dev.gate}/joke"
    joke = _joke_text()
    before = checks.books(dev.chain, dev.payer.address, dev.payee.address)
    _protocol(url, report, "gate")
    body = b"x" * 2_000_000
    large = raw.head(url, "POST", {"content-length": str(len(body)), "connection": "close"})
    seen = raw.exchange(url, [large, body])
    report.add("2 MB body", seen.status, {402, 404, 405, 413, None}, seen.seconds)
    for path in _DETOURS:
        target = f"GET {path} HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n\r\n".encode()
        seen = raw.exchange(url, [target])
        report.add(f"path {path}", seen.status, {None, *range(200, 500)}, seen.seconds)
        if joke in seen.answer:
            report.wrong.append(f"path {path}: served the priced answer unpaid")
    for name, value in {"x-forwarded-uri": "/free", "x-original-url": "/free", "x-rewrite-url": "/free"}.items():
        seen = raw.exchange(url, [raw.head(url, "GET", {name: value, "connection": "close"})])
        report.add(f"header {name}", seen.status, {402}, seen.seconds)
    equal(wire.request(url).status, 402, "the gate still answers")
    equal(checks.books(dev.chain, dev.payer.address, dev.payee.address), before, "books after hostile requests")
    return report.close()


def _joke_text() -> bytes:
    """What the priced route serves, bought once, so that an unpaid answer can be searched for it."""
    dev = stacks.dev()
    header = _good_payment()[0]
    answer = wire.request(f"{dev.gate}/joke", headers={"payment-signature": header})
    equal(answer.status, 200, "status of the paid joke")
    return answer.body


def _facilitator() -> str:
    """The facilitator's HTTP and its JSON: 200 for every verdict, 400 for what is no request (spec §3.1)."""
    dev = stacks.dev()
    report = Report()
    _, payload, requirements = _good_payment()
    good = {"x402Version": 2, "paymentPayload": payload, "paymentRequirements": requirements}
    before = checks.books(dev.chain, dev.payer.address, dev.payee.address)
    for verb in ("verify", "settle"):
        url = f"{dev.facilitator}/{verb}"
        _bodies(url, good, report)
        _protocol(url, report, verb)
    equal(wire.request(f"{dev.facilitator}/nowhere").status, 404, "status of an unknown path")
    equal(wire.request(f"{dev.facilitator}/verify").status, 405, "status of GET /verify")
    equal(checks.books(dev.chain, dev.payer.address, dev.payee.address), before, "books after hostile bodies")
    verdict = wire.post_json(f"{dev.facilitator}/verify", good)
    equal((verdict.status, verdict.json().get("isValid")), (200, True), "the unchanged payment still verifies")
    return report.close()


def _bodies(url: str, good: dict[str, Any], report: Report) -> None:
    verb = url.rsplit("/", 1)[1]
    text = json.dumps(good).encode()
    json_type = {"content-type": "application/json"}
    bodies: dict[str, tuple[bytes, set[int | None]]] = {
        "empty": (b"", {400, 415}),
        "half": (text[: len(text) // 2], {400}),
        "not UTF-8": (b"\xff\xfe", {400}),
        "deep": (b"[" * 100_000, {400}),
        "list": (b"[]", {400}),
        "version 3": (json.dumps({**good, "x402Version": 3}).encode(), {400}),
        "version as text": (json.dumps({**good, "x402Version": "2"}).encode(), {400}),
        "2 MB": (b'{"x":"' + b"a" * 2_000_000 + b'"}', {413}),
        "twice the same member": (text.replace(b'"amount"', b'"amount": "1", "amount"', 1), {400, 200}),
    }
    for name, (body, allowed) in bodies.items():
        answer = _patient(url, json_type, body, report, f"{verb}: {name}")
        if answer is None:
            continue
        report.add(f"{verb}: {name}", answer.status, allowed, 0)
        if answer.status == 200:
            _refused(answer, verb, name, report)
    plain = wire.request(url, "POST", {"content-type": "text/plain"}, text, raw.PATIENCE_SECONDS)
    report.add(f"{verb}: text/plain", plain.status, {400, 415}, 0)
    unknown = replaced(replaced(good, ("paymentPayload", "accepted", "network"), "eip155:999999"), ("paymentRequirements", "network"),
                    "eip155:999999")
    answer = wire.post_json(url, unknown, raw.PATIENCE_SECONDS)
    report.add(f"{verb}: unknown network", answer.status, {200}, 0)
    _refused(answer, verb, "unknown network", report)
    if verb == "verify":
        _verify_mutants(url, good, report)


def _patient(url: str, headers: dict[str, str], body: bytes, report: Report, name: str) -> wire.Answer | None:
    """Sends a body the server may refuse before it is all sent."""
    try:
        return wire.request(url, "POST", headers, body, raw.PATIENCE_SECONDS)
    except (BrokenPipeError, ConnectionResetError):
        report.add(f"{name}: closed before an answer could be read", 413, {413}, 0)
    except TimeoutError:
        report.add(name, None, {413}, raw.PATIENCE_SECONDS + 1)
    return None


def _verify_mutants(url: str, good: dict[str, Any], report: Report) -> None:
    """Every member forged: a verdict or a 400, always JSON, never a server error."""
    for name, make in mutants(good):
        answer = wire.post_json(url, make(), raw.PATIENCE_SECONDS)
        report.add(f"verify: {name}", answer.status, {200, 400}, 0)
        if "json" not in answer.headers.get("content-type", ""):
            report.wrong.append(f"verify: {name}: content type {answer.headers.get('content-type')}")
        # The facilitator trusts the requirements it is given, so only what is signed must not be forgeable.
        if name.startswith(("paymentPayload.payload", "paymentRequirements.amount", "paymentRequirements.asset")):
            _refused(answer, "verify", name, report)


def _refused(answer: wire.Answer, verb: str, name: str, report: Report) -> None:
    """A verdict must be a no, with a reason."""
    if answer.status != 200:
        return
    verdict = answer.json()
    no, reason = ("isValid", "invalidReason") if verb == "verify" else ("success", "errorReason")
    if verdict.get(no) is not False or not verdict.get(reason):
        report.wrong.append(f"{verb}: {name}: {answer.body[:160]!r} is no refusal with a reason")


row("hostile/headers", "malformed and oversized payment headers at our gate")(_headers)
row("hostile/mutants", "every member of a payment forged, at our gate")(_gate_mutants)
row("hostile/gate", "badly spoken HTTP, large bodies and detours at our gate")(_gate)
row("hostile/facilitator", "hostile bodies and badly spoken HTTP at our facilitator")(_facilitator)
