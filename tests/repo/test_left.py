"""Directories that killed runs of the tests left are removed when the next run starts."""

import os
import subprocess
import sys

import pytest

from tests import clear_pytest, own_directory


@pytest.fixture
def gone():
    """The id of a process that is gone."""
    with subprocess.Popen([sys.executable, "-c", ""]) as ended:
        pass
    return ended.pid


def test_directories_of_processes_that_are_gone_are_removed(tmp_path, gone):
    others = ["left-of-others", f"left-{gone}", f"else-{gone}-a", "left-0x-a"]
    for name in (*others, f"left-{gone}-a", f"left-{gone}-b"):
        (tmp_path / name).mkdir()
    mine = own_directory("left-", tmp_path)
    again = own_directory("left-", tmp_path)
    assert {each.name for each in tmp_path.iterdir()} == {*others, mine.name, again.name}


def test_directories_of_runs_of_pytest_that_are_gone_are_removed(tmp_path, gone):
    for number, process in enumerate((gone, os.getpid(), None)):
        run = tmp_path / "pytest-of-somebody" / f"pytest-{number}"
        run.mkdir(parents=True)
        if process:
            (run / ".lock").write_text(str(process))
    clear_pytest(tmp_path)
    assert {each.name for each in (tmp_path / "pytest-of-somebody").iterdir()} == {"pytest-1", "pytest-2"}
