# SPDX-License-Identifier: Apache-2.0
"""The rules. Each is a generator of (path, line, name, text); name is what an exception may name beside the path."""

import posixpath
import re

PRODUCT = ("common", "drivers", "worker")
LAYERS = ("common", "drivers", "worker", "worker/ctl")      # each may include itself and those before it
FUNCTION_LINES = 60
FILE_LINES = 800

# Headers of a library, and the only folder of the product that knows the library.
LIBRARIES = {
    r"amqp.*\.h": "worker/broker", r"libssh/.*": "drivers/cli", r"curl/.*": "common/http",
    r"microhttpd\.h": "common/http", r"radcli/.*": "drivers/radius-session", r"hiredis/.*": "worker/fleet",
    r"libpq.*\.h": "common/pg", r"libtelnet\.h": "drivers/cli", r"yaml\.h": "common/schema",
    r"msgpack.*\.h": "common/schema", r"pcre2\.h": "common/schema",
}
SHARED_BY_DRIVERS = ("cli", "radius")       # folders below drivers/ that are no driver

BANNED = {
    "strcpy": "sn_text_copy", "strcat": "struct sn_buf", "sprintf": "snprintf", "vsprintf": "vsnprintf",
    "strncpy": "sn_text_copy (it may leave no NUL)", "strncat": "struct sn_buf", "gets": "fgets", "strtok": "strtok_r",
    "system": "posix_spawn (it runs a shell)", "popen": "posix_spawn (it runs a shell)", "alloca": "malloc",
    "rand": "sn_random_below", "tmpnam": "mkstemp", "mktemp": "mkstemp", "gmtime": "gmtime_r",
    "localtime": "localtime_r", "ctime": "strftime",
}
BANNED_IN_PRODUCT = {
    **{name: "strtol (a number that does not fit is undefined)" for name in ("atoi", "atol", "atoll")},
    **{name: "sn_json_load (a string may lack a byte when memory ran out)" for name in ("json_loads", "json_loadb", "json_load_file")},
    **{name: "sn_json_deep_copy (members may be missing when memory ran out)" for name in ("json_copy", "json_deep_copy")},
    **{name: "sn_json_dumps (names may be missing when memory ran out)" for name in ("json_dumps", "json_dumpb", "json_dumpf", "json_dump_file")},
}

# A tree that other people build speaks of no machine but theirs.
FORBIDDEN = (
    (r"(?<![\w.%/*}~-])/(?:home|Users)/[a-z]", "a path of one machine"),
    (r"(?<![\w.%/*}~-])/(?:root|work|workspace)/", "a path of one machine"),
    (r"(?:\.\./)+shared\b", "a file that is not in this tree"),
    (r"https?://[^\s)\"'>]*(?:pypi\.org|npmjs|crates\.io|rubygems|proxy\.golang|artifactory|nexus|mirror)",
     "the address of a package registry"),
)

# What tells the time or throws dice. `time` and `rand` as names of other things are no calls.
ASKS_THE_KERNEL = ("clock_gettime", "gettimeofday", "time", "times", "clock", "ftime", "timespec_get", "getrandom", "getentropy",
                   "random", "drand48", "lrand48", "arc4random", "arc4random_uniform", "randombytes_buf", "randombytes_random",
                   "randombytes_uniform", "RAND_bytes")
FAILPOINTS = "docs/failpoints.md"

RULES = {}


def rule(function):
    RULES[function.__name__.replace("_", "-")] = function
    return function


def layer_of(path):
    """Index into LAYERS of a file of the product, None for others."""
    fitting = [index for index, folder in enumerate(LAYERS) if path.startswith(f"{folder}/")]
    return max(fitting, default=None)


def includes(tree, path):
    for number, line in tree.lines(path):
        match = re.match(r'\s*#\s*include\s*([<"])([^>"]+)[>"]', line)
        if match:
            yield number, match.group(1), match.group(2)


@rule
def include_direction(tree):
    """common <- drivers <- worker <- worker/ctl; no driver includes another; the product includes no test; the
    simulator shares no code with the product."""
    for path in tree.named(".c", ".h"):
        mine = layer_of(path)
        for number, _, header in includes(tree, path):
            theirs = layer_of(header)
            if mine is None:
                if path.startswith("tests/sim/") and theirs is not None:
                    yield path, number, header, f"the simulator shares no code with the product: {header}"
            elif header.startswith(("tests/", "deploy/")):
                yield path, number, header, f"the product includes nothing of tests or deploy: {header}"
            elif theirs is not None and theirs > mine:
                yield path, number, header, f"{LAYERS[mine]} includes nothing of {LAYERS[theirs]}: {header}"
            elif _other_driver(path, header):
                yield path, number, header, f"a driver includes no other driver: {header}"


def _other_driver(path, header):
    if path.count("/") < 2 or header.count("/") < 2 or layer_of(path) != 1 or layer_of(header) != 1:
        return False
    theirs = header.split("/")[1]
    return theirs != path.split("/")[1] and theirs not in SHARED_BY_DRIVERS


@rule
def include_library(tree):
    """Each library is known to one folder of the product."""
    for path in tree.named(".c", ".h", under=PRODUCT):
        for number, mark, header in includes(tree, path):
            for pattern, folder in LIBRARIES.items():
                if mark == "<" and re.fullmatch(pattern, header) and not path.startswith(f"{folder}/"):
                    yield path, number, header, f"only {folder} includes <{header}>"


@rule
def link_private(tree):
    """Packages are linked PRIVATE, by sn_library and sn_link_packages; PUBLIC is for our own libraries."""
    for path in tree.named("CMakeLists.txt", ".cmake"):
        for match in re.finditer(r"target_link_libraries\(([^)]*)\)", tree.text(path)):
            words = match.group(1).split()
            scope = "PUBLIC"
            for word in words[1:]:
                if word in ("PUBLIC", "PRIVATE", "INTERFACE"):
                    scope = word
                elif scope != "PRIVATE" and not word.startswith(("sn_", "${A_DEPS}")):
                    line = tree.text(path)[:match.start()].count("\n") + 1
                    yield path, line, word, f"{word} is linked {scope}: libraries are linked PRIVATE"


@rule
def function_size(tree):
    for one in tree.functions():
        if one.lines > FUNCTION_LINES:
            yield one.path, one.line, one.name, f"{one.name} has {one.lines} lines, {FUNCTION_LINES} are enough"


@rule
def file_size(tree):
    for path in sorted(set(tree.named(".c", ".h", ".sql", ".lua") + tree.python() + tree.shell())):
        count = tree.text(path).count("\n")
        if count > FILE_LINES:
            yield path, count, "", f"{count} lines, {FILE_LINES} are enough"


@rule
def licence(tree):
    """SPDX line among the first three of every file that has comments and is code."""
    names = tree.named(".c", ".h", ".py", ".sh", ".sql", ".lua", ".cmake", ".conf", "CMakeLists.txt", "Dockerfile")
    for path in sorted(set(names + [path for path in tree.files if tree.shebang(path)])):
        head = tree.text(path).split("\n")[:3]
        if not any("SPDX-License-Identifier: Apache-2.0" in line for line in head):
            yield path, 1, "", "no line `SPDX-License-Identifier: Apache-2.0` at the top"


@rule
def no_sleep(tree):
    """Nobody sleeps instead of waiting for a condition; the bounded waits are exceptions by name."""
    for path in tree.named(".c", ".h"):
        yield from _calls(tree, path, r"\b(sleep|usleep|nanosleep|clock_nanosleep)\s*\(")
    for path in tree.python():
        yield from _calls(tree, path, r"\b(time\.sleep|asyncio\.sleep|sleep)\s*\(")
    for path in tree.shell():
        yield from _calls(tree, path, r"(?:^|[;&|]|\bdo\b|\bthen\b)\s*(sleep)\s")


def _calls(tree, path, pattern):
    for number, line in tree.code_lines(path):
        match = re.search(pattern, line)
        if match:
            yield path, number, match.group(1), f"{match.group(1)}: wait for a condition instead"


@rule
def banned_function(tree):
    for path in tree.named(".c", ".h"):
        banned = BANNED if layer_of(path) is None else {**BANNED, **BANNED_IN_PRODUCT}
        for number, line in tree.code_lines(path):
            for match in re.finditer(r"(?<![\w.>])(\w+)\s*\(", line):
                if match.group(1) in banned:
                    yield path, number, match.group(1), f"{match.group(1)}: use {banned[match.group(1)]}"


@rule
def clock(tree):
    """Time and chance are asked for in common/base/clock.h, where a test can set them; what else asks is an exception by name."""
    for path in tree.named(".c", ".h", under=PRODUCT):
        for number, line in tree.code_lines(path):
            for match in re.finditer(rf"(?<![\w.>])({'|'.join(ASKS_THE_KERNEL)})\s*\(", line):
                yield path, number, match.group(1), f"{match.group(1)}: use common/base/clock.h"


@rule
def failpoint(tree):
    """Every failure point of the product has its row in docs/failpoints.md, and every row its point."""
    rows = {match.group(1): number for number, line in (tree.lines(FAILPOINTS) if FAILPOINTS in tree.files else ())
            if (match := re.match(r"\| `([a-z.-]+)` \|", line))}
    points = {}
    for path in tree.named(".c", ".h", under=PRODUCT):
        for number, line in tree.lines(path):
            points.update((name, (path, number)) for name in re.findall(r'"([a-z-]+\.[a-z-]+)"', line.partition("SN_FAILPOINT(")[2]))
            points.update((f"job.{word}", (path, number)) for word in re.findall(r'X\(SN_JOB_\w+, "([^"]+)"\)', line))
    for name in sorted(points.keys() - rows.keys()):
        yield *points[name], name, f"{name} has no row in {FAILPOINTS}"
    for name in sorted(rows.keys() - points.keys()):
        yield FAILPOINTS, rows[name], name, f"{name} is no failure point"


@rule
def forbidden_text(tree):
    for path in tree.files:
        for number, line in tree.lines(path):
            for pattern, what in FORBIDDEN:
                match = re.search(pattern, line)
                if match:
                    yield path, number, match.group(0), f"{match.group(0)}: {what}"


@rule
def link_target(tree):
    """A relative link of a page leads to something in this tree."""
    for path in tree.named(".md"):
        for number, line in tree.lines(path):
            for target in re.findall(r"\]\((?![a-z]+:|#)([^)#\s]+)", line):
                place = posixpath.normpath(posixpath.join(posixpath.dirname(path), target))
                if not any(file == place or file.startswith(f"{place}/") for file in tree.files):
                    yield path, number, target, f"{target} is not there"


@rule
def header_contract(tree):
    """A header of the product begins with what it is for, and with whose thread may call it."""
    for path in tree.named(".h", under=PRODUCT):
        match = re.search(r"/\*(?!.*SPDX)(.*?)\*/\s*#ifndef", tree.text(path), re.DOTALL)
        words = match.group(1).replace("*", " ") if match else ""
        purpose, thread, _ = words.partition("Thread: ")
        if len(purpose.split()) < 3:
            yield path, 1, "", "the header does not say what it is for"
        if not thread:
            yield path, 1, "", "the header does not say `Thread: ` in its first comment: who may call this"


@rule
def excerpt(tree):
    """A fenced block of a page that names a file (```c path) is an excerpt of it: its lines stand there, in that order; a
    line `...` leaves some out."""
    for path in tree.named(".md"):
        for match in re.finditer(r"^```\w+ ([\w./-]+)\n(.*?)^```$", tree.text(path), re.DOTALL | re.MULTILINE):
            source, block = match.groups()
            line = tree.text(path)[:match.start()].count("\n") + 1
            rest = "\n" + tree.text(source) if source in tree.files else ""
            for part in re.split(r"^[ \t]*\.\.\.\n", block, flags=re.MULTILINE):
                found, _, after = rest.partition("\n" + part)
                if found == rest or not rest:
                    first = part.strip("\n").split("\n")[0].strip()
                    yield path, line, source, f"not as in {source}, from here on: {first}"
                    break
                rest = "\n" + after
