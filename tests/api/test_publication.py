"""The life of policies over HTTP: versions are published and withdrawn, closures entered; old decisions never change."""

from datetime import timedelta
from itertools import count

import pytest

from refunds.domain.instants import format_instant, parse_instant
from refunds.domain.permissions import COMMAND_LINE
from refunds.storage import events, policies
from refunds.storage.tables import NAMES
from refunds.web import create_app
from tests.api.conftest import Desk, places, slug
from tests.conftest import client_of, settings

BEGAN = "2026-03-01T09:00:00Z"
TODAY = "2026-04-08T09:00:00Z"
CHANGE = "2026-04-15T00:00:00Z"
MICROSECOND = timedelta(microseconds=1)
LONGER = {"version": 2, "effective_from": None, "terms": {"window_business_days": 3}}
OURS, THEIRS = "+493012345678", "+493087654321"
_numbers = count(1)


@pytest.fixture(scope="module")
def service(engine):
    """A service whose policies only these tests publish."""
    app = create_app(settings(engine=engine))
    yield app
    app.extensions["refunds.store"].close()


class Brand:
    """A new policy whose first version is in force from 1 March on, with the desks of its users."""

    def __init__(self, service, clock, **terms):
        self.id, self.service, self.clock = f"brand-{next(_numbers)}", service, clock
        self.url = f"/v1/policies/{self.id}"
        self.product, self.agent, self.supervisor, self.auditor = map(
            self.desk, ("product", "agent", "supervisor", "auditor")
        )
        clock.move_to(BEGAN)
        begun = self.publish(1, **terms)
        assert begun.status_code == 201, begun.text
        clock.move_to(TODAY)

    def desk(self, role):
        """The desk of a role."""
        return Desk(client_of(self.service, role), self.clock)

    def publish(self, version, effective_from=None, query="", language="en", **terms):
        """Publish a version and return the response."""
        draft = {"version": version, "effective_from": effective_from, "terms": terms}
        return self.send(draft, query, language)

    def send(self, draft, query="", language="en", role="product"):
        """Send any body as a draft and return the response."""
        client, headers = client_of(self.service, role), {"Accept-Language": language}
        return client.post(f"{self.url}/versions{query}", json=draft, headers=headers)

    def withdraw(self, version):
        """Withdraw a version and return the response."""
        return self.product.put(f"{self.url}/versions/{version}/withdrawal")

    def close(self, date, language="en", **reason):
        """Enter a closure and return the response."""
        body = {"date": date} | ({"reason": reason} if reason else {})
        return self.product.client.post(f"{self.url}/closures", json=body, headers={"Accept-Language": language})

    def check(self, provided, requested=None, **more):
        """The answer to a check."""
        body = {"policy": self.id, "service_provided_at": provided, "requested_at": requested or provided} | more
        return self.agent.client.post("/v1/eligibility-checks", json=body).json

    def judged_by(self, provided, requested=None, **more):
        """The number of the version that judges a check."""
        return self.check(provided, requested, **more)["policy"]["version"]

    def last_day(self, provided, requested=None, **more):
        """The last day of the window of a check."""
        return self.check(provided, requested, **more)["window"]["last_day"]

    def order(self, **facts):
        """Register an order and return its id."""
        return self.agent.register(policy=self.id, region="DE", **facts)

    def happened(self):
        """The events of this policy."""
        return [event for event in self.feed() if event["data"].get("policy") == self.id]

    def feed(self):
        """The events of all policies."""
        types = "policy.published,policy.imported,policy.withdrawn,closure.added"
        found, page = [], self.auditor.get(f"/v1/events?types={types}&limit=200").json
        while page["items"]:
            found += page["items"]
            page = self.auditor.get(f"/v1/events?types={types}&limit=200&after={page['next']}").json
        return found

    def position(self):
        """The length of the journal."""
        with self.service.extensions["refunds.store"].read(COMMAND_LINE) as uow:
            return events.head(uow.tx).position


@pytest.fixture
def brand(service, now):
    """A new policy."""
    return Brand(service, now)


def test_a_publication_reads_no_terms_of_versions_that_were_there(brand, monkeypatch):
    read, read_terms = [], policies.read_terms
    monkeypatch.setattr(policies, "read_terms", lambda data: read.append(data) or read_terms(data))
    answer = brand.publish(2, CHANGE, texts={"de": f"Nur in {brand.id}."})
    assert answer.status_code == 201, answer.text
    assert len(read) == 1


def test_a_version_is_published_and_its_location_returned(brand):
    answer = brand.publish(2, CHANGE, window_business_days=3, texts={"de": "Drei Tage."})
    assert answer.status_code == 201
    assert answer.headers["Location"] == f"{brand.url}/versions/2"
    published = answer.json
    only_then = {name: published[name] for name in ("follows", "differences", "warnings")}
    assert brand.product.get(answer.headers["Location"]).json | only_then == published
    assert (published["registered_at"], published["effective_from"], published["imported"]) == (TODAY, CHANGE, False)
    me = brand.product.get("/v1/me").json["client_id"]
    assert published["registered_by"] == me
    event = brand.happened()[-1]
    assert (event["type"], event["subject"], event["actor"], event["order_id"]) == (
        "policy.published",
        f"{brand.id}/2",
        me,
        None,
    )
    assert event["data"] == {
        "policy": brand.id,
        "version": 2,
        "effective_from": CHANGE,
        "content_hash": published["content_hash"],
    }


@pytest.mark.parametrize("effective_from", [CHANGE, None], ids=["later", "at once"])
def test_publishing_the_same_version_again_changes_nothing(brand, now, effective_from):
    """Even if it took effect at once; with its instant or without."""
    first = brand.publish(2, effective_from, window_business_days=3)
    assert first.status_code == 201
    position = brand.position()
    now.move_to("2026-04-20T00:00:00Z")
    for repeated in {effective_from, first.json["effective_from"]}:
        again = brand.publish(2, repeated, window_business_days=3)
        assert (again.status_code, again.json, "Location" in again.headers) == (200, first.json, False)
    assert brand.position() == position


def test_a_dry_run_gets_the_same_answer_and_changes_nothing(brand):
    position = brand.position()
    would_be = brand.publish(2, CHANGE, "?dry_run=true", window_business_days=3)
    assert (would_be.status_code, "Location" in would_be.headers) == (200, False)
    assert brand.position() == position
    assert brand.product.get(f"{brand.url}/versions/2").status_code == 404
    assert brand.judged_by(CHANGE) == 1
    assert brand.publish(2, CHANGE, "?dry_run=false", window_business_days=3).json == would_be.json


@pytest.mark.parametrize("query", ["", "?dry_run=true"])
@pytest.mark.parametrize("role", ["agent", "supervisor", "billing", "privacy", "auditor", "operator"])
def test_publishing_and_dry_runs_require_a_scope(brand, role, query):
    answer = brand.send(LONGER, query, role=role)
    assert (answer.status_code, slug(answer)) == (403, "forbidden")


WORDS = [
    (
        {"window_business_days": 1},
        ["Window: 1 business day (was: 2 business days)"],
        ["Frist: 1 Werktag (bisher: 2 Werktage)"],
    ),
    (
        {"business_week": "country", "end_week": ["mon", "sat"]},
        [
            "Business week: the weekdays that are working days by the country's law on each date (was: Mon, Tue, Wed, Thu, Fri)",
            "Days on which the window may end: Mon, Sat (was: none)",
        ],
        [
            "Werktage: die am jeweiligen Datum geltende gesetzliche Arbeitswoche (bisher: Mo, Di, Mi, Do, Fr)",
            "Tage, an denen die Frist enden kann: Mo, Sa (bisher: keine Angabe)",
        ],
    ),
    (
        {"follow_order_region": False, "judged_by": "ordered", "timely_by": "sent"},
        [
            "The order's region counts: no (was: yes)",
            "In time by: the time of sending (was: the time of receipt)",
            "Judged by the version in force when: the order was placed (was: the service was provided)",
        ],
        [
            "Die Region der Bestellung zählt: nein (bisher: ja)",
            "Für die Rechtzeitigkeit zählt: die Absendung (bisher: der Eingang)",
            "Maßgebliche Fassung: die bei der Bestellung geltende (bisher: die bei der Leistung geltende)",
        ],
    ),
    (
        {"phone": {"points": [OURS]}, "email": {"accepted": False}},
        [
            f"By telephone: counts by {OURS} (was: counts, by whatever number or address)",
            "By e-mail: does not count (was: counts, by whatever number or address)",
        ],
        [
            f"Telefonisch: zählt über {OURS} (bisher: zählt über jede Nummer oder Adresse)",
            "Per E-Mail: zählt nicht (bisher: zählt über jede Nummer oder Adresse)",
        ],
    ),
    (
        {"closures": ["2026-12-24"], "texts": {"en": "Three days."}},
        ["Closed: also Thursday, 24 December 2026", "Clause: new in English"],
        ["Schließtage: zusätzlich Donnerstag, 24. Dezember 2026", "Klausel: auf Englisch neu"],
    ),
    (
        {"page_published_at": "2026-04-10T10:00:00Z", "vendor_name": "Nummern GmbH", "refund_due_days": 1},
        [
            "Refund target: 1 calendar day (was: 14 calendar days)",
            "Vendor: Nummern GmbH (was: none)",
            "Page published: Friday, 10 April 2026, 12:00 (Berlin time) (was: none)",
        ],
        [
            "Angestrebte Dauer bis zur Erstattung: 1 Kalendertag (bisher: 14 Kalendertage)",
            "Anbieter: Nummern GmbH (bisher: keine Angabe)",
            "Webseite veröffentlicht: Freitag, 10. April 2026, 12:00 Uhr (Ortszeit Berlin) (bisher: keine Angabe)",
        ],
    ),
]


@pytest.mark.parametrize(("terms", "english", "german"), WORDS)
def test_each_difference_is_described_in_words(brand, terms, english, german):
    for language, texts in (("en", english), ("de-AT", german)):
        differences = brand.publish(2, CHANGE, "?dry_run=true", language, **terms).json["differences"]
        assert {difference["term"] for difference in differences} == set(terms)
        assert [difference["text"] for difference in differences] == texts


def test_a_first_version_lists_every_term_as_a_difference(service, now):
    brand = Brand(service, now)
    brand.url += "-other"
    published = brand.publish(1, CHANGE, window_business_days=3).json
    assert published["follows"] is None
    assert {difference["term"] for difference in published["differences"]} == set(published["terms"])
    assert "Window: 3 business days" in [difference["text"] for difference in published["differences"]]


FUTURE, SOONER = "2026-05-01T12:00:00Z", "2026-05-01T11:59:59.999999Z"


@pytest.mark.parametrize(
    ("effective_from", "page", "in_force_from"),
    [
        (None, None, TODAY),
        (TODAY, None, TODAY),
        ("2026-04-08T11:00:00+02:00", None, TODAY),
        (FUTURE, None, FUTURE),
        (None, FUTURE, FUTURE),
        (FUTURE, FUTURE, FUTURE),
        (None, BEGAN, TODAY),
        (TODAY, TODAY, TODAY),
        ("2026-04-08T08:59:59.999999Z", None, None),
        (BEGAN, BEGAN, None),
        ("2027-01-01T00:00:00Z", BEGAN, "2027-01-01T00:00:00Z"),
        (SOONER, FUTURE, None),
        (TODAY, FUTURE, None),
    ],
)
def test_a_version_takes_effect_not_before_now_nor_before_its_page_is_published(
    brand, effective_from, page, in_force_from
):
    answer = brand.publish(2, effective_from, window_business_days=3, page_published_at=page)
    if in_force_from is None:
        assert (answer.status_code, slug(answer), places(answer)) == (422, "effective-too-early", ["/effective_from"])
        assert [event["type"] for event in brand.happened()] == ["policy.published"]
    else:
        assert (answer.status_code, answer.json["effective_from"]) == (201, in_force_from)


@pytest.mark.parametrize(
    ("changed", "kind", "pointers"),
    [
        ({"terms": {}}, "validation-error", [""]),
        ({"terms": {"window_business_days": 2}}, "validation-error", [""]),
        ({"version": 3}, "validation-error", ["/version"]),
        ({"version": 0}, "validation-error", ["/version"]),
        ({"version": "2"}, "validation-error", ["/version"]),
        ({"version": True}, "validation-error", ["/version"]),
        ({"version": 10**30}, "validation-error", ["/version"]),
        ({"version": None}, "validation-error", ["/version"]),
        ({"terms": None}, "validation-error", ["/terms"]),
        ({"terms": []}, "validation-error", ["/terms"]),
        ({"terms": {"window_days": 3}}, "validation-error", ["/terms/window_days"]),
        ({"terms": {"window_business_days": "3"}}, "validation-error", ["/terms/window_business_days"]),
        ({"terms": {"region": "Bavaria"}}, "unknown-region", ["/terms/region"]),
        ({"terms": {"region": "DE-ZZ"}}, "unknown-region", ["/terms/region"]),
        ({"terms": {"time_zone": "Mars/Olympus"}}, "validation-error", ["/terms/time_zone"]),
        ({"terms": {"page_url": "javascript:alert(1)"}}, "validation-error", ["/terms/page_url"]),
        ({"terms": {"phone": {"points": ["030 1"]}}}, "validation-error", ["/terms/phone/points/0"]),
        ({"effective_from": "2026-05-01"}, "validation-error", ["/effective_from"]),
        ({"policy": "another"}, "validation-error", ["/policy"]),
        ({"registered_at": BEGAN}, "validation-error", ["/registered_at"]),
        ({"imported": True}, "validation-error", ["/imported"]),
        (
            {"terms": {"texts": {"en": "Pay to DE89 3704 0044 0532 0130 00."}}},
            "payment-data-refused",
            ["/terms/texts/en"],
        ),
        ({"terms": {"vendor_name": "4111 1111 1111 1111"}}, "payment-data-refused", ["/terms/vendor_name"]),
    ],
)
def test_an_invalid_draft_is_refused_and_nothing_is_stored(brand, changed, kind, pointers):
    position = brand.position()
    answer = brand.send(LONGER | changed)
    assert (answer.status_code, slug(answer), places(answer)) == (422, kind, pointers)
    assert brand.position() == position
    assert len(brand.product.get(brand.url).json["versions"]) == 1


@pytest.mark.parametrize("name", ["version", "effective_from", "terms"])
def test_a_draft_must_name_version_date_and_terms(brand, name):
    """Even that it takes effect at once: a forgotten date must not change what is in force."""
    draft = {field: value for field, value in LONGER.items() if field != name}
    answer = brand.send(draft)
    assert (answer.status_code, places(answer)) == (422, [f"/{name}"])


@pytest.mark.parametrize(
    "name", ["Brand", "brand_1", "-brand", "brand-", "b" * 65, "brand%0A", "%D0%B0bc", "brand%20x"]
)
def test_an_invalid_policy_id_is_refused(brand, name):
    answer = brand.product.client.post(f"/v1/policies/{name}/versions", json=LONGER | {"version": 1})
    assert (answer.status_code, places(answer)) == (422, ["/policy"])


def test_a_version_number_is_not_used_twice(brand):
    for other in ({"window_business_days": 3}, {"texts": {"de": "Anders."}}):
        answer = brand.publish(1, **other)
        assert (answer.status_code, slug(answer)) == (409, "policy-version-conflict")
        assert "the next is version 2" in answer.json["detail"]
    moved = brand.publish(1, CHANGE)
    assert (moved.status_code, slug(moved)) == (409, "policy-version-conflict")


def test_a_new_policy_is_in_force_from_its_first_version_on(service, now):
    """Before that, no policy is in force."""
    brand = Brand(service, now)
    assert brand.judged_by(BEGAN) == 1
    earlier = brand.check("2026-02-28T10:00:00Z", TODAY)
    assert earlier["type"] == "/problems/no-policy-in-force"
    assert "2026-03-01" in earlier["detail"]


def test_policies_do_not_affect_each_other(service, now):
    one, other = Brand(service, now), Brand(service, now, window_business_days=5)
    assert one.publish(2, window_business_days=3).status_code == 201
    assert one.close("2026-04-10").status_code == 201
    assert [brand.judged_by(TODAY) for brand in (one, other)] == [2, 1]
    assert [brand.last_day(TODAY) for brand in (one, other)] == ["2026-04-14", "2026-04-15"]
    assert [event["subject"] for event in other.happened()] == [f"{other.id}/1"]


def test_a_version_must_take_effect_after_all_earlier_ones(brand):
    """To take effect earlier, the other version has to be withdrawn first."""
    brand.publish(2, CHANGE, window_business_days=3)
    for at in (None, CHANGE, "2026-04-14T23:59:59.999999Z"):
        refused = brand.publish(3, at, window_business_days=4)
        assert (refused.status_code, places(refused)) == (422, ["/effective_from"])
        assert "later than version 2" in refused.json["detail"]
    brand.withdraw(2)
    answer = brand.publish(3, "2026-04-14T23:59:59.999999Z", window_business_days=4)
    assert (answer.status_code, answer.json["follows"]) == (201, 1)
    assert [event["type"] for event in brand.happened()] == [
        "policy.published",
        "policy.published",
        "policy.withdrawn",
        "policy.published",
    ]


def test_the_newer_version_is_in_force_from_its_very_first_instant(brand, now):
    brand.publish(2, CHANGE, window_business_days=5)
    at = parse_instant(CHANGE)
    for provided, version, last_day in ((at - MICROSECOND, 1, "2026-04-17"), (at, 2, "2026-04-22")):
        text = format_instant(provided)
        assert (brand.judged_by(text), brand.last_day(text)) == (version, last_day)
        now.move_to(provided)
        order_id = brand.order(service_provided_at=text)
        decided = brand.agent.record(order_id).json["decision"]
        assert (decided["policy"]["version"], decided["window"]["last_day"]) == (version, last_day)
        assert brand.agent.cancelled(order_id)["decision"]["policy"]["version"] == version


def test_a_service_provided_earlier_is_still_judged_by_the_older_version(brand, now):
    before, after = brand.order(service_provided_at=TODAY), brand.order(service_provided_at=None)
    assert brand.agent.record(before).json["decision"]["policy"]["version"] == 1
    now.shift(MICROSECOND)
    brand.publish(2, window_business_days=1)
    now.move_to("2026-04-10T09:00:00Z")
    held = brand.agent.cancelled(before)["decision"]
    assert (held["policy"]["version"], held["reason"], held["window"]["last_day"]) == (1, "within_window", "2026-04-10")
    unprovided = brand.agent.record(after).json["decision"]
    assert (unprovided["policy"]["version"], unprovided["reason"]) == (2, "service_not_yet_provided")


def test_a_service_not_yet_provided_is_judged_by_the_version_at_the_request(brand):
    brand.publish(2, CHANGE, phone={"accepted": False})
    at = parse_instant(CHANGE)
    for requested, version, reason in (
        (at - MICROSECOND, 1, "service_not_yet_provided"),
        (at, 2, "channel_not_accepted"),
    ):
        for provided in (None, "2026-06-01T00:00:00Z"):
            answer = brand.check(provided, format_instant(requested), channel="phone")
            assert (answer["policy"]["version"], answer["reason"]) == (version, reason)


def test_the_time_of_the_order_decides_if_the_version_says_so(service, now):
    """The version in force when the service was provided says which time counts."""
    brand = Brand(service, now)
    brand.publish(2, CHANGE, judged_by="ordered", window_business_days=5)
    provided = "2026-04-16T10:00:00Z"
    assert brand.judged_by(provided) == 2, "when it was ordered is not known"
    assert brand.judged_by(provided, ordered_at=TODAY) == 1
    assert brand.judged_by(provided, ordered_at=CHANGE) == 2
    assert brand.judged_by(TODAY, ordered_at=BEGAN) == 1
    now.move_to(provided)
    order_id = brand.order(service_provided_at=provided, ordered_at=TODAY)
    assert brand.agent.record(order_id).json["decision"]["window"]["last_day"] == "2026-04-20"


@pytest.mark.parametrize(
    ("point", "received_at", "reason"),
    [
        (OURS, "2026-04-14T20:00:00Z", "within_window"),
        (THEIRS, "2026-04-14T20:00:00Z", "unofficial_contact_point"),
        (OURS, "2026-04-15T20:00:00Z", "within_window"),
        (THEIRS, "2026-04-15T20:00:00Z", "within_window"),
        ("+4989000000", "2026-04-15T20:00:00Z", "unofficial_contact_point"),
    ],
)
def test_a_contact_point_of_either_version_counts(service, now, point, received_at, reason):
    """Both the version that judges and the one in force at the call."""
    brand = Brand(service, now, phone={"points": [OURS]})
    brand.publish(2, CHANGE, phone={"points": [THEIRS]})
    now.move_to(received_at)
    order_id = brand.order(service_provided_at="2026-04-14T10:00:00Z")
    decided = brand.agent.record(order_id, contact_point=point).json["decision"]
    assert (decided["policy"]["version"], decided["reason"]) == (1, reason)


def test_a_version_is_withdrawn_before_it_takes_effect(brand, now):
    brand.publish(2, CHANGE, window_business_days=5)
    now.move_to(parse_instant(CHANGE) - MICROSECOND)
    answer = brand.withdraw(2)
    assert (answer.status_code, answer.json["withdrawn_at"]) == (200, "2026-04-14T23:59:59.999999Z")
    assert answer.json["withdrawn_by"] == brand.product.get("/v1/me").json["client_id"]
    position = brand.position()
    now.move_to("2026-05-01T00:00:00Z")
    assert brand.withdraw(2).json == answer.json, "even after it would have taken effect"
    assert brand.position() == position
    event = brand.happened()[-1]
    assert (event["type"], event["subject"], event["data"]) == (
        "policy.withdrawn",
        f"{brand.id}/2",
        {"policy": brand.id, "version": 2},
    )
    assert brand.product.get(f"{brand.url}/versions/2").json == answer.json


def test_a_withdrawn_version_never_judges_and_its_number_is_not_used_again(brand, now):
    brand.publish(2, CHANGE, window_business_days=5)
    brand.withdraw(2)
    now.move_to("2026-04-20T09:00:00Z")
    assert {brand.judged_by(at) for at in (TODAY, CHANGE, "2026-04-20T09:00:00Z")} == {1}
    order_id = brand.order(service_provided_at="2026-04-20T08:00:00Z")
    assert brand.agent.record(order_id).json["decision"]["policy"]["version"] == 1
    for terms in ({"window_business_days": 5}, {"window_business_days": 6}):
        refused = brand.publish(2, "2026-06-01T00:00:00Z", **terms)
        assert (refused.status_code, slug(refused)) == (409, "policy-version-conflict")
        assert "withdrawn: the next is version 3" in refused.json["detail"]
    again = brand.publish(3, "2026-06-01T00:00:00Z", window_business_days=5)
    assert (again.status_code, again.json["follows"]) == (201, 1)
    assert [each["version"] for each in brand.product.get(brand.url).json["versions"]] == [1, 2, 3]


def test_a_version_may_be_sent_again_after_its_predecessor_is_withdrawn(brand):
    """Even if it no longer differs from the version before it."""
    brand.publish(2, CHANGE, window_business_days=3)
    first = brand.publish(3, "2026-06-01T00:00:00Z")
    assert (first.status_code, first.json["follows"]) == (201, 2)
    brand.withdraw(2)
    again = brand.publish(3, "2026-06-01T00:00:00Z")
    assert (again.status_code, again.json["follows"], again.json["differences"]) == (200, 1, [])


@pytest.mark.parametrize("later", [timedelta(0), MICROSECOND, timedelta(days=3)])
def test_a_version_that_has_taken_effect_cannot_be_withdrawn(brand, now, later):
    brand.publish(2, CHANGE, window_business_days=5)
    now.move_to(parse_instant(CHANGE) + later)
    for version, since in ((2, CHANGE), (1, BEGAN)):
        answer = brand.withdraw(version)
        assert (answer.status_code, slug(answer)) == (409, "policy-version-conflict")
        assert since in answer.json["detail"]
    assert brand.judged_by(CHANGE) == 2


def test_an_unknown_version_or_policy_is_not_found(brand):
    answers = [
        brand.withdraw(2),
        brand.withdraw(0),
        brand.product.put("/v1/policies/nobodys/versions/1/withdrawal"),
        brand.product.client.post("/v1/policies/nobodys/closures", json={"date": "2026-04-10"}),
        brand.product.get("/v1/policies/nobodys/closures"),
    ]
    assert [(answer.status_code, slug(answer)) for answer in answers] == [(404, "not-found")] * 5
    packaged = brand.product.put("/v1/policies/virtual-numbers/versions/1/withdrawal")
    assert (packaged.status_code, "the beginning" in packaged.json["detail"]) == (409, True)


@pytest.mark.parametrize("role", ["agent", "supervisor", "billing", "auditor"])
def test_withdrawing_and_closing_require_a_scope(brand, role):
    desk = brand.desk(role)
    brand.publish(2, CHANGE, window_business_days=5)
    position = brand.position()
    assert desk.put(f"{brand.url}/versions/2/withdrawal").status_code == 403
    assert desk.client.post(f"{brand.url}/closures", json={"date": "2026-04-10"}).status_code == 403
    assert brand.position() == position


# Closures.


def test_a_closure_extends_only_windows_that_are_still_running(brand, now):
    """Two days after Thursday, 2 April, end with 8 April, because of Easter."""
    ended, running = "2026-04-01T10:00:00Z", "2026-04-02T10:00:00Z"
    now.move_to("2026-04-08T21:59:59.999999Z")
    before = brand.last_day(ended), brand.last_day(running)
    assert before == ("2026-04-07", "2026-04-08")
    answer = brand.close("2026-04-07")
    assert (answer.status_code, answer.headers["Location"]) == (201, f"{brand.url}/closures")
    assert (brand.last_day(ended), brand.last_day(running)) == ("2026-04-07", "2026-04-09")
    order_id = brand.order(service_provided_at=running)
    now.move_to("2026-04-09T21:00:00Z")
    decided = brand.agent.cancelled(order_id)["decision"]
    assert [day["date"] for day in decided["days"] if day.get("why") == "closure"] == ["2026-04-07"]


def test_a_closure_does_not_change_earlier_decisions(brand, now):
    order_id = brand.order(service_provided_at="2026-04-02T10:00:00Z")
    before = brand.agent.record(order_id).json
    now.shift(timedelta(minutes=1))
    brand.close("2026-04-08")
    assert brand.agent.get(f"/v1/contacts/{before['contact_id']}").json["decision"] == before["decision"]
    assert brand.agent.record(order_id).json["decision"]["window"]["last_day"] == "2026-04-09"


def test_a_closure_entered_when_a_window_ends_does_not_extend_it(brand, now):
    provided = "2026-04-02T10:00:00Z"
    now.move_to("2026-04-08T22:00:00Z")
    answer = brand.close("2026-04-08")
    assert (answer.status_code, answer.json["notices"]) == (201, ["in_the_past"])
    assert brand.last_day(provided, provided) == "2026-04-08"
    assert brand.check(provided, "2026-04-08T22:00:00Z")["reason"] == "window_elapsed"
    assert brand.last_day("2026-04-07T10:00:00Z") == "2026-04-10", "a running window is extended"


def test_a_closure_may_extend_a_window_that_another_closure_has_extended(brand, now):
    brand.close("2026-04-08")
    now.move_to("2026-04-09T10:00:00Z")
    brand.close("2026-04-09")
    assert brand.last_day("2026-04-02T10:00:00Z") == "2026-04-10"
    now.move_to("2026-04-11T10:00:00Z")
    brand.close("2026-04-10")
    assert brand.last_day("2026-04-02T10:00:00Z") == "2026-04-10"


def test_a_closure_moves_the_last_day_of_a_six_day_week(service, now):
    """Two days after Thursday, 9 April: Friday and Saturday, but the window may not end on a Saturday."""
    brand = Brand(service, now, business_week=["mon", "tue", "wed", "thu", "fri", "sat"], end_week=["mon", "tue"])
    assert brand.last_day("2026-04-09T10:00:00Z") == "2026-04-13"
    brand.close("2026-04-13")
    assert brand.last_day("2026-04-09T10:00:00Z") == "2026-04-14"
    brand.close("2026-04-10")
    assert brand.last_day("2026-04-09T10:00:00Z") == "2026-04-14", "Saturday and Tuesday"


def test_a_closure_is_compared_with_the_date_in_the_policys_time_zone(service, now):
    """In Kiritimati, 9 April begins at 10:00 UTC on the 8th: its window has ended, that of Pago Pago has not."""
    brands = [Brand(service, now, time_zone=zone) for zone in ("Pacific/Kiritimati", "Pacific/Pago_Pago")]
    provided = "2026-04-02T11:30:00Z"
    assert [brand.last_day(provided) for brand in brands] == ["2026-04-08", "2026-04-08"]
    now.move_to("2026-04-08T10:00:00Z")
    assert [brand.close("2026-04-08").json["notices"] for brand in brands] == [["in_the_past"], []]
    assert [brand.last_day(provided) for brand in brands] == ["2026-04-08", "2026-04-09"]


def test_a_what_if_includes_the_closures_that_were_entered(brand):
    brand.close("2026-04-08")
    provided = "2026-04-02T10:00:00Z"
    for terms, last_day in (
        ({}, "2026-04-09"),
        ({"closures": []}, "2026-04-09"),
        ({"closures": ["2026-04-09"]}, "2026-04-10"),
        ({"closures": ["2026-04-08"]}, "2026-04-09"),
        ({"window_business_days": 1}, "2026-04-07"),
        ({"window_business_days": 3}, "2026-04-10"),
        ({"time_zone": "Pacific/Kiritimati"}, "2026-04-09"),
    ):
        assert brand.last_day(provided, terms=terms) == last_day, terms


def test_a_future_version_has_the_closures_of_its_policy(brand):
    brand.publish(2, CHANGE, window_business_days=1)
    brand.close("2026-04-16")
    assert brand.last_day("2026-04-15T10:00:00Z") == "2026-04-17"
    calendar = brand.agent.get(f"/v1/calendars/DE/days?from=2026-04-16&to=2026-04-16&policy={brand.id}").json
    assert calendar["items"][0]["why"] == "closure"


@pytest.mark.parametrize(
    ("date", "notices", "english", "german"),
    [
        ("2026-04-10", [], ["Friday, 10 April 2026", "skips it"], ["Freitag, 10. April 2026", "überspringt"]),
        ("2026-04-08", [], ["skips it"], ["überspringt"]),
        (
            "2026-04-07",
            ["in_the_past"],
            ["in the past", "a window that has ended stays"],
            ["in der Vergangenheit", "Abgelaufene Fristen bleiben"],
        ),
        (
            "2026-05-01",
            ["no_business_day"],
            ["Friday, 1 May 2026", "not a business day"],
            ["1. Mai 2026", "kein Werktag"],
        ),
        ("2026-04-11", ["no_business_day"], ["not a business day"], ["kein Werktag"]),
        (
            "2026-04-06",
            ["in_the_past", "no_business_day"],
            ["in the past", "not a business day"],
            ["in der Vergangenheit", "kein Werktag"],
        ),
    ],
)
def test_the_effect_of_a_closure_is_described(service, now, date, notices, english, german):
    for language, words in (("en", english), ("de", german)):
        closure = Brand(service, now).close(date, language).json
        assert closure["notices"] == notices
        assert [word for word in words if word not in closure["effect_text"]] == []


def test_entering_the_same_closure_again_changes_nothing(brand, now):
    first = brand.close("2026-04-10", de="Betriebsausflug")
    position = brand.position()
    now.shift(timedelta(hours=1))
    again = brand.close("2026-04-10", de="Etwas anderes", en="Something else")
    assert ["entered before" in answer.json["effect_text"] for answer in (first, again)] == [False, True]
    assert again.json == first.json | {"effect_text": again.json["effect_text"]}
    assert (again.status_code, "Location" in again.headers) == (200, False)
    assert brand.position() == position
    assert len(brand.product.get(f"{brand.url}/closures").json["items"]) == 1


def test_closures_are_listed_by_date(brand):
    for date in ("2026-04-20", "2026-04-10", "2026-12-24"):
        brand.close(date)
    items = brand.agent.get(f"{brand.url}/closures").json["items"]
    assert [closure["date"] for closure in items] == ["2026-04-10", "2026-04-20", "2026-12-24"]
    assert items[0]["closure_id"] == f"{brand.id}/2026-04-10"
    assert items[0]["entered_at"] == TODAY


@pytest.mark.parametrize(
    ("date", "status"),
    [
        ("2031-04-12", 201),
        ("2031-04-13", 422),
        ("2021-04-04", 201),
        ("2021-04-03", 422),
        ("0001-01-01", 422),
        ("9999-12-31", 422),
        ("2026-02-30", 422),
        ("2026-04-10T00:00:00Z", 422),
        ("", 422),
        (20260410, 422),
        (None, 422),
    ],
)
def test_a_closure_more_than_five_years_away_is_refused(brand, date, status):
    """Five years of 366 days, in either direction."""
    answer = brand.close(date)
    assert answer.status_code == status
    assert status == 201 or places(answer) == ["/date"]


@pytest.mark.parametrize(
    ("body", "kind", "place"),
    [
        ({}, "validation-error", "/date"),
        ({"date": "2026-04-10", "policy": "another"}, "validation-error", "/policy"),
        ({"date": "2026-04-10", "entered_at": BEGAN}, "validation-error", "/entered_at"),
        ({"date": "2026-04-10", "reason": "outing"}, "validation-error", "/reason"),
        ({"date": "2026-04-10", "reason": {"fr": "excursion"}}, "validation-error", "/reason/fr"),
        ({"date": "2026-04-10", "reason": {"en": "x" * 201}}, "validation-error", "/reason/en"),
        ({"date": "2026-04-10", "reason": {"de": "4111-1111-1111-1111"}}, "payment-data-refused", "/reason/de"),
    ],
)
def test_an_invalid_closure_is_refused(brand, body, kind, place):
    answer = brand.product.client.post(f"{brand.url}/closures", json=body)
    assert (answer.status_code, slug(answer), places(answer)) == (422, kind, [place])
    assert brand.agent.get(f"{brand.url}/closures").json["items"] == []


def test_the_reason_of_a_closure_is_hidden_from_an_auditor(brand):
    """It is stored nowhere in plain text, not even in the journal."""
    texts = {"de": "Trauerfall Zwetschgenbaum", "en": "Funeral of Plumtree"}
    assert brand.close("2026-04-10", **texts).json["reason"] == texts
    for role, reason in {
        "product": texts,
        "agent": texts,
        "billing": texts,
        "admin": texts,
        "auditor": {"de": None, "en": None},
    }.items():
        (closure,) = brand.desk(role).get(f"{brand.url}/closures").json["items"]
        assert closure["reason"] == reason, role
    event = brand.happened()[-1]
    assert (event["type"], event["data"]) == ("closure.added", {"policy": brand.id, "date": "2026-04-10"})
    with brand.service.extensions["refunds.store"].read(COMMAND_LINE) as uow:
        stored = {name: str(list(map(dict, uow.tx.all(f"SELECT * FROM {name}")))) for name in NAMES}  # noqa: S608
    assert "2026-04-10" in stored["closures"]
    assert not [name for name, rows in stored.items() if "Zwetschgenbaum" in rows or "Plumtree" in rows]


def test_many_closures_can_extend_one_window(brand):
    """Sixty closed days in a row, all entered in time."""
    start = parse_instant(TODAY).date()
    for n in range(60):
        assert brand.close(str(start + timedelta(days=1 + n))).status_code == 201
    assert brand.last_day(TODAY) == "2026-06-09"


@pytest.mark.parametrize(
    "at", ["0001-01-01T00:00:00Z", "1969-12-31T23:59:59Z", "2200-01-01T00:00:00Z", "9999-12-31T23:30:00Z"]
)
def test_a_policy_refuses_instants_outside_1970_to_2199(brand, at):
    """The first and last instants have no local date in some zones."""
    for answer, place in (
        (brand.publish(2, at, window_business_days=3), "/effective_from"),
        (brand.publish(2, None, page_published_at=at), "/terms/page_published_at"),
    ):
        assert (answer.status_code, answer.json["errors"][0]["pointer"]) == (422, place)
        assert "1970 to 2199" in answer.json["detail"]


def test_a_vendor_may_have_any_name(brand):
    (difference,) = brand.publish(2, CHANGE, vendor_name="new").json["differences"]
    assert difference == {"term": "vendor_name", "text": "Vendor: new (was: none)"}


def test_a_clause_that_differs_from_its_terms_is_published_with_warnings(brand):
    """The dry run warns, too, and the same version again; in the reader's language."""
    terms = {
        "window_business_days": 2,
        "phone": {"accepted": False},
        "email": {"points": ["help@example.com"]},
        "texts": {
            "de": "Stornieren Sie binnen 3 Werktagen telefonisch oder per E-Mail an info@example.com.",
            "en": "Cancel within 48 hours by e-mail.",
        },
    }
    answers = [brand.publish(2, CHANGE, query, **terms) for query in ("?dry_run=true", "", "")]
    assert [answer.status_code for answer in answers] == [200, 201, 200]
    first, *others = [answer.json["warnings"] for answer in answers]
    assert others == [first, first]
    assert first == [
        {
            "code": code,
            "language": language,
            "said": said,
            "term": term,
            "text": f'The {clause} clause says "{said}"; the term {term} says: {value}.',
        }
        for code, language, clause, said, term, value in (
            ("other_number", "de", "German", "3 Werktagen", "window_business_days", "2 business days"),
            ("channel_not_accepted", "de", "German", "telefonisch", "phone", "does not count"),
            ("unofficial_contact_point", "de", "German", "info@example.com", "email", "counts by help@example.com"),
            ("other_unit", "en", "English", "48 hours", "window_business_days", "2 business days"),
        )
    ]
    in_german = brand.publish(2, CHANGE, "", "de", **terms).json["warnings"]
    assert in_german[0] == first[0] | {
        "text": "Die deutsche Klausel sagt „3 Werktagen“; die Bestimmung window_business_days lautet: 2 Werktage."
    }


def test_a_clause_is_warned_of_if_it_lacks_an_accepted_channel(brand):
    published = brand.publish(2, None, texts={"en": "Call us within 2 business days."})
    assert published.json["warnings"] == [
        {
            "code": "channel_not_named",
            "language": "en",
            "said": "",
            "term": "email",
            "text": "The English clause names another channel, but not this one; the term email says: counts, by "
            "whatever number or address.",
        }
    ]


def test_a_clause_that_says_what_its_terms_say_is_published_without_warnings(brand):
    texts = {"de": "Sie können binnen drei Werktagen stornieren.", "en": "Cancel within 3 business days."}
    assert brand.publish(2, CHANGE, window_business_days=3, texts=texts).json["warnings"] == []


def test_a_policy_without_dates_was_last_updated_when_its_version_was_registered(service):
    (packaged,) = client_of(service, "agent").get("/v1/policies/virtual-numbers").json["versions"]
    assert (packaged["effective_from"], packaged["page_published_at"]) == (None, None)
    last_updated = client_of(service, "agent").get("/v1/policies/virtual-numbers").json["last_updated"]
    assert last_updated == packaged["registered_at"]


def test_a_policy_that_is_not_in_force_yet_was_last_updated_when_it_was_registered(brand, now):
    """Or whose only version is withdrawn."""
    other = Brand.__new__(Brand)
    other.__dict__ |= brand.__dict__ | {"id": f"{brand.id}-soon", "url": f"{brand.url}-soon"}
    last_updated = lambda: brand.agent.get(other.url).json["last_updated"]  # noqa: E731
    assert other.publish(1, "2026-06-01T00:00:00Z").status_code == 201
    assert last_updated() == TODAY
    assert other.withdraw(1).status_code == 200
    assert last_updated() == TODAY


def test_a_policy_was_last_updated_when_its_current_version_took_effect(brand, now):
    brand.publish(2, "2026-05-01T00:00:00Z", window_business_days=3)
    last_updated = lambda: brand.agent.get(brand.url).json["last_updated"]  # noqa: E731
    before = last_updated()
    now.move_to("2026-05-01T00:00:00Z")
    assert (before < "2026-05-01", last_updated()) == (True, "2026-05-01T00:00:00Z")


def test_a_withdrawn_first_version_is_not_compared_with_the_next(service, now):
    brand = Brand(service, now)
    now.move_to("2026-03-02T00:00:00Z")
    other = Brand.__new__(Brand)
    other.__dict__ |= brand.__dict__ | {"id": f"{brand.id}-other", "url": f"{brand.url}-other"}
    assert other.publish(1, "2026-06-01T00:00:00Z").status_code == 201
    assert other.withdraw(1).status_code == 200
    assert other.publish(2, "2026-07-01T00:00:00Z", window_business_days=4).json["follows"] is None
    simulated = other.product.client.post(
        f"{other.url}/simulations", json={"version": 3, "effective_from": None, "terms": {}}
    )
    assert simulated.json["compared_with"] == 2


def promised(brand, order_id):
    """The last day that an order is promised now, and its state."""
    order = brand.agent.get(f"/v1/orders/{order_id}").json
    return order["promise"]["last_day"], order["state"]


def test_a_closure_extends_the_promise_of_each_open_window(brand, now):
    order_id, ended = brand.order(), brand.order(service_provided_at="2026-03-23T10:00:00Z")
    assert brand.close("2026-04-08").status_code == 201
    assert promised(brand, order_id) == ("2026-04-09", "open")
    assert promised(brand, ended) == ("2026-03-25", "elapsed")
    (event,) = (event for event in brand.auditor.feed(order_id)[2:] if event["type"] == "order.promised")
    assert event["data"]["cause"] == "policy_changed"
    now.move_to("2026-04-09T00:00:00+02:00")
    listed = brand.agent.get("/v1/orders", query_string={"state": "elapsed", "policy": brand.id}).json["items"]
    assert [order["order_id"] for order in listed] == [ended]
    assert brand.agent.get(f"/v1/orders/{order_id}/eligibility").json["eligible"]


def test_a_version_extends_the_promise_of_services_that_it_will_judge(brand):
    order_id = brand.order(service_provided_at="2026-05-04T10:00:00Z")
    assert brand.publish(2, "2026-05-01T00:00:00Z", window_business_days=3).status_code == 201
    assert promised(brand, order_id) == ("2026-05-07", "open")
    assert brand.withdraw(2).status_code == 200
    assert promised(brand, order_id) == ("2026-05-07", "open"), "it was told"
