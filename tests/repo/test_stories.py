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
from contextlib import ExitStack, closing, contextmanager, suppress
from functools import cache
from unittest import mock

import pytest

import app
from refunds.config import load_settings
from refunds.domain.permissions import COMMAND_LINE, Role
from refunds.service import clients
from refunds.service.store import Store
from tests import database_of, records_in
from tests.conftest import ROOT
from tests.faults.harness import free_port
from tests.faults.test_server import FLASK, get, serving
from tests.repo.test_docs import EXAMPLE, STORIES, assert_answer, command_and_output, without_layout

MARK = "-----8<-----"


def steps(page):
    """Each command of a page, with its output on the page."""
    for block in EXAMPLE.findall(page.read_text()):
        for shown in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            yield command_and_output(shown)


@contextmanager
def tutorial(directory):
    """A server and tokens: the environment of the shell, and the actual ports by those on the page."""
    known = records_in(directory)
    with serving(**known) as (_, port):
        yield known | tokens(known, "billing", "agent", "supervisor", "auditor"), {8000: port}


def tokens(known, *roles):
    """A token for each role, by the name of its variable."""
    with (
        mock.patch.dict(os.environ, known),
        closing(Store(load_settings())) as store,
        store.write(COMMAND_LINE) as uow,
    ):
        return {role.upper(): clients.create_token(uow, Role(role), role, 365) for role in roles}


@contextmanager
def scaling(directory):
    """An existing installation on SQLite, and an empty PostgreSQL database."""
    known = records_in(directory)
    with serving(**known):
        pass
    yield known | {"NEW": database_of(directory, "postgresql")}, {port: free_port() for port in (8001, 8002, 8003)}


@contextmanager
def product_teams(directory):
    """A server with four orders, three of them with requests to cancel, and a token to publish with."""
    known = records_in(directory)
    with serving(**known) as (_, port):
        made = tokens(known, "product", "supervisor")
        by = {"Authorization": f"Bearer {made['SUPERVISOR']}", "Content-Type": "application/json"}
        for number, provided, region, channel, received in REQUESTS:
            order = {"customer_ref": f"K-{number}", "service_provided_at": provided, "region": region}
            assert get(port, f"/v1/orders/{number}", "PUT", json.dumps(order), **by)[0] == 201
            if received is not None:
                contact = {"channel": channel, "received_at": received, "ticket_ref": f"T-{number}"}
                once = by | {"Idempotency-Key": number}
                assert get(port, f"/v1/orders/{number}/contacts", "POST", json.dumps(contact), **once)[0] == 201
        yield known | {"PRODUCT": made["PRODUCT"]}, {8000: port}


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


@contextmanager
def answering(directory):
    """The path of a flask command that runs here, except `flask serve`, which is a separate process."""
    place, command = directory / "commands", directory / "flask"
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
def printed(tmp_path_factory):
    """A function that returns the outputs of the commands of a page."""
    return cache(lambda page: outputs_of(page, tmp_path_factory.mktemp(page.stem)))


def outputs_of(page, directory):
    """Run the commands of a page in one shell, and return their outputs."""
    bash = shutil.which("bash")
    assert bash, "the pages are for bash"
    # The machine's own curl, or else the one of the tests.
    given = "" if shutil.which("curl") else f'curl() {{ {sys.executable} {ROOT}/tests/repo/curl.py "$@"; }}\n'
    script = f"\necho '{MARK}'\n".join(command for command, _ in steps(page))
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
        out, err = shell.communicate(timeout=120)
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
    _, shown = list(steps(page))[step]
    if shown.startswith("{") and "\n{" not in shown:
        assert_answer(printed(page)[step], shown)
    else:
        assert re.fullmatch(pattern_of(shown), "\n".join(without_layout(printed(page)[step]))), printed(page)[step]


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
