# SPDX-License-Identifier: Apache-2.0
"""The cutting proxy does to a link what it was told to, and nothing else."""

import contextlib
import socket
import struct
import threading
import time

import psycopg2
import pytest

from cutproxy import CLOSE, FORGET, LOST, MUTE, RESET, SILENCE, TO_CLIENT, TO_SERVER, CutProxy


class Peer:
    """A server that keeps what it gets per connection and answers each piece with `answer(piece)`."""

    def __init__(self, answer=None):
        self.answer = answer
        self.got = []
        self.ends = []                      # "end" or "reset", per connection
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def stop(self):
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)       # accept() in the other thread keeps the port otherwise
        self.listener.close()

    def accept(self):
        with contextlib.suppress(OSError):
            while True:
                sock, _ = self.listener.accept()
                self.got.append(b"")
                self.ends.append(None)
                threading.Thread(target=self.serve, args=(sock, len(self.got) - 1), daemon=True).start()

    def serve(self, sock, index):
        with sock:
            try:
                while data := sock.recv(65536):
                    self.got[index] += data
                    if self.answer:
                        sock.sendall(self.answer(data))
                self.ends[index] = "end"
            except ConnectionError:
                self.ends[index] = "reset"


@pytest.fixture
def echo():
    peer = Peer(answer=lambda data: data)
    yield peer
    peer.stop()


@pytest.fixture
def proxy(echo):
    with CutProxy("127.0.0.1", echo.port) as one:
        yield one


def dial(proxy):
    return socket.create_connection(("127.0.0.1", proxy.port), timeout=10)


def read(sock, size):
    data = b""
    while len(data) < size and (part := sock.recv(size - len(data))):
        data += part
    return data


def ending(sock):
    """How the stream ends, and what came before."""
    data = b""
    try:
        while part := sock.recv(65536):
            data += part
        return "end", data
    except ConnectionError:
        return "reset", data


def test_passes_everything_unchanged(proxy, echo):
    body = bytes(range(256)) * 8192
    with dial(proxy) as sock:
        sender = threading.Thread(target=sock.sendall, args=(body,))
        sender.start()
        assert read(sock, len(body)) == body
        sender.join()
        sock.shutdown(socket.SHUT_WR)
        assert ending(sock) == ("end", b"")
    assert echo.got == [body]
    assert proxy.passed() == [(len(body), len(body))]


@pytest.mark.parametrize("how, end", [(CLOSE, "end"), (RESET, "reset")])
@pytest.mark.parametrize("after", [0, 1, 5, 9])
def test_cut_to_server_at_byte_n(proxy, echo, wait, after, how, end):
    cut = proxy.cut(TO_SERVER, after=after, how=how)
    seen = RESET
    with contextlib.suppress(ConnectionError), dial(proxy) as sock:     # a reset may come before connect() is done
        with contextlib.suppress(ConnectionError):
            sock.sendall(b"0123456789")
        seen = ending(sock)[0]
    assert seen == end
    cut.wait()
    wait(lambda: echo.ends == [end], "the server to see the end")
    assert echo.got == [b"0123456789"[:after]]


@pytest.mark.parametrize("after", [0, 1, 5, 9])
def test_cut_to_client_at_byte_n_after_the_server_got_all(proxy, echo, wait, after):
    cut = proxy.cut(TO_CLIENT, after=after) if after else None
    with dial(proxy) as sock:
        if after == 0:                      # armed on a living link: not one byte of the answer
            wait(lambda: proxy.links == 1, "the link")
            proxy.hold(TO_CLIENT)
            sock.sendall(b"0123456789")
            wait(lambda: echo.got == [b"0123456789"], "the request to arrive")
            cut = proxy.cut(TO_CLIENT, after=0)
        else:
            sock.sendall(b"0123456789")
        cut.wait()
        assert ending(sock) == ("end", b"0123456789"[:after])
    assert echo.got == [b"0123456789"]


def test_cut_when_a_text_has_passed_in_pieces(proxy, echo, wait):
    cut = proxy.cut(TO_SERVER, when=b"COMMIT")
    with dial(proxy) as sock:
        for piece in (b"BEGIN; COM", b"M", b"IT; SELECT"):
            with contextlib.suppress(ConnectionError):
                sock.sendall(piece)
            if not piece.startswith(b"IT"):
                read(sock, len(piece))
        cut.wait()
        wait(lambda: echo.ends == ["end"], "the server to see the end")
    assert echo.got == [b"BEGIN; COMMIT"]


def test_count_starts_when_armed_and_one_link_is_cut(proxy, echo, wait):
    with dial(proxy) as first, dial(proxy) as second:
        for sock in (first, second):
            sock.sendall(b"hello")
            assert read(sock, 5) == b"hello"
        cut = proxy.cut(TO_SERVER, after=3)
        second.sendall(b"ab")
        assert read(second, 2) == b"ab"
        assert not cut.happened
        second.sendall(b"cd")
        cut.wait()
        assert ending(second)[0] == "end"
        first.sendall(b"still here")
        assert read(first, 10) == b"still here"
    wait(lambda: sorted(echo.got) == [b"helloabc", b"hellostill here"], "the server to have read what reached it")


def test_silence_keeps_both_ends_open(proxy, echo, wait):
    cut = proxy.cut(TO_SERVER, after=2, how=SILENCE)
    with dial(proxy) as sock:
        sock.sendall(b"abcd")
        cut.wait()
        sock.settimeout(0.2)
        with pytest.raises(TimeoutError):
            while sock.recv(10):
                pass
        assert echo.ends == [None]
    with dial(proxy) as other:
        other.sendall(b"xy")
        assert read(other, 2) == b"xy"
    wait(lambda: echo.got == [b"ab", b"xy"], "the bytes before the cut, and no other")


def test_hold_and_release_lose_nothing(proxy, echo, wait):
    with dial(proxy) as sock:
        sock.sendall(b"a")
        assert read(sock, 1) == b"a"
        proxy.hold(TO_CLIENT)
        sock.sendall(b"bc")
        wait(lambda: echo.got == [b"abc"], "the held answer's request")
        quiet(sock)
        proxy.release()
        assert read(sock, 2) == b"bc"


def say(sock, text):
    """Sends, and waits for the echo."""
    sock.sendall(text)
    assert read(sock, len(text)) == text


def quiet(sock, seconds=0.2):
    """Nothing comes, not even an end."""
    sock.settimeout(seconds)
    with pytest.raises(TimeoutError):
        sock.recv(1)
    sock.settimeout(10)


def die(sock):
    """As a process that is killed, with linger 0."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


def test_held_bytes_arrive_after_their_sender_has_died(proxy, echo, wait):
    sock = dial(proxy)
    say(sock, b"a")
    proxy.hold(TO_SERVER)
    sock.sendall(b"late")
    die(sock)
    with dial(proxy) as other:
        other.sendall(b"x")
        quiet(other)
        proxy.release(links=[1])
        assert read(other, 1) == b"x"
        assert echo.got == [b"a", b"x"] and echo.ends == [None, None]
        proxy.release()
        wait(lambda: echo.got == [b"alate", b"x"] and echo.ends == ["reset", None], "the late bytes, and then the death")


def test_isolated_links_lose_nothing_while_both_ends_live(proxy, echo, wait):
    with dial(proxy) as one, dial(proxy) as two:
        say(one, b"a")
        say(two, b"b")
        proxy.isolate(links=[0])
        one.sendall(b"c")
        say(two, b"d")
        quiet(one)
        assert echo.got == [b"a", b"bd"]
        proxy.heal(links=[0])
        assert read(one, 1) == b"c"
        proxy.isolate(TO_CLIENT, links=[0])
        one.sendall(b"e")
        wait(lambda: echo.got[0] == b"ace", "the way to the server, which is open")
        quiet(one)
        proxy.heal()
        assert read(one, 1) == b"e"


def test_what_an_isolated_end_sent_before_it_died_is_lost_and_its_death_too(proxy, echo, wait):
    sock = dial(proxy)
    say(sock, b"a")
    proxy.isolate()
    sock.sendall(b"lost")
    die(sock)
    proxy.heal()
    with dial(proxy) as other:
        say(other, b"b")
    wait(lambda: echo.ends[1] == "end", "the other link's end")
    assert echo.got == [b"a", b"b"] and echo.ends[0] is None, "nobody has spoken to the dead one yet"


def test_an_isolated_proxy_answers_no_connect(proxy):
    proxy.isolate()
    with socket.socket() as sock:
        sock.settimeout(0.3)
        with pytest.raises(TimeoutError):
            sock.connect(("127.0.0.1", proxy.port))
    proxy.heal()
    with dial(proxy) as sock:
        say(sock, b"a")


def test_refused_lost_and_mute_leave_living_links_alone(proxy, echo):
    with dial(proxy) as living:
        say(living, b"a")
        proxy.refuse()
        with pytest.raises(ConnectionRefusedError):
            dial(proxy)
        proxy.refuse(LOST)
        with socket.socket() as sock:
            sock.settimeout(0.3)
            with pytest.raises(TimeoutError):
                sock.connect(("127.0.0.1", proxy.port))
        proxy.refuse(MUTE)
        with dial(proxy) as mute:
            mute.sendall(b"hello?")
            quiet(mute)
            say(living, b"b")
            proxy.open()
            with dial(proxy) as sock:
                say(sock, b"c")
            quiet(mute)
    assert echo.got == [b"ab", b"c"]


def test_delay_is_the_delay_and_keeps_the_order(proxy):
    with dial(proxy) as sock:
        say(sock, b"a")
        proxy.delay(0.2, TO_SERVER)
        began = time.monotonic()
        for piece in (b"12", b"34", b"56"):
            sock.sendall(piece)
        assert read(sock, 6) == b"123456"
        assert 0.2 <= time.monotonic() - began < 5
        proxy.delay(0)
        say(sock, b"z")


def test_slow_is_byte_by_byte(proxy):
    with dial(proxy) as sock:
        say(sock, b"a")
        proxy.slow(100, TO_CLIENT)
        began = time.monotonic()
        sock.sendall(bytes(range(20)))
        pieces = []
        while sum(map(len, pieces)) < 20:
            pieces.append(sock.recv(100))
        assert b"".join(pieces) == bytes(range(20)) and len(pieces) >= 10
        assert 0.19 <= time.monotonic() - began < 5
        proxy.slow(None)
        say(sock, bytes(5000))


def test_a_delayed_link_is_cut_at_its_byte(proxy, echo, wait):
    proxy.delay(0.05)
    cut = proxy.cut(TO_SERVER, after=3)
    with dial(proxy) as sock:
        sock.sendall(b"abcdef")
        cut.wait()
        assert ending(sock)[0] == "end"
    wait(lambda: echo.ends == ["end"], "the server to see the end")
    assert echo.got == [b"abc"]


def test_a_forgotten_link_is_reset_at_the_next_byte_of_each_end(proxy, echo, wait):
    cut = proxy.cut(TO_SERVER, when=b"b", how=FORGET)
    with dial(proxy) as sock:
        say(sock, b"a")
        sock.sendall(b"b")
        cut.wait()
        wait(lambda: echo.ends == ["reset"], "the server's answer to be answered by a reset")
        quiet(sock)
        sock.sendall(b"c")
        assert ending(sock)[0] == "reset"
    assert echo.got == [b"ab"]


def test_close_refuses_and_open_accepts_on_the_same_port(proxy, echo):
    port = proxy.port
    with dial(proxy) as sock:
        sock.sendall(b"a")
        assert read(sock, 1) == b"a"
        proxy.close()
        assert ending(sock)[0] == "reset"
    with pytest.raises(ConnectionRefusedError):
        dial(proxy)
    proxy.open()
    assert proxy.port == port
    with dial(proxy) as sock:
        sock.sendall(b"b")
        assert read(sock, 1) == b"b"


def test_server_gone_is_a_reset(proxy, echo):
    echo.stop()
    with pytest.raises(ConnectionError):        # of the connect, when the reset is quick
        with dial(proxy) as sock:
            sock.sendall(b"a")
            sock.recv(1)


def test_a_cut_that_cannot_be_is_refused(proxy):
    with pytest.raises(ValueError):
        proxy.cut(TO_SERVER)


def test_commit_that_was_done_and_not_answered(lab, wait):
    """What it is for: PostgreSQL has committed, and its client does not know."""
    lab.pg.query("silver", "CREATE SCHEMA silver")
    lab.pg.query("silver", "CREATE TABLE silver.t (n int)")
    lab.pg.query("silver", "GRANT ALL ON SCHEMA silver TO silver_ledger")
    lab.pg.query("silver", "GRANT ALL ON silver.t TO silver_ledger")
    with CutProxy(lab.pg.host, lab.pg.port) as proxy, contextlib.closing(psycopg2.connect(
            dbname="silver", user="silver_ledger", password=lab.pg.passwords["silver_ledger"], host="127.0.0.1",
            port=proxy.port, sslmode="disable")) as link:
        with link.cursor() as cursor:
            cursor.execute("INSERT INTO silver.t VALUES (1)")
        cut = proxy.cut(TO_SERVER, when=b"COMMIT\0")
        answered = proxy.passed()[-1][1]
        with pytest.raises(psycopg2.OperationalError):
            link.commit()
        cut.wait()
        assert proxy.passed()[-1][1] == answered
        wait(lambda: lab.pg.query("silver", "SELECT n FROM silver.t") == [(1,)], "the commit to be done")
