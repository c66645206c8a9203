"""A seller that answers what a test tells it, lies included, and remembers who asked and who tried to pay."""

from __future__ import annotations

import atexit
import contextlib
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple

PAYMENT_HEADERS = ("payment-signature", "x-payment")


class Reply(NamedTuple):
    """One answer. `hang` is how long to say nothing first; `drop` closes the connection instead of answering."""

    status: int
    headers: dict[str, str] = {}
    body: bytes = b"{}"
    hang: float = 0.0
    drop: bool = False


class Seen(NamedTuple):
    """One request that came: its path, its payment header, if any, and its body."""

    path: str
    payment: str | None
    body: bytes


class Seller:
    """The running server: its address and what it has seen."""

    def __init__(self, url: str, seen: list[Seen], closing: threading.Event) -> None:
        self.url = url
        self.seen = seen
        self.closing = closing

    def payments(self) -> list[str]:
        """The payment headers that came, in order."""
        return [request.payment for request in self.seen if request.payment]


@contextlib.contextmanager
def seller(answer: Callable[[Seen], Reply]) -> Iterator[Seller]:
    """Serves `answer` on a free port of 127.0.0.1 while the block runs."""
    closing = threading.Event()
    seen: list[Seen] = []

    class Handler(BaseHTTPRequestHandler):
        """One request, one reply, connection closed."""

        def handle_any(self) -> None:
            payment = next((self.headers[name] for name in PAYMENT_HEADERS if name in self.headers), None)
            request = Seen(self.path, payment, self.rfile.read(int(self.headers.get("content-length") or 0)))
            seen.append(request)
            reply = answer(request)
            closing.wait(reply.hang)
            if reply.drop:
                self.close_connection = True
                return
            with contextlib.suppress(OSError):
                self.send_response(reply.status)
                for name, value in {"content-length": str(len(reply.body)), **reply.headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(reply.body)

        do_GET = do_POST = handle_any  # noqa: N815  (names the standard library asks for)

        def log_message(self, *_: object) -> None:
            """Silent."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield Seller(f"http://127.0.0.1:{server.server_port}", seen, closing)
    finally:
        closing.set()
        server.shutdown()
        server.server_close()


def lasting_seller(answer: Callable[[Seen], Reply]) -> Seller:
    """The same until the harness ends, for what several rows sell. It is closed while its thread still runs."""
    serving = seller(answer)
    atexit.register(serving.__exit__, None, None, None)
    return serving.__enter__()
