# SPDX-License-Identifier: Apache-2.0
"""The benchmark of many OLTs, small: that it runs, that what it counts is right, and that nobody was forgotten."""

import json
import os
import pathlib
import subprocess

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
OLTS, JOBS = 50, 2


def test_b04_fifty_olts_in_one_silverd(binary):
    """B-04: each OLT has a lane, a session and its jobs; every job is applied; all say good-bye at the same time."""
    build = binary("worker/silverd").parent.parent
    done = subprocess.run([ROOT / "tests/bench/olts", "--olts", str(OLTS), "--jobs-per-olt", str(JOBS), "--latency-ms", "20", "--save-ms",
                           "100", "--rest-s", "1", "--trickle", "2", "--session-ttl-ms", "2000", "--patience-s", "90", "--json"],
                          capture_output=True, text=True, check=False, timeout=170, env={**os.environ, "SILVER_BUILD": str(build)})
    assert done.returncode == 0, done.stderr[-3000:]
    figures = json.loads(done.stdout)
    assert (figures["jobs"], figures["two_writers"], figures["stop_code"]) == (OLTS * JOBS, 0, 0)
    assert OLTS < figures["warm_threads"] < OLTS + 20
    assert figures["warm_descriptors"] > 3 * OLTS      # a session each
    assert figures["idle_descriptors"] < 2 * OLTS
    assert figures["stop_s"] < 10
