"""The pages that tell a story happen as they are told: in a real shell, against real servers."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from contextlib import ExitStack, contextmanager, suppress

import pytest

from tests import database_of, records_in
from tests.conftest import ROOT
from tests.faults.harness import free_port
from tests.faults.test_server import FLASK, serving
from tests.repo.test_docs import EXAMPLE, STORIES, assert_answer, parted_text, squeezed

MARK = "-----8<-----"


def steps(page):
    """Each command of a page, and what it says is printed."""
    for block in EXAMPLE.findall(page.read_text()):
        for shown in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            yield parted_text(shown)


@contextmanager
def tutorial(directory):
    """A server and the tokens of those who take part; what the shell knows, and the ports that stand for the page's."""
    known = records_in(directory)
    with serving(**known) as (_, port):
        for role in ("billing", "agent", "supervisor", "auditor"):
            make = [FLASK, "tokens", "create", "--role", role]
            made = subprocess.run(make, cwd=ROOT, env=os.environ | known, capture_output=True, check=True)
            known[role.upper()] = made.stdout.decode().strip()
        yield known, {8000: port}


@contextmanager
def scaling(directory):
    """An installation on SQLite that has served, and an empty PostgreSQL database."""
    known = records_in(directory)
    with serving(**known):
        pass
    yield known | {"NEW": database_of(directory, "postgresql")}, {port: free_port() for port in (8001, 8002, 8003)}


SCENES = {"tutorial": tutorial, "scaling": scaling}


@pytest.fixture(scope="module")
def printed(tmp_path_factory):
    """What the commands of each page print, one after the other in one shell."""
    return {page: told(page, tmp_path_factory.mktemp(page.stem)) for page in STORIES}


def told(page, directory):
    """What the commands of a page print."""
    bash = shutil.which("bash")
    assert bash, "the pages are for bash"
    # The machine's own curl, or else what the tests bring.
    given = "" if shutil.which("curl") else f'curl() {{ {sys.executable} {ROOT}/tests/repo/curl.py "$@"; }}\n'
    script = f"\necho '{MARK}'\n".join(command for command, _ in steps(page)).replace(".venv/bin/flask", FLASK)
    with ExitStack() as scene:
        known, ports = scene.enter_context(SCENES[page.stem](directory))
        for shown, port in ports.items():
            script = script.replace(str(shown), str(port))
        here = {"PYTHONPATH": str(ROOT), "FLASK_APP": "app"}  # whatever it leaves behind, it leaves elsewhere
        shell = subprocess.Popen(
            [bash, "-u", "-c", given + script],
            cwd=directory,
            env=os.environ | known | here,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        scene.callback(end_group, shell)
        out, err = shell.communicate(timeout=120)
    complaints = [line for line in err.decode().splitlines() if "\u2501" not in line]  # a bar shows how far it is
    assert (shell.returncode, complaints) == (0, []), err.decode()
    return [part.strip("\n") for part in out.decode().split(f"{MARK}\n")]


def end_group(shell):
    """End what a page has started and did not come to stop."""
    with suppress(ProcessLookupError):
        os.killpg(shell.pid, signal.SIGKILL)
    shell.communicate()


@pytest.mark.parametrize(
    ("page", "step"),
    [
        pytest.param(page, step, id=f"{page.stem} {step}")
        for page in sorted(STORIES)
        for step in range(len(list(steps(page))))
    ],
)
def test_each_step_prints_what_the_page_shows(printed, page, step):
    _, shown = list(steps(page))[step]
    if shown.startswith("{") and "\n{" not in shown:
        assert_answer(printed[page][step], shown)
    else:
        pattern = ".*".join(map(re.escape, "\n".join(squeezed(shown)).split("…")))
        assert re.fullmatch(pattern, "\n".join(squeezed(printed[page][step]))), printed[page][step]


def test_the_answers_hold_what_is_left_out(printed):
    """`…` hides nothing that went wrong: each JSON answer of a step is whole."""
    answers = [
        json.loads(part) for parts in printed.values() for part in parts if part.startswith("{") if "\n" not in part
    ]
    assert len(answers) >= 15
