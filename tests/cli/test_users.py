"""`flask users`, and what `flask serve` prints about users of a new installation."""

import importlib
import os
import re
import signal
import sys
from contextlib import closing
from pathlib import Path
from unittest import mock

import pytest
import time_machine
from click import unstyle

import app
from refunds.cli import server
from refunds.domain.permissions import COMMAND_LINE, Role
from refunds.errors import Unauthenticated
from refunds.security.master_key import create_master_key
from refunds.service import clients, users
from refunds.service.store import Store
from tests import records_in
from tests.faults.harness import free_port

PASSWORD = "[a-z2-9]{5}(?:-[a-z2-9]{5}){3}"


class Commands:
    """The flask command on an installation."""

    def __init__(self, directory, engine, **environment):
        self.environment = records_in(directory, engine) | environment
        # Or each command would report that it created one.
        create_master_key(Path(self.environment["REFUNDS_MASTER_KEY_FILE"]))
        with self._environment():
            self.app = importlib.reload(app).app

    def _environment(self):
        return mock.patch.dict(os.environ, self.environment)

    def run(self, *arguments):
        """The output, the error output and the exit code of a command."""
        with self._environment():
            result = self.app.test_cli_runner().invoke(args=list(arguments))
        return result.stdout, result.stderr, result.exit_code

    def installed(self):
        """Itself, after the installation was made."""
        assert self.run("init")[2] == 0
        return self

    def added(self, name, role="agent"):
        """Add a user and return the password."""
        out, _, code = self.run("users", "add", name, "--role", role)
        assert code == 0
        assert re.fullmatch(f"{PASSWORD}\n", out)
        return out.strip()

    def sign_in(self, name, password):
        """Sign in, and return the user, or None if that fails."""
        with closing(Store(self.app.extensions["refunds.settings"])) as store:
            try:
                return users.sign_in(store, name, password)
            except Unauthenticated:
                return None

    def is_signed_in(self, user):
        """Whether the session of a user is still valid."""
        with closing(Store(self.app.extensions["refunds.settings"])) as store:
            try:
                return users.signed_in(store, users.session_for(store, user))[0].actor == user.user_id
            except Unauthenticated:
                return False

    def listed(self):
        """The rows of the list of users, by name."""
        out, _, code = self.run("users", "list")
        assert code == 0
        head, *rows = [line.split() for line in out.splitlines()]
        assert head == ["user", "role", "user", "id", "added", "state"]
        return {row[0]: row for row in rows}


@pytest.fixture(scope="module")
def commands(engine, tmp_path_factory):
    """The commands on one installation, on each engine."""
    return Commands(tmp_path_factory.mktemp("commands"), engine).installed()


def test_a_new_user_signs_in_with_the_printed_password(commands):
    password = commands.added("Anna", "supervisor")
    user = commands.sign_in("anna", password)
    assert (user.name, user.role) == ("anna", Role.SUPERVISOR)
    assert commands.sign_in("anna", password[::-1]) is None


def test_users_are_listed_without_their_passwords(commands):
    passwords = [commands.added(name, role) for name, role in (("list-b", "auditor"), ("list-a", "product"))]
    out, _, _ = commands.run("users", "list")
    rows = commands.listed()
    assert [rows[name][1::3] for name in ("list-b", "list-a")] == [["auditor", "active"], ["product", "active"]]
    assert list(rows).index("list-b") < list(rows).index("list-a"), "in the order in which they were added"
    assert re.fullmatch(r"usr_[0-9A-Z]{26} \d{4}-\d\d-\d\d", " ".join(rows["list-a"][2:4]))
    assert not [secret for secret in (*passwords, "$argon2") if secret in out]


def test_users_and_tokens_are_listed_with_dates_of_the_vendors_time_zone(tmp_path, engine):
    own = Commands(tmp_path, engine).installed()
    for at, day, next_day in (
        ("2026-04-07T21:59:59Z", "2026-04-07", "2026-04-08"),
        ("2026-04-07T22:00:00Z", "2026-04-08", "2026-04-09"),
    ):
        with time_machine.travel(at, tick=False), closing(Store(own.app.extensions["refunds.settings"])) as store:
            with store.write(COMMAND_LINE) as uow:
                users.add(uow, f"at-{day}", Role.AGENT)
                clients.create_token(uow, Role.AGENT, f"at-{day}", 1)
            assert own.listed()[f"at-{day}"][-2] == day
            (row,) = (line.split() for line in own.run("tokens", "list")[0].splitlines() if f"at-{day}" in line)
            assert row[-2] == next_day


def test_a_disabled_user_cannot_sign_in_until_a_reset(commands):
    password = commands.added("dora")
    user = commands.sign_in("dora", password)
    text = "dora is disabled: flask users reset dora enables them again.\n"
    assert commands.run("users", "disable", "Dora") == (text, "", 0)
    assert commands.listed()["dora"][-1] == "disabled"
    assert not commands.is_signed_in(user)
    assert commands.sign_in("dora", password) is None
    assert commands.run("users", "disable", "dora") == (text, "", 0)
    out, err, code = commands.run("users", "reset", "dora")
    assert (err, code) == ("", 0)
    assert re.fullmatch(f"{PASSWORD}\n", out)
    assert commands.listed()["dora"][-1] == "active"
    assert commands.sign_in("dora", password) is None
    assert commands.is_signed_in(commands.sign_in("dora", out.strip()))


def test_a_forgotten_user_has_no_name_and_no_session_and_leaves_their_name_to_another(commands, tmp_path, engine):
    user = commands.sign_in("zqanna", commands.added("ZQanna"))
    assert commands.is_signed_in(user)
    assert commands.run("users", "forget", "zqanna") == (f"{user.user_id} has no name any more.\n", "", 0)
    assert not commands.is_signed_in(user)
    for words in (("reset",), ("disable",), ("forget",)):
        out, err, code = commands.run("users", *words, "zqanna")
        assert (out, code) == ("", 3)
        assert "no user of this name" in err
    assert f"{user.user_id} " in commands.run("users", "list")[0]
    with closing(Store(commands.app.extensions["refunds.settings"])) as store, store.read(COMMAND_LINE) as uow:
        kept = next(one for one in uow.users.iter_all() if one.user_id == user.user_id)
        assert (kept.user_id, kept.name, kept.password_hash, kept.role) == (user.user_id, None, "", user.role)
        assert uow.verify(store.checkpoints).events
        assert uow.users.names([user.user_id]) == {}
    if engine == "sqlite":
        assert not [file for file in tmp_path.rglob("*") if file.is_file() and b"zqanna" in file.read_bytes()]
    commands.added("zqanna")
    assert commands.sign_in("zqanna", commands.run("users", "reset", "zqanna")[0].strip()).user_id != user.user_id


def test_a_forgotten_client_has_no_name_and_no_token(commands, tmp_path, engine):
    for name in ("zqshop", "other"):
        assert commands.run("tokens", "create", "--role", "billing", "--client", name)[2] == 0
    out, err, code = commands.run("tokens", "forget", "zqshop")
    assert (err, code) == ("", 0)
    client_id = out.split()[0]
    assert out == f"{client_id} has no name any more.\n"
    listed = [line.split() for line in commands.run("tokens", "list")[0].splitlines()]
    assert [(line[1], line[-1]) for line in listed[1:]] == [(client_id, "revoked"), ("other", "active")]
    out, err, code = commands.run("tokens", "forget", "zqshop")
    assert (out, code) == ("", 3)
    assert "no client of this name" in err
    with closing(Store(commands.app.extensions["refunds.settings"])) as store, store.read(COMMAND_LINE) as uow:
        assert uow.verify(store.checkpoints).events
    if engine == "sqlite":
        assert not [file for file in tmp_path.rglob("*") if file.is_file() and b"zqshop" in file.read_bytes()]


def test_a_reset_ends_every_session(commands):
    user = commands.sign_in("emil", commands.added("emil"))
    assert commands.is_signed_in(user)
    assert commands.run("users", "reset", "emil")[2] == 0
    assert not commands.is_signed_in(user)


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["add", "taken", "--role", "agent"], 3, "name: there is a user taken already: choose another name\n"),
        (["add", " TAKEN ", "--role", "agent"], 3, "name: there is a user taken already: choose another name\n"),
        (["add", "no body", "--role", "agent"], 3, "name: must be 1 to 64 letters from a to z, digits and . _ @ -"),
        (["add", "", "--role", "agent"], 3, "name: must be 1 to 64 letters"),
        (["add", "x" * 65, "--role", "agent"], 3, "name: must be 1 to 64 letters"),
        (["add", "änne", "--role", "agent"], 3, "name: must be 1 to 64 letters"),
        (["add", "\udcff", "--role", "agent"], 3, "name: must be 1 to 64 letters"),
        (["add", "--role", "agent"], 2, "Missing argument 'NAME'"),
        (["add", "nobody"], 2, "Missing option '--role'"),
        (["add", "nobody", "--role", "king"], 2, "'king' is not one of"),
        (["disable", "nobody"], 3, "there is no user of this name: see `flask users list`\n"),
        (["disable", "\udcff"], 3, "there is no user of this name"),
        (["disable"], 2, "Missing argument 'NAME'"),
        (["reset", "nobody"], 3, "there is no user of this name: see `flask users list`\n"),
        (["reset", "\udcff"], 3, "there is no user of this name"),
        (["reset", "no body"], 3, "there is no user of this name"),
        (["list", "nobody"], 2, "unexpected extra argument"),
    ],
)
def test_an_invalid_command_about_users_is_reported(commands, arguments, code, message):
    if "taken" not in commands.listed():
        commands.added("taken")
    before = commands.listed()
    out, err, ended = commands.run("users", *arguments)
    assert (out, ended, message in err) == ("", code, True), err
    assert "Traceback" not in err
    assert commands.listed() == before


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ([], "Add, list, disable, forget and reset the users of the console."),
        (["add"], "Add a user and print the password. It is shown only this once."),
        (["list"], "List the users."),
        (["disable"], "Disable a user. They cannot sign in, and every session of theirs ends with the next request."),
        (
            ["reset"],
            "Give a user a new password and print it. Every session of theirs ends; a disabled user can sign in again.",
        ),
    ],
)
def test_each_command_has_a_help_text(commands, arguments, text):
    out, err, code = commands.run("users", *arguments, "--help")
    assert (err, code) == ("", 0)
    assert text in " ".join(unstyle(out).split())
    if not arguments:
        assert [line.split()[0] for line in out.partition("Commands:\n")[2].splitlines()] == [
            "add",
            "disable",
            "forget",
            "list",
            "reset",
        ]


# The output at the start.


@pytest.fixture
def start(engine, tmp_path, monkeypatch):
    """A function that starts the service with a fake server, and returns the commands and the output."""
    monkeypatch.setattr(server, "Server", mock.Mock())
    monkeypatch.setattr(os, "_exit", sys.exit)  # it would end the tests
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, ())

    def started(**environment):
        commands = Commands(tmp_path, engine, PORT=str(free_port()), **environment)
        _, out, code = commands.run("serve")
        assert code == 0
        server.Server.return_value.run.assert_called_once_with()
        server.Server.reset_mock()
        return commands, out

    yield started
    signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def shown(output):
    """The users and passwords that a start prints."""
    return dict(re.findall(rf"^    (\S+) +({PASSWORD})$", output, re.MULTILINE))


ADD = "  to sign in to the console: flask users add NAME --role agent\n"


def test_development_prints_a_user_for_each_kind_of_screen_once(start):
    commands, first = start()
    passwords = shown(first)
    assert list(passwords) == ["agent", "supervisor", "product", "privacy", "auditor"]
    assert "  to sign in to the console, a user and a password; these are shown only once:\n    agent  " in first
    assert ADD not in first
    for name, password in passwords.items():
        user = commands.sign_in(name, password)
        assert (user.name, user.role) == (name, name)
    for _ in range(2):
        commands, later = start()
        assert (shown(later), ADD in later) == ({}, True)
        assert not [password for password in passwords.values() if password in later]
    assert commands.sign_in("agent", passwords["agent"]), "the passwords are still valid"


def test_development_prints_no_user_if_one_was_added_before(start, engine, tmp_path):
    Commands(tmp_path, engine).installed().added("anna", "admin")
    commands, output = start()
    assert (shown(output), ADD in output) == ({}, True)
    assert list(commands.listed()) == ["anna"]


def test_production_creates_no_user(start, engine, tmp_path):
    Commands(tmp_path, engine).run("init")
    commands, output = start(REFUNDS_ENV="production")
    assert (shown(output), ADD in output) == ({}, True)
    with closing(Store(commands.app.extensions["refunds.settings"])) as store, store.read(COMMAND_LINE) as uow:
        assert list(uow.users.iter_all()) == []
