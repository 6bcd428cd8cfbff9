"""The environment is created, repaired or replaced without a question; if that fails, one line says what to do."""

import importlib.util
import os
import subprocess
import sys

import pytest

from refunds.cli import Commands
from tests.conftest import ROOT


@pytest.fixture
def tool(tmp_path, monkeypatch):
    """The tool, for a separate environment."""
    spec = importlib.util.spec_from_file_location("install", ROOT / "tools/install.py")
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    monkeypatch.setattr(tool, "VENV", tmp_path / ".venv")
    monkeypatch.setattr(tool, "PYTHON", tmp_path / ".venv/bin/python")
    monkeypatch.setattr(tool, "COMMAND", tmp_path / ".venv/bin/refunds")
    (tmp_path / "requirements.txt").write_text("flask==3.1.3\n")
    tool.filled = 0

    def fill(_):
        tool.filled += 1
        tool.PYTHON.parent.mkdir(parents=True, exist_ok=True)
        if not tool.PYTHON.exists():
            tool.PYTHON.unlink(missing_ok=True)
            tool.PYTHON.symlink_to(sys.executable)
        package = tmp_path / ".venv/lib/python3/site-packages/flask-3.1.3.dist-info"
        package.mkdir(parents=True, exist_ok=True)
        (package / "RECORD").touch()
        tool.write_command()

    monkeypatch.setattr(tool, "fill", fill)
    tool.main = lambda main=tool.main: main(tmp_path / "requirements.txt")
    return tool


def test_installed_requirements_are_not_installed_again(tool):
    tool.main()
    tool.main()
    assert tool.filled == 1


@pytest.mark.parametrize(
    "what",
    ["bin/python", "bin/refunds", "requirements.installed", "lib/python3/site-packages/flask-3.1.3.dist-info/RECORD"],
)
def test_a_damaged_environment_is_repaired_or_replaced(tool, what):
    tool.main()
    (tool.VENV / what).unlink()
    (tool.VENV / "left over").touch()
    tool.main()
    tool.main()
    assert tool.filled == 2
    assert (tool.VENV / "left over").exists() == what.startswith(("lib", "bin/refunds")), (
        "an environment that no longer runs is created again"
    )


def test_changed_requirements_are_installed(tool, tmp_path):
    tool.main()
    (tmp_path / "requirements.txt").write_text("flask==3.1.4\n")
    tool.main()
    assert tool.filled == 2


def test_a_failed_installation_does_not_change_the_environment(tool, tmp_path, monkeypatch):
    tool.main()
    (tmp_path / "requirements.txt").write_text("flask==3.1.4\n")

    def fail(_):
        tool.run([sys.executable, "-c", "import sys; sys.exit('no route to host')"], tool.NETWORK)

    monkeypatch.setattr(tool, "fill", fail)
    with pytest.raises(tool.FailedError, match=r"no route to host \(can the package registry be reached\?\)$"):
        tool.main()
    assert tool.PYTHON.exists()
    assert not (tmp_path / ".venv.old").exists()


def test_a_python_that_is_too_old_is_reported_before_anything_is_created(tool, monkeypatch):
    monkeypatch.setattr(sys, "version_info", (3, 9, 2))
    with pytest.raises(tool.FailedError, match=r"Python 3.9 is too old: .* make PYTHON=python3.11 serve"):
        tool.main()
    assert not tool.VENV.exists()


def test_the_service_has_a_command_of_its_own_name(tool, tmp_path):
    tool.main()
    tool.PYTHON.unlink()
    tool.PYTHON.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')  # with the installed packages
    tool.PYTHON.chmod(0o755)
    environment = os.environ | {"REFUNDS_DATABASE": f"sqlite:///{tmp_path}/refunds.db"}
    ran = subprocess.run(
        [tool.COMMAND, "--help"], cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
    )
    assert ran.stdout.startswith("Usage: refunds [OPTIONS] COMMAND [ARGS]...\n\n  Decide whether orders can still be")
    commands = ran.stdout.partition("Commands:\n")[2].splitlines()
    assert [line.split()[0] for line in commands] == list(Commands.NAMES)
    assert all(line.startswith("  ") and line.endswith(".") and "..." not in line for line in commands)
