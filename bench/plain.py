"""The plain service that one would write instead: Flask, SQLAlchemy and `holidays`, without journal or encryption.

It has a token, idempotency keys, orders, contacts and cancellations, decides by the same rule, and commits as durably.
"""

import hashlib
import os
import secrets
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from http import HTTPStatus
from typing import Any
from uuid import uuid4
from zoneinfo import ZoneInfo

import holidays
from flask import Flask, Response, abort, jsonify, request
from sqlalchemy import Engine, ForeignKey, create_engine, event
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from bench.apps import PLAIN_DATABASE, PLAIN_TOKEN

BUSINESS_DAYS, REFUND_DAYS = 2, 14
_BERLIN = ZoneInfo("Europe/Berlin")
_COUNTRY = "DE"

LastDay = Callable[[str, date], date]


class Base(DeclarativeBase):
    """The tables."""


class Token(Base):
    """A token, by its digest."""

    __tablename__ = "tokens"
    digest: Mapped[str] = mapped_column(primary_key=True)


class Order(Base):
    """An order."""

    __tablename__ = "orders"
    order_id: Mapped[str] = mapped_column(primary_key=True)
    customer_ref: Mapped[str] = mapped_column(index=True)
    service_provided_at: Mapped[datetime]
    region: Mapped[str]


class Contact(Base):
    """A contact about an order."""

    __tablename__ = "contacts"
    contact_id: Mapped[str] = mapped_column(primary_key=True)
    order_id: Mapped[str] = mapped_column(ForeignKey("orders.order_id"), index=True)
    channel: Mapped[str]
    from_detail: Mapped[str]
    received_at: Mapped[datetime]


class Cancellation(Base):
    """A cancellation of an order."""

    __tablename__ = "cancellations"
    reference: Mapped[str] = mapped_column(primary_key=True)
    order_id: Mapped[str] = mapped_column(ForeignKey("orders.order_id"), unique=True)
    contact_id: Mapped[str] = mapped_column(ForeignKey("contacts.contact_id"))
    deadline: Mapped[datetime]
    cancelled_at: Mapped[datetime]
    refund_due_by: Mapped[date]


class Reply(Base):
    """What was answered to an idempotency key."""

    __tablename__ = "replies"
    key: Mapped[str] = mapped_column(primary_key=True)
    order_id: Mapped[str]


def built(region: str, day: date) -> date:
    """The last day, by holidays that are built for this question."""
    return holidays.country_holidays(_COUNTRY, subdiv=region.partition("-")[2]).get_nth_working_day(day, BUSINESS_DAYS)


def kept(region: str, day: date) -> date:
    """The last day, by holidays that are kept."""
    return _holidays(region).get_nth_working_day(day, BUSINESS_DAYS)


@cache
def _holidays(region: str) -> holidays.HolidayBase:
    return holidays.country_holidays(_COUNTRY, subdiv=region.partition("-")[2])


def create_app(last_day: LastDay) -> Flask:
    """The service, which counts days by a function. It knows one token, and makes its tables if there are none."""
    app, engine = Flask("plain", static_folder=None), _engine(os.environ[PLAIN_DATABASE])
    Base.metadata.create_all(engine)
    with Session(engine) as session:
        session.merge(Token(digest=_digest(os.environ[PLAIN_TOKEN])))
        session.commit()

    @app.post("/v1/eligibility-checks")
    def check() -> Response:
        with Session(engine) as session:
            _authenticate(session)
            given = request.get_json()
            return jsonify(_decided(last_day, given, datetime.fromisoformat(given["requested_at"])))

    @app.post("/v1/cancellations")
    def cancel() -> tuple[Response, int]:
        with Session(engine) as session:
            _authenticate(session)
            given, key = request.get_json(), request.headers["Idempotency-Key"]
            if (reply := session.get(Reply, key)) is None:
                reply = Reply(key=key, order_id=_cancelled(session, last_day, given))
                session.add(reply)
                session.commit()
            made = session.query(Cancellation).filter_by(order_id=reply.order_id).one()
            return jsonify(_shown(made)), HTTPStatus.CREATED

    return app


def _engine(url: str) -> Engine:
    engine = create_engine(url)

    @event.listens_for(engine, "connect")
    def connected(connection: Any, _: object) -> None:
        for pragma in ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON", "busy_timeout = 10000"):
            connection.execute(f"PRAGMA {pragma}")

    return engine


def _authenticate(session: Session) -> None:
    """Abort with 401 unless the token is known."""
    token = request.headers.get("Authorization", "").removeprefix("Bearer ")
    if session.get(Token, _digest(token)) is None:
        abort(HTTPStatus.UNAUTHORIZED)


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def _decided(last_day: LastDay, given: dict[str, Any], received_at: datetime) -> dict[str, Any]:
    provided = datetime.fromisoformat(given["service_provided_at"]).astimezone(_BERLIN)
    day = last_day(given["region"], provided.date())
    deadline = datetime.combine(day + timedelta(days=1), time(), _BERLIN).astimezone(UTC)
    in_time = received_at < deadline
    return {
        "eligible": in_time,
        "reason": "within_window" if in_time else "window_closed",
        "last_day": day.isoformat(),
        "deadline": deadline.isoformat(),
    }


def _cancelled(session: Session, last_day: LastDay, given: dict[str, Any]) -> str:
    """Cancel an order, registering it if it is new; returns its id. Aborts with 409 if it cannot be cancelled."""
    order, contact, now = given["order"], given["contact"], datetime.now(UTC)
    decided = _decided(last_day, order, now)
    if not decided["eligible"]:
        abort(HTTPStatus.CONFLICT)
    order_id, contact_id = order["order_id"], str(uuid4())
    if session.get(Order, order_id) is None:
        provided = datetime.fromisoformat(order["service_provided_at"])
        session.add(
            Order(
                order_id=order_id,
                customer_ref=order["customer_ref"],
                service_provided_at=provided,
                region=order["region"],
            )
        )
        session.flush()
    session.add(Contact(contact_id=contact_id, order_id=order_id, received_at=now, **contact))
    session.flush()
    session.add(
        Cancellation(
            reference=secrets.token_hex(5).upper(),
            order_id=order_id,
            contact_id=contact_id,
            deadline=datetime.fromisoformat(decided["deadline"]),
            cancelled_at=now,
            refund_due_by=now.date() + timedelta(days=REFUND_DAYS),
        )
    )
    return order_id


def _shown(made: Cancellation) -> dict[str, Any]:
    return {
        "reference": made.reference,
        "order_id": made.order_id,
        "contact_id": made.contact_id,
        "deadline": made.deadline.isoformat(),
        "cancelled_at": made.cancelled_at.isoformat(),
        "refund_due_by": made.refund_due_by.isoformat(),
    }
