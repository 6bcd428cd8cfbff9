"""Access over HTTP: no route is open by accident, and each requires its scope."""

import re
import time
from urllib.parse import quote

import pytest

from refunds.domain.permissions import COMMAND_LINE, SCOPES, Role
from refunds.security import limiter, tokens
from refunds.service import clients
from refunds.web import create_app
from tests.api.conftest import slug
from tests.conftest import client_of, settings, token

PUBLIC = {"/", "/docs", "/problems/", "/problems/<slug>", "/openapi.yaml", "/openapi.json", "/livez", "/readyz"}
PUBLIC |= {"/static/<path:filename>"}


CONSOLE = "/console"


def routes(app):
    """Every rule of an app with each of its methods and its path, except the console, which has its own tests."""
    for rule in app.url_map.iter_rules():
        if is_of_the_console(rule):
            continue
        for method in rule.methods - {"HEAD", "OPTIONS"}:
            values = {name: "1" if name == "version" else "x" for name in rule.arguments}
            yield rule, method, rule.rule if not values else rule.build(values, append_unknown=False)[1]


def is_of_the_console(rule):
    """Whether a rule belongs to the console, which `tests/console/test_access.py` covers."""
    assert rule.rule.startswith(f"{CONSOLE}/") is rule.endpoint.startswith("console."), rule
    return rule.endpoint.startswith("console.")


def test_every_route_but_the_public_ones_requires_a_token(app):
    """Walks every route, future ones included."""
    walked = 0
    for rule, method, path in routes(app):
        answer = app.test_client().open(path, method=method)
        if rule.rule in PUBLIC:
            # Not ready, if another test has left a time in the journal that is far from now.
            assert answer.status_code in {200, 404} or (answer.status_code, path) == (503, "/readyz"), rule
            continue
        walked += 1
        assert (answer.status_code, slug(answer)) == (401, "unauthenticated"), rule
        assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert walked >= 20


@pytest.mark.parametrize("name", ["\0", "a\0b", "a\0"])
def test_an_id_that_contains_nul_is_not_found(app, name):
    """Walks every parameter of every path, future ones included."""
    client, walked = client_of(app), 0
    for rule, method, _ in routes(app):
        for part in rule.arguments:
            values = {other: "1" if other == "version" else "x" for other in rule.arguments} | {part: name}
            answer = client.open(quote(path_with(rule, values)), method=method)
            assert (answer.status_code, slug(answer)) == (404, "not-found"), (rule, method, part)
            walked += 1
    assert walked >= 15


def path_with(rule, values):
    """The path of a rule with any values in it, without validation."""
    return re.sub(r"<(?:\w+:)?(\w+)>", lambda part: values[part[1]], rule.rule)


def test_a_token_does_not_open_the_console(app):
    """The console only accepts sessions."""
    for rule in filter(is_of_the_console, app.url_map.iter_rules()):
        if "GET" in rule.methods:
            path = rule.rule if not rule.arguments else rule.build(dict.fromkeys(rule.arguments, 1))[1]
            answer = client_of(app).get(path)
            assert (answer.status_code, answer.mimetype) == (401, "text/html"), rule


def test_the_api_neither_sets_nor_reads_cookies(app):
    for _, method, path in routes(app):
        answer = client_of(app).open(path, method=method, headers={"Cookie": "__Host-refunds=x"})
        assert "Set-Cookie" not in answer.headers, path
        assert "Cookie" not in answer.headers.get("Vary", ""), path


@pytest.mark.parametrize("role", list(Role))
def test_every_route_requires_its_scope(app, role):
    """A role without the scope gets 403, whatever else is wrong with the request; a role with it does not."""
    client = client_of(app, role)
    for rule, method, path in routes(app):
        if rule.rule in PUBLIC:
            continue
        scopes = app.view_functions[rule.endpoint].scopes
        allowed = not scopes or not SCOPES[role].isdisjoint(scopes)
        assert (client.open(path, method=method).status_code != 403) is allowed, (role, method, rule)


def test_a_route_that_declares_no_scope_is_closed():
    app = create_app(settings())
    app.add_url_rule("/forgotten", view_func=lambda: "secret")
    assert app.test_client().get("/forgotten").status_code == 401
    assert slug(client_of(app, "admin").get("/forgotten")) == "forbidden"


def test_the_scope_of_every_operation_is_documented(app, client):
    document = client.get("/openapi.json").json
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            if method == "parameters":
                continue
            view = next(
                app.view_functions[rule.endpoint]
                for rule in app.url_map.iter_rules()
                if re.sub(r"<\w+:(\w+)>", r"{\1}", rule.rule) == path and method.upper() in rule.methods
            )
            assert operation["x-scopes"] == list(view.scopes or ()), path
            assert all(f"`{scope}`" in operation["description"] for scope in view.scopes or ()), path


def test_me_describes_the_caller(app):
    me = client_of(app, "operator").get("/v1/me").json
    assert (me["role"], me["scopes"], me["name"]) == ("operator", ["metrics:read"], "operator of the tests")
    assert me["token_id"] in token(app, "operator")


@pytest.mark.parametrize(
    "header",
    [
        "",
        "Bearer",
        "Bearer ",
        "Basic dXNlcjpwYXNz",
        "Bearer rfd_",
        "Bearer rfd_aaaaaaaa_bbbb_cccccc",
        "Bearer \xff",
        "Bearer " + "x" * 5000,
        "rfd_aaaaaaaa_bbbb_cccccc",
    ],
)
def test_a_malformed_token_is_refused(app, header):
    answer = app.test_client().get("/v1/me", headers={"Authorization": header})
    assert (answer.status_code, slug(answer)) == (401, "unauthenticated")


@pytest.mark.parametrize(("token_id", "secret"), [("ab\0defgh", "s" * 43), ("abcdefgh", "s" * 42 + "\0")])
def test_a_token_that_contains_nul_is_refused_even_with_a_valid_checksum(app, token_id, secret):
    text = tokens._token(token_id, secret).text
    answer = app.test_client().get("/v1/me", headers={"Authorization": f"Bearer {text}"})
    assert (answer.status_code, slug(answer)) == (401, "unauthenticated")


def test_a_token_of_another_installation_is_unknown(app):
    other = create_app(settings())
    answer = app.test_client().get("/v1/me", headers={"Authorization": f"Bearer {token(other, 'admin')}"})
    assert answer.json["detail"] == "The token is unknown."


def test_a_revoked_token_is_refused_at_the_next_request(app):
    store = app.extensions["refunds.store"]
    with store.write(COMMAND_LINE) as uow:
        text = clients.create_token(uow, Role.OPERATOR, "to be revoked", 1)
    signed_in = {"Authorization": f"Bearer {text}"}
    assert app.test_client().get("/v1/me", headers=signed_in).status_code == 200
    with store.write(COMMAND_LINE) as uow:
        clients.revoke_token(uow, text.split("_")[1])
    answer = app.test_client().get("/v1/me", headers=signed_in)
    assert (answer.status_code, "revoked" in answer.json["detail"]) == (401, True)


def test_a_token_expires(app, now):
    with app.extensions["refunds.store"].write(COMMAND_LINE) as uow:
        text = clients.create_token(uow, Role.OPERATOR, "to expire", 1)
    signed_in = {"Authorization": f"Bearer {text}"}
    assert app.test_client().get("/v1/me", headers=signed_in).status_code == 200
    now.shift(86_400)
    assert "expired" in app.test_client().get("/v1/me", headers=signed_in).json["detail"]


def test_a_stranger_is_refused_before_the_body_is_read(app):
    class Unreadable:
        def __getattr__(self, name):
            pytest.fail(f"the body was read: {name}")

    body = {"wsgi.input": Unreadable(), "CONTENT_LENGTH": "10", "CONTENT_TYPE": "application/json"}
    assert app.test_client().post("/v1/cancellations", environ_overrides=body).status_code == 401


def test_a_client_that_exceeds_the_rate_limit_must_wait(monkeypatch):
    clock = [time.monotonic()]
    monkeypatch.setattr(limiter, "monotonic", lambda: clock[0])
    app = create_app(settings(rate_limit=3))
    client = client_of(app, "operator")
    answers = [client.get("/v1/me") for _ in range(5)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429, 429]
    assert answers[0].headers["RateLimit"] == '"requests";r=2;t=1'
    assert answers[0].headers["RateLimit-Policy"] == '"requests";q=3;w=1'
    assert (slug(answers[4]), answers[4].headers["Retry-After"]) == ("rate-limited", "1")
    assert client_of(app, "admin").get("/v1/me").status_code == 200, "each client has its own limit"
    assert client.get("/livez").status_code == 200
    clock[0] += 0.4
    assert client.get("/v1/me").status_code == 200
