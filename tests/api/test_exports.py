"""Everything about a customer over HTTP, as data and as a page."""

import re

import pytest

from refunds.domain.permissions import COMMAND_LINE
from refunds.domain.privacy import ErasureReason
from refunds.service import privacy as acts
from tests.api.conftest import IN_TIME, slug
from tests.api.test_contract import validator
from tests.api.test_privacy import ask

PAGE = {"Accept": "text/html"}
HOSTILE = "<script>alert(1)</script>"


@pytest.fixture
def asked(admin, privacy):
    """A customer with a cancelled order, and the path of the export for their request."""
    ref = f"K-{admin.register()}"
    order_id = admin.register(customer_ref=ref)
    admin.record(order_id, intent="question", note=HOSTILE, received_at=IN_TIME)
    admin.cancelled(order_id, contact={"channel": "phone", "from_detail": "+498912345678"})
    request = ask(privacy, customer_ref=ref).json
    return ref, order_id, f"/v1/data-requests/{request['request_id']}/export"


def test_an_export_is_as_documented_and_names_no_versions(privacy, asked):
    ref, order_id, path = asked
    answer = privacy.get(path)
    assert answer.status_code == 200
    validator("CustomerExport").validate(answer.json)
    (order,) = answer.json["orders"]
    assert (order["order"]["order_id"], order["order"]["customer_ref"]) == (order_id, ref)
    assert [one["note"] for one in order["contacts"]] == [HOSTILE, None]
    assert order["contacts"][1]["decision"]["days"]
    assert order["cancellations"][0]["state"] == "issued"
    assert answer.json["data_requests"][0]["identity_check"] == "called back: Kim"
    assert len(answer.json["information"]) == 9
    page = privacy.client.get(path, headers=PAGE)
    for text in (answer.text, page.text.partition("</style>")[2]):
        assert not re.search(r"holidays_version|tzdata|fingerprint|\bAES|\bSHA|HMAC|\bkeys?\b|Schlüssel", text)
    assert ("&lt;script&gt;alert(1)" in page.text, "<script" in page.text) == (True, False)


@pytest.mark.parametrize(
    ("query", "language", "words"),
    [("", "de", "Ihre Rechte"), ("?language=de", "en", "Ihre Rechte"), ("?language=en", "de", "Your rights")],
)
def test_an_export_is_in_the_language_that_is_asked_for(privacy, asked, query, language, words):
    answer = privacy.client.get(asked[2] + query, headers=PAGE | {"Accept-Language": language})
    assert (answer.status_code, words in answer.text) == (200, True)
    rights = privacy.client.get(asked[2] + query, headers={"Accept-Language": language}).json["information"]["rights"]
    assert ("You can ask" in rights[0]) is (words == "Your rights")


def test_only_auditors_see_who_exported_what(privacy, auditor, billing, asked):
    _, _, path = asked
    request = path.split("/")[3]
    customer = privacy.get(f"/v1/data-requests/{request}").json["customer_id"]
    privacy.get(path)
    types = "/v1/events?types=privacy.exported&limit=200"
    assert not billing.get(types).json["items"]
    last = auditor.get(types).json["items"][-1]
    actor = privacy.get("/v1/me").json["client_id"]
    assert (last["actor"], last["subject"], last["data"]) == (actor, customer, {"request_id": request})


def test_an_export_that_cannot_be_is_refused(privacy, agent, supervisor, auditor, asked):
    path = asked[2]
    unchecked = ask(privacy, customer_ref=asked[0], identity_check=None).json["request_id"]
    nobody = ask(privacy, customer_ref="K-nobody").json["request_id"]
    for desk, asks, headers, status, kind in (
        (agent, path, {}, 403, "forbidden"),
        (supervisor, path, {}, 403, "forbidden"),
        (auditor, path, {}, 403, "forbidden"),
        (privacy, "/v1/data-requests/dsr_unknown/export", {}, 404, "not-found"),
        (privacy, f"/v1/data-requests/{nobody}/export", {}, 404, "not-found"),
        (privacy, f"/v1/data-requests/{unchecked}/export", {}, 409, "identity-not-checked"),
        (privacy, path, {"Accept": "text/csv"}, 406, "not-acceptable"),
        (privacy, f"{path}?language=fr", {}, 422, "validation-error"),
    ):
        answer = desk.client.get(asks, headers=headers)
        assert (answer.status_code, slug(answer)) == (status, kind)


def test_an_export_of_an_erased_customer_says_so(privacy, app, asked):
    ref, _, path = asked
    with app.extensions["refunds.store"].write(COMMAND_LINE) as uow:
        acts.erase(uow, uow.customers.find(ref), ErasureReason.CHILD)
    found = privacy.get(path)
    validator("CustomerExport").validate(found.json)
    assert found.json["erased"] == {"at": IN_TIME, "reason": "child"}
    page = privacy.client.get(f"{path}?language=de", headers=PAGE).text
    for text in (found.text, page):
        assert ref not in text
        assert "alert(1)" not in text
    assert "Ihre Daten wurden am" in page
