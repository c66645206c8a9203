"""Bad input to the permit rail of our gate, on raw sockets: every answer comes within a second, none is a server error, and no
money moves. The product's own servers hang on some of it, and answer 500 to the rest."""

from __future__ import annotations

import base64
import json
import time
from typing import Any

from .. import permit, raw, stacks, wire
from ..forging import Report, mutants, replaced
from ..outcome import equal, require
from ..permit import Till
from ..table import row

_SECONDS = 1.0
_JSON = {"content-type": "application/json", "connection": "close"}
# Members that nothing hangs on: the request is as good without them, or with another value.
_NOTES = ("permit.created_at", "permit.signature.created_at", "permit.signature.signature_type")


def _base64url(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).decode().rstrip("=")


def _authorizations(good: str) -> dict[str, list[bytes | str]]:
    """Values of Authorization, one line or several, that open nothing."""
    payload, mac = good.removeprefix("Bearer ").split(".")
    claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))

    def forged(value: Any) -> str:
        return f"Bearer {_base64url(json.dumps(value, separators=(',', ':'), sort_keys=True).encode())}.{mac}"

    return {
        "abc.x": ["Bearer abc.x"],
        "no token": ["Bearer"],
        "no token, a space": ["Bearer "],
        "no dot": ["Bearer abc"],
        "two dots": ["Bearer a.b.c"],
        "dots only": ["Bearer ."],
        "many dots": ["Bearer " + "." * 4_000],
        "three words": ["Bearer a b"],
        "Basic": ["Basic YTpi"],
        "empty": [""],
        "bytes over 127": [b"Bearer \xff\xfe.\xfd"],
        "UTF-8": ["Bearer ä.ö".encode()],
        "tab": ["Bearer\ta.b\tc"],
        "padded": [f"Bearer {payload}.{mac}="],
        "last bits of the MAC": [f"Bearer {payload}.{mac[:-1]}{'B' if mac[-1] != 'B' else 'C'}"],
        "payload of nothing": [f"Bearer .{mac}"],
        "payload not JSON": [f"Bearer {_base64url(b'hello')}.{mac}"],
        "payload not UTF-8": [f"Bearer {_base64url(bytes([255, 254]))}.{mac}"],
        "payload a list": [forged([])],
        "payload deep": [f"Bearer {_base64url(b'[' * 3_000)}.{mac}"],
        "no exp": [forged({name: value for name, value in claims.items() if name != "exp"})],
        "exp a text": [forged({**claims, "exp": "x"})],
        "later exp": [forged({**claims, "exp": claims["exp"] + 10_000})],
        "huge exp": [forged({**claims, "exp": 10**400})],
        "many bad lines": ["Bearer abc.x"] * 60,
    }


def _lines(path: str, values: list[bytes | str]) -> bytes:
    """A request with as many Authorization lines."""
    lines = [f"GET {path} HTTP/1.1".encode(), b"host: 127.0.0.1", b"connection: close"]
    lines += [b"authorization: " + (value if isinstance(value, bytes) else value.encode()) for value in values]
    return b"\r\n".join(lines) + b"\r\n\r\n"


def _headers() -> str:
    dev = stacks.dev_sepolia()
    bought = permit.buy("0.3.0", f"{dev.gate}/joke", dev.payer.key, dev.chain)
    bought.all_sold()
    good, url, report = bought.tokens[0], f"{dev.gate}/joke", Report(_SECONDS)
    for name, values in _authorizations(good).items():
        seen = raw.exchange(url, [_lines("/joke", values)])
        allowed: set[int | None] = {400, 402} if name in ("bytes over 127", "UTF-8") else {402}
        report.add(name, seen.status, allowed, seen.seconds)
        if seen.status == 402 and b"access_token_endpoint" not in seen.answer:
            report.wrong.append(f"{name}: the 402 does not say where tokens are had")
    for size in (9_000, 33_000, 300_000):
        seen = raw.exchange(url, [_lines("/joke", ["Bearer " + "A" * size + ".x"])])
        report.add(f"{size} bytes", seen.status, {400, 402, 431}, seen.seconds)
    # httpx sends both lines when its caller gave a header of its own.
    for name, values in {"a bad line first": ["Bearer abc.x", good], "a bad line last": [good, "Basic YTpi"]}.items():
        seen = raw.exchange(url, [_lines("/joke", values)])
        report.add(name, seen.status, {200}, seen.seconds)
    return report.close()


def _posts() -> str:
    dev = stacks.dev_sepolia()
    request = permit.signed("0.3.0", f"{dev.gate}/joke", dev.payer.key, dev.chain)[0]
    till, report = Till.open(dev.chain, dev.payer, dev.payee.address), Report(_SECONDS)
    for url in (f"{dev.gate}/token", f"{dev.gate}{permit.endpoint(dev.gate)}"):
        _bodies(url, request, report)
    for method in ("GET", "HEAD", "PUT", "PATCH", "DELETE"):
        start = time.monotonic()
        answer = wire.request(f"{dev.gate}/token", method)
        report.add(f"{method} /token", answer.status, {405}, time.monotonic() - start)
    equal(wire.request(f"{dev.gate}/token").json(), {"detail": "Method Not Allowed"}, "body of GET /token")
    till.wait(0, 0)
    for name, make in mutants(json.loads(request)):
        start = time.monotonic()
        answer = wire.post_json(f"{dev.gate}/token", make())
        served: set[int | None] = {200} if name.startswith(_NOTES) else set()
        report.add(name, answer.status, {400} | served, time.monotonic() - start)
        if answer.status == 400 and not isinstance(answer.json().get("error"), str):
            report.wrong.append(f"{name}: {answer.body[:160]!r} has no error")
    require(len(till.came()) <= 1, "one permit pays at most once", till.came())
    return report.close()


def _bodies(url: str, request: str, report: Report) -> None:
    """What is no token request, and one that is for something else: 400 with an error, in JSON."""
    good, text = json.loads(request), request.encode()
    bodies: dict[str, bytes] = {
        "empty": b"",
        "half": text[: len(text) // 2],
        "not UTF-8": b"\xff\xfe",
        "null": b"null",
        "list": b"[]",
        "deep": b"[" * 10_000,
        "no permit": b'{"version":"Version 0.1"}',
        "another version": json.dumps({**good, "version": "Version 0.2"}).encode(),
        "another chain": json.dumps(replaced(good, ("permit", "chain_id"), 1)).encode(),
        "another token": json.dumps(replaced(good, ("permit", "token"), "0x" + "11" * 20)).encode(),
        "another payee": json.dumps(replaced(good, ("permit", "recipient"), "0x" + "11" * 20)).encode(),
        "endless number": text.replace(b'"value":', b'"value":' + b"9" * 9_000, 1),
        "17 kB": text[:-1] + b',"x":"' + b"a" * 17_000 + b'"}',
        "300 kB": text[:-1] + b',"x":"' + b"a" * 300_000 + b'"}',
    }
    place = url.rsplit("/", 1)[1]
    for name, body in bodies.items():
        head = raw.head(url, "POST", {**_JSON, "content-length": str(len(body))})
        seen = raw.exchange(url, [head, body])
        report.add(f"{place}: {name}", seen.status, {400, 413} if name.endswith("kB") else {400}, seen.seconds)
        if seen.status == 400 and b'"error"' not in seen.answer:
            report.wrong.append(f"{place}: {name}: {seen.answer[-160:]!r} has no error")
    nowhere = raw.exchange(f"{url}/x", [raw.head(f"{url}/x", "POST", {**_JSON, "content-length": str(len(text))}), text])
    report.add(f"{place}: below it", nowhere.status, {400, 404}, nowhere.seconds)


row("hostile/tokens", "malformed, forged and oversized access tokens at our gate")(_headers)
row("hostile/permits", "malformed token requests, and every member of a permit forged, at our gate")(_posts)
