# SPDX-License-Identifier: Apache-2.0
"""The lab itself: every server of it is the real one and works, and nothing of it outlives it."""

import os
import pathlib
import signal
import socket
import subprocess
import sys

import pika
import pytest
import redis

from lab import Lab, LabError, Sim, http_get
from lab.ports import Ports, is_free

DEPLOY = pathlib.Path(__file__).resolve().parent.parent.parent / "deploy"


def radius_login(lab, user, password):
    """(answer, attributes) of radclient: Debian's own client judges, not our code."""
    request = (f"User-Name={user},User-Password={password},NAS-IP-Address=127.0.0.1,Service-Type=Framed-User,"
               "Framed-Protocol=PPP,Message-Authenticator=0x00")
    done = subprocess.run(["radclient", "-x", "-r1", "-t3", f"{lab.radius.host}:{lab.radius.auth_port}", "auth",
                           lab.radius.client_secret], input=request, capture_output=True, text=True, check=False)
    answer = [line for line in done.stdout.splitlines() if line.startswith("Received")]
    return (answer[0].split()[1] if answer else None), done.stdout.split("Received")[-1]


def add_user(lab, user, password, rate="50M/50M", address="100.64.0.10"):
    with lab.pg.session("radius") as cursor:
        cursor.execute("INSERT INTO radcheck (username, attribute, op, value) "
                       "VALUES (%s, 'Cleartext-Password', ':=', %s)", (user, password))
        cursor.execute("INSERT INTO radreply (username, attribute, op, value) VALUES "
                       "(%s, 'Mikrotik-Rate-Limit', ':=', %s), (%s, 'Framed-IP-Address', ':=', %s)",
                       (user, rate, user, address))


def suspend(lab, user):
    lab.pg.query("radius", "INSERT INTO radusergroup (username, groupname, priority) VALUES (%s, 'suspended', 1)", user)


def dynamic_authorization(lab, kind, attributes, nas="bng-1", secret=None):
    nas = lab.nas[nas]
    done = subprocess.run(["radclient", "-x", "-r1", "-t1", f"{nas.address}:{nas.coa_port}", kind,
                           secret or nas.coa_secret], input=attributes, capture_output=True, text=True, check=False)
    answer = [line for line in done.stdout.splitlines() if line.startswith("Received")]
    return (answer[0].split()[1] if answer else None), done.stdout.split("Received")[-1]


def publish_and_get(url):
    with pika.BlockingConnection(pika.URLParameters(url)) as connection:
        channel = connection.channel()
        channel.confirm_delivery()
        channel.queue_declare("q", durable=True, arguments={"x-queue-type": "quorum"})
        channel.basic_publish("", "q", b"hola", pika.BasicProperties(delivery_mode=2), mandatory=True)
        _, _, body = channel.basic_get("q", auto_ack=True)
        return body


# ---- RabbitMQ

def test_broker_publishes_and_consumes_in_a_fresh_vhost(lab, wait):
    assert publish_and_get(lab.rabbitmq.url(lab.vhost)) == b"hola"
    assert lab.rabbitmq.queues(lab.vhost)["q"]["messages"] == 0
    old = lab.vhost
    lab.clean()
    assert lab.vhost != old and lab.rabbitmq.queues(lab.vhost) == {}


def test_broker_keeps_a_confirmed_message_over_kill_and_restart(lab):
    with pika.BlockingConnection(pika.URLParameters(lab.rabbitmq.url(lab.vhost))) as connection:
        channel = connection.channel()
        channel.confirm_delivery()
        channel.queue_declare("q", durable=True, arguments={"x-queue-type": "quorum"})
        channel.basic_publish("", "q", b"1", pika.BasicProperties(delivery_mode=2), mandatory=True)
    lab.rabbitmq.kill()
    assert is_free(lab.rabbitmq.port)
    lab.rabbitmq.start()
    assert lab.rabbitmq.queues(lab.vhost)["q"]["messages"] == 1


def test_broker_closes_every_connection_on_request(lab):
    connection = pika.BlockingConnection(pika.URLParameters(lab.rabbitmq.url(lab.vhost)))
    lab.rabbitmq.wait_connections(1)
    assert lab.rabbitmq.close_all_connections("test") == 1
    with pytest.raises(pika.exceptions.AMQPError):
        connection.process_data_events(time_limit=5)
    lab.rabbitmq.wait_connections(0)


def test_broker_listens_on_loopback_only(lab):
    # What is said in the folder is what the kernel shows: no listener of the lab on another address.
    ports = {f"{port:04X}" for port in lab.ports.given.values()}
    for table in ("tcp", "udp"):
        lines = pathlib.Path(f"/proc/net/{table}").read_text(encoding="ascii").splitlines()[1:]
        for line in lines:
            address, port = line.split()[1].split(":")
            if port in ports and line.split()[3] in ("0A", "07"):
                assert address.endswith("7F"), line


# ---- Redis

def test_redis_keeps_answers_over_kill_and_refuses_eviction(lab):
    client = redis.Redis.from_url(lab.redis.url)
    client.set("k", "v")
    assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
    lab.redis.kill()
    lab.redis.start()
    assert client.get("k") == b"v"
    lab.redis.flush()
    assert client.get("k") is None


# ---- PostgreSQL

def test_roles_see_their_own_database_only(lab):
    import psycopg2
    with lab.pg.connect("silver", "silver_ledger") as connection, connection.cursor() as cursor:
        cursor.execute("CREATE SCHEMA silver")
    with pytest.raises(psycopg2.errors.InsufficientPrivilege):
        with lab.pg.connect("nas", "silver_worker") as connection, connection.cursor() as cursor:
            cursor.execute("SELECT * FROM nas_session")
    with pytest.raises(psycopg2.errors.InsufficientPrivilege):
        with lab.pg.connect("radius", "radius") as connection, connection.cursor() as cursor:
            cursor.execute("DELETE FROM radcheck")
    with pytest.raises(psycopg2.OperationalError, match="password"):
        psycopg2.connect(lab.pg.url("radius", "radius") .replace(lab.pg.passwords["radius"], "wrong"))


def test_postgresql_keeps_rows_over_a_crash(lab):
    lab.pg.query("radius", "INSERT INTO radcheck (username, attribute, value) VALUES ('x', 'y', 'z')")
    lab.pg.kill()
    lab.pg.start()
    assert lab.pg.query("radius", "SELECT value FROM radcheck WHERE username = 'x'") == [("z",)]


# ---- FreeRADIUS

def test_radius_accepts_rejects_and_strips_the_reject(lab):
    add_user(lab, "ana@isp", "clave1")
    answer, attributes = radius_login(lab, "ana@isp", "clave1")
    assert answer == "Access-Accept"
    assert 'Mikrotik-Rate-Limit = "50M/50M"' in attributes and "Framed-IP-Address = 100.64.0.10" in attributes
    assert radius_login(lab, "ana@isp", "otra")[0] == "Access-Reject"
    suspend(lab, "ana@isp")
    answer, attributes = radius_login(lab, "ana@isp", "clave1")
    assert answer == "Access-Reject" and "Servicio suspendido" in attributes
    assert "Framed-IP-Address" not in attributes and "Mikrotik-Rate-Limit" not in attributes
    replies = lab.pg.query("radius", "SELECT reply FROM radpostauth WHERE username = 'ana@isp' ORDER BY id")
    assert replies == [("Access-Accept",), ("Access-Reject",), ("Access-Reject",)]


# ---- NAS stand-in

def test_nas_changes_and_cuts_its_session(lab):
    lab.pg.query("nas", "INSERT INTO nas_session VALUES ('81a00010', 'bng-1', 'ana@isp', '100.64.0.10', '50M/50M')")
    answer, _ = dynamic_authorization(lab, "coa", 'User-Name=ana@isp,Acct-Session-Id=81a00010,'
                                      'NAS-IP-Address=127.0.0.2,Mikrotik-Rate-Limit="5M/5M"')
    assert answer == "CoA-ACK"
    assert lab.nas["bng-1"].sessions("ana@isp")[0]["rate"] == "5M/5M"
    assert dynamic_authorization(lab, "disconnect", "User-Name=ana@isp")[0] == "Disconnect-ACK"
    assert lab.nas["bng-1"].sessions("ana@isp") == []
    answer, attributes = dynamic_authorization(lab, "disconnect", "User-Name=ana@isp,Acct-Session-Id=other")
    assert answer == "Disconnect-NAK" and "Session-Context-Not-Found" in attributes


@pytest.mark.parametrize("attributes, cause", [
    ("User-Name=vip@isp", "Administratively-Prohibited"),
    ("User-Name=lleno@isp", "Resources-Unavailable"),
    ("User-Name=dos@isp", "Multiple-Session-Selection-Unsupported"),
    ("Framed-Protocol=PPP", "Missing-Attribute"),
    ("User-Name=ana@isp,NAS-IP-Address=10.0.0.1", "NAS-Identification-Mismatch"),
    ("User-Name=ana@isp,Framed-Pool=x", "Unsupported-Attribute"),
])
def test_nas_refuses_with_the_cause(lab, attributes, cause):
    lab.pg.query("nas", "INSERT INTO nas_session VALUES ('1', 'bng-1', 'dos@isp', '100.64.0.1'), "
                        "('2', 'bng-1', 'dos@isp', '100.64.0.2'), ('3', 'bng-1', 'ana@isp', '100.64.0.3')")
    answer, reply = dynamic_authorization(lab, "coa", attributes)
    assert answer == "CoA-NAK" and f"Error-Cause = {cause}" in reply


def test_nas_is_silent_for_one_user_and_for_a_wrong_secret(lab):
    assert dynamic_authorization(lab, "disconnect", "User-Name=mudo@isp")[0] is None
    lab.pg.query("nas", "INSERT INTO nas_session VALUES ('1', 'bng-1', 'ana@isp', '100.64.0.1')")
    assert dynamic_authorization(lab, "disconnect", "User-Name=ana@isp", secret="wrong")[0] is None
    assert len(lab.nas["bng-1"].sessions("ana@isp")) == 1


# ---- nothing remains

def test_ports_in_use_are_named_with_their_process():
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        sock.listen()
        port = sock.getsockname()[1]
        with pytest.raises(LabError, match=rf"port {port} \(wanted for redis\) is in use by .* \(pid {os.getpid()}\)"):
            Ports(port).take("redis")


def test_a_folder_of_the_lab_belongs_to_one(lab):
    first, second, third = (lab.new_folder("twice") for _ in range(3))
    assert [f.name for f in (first, second, third)] == ["twice", "twice-2", "twice-3"] and third.is_dir()


def test_two_labs_get_different_ports():
    first, second = Ports(), Ports()
    try:
        assert first.take("a") // 200 != second.take("a") // 200
    finally:
        first.close()
        second.close()


PROGRAM = """
import sys
sys.path.insert(0, {deploy!r})
from lab import Lab, exit_on_signals
exit_on_signals()
with Lab() as lab:
    sleeper = lab.child("sleeper", ["/bin/sleep", "600"])
    sleeper.spawn()
    print(lab.folder, *lab.ports.given.values(), flush=True)
    sys.stdin.read()
    {ending}
"""


def start_program(ending):
    program = subprocess.Popen([sys.executable, "-B", "-c", PROGRAM.format(deploy=str(DEPLOY), ending=ending)],
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    words = program.stdout.readline().split()
    assert words, program.communicate()[1]
    return program, words[0], [int(word) for word in words[1:]]


def working_in(folder):
    found = []
    for entry in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            if os.readlink(entry / "cwd").startswith(folder):
                found.append(int(entry.name))
        except OSError:
            continue
    return found


@pytest.mark.parametrize("how, code", [
    ("pass", 0), ("raise RuntimeError('a test broke')", 1), (signal.SIGINT, -signal.SIGINT), (signal.SIGTERM, 143)])
def test_nothing_remains_after_any_ending(how, code):
    program, folder, ports = start_program(how if isinstance(how, str) else "pass")
    assert len(working_in(folder)) > 8
    if isinstance(how, str):
        program.stdin.close()
    else:
        program.send_signal(how)
    program.wait(60)
    program.stdout.close()
    program.stderr.close()
    assert program.returncode == code
    assert working_in(folder) == [] and not os.path.exists(folder)
    assert all(is_free(port) for port in ports)


def test_nothing_runs_after_kill_9_of_the_lab(wait):
    program, folder, ports = start_program("pass")
    assert len(working_in(folder)) > 8
    program.kill()
    program.communicate()
    try:
        wait(lambda: not working_in(folder), "the children to die with the lab", 15)
        wait(lambda: all(is_free(port) for port in ports), "the ports to be free", 5)
    finally:
        subprocess.run(["rm", "-rf", folder], check=True)      # the one thing a kill -9 leaves


def test_a_crashed_server_is_said_in_one_sentence(lab):
    lab.redis.kill()
    with pytest.raises(LabError, match="redis-server was ended by signal SIGKILL; its log .*redis.log ends with"):
        lab.redis.process.check()
    lab.redis.start()


def test_a_child_is_ready_when_its_http_server_answers(lab):
    port = lab.ports.take("http")
    url = f"http://127.0.0.1:{port}/"
    assert http_get(url) is None
    child = lab.child("http", [sys.executable, "-m", "http.server", "--bind", "127.0.0.1", port])
    child.spawn()
    child.wait_ready(lambda: http_get(url), 20)
    assert http_get(url)[0] == 200 and http_get(url + "none")[0] == 404
    child.kill()
    with pytest.raises(LabError, match="http was ended by signal SIGKILL"):
        child.wait_ready(lambda: False, 20)


def test_a_given_folder_must_be_empty_and_stays(tmp_path):
    (tmp_path / "x").write_text("mine", encoding="utf-8")
    with pytest.raises(LabError, match="is not empty"):
        Lab(folder=tmp_path)
    assert (tmp_path / "x").read_text(encoding="utf-8") == "mine"


# ---- simulated CPEs

@pytest.mark.parametrize("auth", ["chap", "pap"])
def test_cpe_logs_in_and_is_seen_by_nas_and_accounting(lab, wait, auth):
    add_user(lab, "ana@isp", "clave1")
    lab.cpes.add("ana@isp", "clave1", auth=auth)
    state = lab.cpes.wait("ana@isp", "online", start_sent=True)
    assert (state["framed_ip"], state["rate"]) == ("100.64.0.10", "50M/50M")
    assert [row["acctsessionid"] for row in lab.nas["bng-1"].sessions("ana@isp")] == [state["session"]]
    open_sessions = wait(lambda: lab.pg.query(
        "radius", "SELECT acctsessionid, host(nasipaddress), host(framedipaddress) FROM radacct "
        "WHERE username = 'ana@isp' AND acctstoptime IS NULL"), "the Accounting-Start")
    assert open_sessions == [(state["session"], "127.0.0.2", "100.64.0.10")]
    lab.cpes.hangup("ana@isp")
    wait(lambda: lab.pg.query("radius", "SELECT 1 FROM radacct WHERE acctsessionid = %s AND acctstoptime IS NOT NULL "
                              "AND acctterminatecause = 'User-Request'", state["session"]), "the Accounting-Stop")
    assert lab.nas["bng-1"].sessions() == []


def test_cpe_that_is_cut_redials_and_gets_the_new_rate(lab, wait):
    add_user(lab, "ana@isp", "clave1")
    lab.cpes.add("ana@isp", "clave1", redial_ms=200)
    old = lab.cpes.wait("ana@isp", "online", start_sent=True)["session"]
    assert dynamic_authorization(lab, "coa", 'User-Name=ana@isp,Mikrotik-Rate-Limit="9M/9M"')[0] == "CoA-ACK"
    assert lab.cpes.state("ana@isp")["rate"] == "9M/9M"
    lab.pg.query("radius", "UPDATE radreply SET value = '7M/7M' WHERE attribute = 'Mikrotik-Rate-Limit'")
    assert dynamic_authorization(lab, "disconnect", "User-Name=ana@isp")[0] == "Disconnect-ACK"
    new = lab.cpes.wait("ana@isp", "online", accepts=2, disconnects=1)
    assert new["rate"] == "7M/7M" and new["session"] != old
    causes = wait(lambda: lab.pg.query("radius", "SELECT acctterminatecause FROM radacct WHERE acctsessionid = %s "
                                       "AND acctstoptime IS NOT NULL", old), "the Accounting-Stop")
    assert causes == [("Admin-Reset",)]


def test_rejected_cpe_stays_out_and_one_that_retries_comes_back(lab, wait):
    for user in ("ana@isp", "beto@isp"):
        add_user(lab, user, "clave1")
        suspend(lab, user)
    lab.cpes.add("ana@isp", "clave1", redial_ms=50)
    lab.cpes.add("beto@isp", "clave1", redial_ms=50, retry_ms=100)
    assert lab.cpes.wait("ana@isp", "rejected")["message"] == "Servicio suspendido"
    wait(lambda: lab.cpes.state("beto@isp")["rejects"] >= 3, "three tries of the one that retries")
    lab.pg.query("radius", "DELETE FROM radusergroup")
    lab.cpes.wait("beto@isp", "online")
    state = lab.cpes.state("ana@isp")
    assert (state["state"], state["rejects"], state["accepts"]) == ("rejected", 1, 0)
    lab.cpes.dial("ana@isp")
    lab.cpes.wait("ana@isp", "online")


def test_login_in_flight_can_be_held_at_both_points(lab, wait):
    for user in ("ana@isp", "beto@isp"):
        add_user(lab, user, "clave1")
    lab.cpes.add("ana@isp", "clave1", hold="accept")
    lab.cpes.add("beto@isp", "clave1", hold="start")
    lab.cpes.wait("ana@isp", "held", accepts=1)
    lab.cpes.wait("beto@isp", "online")
    assert lab.nas["bng-1"].sessions("ana@isp") == []
    assert len(lab.nas["bng-1"].sessions("beto@isp")) == 1
    assert lab.pg.query("radius", "SELECT 1 FROM radacct") == []
    lab.cpes.release("ana@isp")
    lab.cpes.release("beto@isp")
    wait(lambda: lab.pg.query("radius", "SELECT count(*) FROM radacct WHERE acctstoptime IS NULL") == [(2,)],
         "both Accounting-Starts")


def test_simultaneous_use_keeps_the_second_login_out(lab, wait):
    add_user(lab, "ana@isp", "clave1")
    lab.pg.query("radius", "INSERT INTO radcheck (username, attribute, op, value) "
                           "VALUES ('ana@isp', 'Simultaneous-Use', ':=', '1')")
    lab.cpes.add("ana@isp", "clave1")
    lab.cpes.wait("ana@isp", "online")
    wait(lambda: lab.pg.query("radius", "SELECT 1 FROM radacct"), "the Accounting-Start")
    answer, attributes = radius_login(lab, "ana@isp", "clave1")
    assert answer == "Access-Reject" and "already logged in" in attributes


def test_interim_updates_are_sent(lab, wait):
    add_user(lab, "ana@isp", "clave1")
    lab.cpes.add("ana@isp", "clave1", interim_ms=100)
    wait(lambda: lab.pg.query("radius", "SELECT 1 FROM radacct WHERE acctinterval IS NOT NULL"), "an interim update")


def test_cpes_survive_a_restart_of_the_database(lab, wait):
    add_user(lab, "ana@isp", "clave1")
    lab.cpes.add("ana@isp", "clave1", redial_ms=100)
    lab.cpes.wait("ana@isp", "online")
    lab.pg.restart()
    wait(lambda: radius_login(lab, "ana@isp", "clave1")[0] == "Access-Accept", "FreeRADIUS to reach the database again")
    assert dynamic_authorization(lab, "disconnect", "User-Name=ana@isp")[0] == "Disconnect-ACK"
    lab.cpes.wait("ana@isp", "online", disconnects=1, accepts=2)


# ---- simulated OLTs

def test_simulated_olts_run_as_children_and_keep_port_and_saved_state(lab, binary):
    sim = Sim(lab, binary("tests/sim/silver-sim"), [
        {"name": "olt-1", "boards": [{"frame": 0, "slot": 1, "ports": 8}],
         "autofind": [{"fsp": "0/1/0", "sn": "4857544311E70E9A"}]},
        {"name": "olt-2"}]).start()
    assert [one["sn"] for one in sim.state("olt-1")["autofind"]] == ["4857544311E70E9A"]
    target = sim.target("olt-2", lab.secret("olt-2", sim.olts["olt-2"]["password"]))
    scanned = subprocess.run(["ssh-keyscan", "-p", str(target["port"]), "127.0.0.1"], capture_output=True, text=True,
                             check=True).stdout
    shown = subprocess.run(["ssh-keygen", "-l", "-f", "-"], input=scanned, capture_output=True, text=True, check=True)
    assert target["host_key"] in shown.stdout
    sim.kill()
    sim.start()
    assert sim.state("olt-2")["port"] == target["port"]
    with pytest.raises(LabError, match="silver-sim fault"):
        sim.fault("no such fault")
