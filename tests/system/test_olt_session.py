# SPDX-License-Identifier: Apache-2.0
"""The session with one OLT: what its login costs."""

import pytest
from olt import LIMITS, Field


@pytest.fixture
def field(lab, binary):
    field = Field(lab, binary, ["olt-1"])
    yield field
    field.close()


def test_a_slow_login_takes_nothing_from_the_time_of_a_read(field):
    """The login takes longer than a read may; the first read after it has its whole time."""
    field.silverd.write_inventory([field.target("olt-1", limits={**LIMITS, "read_ms": 500})])
    field.olts["olt-1"].set(latency_for=[{"match": "^enable", "ms": 1000}])
    field.start()
    field.customer().does("activated")
    assert "gate closed" not in field.silverd.process.log_text()
    field.check()


def test_a_write_that_found_no_session_is_said_to_be_not_sent(field, lab, wait):
    """The link dies between the permission and the line: the exec_log has the line, and that it did not leave; then it is sent."""
    field.silverd.process.env["SILVER_FAILPOINTS"] = "write.journaled~ont add=nap"
    field.start()
    event = field.customer().publish("activated")
    field.silverd.process.wait_line("failpoint write.journaled: nap")
    field.olts["olt-1"].ask("drop")
    field.good(event)
    assert sum(line.startswith("ont add") for line in field.olts["olt-1"].writes()) == 1

    def said():
        rows = lab.pg.query("silver", "SELECT dir, text, verdict FROM silver.exec_log WHERE event = %s ORDER BY run, seq", event["id"])
        at = [n for n, row in enumerate(rows) if row[0] == ">" and row[1].startswith("ont add")]
        return len(at) == 2 and [rows[n + 1][2] for n in at]
    assert wait(said, "both lines in the exec_log") == ["not-sent", "ok"]
    field.check()
