"""Bytes on a socket, for what a proper HTTP library refuses to send."""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Iterable
from typing import NamedTuple
from urllib.parse import urlsplit

# A hostile request must be answered, or its connection closed, within this time.
PATIENCE_SECONDS = 10.0


class Outcome(NamedTuple):
    """The status of the first answer (None: closed without one), its bytes, and how long it took."""

    status: int | None
    answer: bytes
    seconds: float


def exchange(url: str, parts: Iterable[bytes], pause: float = 0.0, patience: float = PATIENCE_SECONDS) -> Outcome:
    """Sends the parts, `pause` seconds apart, until an answer comes; reads it. Slow on purpose if `pause` is set."""
    target = urlsplit(url)
    start = time.monotonic()
    answer = b""
    with socket.create_connection((target.hostname, target.port), timeout=patience) as connection:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            for part in parts:
                if time.monotonic() - start > patience:
                    return Outcome(None, b"still reading", time.monotonic() - start)
                connection.sendall(part)
                if pause:
                    connection.settimeout(pause)
                    with contextlib.suppress(TimeoutError):
                        answer = connection.recv(65536)
                        break
        answer += _rest(connection, start + patience)
    return Outcome(_status(answer), answer, time.monotonic() - start)


def _rest(connection: socket.socket, limit: float) -> bytes:
    """What comes until the peer closes, is silent for a moment after an answer, or time is up."""
    received = b""
    with contextlib.suppress(ConnectionResetError):
        while (left := limit - time.monotonic()) > 0:
            connection.settimeout(min(left, 0.3) if received else left)
            try:
                chunk = connection.recv(65536)
            except TimeoutError:
                break
            if not chunk:
                break
            received += chunk
    return received


def _status(answer: bytes) -> int | None:
    line = answer.split(b"\r\n", 1)[0].split(b" ")
    return int(line[1]) if len(line) > 1 and line[0].startswith(b"HTTP/1") and line[1].isdigit() else None


def head(url: str, method: str, headers: dict[str, bytes | str], version: str = "HTTP/1.1") -> bytes:
    """A request head; header values may be any bytes."""
    target = urlsplit(url)
    lines = [f"{method} {target.path or '/'} {version}".encode(), f"host: {target.netloc}".encode()]
    for name, value in headers.items():
        lines.append(name.encode() + b": " + (value if isinstance(value, bytes) else value.encode()))
    return b"\r\n".join(lines) + b"\r\n\r\n"
