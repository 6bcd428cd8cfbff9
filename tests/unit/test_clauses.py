"""What a clause says beside what its terms say: exactly which differences are found, and none in right clauses."""

import pytest

from refunds.domain.clauses import mismatches
from refunds.domain.terms import ContactChannel, Terms, Texts

NO = ContactChannel(accepted=False)
PHONE = ContactChannel(points=("+493012345678",))
EMAIL = ContactChannel(points=("help@example.com",))
OFFICIAL = {"phone": PHONE, "email": EMAIL}
THREE = {"window_business_days": 3}
SIX = {"business_week": ("mon", "tue", "wed", "thu", "fri", "sat")}
SEVEN = {"business_week": ("mon", "tue", "wed", "thu", "fri", "sat", "sun")}

RIGHT = [
    ("de", "Sie können innerhalb von 2 Werktagen stornieren.", {}),
    ("de", "Stornierung binnen zwei Werktagen, telefonisch oder per E-Mail.", {}),
    ("de", "Stornieren Sie bis zum Ende des zweiten Werktags nach der Leistung.", {}),
    ("de", "Stornieren Sie spätestens am 2. Werktag nach dem Tag der Leistung.", {}),
    ("de", "Es gilt eine Zwei-Werktage-Frist für die Stornierung.", {}),
    ("de", "Sie können innerhalb von zwei (2) vollen Arbeitstagen stornieren.", {}),
    ("de", "Sie können innerhalb eines Werktags stornieren.", {"window_business_days": 1}),
    ("de", "Stornierung binnen 2 Werktagen. Rufen Sie uns an einem Werktag an oder schreiben Sie eine E-Mail.", {}),
    ("de", "Sie können innerhalb von 2 Tagen (ohne Samstage, Sonn- und Feiertage) stornieren.", {}),
    ("de", "Sie können innerhalb von 2 Werktagen (Mo–Sa) stornieren.", SIX),
    ("de", "Sie können innerhalb von 2 Tagen stornieren.", SEVEN),
    ("de", "Innerhalb von 2 Werktagen stornierbar. Die Erstattung erfolgt innerhalb von 14 Tagen.", {}),
    ("de", "Sie können binnen 2 Werktagen stornieren und erhalten Ihr Geld innerhalb von 14 Tagen zurück.", {}),
    ("de", "Wir erstatten binnen 14 Tagen nach Eingang Ihrer Stornierung.", {}),
    ("de", "Stornierbar binnen 2 Werktagen. Ihr Widerrufsrecht von 14 Tagen (§ 355 BGB) bleibt unberührt.", {}),
    ("de", "Unbeschadet des vierzehntägigen Widerrufsrechts nach § 312g Abs. 1 BGB: 2 Werktage zum Stornieren.", {}),
    ("de", "Stornieren: 2 Werktage, ab 1. Januar 2027, für 9,99 €. Hotline Mo–Fr 9–17 Uhr oder E-Mail.", {}),
    ("de", "Rufen Sie unsere 24-Stunden-Hotline an (24 Stunden am Tag, 7 Tage die Woche) oder mailen Sie.", {}),
    (
        "de",
        "Sie können per E-Mail stornieren, nicht telefonisch. Wir antworten innerhalb von 24 Stunden.",
        {"phone": NO},
    ),
    ("de", "Telefonisch unter +49 30 12345678 oder (030) 1234-5678, per E-Mail an Help@Example.com.", OFFICIAL),
    ("de", "Bestellte Telefonnummern stornieren Sie per E-Mail; wir rufen nicht an.", {"phone": NO}),
    ("de", "Stornieren Sie telefonisch. Wir bestätigen das per E-Mail an Ihre E-Mail-Adresse.", {"email": NO}),
    ("de", "Stornieren Sie telefonisch. Widerruf auch per Brief oder E-Mail an widerruf@example.com.", {"email": NO}),
    ("de", "Wenn Sie nicht zufrieden sind, rufen Sie uns an oder schreiben Sie uns eine Mail.", {}),
    (
        "de",
        "Wir rufen binnen 24 Stunden zurück. Abonnements sind mit einer Frist von 4 Wochen kündbar. Storno per E-Mail.",
        {"phone": NO},
    ),
    ("de", "Ab dem dritten Werktag nach der Leistung ist eine Stornierung nicht mehr möglich.", {}),
    (
        "de",
        "Widerruf an Muster GmbH, Tel. +49 30 555555, widerruf@example.com (z. B. per Brief oder E-Mail).",
        OFFICIAL,
    ),
    ("de", "Die Nummer ist 30 Tage gültig. Bei Nichtgefallen stornieren Sie bitte rasch.", {}),
    ("en", "You may cancel within 2 business days.", {}),
    ("en", "Cancel within two (2) working days of the service, by phone or by e-mail.", {}),
    ("en", "Cancel by the end of the second business day after the day on which the service was provided.", {}),
    ("en", "There is a two-business-day cancellation window.", {}),
    ("en", "You may cancel within a business day.", {"window_business_days": 1}),
    ("en", "You may cancel within twelve weekdays (Monday to Friday).", {"window_business_days": 12}),
    ("en", "Cancel within 2 business days. Refunded within 14 days of cancellation.", {}),
    ("en", "Consumers in the EU have a statutory right to cancel within 14 days; ours ends after 2 business days.", {}),
    ("en", "Your right of withdrawal of 14 days under section 355 remains. Cancel within 2 business days.", {}),
    ("en", "If you are not satisfied call us or send an e-mail. The line is open 24 hours a day.", {}),
    ("en", "Cancel by phone (+49 30 12345678) on 12.05.2026, not by e-mail.", {"phone": PHONE, "email": NO}),
    (
        "en",
        "We do not accept cancellations by phone, only by email to help@example.com.",
        {"phone": NO, "email": EMAIL},
    ),
    ("en", "Call us within 2 business days and we will confirm by e-mail. A refund takes 5 days.", {"email": NO}),
    ("en", "If the last day is a holiday, the window is extended by one business day.", {}),
    ("en", "Under the Consumer Contracts Regulations you have 14 days to cancel.", {}),
    ("en", "Please don't call: e-mail us. We'll call you back within 1 business day.", {"phone": NO}),
    ("en", "You may cancel at no cost, as the page shows.", {}),
]

WRONG = [
    ("de", "Sie können innerhalb von 3 Werktagen stornieren.", {}, [("other_number", "3 Werktagen")]),
    ("de", "Sie können binnen drei Werktagen stornieren.", {}, [("other_number", "drei Werktagen")]),
    ("de", "Sie können innerhalb eines Werktags stornieren.", {}, [("other_number", "eines Werktags")]),
    ("de", "Bis zum dritten Werktag nach der Leistung.", {}, [("other_number", "dritten Werktag")]),
    ("de", "Storno binnen zwölf Arbeitstagen.", {}, [("other_number", "zwölf Arbeitstagen")]),
    ("de", "Stornierung innerhalb von 2 Werktagen.", THREE, [("other_number", "2 Werktagen")]),
    ("de", "Stornierung binnen zwei (3) Werktagen.", {}, [("other_number", "zwei (3) Werktagen")]),
    ("de", "Sie können 2 bis 3 Werktage lang stornieren.", {}, [("other_number", "2 bis 3 Werktage")]),
    ("de", "Binnen 2 Werktagen stornierbar. Die Frist von 5 Werktagen beginnt mit der Leistung.", {}, [("other_number", "5 Werktagen")]),
    ("de", "Erstattung ist innerhalb von 3 Werktagen nach Erbringung der Leistung möglich.", {}, [("other_number", "3 Werktagen")]),
    ("de", "Bei Stornierung innerhalb von 14 Tagen erstatten wir alles.", {}, [("other_unit", "14 Tagen")]),
    ("de", "Geld zurück, wenn Sie binnen 3 Werktagen anrufen oder eine E-Mail schreiben.", {}, [("other_number", "3 Werktagen")]),
    ("de", "Innerhalb von 48 Stunden können Sie stornieren.", {}, [("other_unit", "48 Stunden")]),
    ("de", "Sie können innerhalb von zwei Kalendertagen stornieren.", {}, [("other_unit", "zwei Kalendertagen")]),
    ("de", "Sie können innerhalb von zwei Kalendertagen stornieren.", SEVEN, [("other_unit", "zwei Kalendertagen")]),
    ("de", "Sie können innerhalb von 2 Tagen stornieren.", {}, [("other_unit", "2 Tagen")]),
    ("de", "Es gilt eine zweitägige Stornofrist.", {}, [("other_unit", "zweitägige")]),
    ("de", "Sie können innerhalb einer Woche stornieren.", {}, [("other_unit", "einer Woche")]),
    ("de", "Storno binnen 2 Werktagen, also 48 Stunden; Erstattung in 14 Tagen.", {}, [("other_unit", "48 Stunden")]),
    ("de", "Sie können innerhalb von 2 Werktagen (Montag bis Samstag) stornieren.", {}, [("other_weekdays", "Montag bis Samstag")]),
    ("de", "Stornieren Sie telefonisch oder per E-Mail.", {"phone": NO}, [("channel_not_accepted", "telefonisch")]),
    ("de", "Rufen Sie uns dazu an.", {"phone": NO}, [("channel_not_accepted", "Rufen Sie uns dazu an"), ("channel_not_named", "")]),
    ("de", "Stornieren Sie per E-Mail.", {}, [("channel_not_named", "")]),
    ("de", "Per E-Mail ist die Stornierung nicht möglich, bitte anrufen.", {}, [("channel_not_named", "")]),
    ("de", "Anruf unter 030 9998888 oder E-Mail an help@example.com.", OFFICIAL, [("unofficial_contact_point", "030 9998888")]),
    ("de", "Anruf oder E-Mail an info@example.com.", OFFICIAL, [("unofficial_contact_point", "info@example.com")]),
    ("de", "Schreiben Sie an info@example.com.", {"email": NO, "phone": NO}, [("channel_not_accepted", "info@example.com")]),
    ("en", "You may cancel within 3 business days.", {}, [("other_number", "3 business days")]),
    ("en", "You may cancel within three working days.", {}, [("other_number", "three working days")]),
    ("en", "Cancel by the 3rd business day after the service.", {}, [("other_number", "3rd business day")]),
    ("en", "You may cancel within a business day.", {}, [("other_number", "a business day")]),
    ("en", "You may cancel within 2 business days (5 business days for resellers).", {}, [("other_number", "5 business days")]),
    ("en", "You can cancel. You have 48 hours.", {}, [("other_unit", "48 hours")]),
    ("en", "A full refund within 2 calendar days after the service.", {}, [("other_unit", "2 calendar days")]),
    ("en", "Cancel within two\nweeks; money back within 14 days.", {}, [("other_unit", "two weeks")]),
    ("en", "You may cancel within 2 days; refunds within 2 days.", {}, [("other_unit", "2 days")]),
    ("en", "Cancel within 2 business days, Mon-Sat, by phone or e-mail.", {}, [("other_weekdays", "Mon-Sat")]),
    ("en", "Call us to cancel.", {"phone": NO, "email": NO}, [("channel_not_accepted", "Call")]),
    ("en", "Call us to cancel.", {}, [("channel_not_named", "")]),
    ("en", "Cancel by phone or email.", {"email": NO}, [("channel_not_accepted", "email")]),
    ("en", "Call +1 555 010 0199 or write to HELP@example.com.", OFFICIAL, [("unofficial_contact_point", "+1 555 010 0199")]),
    ("en", "E-mail support@example.org or call us within 3 business days.", OFFICIAL, [("other_number", "3 business days"), ("unofficial_contact_point", "support@example.org")]),
]  # fmt: skip


def found(language, clause, terms):
    """The differences that are found in a clause, each by its kind and what the clause says."""
    found = mismatches(Terms(texts=Texts(**{language: clause}), **terms))
    assert {one.language for one in found} <= {language}
    return [(one.kind.value, one.said) for one in found]


@pytest.mark.parametrize(("language", "clause", "terms"), RIGHT, ids=[row[1] for row in RIGHT])
def test_a_clause_that_says_what_the_terms_say_is_right(language, clause, terms):
    assert found(language, clause, terms) == []


@pytest.mark.parametrize(
    ("language", "clause", "terms", "expected"), WRONG, ids=[f"{row[1]} {row[2]}" for row in WRONG]
)
def test_what_a_clause_says_differently_is_found(language, clause, terms, expected):
    assert found(language, clause, terms) == expected


def test_each_difference_names_its_term():
    texts = Texts("In 3 Werktagen (Mo–Sa) anrufen, nicht an info@example.com schreiben: info@example.com", "Call us.")
    terms = Terms(texts=texts, email=EMAIL, phone=NO)
    assert [(one.language, one.kind.value, one.term) for one in mismatches(terms)] == [
        ("de", "other_number", "window_business_days"),
        ("de", "other_weekdays", "business_week"),
        ("de", "channel_not_accepted", "phone"),
        ("de", "unofficial_contact_point", "email"),
        ("en", "channel_not_accepted", "phone"),
        ("en", "channel_not_named", "email"),
    ]


def test_the_packaged_clause_is_right_and_counts_from_the_day_after_the_service(packaged):
    assert mismatches(packaged.terms) == []
    assert "nach dem Tag, an dem die Leistung erbracht wurde" in packaged.terms.texts.de
    assert "after the day on which the service was provided" in packaged.terms.texts.en


def test_a_version_without_a_clause_has_no_differences():
    assert mismatches(Terms(phone=NO)) == []


def test_a_long_clause_is_compared_fast():
    """The longest clause that is accepted, of what the patterns begin with."""
    for part in ("ruf ", "2 ", "nach der ", "innerhalb von ", "a@", "zwei (", "nicht ", "bestellte ", "erste "):
        assert mismatches(Terms(texts=Texts(de=part * (10_000 // len(part))))) == []
