# SPDX-License-Identifier: Apache-2.0
"""The one bounded wait: everything that waits for another process waits here, for a condition, with a limit."""

import time


class LabError(Exception):
    """Something that the person at the keyboard can act on; its text is one clear sentence."""


def wait_until(condition, what, timeout_s=20.0, every_s=0.02):
    """Calls condition() until it is true and returns its value.

    condition may raise LabError to give up early (for instance because the process is gone). After timeout_s a
    LabError says what was waited for and what the condition answered last.
    """
    deadline = time.monotonic() + timeout_s
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() >= deadline:
            raise LabError(f"waited {timeout_s:g} s for {what}, in vain (last answer: {value!r})")
        time.sleep(every_s)
