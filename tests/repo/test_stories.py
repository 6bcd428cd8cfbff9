"""The pages with a sequence of commands are correct: they run in a real shell, with real servers."""

import contextlib
import importlib
import json
import os
import re
import shutil
import signal
import socketserver
import subprocess
import sys
import threading
from contextlib import ExitStack, contextmanager, suppress
from functools import cache
from unittest import mock

import pytest

import app
from tests import database_of, records_in
from tests.conftest import ROOT
from tests.faults.harness import free_port
from tests.faults.test_server import FLASK, get, serving
from tests.repo.test_docs import EXAMPLE, STORIES, assert_answer, command_and_output, without_layout

MARK = "-----8<-----"

REPEATED = {ROOT / "docs/tutorial.md"}
"""Pages whose commands can be run again on the same database; they are run twice."""


def steps(page):
    """Each command of a page, with its output on the page."""
    for block in EXAMPLE.findall(page.read_text()):
        for shown in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            yield command_and_output(shown)


@contextmanager
def tutorial(directory):
    """A server: the environment of the shell, and the actual ports by those on the page."""
    known = installation(directory)
    with serving(**known) as (_, port):
        yield known, {8000: port}


def installation(directory):
    """The settings of a service with its files where they are by default, in the directory of the shell."""
    own = directory / "instance"
    return {
        "REFUNDS_DATABASE": f"sqlite:///{own}/refunds.db",
        "REFUNDS_MASTER_KEY_FILE": f"{own}/master.key",
        "REFUNDS_LEDGER_DIR": f"{own}/ledger",
    }


@contextmanager
def scaling(directory):
    """An existing installation on SQLite, and an empty PostgreSQL database."""
    known = records_in(directory)
    with serving(**known):
        pass
    yield known | {"NEW": database_of(directory, "postgresql")}, {port: free_port() for port in (8001, 8002, 8003)}


@contextmanager
def product_teams(directory):
    """A server with four orders, three of them with requests to cancel."""
    known = installation(directory)
    with serving(**known) as (_, port):
        made = dict(line.split("=") for line in (directory / "instance/tokens.env").read_text().splitlines())
        by = {"Authorization": f"Bearer {made['SUPERVISOR']}", "Content-Type": "application/json"}
        for number, provided, region, channel, received in REQUESTS:
            order = {"customer_ref": f"K-{number}", "service_provided_at": provided, "region": region}
            assert get(port, f"/v1/orders/{number}", "PUT", json.dumps(order), **by)[0] == 201
            if received is not None:
                contact = {"channel": channel, "received_at": received, "ticket_ref": f"T-{number}"}
                once = by | {"Idempotency-Key": number}
                assert get(port, f"/v1/orders/{number}/contacts", "POST", json.dumps(contact), **once)[0] == 201
        yield known, {8000: port}


REQUESTS = [
    ("A-2001", "2026-04-02T16:20:00+02:00", "DE-BY", "email", "2026-04-09T10:00:00+02:00"),
    ("A-2002", "2026-04-02T17:05:00+02:00", "DE-BY", "phone", "2026-04-08T09:30:00+02:00"),
    ("A-2003", "2026-05-12T11:45:00+02:00", "DE-BE", "phone", "2026-05-18T15:10:00+02:00"),
    ("A-2004", None, "DE-HH", None, None),
]
"""Orders, service instants and regions; channels and times of the requests to cancel."""

SCENES = {"tutorial": tutorial, "scaling": scaling, "product-teams": product_teams}


class Answering(socketserver.BaseRequestHandler):
    """Runs a flask command of the shell in this process."""

    def handle(self):
        """Read the command with its directory and environment, and send back its output and exit code."""
        command = json.loads(self.request.makefile().readline())
        with contextlib.chdir(command["cwd"]), mock.patch.dict(os.environ, command["environment"], clear=True):
            result = importlib.reload(app).app.test_cli_runner().invoke(args=command["words"])
            app.app.extensions["refunds.store"].close()
        self.request.sendall(json.dumps([result.stdout, result.stderr, result.exit_code]).encode())


OURS = "commands", "flask"
"""The files of the tests in the directory of the shell."""


@contextmanager
def answering(directory):
    """The path of a flask command that runs here, except `flask serve`, which is a separate process."""
    place, command = (directory / name for name in OURS)
    asks = f"{sys.executable} -S -E {ROOT}/tests/repo/ask.py {place}"
    command.write_text(f'#!/bin/sh\n[ "$1" = serve ] && exec {FLASK} serve || exec {asks} "$@"\n')
    command.chmod(0o755)
    with socketserver.UnixStreamServer(str(place), Answering) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield str(command)
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """A function that returns the outputs of the commands of a page, and the directory in which they ran."""

    def run(page):
        directory = tmp_path_factory.mktemp(page.stem)
        return outputs_of(page, directory), directory

    return cache(run)


@pytest.fixture(scope="module")
def printed(ran):
    """A function that returns the outputs of the commands of a page."""
    return lambda page: ran(page)[0]


def outputs_of(page, directory):
    """Run the commands of a page in one shell, twice if it says that one may, and return their outputs."""
    bash = shutil.which("bash")
    assert bash, "the pages are for bash"
    # The machine's own curl, or else the one of the tests.
    given = "" if shutil.which("curl") else f'curl() {{ {sys.executable} {ROOT}/tests/repo/curl.py "$@"; }}\n'
    commands = [command for command, _ in steps(page)]
    if page in REPEATED:
        commands += [f"sleep 1; {commands[0]}", *commands[1:]]  # so that the time is another one
    script = f"\necho '{MARK}'\n".join(commands)
    with ExitStack() as scene:
        script = script.replace(".venv/bin/flask", scene.enter_context(answering(directory)))
        known, ports = scene.enter_context(SCENES[page.stem](directory))
        for shown, port in ports.items():
            script = script.replace(str(shown), str(port))
        here = {"PYTHONPATH": str(ROOT), "FLASK_APP": "app"}  # so that it leaves no files in the repository
        shell = subprocess.Popen(
            [bash, "-u", "-c", given + script],
            cwd=directory,
            env=os.environ | known | here,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        scene.callback(end_group, shell)
        try:
            out, err = shell.communicate(timeout=120)
        except subprocess.TimeoutExpired as late:
            logs = [f"{log.name}:\n{log.read_text()}" for log in sorted(directory.glob("*.txt"))]
            pytest.fail("\n".join(["it did not end", (late.output or b"").decode(), *logs]))
    errors = [line for line in err.decode().splitlines() if "\u2501" not in line]  # a progress bar
    assert (shell.returncode, errors) == (0, []), err.decode()
    return [part.strip("\n") for part in out.decode().split(f"{MARK}\n")]


def end_group(shell):
    """Kill the processes that a page has started and not stopped."""
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
    """Each time, if the page is run more than once."""
    commands = list(steps(page))
    outputs = printed(page)[step :: len(commands)]
    assert len(outputs) == 1 + (page in REPEATED)
    for output in outputs:
        assert_shown(output, commands[step][1])


def assert_shown(output, shown):
    """Compare an output with that on the page: as JSON if it is that."""
    if shown.startswith("{") and "\n{" not in shown:
        assert_answer(output, shown)
    else:
        assert re.fullmatch(pattern_of(shown), "\n".join(without_layout(output))), output


@pytest.mark.parametrize("page", sorted(REPEATED), ids=lambda page: page.stem)
def test_a_page_that_can_be_run_again_leaves_no_file(ran, page):
    _, directory = ran(page)
    assert {path.name for path in directory.iterdir()} == {"instance", *OURS}
    assert {path.name for path in (directory / "instance").iterdir()} - {"refunds.db-wal", "refunds.db-shm"} == {
        "refunds.db",
        "refunds.db.lock",
        "refunds.db.in-use",
        "master.key",
        "tokens.env",
        "ledger",
    }


def pattern_of(shown):
    """The pattern of a text: `…` is anything within a line, and any lines if it is alone on one."""
    lines = without_layout(shown)
    return "\n".join("(?s:.*)" if line == "…" else ".*".join(map(re.escape, line.split("…"))) for line in lines)


def test_abbreviated_answers_are_complete_json(printed):
    """So that `…` hides no error: each JSON answer of a step can be parsed."""
    answers = [
        json.loads(part) for page in STORIES for part in printed(page) if part.startswith("{") if "\n" not in part
    ]
    assert len(answers) >= 15
