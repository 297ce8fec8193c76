# SPDX-License-Identifier: Apache-2.0
"""What the demonstration prints: a heading for each part, one living line per contract, and the table."""

import shutil
import sys
import time

COLUMNS = (("contract", 10), ("asked", 20), ("the OLT holds", 26), ("RADIUS answers", 19), ("session", 14),
           ("outcome and evidence", 28), ("attempts", 9), ("time", 6))
ANSWER_LINES = 6
RULE = "-" * (sum(width for _, width in COLUMNS) + 2 * (len(COLUMNS) - 1))


def heading(text):
    print(f"\n== {text}", flush=True)


def say(text):
    print(text, flush=True)


class Board:
    """One line per contract, made of parts, the newest last: redrawn in place on a terminal; otherwise the newest part
    is printed when it changes."""

    def __init__(self):
        self.lines = {}
        self.live = sys.stdout.isatty()
        self.drawn = 0
        self.started = time.monotonic()

    def put(self, contract, *parts):
        if self.lines.get(contract) == parts:
            return
        self.lines[contract] = parts
        if self.live:
            self.draw()
        else:
            say(f"{time.monotonic() - self.started:5.1f} s  {contract}  {parts[-1]}")

    def draw(self):
        room = shutil.get_terminal_size().columns - 1
        up = f"\x1b[{self.drawn}A" if self.drawn else ""
        body = "".join(f"\r\x1b[2K{fit(contract, parts, room)}\n" for contract, parts in self.lines.items())
        sys.stdout.write(up + body)
        sys.stdout.flush()
        self.drawn = len(self.lines)


def fit(contract, parts, room):
    """One line of at most `room` characters; the oldest parts give way."""
    for begin in range(len(parts)):
        line = f"  {contract}  " + ("... -> " if begin else "") + " -> ".join(parts[begin:])
        if len(line) <= room:
            break
    return line[:room]


def shortened(dialogue, file):
    """A dialogue for the screen: of a long answer the first lines, of a long line the beginning."""
    width = len(RULE)
    shown, answer = [], 0
    for line in [*dialogue.splitlines(), ""]:
        answer = answer + 1 if line.startswith("<") else 0
        if answer <= ANSWER_LINES:
            shown.append(line if len(line) <= width else f"{line[:width - 3]}...")
        elif answer == ANSWER_LINES + 1:
            shown.append(f"<   ... (whole answer: {file})")
    return "\n".join(shown).rstrip()


def wrap(text, width):
    """Lines of at most `width`, broken at spaces where there are some."""
    lines, line = [], ""
    for word in text.split(" "):
        if line and len(line) + 1 + len(word) > width:
            lines.append(line)
            line = word
        else:
            line = f"{line} {word}".strip()
    return lines + [line]


def row(cells):
    """Lines of one contract; each cell is a list of lines, column by column."""
    columns = [[part for line in cell for part in wrap(line, width)] for cell, (_, width) in zip(cells, COLUMNS)]
    for index in range(max(map(len, columns))):
        parts = [(column[index] if index < len(column) else "").ljust(width)
                 for column, (_, width) in zip(columns, COLUMNS)]
        yield "  ".join(parts).rstrip()


def together(*cells):
    """Makes the cells of one event equally high, so that the next event's begin on the same line in every column."""
    wrapped = [wrap(cell, width) for cell, width in cells]
    height = max(map(len, wrapped))
    return [lines + [""] * (height - len(lines)) for lines in wrapped]


def table(rows):
    lines = ["  ".join(name.ljust(width) for name, width in COLUMNS).rstrip(), RULE]
    for cells in rows:
        lines += [*row(cells), RULE]
    return "\n".join(lines)


def event_cells(steps):
    """Four columns (asked, outcome, attempts, time) from [(asked, what the ledger says of the event, seconds)]."""
    columns = [[], [], [], []]
    widths = [dict(COLUMNS)[name] for name in ("asked", "outcome and evidence", "attempts", "time")]
    for asked, event, seconds in steps:
        texts = (asked, outcome(event), attempts(event), f"{seconds:.1f} s")
        for column, lines in zip(columns, together(*zip(texts, widths))):
            column += lines
    return columns


def outcome(event):
    evidence = event.get("evidence") or "none"
    words = event["outcome"] + (f" ({evidence})" if evidence != "none" else "")
    if event.get("code"):
        words += f": {event['code']}"
    path = (event.get("args") or {}).get("path")
    return words + (f" at {path}" if path else "")


def attempts(event):
    tries, runs = event.get("attempt") or 0, event.get("run") or 0
    return f"{tries}" + (f", {runs} runs" if runs > 1 else "")
