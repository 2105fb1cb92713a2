"""
Who is at the page: a signed cookie that is over soon, and opens one order at most (AMB-47).

Nothing of it is kept on our side but that it was ended; looks give it more time, and not for ever. A form carries a
token of its session, signed too, that no other page can know; the token has a number of its own, by which the same form
counts once.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from aftersales import clock, links
from aftersales.settings import settings
from tasks import selfservice
from tasks.cases import current_terms

FORM = "token"
# whatever is done with it: a cookie that was copied is not kept alive for ever by looks
LONGEST = timedelta(hours=4)


@dataclass(frozen=True, slots=True)
class Session:
    """A visitor; `order_no` is the order that was found, empty before."""

    id: str
    began_at: datetime
    order_no: str = ""
    # of the order's customer, empty when nobody has said it
    language: str = ""

    @property
    def over_at(self) -> datetime | None:
        """When it is over, however much time it was given; one that opens nothing may go on."""
        return self.began_at + LONGEST if self.order_no else None


class Stale(Exception):
    """A form of this session that was open for too long."""


class Foreign(Exception):
    """A form that is none of this session's."""


def visitor() -> Session:
    """Somebody whom we do not know yet."""
    return Session(_id(), clock.now())


def of_order(order_no: str, language: str) -> Session:
    """Somebody who has found an order; never the session of before, which others may have laid (session fixation)."""
    return Session(_id(), clock.now(), order_no, language)


async def read(request: Request) -> Session | None:
    """The session of a request; None when it has none of ours, or it is over."""
    try:
        told = links.read("session", request.cookies.get(cookie("session"), ""), at=clock.now())
        id_, began, language, order_no = told.split(" ", 3)
        session = Session(id_, datetime.fromtimestamp(int(began), UTC), order_no, language)
    except (links.Unreadable, ValueError):
        return None
    # whoever has opened no order has nothing to end
    return None if session.order_no and await selfservice.has_ended(session.id) else session


def give(response: Response, session: Session) -> None:
    """Hand a session out, or more time to one."""
    at = clock.now()
    until = at + current_terms().selfservice.session.length
    until = min(until, session.over_at or until)
    subject = f"{session.id} {int(session.began_at.timestamp())} {session.language} {session.order_no}"
    value = links.sign("session", subject, until)
    seconds = max(0, int((until - at).total_seconds()))
    response.set_cookie(cookie("session"), value, max_age=seconds, **_how())


def end(response: Response) -> None:
    """Take a session's cookie back."""
    response.delete_cookie(cookie("session"), **_how())


def remember_language(response: Response, language: str) -> None:
    """Keep the language that was chosen."""
    response.set_cookie(cookie("lang"), language, max_age=365 * 86_400, **_how())


def token(session: Session, number: str = "") -> str:
    """What a form of this session carries; with the number of one that was sent before, it is that one again."""
    return _signed("form", f"{session.id} {number or secrets.token_urlsafe(12)}")


def check(session: Session | None, given: str) -> str:
    """Say by which number a form counts once. Raises Foreign, or Stale when it was open for too long."""
    try:
        told = links.read("form", given, at=clock.now())
    except links.Over:
        raise Stale from None
    except links.Unreadable:
        raise Foreign from None
    id_, _, number = told.partition(" ")
    if session is None or not secrets.compare_digest(id_, session.id):
        raise Foreign
    return number


def kept_photo(session: Session, reference: str) -> str:
    """What a form says of a photo that we have already, so that it is not asked for again (POL-08)."""
    return _signed("photo", f"{session.id} {reference}")


def photo(session: Session, token: str) -> str:
    """Which photo a form of this session means; empty when it is none of its own."""
    try:
        owner, _, reference = links.read("photo", token, at=clock.now()).partition(" ")
    except links.Unreadable:
        return ""
    return reference if secrets.compare_digest(owner, session.id) else ""


def cookie(name: str) -> str:
    """A cookie's name; over HTTPS one that no other host or path can set."""
    return f"__Host-aftersales-{name}" if _is_secure() else f"aftersales-{name}"


def _how() -> dict[str, Any]:
    # lax: a link in a mail must find the session of the form that is open already; forms carry a token of their own
    return {"path": "/", "httponly": True, "samesite": "lax", "secure": _is_secure()}


def _is_secure() -> bool:
    return settings().page_address.startswith("https://")


def _signed(purpose: str, subject: str) -> str:
    return links.sign(purpose, subject, clock.now() + current_terms().selfservice.session.length)


def _id() -> str:
    return secrets.token_urlsafe(16)
