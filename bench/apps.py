"""The control apps, and the process that serves one of them as `flask serve` serves the service.

PORT=... python -m bench.apps service_with_no_op | bare | plain_built | plain_kept
"""

import json
import os
import signal
import sys
from pathlib import Path

import orjson
from flask import Flask, Response, request

CHECKS = "/v1/eligibility-checks"
NO_OP = "/no-op"
ANSWERS = "BENCH_ANSWERS"
"""The variable that names a JSON file with the answers of the bare app, by the body of the request."""


PLAIN_DATABASE, PLAIN_TOKEN = "BENCH_PLAIN_DATABASE", "BENCH_PLAIN_TOKEN"
"""The variables with the URL of the plain service's database, and with the token that it knows."""
PLAIN_BUILT, PLAIN_KEPT = "plain_built", "plain_kept"


def service_with_no_op() -> Flask:
    """The service, with the settings of the environment and an additional route that does nothing.

    The route requires a token like every other route. So the comparison shows what an operation costs beyond what every
    operation of the app must; the cost of authentication is in the comparison with the bare app.
    """
    # Not at the top: the bare app must not carry the service in its memory.
    from refunds.config import load_settings  # noqa: PLC0415
    from refunds.web import create_app  # noqa: PLC0415

    app = create_app(load_settings())
    no_op.scopes = ()  # type: ignore[attr-defined]
    app.post(NO_OP)(no_op)
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


def plain_built() -> Flask:
    """The plain service, which builds the holidays for each question."""
    from bench import plain  # noqa: PLC0415

    return plain.create_app(plain.built)


def plain_kept() -> Flask:
    """The plain service, which keeps the holidays."""
    from bench import plain  # noqa: PLC0415

    return plain.create_app(plain.kept)


def serve(name: str) -> None:
    """Serve the app that a function of this module makes, at `PORT`, until SIGTERM, on the server of `flask serve`."""
    from refunds.cli.server import STOPPING, Server  # noqa: PLC0415

    signal.pthread_sigmask(signal.SIG_BLOCK, STOPPING)
    Server(globals()[name](), "127.0.0.1", int(os.environ["PORT"]), lambda: None).run()
    os._exit(0)


if __name__ == "__main__":
    serve(sys.argv[1])
