"""Access over HTTP: no route is open by accident, and each wants its scope."""

import re
import time
from urllib.parse import quote

import pytest

from refunds.domain.permissions import COMMAND_LINE, SCOPES, Role
from refunds.security import tokens
from refunds.service import clients
from refunds.web import create_app
from tests.api.conftest import slug
from tests.conftest import client_of, settings, token

PUBLIC = {"/", "/docs", "/problems/", "/problems/<slug>", "/openapi.yaml", "/openapi.json", "/livez", "/readyz"}
PUBLIC |= {"/static/<path:filename>"}


CONSOLE = "/console"


def routes(app):
    """Every rule of an app with one of its methods, and what it is called with; the console has tests of its own."""
    for rule in app.url_map.iter_rules():
        if is_of_the_console(rule):
            continue
        for method in rule.methods - {"HEAD", "OPTIONS"}:
            values = {name: "1" if name == "version" else "x" for name in rule.arguments}
            yield rule, method, rule.rule if not values else rule.build(values, append_unknown=False)[1]


def is_of_the_console(rule):
    """Whether people sign in for it, as `tests/console/test_access.py` holds."""
    assert rule.rule.startswith(f"{CONSOLE}/") is rule.endpoint.startswith("console."), rule
    return rule.endpoint.startswith("console.")


def test_every_route_but_the_public_ones_wants_a_token(app):
    """Walks every route, tomorrow's too."""
    walked = 0
    for rule, method, path in routes(app):
        answer = app.test_client().open(path, method=method)
        if rule.rule in PUBLIC:
            assert answer.status_code in {200, 404}, rule
            continue
        walked += 1
        assert (answer.status_code, slug(answer)) == (401, "unauthenticated"), rule
        assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert walked >= 20


@pytest.mark.parametrize("name", ["\0", "a\0b", "a\0"])
def test_there_is_nothing_whose_name_has_a_nul(app, name):
    """Walks every part of every path, tomorrow's too."""
    client, walked = client_of(app), 0
    for rule, method, _ in routes(app):
        for part in rule.arguments:
            values = {other: "1" if other == "version" else "x" for other in rule.arguments} | {part: name}
            answer = client.open(quote(filled(rule, values)), method=method)
            assert (answer.status_code, slug(answer)) == (404, "not-found"), (rule, method, part)
            walked += 1
    assert walked >= 15


def filled(rule, values):
    """The path of a rule with values in it, whatever they are."""
    return re.sub(r"<(?:\w+:)?(\w+)>", lambda part: values[part[1]], rule.rule)


def test_a_token_opens_nothing_of_the_console(app):
    """Nor does it get a session there."""
    for rule in filter(is_of_the_console, app.url_map.iter_rules()):
        if "GET" in rule.methods:
            path = rule.rule if not rule.arguments else rule.build(dict.fromkeys(rule.arguments, "x"))[1]
            answer = client_of(app).get(path)
            assert (answer.status_code, answer.mimetype) == (401, "text/html"), rule


def test_no_answer_of_the_api_sets_or_heeds_a_cookie(app):
    for _, method, path in routes(app):
        answer = client_of(app).open(path, method=method, headers={"Cookie": "__Host-refunds=x"})
        assert "Set-Cookie" not in answer.headers, path
        assert "Cookie" not in answer.headers.get("Vary", ""), path


@pytest.mark.parametrize("role", list(Role))
def test_every_route_wants_its_scope(app, role):
    """A role without the scope is turned away, whatever else is wrong with the request; one with it is not."""
    client = client_of(app, role)
    for rule, method, path in routes(app):
        if rule.rule in PUBLIC:
            continue
        scopes = app.view_functions[rule.endpoint].scopes
        allowed = not scopes or not SCOPES[role].isdisjoint(scopes)
        assert (client.open(path, method=method).status_code != 403) is allowed, (role, method, rule)


def test_a_route_that_names_no_scope_is_closed():
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
                if rule.rule.replace("<string:", "{").replace("<number:", "{").replace(">", "}") == path
                and method.upper() in rule.methods
            )
            assert operation["x-scopes"] == list(view.scopes or ()), path
            assert all(f"`{scope}`" in operation["description"] for scope in view.scopes or ()), path


def test_the_caller_is_told_who_it_is(app):
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
def test_what_is_no_token_is_turned_away(app, header):
    answer = app.test_client().get("/v1/me", headers={"Authorization": header})
    assert (answer.status_code, slug(answer)) == (401, "unauthenticated")


@pytest.mark.parametrize(("token_id", "secret"), [("ab\0defgh", "s" * 43), ("abcdefgh", "s" * 42 + "\0")])
def test_what_has_a_nul_is_no_token_though_its_checksum_is_right(app, token_id, secret):
    text = tokens._token(token_id, secret).text
    answer = app.test_client().get("/v1/me", headers={"Authorization": f"Bearer {text}"})
    assert (answer.status_code, slug(answer)) == (401, "unauthenticated")


def test_a_token_of_another_installation_is_unknown(app):
    other = create_app(settings())
    answer = app.test_client().get("/v1/me", headers={"Authorization": f"Bearer {token(other, 'admin')}"})
    assert answer.json["detail"] == "The token is unknown."


def test_a_revoked_token_is_turned_away_at_the_next_request(app):
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


def test_strangers_are_turned_away_before_their_body_is_touched(app):
    class Untouchable:
        def __getattr__(self, name):
            pytest.fail(f"the body was touched: {name}")

    body = {"wsgi.input": Untouchable(), "CONTENT_LENGTH": "10", "CONTENT_TYPE": "application/json"}
    assert app.test_client().post("/v1/cancellations", environ_overrides=body).status_code == 401


def test_a_client_that_asks_too_often_is_told_to_wait():
    app = create_app(settings(rate_limit=3))
    client = client_of(app, "operator")
    answers = [client.get("/v1/me") for _ in range(5)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429, 429]
    assert answers[0].headers["RateLimit"] == '"requests";r=2;t=1'
    assert answers[0].headers["RateLimit-Policy"] == '"requests";q=3;w=1'
    assert (slug(answers[4]), answers[4].headers["Retry-After"]) == ("rate-limited", "1")
    assert client_of(app, "admin").get("/v1/me").status_code == 200, "each client has its own"
    assert client.get("/livez").status_code == 200
    time.sleep(0.4)
    assert client.get("/v1/me").status_code == 200
