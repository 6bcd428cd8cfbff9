"""Shared fixtures of the browser tests: one browser, one real server, and users whose browsers must report no error."""

import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import NamedTuple

import pytest
from playwright.sync_api import Browser

from tests.browser.chromium import browser
from tests.browser.people import Person, Watch
from tests.faults.harness import Client, Installation


class Service(NamedTuple):
    """A real server with separate records, and the passwords of its first users from its first start."""

    url: str
    passwords: dict[str, str]
    port: int
    billing: str

    def answers(self, method: str, path: str, body: object = None) -> dict:
        """The JSON of the response to a request of billing."""
        with Client(self.port, self.billing) as client:
            return client.send(method, path, body).json

    def cancellations(self, order_id: str) -> list[dict]:
        """The cancellations of an order, as billing sees them."""
        return self.answers("GET", f"/v1/cancellations?order_id={order_id}")["items"]


@pytest.fixture(scope="package")
def running() -> Iterator[Browser]:
    """The browser; the scope ends its event loop before other packages run."""
    with browser() as running:
        yield running


@pytest.fixture(scope="package")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """The service after the first start with `flask serve`."""
    installation = Installation(tmp_path_factory.mktemp("console"))
    with installation.serving() as server:
        shown = dict(re.findall(r"^    (\w+) +(?!rfd_)(\S+)$", installation.log.read_text(), re.MULTILINE))
        yield Service(f"http://localhost:{server.port}", shown, server.port, installation.tokens()["billing"])
    installation.require_calm()


_numbers = count(2001)


@pytest.fixture
def order(service: Service) -> Callable[..., str]:
    """A function that registers an order whose service was provided some days ago, and returns its id."""

    def register(days_ago: int = 0) -> str:
        order_id = f"A-{next(_numbers)}"
        provided = datetime.now(UTC) - timedelta(days=days_ago)
        facts = {"customer_ref": f"customer of {order_id}", "service_provided_at": provided.isoformat()}
        return service.answers("PUT", f"/v1/orders/{order_id}", facts)["order_id"]

    return register


@pytest.fixture(scope="package")
def _cookies() -> dict[str, list]:
    """The cookies that keep users signed in across tests, until a test signs them out."""
    return {}


@pytest.fixture
def visit(running: Browser, service: Service, _cookies: dict[str, list]) -> Iterator[Callable[..., Person]]:
    """A function that creates users, each with a separate browser, signed in if named; no browser may report an error."""
    with visits(running, service.url, service.passwords, _cookies) as create:
        yield create


@contextmanager
def visits(
    running: Browser, url: str, passwords: dict[str, str], cookies: dict[str, list]
) -> Iterator[Callable[..., Person]]:
    """What `visit` is, at any address; `cookies` keep users signed in."""
    with ExitStack() as stack:

        def create(name: str | None = None, **how: object) -> Person:
            context = stack.enter_context(running.new_context(base_url=url, **how))
            stack.callback(Watch(context, url).require_calm)
            context.add_cookies(cookies.get(name, []))
            person = Person(context)
            person.page.goto("/console/")
            if name is not None and person.is_stranger():
                person.signs_in(name, passwords[name])
                cookies[name] = context.cookies()
            return person

        yield create
