"""HTTP as it is on the wire: one request, one answer, no redirects, no retries; and the x402 header codec."""

from __future__ import annotations

import base64
import http.client
import json
import ssl
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from .outcome import Fail, require

ANSWER_SECONDS = 30.0


class Answer(NamedTuple):
    """Status, headers with lower-case names, body bytes."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        """The body as JSON; fails the row if it is not."""
        try:
            return json.loads(self.body)
        except ValueError as error:
            raise Fail(f"body of a {self.status} answer is not JSON: {self.body[:300]!r}") from error


def request(
    url: str,
    method: str = "GET",
    headers: dict[str, str] | None = None,
    body: bytes | None = None,
    seconds: float = ANSWER_SECONDS,
    trusted: ssl.SSLContext | None = None,
) -> Answer:
    """Sends one request and reads the whole answer; with `trusted` over TLS."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    connection = http.client.HTTPConnection(host, parts.port, timeout=seconds)
    if trusted:
        connection = http.client.HTTPSConnection(host, parts.port, timeout=seconds, context=trusted)
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    try:
        connection.request(method, path, body=body, headers=headers or {})
        answer = connection.getresponse()
        names = {name.lower(): value for name, value in answer.getheaders()}
        return Answer(answer.status, names, answer.read())
    finally:
        connection.close()


def post_json(url: str, value: Any, seconds: float = ANSWER_SECONDS) -> Answer:
    """POSTs `value` as JSON."""
    return request(url, "POST", {"content-type": "application/json"}, json.dumps(value).encode(), seconds)


def encode_header(value: Any) -> str:
    """Padded standard base64 of compact JSON, the form of every x402 header (spec §1.1)."""
    return base64.b64encode(json.dumps(value, separators=(",", ":")).encode()).decode()


def decode_header(text: str | None, name: str) -> Any:
    """The JSON inside an x402 header; fails the row if the header is absent or not padded standard base64."""
    require(text, f"header {name} is there")
    try:
        return json.loads(base64.b64decode(text or "", validate=True))
    except ValueError as error:
        raise Fail(f"header {name} is not standard base64 of JSON: {text!r}") from error
