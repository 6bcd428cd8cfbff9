"""Contacts that hold a detail of a person, who need not be a customer: they are found, handed out, or emptied."""

import re
from collections.abc import Callable, Iterator
from typing import TypeVar, cast

from refunds.domain import contact_points
from refunds.domain.permissions import Principal
from refunds.domain.privacy import ErasureReason
from refunds.domain.records import Contact
from refunds.domain.regions import country_of
from refunds.domain.unmatched import UnmatchedContact
from refunds.errors import InvalidInput, Message, NotFound
from refunds.security.encryption import Erased
from refunds.service import ProgressCallback
from refunds.service.store import Store
from refunds.storage.repository import Repository
from refunds.storage.unit_of_work import UnitOfWork

R = TypeVar("R")

LONGEST = 200
"""Letters of a detail: more than any name, number or address has."""

_PAGE = 500
AContact = Contact | UnmatchedContact


def find(
    store: Store, principal: Principal, detail: str, progress: ProgressCallback
) -> Iterator[tuple[str, list[str]]]:
    """Search all contacts, matched or not; yield the ids of those that hold a detail of a person, with its fields.

    A detail is a telephone number in any spelling, an e-mail address, a ticket, or a name or other words in any text.
    Raises `InvalidInput` if it does not have 2 to 200 characters.
    """
    if not 1 < len(detail.strip()) <= LONGEST:
        raise InvalidInput.at("/detail", Message("must have 2 to %(most)s letters", most=LONGEST))
    with store.read(principal) as uow:
        holds, done = contains_function(uow, detail.strip()), 0
        total = uow.contacts.count() + uow.unmatched.count()
    for kind in ("contacts", "unmatched"):
        after: tuple[object, ...] | None = ()
        while after is not None:
            with store.read(principal) as uow:  # a page is a read of its own, so that its ciphers are not kept
                repository = getattr(uow, kind)
                page = repository.paginate(*after, limit=_PAGE)
                after = repository.place_of(page[-1]) if len(page) == _PAGE else None
                table = repository.mapper
            for one in page:
                if fields := [name for name in table.personal if holds(getattr(one, name))]:
                    yield table.id_of(one), fields
            done += len(page)
            progress("contacts", done, max(done, total))


def contains_function(uow: UnitOfWork, detail: str) -> Callable[[str | None], bool]:
    """Return a function that tells whether a text contains the detail or, if that is a telephone number, its digits.

    Case and the number of blanks do not count. A number is read in the default policy's country, and sought in all
    digits of the text as one row. The function returns False for None or an erased text.
    """
    country = country_of(uow.default_terms.region)
    words, number = _folded(detail), contact_points.significant(detail, country)

    def holds(text: str | None) -> bool:
        if text is None or isinstance(text, Erased):
            return False
        return words in _folded(text) or (number is not None and number in re.sub(r"\D", "", text))

    return holds


def _folded(text: str) -> str:
    """Return a text in one case, with single blanks, for comparison."""
    return " ".join(text.casefold().split())


def of_kind(kind: Repository[R], found: AContact) -> R:
    """Return the contact, which must be of this kind: about an order or unmatched. Raises `NotFound` for the other."""
    if not isinstance(found, kind.mapper.record):
        raise NotFound(kind.missing)
    return cast(R, found)


def empty(uow: UnitOfWork, name: str, reason: ErasureReason) -> list[str]:
    """Empty the personal fields of a contact, with a line in the ledger; return the names of the fields with a text.

    If no field has a text, nothing is done. Nothing may follow in the unit of work. Raises `NotFound` if there is no
    such contact, `LegalHold` if its customer has a hold, and `StorageUnavailable` if the ledger cannot be written.
    """
    found = uow.any_contacts.get(name, lock=True)
    if isinstance(found, Contact):
        uow.limits.require_no_hold(uow.orders.get(found.order_id).customer_id)
    return uow.erasures.empty(found, reason)
