# SPDX-License-Identifier: Apache-2.0
"""Private instances of the real servers in one folder, on loopback, on ports of their own (see lab.py)."""

from .lab import Lab, exit_on_signals
from .odoo import Odoo
from .process import Process
from .silverd import Silverd
from .sim import Sim
from .wait import LabError, http_get, wait_until

__all__ = ["Lab", "LabError", "Odoo", "Process", "Silverd", "Sim", "exit_on_signals", "http_get", "wait_until"]
