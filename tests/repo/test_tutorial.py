"""The tutorial happens as it is told: in a real shell, against the real server."""

import json
import os
import re
import shutil
import subprocess
import sys

import pytest

from tests import records_in
from tests.conftest import ROOT
from tests.faults.test_server import FLASK, serving
from tests.repo.test_docs import EXAMPLE, TUTORIAL, assert_answer, parted_text, squeezed

MARK = "-----8<-----"


def steps():
    """Each command of the tutorial, and what it says is printed."""
    for block in EXAMPLE.findall(TUTORIAL.read_text()):
        for shown in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            yield parted_text(shown)


def shell():
    """The shell, in which curl is the machine's own, or else what the tests bring."""
    bash = shutil.which("bash")
    assert bash, "the tutorial is for bash"
    curl = "" if shutil.which("curl") else f'curl() {{ {sys.executable} {ROOT}/tests/repo/curl.py "$@"; }}\n'
    return bash, curl + f'flask() {{ (cd {ROOT}; {FLASK} "$@"); }}\n'


@pytest.fixture(scope="module")
def printed(tmp_path_factory):
    """What the commands of the tutorial print, one after the other in one shell."""
    directory = tmp_path_factory.mktemp("tutorial")
    environment = os.environ | records_in(directory)
    bash, given = shell()
    with serving(**records_in(directory)) as (_, port):
        for role in ("billing", "agent", "supervisor", "auditor"):
            make = [FLASK, "tokens", "create", "--role", role]
            made = subprocess.run(make, cwd=ROOT, env=environment, capture_output=True, check=True)
            environment[role.upper()] = made.stdout.decode().strip()
        script = f"\necho '{MARK}'\n".join(command for command, _ in steps())
        script = given + script.replace("localhost:8000", f"localhost:{port}").replace(".venv/bin/flask", "flask")
        ran = subprocess.run(
            [bash, "-u", "-c", script], cwd=directory, env=environment, capture_output=True, check=True
        )
    assert not ran.stderr, ran.stderr.decode()
    return [part.strip("\n") for part in ran.stdout.decode().split(f"{MARK}\n")]


@pytest.mark.parametrize("step", range(len(list(steps()))))
def test_each_step_prints_what_the_tutorial_shows(printed, step):
    _, shown = list(steps())[step]
    if shown.startswith("{"):
        assert_answer(printed[step], shown)
    else:
        pattern = ".*".join(map(re.escape, "\n".join(squeezed(shown)).split("…")))
        assert re.fullmatch(pattern, "\n".join(squeezed(printed[step]))), printed[step]


def test_the_answers_hold_what_is_left_out(printed):
    """`…` hides nothing that went wrong: each JSON answer of a step is whole."""
    answers = [json.loads(part) for part in printed if part.startswith("{")]
    assert len(answers) >= 12
