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
"""The variable that names a JSON file in which the bare app finds its answers, by the body that asks for them."""
COMMIT = "/commit"
CONTROL = "BENCH_CONTROL"
"""The variable that names the database in which the service's app commits rows that are none of the service's."""


def service_with_no_op() -> Flask:
    """The service as the environment configures it, with two more routes: one does nothing, one only commits a row.

    Both are admitted as every route is: for whoever has a token. What is measured is what an operation costs above
    what any operation of the app must; what admission costs is in the comparison with the bare app.
    """
    # Not at the top: the bare app must not carry the service in its memory.
    from bench.commits import open_commits  # noqa: PLC0415
    from refunds.config import load_settings  # noqa: PLC0415
    from refunds.storage.postgres import CONNECTIONS  # noqa: PLC0415
    from refunds.web import create_app  # noqa: PLC0415

    app = create_app(load_settings())
    commits = open_commits(os.environ[CONTROL], CONNECTIONS)

    def commit() -> Response:
        """Commit a row, and answer as the no-op does."""
        commits.one()
        return no_op()

    for path, view in ((NO_OP, no_op), (COMMIT, commit)):
        view.scopes = ()
        app.post(path)(view)
    return app


def no_op() -> Response:
    """Read a JSON body, and answer with the number of its fields."""
    data = orjson.loads(request.get_data(cache=False))
    return Response(orjson.dumps({"fields": len(data)}), mimetype="application/json")


def bare() -> Flask:
    """A Flask app with nothing around it. It answers a check with the bytes that `ANSWERS` has for it, or else `{}`."""
    app = Flask("bare", static_folder=None)
    file = os.environ.get(ANSWERS)
    known = json.loads(Path(file).read_text(encoding="utf-8")) if file else {}
    answers = {body.encode(): answer.encode() for body, answer in known.items()}

    @app.post(CHECKS)
    def check() -> Response:
        return Response(answers.get(request.get_data(cache=False), b"{}"), mimetype="application/json")

    return app


def serve(name: str) -> None:
    """Serve an app of this module until SIGTERM, on the server of `flask serve`."""
    from refunds.cli.serve import Server  # noqa: PLC0415

    Server(globals()[name](), int(os.environ["PORT"])).run()


if __name__ == "__main__":
    serve(sys.argv[1])
