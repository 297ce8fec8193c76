# SPDX-License-Identifier: Apache-2.0
"""The one bounded wait: everything that waits for another process waits here, for a condition, with a limit."""

import os
import time
import urllib.error
import urllib.request


# Everything takes so many times as long: under valgrind, on a machine that is busy with other things.
PATIENCE = float(os.environ.get("LAB_PATIENCE", "1"))


class LabError(Exception):
    """Something that the person at the keyboard can act on; its text is one clear sentence."""


def wait_until(condition, what, timeout_s=20.0, every_s=0.02):
    """Calls condition() until it is true and returns its value.

    condition may raise LabError to give up early (for instance because the process is gone). After timeout_s a
    LabError says what was waited for and what the condition answered last.
    """
    timeout_s *= PATIENCE
    deadline = time.monotonic() + timeout_s
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() >= deadline:
            raise LabError(f"waited {timeout_s:g} s for {what}, in vain (last answer: {value!r})")
        time.sleep(every_s)


def http_get(url, timeout_s=2.0):
    """(status, text) of a loopback server; None while nobody answers. No proxy of the environment is asked."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url, timeout=timeout_s) as answer:
            return answer.status, answer.read().decode("utf-8", "replace")
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode("utf-8", "replace")
    except OSError:
        return None
