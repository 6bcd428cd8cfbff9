"""The control apps, and the process that serves one of them as `flask serve` serves the service.

PORT=... python -m bench.apps service_with_no_op
PORT=... python -m bench.apps bare
"""

import json
import os
import sys
from pathlib import Path

import orjson
from flask import Flask, Response, request

CHECKS = "/v1/eligibility-checks"
NO_OP = "/no-op"
ANSWERS = "BENCH_ANSWERS"
"""The variable that names a JSON file with the answers of the bare app, by the body of the request."""
COMMIT = "/commit"
CONTROL = "BENCH_CONTROL"
"""The variable that names the database in which the service's app commits the rows of the control."""


def service_with_no_op() -> Flask:
    """The service, with an additional route that does nothing, and one that only commits a row.

    The settings are those of the environment, in which `BENCH_CONTROL` names the database for these rows. Both routes
    require a token like every other route. So the comparison shows what an operation costs beyond what every operation
    of the app must; the cost of authentication is in the comparison with the bare app.
    """
    # Not at the top: the bare app must not carry the service in its memory.
    from bench.commits import open_commits  # noqa: PLC0415
    from refunds.config import load_settings  # noqa: PLC0415
    from refunds.storage.postgres import CONNECTIONS  # noqa: PLC0415
    from refunds.web import create_app  # noqa: PLC0415

    app = create_app(load_settings())
    commits = open_commits(os.environ[CONTROL], CONNECTIONS)

    def commit() -> Response:
        """Commit a row, and respond like the no-op."""
        commits.one()
        return no_op()

    for path, view in ((NO_OP, no_op), (COMMIT, commit)):
        view.scopes = ()
        app.post(path)(view)
    return app


def no_op() -> Response:
    """Read a JSON body and respond with a small one."""
    data = orjson.loads(request.get_data(cache=False))
    return Response(orjson.dumps({"fields": len(data)}), mimetype="application/json")


def bare() -> Flask:
    """A minimal app that answers a check with the bytes that the file in `BENCH_ANSWERS` has for its body, or `{}`."""
    app = Flask("bare", static_folder=None)
    file = os.environ.get(ANSWERS)
    known = json.loads(Path(file).read_text(encoding="utf-8")) if file else {}
    answers = {body.encode(): answer.encode() for body, answer in known.items()}

    @app.post(CHECKS)
    def check() -> Response:
        return Response(answers.get(request.get_data(cache=False), b"{}"), mimetype="application/json")

    return app


def serve(name: str) -> None:
    """Serve the app that a function of this module makes, at `PORT`, until SIGTERM, on the server of `flask serve`."""
    from refunds.cli.server import Server  # noqa: PLC0415

    Server(globals()[name](), "127.0.0.1", int(os.environ["PORT"]), lambda: None).run()


if __name__ == "__main__":
    serve(sys.argv[1])
