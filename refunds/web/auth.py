"""Authentication: every route that is not public needs a token whose role has one of the route's scopes.

The token is checked before the body is read, so that callers without one cannot keep a thread waiting for a body.
"""

from collections.abc import Callable, Mapping
from math import ceil

from flask import Flask, Response, current_app, g, request

from refunds.domain.permissions import Principal, Scope
from refunds.errors import Forbidden, Message, Unauthenticated
from refunds.security.limiter import Limiter
from refunds.service.calendars import Builder
from refunds.service.clients import authenticate
from refunds.service.store import Store
from refunds.storage.policies import Policies
from refunds.web.problems import Rejected
from refunds.web.telemetry import unwrapped

Scopes = tuple[Scope, ...] | None
"""The scopes of a route, one of which is needed. If empty, any token is enough; None: no token is needed."""

Caller = Callable[[Store], tuple[Principal, Policies]]
"""Identifies the caller of the current request, with the policies as of now; raises `Unauthenticated`."""

PUBLIC_BLUEPRINTS = {"pages"}
"""Pages for people that show no records."""


def register(app: Flask, callers: Mapping[str, Caller]) -> None:
    """Make the app admit or reject each request to a route before its body is read.

    `callers` has, by the name of a blueprint, the function that identifies its callers; every other route that is not
    public needs a token. Every request gets a `g.builder`, which builds calendars; one with a caller also gets
    `g.principal` and `g.policies`. The time that the builder spends counts against the caller's limit of requests a
    second (0: no limit), and each response tells them what is left of that. A request raises `Unauthenticated` if its
    caller is not known, `Rejected` if they send more requests than the limit or have too many under way, and
    `Forbidden` if they have none of the route's scopes, or if the route has no list of scopes. An empty list admits
    every caller.
    """
    limiter = Limiter(app.extensions["refunds.settings"].rate_limit)
    policy = f'"requests";q={limiter.rate};w=1'

    app.before_request(_require_turn)

    @app.before_request
    def admit() -> None:
        asked, known = unwrapped(request), unwrapped(g)
        known.builder = Builder(asked.environ.get("refunds.give_way", bool))  # only the service's own server has it
        if asked.endpoint is None or asked.blueprint in PUBLIC_BLUEPRINTS:
            return
        view = app.view_functions[asked.endpoint]
        if getattr(view, "scopes", ()) is None:
            return
        principal, known.policies = callers.get(asked.blueprint or "", _token_holder)(store())
        known.principal = principal
        asked.environ.get("refunds.known", str)(principal.actor)  # for the server
        if limiter.rate:
            left = known.requests_left = limiter.take(principal.actor)
            if left < 0:
                detail = Message("At most %(most)s requests a second.", most=limiter.rate)
                wait = max(1, ceil(-left / limiter.rate))
                raise Rejected("rate-limited", detail, {"Retry-After": str(wait)})
        if not hasattr(view, "scopes"):
            raise Forbidden(Message("This route names no scope."))
        if view.scopes:
            principal.require(*view.scopes)

    @app.after_request
    def tell_limits(response: Response) -> Response:
        known = unwrapped(g)
        if "requests_left" in known:
            limiter.charge(known.principal.actor, known.builder.seconds)
            left = f'"requests";r={max(int(known.requests_left), 0)};t=1'
            response.headers.extend([("RateLimit-Policy", policy), ("RateLimit", left)])
        return response


def _require_turn() -> None:
    """Raise `Rejected` if the server has set `refunds.waits`: too many of the caller's requests are under way."""
    if "refunds.waits" in unwrapped(request).environ:
        waits = Message("Too many of your requests are under way: send this one again when they are answered.")
        raise Rejected("rate-limited", waits, {"Retry-After": "5"})


def _token_holder(store: Store) -> tuple[Principal, Policies]:
    """Return the client of the request's bearer token, and the policies; `Unauthenticated` without a valid token."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise Unauthenticated(Message("Send the client's token: Authorization: Bearer rfd_..."))
    return authenticate(store, token.strip())


def store() -> Store:
    """Return the store of the current app."""
    found: Store = current_app.extensions["refunds.store"]
    return found
