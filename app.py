"""The WSGI entry: what the server serves and the flask command finds."""

import sys

from refunds.cli import calendar, check, openapi, serve
from refunds.config import load_settings
from refunds.errors import ConfigurationError
from refunds.web import create_app

try:
    app = create_app(load_settings())
    for module in (calendar, check, openapi, serve):
        app.cli.add_command(module.command)
except ConfigurationError as error:
    print(f"The service cannot start as it is configured:\n{error}", file=sys.stderr)
    sys.exit(error.exit_code)
