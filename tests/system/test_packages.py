# SPDX-License-Identifier: Apache-2.0
"""deploy/packages/install forbids services and clusters while apt runs, and puts back what was there however it ends.

apt-get is replaced by a probe that looks at what a package's maintainer scripts would see; the paths lie under another
root folder.
"""

import os
import pathlib
import subprocess

import pytest

INSTALL = pathlib.Path(__file__).resolve().parent.parent.parent / "deploy/packages/install"
PACKAGE = "silver-no-such-package"
OLD_POLICY = "#!/bin/sh\nexit 104\n"

PROBE = """#!/bin/sh
case " $* " in *" install "*) ;; *) exit 0 ;; esac
$SILVER_PACKAGES_ROOT/usr/sbin/policy-rc.d; echo "policy $?" >> $SILVER_PACKAGES_ROOT/seen
cat $SILVER_PACKAGES_ROOT/etc/postgresql-common/createcluster.d/*.conf >> $SILVER_PACKAGES_ROOT/seen
echo "$*" >> $SILVER_PACKAGES_ROOT/seen
[ "$PROBE_KILLS" = "" ] || kill -$PROBE_KILLS $PPID
echo "E: Unable to locate package"
exit $PROBE_EXIT
"""


@pytest.fixture
def machine(tmp_path):
    """A root folder with a policy-rc.d of its own, and a PATH with the probe."""
    (tmp_path / "usr/sbin").mkdir(parents=True)
    (tmp_path / "etc/postgresql-common").mkdir(parents=True)
    policy = tmp_path / "usr/sbin/policy-rc.d"
    policy.write_text(OLD_POLICY, encoding="utf-8")
    policy.chmod(0o755)
    (tmp_path / "bin").mkdir()
    probe = tmp_path / "bin/apt-get"
    probe.write_text(PROBE, encoding="utf-8")
    probe.chmod(0o755)
    return tmp_path


def install(machine, exit_code=0, kills=""):
    env = {**os.environ, "SILVER_PACKAGES_ROOT": str(machine), "PATH": f"{machine}/bin:{os.environ['PATH']}",
           "PROBE_EXIT": str(exit_code), "PROBE_KILLS": kills, "TMPDIR": str(machine)}
    return subprocess.run(["sh", str(INSTALL), "--as-root", PACKAGE], env=env, capture_output=True, text=True,
                          stdin=subprocess.DEVNULL, check=False, timeout=60)


def files(machine):
    return sorted(str(path.relative_to(machine)) for path in machine.rglob("*") if path.is_file())


@pytest.mark.parametrize("exit_code, kills, ends_with", [
    (0, "", 0), (100, "", 69), (0, "TERM", 143), (0, "INT", 130), (0, "HUP", 143)])
def test_services_are_forbidden_and_everything_is_put_back(machine, exit_code, kills, ends_with):
    done = install(machine, exit_code, kills)
    seen = (machine / "seen").read_text(encoding="utf-8")
    assert "policy 101\n" in seen and "create_main_cluster = false\n" in seen and PACKAGE in seen
    assert "--no-install-recommends" in seen
    assert done.returncode == ends_with
    assert (machine / "usr/sbin/policy-rc.d").read_text(encoding="utf-8") == OLD_POLICY
    assert files(machine) == ["bin/apt-get", "seen", "usr/sbin/policy-rc.d"]
    assert not (machine / "etc/postgresql-common/createcluster.d").exists()


def test_the_next_run_repairs_what_a_killed_one_left(machine):
    assert install(machine, 0, "KILL").returncode == -9
    assert (machine / "usr/sbin/policy-rc.d.before-silver").exists()
    assert install(machine).returncode == 0
    assert (machine / "usr/sbin/policy-rc.d").read_text(encoding="utf-8") == OLD_POLICY
    assert not (machine / "usr/sbin/policy-rc.d.before-silver").exists()


def test_without_a_policy_before_there_is_none_after(machine):
    (machine / "usr/sbin/policy-rc.d").unlink()
    assert install(machine).returncode == 0
    assert "policy 101\n" in (machine / "seen").read_text(encoding="utf-8")
    assert not (machine / "usr/sbin/policy-rc.d").exists()


def test_packages_that_cannot_be_had_are_said_in_one_sentence(machine):
    done = install(machine, 100)
    last = done.stderr.strip().splitlines()[-1]
    assert last == (f"packages: cannot install {PACKAGE}: Debian's package servers do not answer or do not have them "
                    "(apt's words are above).")
    assert "E: Unable to locate package" in done.stderr


def test_an_unknown_list_is_a_usage_error():
    done = subprocess.run(["sh", str(INSTALL), "nope"], capture_output=True, text=True, check=False)
    assert done.returncode == 64 and "no such list: nope" in done.stderr
