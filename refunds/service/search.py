"""The search: the orders, contacts and customers that a number or a word of a customer can mean."""

import re
from collections.abc import Iterable
from contextlib import suppress
from typing import NamedTuple

from refunds.domain.permissions import Scope
from refunds.domain.records import Contact, Order
from refunds.domain.references import REFERENCE, REQUEST_NUMBER
from refunds.errors import NotFound
from refunds.service.findings import AContact, contains_function
from refunds.storage.unit_of_work import UnitOfWork

SHORTEST = 4  # letters that a part of a number, a telephone number, an e-mail address or a ticket must have
MOST = 20  # orders and contacts that are found at most, each
OPENED = 1_000  # newest contacts of each kind that are opened to look for a detail, while a customer waits


class Found(NamedTuple):
    """What a search has found: orders, each once, and contacts, matched or not."""

    orders: list[Order]
    contacts: list[AContact]


def search(uow: UnitOfWork, text: str) -> Found:
    """Find orders and contacts by their exact number or, if none fits, by a part of it or by a detail of the customer.

    Orders also fit by the reference of their customer; they come last. A detail is sought in the newest contacts only.
    A part or detail has at least `SHORTEST` letters, and at most `MOST` of each kind are found. Records and fields that
    the principal may not read are not searched.
    """
    meant = _at_most_two_orders(uow, text)
    exact = [*_only(meant), *uow.orders.of_customer(_customer_meant(uow, text), limit=MOST)]
    orders = {order.order_id: order for order in exact}
    contacts = request_meant(uow, text)
    if not orders and not contacts and len(text) >= SHORTEST:
        orders = {order.order_id: order for order in [*meant, *uow.orders.with_part(text, MOST)]}
        contacts = _contacts_holding(uow, text)
    return Found([*orders.values()][:MOST], contacts[:MOST])


def _only(orders: list[Order]) -> list[Order]:
    """Return the list if it has one order, and otherwise an empty one."""
    return orders if len(orders) == 1 else []


def _at_most_two_orders(uow: UnitOfWork, number: str) -> list[Order]:
    """Return the orders that a number or a cancellation's reference means: none, one or two.

    There are two only if at least two orders have this number, ignoring case, hyphens and spaces.
    """
    for spelt in _spellings(number):
        with suppress(NotFound):
            return [uow.orders.get(spelt)]
    bare = _bare(number)
    with suppress(ValueError):
        if found := uow.cancellations.paginate(limit=1, reference=REFERENCE.parse(bare)):
            return [uow.orders.get(found[0].order_id)]
    return uow.orders.with_number(bare)


_TYPESET = str.maketrans(
    "\u2010\u2011\u2012\u2013\u2014\u2212\u00a0\u202f", "------  "
)  # hyphens, dashes, minus; spaces


def _bare(number: str) -> str:
    """Return a number without `#` and the punctuation around it, with plain hyphens and spaces."""
    return number.translate(_TYPESET).strip(" #.,;:")


def _spellings(number: str) -> Iterable[str]:
    """Return each spelling of a number once, first as typed: in small letters and capitals, with `#` and without."""
    bare = _bare(number)
    return dict.fromkeys((number, number.upper(), number.lower(), bare, bare.upper(), bare.lower(), f"#{bare}"))


def find_orders(uow: UnitOfWork, number: str) -> tuple[str | None, list[Order]]:
    """Find the orders that a number means, in any case, with `#` or without it, and without its hyphens and spaces.

    Return `(None, [order])` for the number of one order or the reference of its cancellation, `(customer_id, orders)`
    for the number of a customer, with at most two of their orders, and `(None, [])` otherwise.
    """
    if meant := _only(_at_most_two_orders(uow, number)):
        return None, meant
    customer_id = _customer_meant(uow, number)
    return customer_id, uow.orders.of_customer(customer_id, limit=2)


def _customer_meant(uow: UnitOfWork, customer_ref: str) -> str | None:
    """Return the id of the customer with this reference, in any spelling; None if there is no such customer.

    Returns None also if the principal may not read personal fields.
    """
    spelt = _spellings(customer_ref) if uow.principal.may(Scope.PERSONAL_READ) else ()
    return next(filter(None, map(uow.customers.find, spelt)), None)


def customer_ref_meant(uow: UnitOfWork, typed: str) -> str:
    """Return the spelling of a typed customer number that some customer has; the number as typed if nobody has any."""
    return next(filter(uow.customers.find, _spellings(typed)), typed)


def request_meant(uow: UnitOfWork, number: str) -> list[AContact]:
    """Return a list of the contact with this request number, or of the contact that it became or that superseded it.

    The list is empty if there is no such contact, or if the principal may not read contacts.
    """
    if uow.principal.may(Scope.CONTACTS_READ):
        with suppress(ValueError):
            read = REQUEST_NUMBER.parse(_bare(number))
            kinds = uow.contacts, uow.unmatched
            found = next(filter(None, (kind.paginate(limit=1, request_number=read) for kind in kinds)), [])
            return [_latest(uow, one) for one in found]
    return []


def _latest(uow: UnitOfWork, found: AContact) -> AContact:
    """Return the last contact in the chain of those that a contact was matched to or superseded by, or the contact.

    The chain ends before a contact that no longer exists.
    """
    became = None if isinstance(found, Contact) else found.contact_id
    following = became or found.superseded_by
    with suppress(NotFound):
        return found if following is None else _latest(uow, uow.any_contacts.get(following))
    return found


def _contacts_holding(uow: UnitOfWork, detail: str) -> list[AContact]:
    """Return the contacts and unmatched contacts that hold a detail, among the newest 1,000 of each kind.

    A telephone number is found by its digits. Without the right to read contacts and personal fields, there are none.
    """
    if not uow.principal.may(Scope.CONTACTS_READ) or not uow.principal.may(Scope.PERSONAL_READ):
        return []
    holds = contains_function(uow, detail)
    found: list[AContact] = []
    for kind in (uow.contacts, uow.unmatched):
        newest = kind.paginate(limit=OPENED, newest=True)
        found += [one for one in newest if any(holds(getattr(one, name)) for name in kind.mapper.personal)]
    return found


def has_wrong_check_digit(number: str) -> bool:
    """Tell whether a number has the form of a reference (10 digits) or request (4-4), but not its check digit."""
    bare = _bare(number)
    digits = bare.replace(" ", "").replace("-", "")
    reads = {r"[0-9]{10}": (digits, REFERENCE.parse), r"[0-9]{4}-[0-9]{4}": (bare, REQUEST_NUMBER.parse)}
    for form, (written, read) in reads.items():
        if re.fullmatch(form, written):
            try:
                read(written)
            except ValueError:
                return True
    return False
