"""`flask doctor`: what it prints, and how it exits."""

import importlib
import os
from unittest import mock

import pytest

import app
from refunds.service.doctor import CHECKS
from tests import records_in
from tests.conftest import ROOT


@pytest.fixture
def run(tmp_path):
    """Runs a command on an installation in development; returns its output by lines, and its exit code."""

    def run(*arguments, **environment):
        with mock.patch.dict(os.environ, records_in(tmp_path) | environment):
            result = importlib.reload(app).app.test_cli_runner().invoke(args=list(arguments))
        return result.stdout.splitlines(), result.exit_code

    run("init")
    return run


def test_each_finding_is_a_line_with_what_to_do_after_it(run):
    lines, code = run("doctor")
    assert code == 0
    assert lines[0] == "ok       settings        development, on 127.0.0.1, port 8000"
    assert lines[1].startswith("warning  settings        in development, a start on an empty database makes an")
    assert lines[2] == f"{'':25}→ set REFUNDS_ENV=production"
    assert "ok       schema          the same as in a new database" in lines


def test_it_exits_with_25_if_a_check_has_failed(run, tmp_path):
    (tmp_path / "keys" / "master.key").chmod(0o644)
    lines, code = run("doctor")
    assert code == 25
    (key,) = [line for line in lines if line.startswith("failed")]
    assert key.startswith("failed   key             REFUNDS_MASTER_KEY_FILE: others can read")
    assert lines[-1].startswith("warning  others          not checked, because of what failed: ")
    assert "ok       schema          the same as in a new database" in lines


def test_it_makes_nothing_where_nothing_is(run, tmp_path):
    lines, code = run("doctor", REFUNDS_DATABASE=f"sqlite:///{tmp_path}/none/refunds.db")
    assert code == 25
    assert any(line.startswith("failed   database") and "flask init" in line for line in lines)
    assert not (tmp_path / "none").exists()


def test_it_speaks_german(run):
    lines, code = run("doctor", "--lang", "de")
    assert code == 0
    assert "ok       schema          wie in einer neuen Datenbank" in lines
    assert not any(" is " in line or line.startswith("warning") for line in lines)
    assert any(line.startswith("Warnung  contact-points") for line in lines)


@pytest.mark.parametrize("check", CHECKS)
def test_every_check_is_documented(check):
    assert f"| `{check}` |" in (ROOT / "docs/operating.md").read_text()
