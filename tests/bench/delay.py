"""A TCP relay that makes a server look far away: what it passes on arrives half a round trip later.

It counts the bytes of both directions, and takes one round trip more before a connection's first bytes, which a
handshake would have cost. There is no limit to what is on its way, so only the distance slows anything down.
"""

import collections
import socket
import threading
import time

CHUNK = 256 * 1024


class Delay:
    """Relays 127.0.0.1:`port` to the server at `upstream` (a port); `sent` and `received` as the client sees them."""

    def __init__(self, upstream, round_trip):
        self.upstream, self.round_trip = upstream, round_trip
        self.sent = self.received = 0
        self._lock = threading.Lock()

    def __enter__(self):
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_):
        # Wakes the thread that accepts; connections end with their clients.
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def reset(self):
        with self._lock:
            self.sent = self.received = 0

    def _accept(self):
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            server = socket.create_connection(("127.0.0.1", self.upstream))
            for one, other, extra, name in ((client, server, self.round_trip, "sent"),
                                            (server, client, 0, "received")):
                one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self._pump(one, other, extra, name)

    def _pump(self, source, target, extra, name):
        on_its_way, changed = collections.deque(), threading.Condition()
        ready = time.monotonic() + extra

        def read():
            piece = True
            while piece:
                try:
                    piece = source.recv(CHUNK)
                except OSError:
                    piece = b""
                with self._lock:
                    setattr(self, name, getattr(self, name) + len(piece))
                with changed:
                    on_its_way.append((max(time.monotonic(), ready) + self.round_trip / 2, piece))
                    changed.notify()

        def write():
            piece = True
            while piece:
                with changed:
                    while not on_its_way:
                        changed.wait()
                    due, piece = on_its_way.popleft()
                time.sleep(max(0, due - time.monotonic()))
                try:
                    if piece:
                        target.sendall(piece)
                    else:
                        target.shutdown(socket.SHUT_WR)
                except OSError:
                    break
            if name == "received":
                for end in (source, target):
                    end.close()

        threading.Thread(target=read, daemon=True).start()
        threading.Thread(target=write, daemon=True).start()
