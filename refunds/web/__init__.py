"""The service over HTTP, assembled by `create_app()`."""

import threading
import unicodedata
from collections.abc import Callable
from importlib import import_module
from pkgutil import iter_modules
from typing import Any

from flask import Flask, Request, request
from jinja2 import StrictUndefined
from werkzeug.routing import IntegerConverter, MapAdapter, PathConverter, UnicodeConverter

from refunds.config import Settings
from refunds.presentation.documents import templating
from refunds.presentation.language import bind
from refunds.schemas.orders import TAKEN
from refunds.service.store import Store
from refunds.web import auth, endpoint, intake, pages, problems, sessions, telemetry
from refunds.web.api import (
    access,
    calendars,
    cancellations,
    contacts,
    documents,
    eligibility,
    events,
    health,
    orders,
    policies,
    privacy,
    statistics,
    unmatched,
)
from refunds.web.console import PREFIX, bind_chosen_language, blueprint
from refunds.web.openapi import Contract
from refunds.web.responses import reader_language

for _module in iter_modules([blueprint.root_path]):  # a file of the console declares its screens
    import_module(f"{blueprint.import_name}.{_module.name}")

TAGS = (
    eligibility.tag,
    orders.tag,
    contacts.tag,
    unmatched.tag,
    cancellations.tag,
    cancellations.settlements_tag,
    events.tag,
    documents.tag,
    privacy.tag,
    statistics.tag,
    policies.tag,
    policies.publication_tag,
    policies.simulations_tag,
    calendars.tag,
    access.tag,
    health.tag,
)
"""The operations of the API, in the order of the document."""

PROBES = ("/livez", "/readyz")
"""Answered under any `Host`: a load balancer names the address of an instance."""


class Service(Flask):
    """A Flask application that checks the `Host` of every request except the probes."""

    def create_url_adapter(self, request: Request | None) -> MapAdapter | None:
        """Return the adapter that routes a request; raise `SecurityError` for an untrusted `Host`, except a probe's.

        Without a request, return what Flask returns.
        """
        if request is not None and request.path in PROBES:
            return self.url_map.bind("", path_info=request.path, default_method=request.method)
        return super().create_url_adapter(request)

    def ensure_sync(self, func: Callable[..., Any]) -> Callable[..., Any]:
        """Return the function itself: none here is a coroutine, and Flask would look at each for every request."""
        return func


class Number(IntegerConverter):
    """A number in a path: 1 to 999999999, in plain digits without leading zeros."""

    regex = "[1-9][0-9]{0,8}"


class Name(UnicodeConverter):
    """The converter of a name in a path, which contains no slash, and no NUL, because no stored text can."""

    def __init__(self, *given: Any, **options: Any) -> None:
        super().__init__(*given, **options)
        self.regex = self.regex.replace("[^/]", r"[^/\x00]")


class OrderName(PathConverter):
    """An order id in a path: it may contain slashes, and no NUL, and does not end in a slash and a word of `TAKEN`."""

    regex = r"[^/\x00][^\x00]*?" + "".join(f"(?<!/{part})" for part in TAKEN)

    def to_python(self, value: str) -> str:
        """Return the order id as it is stored: normalized to NFC."""
        return unicodedata.normalize("NFC", value)


def create_app(settings: Settings) -> Flask:
    """Make the WSGI application with these settings: the API, the console and the pages for people.

    The records are opened when first needed. The log of the database driver is set up for the whole process.
    """
    app = Service("refunds", static_folder=None, template_folder="web/templates")
    app.config.update(TRUSTED_HOSTS=settings.trusted_hosts, PUBLIC_URL=settings.public_url)
    app.jinja_env.undefined = StrictUndefined
    app.url_map.converters |= {"number": Number, "order": OrderName, "string": Name, "default": Name}
    app.url_map.merge_slashes = False  # a redirect would lose the body
    app.extensions["refunds.settings"] = settings
    app.extensions["refunds.store"] = Store(settings)
    app.extensions["refunds.stopping"] = threading.Event()

    telemetry.register(app)
    app.before_request(lambda: bind(reader_language()))
    app.before_request(lambda: intake.check_framing(telemetry.unwrapped(request)))
    app.before_request(bind_chosen_language)
    auth.register(app, {blueprint.name: sessions.caller})
    sessions.register(app, PREFIX)
    templating.install(app.jinja_env)
    endpoint.register(app, TAGS)
    app.extensions["refunds.contract"] = Contract(TAGS)
    app.register_blueprint(pages.blueprint)
    app.register_blueprint(blueprint)
    problems.register(app)
    return app
