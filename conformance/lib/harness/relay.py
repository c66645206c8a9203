"""A wire between two Lightning nodes that can be cut at the worst moment: when a payment is about to go over it."""

from __future__ import annotations

import contextlib
import socket
import threading

# No other message between nodes that have a channel is as large: it carries the onion, 1,366 bytes (BOLT 2 and 4).
_PAYMENT_BYTES = 1_400


class Relay:
    """Passes on what comes, both ways, until it is told to hold a payment back."""

    def __init__(self, port: int) -> None:
        self.held = threading.Event()
        self._holds = threading.Event()
        self._target = port
        self._open: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def hold_next_payment(self) -> None:
        """From the next payment on nothing passes, and `held` is set."""
        self.held.clear()
        self._holds.set()

    def mend(self) -> None:
        """Everything passes again, over new connections: what was held back is lost with the old ones."""
        self._holds.clear()
        self.held.clear()
        for connection in self._open:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        self._open.clear()

    def _accept(self) -> None:
        while True:
            caller, _ = self._listener.accept()
            try:
                callee = socket.create_connection(("127.0.0.1", self._target))
            except OSError:
                caller.close()
                continue
            self._open += [caller, callee]
            threading.Thread(target=self._pass_on, args=(caller, callee, True), daemon=True).start()
            threading.Thread(target=self._pass_on, args=(callee, caller, False), daemon=True).start()

    def _pass_on(self, source: socket.socket, sink: socket.socket, outward: bool) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65_536):
                if outward and len(data) >= _PAYMENT_BYTES and self._holds.is_set():
                    self.held.set()
                if self.held.is_set():
                    continue
                sink.sendall(data)
        for end in (source, sink):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
