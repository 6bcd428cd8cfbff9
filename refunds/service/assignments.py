"""Who deals with an open request: it is taken, given back, or assigned to somebody by a supervisor."""

from collections.abc import Iterable, Sequence
from operator import itemgetter
from typing import Any, NamedTuple

from refunds.domain.journal import EventType
from refunds.domain.permissions import SCOPES, Scope
from refunds.domain.records import Contact, ContactState, User
from refunds.domain.unmatched import UnmatchedContact
from refunds.errors import ContactStateConflict, Forbidden, InvalidInput, Message
from refunds.service.contacts import require_present
from refunds.service.findings import AContact
from refunds.storage.unit_of_work import UnitOfWork


class TakenAlready(ContactStateConflict):
    """The contact is taken by `holder`, another user, who has not left."""

    def __init__(self, name: str, holder: str, state: ContactState) -> None:
        super().__init__(
            Message("The contact %(name)s is taken already, by %(holder)s.", name=name, holder=holder), state
        )
        self.holder = holder


def assign(uow: UnitOfWork, name: str, to: str | None = None) -> AContact:
    """Take an open contact and all other open contacts about its order, for the principal or for the user `to`.

    Returns the contact. The same again changes nothing. Raises `NotFound` if there is no such contact,
    `ContactStateConflict` if the contact is not open, `TakenAlready` if somebody else has taken it who has not left,
    unless a supervisor names `to`, `InvalidInput` if `to` has left or may not deal with contacts, and `Forbidden` if
    `to` is somebody else and the principal is no supervisor.
    """
    own = uow.principal.actor
    if to not in (None, own):
        uow.principal.require(Scope.CANCELLATIONS_OVERRIDE)
        if to not in dict(staff(uow)):
            detail = Message("must be a user who has not left and may deal with contacts")
            raise InvalidInput.at("/taken_by", detail, "left")
    contacts = _lock_together(uow, name)
    overrules = to is not None and uow.principal.may(Scope.CANCELLATIONS_OVERRIDE)
    holder = taken_by(contacts)
    if holder not in (None, own) and not overrules and not has_left(uow.users.find(holder)):
        raise TakenAlready(name, holder, contacts[0].state)
    return _assign_all(uow, contacts, to or own)


def give_back(uow: UnitOfWork, name: str) -> AContact:
    """Give back an open contact and all other open contacts about its order, so that nobody has taken them.

    Returns the contact; nothing changes if nobody had taken it. Raises `NotFound` and `ContactStateConflict` as
    `assign`, and `Forbidden` if somebody else has taken the contact and the principal is no supervisor.
    """
    contacts = _lock_together(uow, name)
    if taken_by(contacts) not in (None, uow.principal.actor) and not uow.principal.may(Scope.CANCELLATIONS_OVERRIDE):
        raise Forbidden(Message("Only who has taken it or a supervisor can give it back: %(name)s.", name=name))
    return _assign_all(uow, contacts, None)


def taken_by(contacts: Iterable[Any]) -> str | None:
    """Return the id of who has taken an order, by its open contacts or its queue entries; None if nobody has.

    That is the taker of the first of them that is taken.
    """
    return next((one.taken_by for one in contacts if one.taken_by), None)


class Taking(NamedTuple):
    """Who has taken an open contact (None: nobody), whether they left, and to whom the principal may assign it."""

    holder: str | None
    has_left: bool
    staff: list[tuple[str, str]]


def taking(uow: UnitOfWork, contact: AContact) -> Taking | None:
    """Return who has taken an open contact, and to whom the principal may assign it.

    Returns None if the contact is not open or the principal may not deal with contacts.
    """
    if not contact.is_open or not uow.principal.may(Scope.CONTACTS_WRITE):
        return None
    holder = taken_by(uow.contacts.open_about([contact.order_id]) if isinstance(contact, Contact) else [contact])
    gone = holder is not None and has_left(uow.users.find(holder))
    return Taking(holder, gone, staff(uow) if uow.principal.may(Scope.CANCELLATIONS_OVERRIDE) else [])


def staff(uow: UnitOfWork) -> list[tuple[str, str]]:
    """Return the id and the name of each user who may deal with contacts and has not left, sorted by name."""
    found = ((one.user_id, one.name or one.user_id) for one in uow.users.iter_all() if not has_left(one))
    return sorted(found, key=itemgetter(1))


def has_left(user: User | None) -> bool:
    """Tell whether a user is disabled or forgotten, or may not deal with contacts; for None (a client), False."""
    return user is not None and (user.disabled_at is not None or Scope.CONTACTS_WRITE not in SCOPES[user.role])


def _lock_together(uow: UnitOfWork, name: str) -> Sequence[AContact]:
    """Lock an open contact; return it and then the other open ones about its order.

    Raises `NotFound`, and `ContactStateConflict` if the contact is not open.
    """
    found = uow.any_contacts.get(name, lock=True)
    require_present(found)
    if not found.is_open:
        raise ContactStateConflict(Message("The contact %(name)s is not open.", name=name), found.state)
    if isinstance(found, UnmatchedContact):
        return [found]
    others = uow.contacts.open_about([found.order_id])
    return [found, *(one for one in others if one.contact_id != name)]


def _assign_all(uow: UnitOfWork, contacts: Sequence[AContact], to: str | None) -> AContact:
    """Store that `to` (None: nobody) has taken contacts, with an event for each change; return the first, changed."""
    data, first = {"taken_by": to}, contacts[0]
    for one in contacts:
        if one.taken_by != to:
            changed = uow.any_contacts.update(one, EventType.CONTACT_ASSIGNED, data, **data)
            first = changed if one is first else first
    return first
