"""Programs with generated clients, and what their tests share."""

import os
import re
import subprocess
import sys
from pathlib import Path

from tests.conftest import ROOT

DOCUMENT = ROOT / "openapi.yaml"
HERE = Path(__file__).parent
BIN = Path(sys.executable).parent

HAPPENED = [
    "order.registered",
    "order.promised",
    "contact.recorded",
    "cancellation.issued",
    "cancellation.refund_begun",
    "cancellation.settled",
]
"""The events of the order that each program cancels."""


def run(*words, cwd=None, **environment):
    """The output and error output of a command that must succeed."""
    done = subprocess.run(words, cwd=cwd, env=os.environ | environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout, done.stderr


def assert_cancelled(steps, order_id):
    """Assert that every step of a program has the expected response."""
    order, decision, issued, begun, settled = (
        steps[step] for step in ("order", "decision", "issued", "begun", "settled")
    )
    assert (order["order_id"], order["customer_ref"], order["revision"]) == (order_id, "C-1", 1)
    assert (decision["eligible"], decision["reason"], decision["window"]["length"]) == (True, "within_window", 2)
    assert (issued["order_id"], issued["state"], issued["basis"]) == (order_id, "issued", "policy")
    assert re.fullmatch(r"\d{3}-\d{3}-\d{4}", issued["reference"])
    assert steps["read"] == issued
    assert begun | {"state": "issued", "refund": None} == issued | {"refund": None}
    assert (begun["state"], begun["refund"]["billing_ref"]) == ("refunding", "R-1")
    assert settled | {"state": "refunding", "settlement": None} == begun | {"settlement": None}
    assert (settled["state"], settled["settlement"]["billing_ref"]) == ("settled", "R-1")
    assert steps["events"] == HAPPENED
