# SPDX-License-Identifier: Apache-2.0
"""A TCP proxy on loopback: it cuts a link at a chosen byte, delays, holds, slows down, isolates or refuses. No root, no chance.

    with CutProxy("127.0.0.1", port) as proxy:          # the program under test connects to proxy.port
        cut = proxy.cut(TO_SERVER, after=71)            # the 71st byte still arrives, nothing after it
        ...
        cut.wait()                                      # until it happened

What a cut does is said by `how`:
  CLOSE    both ends see the end of the stream; what they send from then on is thrown away
  RESET    both ends get a TCP reset
  SILENCE  both links stay open and carry nothing any more, as after a cable was pulled
  FORGET   both links stay open; each end gets a reset when it sends its next byte, as from a peer that restarted

What else may happen to the links, until it is taken back (directions: none given means both; links: their numbers in the
order in which they were accepted, None means all and those to come):
  delay(seconds)      each byte arrives that much later
  slow(bytes_per_s)   byte by byte
  hold / release      what was sent arrives later, also when its sender has died meanwhile; no byte is lost
  isolate / heal      packets are lost: the living send theirs again, what a dead end had sent is gone, and that it is dead
                      is found out by the next byte that is sent to it; a connect of a whole proxy gets no answer
  refuse / open       new connections are refused (REFUSED), never answered (LOST), or accepted and never served (MUTE)

Time is the monotonic clock of the proxy's thread; nobody sleeps.
"""

import collections
import contextlib
import selectors
import socket
import struct
import threading
import time

TO_SERVER, TO_CLIENT = "to server", "to client"
BOTH = (TO_SERVER, TO_CLIENT)
CLOSE, RESET, SILENCE, FORGET = "close", "reset", "silence", "forget"
REFUSED, LOST, MUTE = "refused", "lost", "mute"
CHUNK = 65536
QUEUE_MAX = 4 << 20     # so much is taken in of what may not pass yet
END, DEAD = b"", None   # in the place of bytes: the source's orderly end, its reset
BEHIND_S = 0.3          # so much later than held bytes comes their sender's end: a receiver that has not read them yet would drop them


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
    """One direction of a link."""

    def __init__(self, source, sink):
        self.source, self.sink = source, sink
        self.queue = collections.deque()    # (when it may pass, bytes): read, not yet passed on
        self.queued = 0
        self.buffer = b""           # passed on, not yet taken by the sink
        self.passed = 0
        self.over = False           # the source has said its last byte
        self.ended = False          # and the sink knows
        self.next_at = 0            # of a slow way: when the next byte may pass
        self.watch = {}             # armed cut -> [bytes passed since armed, end of what passed]

    def take_in(self, data, due):
        self.queue.append((due, data))
        self.queued += len(data or END)
        self.over = not data

    def take_out(self, most):
        due, data = self.queue.popleft()
        if len(data) > most:
            self.queue.appendleft((due, data[most:]))
        self.queued -= len(data[:most])
        return data[:most]

    def forget_all(self):
        self.queue.clear()
        self.buffer, self.queued = b"", 0

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
    def __init__(self, number, client, server):
        self.number = number
        self.client, self.server = client, server
        self.ways = {TO_SERVER: _Way(client, server), TO_CLIENT: _Way(server, client)}
        self.held, self.isolated = set(), set()     # directions
        self.reset = set()          # ends that are known to be gone
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
        self._fillers = []          # connections that keep the listener's queue full
        self._refusing = None       # REFUSED, LOST, MUTE
        self._unserved = []         # accepted while mute
        self._links = []
        self._history = []          # (bytes to server, bytes to client) of every link that ended
        self._cuts = []
        self._held, self._isolated = set(), set()       # directions, of links to come
        self._delay = dict.fromkeys(BOTH, 0)
        self._rate = dict.fromkeys(BOTH)
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

    def delay(self, seconds, *directions):
        """What is sent from now on arrives so much later; 0: at once again."""
        with self._changing():
            self._delay.update(dict.fromkeys(directions or BOTH, seconds))

    def slow(self, bytes_per_s, *directions):
        """Byte by byte; None: as fast as it goes."""
        with self._changing():
            self._rate.update(dict.fromkeys(directions or BOTH, bytes_per_s))

    def hold(self, *directions, links=None):
        with self._changing():
            for held in self._chosen(links, "held", self._held):
                held |= set(directions or BOTH)

    def release(self, *directions, links=None):
        with self._changing():
            for held in self._chosen(links, "held", self._held):
                held -= set(directions or BOTH)
            for way in [way for link in self._links for way in link.ways.values()]:
                if len(way.queue) > 1 and way.queue[-1][1] is DEAD:
                    way.queue[-1] = (time.monotonic() + BEHIND_S, DEAD)

    def isolate(self, *directions, links=None):
        with self._changing():
            for isolated in self._chosen(links, "isolated", self._isolated):
                isolated |= set(directions or BOTH)
            if links is None:
                self.refuse(LOST)

    def heal(self, *directions, links=None):
        with self._changing():
            for link in list(self._links):
                healed = link.isolated & set(directions or BOTH) if links is None or link.number in links else set()
                link.isolated -= healed
                for direction in healed:
                    self._wake_up(link, link.ways[direction])
            if links is None:
                self._isolated -= set(directions or BOTH)
                self.open()

    def drop(self, how=CLOSE):
        """Cuts every link now; new ones are accepted."""
        with self._changing():
            for link in list(self._links):
                self._kill(link, how)

    def refuse(self, how=REFUSED):
        """No new link until open(); those that there are live on."""
        with self._changing():
            self._unlisten()
            self._refusing = how
            if how != REFUSED:
                self._listen()

    def open(self):
        with self._changing():
            if self._refusing:
                self._unlisten()
                self._refusing = None
                self._listen()

    def close(self, how=RESET):
        """Cuts every link and refuses new ones, until open()."""
        with self._changing():
            self.refuse()
            self.drop(how)

    def passed(self):
        """[(bytes to the server, bytes to the client)] of every link, in the order in which they ended, living last."""
        with self._lock:
            return self._history + [self._count(link) for link in self._links if not link.dead]

    def _chosen(self, numbers, name, of_those_to_come):
        some = [getattr(link, name) for link in self._links if numbers is None or link.number in numbers]
        return some if numbers is not None else [*some, of_those_to_come]

    # ---- the proxy's thread

    def _listen(self):
        """LOST: the queue holds one connection and has room for no other, so the kernel drops every SYN."""
        self._listener = socket.create_server((self.host, self.port), backlog=0 if self._refusing == LOST else None)
        self._listener.setblocking(False)
        self.port = self._listener.getsockname()[1]
        if self._refusing == LOST:
            self._fillers.append(socket.create_connection((self.host, self.port), timeout=10))
        else:
            self._selector.register(self._listener, selectors.EVENT_READ)

    def _unlisten(self):
        if self._listener is not None:
            self._unwatch(self._listener)
            self._listener.close()
            self._listener = None
        while self._fillers:
            _reset(self._fillers.pop())

    def _run(self):
        while True:
            ready = self._selector.select(self._idle_for())
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
        for sock in self._unserved:
            _reset(sock)
        self._selector.close()

    def _idle_for(self):
        """Seconds until something that was delayed may pass; None: nothing will by itself."""
        with self._lock:
            due = [self._due_at(direction, way) for link in self._links if not link.dead and not link.due
                   for direction, way in link.ways.items()
                   if way.queue and not way.buffer and direction not in link.held | link.isolated]
        return max(0, min(due) - time.monotonic()) if due else None

    def _due_at(self, direction, way):
        return max(way.queue[0][0], way.next_at if self._rate[direction] else 0)

    def _serve(self, sock):
        if sock is self._wake_out:
            with contextlib.suppress(BlockingIOError):
                sock.recv(CHUNK)
        elif sock is self._listener:
            self._accept()
        else:
            for link in list(self._links):      # one that was closed in this turn is not in the list any more
                if sock in link.sockets():
                    self._read(link)

    def _accept(self):
        try:
            client, _ = self._listener.accept()
        except (BlockingIOError, ConnectionAbortedError):
            return
        self.links += 1
        if self._refusing == MUTE:
            self._unserved.append(client)
            return
        try:
            server = socket.create_connection(self.server, timeout=10)
        except OSError:
            _reset(client)
            return
        for sock in (client, server):
            sock.setblocking(False)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        link = _Link(self.links - 1, client, server)
        link.held |= self._held
        link.isolated |= self._isolated
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

    def _read(self, link):
        """Takes in what has come, of both ends."""
        for direction, way in link.ways.items():
            if way.over or link.dead == SILENCE or direction in link.isolated or not self._has_room(link, way):
                continue
            data = self._receive(link, way.source)
            if data is None:
                continue
            if not link.dead:
                way.take_in(data[0], time.monotonic() + self._delay[direction])
            elif not data[0]:
                way.over = way.ended = True
            elif link.dead == FORGET:
                self._lose(way)

    @staticmethod
    def _receive(link, sock):
        """(bytes or END or DEAD), None when there is nothing to read now."""
        try:
            data = sock.recv(CHUNK)
        except BlockingIOError:
            return None
        except OSError:
            link.reset.add(sock)
            return (DEAD,)
        return (DEAD if not data and sock in link.reset else data,)

    @staticmethod
    def _has_room(link, way):
        return bool(link.dead) or (way.queued < QUEUE_MAX and not way.buffer and not link.due)

    def _wake_up(self, link, way):
        """The network is back: what a dead end had sent is lost, and that it is dead shows when it is spoken to."""
        got = []
        while not link.dead and not way.over:
            data = self._receive(link, way.source)
            if data is None or data[0] == END:
                got += [] if data is None else [END]
                break
            if data[0] is DEAD:
                self._lose(way)
                self._kill(link, FORGET)
                return
            got.append(data[0])
        for data in got:
            way.take_in(data, time.monotonic() + (BEHIND_S if data == END else 0))

    def _lose(self, way):
        way.over = way.ended = True
        self._unwatch(way.source)
        _reset(way.source)

    def _unwatch(self, sock):
        if sock.fileno() >= 0 and sock in self._selector.get_map():
            self._selector.unregister(sock)

    def _pump(self, link, direction, way):
        """Passes on what is due, without waiting. False when the link is no more."""
        while direction not in link.held | link.isolated:
            if way.buffer:
                try:
                    way.buffer = way.buffer[way.sink.send(way.buffer):]
                except BlockingIOError:
                    break
                except OSError:             # gone; its own last bytes and its reset come by the other way
                    link.reset.add(way.sink)
                    way.buffer = b""
                    if any(back.source is way.sink and back.ended for back in link.ways.values()):
                        self._forget(link)
                        return False
                continue
            if link.due or not way.queue or self._due_at(direction, way) > time.monotonic():
                break
            if way.queue[0][1] is DEAD:
                self._forget(link)
                return False
            if way.queue[0][1] == END:
                way.queue.popleft()
                way.ended = True
                with contextlib.suppress(OSError):
                    way.sink.shutdown(socket.SHUT_WR)
                break
            rate = self._rate[direction]
            cut = way.pass_on(way.take_out(min(way.allowed(), 1 if rate else CHUNK)))
            if rate:
                now = time.monotonic()      # what the turns of a busy machine cost is made up for, not what was idle
                way.next_at = (way.next_at if now - way.next_at < 0.1 else now) + 1 / rate
            if cut:
                self._due(link, cut)
        return True

    def _settle(self, link):
        """Passes on what is due, cuts a link whose last bytes are out, ends one that both sides have left, and asks for the
        right events."""
        for direction, way in link.ways.items():
            if not link.dead and not self._pump(link, direction, way):
                return
        if link.due and not link.dead and not link.ways[link.due.direction].buffer:
            self._kill(link, link.due.how)
            link.due.mark()
        if link.dead in (None, CLOSE, FORGET) and all(way.ended and not way.buffer for way in link.ways.values()):
            self._forget(link)
        if link in self._links:
            self._want(link)

    def _want(self, link):
        events = dict.fromkeys(link.sockets(), 0)
        for direction, way in link.ways.items():
            if link.dead == SILENCE or (direction in link.isolated and not link.dead):
                continue
            if way.buffer and not link.dead and direction not in link.held:
                events[way.sink] |= selectors.EVENT_WRITE
            if not way.over and self._has_room(link, way):
                events[way.source] |= selectors.EVENT_READ
        for sock, mask in events.items():
            self._unwatch(sock)
            if mask:
                self._selector.register(sock, mask)

    def _kill(self, link, how):
        if link.dead is None:
            self._history.append(self._count(link))
        link.dead = how
        for way in link.ways.values():
            way.forget_all()
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
            self._unwatch(sock)
            _reset(sock)
        self._links.remove(link)

    @staticmethod
    def _count(link):
        return tuple(way.passed for way in link.ways.values())


def _reset(sock):
    """Closes so that the other end gets a reset at once; after an orderly end it is a plain close."""
    if sock.fileno() >= 0:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        sock.close()
