# SPDX-License-Identifier: Apache-2.0
"""The stages of tests/run after the packages: build, lint, unit, clang, fuzz, mutants, contract, sim, system.

A stage whose folder does not exist is said to be absent and counts nothing. A build that fails counts as one failed
test, and the stages that need it are not run.
"""

import argparse
import contextlib
import fcntl
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree

ROOT = pathlib.Path(__file__).resolve().parent.parent
BUILD = ROOT / "build"

SANITIZER_ENV = {
    "ASAN_OPTIONS": "detect_leaks=1:strict_string_checks=1:detect_stack_use_after_return=1:abort_on_error=1",
    "UBSAN_OPTIONS": "halt_on_error=1:print_stacktrace=1",
}


class Outcome:
    def __init__(self, passed=0, failed=0, skipped=0, note=""):
        self.passed, self.failed, self.skipped, self.note = passed, failed, skipped, note
        self.seconds = 0.0


def run(argv, out=None, **env):
    """Runs a command from the source root with its output on ours (or on `out`); the exit code."""
    return subprocess.run([str(word) for word in argv], cwd=ROOT, env={**os.environ, **env}, check=False,
                          stdin=subprocess.DEVNULL, stdout=out).returncode


def counted(report, code, what):
    """Outcome of a runner that wrote a JUnit report; a runner that fails without failed tests counts as one."""
    if not report.exists():
        return Outcome(failed=1, note=f"{what} wrote no report (exit {code})")
    outcome = Outcome()
    for suite in xml.etree.ElementTree.parse(report).getroot().iter("testsuite"):
        number = lambda name, suite=suite: int(suite.get(name) or 0)
        bad = number("failures") + number("errors")
        skipped = number("skipped") + number("disabled")
        outcome.passed += number("tests") - bad - skipped
        outcome.failed += bad
        outcome.skipped += skipped
    if code != 0 and outcome.failed == 0:
        outcome.failed, outcome.note = 1, f"{what} ended with exit code {code}"
    return outcome


@contextlib.contextmanager
def writing_folder():
    """One folder for all that tests write, removed after them; the servers, which run unprivileged, pass through."""
    with tempfile.TemporaryDirectory(prefix="silver-tests-") as folder:
        os.chmod(folder, 0o755)
        yield folder


def compile_tree(folder, compiler, targets=(), **options):
    """Configures and builds the tree (or these targets) into build/<folder>, warnings are errors; None, or a failed
    Outcome."""
    target = BUILD / folder
    words = ["cmake", "-G", "Ninja", "-S", ROOT, "-B", target, f"-DCMAKE_C_COMPILER={compiler}", "-DSILVER_WERROR=ON"]
    words += [f"-D{key}={value}" for key, value in options.items()]
    if shutil.which("ccache"):
        words.append("-DCMAKE_C_COMPILER_LAUNCHER=ccache")
    with open(BUILD / f"{folder}.lock", "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)    # another tests/run of this clone may be building there
        if (run([*words, "--log-level=WARNING"], sys.stderr)
                or run(["cmake", "--build", target, "--", "--quiet", "-k", "0", *targets], sys.stderr)):
            return Outcome(failed=1, note=f"the build {target.relative_to(ROOT)} with {compiler} failed")
    return None


def stage_build(_):
    return compile_tree("gcc", "gcc", CMAKE_BUILD_TYPE="RelWithDebInfo") or Outcome(note="build/gcc")


def compile_clang(targets=()):
    """One build for two purposes: clang has no warnings for any file, and the fuzz targets."""
    return compile_tree("clang", "clang", targets, CMAKE_BUILD_TYPE="RelWithDebInfo", SILVER_FUZZ="ON",
                        SILVER_SANITIZE="fuzzer-no-link,address,undefined")


def stage_clang(_):
    return compile_clang() or Outcome(note="build/clang, no warnings")


def stage_unit(options):
    failed = compile_tree("asan", "gcc", CMAKE_BUILD_TYPE="Debug", SILVER_SANITIZE="address,undefined")
    if failed:
        return failed
    report = BUILD / "unit.xml"
    report.unlink(missing_ok=True)
    words = ["ctest", "--test-dir", BUILD / "asan", "-j", os.cpu_count() or 2, "--output-on-failure",
             "--output-junit", report, "-LE", "stress"]
    if options.k:
        words += ["-R", options.k]
    else:
        words += ["--no-tests=error"]
    with writing_folder() as folder:
        return counted(report, run(words, TMPDIR=folder, **SANITIZER_ENV), "ctest")


def stage_tsan(options):
    """The stress tests and one silverd under ThreadSanitizer: a report is a failure."""
    failed = compile_tree("tsan", "gcc", ("stress_ring", "stress_keeper", "worker/silverd", "worker/ctl/silverctl"),
                          CMAKE_BUILD_TYPE="RelWithDebInfo", SILVER_SANITIZE="thread")
    if failed:
        return failed
    report = BUILD / "tsan.xml"
    report.unlink(missing_ok=True)
    with writing_folder() as folder:
        code = run(["ctest", "--test-dir", BUILD / "tsan", "-L", "stress", "-j", os.cpu_count() or 2, "--output-on-failure",
                    "--output-junit", report, *(["-R", options.k] if options.k else [])], TMPDIR=folder)
    outcome, silverd = counted(report, code, "ctest"), run_pytest("stress", options, build="tsan")
    return Outcome(outcome.passed + silverd.passed, outcome.failed + silverd.failed, outcome.skipped + silverd.skipped,
                   " ".join(filter(None, (outcome.note, silverd.note))))


FUZZ_SECONDS = 15       # for each target, two at once

# The system tests wait for servers most of their time: several files at once, each with a lab of its own.
SYSTEM_AT_ONCE = 4


def run_pytest(name, options, at_once=1, build="gcc"):
    tests = ROOT / "tests" / name
    if not any(tests.rglob("test_*.py")):
        return Outcome(note="absent")
    report = BUILD / f"{name}.xml"
    report.unlink(missing_ok=True)
    words = [sys.executable, "-B", "-m", "pytest", "-p", "no:cacheprovider", "-q", "-ra", "--durations=5",
             "--timeout=180", f"--junitxml={report}", tests]
    if options.k:
        words += ["-k", options.k]
    if at_once > 1:
        words += ["-n", str(at_once), "--dist", "loadfile"]
    with writing_folder() as folder:
        code = run(words + options.pytest, TMPDIR=folder,
                   SILVER_BUILD=str(BUILD / build) if build != "gcc" else os.environ.get("SILVER_BUILD", str(BUILD / build)),
                   HYPOTHESIS_STORAGE_DIRECTORY=str(BUILD / "hypothesis"), PYTHONDONTWRITEBYTECODE="1")
    if code == 5 and options.k:         # pytest: no test has that name
        return Outcome(note=f"no test matches {options.k}")
    return counted(report, code, "pytest")


def stage_lint(options):
    """Every executable file in tests/lint is one check; test_*.py beside them are pytest's."""
    folder = ROOT / "tests" / "lint"
    checks = [path for path in sorted(folder.glob("*")) if path.is_file() and os.access(path, os.X_OK)]
    checks = [path for path in checks if not options.k or options.k in path.name]
    outcome = run_pytest("lint", options)
    for path in checks:
        code = run([path])
        print(f"lint {path.name}: {'ok' if code == 0 else f'FAILED (exit {code})'}", flush=True)
        outcome.passed += code == 0
        outcome.failed += code != 0
        outcome.note = ""
    return outcome


def run_own(options, program, *words):
    """What a program of ours answers to --json: a list, None when nothing came. -k: only for what --list names so."""
    def ask(*more):
        return subprocess.run([str(word) for word in (ROOT / "tests" / program, *words, *more)], cwd=ROOT, check=False,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True).stdout
    listed = [line.split()[0] for line in ask("--list").splitlines()] if options.k else []
    names = [name for name in listed if options.k in name]
    if options.k and not names:
        return []
    text = ask("--json", *names)
    return json.loads(text) if text else None


def stage_fuzz(options):
    """Each fuzz target for a short while; tests/fuzz/run does it for longer."""
    answers = run_own(options, "fuzz/run", "--seconds", FUZZ_SECONDS)
    if answers is None:
        return Outcome(failed=1, note="the fuzz targets could not be built or run")
    found = [one["target"] for one in answers if one["found"]]
    print(f"{sum(one['executions'] for one in answers)} executions of {len(answers)} targets, {FUZZ_SECONDS} s each")
    return Outcome(passed=len(answers) - len(found), failed=len(found), note=" ".join(found))


def stage_mutants(options):
    """The code broken on purpose where unit tests shall notice: drivers. tests/mutants/run does it for all."""
    answers = run_own(options, "mutants/run", "--drivers")
    if answers is None:
        return Outcome(failed=1, note="the mutants could not be built or run")
    bad = [f"{one['name']} {one['result']}" for one in answers if one["result"] != "killed"]
    return Outcome(passed=len(answers) - len(bad), failed=len(bad), note=", ".join(bad))


STAGES = {
    "build": stage_build,
    "lint": stage_lint,
    "unit": stage_unit,
    "clang": stage_clang,
    "tsan": stage_tsan,
    "fuzz": stage_fuzz,
    "mutants": stage_mutants,
    "contract": lambda options: run_pytest("contract", options),
    "sim": lambda options: run_pytest("sim", options),
    "system": lambda options: run_pytest("system", options, SYSTEM_AT_ONCE),
}
NEED_BUILD = ("contract", "sim", "system")


def parse(argv):
    end = argv.index("--") if "--" in argv else len(argv)
    parser = argparse.ArgumentParser(prog="tests/run", description="Builds and tests; the last line counts.")
    parser.add_argument("--stage", action="append", choices=["packages", *STAGES], help="only this stage (repeatable)")
    parser.add_argument("-k", metavar="EXPRESSION", help="only tests whose name matches")
    parser.add_argument("--list", action="store_true", help="name the stages and stop")
    parser.add_argument("--packages-seconds", type=float, default=0, help=argparse.SUPPRESS)
    options = parser.parse_args(argv[:end])
    options.pytest = argv[end + 1:]
    return options


def main(argv):
    options = parse(argv)
    if options.list:
        print("packages", *STAGES, sep="\n")
        return 0
    BUILD.mkdir(exist_ok=True)
    results = {"packages": Outcome(note="deploy/packages/install")}
    results["packages"].seconds = options.packages_seconds
    for name in STAGES:
        if options.stage and name not in options.stage:
            continue
        print(f"== {name}", flush=True)
        if name in NEED_BUILD and "build" in results and results["build"].failed:
            results[name] = Outcome(note="not run: the build failed")
            continue
        started = time.monotonic()
        results[name] = STAGES[name](options)
        results[name].seconds = time.monotonic() - started
    return summary(results)


def summary(results):
    print(f"\n{'stage':<10}{'passed':>8}{'failed':>8}{'skipped':>9}{'seconds':>9}")
    for name, one in results.items():
        print(f"{name:<10}{one.passed:>8}{one.failed:>8}{one.skipped:>9}{one.seconds:>9.1f}  {one.note}".rstrip())
    passed, failed, skipped = (sum(getattr(one, field) for one in results.values())
                               for field in ("passed", "failed", "skipped"))
    seconds = sum(one.seconds for one in results.values()) - results["packages"].seconds
    print(f"{seconds:.0f} s, packages not counted\n")
    print(f"{passed} passed, {failed} failed" + (f", {skipped} skipped" if skipped else ""), flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
