"""Every state that an order can be in: the records that put one into it, and how its answer looks."""

from datetime import date, datetime, timedelta
from typing import NamedTuple

from refunds.domain.contact_points import Channel
from refunds.domain.permissions import COMMAND_LINE, Role
from refunds.domain.privacy import DataRequestChannel, DataRequestKind, DataRequestOutcome
from refunds.service import cancellations, contacts, data_requests, orders, settlements
from refunds.service.contacts import NewContact
from refunds.service.data_requests import Given
from refunds.service.orders import OrderFacts
from tests.changed_data import other_holidays


class State(NamedTuple):
    """A state: the screen that shows it, its colour and icon, and in English and German its word and heading.

    `says` is a part of what the customer is told.
    """

    screen: str
    order: str | None
    colour: str
    icon: str
    words: tuple[str, str]
    headings: tuple[str, str]
    says: tuple[str, str]


YES, SUPERVISOR, NO, WAIT = "M5 13l4 4L19 7", "M12 4a4 4 0 1 0", "M6 6l12 12M18 6L6 18", "M12 7v6"
CAN = "Can be cancelled", "Stornierbar"
NEEDS = "Needs a supervisor", "Teamleitung nötig"
REFUSED = "Refused", "Abgelehnt"
UNTIL = (
    "Can be cancelled until the end of Wednesday, 8 April 2026 (Berlin time)",
    "Stornierbar bis Mittwoch, 8. April 2026, 24 Uhr (Ortszeit Berlin)",
)
ENDED = (
    "The contractual window ended at the end of Wednesday, 1 April 2026 (Berlin time)",
    "Vertragliche Frist abgelaufen am Mittwoch, 1. April 2026, 24 Uhr (Ortszeit Berlin)",
)
STATES = {
    "none": State(
        "answer",
        "A-1001",
        "good",
        YES,
        CAN,
        UNTIL,
        ("Shall I cancel it for you now?", "Soll ich sie jetzt für Sie stornieren?"),
    ),
    "open in time": State(
        "answer-on-record",
        "A-1008",
        "good",
        YES,
        CAN,
        (
            "A request was made in time: 7 April 2026, 10:20, by telephone",
            "Rechtzeitige Anfrage liegt vor: 7. April 2026, 10:20 Uhr, telefonisch",
        ),
        (
            "Your request of 7 April 2026, 10:20 was made in time. Shall I",
            "Ihre Anfrage vom 7. April 2026, 10:20 Uhr war rechtzeitig. Soll ich",
        ),
    ),
    "open late": State(
        "answer-too-late",
        "A-1004",
        "neutral",
        NO,
        REFUSED,
        ENDED,
        (
            "We have received and recorded your cancellation of",
            "haben wir erhalten und erfasst. Die vertragliche Frist",
        ),
    ),
    "needs a supervisor": State(
        "answer-supervisor",
        "A-3001",
        "wait",
        SUPERVISOR,
        NEEDS,
        ("A supervisor must accept the contact point first", "Zuerst muss die Teamleitung den Kontaktweg anerkennen"),
        ("Your order can be cancelled until the end of Wednesday", "Ihre Bestellung kann bis Mittwoch"),
    ),
    "withdrawal": State(
        "answer-withdrawal-open",
        "A-1009",
        "wait",
        SUPERVISOR,
        NEEDS,
        ("A withdrawal: a supervisor must decide", "Widerruf: Die Teamleitung muss entscheiden"),
        (
            "We have received your withdrawal from your order A-1009.",
            "Ihr Widerruf zu Ihrer Bestellung A-1009 ist bei uns eingegangen.",
        ),
    ),
    "unmatched": State(
        "unmatched",
        None,
        "wait",
        WAIT,
        ("Request", "Anfrage"),
        ("Not matched to an order yet", "Noch keiner Bestellung zugeordnet"),
        (
            "Its time counts, also if we find your order only later. Your request number is",
            "Es zählt, wann Sie sich gemeldet haben, auch wenn wir Ihre Bestellung erst später finden. Ihre Vorgangsnummer",
        ),
    ),
    "cancelled": State(
        "answer-cancelled",
        "A-1003",
        "good",
        YES,
        ("Cancelled", "Storniert"),
        ("Cancelled on Wednesday, 8 April 2026", "Storniert am Mittwoch, 8. April 2026"),
        ("The refund has been passed on to billing.", "Die Erstattung ist an die Abrechnung weitergegeben."),
    ),
    "refunding": State(
        "answer-refunding",
        "A-3002",
        "good",
        YES,
        ("Being refunded", "Erstattung läuft"),
        ("Cancelled: the refund is under way", "Storniert: Die Erstattung läuft"),
        ("Billing has begun the refund.", "Die Erstattung läuft."),
    ),
    "settled": State(
        "answer-settled",
        "A-3003",
        "good",
        YES,
        ("Refunded", "Erstattet"),
        ("Cancelled and refunded", "Storniert und erstattet"),
        (
            "The refund was made on Wednesday, 8 April 2026.",
            "Die Erstattung wurde am Mittwoch, 8. April 2026 ausgezahlt.",
        ),
    ),
    "revoked": State(
        "answer-revoked",
        "A-1005",
        "good",
        YES,
        CAN,
        (
            "A request was made in time: 8 April 2026, 09:55, by telephone",
            "Rechtzeitige Anfrage liegt vor: 8. April 2026, 09:55 Uhr, telefonisch",
        ),
        (
            "A cancellation of your order was entered by mistake and revoked on",
            "Ihre Bestellung wurde versehentlich storniert; die Stornierung wurde am",
        ),
    ),
    "erased": State(
        "answer-erased",
        "A-2002",
        "neutral",
        NO,
        REFUSED,
        ("The contractual window ended at the end of", "Vertragliche Frist abgelaufen am"),
        ("rights that you have by law are not affected.", "gesetzliche Rechte bleiben unberührt."),
    ),
    "restricted": State(
        "answer-restricted",
        "A-3004",
        "good",
        YES,
        CAN,
        UNTIL,
        ("Shall I cancel it for you now?", "Soll ich sie jetzt für Sie stornieren?"),
    ),
    "no date": State(
        "answer-not-provided",
        "A-1007",
        "good",
        YES,
        CAN,
        ("Can be cancelled: no date of provision is on record", "Stornierbar: kein Leistungsdatum erfasst"),
        ("We have no date of provision on record yet", "Uns liegt noch kein Leistungsdatum vor"),
    ),
    "provisional": State(
        "answer-provisional",
        "A-3005",
        "good",
        YES,
        CAN,
        ("Can be cancelled until the end of", "Stornierbar bis"),
        (
            "the window may still become longer, but not shorter.",
            "Die Frist kann noch länger werden, aber nicht kürzer.",
        ),
    ),
    "promise kept": State(
        "answer-promise-kept",
        "A-3006",
        "good",
        YES,
        CAN,
        (
            "Can be cancelled until the end of Thursday, 9 April 2026 (Berlin time)",
            "Stornierbar bis Donnerstag, 9. April 2026, 24 Uhr (Ortszeit Berlin)",
        ),
        (
            "The end of the window that you were promised stands.",
            "Es bleibt bei dem Fristende, das Ihnen zugesagt wurde.",
        ),
    ),
}
"""A heading may be only its beginning."""

UNDECREED = "TW"
"""A country whose decrees on the days of 2026 the holiday data does not have."""


def fill(store, clock, principals, now: datetime, text) -> None:
    """Put orders into the states that the other records do not show; `text` makes personal texts."""
    agent, billing = principals[Role.AGENT], COMMAND_LINE
    provided = {number: now - timedelta(days=6) for number in (3001, 3002, 3003, 3004, 3006)} | {
        3005: now - timedelta(hours=2)
    }
    clock.move_to(now - timedelta(hours=2))
    for number, at in provided.items():
        changed = [("DE-BE", date(2026, 4, 7))] if number == 3006 else []
        facts = OrderFacts(
            order_id=f"A-{number}",
            customer_ref=f"K-{number}",
            service_provided_at=at,
            region={3005: UNDECREED, 3006: "DE-BE"}.get(number, "DE-BY"),
        )
        with other_holidays("9.1", changed), store.write(billing) as uow:
            orders.register(uow, facts)
    call = NewContact(channel=Channel.PHONE, contact_point="+493012345678")
    clock.move_to(now - timedelta(minutes=50))
    with store.write(agent) as uow:
        contacts.record(uow, "A-3001", NewContact(channel=Channel.PHONE, contact_point="+4930999999"))
        done = [cancellations.issue(uow, order=one, contact=call).cancellation_id for one in ("A-3002", "A-3003")]
    with store.write(billing) as uow:
        settlements.begin_refund(uow, done[0], None)
        settlements.settle(uow, done[1], None, "R-1")
    with store.write(principals[Role.PRIVACY]) as uow:
        asked = data_requests.open_request(
            uow, DataRequestKind.RESTRICTION, "K-3004", DataRequestChannel.POST, identity_check=text("Reisepass")
        )
        data_requests.close(uow, asked.request_id, Given(DataRequestOutcome.FULFILLED))
