"""What responses say beside their body: the state of a replayed cancellation, releases, the end of a token, addresses."""

import platform
import re
import tomllib
from datetime import timedelta

import pytest

from refunds.config import RELEASE
from refunds.domain.holidays_data import HOLIDAYS_VERSION
from refunds.domain.instants import TZDATA_VERSION
from refunds.web import create_app
from tests.conftest import ROOT, client_of, settings


@pytest.mark.parametrize("changed", ["revocation", "refund", "settlement"])
def test_a_replay_says_what_has_become_of_its_cancellation(admin, changed):
    body = {"order_id": admin.register(), "contact": {"channel": "phone"}}
    issued = admin.post("/v1/cancellations", body, f"key-of-{changed}")
    replayed = admin.post("/v1/cancellations", body, f"key-of-{changed}")
    assert replayed.headers["Idempotent-Replayed"] == "true"
    assert "Cancellation-State" not in replayed.headers
    change = {
        "revocation": {"reason_code": "entered_in_error"},
        "refund": {},
        "settlement": {"billing_ref": "RF-1"},
    }[changed]
    changed_to = admin.put(f"/v1/cancellations/{issued.json['cancellation_id']}/{changed}", json=change).json["state"]
    again = admin.post("/v1/cancellations", body, f"key-of-{changed}")
    assert (again.status_code, again.data) == (201, issued.data)
    assert again.headers["Cancellation-State"] == changed_to


def test_the_caller_learns_the_releases_of_the_service_and_its_data(billing):
    me = billing.get("/v1/me").json
    assert (me["release"], me["holidays_version"], me["tzdata_version"]) == (RELEASE, HOLIDAYS_VERSION, TZDATA_VERSION)
    assert tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"] == RELEASE


def test_the_measurements_name_the_releases(admin, app):
    (line,) = re.findall(r"^refunds_build_info\{(.*)\} 1.0$", admin.get("/metrics").text, re.MULTILINE)
    named = dict(re.findall(r'(\w+)="([^"]*)"', line))
    assert (named["release"], named["holidays"], named["tzdata"]) == (RELEASE, HOLIDAYS_VERSION, TZDATA_VERSION)
    assert (named["python"], named["sqlite"]) == (
        platform.python_version(),
        app.extensions["refunds.store"].open()[0].sqlite_version,
    )


def test_health_and_headers_do_not_name_the_product_or_its_release(admin):
    response = admin.get("/livez")
    assert response.json == {"status": "ok"}
    assert response.headers["Server"] == ""


def test_a_token_says_for_30_days_that_it_ends(tmp_path, now, capsysbinary):
    app = create_app(settings(tmp_path))
    billing = client_of(app, "billing")
    expires = billing.get("/v1/me").json["expires_at"]
    assert "Token-Expires" not in billing.get("/v1/me").headers
    now.shift(timedelta(days=340))
    response = billing.get("/v1/me")
    assert response.headers["Token-Expires"] == expires
    assert f'"token_expires":"{expires}"'.encode() in capsysbinary.readouterr().out
    app.extensions["refunds.store"].close()


def test_there_is_no_second_way_to_an_operation(billing):
    for path in ("//v1/me", "/v1//me", "/v1/me/"):
        assert billing.client.get("https://localhost" + path).status_code == 404, path


def test_the_types_of_problems_are_absolute_where_the_public_address_is_known(tmp_path):
    app = create_app(settings(tmp_path, public_url="https://refunds.example"))
    problem = client_of(app, "billing").get("/v1/orders/none").json
    assert problem["type"] == "https://refunds.example/problems/order-not-found"
    app.extensions["refunds.store"].close()
