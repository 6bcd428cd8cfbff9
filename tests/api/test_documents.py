"""Documents over HTTP: the evidence on an order, and the confirmation of a cancellation."""

import json
import re
from datetime import timedelta

import pytest

from refunds.domain.permissions import COMMAND_LINE
from refunds.storage.audit import Broken
from refunds.storage.events import Events
from refunds.web import create_app
from tests.api.conftest import IN_TIME, LATE, PROVIDED, Desk, places, slug
from tests.api.test_contract import validator
from tests.api.test_publication import CHANGE, Brand, service  # noqa: F401 - a fixture
from tests.conftest import client_of, settings

HTML, TEXT, JSON = ({"Accept": form} for form in ("text/html", "text/plain", "application/json"))
HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(2)> \u202egnp.exe\u2066 {{7*7}} ]]>"
PERSONAL = {"note": "called twice about it", "ticket_ref": "T-4711", "from_detail": "+498999887766"}
CLAUSE = {"de": "Zwei Tage, und nicht mehr.", "en": "Two days, and no more."}


@pytest.fixture
def brand(service, now):  # noqa: F811
    """A policy with a clause, a vendor, and the page on which the clause is published."""
    page = {"page_url": "https://example.com/terms", "page_published_at": "2026-02-01T00:00:00Z"}
    brand = Brand(service, now, texts=CLAUSE, vendor_name="Nummern & Söhne", refund_due_days=37, **page)
    now.move_to(IN_TIME)
    return brand


def evidence(desk, order_id, query="", **headers):
    """The response to a request for the evidence on an order."""
    return desk.client.get(f"/v1/orders/{order_id}/evidence{query}", headers=headers)


def cancelled(brand, **contact):
    """A cancellation of a new order, on a call."""
    return brand.agent.cancelled(brand.order(service_provided_at=PROVIDED), contact={"channel": "phone"} | contact)


def test_the_evidence_contains_everything_about_an_order(brand, now):
    order_id = brand.order(service_provided_at=PROVIDED)
    brand.close("2026-04-08")
    now.shift(timedelta(seconds=1))
    contact = brand.agent.record(order_id, **PERSONAL).json
    issued = brand.agent.cancelled(order_id, contact_id=contact["contact_id"])
    answer = evidence(brand.supervisor, order_id)
    found = answer.json
    validator("Evidence").validate(found)
    assert (answer.status_code, answer.headers["Cache-Control"]) == (200, "no-store")
    assert found["order"] == brand.agent.get(f"/v1/orders/{order_id}").json
    assert found["contacts"] == [brand.agent.get(f"/v1/contacts/{contact['contact_id']}").json]
    assert found["cancellations"] == [issued]
    assert found["policy_versions"] == [brand.agent.get(f"{brand.url}/versions/1").json]
    assert found["closures"] == brand.agent.get(f"{brand.url}/closures").json["items"]
    assert found["proof"] == {"sound": True, "broken": [], "checked_at": "2026-04-08T21:05:01Z"}
    happened = [event for event in found["journal"] if event["order_id"] == order_id]
    feed = brand.desk("billing").feed(order_id)
    assert [{name: event[name] for name in listed} for event, listed in zip(happened, feed, strict=True)] == feed
    assert [event["subject"] for event in found["journal"] if event["order_id"] is None] == [
        f"{brand.id}/1",
        f"{brand.id}/2026-04-08",
    ]


def test_the_evidence_contains_only_closures_that_affected_a_decision(brand):
    brand.close("2026-04-07")
    brand.close("2026-12-23")
    order_id = brand.order(service_provided_at="2026-04-02T10:00:00Z")
    brand.agent.record(order_id)
    assert [closure["date"] for closure in evidence(brand.supervisor, order_id).json["closures"]] == ["2026-04-07"]


def test_the_evidence_shows_the_clause_of_the_time_and_the_current_one(brand, now):
    """An order whose service is not yet provided is judged by the version in force at each request."""
    order_id = brand.order(service_provided_at=None)
    brand.agent.record(order_id)
    brand.publish(2, CHANGE, texts={"de": "Fünf Tage.", "en": "Five days."}, window_business_days=5)
    assert [each["version"] for each in evidence(brand.supervisor, order_id).json["policy_versions"]] == [1]
    now.move_to(CHANGE)
    found = evidence(brand.supervisor, order_id).json["policy_versions"]
    assert [(each["version"], each["terms"]["texts"]["en"]) for each in found] == [(1, CLAUSE["en"]), (2, "Five days.")]
    page = evidence(brand.supervisor, order_id, **HTML).text
    assert CLAUSE["en"] in page
    assert "Five days." in page


def test_an_auditor_sees_no_personal_data(brand, now):
    order_id = brand.order(service_provided_at=PROVIDED, customer_ref="K-Geheim")
    brand.close("2026-04-08", de="Ausflug ins Grüne", en="Outing to the green")
    contact = brand.agent.record(order_id, intent="question", **PERSONAL).json
    now.move_to("2026-04-20T09:00:00Z")
    override = {"kind": "goodwill", "reason": "was so nice"}
    late = brand.supervisor.record(order_id).json
    issued = brand.supervisor.cancelled(order_id, contact_id=late["contact_id"], override=override)
    brand.desk("billing").put(
        f"/v1/cancellations/{issued['cancellation_id']}/settlement", json={"billing_ref": "RF-99"}
    )
    secrets = ["K-Geheim", *PERSONAL.values(), "was so nice", "RF-99", "Outing to the green"]
    known, hidden = (
        (evidence(desk, order_id).text, evidence(desk, order_id, **HTML).text)
        for desk in (brand.supervisor, brand.auditor)
    )
    for text in known:
        assert [secret for secret in secrets if secret not in text] == []
    for text in hidden:
        assert [secret for secret in secrets if secret in text] == []
    found = json.loads(hidden[0])
    validator("Evidence").validate(found)
    assert found["order"]["customer_ref"] is None
    assert {name: found["contacts"][0][name] for name in PERSONAL} == dict.fromkeys(PERSONAL)
    assert found["cancellations"][0]["override"]["reason"] is None
    assert found["cancellations"][0]["settlement"]["billing_ref"] is None
    assert found["closures"][0]["reason"] == {"de": None, "en": None}
    assert found["contacts"][0]["contact_id"] == contact["contact_id"]
    assert found["proof"]["sound"]


@pytest.mark.parametrize("lang", ["en", "de"])
def test_hostile_text_is_escaped_on_the_page(service, now, lang):  # noqa: F811
    brand = Brand(service, now, texts={lang: HOSTILE}, vendor_name=HOSTILE, page_url="https://x.example/'\"><script>")
    now.move_to(IN_TIME)
    order_id = brand.order(service_provided_at=PROVIDED, customer_ref=HOSTILE.encode("ascii", "ignore").decode())
    brand.close("2026-04-08", **{lang: HOSTILE})
    brand.agent.record(order_id, note=HOSTILE, ticket_ref="<b>T</b>")
    issued = brand.agent.cancelled(order_id)
    pages = [
        evidence(brand.supervisor, order_id, f"?lang={lang}", **HTML),
        brand.agent.client.get(f"/v1/cancellations/{issued['cancellation_id']}/confirmation?lang={lang}", headers=HTML),
    ]
    for page in pages:
        assert page.status_code == 200
        assert page.text.count("&lt;script&gt;alert(1)&lt;/script&gt;") >= 2
        assert set(re.findall(r"<([a-z0-9]+)", page.text)) & {"script", "img", "b"} == set()
        assert "{{7*7}}" in page.text
        assert "default-src 'none'" in page.headers["Content-Security-Policy"]
        assert "script" not in page.headers["Content-Security-Policy"]


def test_the_page_is_self_contained(brand):
    """It loads nothing, and its style is the one that its security policy allows."""
    issued = cancelled(brand)
    for page in (
        evidence(brand.supervisor, issued["order_id"], **HTML),
        brand.agent.client.get(f"/v1/cancellations/{issued['cancellation_id']}/confirmation", headers=HTML),
    ):
        assert page.mimetype == "text/html"
        assert re.findall(r"(?i)(?:src|href|action|srcset)=|@import|url\(", page.text) == []
        assert re.fullmatch(r"(?s)<!doctype html>\n<html lang=\"en\">.*</html>\n?", page.text)


@pytest.mark.parametrize(
    ("query", "language", "words", "others"),
    [
        (
            "",
            "en",
            ["Evidence on the order", "Can be cancelled", CLAUSE["en"], "order registered"],
            ["Nachweis", CLAUSE["de"]],
        ),
        (
            "",
            "de-AT,en;q=0.5",
            ["Nachweis zur Bestellung", "Stornierbar", CLAUSE["de"], "Bestellung erfasst"],
            ["Evidence"],
        ),
        ("?lang=de", "en", ["Nachweis", "Karfreitag", "Mittwoch, 8. April 2026"], ["Evidence", "Good Friday"]),
        ("?lang=en", "de", ["Evidence", "Good Friday", "Wednesday, 8 April 2026"], ["Nachweis", "Karfreitag"]),
        ("", "fr", ["Evidence"], ["Nachweis"]),
    ],
)
def test_the_evidence_is_in_the_readers_language(brand, query, language, words, others):
    order_id = cancelled(brand)["order_id"]
    headers = {"Accept-Language": language}
    page = evidence(brand.supervisor, order_id, query, **HTML, **headers).text.replace("\u00a0", " ")
    assert [word for word in words if word not in page] == []
    assert [word for word in others if word in page] == []
    text = evidence(brand.supervisor, order_id, query, **headers).json["contacts"][0]["decision"]["reason_text"]
    assert text.startswith("The order can" if "Evidence" in words[0] else "Die Bestellung kann")


@pytest.mark.parametrize(
    ("accept", "status", "form"),
    [
        (None, 200, "application/json"),
        ("*/*", 200, "application/json"),
        ("text/html,application/xhtml+xml,*/*;q=0.8", 200, "text/html"),
        ("application/json;q=0.2, text/html;q=0.1", 200, "application/json"),
        ("text/plain", 406, "application/problem+json"),
        ("application/pdf", 406, "application/problem+json"),
        ("text/html;q=0", 406, "application/problem+json"),
    ],
)
def test_the_evidence_comes_in_the_accepted_media_type(brand, accept, status, form):
    order_id = brand.order()
    answer = evidence(brand.supervisor, order_id, **({"Accept": accept} if accept else {}))
    assert (answer.status_code, answer.mimetype) == (status, form)


def test_an_invalid_request_for_evidence_is_refused(brand):
    order_id = brand.order()
    for desk, path, query, status, kind in (
        (brand.supervisor, "unknown", "", 404, "order-not-found"),
        (brand.supervisor, order_id, "?lang=fr", 422, "validation-error"),
        (brand.supervisor, order_id, "?limit=1", 422, "validation-error"),
        (brand.agent, order_id, "", 403, "forbidden"),
        (brand.product, order_id, "", 403, "forbidden"),
        (brand.desk("operator"), order_id, "", 403, "forbidden"),
    ):
        answer = evidence(desk, path, query)
        assert (answer.status_code, slug(answer)) == (status, kind)


def test_only_auditors_see_in_the_journal_who_saw_personal_data(brand):
    order_id, types = brand.order(), "/v1/events?types=privacy.evidence_shown&limit=200"
    for desk in (brand.supervisor, brand.auditor):
        assert evidence(desk, order_id).status_code == evidence(desk, order_id, **HTML).status_code == 200
    assert not brand.desk("billing").get(types).json["items"]
    shown = [one for one in brand.auditor.get(types).json["items"] if one["subject"] == order_id]
    actor = brand.supervisor.get("/v1/me").json["client_id"]
    assert [(one["actor"], one["order_id"], one["data"]) for one in shown] == [(actor, None, {})] * 2
    assert "privacy.evidence_shown" not in evidence(brand.supervisor, order_id).text


# Proof.


class Store:
    """An installation whose records are changed behind the service's back."""

    def __init__(self, clock):
        self.app = create_app(settings())
        self.store = self.app.extensions["refunds.store"]
        self.desk = Desk(client_of(self.app), clock)
        assert self.desk.post("/v1/policies/virtual-numbers/closures", {"date": "2026-04-08"}).status_code == 201
        self.order_id = self.desk.register()
        self.contact_id = self.desk.record(self.order_id, note="called twice").json["contact_id"]
        self.desk.register()

    def evidence(self):
        """The evidence on the order."""
        return evidence(self.desk, self.order_id).json

    def tamper(self, sql, **given):
        """Change rows, at least one."""
        engine, _ = self.store.open()
        with engine.write() as tx:
            assert tx.run(sql, **given) >= 1


@pytest.fixture
def store(now):
    """An installation with an order, a contact about it, and a later order."""
    store = Store(now)
    yield store
    store.store.close()


def test_each_event_names_the_next_checkpoint(store, now):
    """Or none, while there is no later checkpoint."""
    before = store.evidence()["journal"]
    assert [event["anchor"] for event in before] == [None] * len(before)
    store.store.checkpoint()
    now.shift(timedelta(minutes=1))
    store.desk.cancelled(store.order_id, contact_id=store.contact_id)
    found = store.evidence()
    _, checkpoint = store.store.checkpoints  # the first is that of the beginning
    anchor = {"position": checkpoint.position, "hash": checkpoint.hash.hex(), "at": IN_TIME}
    assert [event["anchor"] for event in found["journal"]] == [anchor] * len(before) + [None]
    assert [event["position"] <= checkpoint.position for event in found["journal"]] == [True] * len(before) + [False]
    assert [event["type"] for event in found["journal"]][-1] == "cancellation.issued"
    assert found["proof"]["sound"]
    for before, after in zip(found["journal"], found["journal"][1:], strict=False):
        assert before["position"] + 1 < after["position"] or before["hash"] == after["previous"]
    page = evidence(store.desk, store.order_id, **HTML).text
    assert f"checkpoint at {checkpoint.position}" in page
    assert "not yet in a checkpoint" in page


def test_a_checkpoint_of_another_journal_is_reported(store):
    store.store.checkpoint()
    file = store.store.checkpoints.file
    _, checkpoint = store.store.checkpoints  # the first is that of the beginning
    file.write_text(file.read_text().replace(checkpoint.hash.hex(), "00" * 32))
    proof = store.evidence()["proof"]
    assert proof["sound"] is False
    assert proof["broken"] == [f"position {checkpoint.position}: this is not the event of the checkpoint"]


TAMPERINGS = {
    "another region": ("UPDATE orders SET region = 'DE-BE' WHERE order_id = :order", "orders {order}: differs"),
    "provided later": (
        "UPDATE orders SET service_provided_at = service_provided_at + 1 WHERE order_id = :order",
        "orders {order}: differs",
    ),
    "received earlier": ("UPDATE contacts SET received_at = received_at - 1", "contacts {contact}: differs"),
    "another decision": (
        "UPDATE contacts SET decision = replace(decision, 'within_window', 'window_elapsed')",
        "contacts {contact}: differs",
    ),
    "no note": ("UPDATE contacts SET note = NULL", "contacts {contact}: differs"),
    "no contact": ("DELETE FROM contacts", "contacts {contact}: the record is missing"),
    "another name of a holiday": (
        "UPDATE contacts SET decision = replace(decision, 'Good Friday', 'Bad Friday')",
        "contacts {contact}: differs",
    ),
    "a holiday without a date": (
        "UPDATE contacts SET decision = replace(decision, '\"2026-04-03\"', '\"Friday\"')",
        "contacts {contact}: cannot be read",
    ),
    "another clause": (
        "UPDATE policy_versions SET terms = replace(terms, '2 business days', '9 business days')",
        "policy_versions virtual-numbers/1: differs",
    ),
    "another closure": (
        "UPDATE closures SET entered_at = entered_at - 1",
        "closures virtual-numbers/2026-04-08: differs",
    ),
    "another event": (
        "UPDATE events SET data = replace(data, 'phone', 'email') WHERE type = 'contact.recorded'",
        "position ",
    ),
    "another actor": ("UPDATE events SET actor = 'cli_nobody' WHERE order_id = :order", "position "),
    "another kind of event": ("UPDATE events SET type = 'order.lost' WHERE type = 'order.registered'", "position "),
    "no time of an event": ("UPDATE events SET at = 9223372036854775807 WHERE order_id = :order", "position "),
    "another time": ("UPDATE events SET at = at - 1 WHERE type = 'order.registered'", "position "),
    "unreadable note": ("UPDATE contacts SET note = :bytes", "contacts {contact}: not an encrypted"),
    "no decision": ("UPDATE contacts SET decision = 'none'", "contacts {contact}: cannot be read"),
    "half a decision": ("UPDATE contacts SET decision = :nothing", "contacts {contact}: cannot be read"),
    "no channel": ("UPDATE contacts SET channel = 'fax'", "contacts {contact}: cannot be read"),
    "unreadable customer": ("UPDATE orders SET customer_ref = :bytes", "orders {order}: not an encrypted value"),
    "unreadable reason": ("UPDATE closures SET reason_de = :bytes", "closures virtual-numbers/2026-04-08: not an"),
    "no event between": ("DELETE FROM events WHERE type = 'order.registered' AND order_id <> :order", "position "),
}


@pytest.mark.parametrize("how", TAMPERINGS)
def test_a_change_behind_the_services_back_is_reported(store, how):
    assert store.evidence()["proof"]["sound"]
    sql, where = TAMPERINGS[how]
    given = {"order": store.order_id, "bytes": b"x", "nothing": "{}"}
    store.tamper(sql, **{name: value for name, value in given.items() if f":{name}" in sql})
    found = store.evidence()
    validator("Evidence").validate(found)
    assert found["proof"]["sound"] is False
    expected = where.format(order=store.order_id, contact=store.contact_id)
    assert [place for place in found["proof"]["broken"] if place.startswith(expected)], found["proof"]
    page = evidence(store.desk, store.order_id, **HTML).text
    assert "The records are not what was written" in page
    assert found["proof"]["broken"][0] in page
    with store.store.read(COMMAND_LINE) as uow, pytest.raises(Broken):
        uow.verify([])


def test_an_auditor_sees_that_a_hidden_field_cannot_be_read(store):
    store.tamper("UPDATE contacts SET note = :bytes", bytes=b"x")
    auditor = Desk(client_of(store.app, "auditor"), None)
    (place,) = evidence(auditor, store.order_id).json["proof"]["broken"]
    assert place.startswith(f"contacts {store.contact_id}: not an encrypted value: 1|contacts|note|")


def test_a_truncated_journal_is_reported(store):
    """Its head is reset, so that the rest is consistent; only the checkpoint reveals it."""
    store.store.checkpoint()
    _, checkpoint = store.store.checkpoints  # the first is that of the beginning
    with store.store.read(COMMAND_LINE) as uow:
        kept, last = next(
            (row["position"], row["hash"])
            for row in Events.iter_rows(uow.tx)
            if (row["type"], row["order_id"]) == ("order.promised", store.order_id)
        )
    store.tamper("DELETE FROM contacts")
    store.tamper("DELETE FROM events WHERE position > :kept", kept=kept)
    store.tamper("UPDATE journal_head SET position = :kept, hash = :last", kept=kept, last=last)
    assert evidence(store.desk, store.order_id).status_code == 503, (
        "this process has seen the journal when it was longer"
    )
    store.store._seen = None
    assert store.evidence()["proof"]["broken"] == [
        f"position {kept}: the journal ends here, but has a checkpoint at {checkpoint.position}"
    ]


def test_there_is_evidence_before_any_version_is_in_force(brand):
    """The order has a policy that takes effect later."""
    later = Brand(brand.service, brand.clock)
    brand.clock.move_to("2026-02-01T00:00:00Z")
    order_id = later.order(service_provided_at="2026-03-02T10:00:00Z")
    found = evidence(later.supervisor, order_id)
    assert (found.status_code, found.json["policy_versions"], found.json["proof"]["sound"]) == (200, [], True)
    assert evidence(later.supervisor, order_id, **HTML).status_code == 200


def test_a_change_of_another_order_does_not_affect_the_proof(store):
    store.tamper("UPDATE orders SET region = 'DE-BE' WHERE order_id <> :order", order=store.order_id)
    assert store.evidence()["proof"] == {"sound": True, "broken": [], "checked_at": IN_TIME}


# Confirmations.


def confirmation(desk, cancellation, query="", **headers):
    """The response to a request for a confirmation."""
    return desk.client.get(f"/v1/cancellations/{cancellation['cancellation_id']}/confirmation{query}", headers=headers)


def both(desk, cancellation, query="", **headers):
    """The confirmation as plain text and as a page."""
    answers = [confirmation(desk, cancellation, query, **form, **headers) for form in (TEXT, HTML)]
    assert [(answer.status_code, answer.mimetype) for answer in answers] == [(200, "text/plain"), (200, "text/html")]
    assert {answer.headers["Cache-Control"] for answer in answers} == {"no-store"}
    texts = (answer.text.replace("&amp;", "&").replace("&#39;", "'").replace("\u00a0", " ") for answer in answers)
    return [re.sub(r'<span class="whole">(.*?)</span>', r"\1", text) for text in texts]


TEXTS = {
    "en": [
        "Nummern & Söhne",
        "Your cancellation has been received",
        "Wednesday, 8 April 2026, 22:59 (Berlin time)",
        "Wednesday, 8 April 2026, 23:05 (Berlin time)",
        "by telephone, at +493012345678",
        CLAUSE["en"],
        "Version 1, in force since Sunday, 1 March 2026. Published at https://example.com/terms.",
        "Your statutory rights",
    ],
    "de": [
        "Nummern & Söhne",
        "Ihre Stornierung ist eingegangen",
        "Mittwoch, 8. April 2026, 22:59 Uhr (Ortszeit Berlin)",
        "Mittwoch, 8. April 2026, 23:05 Uhr (Ortszeit Berlin)",
        "telefonisch, über +493012345678",
        CLAUSE["de"],
        "Fassung 1, in Kraft seit Sonntag, 1. März 2026. Veröffentlicht unter https://example.com/terms.",
        "Ihre gesetzlichen Rechte",
    ],
}


@pytest.mark.parametrize(
    ("query", "language", "expected"),
    [
        ("?lang=de", "en", "de"),
        ("?lang=en", "de", "en"),
        ("", "de-AT,en;q=0.3", "de"),
        ("", "en", "en"),
        ("", "fr", "en"),
    ],
)
def test_a_confirmation_says_what_was_received_and_when(brand, query, language, expected):
    issued = cancelled(brand, received_at="2026-04-08T20:59:59Z", contact_point="030 12345678")
    for text in both(brand.agent, issued, query, **{"Accept-Language": language}):
        assert [words for words in TEXTS[expected] if words not in text] == []
        assert [words for words in TEXTS["de" if expected == "en" else "en"][1:] if words in text] == []
        assert issued["reference"] in text
        assert issued["order_id"] in text


@pytest.mark.parametrize("lang", ["de", "en"])
def test_a_confirmation_promises_no_time_and_no_amount(brand, lang):
    """The refund target of 37 days, which end on 15 May, is internal; so are the notes about the customer."""
    issued = cancelled(brand, **PERSONAL)
    assert issued["refund_due_by"] == "2026-05-15"
    for document in both(brand.agent, issued, f"?lang={lang}"):
        text = document.replace(issued["reference"], "").replace(issued["order_id"], "").rpartition("</style>")[2]
        hidden = [
            r"\bMay\b",
            r"\bMai\b",
            r"05-15",
            r"\b37\b",
            r"€|EUR\b|Euro",
            *PERSONAL.values(),
            "K-20391",
            "con_",
            "cli_",
        ]
        assert [words for words in hidden if re.search(words.replace("+", r"\+"), text)] == []


def test_the_confirmation_shows_the_clause_of_the_version_that_judged(brand, now):
    issued = cancelled(brand)
    now.shift(timedelta(minutes=1))
    brand.publish(2, texts={"de": "Fünf Tage.", "en": "Five days."}, vendor_name="Other", window_business_days=5)
    now.shift(timedelta(minutes=1))
    later = brand.agent.cancelled(brand.order(service_provided_at="2026-04-08T21:06:30Z"))
    for text in both(brand.agent, issued):
        assert (CLAUSE["en"] in text, "Version 1," in text, "Five days." in text) == (True, True, False)
    for text in both(brand.agent, later):
        assert (CLAUSE["en"] in text, "Version 2," in text, "Five days." in text) == (False, True, True)


def test_a_clause_without_a_translation_is_shown_in_the_other_language(service, now):  # noqa: F811
    brand = Brand(service, now, texts={"de": CLAUSE["de"]})
    bare = Brand(service, now)
    now.move_to(IN_TIME)
    text, page = both(brand.agent, cancelled(brand), "?lang=en")
    assert CLAUSE["de"] in text
    assert f'<blockquote lang="de">{CLAUSE["de"]}</blockquote>' in page
    for document in both(bare.agent, cancelled(bare), "?lang=en"):
        assert "The terms that apply" not in document
        assert "None" not in document
        assert "The vendor of the service" in document


def test_goodwill_is_called_goodwill(brand, now):
    order_id = brand.order(service_provided_at=PROVIDED)
    now.move_to(LATE)
    issued = brand.supervisor.cancelled(order_id, override={"kind": "goodwill", "reason": "our line was down"})
    for lang, words in (("en", "goodwill"), ("de", "Kulanz")):
        for text in both(brand.agent, issued, f"?lang={lang}"):
            assert words in text
            assert "our line was down" not in text
    assert "goodwill" not in both(brand.agent, cancelled(brand, received_at=IN_TIME, ticket_ref="T-1"))[0]


def test_the_confirmation_says_when_an_e_mail_was_sent(brand):
    issued = cancelled(brand, channel="email", sent_at="2026-04-08T20:01:00Z", received_at="2026-04-08T20:02:00Z")
    for text in both(brand.agent, issued, "?lang=en"):
        for words in ("by e-mail", "Sent", "22:01", "Received", "22:02"):
            assert words in text


def test_a_settled_cancellation_is_confirmed_and_a_revoked_one_is_not(brand):
    issued = cancelled(brand)
    before = both(brand.agent, issued)
    where = f"/v1/cancellations/{issued['cancellation_id']}"
    billing = brand.desk("billing")
    assert billing.put(f"{where}/settlement", json={"billing_ref": "RF-1"}).status_code == 200
    assert both(brand.agent, issued) == before
    assert billing.delete(f"{where}/settlement?reason_code=refund_failed").status_code == 200
    assert brand.supervisor.put(f"{where}/revocation", json={"reason_code": "entered_in_error"}).status_code == 200
    for form in (TEXT, HTML):
        answer = confirmation(brand.agent, issued, **form)
        assert (answer.status_code, slug(answer)) == (409, "cancellation-state-conflict")


@pytest.mark.parametrize(
    ("accept", "status", "form"),
    [
        (None, 200, "text/html"),
        ("*/*", 200, "text/html"),
        ("text/plain", 200, "text/plain"),
        ("text/plain;q=0.2, text/html;q=0.1", 200, "text/plain"),
        ("text/html;q=0, */*", 200, "text/plain"),
        ("application/json", 406, "application/problem+json"),
        ("application/pdf", 406, "application/problem+json"),
    ],
)
def test_a_confirmation_comes_in_the_accepted_media_type(brand, accept, status, form):
    answer = confirmation(brand.agent, cancelled(brand), **({"Accept": accept} if accept else {}))
    assert (answer.status_code, answer.mimetype) == (status, form)


def test_an_invalid_request_for_a_confirmation_is_refused(brand):
    issued = cancelled(brand)
    for desk, cancellation, query, status, kind in (
        (brand.agent, {"cancellation_id": "can_1"}, "", 404, "not-found"),
        (brand.agent, issued, "?lang=fr", 422, "validation-error"),
        (brand.agent, issued, "?language=de", 422, "validation-error"),
        (brand.product, issued, "", 403, "forbidden"),
        (brand.desk("privacy"), issued, "", 403, "forbidden"),
    ):
        answer = confirmation(desk, cancellation, query)
        assert (answer.status_code, slug(answer)) == (status, kind)
        assert status != 422 or len(places(answer)) == 1
