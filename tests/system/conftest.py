# SPDX-License-Identifier: Apache-2.0
"""Fixtures of the system tests: one lab of real servers for the whole run, cleaned before each test."""

import json
import os
import pathlib
import signal
import sys

import jsonschema
import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "deploy"))

from lab import Lab, Silverd, wait_until  # noqa: E402  (the path above comes first)


def strict(schema):
    """Raises at a document that python3-jsonschema, a reader of another make, finds at fault."""
    document = json.loads((ROOT / "schemas" / schema / "v1" / "schema.json").read_text(encoding="utf-8"))
    jsonschema.Draft7Validator.check_schema(document)
    validator = jsonschema.Draft7Validator(document)

    def check(instance):
        faults = [f"/{'/'.join(map(str, fault.absolute_path))}: {fault.message[:300]}" for fault in validator.iter_errors(instance)]
        assert not faults, f"not as schemas/{schema}/v1 says: {faults}\n{json.dumps(instance)[:3000]}"
    return check


# Every result that any test reads is held against the schema.
Silverd.check_result = staticmethod(strict("result"))


pytest.register_assert_rewrite("olt", "worlds")       # helpers whose assertions explain themselves too


def pytest_configure(config):
    # A terminated run still takes its servers down and removes its folder.
    signal.signal(signal.SIGTERM, lambda *_: (_ for _ in ()).throw(KeyboardInterrupt()))


@pytest.fixture(scope="session")
def running_lab():
    with Lab(nas=("bng-1", "bng-2")) as lab:
        yield lab


@pytest.fixture
def lab(running_lab, request):
    """The lab as if newly made: fresh vhost (lab.vhost), empty Redis, RADIUS with the ISP's rows only, empty ledger.

    Children that the test started are stopped after it; when it failed, the ends of their logs are shown. A server
    that does not run any more fails the test: one that stops a server starts it again. A silverd whose log holds a
    change of state that worker/job/job.c does not know fails it too.
    """
    running_lab.clean()
    yield running_lab
    report = getattr(request.node, "report_call", None)
    if report is not None and report.failed:
        for child in running_lab.children():
            print(f"---- {child.name} (exit {child.returncode()}), end of {child.log}\n{child.log_end(60)}")
    logs = {child.log for child in running_lab.children()}
    running_lab.stop_children()
    illegal = [line for log in map(pathlib.Path, logs) if log.exists()
               for line in log.read_text(errors="replace").splitlines() if "illegal change of state" in line]
    assert not illegal, illegal
    running_lab.check()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    setattr(item, f"report_{call.when}", outcome.get_result())


@pytest.fixture(scope="session")
def wait():
    """wait(condition, what, timeout_s=20): the one bounded wait; returns the condition's first true value."""
    return wait_until


@pytest.fixture(scope="session")
def binary():
    """binary("worker/silverd"): a program of the build under test (SILVER_BUILD, else build/gcc)."""
    build = pathlib.Path(os.environ.get("SILVER_BUILD", ROOT / "build" / "gcc"))

    def find(path):
        found = build / path
        assert found.exists(), f"{found} is not built: tests/run --stage build"
        return found
    return find


@pytest.fixture(scope="module")
def shared(running_lab, binary):
    """One silverd with two simulated OLTs for all tests of a file (olt.py)."""
    from olt import Field, Shared       # only files about OLTs need it
    shared = Shared(running_lab, lambda name: Field(running_lab, binary, name=name))
    yield shared
    shared.close()


@pytest.fixture
def field(shared, request):
    """The file's silverd and OLTs, without faults, for one test. A file that needs them otherwise has a `field` of its own."""
    yield shared.get()
    shared.give_back(request.node)
