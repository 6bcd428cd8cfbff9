"""The service over HTTP: `create_app()` puts it together."""

from flask import Flask, request
from werkzeug.routing import IntegerConverter

from refunds.config import Settings
from refunds.service import checks
from refunds.service.policies import load_policies
from refunds.web import intake, pages, problems, telemetry
from refunds.web.api import calendars, eligibility, policies, service
from refunds.web.openapi import Contract


class Number(IntegerConverter):
    """A number from 1 in a path, in plain digits without leading zeros."""

    regex = "[1-9][0-9]{0,8}"


def create_app(settings: Settings) -> Flask:
    """The WSGI application; raises `ConfigurationError` where it cannot serve as configured."""
    app = Flask("refunds", static_folder=None, template_folder="web/templates")
    app.config.update(TRUSTED_HOSTS=settings.trusted_hosts)
    app.url_map.converters["number"] = Number
    app.url_map.merge_slashes = False  # a redirect would lose the body
    app.extensions["refunds.settings"] = settings
    loaded = app.extensions["refunds.policies"] = load_policies(settings.policies, settings.policy)
    for version in loaded[loaded.default].versions:
        checks.calendar_of(version)  # built before the first request, not by it

    telemetry.register(app)
    app.before_request(lambda: intake.check_framing(request))
    contract = app.extensions["refunds.contract"] = Contract(app)
    for module in (eligibility, policies, calendars, service):
        contract.register_blueprint(module.blueprint)
    app.register_blueprint(pages.blueprint)
    problems.register(app)
    return app
