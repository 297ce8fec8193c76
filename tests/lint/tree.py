# SPDX-License-Identifier: Apache-2.0
"""What the rules look at: the files of a source tree, C without comments and strings, sizes, and the exceptions."""

import collections
import functools
import json
import pathlib
import re
import subprocess

LINT = "tests/lint"
CASES = f"{LINT}/cases/"            # small bad trees, the rules' own tests
EXCEPTIONS = f"{LINT}/exceptions.txt"

Finding = collections.namedtuple("Finding", "rule path line text")
Function = collections.namedtuple("Function", "name path line lines")


class Tree:
    """Attributes: root, files (paths relative to root, '/' between; what git knows or would add)."""

    def __init__(self, root):
        self.root = pathlib.Path(root).resolve()
        self.files = [path for path in _list(self.root) if not path.startswith(CASES)]

    def named(self, *endings, under=()):
        """Files whose name ends so, in one of the folders `under` when some are given."""
        return [path for path in self.files if path.endswith(endings)
                and (not under or path.startswith(tuple(f"{folder}/" for folder in under)))]

    @functools.lru_cache(maxsize=None)
    def text(self, path):
        """The text of a file; "" for what is not UTF-8 text."""
        try:
            text = (self.root / path).read_text(encoding="utf-8")
        except (UnicodeDecodeError, IsADirectoryError):
            return ""
        return "" if "\0" in text else text

    def lines(self, path):
        return enumerate(self.text(path).splitlines(), 1)

    def code_lines(self, path):
        """Lines of a C, Python or shell file without comments and, in C and Python, without string literals."""
        code = _strip_c(self.text(path)) if path.endswith((".c", ".h")) else _strip_script(self.text(path))
        return enumerate(code.splitlines(), 1)

    def shebang(self, path):
        first = self.text(path).split("\n", 1)[0]
        return first if first.startswith("#!") else ""

    def python(self):
        return [path for path in self.files if path.endswith(".py") or "python" in self.shebang(path)]

    def shell(self):
        return [path for path in self.files if path.endswith(".sh") or re.search(r"\bsh$", self.shebang(path))]

    def functions(self):
        """Every C and Python function with its number of lines, from universal-ctags."""
        wanted = self.named(".c", ".h") + self.python()
        if not wanted:
            return []
        argv = ["ctags", "--output-format=json", "--fields=+ne", "--kinds-C=f", "--kinds-Python=fm", "-f", "-", "-L", "-"]
        try:
            done = subprocess.run(argv, input="\n".join(wanted), cwd=self.root, capture_output=True, text=True,
                                  check=True)
        except FileNotFoundError:
            raise SystemExit("lint: ctags is missing: sh deploy/packages/install test") from None
        tags = [json.loads(line) for line in done.stdout.splitlines()]
        return [Function(tag["name"], tag["path"], tag["line"], tag["end"] - tag["line"] + 1)
                for tag in tags if "end" in tag]


def _list(root):
    """git's list where this is the top of a work tree, else every file below."""
    done = subprocess.run(["git", "-C", root, "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
                          capture_output=True, text=True, check=False) if (root / ".git").exists() else None
    if done and done.returncode == 0:
        return sorted(path for path in set(done.stdout.split("\0")) if path and (root / path).is_file())
    return sorted(str(path.relative_to(root)) for path in root.rglob("*")
                  if path.is_file() and not {".git", "build", "__pycache__"} & set(path.relative_to(root).parts))


def _blank(match):
    """As many lines as the match had; a literal leaves its quotes."""
    text = match.group(0)
    return ('""' if text[0] in "\"'" else "") + "\n" * text.count("\n")


def _strip_c(text):
    return re.sub(r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', _blank, text, flags=re.S)


def _strip_script(text):
    return re.sub(r'""".*?"""|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'|(?<![\w$&{])#[^\n]*', _blank, text, flags=re.S)


class Exceptions:
    """Lines `rule path[:name] - reason`. A path that ends in '/' stands for all below it. One that nothing needs any
    more is a finding itself."""

    def __init__(self, tree):
        self.entries = {}
        self.faults = []
        self.used = set()
        if EXCEPTIONS not in tree.files:
            return
        for number, line in tree.lines(EXCEPTIONS):
            if not line.strip() or line.startswith("#"):
                continue
            match = re.fullmatch(r"(\S+) (\S+) - (\S.{9,})", line)
            if match:
                self.entries[match.group(1), match.group(2)] = number
            else:
                self.faults.append(Finding("exceptions", EXCEPTIONS, number, "not `rule path[:name] - reason`"))

    def allows(self, rule, path, name=""):
        for key in [(rule, f"{path}:{name}"), (rule, path),
                    *((rule, f"{parent}/") for parent in map(str, pathlib.PurePosixPath(path).parents))]:
            if key in self.entries:
                self.used.add(key)
                return True
        return False

    def findings(self):
        unused = [Finding("exceptions", EXCEPTIONS, number, f"{rule} {place}: nothing needs it any more")
                  for (rule, place), number in self.entries.items() if (rule, place) not in self.used]
        return self.faults + unused
