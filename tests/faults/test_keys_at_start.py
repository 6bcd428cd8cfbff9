"""The service and its keys: what it requires before it starts, what it creates in development, what it never shows.

And its database: how an unusable one is reported, without any part of its password. Most refusals are tested in this
process; each kind of start is also tested with a real process.
"""

import http.client
import json
import os
import re
import secrets
import shutil
import sqlite3
import subprocess
import sys
import time
from contextlib import closing, contextmanager
from functools import partial
from unittest import mock
from urllib.parse import quote

import psycopg
import pytest

from refunds.cli import serve
from refunds.config import load_settings
from refunds.domain.permissions import Role
from refunds.errors import ConfigurationError
from refunds.service.store import Store
from refunds.web import create_app
from tests import records_in
from tests.conftest import ROOT
from tests.faults.harness import free_port
from tests.faults.processes import Command
from tests.faults.proxy import Proxy, guarded

TOKEN = re.compile(r"rfd_[0-9A-Za-z]{8}_[0-9A-Za-z]{43}_[0-9A-Za-z]{6}")


def environment(directory, **changed):
    """An environment whose records are in a directory; None removes a variable."""
    given = os.environ | records_in(directory) | changed
    return {name: value for name, value in given.items() if value is not None}


def start(directory, port, *words, **changed):
    """Start a `flask` command, or the app for another server, with its records and output in a directory."""
    file, given = directory / "output", environment(directory, PORT=str(port), **changed)
    if words != ("app:serving",):
        return Command(words, given, file, file)
    with file.open("a") as output:
        code = "import app; app.serving()"
        return subprocess.Popen(
            [sys.executable, "-c", code], cwd=ROOT, env=given, stdout=output, stderr=subprocess.STDOUT
        )


def refused(directory, **changed):
    """The message of a service that refuses to start."""
    with (
        mock.patch.dict(os.environ, environment(directory, **changed), clear=True),
        pytest.raises(ConfigurationError) as refusal,
        closing(Store(load_settings())) as store,
    ):
        store.prepare()
    text = str(refusal.value)
    assert not TOKEN.search(text)
    return text


def refused_start(directory, *words, **changed):
    """The message of a process that refuses to start and exits with 4."""
    before = len(output(directory))
    assert start(directory, free_port(), *words, **changed).wait(timeout=60) == 4
    text = output(directory)[before:]
    assert "Traceback" not in text
    assert not TOKEN.search(text)
    return text.removeprefix("The service cannot start as it is configured:\n")


@contextmanager
def opened(directory, **changed):
    """A client of a service that starts in this process."""
    with mock.patch.dict(os.environ, environment(directory, **changed), clear=True):
        app = create_app(load_settings())
    with closing(app.extensions["refunds.store"]) as store, app.test_client() as client:
        store.prepare()
        yield client


def output(directory):
    """The output of all services in a directory."""
    file = directory / "output"
    return file.read_text() if file.exists() else ""


@contextmanager
def serving(directory, **changed):
    """A running service: its port and the output of its start; terminated afterwards."""
    port, before = free_port(), len(output(directory))
    process = start(directory, port, "serve", **changed)
    try:
        until_ready(process, port)
        yield port, output(directory)[before:]
    finally:
        process.terminate()
        try:
            process.wait(timeout=60)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    assert process.returncode == 0


def until_ready(process, port):
    """Wait until the service responds."""
    end = time.monotonic() + 60
    while time.monotonic() < end and process.poll() is None:
        try:
            if get(port, "/livez")[0] == 200:
                return
        except OSError:
            time.sleep(0.05)
    pytest.fail("it does not start")


def get(port, path, token=None):
    """The status and the body of a response."""
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=10)) as connection:
        connection.request("GET", path, headers={"Authorization": f"Bearer {token}"} if token else {})
        response = connection.getresponse()
        return response.status, response.read()


def put_key(path, key=None, mode=0o600):
    """Write a master key to a file, and return its digits."""
    key = key or secrets.token_hex(32)
    path.parent.mkdir(exist_ok=True)
    path.write_text(key + "\n")
    path.chmod(mode)
    return key


@pytest.fixture(scope="module")
def development(tmp_path_factory):
    """A new installation in development: its directory and the output of its first and second start."""
    directory = tmp_path_factory.mktemp("developed")
    with serving(directory) as (port, first):
        answers = {token: get(port, "/v1/me", token) for token in TOKEN.findall(first)}
    with serving(directory) as (port, second):
        later = {token: get(port, "/v1/me", token)[0] for token in answers}
    return directory, first, answers, second, later


@pytest.mark.parametrize(
    ("mode", "message"),
    [
        (None, "REFUNDS_MASTER_KEY_FILE: is required in production"),
        (0, "master.key does not exist"),
        (0o660, "others can read"),
        (0o604, "others can read"),
    ],
)
def test_production_requires_a_private_master_key(tmp_path, mode, message):
    key = secrets.token_hex(32)
    if mode:
        put_key(tmp_path / "keys/master.key", key, mode)
    changed = {} if mode is not None else {"REFUNDS_MASTER_KEY_FILE": None}
    text = refused(tmp_path, REFUNDS_ENV="production", **changed)
    assert message in text
    assert key not in text
    assert (tmp_path / "keys/master.key").exists() == bool(mode)
    assert not (tmp_path / "data").exists()


def test_production_does_not_start_with_a_malformed_key(tmp_path):
    put_key(tmp_path / "keys/master.key", "0123456789abcdef" * 3)
    text = refused(tmp_path, REFUNDS_ENV="production")
    assert "does not hold 32 bytes in hexadecimal digits" in text
    assert "0123456789abcdef" not in text
    assert not (tmp_path / "data").exists()


def test_production_starts_with_a_valid_key_and_creates_no_token(tmp_path):
    key = put_key(tmp_path / "keys/master.key")
    assert start(tmp_path, free_port(), "init", REFUNDS_ENV="production").wait(timeout=60) == 0
    with serving(tmp_path, REFUNDS_ENV="production", REFUNDS_DRAIN_SECONDS="0") as (port, text):
        assert get(port, "/v1/me")[0] == 401
    assert "flask tokens create --role billing" in text
    assert not TOKEN.search(output(tmp_path))
    assert "rfd_" not in output(tmp_path)
    assert not (tmp_path / "keys/tokens.env").exists()
    assert key not in output(tmp_path)
    assert "aster key" not in output(tmp_path)
    with closing(sqlite3.connect(tmp_path / "data/refunds.db")) as raw:
        assert raw.execute("SELECT count(*) FROM tokens").fetchone() == (0,)
    assert (tmp_path / "keys/master.key").read_text() == key + "\n"


def test_development_creates_a_key_outside_the_database_and_says_so(development):
    directory, first, _, second, _ = development
    file = directory / "keys/master.key"
    assert f"Made a master key for development: {file}." in first
    assert "aster key" not in second
    assert file.stat().st_mode & 0o777 == 0o600
    key = file.read_text().strip()
    assert len(bytes.fromhex(key)) == 32
    for stored in (directory / "data").iterdir():
        assert bytes.fromhex(key) not in stored.read_bytes()
        assert key.encode() not in stored.read_bytes()


def test_development_shows_a_token_for_each_role_once(development):
    _, first, answers, second, later = development
    shown = dict(re.findall(rf"^    (\w+) +({TOKEN.pattern})$", first, re.MULTILINE))
    assert set(shown) == set(Role)
    assert len(TOKEN.findall(first)) == len(set(shown.values())) == len(Role)
    assert not TOKEN.search(second)
    assert "flask tokens create --role billing" in second
    for role, token in shown.items():
        status, body = answers[token]
        assert (status, json.loads(body)["role"]) == (200, role)
    assert set(later.values()) == {200}


def test_development_writes_the_tokens_to_a_file_of_their_own(development):
    directory, first, _, second, _ = development
    file = directory / "keys/tokens.env"
    shown = re.findall(rf"^    (\w+) +({TOKEN.pattern})$", first, re.MULTILINE)
    assert file.read_text() == "".join(f"{role.upper()}={token}\n" for role, token in shown)
    assert file.stat().st_mode & 0o777 == 0o600
    assert f"  . {file}\n" in first
    assert "tokens.env" not in second


def test_the_file_of_the_tokens_is_replaced_or_its_failure_is_reported(tmp_path, capsys):
    beside = tmp_path / "master.key"
    (tmp_path / "tokens.env").write_text("of an earlier database")
    serve._keep({Role.AGENT: "rfd_a"}, beside)
    assert (tmp_path / "tokens.env").read_text() == "AGENT=rfd_a\n"
    serve._keep({Role.AGENT: "rfd_a"}, tmp_path / "nowhere/master.key")
    assert capsys.readouterr().err.endswith("nowhere/tokens.env: No such file or directory\n")


def test_no_other_secret_is_printed(development):
    directory, first, answers, *_ = development
    text = output(directory)
    assert [text.count(token) for token in answers] == [1] * len(Role)
    rest = text.replace(first[: first.index("stop it with")], "")
    assert not [token for token in answers if token.split("_")[2] in rest]
    key = (directory / "keys/master.key").read_text().strip()
    assert key not in text
    assert "Traceback" not in text


@pytest.fixture
def copied(development, tmp_path):
    """A copy of the database of the installation, without its key."""
    (tmp_path / "data").mkdir()
    (tmp_path / "data/refunds.db").write_bytes((development[0] / "data/refunds.db").read_bytes())
    return tmp_path


def test_a_master_key_of_another_database_is_refused(copied):
    key = put_key(copied / "keys/master.key")
    text = refused(copied)
    assert "REFUNDS_MASTER_KEY_FILE: this master key is not the one of the database" in text
    assert key not in text
    assert (copied / "keys/master.key").read_text() == key + "\n"


@pytest.mark.parametrize("env", ["development", "production"])
def test_a_lost_master_key_is_not_replaced(copied, env):
    text = refused(copied, REFUNDS_ENV=env)
    assert f"{copied}/keys/master.key does not exist. Bring back the file" in text
    assert not (copied / "keys").exists()


def test_a_restored_master_key_works(copied, development):
    shutil.copytree(development[0] / "ledger", copied / "ledger", dirs_exist_ok=True)
    put_key(copied / "keys/master.key", (development[0] / "keys/master.key").read_text().strip())
    token = TOKEN.search(development[1])[0]
    with opened(copied, REFUNDS_ENV="production") as client:
        assert client.get("/v1/me", headers={"Authorization": f"Bearer {token}"}).status_code == 200


def test_a_key_file_that_cannot_be_created_is_reported(tmp_path):
    """Not as a database that cannot be opened."""
    (tmp_path / "keys").write_text("no directory")
    text = refused(tmp_path)
    assert "REFUNDS_MASTER_KEY_FILE" in text
    assert "database cannot be opened" not in text


@pytest.fixture(scope="module")
def server():
    """A PostgreSQL server for this module only."""
    with guarded() as server:
        yield server


def refusal_line(server, directory, *words, **changed):
    """The message of a refused start: one line that names the setting, without the password."""
    text = refused_start(directory, *words, **changed) if words else refused(directory, **changed)
    server.require_no_password_in(text)
    (line,) = text.splitlines()
    assert line.startswith("REFUNDS_")
    return line


def filled_in(server, written):
    """A URL as a user might write it, with the password plain, escaped, or only a part of it."""
    escaped = quote(server.password, safe="")
    return written.format(plain=server.password, escaped=escaped, piece=server.pieces[0], port=server.port)


UNKNOWN = [
    "refunds.db",
    "mysql://localhost/refunds",
    "mysql://keeper:{escaped}@127.0.0.1:{port}/postgres",
    "postgres+psycopg://keeper:{plain}@127.0.0.1:{port}/postgres",
    "keeper:{plain}@127.0.0.1:{port}/postgres",
    "postgresql:/keeper:{plain}@127.0.0.1/postgres",
]
MALFORMED = [
    "postgresql://keeper:{plain}@127.0.0.1:{port}/postgres",
    "postgresql://keeper:{plain}@127.0.0.1:{port}",
    "postgres://{plain}@127.0.0.1:{port}/postgres",
    "postgresql://keeper:{escaped}%zz@127.0.0.1:{port}/postgres",
    "postgresql://keeper:{escaped}@127.0.0.1:{port}/postgres?no_such_word=1",
    "postgresql://keeper:{escaped}@[::1/postgres",
    "postgresql://keeper:{escaped}@127.0.0.1:{port}/postgres?password={plain}",
    "postgresql://keeper:{piece}/postgres",
    "postgresql://keeper:{piece}:{port}/postgres",
    "postgresql://keeper:@127.0.0.1:{piece}/postgres",
    "postgresql://keeper:{escaped}%ff@127.0.0.1:{port}/postgres",
    "postgresql://keeper:{escaped}\udcff@127.0.0.1:{port}/postgres",
]


@pytest.mark.parametrize("written", UNKNOWN)
def test_a_url_of_an_unknown_kind_is_refused_without_showing_its_password(server, tmp_path, written):
    line = refusal_line(server, tmp_path, REFUNDS_DATABASE=filled_in(server, written))
    assert line.startswith("REFUNDS_DATABASE: must be sqlite:///PATH")


@pytest.mark.parametrize("written", MALFORMED)
def test_a_malformed_url_is_refused_without_showing_its_password(server, tmp_path, written):
    line = refusal_line(server, tmp_path, REFUNDS_DATABASE=filled_in(server, written))
    assert "write it as postgresql://USER:PASSWORD@HOST:PORT/NAME" in line


@pytest.mark.parametrize("command", ["serve", "tokens list", "app:serving"])
def test_a_wrong_password_is_reported_and_not_shown(server, tmp_path, command):
    wrong = secrets.token_hex(8)
    url = server.url("postgres", password=f"{server.password}:{wrong}")
    line = refusal_line(server, tmp_path, *command.split(), REFUNDS_DATABASE=url)
    assert line.startswith(f"REFUNDS_DATABASE: postgresql://keeper@127.0.0.1:{server.port}/postgres cannot be accessed")
    assert 'password authentication failed for user "keeper"' in line
    assert wrong not in line


def test_a_missing_database_is_reported(server, tmp_path):
    line = refusal_line(server, tmp_path, REFUNDS_DATABASE=server.url("nowhere"))
    assert line.startswith(f"REFUNDS_DATABASE: postgresql://keeper@127.0.0.1:{server.port}/nowhere cannot be accessed")
    assert 'database "nowhere" does not exist' in line


def test_an_unreachable_server_is_reported(server, tmp_path):
    port = free_port()
    line = refusal_line(server, tmp_path, REFUNDS_DATABASE=server.url("postgres", port=port))
    assert f"127.0.0.1:{port}/postgres cannot be accessed: Connection refused: compare host, port" in line
    assert not (tmp_path / "keys").exists()


@pytest.mark.parametrize("version", ["9", "14"])
def test_a_server_that_is_too_old_is_reported(server, tmp_path, version):
    url = server.create()
    with Proxy(server.host, server.port, version=version) as proxy:
        line = refusal_line(server, tmp_path, REFUNDS_DATABASE=proxy.url(url))
    assert line.endswith(f"is PostgreSQL {version}: version 15 or newer is needed")
    with psycopg.connect(url) as connection:
        assert connection.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'").fetchone() == (0,)


@pytest.fixture
def existing(server, tmp_path):
    """The URL of the database of an existing installation."""
    url = server.create()
    (tmp_path / "first").mkdir()
    with opened(tmp_path / "first", REFUNDS_DATABASE=url):
        return url


def test_a_database_of_a_newer_version_is_refused(server, tmp_path, existing):
    with psycopg.connect(existing) as connection:
        connection.execute("INSERT INTO migrations (name) VALUES ('9999_later')")
    line = refusal_line(server, tmp_path / "first", REFUNDS_DATABASE=existing)
    assert line.endswith("was made by a newer version of the service: use that version")


def test_two_installations_cannot_share_a_database(server, tmp_path, existing):
    """Neither with another master key nor with none; and the first one still works."""
    other = partial(refusal_line, server, tmp_path, REFUNDS_DATABASE=existing)
    assert f"{tmp_path}/keys/master.key does not exist. Bring back the file" in other()
    assert not (tmp_path / "keys").exists()
    key = put_key(tmp_path / "keys/master.key")
    text = other()
    assert "REFUNDS_MASTER_KEY_FILE: this master key is not the one of the database" in text
    assert key not in text
    assert (tmp_path / "keys/master.key").read_text() == key + "\n"
    with opened(tmp_path / "first", REFUNDS_DATABASE=existing) as client:
        assert client.get("/readyz").status_code == 200


@pytest.mark.parametrize("env", ["development", "production"])
def test_the_ledger_directory_is_required_with_postgresql(server, tmp_path, env):
    put_key(tmp_path / "keys/master.key")
    given = {"REFUNDS_ENV": env, "REFUNDS_LEDGER_DIR": None, "REFUNDS_DATABASE": server.url("postgres")}
    line = refusal_line(server, tmp_path, **given)
    assert line.startswith("REFUNDS_LEDGER_DIR: is required in production, and with PostgreSQL")


def test_the_ledger_directory_is_required_in_production(server, tmp_path):
    put_key(tmp_path / "keys/master.key")
    line = refusal_line(server, tmp_path, REFUNDS_ENV="production", REFUNDS_LEDGER_DIR=None)
    assert line.startswith("REFUNDS_LEDGER_DIR: is required in production")
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("env", ["development", "production"])
def test_a_ledger_directory_that_cannot_be_written_to_is_refused(server, tmp_path, env):
    put_key(tmp_path / "keys/master.key")
    (tmp_path / "file").write_text("no directory")
    url = server.create()
    given = {"REFUNDS_ENV": env, "REFUNDS_LEDGER_DIR": f"{tmp_path}/file/ledger", "REFUNDS_DATABASE": url}
    line = refusal_line(server, tmp_path, **given)
    assert line.startswith(f"REFUNDS_LEDGER_DIR: {tmp_path}/file/ledger/anchors.jsonl cannot be written")
    assert line.endswith("name a directory that the service may write to")
