"""The real server and its keys: what it wants before it starts, what it makes up in development, what it never shows."""

import http.client
import json
import os
import re
import secrets
import socket
import sqlite3
import subprocess
import sys
import time
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from refunds.access import Role
from tests import records_in
from tests.conftest import ROOT

FLASK = str(Path(sys.executable).with_name("flask"))
TOKEN = re.compile(r"rfd_[0-9A-Za-z]{8}_[0-9A-Za-z]{43}_[0-9A-Za-z]{6}")


def environment(directory, **changed):
    """An environment whose records are in a directory; None takes a variable away."""
    given = os.environ | records_in(directory) | changed
    return {name: value for name, value in given.items() if value is not None}


def start(directory, port, **changed):
    """`flask serve` on records in a directory, its output in a file of it."""
    with (directory / "output").open("a") as output:
        return subprocess.Popen(
            [FLASK, "serve"],
            cwd=ROOT,
            env=environment(directory, PORT=str(port), **changed),
            stdout=output,
            stderr=subprocess.STDOUT,
        )


def refused(directory, **changed):
    """What the service says that does not start, and has to end with 4."""
    before = len(output(directory))
    assert start(directory, free_port(), **changed).wait(timeout=20) == 4
    said = output(directory)[before:]
    assert "Traceback" not in said
    assert not TOKEN.search(said)
    return said


def output(directory):
    """All that services on a directory have said."""
    file = directory / "output"
    return file.read_text() if file.exists() else ""


@contextmanager
def serving(directory, **changed):
    """A service that runs: its port and what it said at this start; ended by its process id."""
    port, before = free_port(), len(output(directory))
    process = start(directory, port, **changed)
    try:
        until_ready(process, port)
        yield port, output(directory)[before:]
    finally:
        process.terminate()
        try:
            process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    assert process.returncode == 0


def free_port():
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def until_ready(process, port):
    """Wait until the service answers."""
    end = time.monotonic() + 20
    while time.monotonic() < end and process.poll() is None:
        try:
            if get(port, "/livez")[0] == 200:
                return
        except OSError:
            time.sleep(0.05)
    pytest.fail("it does not start")


def get(port, path, token=None):
    """The status and the body of an answer."""
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=10)) as connection:
        connection.request("GET", path, headers={"Authorization": f"Bearer {token}"} if token else {})
        response = connection.getresponse()
        return response.status, response.read()


def put_key(path, key=None, mode=0o600):
    """A master key in a file; its digits."""
    key = key or secrets.token_hex(32)
    path.parent.mkdir(exist_ok=True)
    path.write_text(key + "\n")
    path.chmod(mode)
    return key


@pytest.fixture(scope="module")
def developed(tmp_path_factory):
    """A new installation in development: its directory and what its first and second start said."""
    directory = tmp_path_factory.mktemp("developed")
    with serving(directory) as (port, first):
        answers = {token: get(port, "/v1/me", token) for token in TOKEN.findall(first)}
    with serving(directory) as (port, second):
        later = {token: get(port, "/v1/me", token)[0] for token in answers}
    return directory, first, answers, second, later


@pytest.mark.parametrize(
    ("mode", "complaint"),
    [
        (None, "REFUNDS_MASTER_KEY_FILE: is required in production"),
        (0, "master.key does not exist"),
        (0o640, "others can read"),
        (0o604, "others can read"),
    ],
)
def test_production_wants_a_master_key_that_is_nobody_elses(tmp_path, mode, complaint):
    key = secrets.token_hex(32)
    if mode:
        put_key(tmp_path / "keys/master.key", key, mode)
    changed = {} if mode is not None else {"REFUNDS_MASTER_KEY_FILE": None}
    said = refused(tmp_path, REFUNDS_ENV="production", **changed)
    assert complaint in said
    assert key not in said
    assert (tmp_path / "keys/master.key").exists() == bool(mode)
    assert not (tmp_path / "data").exists()


def test_production_does_not_start_with_what_is_no_key(tmp_path):
    put_key(tmp_path / "keys/master.key", "0123456789abcdef" * 3)
    said = refused(tmp_path, REFUNDS_ENV="production")
    assert "does not hold 32 bytes in hexadecimal digits" in said
    assert "0123456789abcdef" not in said
    assert not (tmp_path / "data").exists()


def test_production_starts_with_a_good_key_and_makes_no_token(tmp_path):
    key = put_key(tmp_path / "keys/master.key")
    with serving(tmp_path, REFUNDS_ENV="production") as (port, said):
        assert get(port, "/v1/me")[0] == 401
    assert "flask tokens create --role billing" in said
    assert not TOKEN.search(output(tmp_path))
    assert "rfd_" not in output(tmp_path)
    assert key not in output(tmp_path)
    assert "aster key" not in output(tmp_path)
    with closing(sqlite3.connect(tmp_path / "data/refunds.db")) as raw:
        assert raw.execute("SELECT count(*) FROM tokens").fetchone() == (0,)
    assert (tmp_path / "keys/master.key").read_text() == key + "\n"


def test_development_makes_a_key_outside_the_database_and_says_so(developed):
    directory, first, _, second, _ = developed
    file = directory / "keys/master.key"
    assert f"Made a master key for development: {file}." in first
    assert "aster key" not in second
    assert file.stat().st_mode & 0o777 == 0o600
    key = file.read_text().strip()
    assert len(bytes.fromhex(key)) == 32
    for stored in (directory / "data").iterdir():
        assert bytes.fromhex(key) not in stored.read_bytes()
        assert key.encode() not in stored.read_bytes()


def test_development_shows_a_token_for_each_role_once(developed):
    _, first, answers, second, later = developed
    shown = dict(re.findall(rf"^    (\w+) +({TOKEN.pattern})$", first, re.MULTILINE))
    assert set(shown) == set(Role)
    assert len(TOKEN.findall(first)) == len(set(shown.values())) == len(Role)
    assert not TOKEN.search(second)
    assert "flask tokens create --role billing" in second
    for role, token in shown.items():
        status, body = answers[token]
        assert (status, json.loads(body)["role"]) == (200, role)
    assert set(later.values()) == {200}


def test_nothing_else_that_is_secret_is_said(developed):
    directory, first, answers, *_ = developed
    said = output(directory)
    assert [said.count(token) for token in answers] == [1] * len(Role)
    rest = said.replace(first[: first.index("stop it with")], "")
    assert not [token for token in answers if token.split("_")[2] in rest]
    key = (directory / "keys/master.key").read_text().strip()
    assert key not in said
    assert "Traceback" not in said


@pytest.fixture
def copied(developed, tmp_path):
    """A copy of the database of the installation, and no key."""
    (tmp_path / "data").mkdir()
    (tmp_path / "data/refunds.db").write_bytes((developed[0] / "data/refunds.db").read_bytes())
    return tmp_path


def test_another_master_key_than_the_databases_is_refused(copied):
    key = put_key(copied / "keys/master.key")
    said = refused(copied)
    assert "REFUNDS_MASTER_KEY_FILE: this master key does not fit the database" in said
    assert key not in said
    assert (copied / "keys/master.key").read_text() == key + "\n"


@pytest.mark.parametrize("env", ["development", "production"])
def test_a_lost_master_key_is_not_replaced(copied, env):
    said = refused(copied, REFUNDS_ENV=env)
    assert f"{copied}/keys/master.key does not exist. Bring back the file" in said
    assert not (copied / "keys").exists()


def test_a_lost_master_key_that_is_brought_back_fits(copied, developed):
    key = put_key(copied / "keys/master.key", (developed[0] / "keys/master.key").read_text().strip())
    token = TOKEN.search(developed[1])[0]
    with serving(copied, REFUNDS_ENV="production") as (port, _):
        assert get(port, "/v1/me", token)[0] == 200
    assert key not in output(copied)


@pytest.mark.parametrize("url", ["mysql://localhost/refunds", "refunds.db"])
def test_a_database_of_no_known_kind_is_refused(tmp_path, url):
    assert "REFUNDS_DATABASE: must be sqlite:///PATH" in refused(tmp_path, REFUNDS_DATABASE=url)


def test_a_key_file_that_cannot_be_made_is_told_as_what_it_is(tmp_path):
    """And not as a database that cannot be opened."""
    (tmp_path / "keys").write_text("no directory")
    said = refused(tmp_path)
    assert "REFUNDS_MASTER_KEY_FILE" in said
    assert "database cannot be opened" not in said
