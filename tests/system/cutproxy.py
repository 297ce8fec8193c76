# SPDX-License-Identifier: Apache-2.0
"""A TCP proxy on loopback that cuts a link at a chosen byte, holds it, or closes. No root, no timers, no chance.

    with CutProxy("127.0.0.1", port) as proxy:          # the program under test connects to proxy.port
        cut = proxy.cut(TO_SERVER, after=71)            # the 71st byte still arrives, nothing after it
        ...
        cut.wait()                                      # until it happened

What a cut does is said by `how`:
  CLOSE    both ends see the end of the stream; what they send from then on is thrown away
  RESET    both ends get a TCP reset
  SILENCE  both links stay open and carry nothing any more, as after a cable was pulled
"""

import contextlib
import selectors
import socket
import struct
import threading

TO_SERVER, TO_CLIENT = "to server", "to client"
CLOSE, RESET, SILENCE = "close", "reset", "silence"
CHUNK = 65536


class Cut:
    """One armed cut; it happens once. `when` is looked for in the bytes that pass after arming."""

    def __init__(self, direction, after, when, how):
        if (after is None) == (when is None):
            raise ValueError("a cut needs either after=BYTES or when=TEXT")
        self.direction, self.after, self.when, self.how = direction, after, when, how
        self._happened = threading.Event()

    @property
    def happened(self):
        return self._happened.is_set()

    def wait(self, timeout_s=20):
        """Waits until the link was cut."""
        what = f"after {self.after} bytes" if self.when is None else f"when {self.when!r} has passed"
        assert self._happened.wait(timeout_s), f"no cut within {timeout_s} s: {self.direction} {what}"

    def mark(self):
        self._happened.set()


class _Way:
    """One direction of a link. `buffer` is read and not yet written."""

    def __init__(self, source, sink):
        self.source, self.sink = source, sink
        self.buffer = b""
        self.passed = 0
        self.ended = False          # the source has said its last byte
        self.watch = {}             # armed cut -> [bytes passed since armed, end of what passed]

    def allowed(self):
        """How many bytes may still pass before the next cut by count."""
        return min([cut.after - seen[0] for cut, seen in self.watch.items() if cut.when is None], default=CHUNK)

    def pass_on(self, data):
        """Counts and keeps `data`, up to a cut by text; the cut that is due now, or None."""
        due = None
        for cut, seen in self.watch.items():
            if cut.when is not None:
                at = (seen[1] + data).find(cut.when)
                if at >= 0:
                    data = data[:at + len(cut.when) - len(seen[1])]
                    due = cut
                seen[1] = (seen[1] + data)[-max(len(cut.when) - 1, 0):] if len(cut.when) > 1 else b""
        for cut, seen in self.watch.items():
            seen[0] += len(data)
            if due is None and cut.when is None and seen[0] >= cut.after:
                due = cut
        self.buffer += data
        self.passed += len(data)
        return due


class _Link:
    def __init__(self, client, server):
        self.client, self.server = client, server
        self.ways = {TO_SERVER: _Way(client, server), TO_CLIENT: _Way(server, client)}
        self.dead = None            # how it was cut
        self.due = None             # the cut that waits until its last bytes are written

    def sockets(self):
        return self.client, self.server


class CutProxy:
    """Attributes: host, port (own address), links (how many were accepted)."""

    def __init__(self, server_host, server_port, host="127.0.0.1"):
        self.server = (server_host, server_port)
        self.host = host
        self.links = 0
        self._lock = threading.RLock()
        self._selector = selectors.DefaultSelector()
        self._wake_out, self._wake_in = socket.socketpair()
        self._wake_out.setblocking(False)
        self._selector.register(self._wake_out, selectors.EVENT_READ)
        self._listener = None
        self._links = []
        self._history = []          # (bytes to server, bytes to client) of every link that ended
        self._cuts = []
        self._held = set()
        self._stopping = False
        self.port = 0
        self._listen()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        with self._changing():
            self._stopping = True
        self._thread.join()
        self._wake_out.close()
        self._wake_in.close()

    # ---- orders, from the test's thread

    @contextlib.contextmanager
    def _changing(self):
        with self._lock:
            yield
            self._wake_in.send(b"x")

    def cut(self, direction, after=None, when=None, how=CLOSE):
        """Arms one cut: of the first link on which `after` bytes have passed in this direction from now on, or in which
        the bytes `when` have passed. These bytes still arrive, nothing after them in either direction."""
        cut = Cut(direction, after, when, how)
        with self._changing():
            self._cuts.append(cut)
            for link in self._links:
                self._watch(link, cut)
        return cut

    def hold(self, *directions):
        """Nothing passes (in these directions; none given: both) until release(); no byte is lost."""
        with self._changing():
            self._held |= set(directions or (TO_SERVER, TO_CLIENT))

    def release(self, *directions):
        with self._changing():
            self._held -= set(directions or (TO_SERVER, TO_CLIENT))

    def drop(self, how=CLOSE):
        """Cuts every link now; new ones are accepted."""
        with self._changing():
            for link in list(self._links):
                self._kill(link, how)

    def close(self, how=RESET):
        """Cuts every link and refuses new ones, until open()."""
        with self._changing():
            self._unlisten()
            self.drop(how)

    def open(self):
        with self._changing():
            self._listen()

    def passed(self):
        """[(bytes to the server, bytes to the client)] of every link, in the order in which they ended, living last."""
        with self._lock:
            return self._history + [self._count(link) for link in self._links if not link.dead]

    # ---- the proxy's thread

    def _listen(self):
        if self._listener is None:
            self._listener = socket.create_server((self.host, self.port))
            self._listener.setblocking(False)
            self.port = self._listener.getsockname()[1]
            self._selector.register(self._listener, selectors.EVENT_READ)

    def _unlisten(self):
        if self._listener is not None:
            self._selector.unregister(self._listener)
            self._listener.close()
            self._listener = None

    def _run(self):
        while True:
            ready = self._selector.select()
            with self._lock:
                if self._stopping:
                    break
                for key, _ in ready:
                    self._serve(key.fileobj)
                for link in list(self._links):
                    self._settle(link)
        self._unlisten()
        for link in list(self._links):
            self._forget(link)
        self._selector.close()

    def _serve(self, sock):
        if sock is self._wake_out:
            with contextlib.suppress(BlockingIOError):
                sock.recv(CHUNK)
        elif sock is self._listener:
            self._accept()
        else:
            for link in list(self._links):      # one that was closed in this turn is not in the list any more
                if sock in link.sockets():
                    self._carry(link)

    def _accept(self):
        try:
            client, _ = self._listener.accept()
        except (BlockingIOError, ConnectionAbortedError):
            return
        self.links += 1
        try:
            server = socket.create_connection(self.server, timeout=10)
        except OSError:
            _reset(client)
            return
        for sock in (client, server):
            sock.setblocking(False)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        link = _Link(client, server)
        self._links.append(link)
        for cut in self._cuts:
            self._watch(link, cut)

    def _watch(self, link, cut):
        if link.dead is None and not cut.happened:
            link.ways[cut.direction].watch[cut] = [0, b""]
            if cut.after == 0:
                self._due(link, cut)

    def _due(self, link, cut):
        """This link is the one; the cut is not for the others any more."""
        if link.due is None and cut in self._cuts:
            link.due = cut
            self._cuts.remove(cut)
            for other in self._links:
                other.ways[cut.direction].watch.pop(cut, None)

    def _carry(self, link):
        """Moves what can be moved without waiting."""
        for direction, way in link.ways.items():
            try:
                if link.dead:
                    if not way.ended and not way.source.recv(CHUNK):        # thrown away
                        way.ended = True
                    continue
                self._move(link, direction, way)
            except BlockingIOError:
                continue
            except OSError:
                self._forget(link)
                return

    def _move(self, link, direction, way):
        if way.buffer and direction not in self._held:
            way.buffer = way.buffer[way.sink.send(way.buffer):]
        if way.buffer or way.ended or link.due or direction in self._held:
            return
        data = way.source.recv(min(CHUNK, way.allowed()))
        if not data:
            way.ended = True
            way.sink.shutdown(socket.SHUT_WR)
            return
        cut = way.pass_on(data)
        if cut:
            self._due(link, cut)
        way.buffer = way.buffer[way.sink.send(way.buffer):]

    def _settle(self, link):
        """Cuts a link whose last bytes are out, ends one that both sides have left, and asks for the right events."""
        if link.due and not link.dead and not link.ways[link.due.direction].buffer:
            self._kill(link, link.due.how)
            link.due.mark()
        if link.dead in (None, CLOSE) and all(way.ended and not way.buffer for way in link.ways.values()):
            self._forget(link)
        if link in self._links:
            self._want(link)

    def _want(self, link):
        events = dict.fromkeys(link.sockets(), 0)
        for direction, way in link.ways.items():
            if link.dead == SILENCE or (direction in self._held and not link.dead):
                continue
            if way.buffer and not link.dead:
                events[way.sink] |= selectors.EVENT_WRITE
            elif not way.ended and not link.due or link.dead and not way.ended:
                events[way.source] |= selectors.EVENT_READ
        registered = self._selector.get_map()
        for sock, mask in events.items():
            if sock in registered:
                self._selector.unregister(sock)
            if mask:
                self._selector.register(sock, mask)

    def _kill(self, link, how):
        if link.dead is None:
            self._history.append(self._count(link))
        link.dead = how
        for way in link.ways.values():
            way.buffer = b""
        if how == RESET:
            self._forget(link)
        elif how == CLOSE:
            for sock in link.sockets():
                with contextlib.suppress(OSError):
                    sock.shutdown(socket.SHUT_WR)

    def _forget(self, link):
        if link.dead is None:
            self._history.append(self._count(link))
        for sock in link.sockets():
            if sock in self._selector.get_map():
                self._selector.unregister(sock)
            _reset(sock)
        self._links.remove(link)

    @staticmethod
    def _count(link):
        return tuple(way.passed for way in link.ways.values())


def _reset(sock):
    """Closes so that the other end gets a reset at once; after an orderly end it is a plain close."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()
