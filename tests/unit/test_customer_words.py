"""Texts for the customer: what is said and written about every decision, in both languages, and what must never be."""

import re
from datetime import date

import pytest

from refunds.domain.contact_points import Channel
from refunds.domain.eligibility import decide
from refunds.domain.holidays_data import business_calendar
from refunds.domain.instants import parse_instant
from refunds.domain.outcomes import ELIGIBLE, Facts, Reason
from refunds.domain.policy import PolicyVersion
from refunds.domain.terms import ContactChannel, Terms, TimelyBy
from refunds.presentation.language import LANGUAGES, speaking
from refunds.presentation.texts.answers import answer_said
from refunds.presentation.texts.customer import cancelled_words, spoken_words, written_words
from refunds.presentation.texts.decisions import headline, reason_text

PROVIDED = parse_instant("2026-04-02T16:20:00+02:00")
IN_TIME = parse_instant("2026-04-08T10:00:00+02:00")
LATE = parse_instant("2026-04-09T00:00:00+02:00")
MUCH_LATER = parse_instant("2026-04-20T10:00:00+02:00")
UNKNOWN = parse_instant("2150-04-08T10:00:00+02:00")
"""Beyond the holiday data."""
OFFICIAL, OTHER = "+493012345678", "+493087654321"
REFERENCE, ORDER = "123-456-7894", "A-1001"


def outcome(terms=None, of_order=False, **facts):
    """The outcome for an order provided before Easter 2026 in Bavaria, with a request in time unless given."""
    terms = Terms(region="DE-BY", **terms or {})
    facts = Facts(**{"service_provided_at": PROVIDED, "received_at": IN_TIME, "channel": Channel.PHONE} | facts)
    calendar = business_calendar(terms.region, terms.business_week, terms.end_week).closed_on(terms.closures)
    return decide(facts, PolicyVersion("brand", 1, None, terms), calendar, of_order=of_order).outcome


def words(language, text, *values, **options):
    """What a text function says in a language."""
    with speaking(language):
        return text(*values, **options)


OUTCOMES = {
    Reason.ORDER_ALREADY_CANCELLED: outcome(cancelled=True),
    Reason.CHANNEL_NOT_ACCEPTED: outcome({"phone": ContactChannel(accepted=False)}),
    Reason.UNOFFICIAL_CONTACT_POINT: outcome({"phone": ContactChannel(points=(OFFICIAL,))}, contact_point=OTHER),
    Reason.SERVICE_NOT_YET_PROVIDED: outcome(service_provided_at=None),
    Reason.WITHDRAWAL_NEEDS_SUPERVISOR: outcome(received_at=LATE, withdrawal=True),
    Reason.WINDOW_ELAPSED: outcome(received_at=LATE),
    Reason.CALENDAR_UNKNOWN: outcome(service_provided_at=UNKNOWN, received_at=UNKNOWN, of_order=True),
    Reason.LATE_ENTRY_NEEDS_SUPERVISOR: outcome(recorded_at=MUCH_LATER),
    Reason.WITHIN_WINDOW: outcome(),
}

SPOKEN = {
    "en": {
        Reason.ORDER_ALREADY_CANCELLED: "Your order has already been cancelled, under the reference 123-456-7894. There is nothing more for you to do.",
        Reason.CHANNEL_NOT_ACCEPTED: "I am sorry, an order like yours cannot be cancelled by telephone. I have noted that you asked. Our terms say whether there is another way.",
        Reason.WINDOW_ELAPSED: "I am sorry, the contractual window for cancelling this order ended at the end of Wednesday, 8 April 2026. That concerns the contractual window alone; rights that you have by law are not affected.",
        Reason.WITHIN_WINDOW: "Your order can be cancelled until the end of Wednesday, 8 April 2026. Shall I cancel it for you now?",
    },
    "de": {
        Reason.ORDER_ALREADY_CANCELLED: "Ihre Bestellung ist bereits storniert; die Stornonummer lautet 123-456-7894. Sie brauchen nichts weiter zu tun.",
        Reason.CHANNEL_NOT_ACCEPTED: "Es tut mir leid, eine Bestellung wie Ihre kann nicht telefonisch storniert werden. Ich habe Ihre Anfrage notiert. Ob es einen anderen Weg gibt, steht in unseren Bedingungen.",
        Reason.WINDOW_ELAPSED: "Es tut mir leid, die vertragliche Frist für eine Stornierung endete am Mittwoch, 8. April 2026, um 24 Uhr. Das betrifft nur die vertragliche Frist; gesetzliche Rechte bleiben unberührt.",
        Reason.WITHIN_WINDOW: "Ihre Bestellung kann bis Mittwoch, 8. April 2026, 24 Uhr storniert werden. Soll ich sie jetzt für Sie stornieren?",
    },
}


def every():
    """Every spoken and written text, for every reason and language."""
    for reason, decided in OUTCOMES.items():
        assert decided.reason is reason
        for language in LANGUAGES:
            yield reason, language, words(language, spoken_words, decided, REFERENCE)
            for order in (None, ORDER):
                yield reason, language, words(language, written_words, decided, order, REFERENCE)


EVERY = list(every())


def test_there_is_a_text_for_every_reason():
    assert set(OUTCOMES) == set(Reason)
    assert len(EVERY) == len(Reason) * len(LANGUAGES) * 3


@pytest.mark.parametrize(
    ("reason", "language"), [(reason, language) for language in SPOKEN for reason in SPOKEN[language]]
)
def test_the_spoken_texts_are_as_expected(reason, language):
    assert words(language, spoken_words, OUTCOMES[reason], REFERENCE) == SPOKEN[language][reason]


@pytest.mark.parametrize(("reason", "language", "text"), EVERY)
def test_every_text_consists_of_complete_sentences(reason, language, text):
    assert text[0].isupper()
    assert text[-1] in ".?"
    assert not re.search(r"[{}]|  | ,| \.|\.\.|\(\)|None", text)


@pytest.mark.parametrize(("reason", "language", "text"), EVERY)
def test_no_text_denies_a_right_or_promises_a_refund(reason, language, text):
    assert not re.search(
        r"no (?:legal )?right|not entitled|kein(?:en)? (?:Recht|Anspruch)|nicht berechtigt", text, re.IGNORECASE
    )
    assert not re.search(r"€|\$|EUR|\bEuro\b|refund|erstatt|Geld|money|\bpaid\b|amount|Betrag", text, re.IGNORECASE)


@pytest.mark.parametrize(("reason", "language", "text"), EVERY)
def test_only_a_refusal_by_the_window_mentions_statutory_rights(reason, language, text):
    hint = {"en": "rights that you have by law are not affected", "de": "gesetzliche Rechte bleiben unberührt"}[
        language
    ]
    assert (hint in text) is (reason is Reason.WINDOW_ELAPSED)


@pytest.mark.parametrize(("reason", "language", "text"), EVERY)
def test_every_text_is_in_one_language(reason, language, text):
    other = {"en": r"\b(?:der|die|und|ist|Sie|nicht)\b", "de": r"\b(?:the|your|is|order|and|not)\b"}[language]
    assert not re.search(other, text)


def test_the_written_text_names_the_skipped_days():
    english, german = (
        words(language, written_words, OUTCOMES[Reason.WITHIN_WINDOW], ORDER) for language in ("en", "de")
    )
    assert english == (
        "Your order A-1001 can be cancelled until the end of Wednesday, 8 April 2026 (Berlin time). The window is 2 "
        "business days after Thursday, 2 April 2026, the day on which the service was provided; not counted: Good Friday "
        "(Friday, 3 April 2026), Easter Monday (Monday, 6 April 2026). If that is what you want, please tell us by then."
    )
    assert german == (
        "Ihre Bestellung A-1001 kann bis Mittwoch, 8. April 2026, 24 Uhr (Ortszeit Berlin) storniert werden. Die Frist "
        "beträgt 2 Werktage nach dem Tag der Leistung (Donnerstag, 2. April 2026); nicht mitgezählt: Karfreitag (Freitag, "
        "3. April 2026), Ostermontag (Montag, 6. April 2026). "
        "Falls Sie das wünschen, geben Sie uns bitte bis dahin Bescheid."
    )


@pytest.mark.parametrize(
    ("language", "named"),
    [
        ("en", "the vendor is closed (Tuesday, 7 April 2026)"),
        ("de", "Schließtag des Anbieters (Dienstag, 7. April 2026)"),
    ],
)
def test_the_written_text_names_closures_too(language, named):
    assert named in words(language, written_words, outcome({"closures": (date(2026, 4, 7),)}), ORDER)


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_window_without_holidays_names_none(language):
    plain = outcome(
        service_provided_at=parse_instant("2026-03-02T10:00:00Z"), received_at=parse_instant("2026-03-03T10:00:00Z")
    )
    text = words(language, written_words, plain, ORDER)
    assert "here" not in text
    assert "hier" not in text


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("reason", list(Reason))
def test_the_written_text_names_the_order_if_it_is_known(language, reason):
    with_number, without = (
        words(language, written_words, OUTCOMES[reason], order, REFERENCE) for order in (ORDER, None)
    )
    assert without == with_number.replace(f" {ORDER}", "")
    assert with_number != without


def test_an_order_number_with_braces_is_not_interpreted():
    """Braces in a number are not placeholders."""
    for language in LANGUAGES:
        text = words(language, written_words, OUTCOMES[Reason.WITHIN_WINDOW], "A-{zone}-{0}")
        assert "A-{zone}-{0}" in text


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_text_about_a_cancellation_names_order_and_reference(language):
    text = words(language, cancelled_words, ORDER, REFERENCE)
    assert ORDER in text
    assert REFERENCE in text
    assert not re.search(r"€|refund|erstatt", text)


@pytest.mark.parametrize(
    ("language", "spoken", "written"),
    [
        ("en", "Your request was made in time, before the end of Wednesday, 8 April 2026.", "was made in time"),
        (
            "de",
            "Sie haben sich rechtzeitig gemeldet, vor Ablauf der Frist am Mittwoch, 8. April 2026.",
            "rechtzeitig gemeldet",
        ),
    ],
)
def test_after_the_window_a_timely_request_gets_another_text(language, spoken, written):
    """So does one that was made before the service was provided; the texts of all other reasons stay the same."""
    speech = words(language, spoken_words, OUTCOMES[Reason.WITHIN_WINDOW], ended=True)
    assert speech.startswith(spoken)
    text = words(language, written_words, OUTCOMES[Reason.WITHIN_WINDOW], ORDER, ended=True)
    assert written in text
    for reason, said in OUTCOMES.items():
        changes = words(language, spoken_words, said, ended=True) != words(language, spoken_words, said)
        assert changes is (reason in ELIGIBLE)


def test_the_written_text_names_only_days_that_did_not_count():
    """With a six-day week, Saturday counts."""
    text = words("en", written_words, outcome({"business_week": ("mon", "tue", "wed", "thu", "fri", "sat")}), ORDER)
    assert "weekend" not in text
    assert "Good Friday (Friday, 3 April 2026)" in text


@pytest.mark.parametrize(
    ("days", "late"),
    [
        (1, {"en": "more than 1 business day later", "de": "mehr als 1 Werktag später"}),
        (5, {"en": "more than 5 business days later", "de": "mehr als 5 Werktage später"}),
    ],
)
@pytest.mark.parametrize("language", LANGUAGES)
def test_a_late_entry_says_after_how_many_days_it_is_one(language, days, late):
    entered = outcome({"late_entry_days": days}, recorded_at=MUCH_LATER)
    assert late[language] in words(language, reason_text, entered)


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("recorded_at", [LATE, MUCH_LATER], ids=["at once", "late"])
def test_what_was_sent_in_time_is_not_said_to_have_arrived_in_time(language, recorded_at):
    """By a policy that counts the time of sending; the request arrived after the window."""
    late = outcome({"timely_by": TimelyBy.SENT}, sent_at=IN_TIME, received_at=LATE, recorded_at=recorded_at)
    assert late.reason in (Reason.WITHIN_WINDOW, Reason.LATE_ENTRY_NEEDS_SUPERVISOR)
    said = [words(language, headline, late), words(language, reason_text, late)]
    for on_record in (None, late):
        said += [one.text for one in words(language, answer_said, late, ORDER, ended=True, on_record=on_record)]
    assert not [one for one in said if re.search("received|eingegangen|eingeht", one, re.IGNORECASE)]
