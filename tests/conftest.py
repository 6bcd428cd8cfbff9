"""What the tests share: the vectors, the packaged policy, an app and its client."""

import atexit
import gc
import json
import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from contextlib import closing
from functools import cache
from importlib.resources import files
from pathlib import Path

import hypothesis
import pytest
import yaml
from argon2 import PasswordHasher
from flask import Flask
from flask.testing import FlaskClient

from refunds.config import Settings
from refunds.domain.permissions import COMMAND_LINE, Role
from refunds.domain.policy import PolicyVersion
from refunds.domain.region_days import WEEKDAYS, Week
from refunds.presentation import language
from refunds.schemas.policy import read_policy
from refunds.security import passwords
from refunds.service import clients, publication
from refunds.storage import open_engine
from refunds.storage.migrations import up_to_date
from refunds.web import create_app
from tests import ENGINES, PROOFS, clear_pytest, database_of, in_memory, own_directory, records_in
from tests.compiled import compile_once
from tests.postgres import release_shared, shared

# What is made until the tests run stays until they end: to look through it for garbage takes almost half of the time.
gc.disable()
compile_once()
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # As in the background of a shell: processes that tests interrupt would ignore it, too.
    signal.signal(signal.SIGINT, signal.default_int_handler)

if place := in_memory():
    tempfile.tempdir = str(place)

# What a test starts with the settings of the environment keeps its records here, apart from the developer's own.
HERE = own_directory("refunds-", Path(tempfile.gettempdir()))
clear_pytest(HERE.parent)
atexit.register(shutil.rmtree, HERE, ignore_errors=True)
os.environ |= records_in(HERE)

# Continuous integration tries the same random cases every time, so that a result depends on the change alone.
# New cases are tried during development.
hypothesis.settings.register_profile("ci", derandomize=True)
if os.environ.get("CI"):
    hypothesis.settings.load_profile("ci")

ROOT = Path(__file__).parent.parent
VECTORS = json.loads((ROOT / "tests/unit/business-day-vectors.json").read_text())["cases"]

KIND = {"weekend": "weekend", "holiday": "public_holiday", "closure": "closure"}


@pytest.fixture(scope="session", autouse=True)
def _quick_passwords() -> Iterator[None]:
    """Use a cheap password hash, except in the tests of passwords and of real servers."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(passwords, "_passwords", lambda: QUICK)
        yield


QUICK = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)


@pytest.hookimpl(trylast=True)
def pytest_collection_finish() -> None:
    """Collect the garbage of the tests, and of nothing before them; less often, as an app is made of many objects."""
    gc.freeze()
    gc.set_threshold(20_000)
    gc.enable()


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish() -> None:
    """Stop the shared server here: ten seconds later a worker would be killed and leave it running."""
    release_shared()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print what tests have measured, in any process."""
    for report in terminalreporter.stats.get("passed", ()):
        for name, value in getattr(report, "user_properties", ()):
            if name == "measured" and report.when == "call":
                terminalreporter.write_line(f"measured: {value}")


@cache
def openapi() -> dict:
    """The API document of the repository, which is long, read once."""
    return yaml.load((ROOT / "openapi.yaml").read_text(), Loader=yaml.CSafeLoader)


def week(mask: str | None) -> Week | None:
    """The week of a vector: `1111100` is Monday to Friday."""
    if mask is None or mask == "country":
        return mask
    return tuple(day for day, bit in zip(WEEKDAYS, mask, strict=True) if bit == "1")


def region(case: dict) -> str:
    """The region of a vector."""
    return f"{case['country']}-{case['subdivision']}" if case["subdivision"] else case["country"]


@pytest.fixture(scope="session", params=ENGINES)
def engine(request: pytest.FixtureRequest) -> str:
    """The engine of the records: a test that uses this runs on each."""
    return str(request.param)


ONCE = pytest.mark.parametrize("engine", ["sqlite"], indirect=True, scope="session")
"""Runs a test on one engine alone, as it reads no records but the caller's token."""


def mostly_on(small: str) -> pytest.MarkDecorator:
    """Run a proof that is much the same on each engine on this one with `make test`, and on each with `make proofs`."""
    return pytest.mark.parametrize("engine", ENGINES if PROOFS else [small], indirect=True, scope="session")


_engines = ["sqlite"]


@pytest.fixture(autouse=True)
def _in_english() -> None:
    """A request leaves its language to this thread, and what runs next begins in English all the same."""
    language.bind(language.LANGUAGES[0])


@pytest.fixture(autouse=True)
def _engine_of_the_test(request: pytest.FixtureRequest) -> Iterator[None]:
    """Let `settings` use the engine of the test by default."""
    _engines.append(request.getfixturevalue("engine") if "engine" in request.fixturenames else "sqlite")
    yield
    _engines.pop()


@cache
def _migrated() -> str:
    """The URL of a database on the shared server with the schema and no records, to be copied: its steps take longer."""
    url = shared().create()
    with closing(open_engine(url)) as made, up_to_date(made, "REFUNDS_DATABASE") as (tx, _):
        tx.run("UPDATE journal_head SET journal_id = NULL")
    return url


@cache
def _database(directory: Path, engine: str) -> str:
    """The URL of the database that belongs to a directory: always the same one, on a server already with the schema."""
    return shared().create(of=_migrated()) if engine == "postgresql" else database_of(directory, engine)


def settings(directory: Path | None = None, *, engine: str | None = None, **changed: object) -> Settings:
    """The settings of a service whose records are in a directory, or in a database that belongs to it."""
    directory = directory or Path(tempfile.mkdtemp(dir=HERE))
    defaults = {
        "port": 8000,
        "policy": "virtual-numbers",
        "env": "development",
        "database": _database(directory, engine or _engines[-1]),
        "master_key_file": directory / "master.key",
        "ledger_dir": directory / "ledger",
        "rate_limit": 0,
        "drain_seconds": 0,
        "trusted_hosts": ["localhost"],
        "public_url": "",
        "listen": "127.0.0.1",
        "behind_tls_proxy": False,
        "log_level": "info",
    }
    return Settings(**defaults | changed)


def with_policies(app: Flask, *files: str) -> Flask:
    """An app after the versions in policy files are imported."""
    for text in files:
        with app.extensions["refunds.store"].write(COMMAND_LINE) as uow:
            publication.import_version(uow, read_policy(text))
    return app


def token(app: Flask, role: str) -> str:
    """A token of a client that has this role in an app."""
    tokens: dict[str, str] = app.extensions.setdefault("refunds.tests.tokens", {})
    if role not in tokens:
        with app.extensions["refunds.store"].write(COMMAND_LINE) as uow:
            tokens[role] = clients.create_token(uow, Role(role), f"{role} of the tests", 365)
    return tokens[role]


def client_of(app: Flask, role: str = "admin") -> FlaskClient:
    """A client of an app that sends the token of this role."""
    client = app.test_client()
    client.environ_base = {"HTTP_AUTHORIZATION": f"Bearer {token(app, role)}"}
    return client


@pytest.fixture(scope="session")
def packaged() -> PolicyVersion:
    """The packaged default policy."""
    return read_policy((files("refunds") / "policies/virtual-numbers.1.toml").read_text())


@pytest.fixture(scope="session")
def _apps() -> Iterator[dict[str, Flask]]:
    """The app on each engine, kept for the whole session because tests switch between engines."""
    made: dict[str, Flask] = {}
    yield made
    for app in made.values():
        app.extensions["refunds.store"].close()


@pytest.fixture(scope="session")
def app(engine: str, _apps: dict[str, Flask]) -> Flask:
    """The service with its default settings, except for where its records are."""
    if engine not in _apps:
        _apps[engine] = create_app(settings(engine=engine))
    return _apps[engine]


@pytest.fixture
def client(app: Flask) -> Iterator[FlaskClient]:
    """A client of the service."""
    with client_of(app) as client:
        yield client
