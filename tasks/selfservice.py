"""
What customers do for themselves: see where their case stands, and apply for a return (SLF-01 to SLF-03, AMB-47).

Who searches is counted before anything is looked for, in the database, by marks that name nobody.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncConnection

from aftersales import clock, links
from aftersales.rules import applying, matching
from aftersales.rules.applying import Goods
from aftersales.rules.progress import Progress, Promised, progress
from aftersales.rules.standing import PAYING
from aftersales.settings import settings
from aftersales.store import applications, cases
from aftersales.store import selfservice as store
from aftersales.store.engine import transaction
from aftersales.store.journal import Entry
from aftersales.terms import Allowance
from aftersales.words import Unable, Way
from tasks import intake, outside, promises, records
from tasks.cases import current_terms

# how long the page shows that an application was turned away
SHOWN = timedelta(days=7)


class UnableToMatch(Unable):
    """No order has this number and this phone; whether one has the number is not told (AMB-47)."""


class TooOften(Unable):
    """Somebody has tried too often; `wait` says for how long."""

    def __init__(self, wait: timedelta) -> None:
        super().__init__("操作太频繁，请稍后再试。")
        self.wait = wait


@dataclass(frozen=True, slots=True)
class Taken:
    """An application that is no case: being taken in, or turned away with a sentence; None: one that names staff."""

    at: datetime
    refusal: str | None


@dataclass(frozen=True, slots=True)
class Shown:
    """An order as its customer sees it: its cases with the newest first, its applications, what can still be returned."""

    order_no: str
    is_rehearsed: bool
    cases: tuple[Progress, ...]
    applications: tuple[Taken, ...]
    goods: tuple[Goods, ...]
    at: datetime


# --- finding --------------------------------------------------------------------------------------------------------


async def find(order_no: str, phone: str, *, address: str) -> store.Holder:
    """
    Find the order that has this number and this phone (AMB-47).

    The same is done whether there is no such order or it has another phone. Raises UnableToMatch, TooOften.
    """
    allowed = current_terms().selfservice
    order_no = matching.plain_order_no(order_no)
    near = matching.neighborhood(address)
    counted = {
        _mark("search from", near): allowed.searches_per_address,
        _mark("search for", f"{order_no} from {near}"): allowed.searches_per_order,
        _mark("search for", order_no): allowed.searches_per_order_in_all,
    }
    async with transaction() as connection:
        too_often = await _count(connection, counted)
        if too_often is None:
            holder = await store.holder(connection, order_no)
            if is_match := matching.is_match(given=phone, known=holder.phone) and bool(holder.order_no):
                # what found its order is no guess
                await store.give_back(connection, list(counted))
    if too_often is not None:
        raise TooOften(too_often)
    if not is_match:
        raise UnableToMatch("没有找到相符的订单，请核对订单号和下单时的手机号。")
    return holder


async def _count(connection: AsyncConnection, marks: Mapping[str, Allowance]) -> timedelta | None:
    """Count one more of each; for how long to wait when that is too many, else None."""
    at = clock.now()
    await store.sweep(connection, at=at)
    waits = []
    # in one order, so that two who count the same never wait for each other
    for mark, allowance in sorted(marks.items()):
        count, until_at = await store.attempt(connection, mark, window=allowance.within.length, at=at)
        if count > allowance.at_most:
            waits.append(until_at - at)
    return max(waits, default=None)


def _mark(what: str, who: str) -> str:
    return hmac.new(links.secret("attempts"), f"{what} {who}".encode(), hashlib.sha256).hexdigest()


async def end(session: str, *, over_at: datetime) -> None:
    """End somebody's session, wherever its cookie was copied to; remembered until it would be over anyway (AMB-47)."""
    at = clock.now()
    async with transaction() as connection:
        await store.attempt(connection, _mark("ended", session), window=over_at - at, at=at)


async def has_ended(session: str) -> bool:
    """Whether a session was ended by whoever had it."""
    async with transaction() as connection:
        return await store.is_counted(connection, _mark("ended", session), at=clock.now())


# --- showing --------------------------------------------------------------------------------------------------------


async def show(order_no: str) -> Shown:
    """Tell everything that an order's customer may see of it (SLF-02). Raises UnableToMatch when it is gone."""
    async with transaction() as connection:
        order = await store.order(connection, order_no)
        if order is None:
            raise UnableToMatch("没有找到这张订单。")
        found = await store.cases(connection, order_no)
        histories = await store.histories(connection, [case.case_no for case in found])
        promised = {case.case_no: await _promised(connection, case) for case in found}
        applied = await store.applications(connection, order_no, since=clock.now() - SHOWN)
    at = clock.now(order)
    return Shown(
        order_no=order.order_no,
        is_rehearsed=order.is_rehearsed,
        cases=tuple(_progress(case, histories[case.case_no], promised[case.case_no], order, at) for case in found),
        applications=tuple(Taken(each.at, _public(each.refusal)) for each in applied),
        goods=order.goods,
        at=at,
    )


async def _promised(connection: AsyncConnection, case: store.Case) -> Promised | None:
    """What a customer was told of when their case goes on: while they wait for money, their own bound (AMB-13)."""
    if case.due_stage is None or case.due_at is None:
        return None
    if case.due_stage in PAYING:
        promise = await cases.open_gate(connection, case.case_no, case.due_stage)
        if promise is not None:
            _, terms = await outside.found(connection, case.case_no)
            due = promises.of_the_customer(terms, promise, promises.owed(promise, house=terms.house))
            return Promised(case.due_stage, due.due_at, due.provisional)
    return Promised(case.due_stage, case.due_at, case.provisional)


def _progress(
    case: store.Case, history: Sequence[Entry], promised: Promised | None, order: store.Order, at: datetime
) -> Progress:
    return progress(
        case_no=case.case_no,
        stage=case.stage,
        opened_at=case.opened_at,
        history=history,
        promised=promised,
        payment_route=order.payment_route,
        at=at,
        is_rehearsed=order.is_rehearsed,
    )


def _public(sentence: str) -> str | None:
    """A sentence that staff would read, for customers: none that names somebody of the house (SLF-02)."""
    for person in current_terms().staff().values():
        if person.name in sentence or person.id in sentence:
            return None
    return sentence


# --- applying -------------------------------------------------------------------------------------------------------


async def may_apply(order_no: str) -> None:
    """Count one more form of an order, before its photos are looked at. Raises TooOften."""
    allowance = current_terms().selfservice.applications_per_order
    async with transaction() as connection:
        wait = await _count(connection, {_mark("apply for", order_no): allowance})
    if wait is not None:
        raise TooOften(wait)


async def lines(order_no: str) -> int:
    """How many lines an order has; none when it is gone."""
    async with transaction() as connection:
        return await store.lines(connection, order_no)


async def keep_photo(photo: bytes) -> str:
    """Keep a photo that was written anew, outside of anything that is served; the same one once (POL-08)."""
    return await asyncio.to_thread(records.store_photo, photo, settings().home / "files")


async def was_sent(key: str) -> bool:
    """Whether an application of the page with this key has been handed on."""
    async with transaction() as connection:
        known = await applications.find(connection, via=Way.PAGE.value, key=key)
    return known is not None and known.run_id is not None


async def apply(
    order_no: str, filled: applying.Filled, *, goods: Sequence[Goods], photos: Sequence[str], key: str
) -> intake.Application:
    """
    Send in an application that has no mistakes, once a key (SLF-03, RET-01).

    `photos` are what `keep_photo` answered. Raises what `intake.apply` raises.
    """
    evidence = [records.photo_label(reference, number) for number, reference in enumerate(photos, 1)]
    asked = applying.request(filled, order_no=order_no, goods=goods, evidence=evidence)
    return await intake.apply(asked, via=Way.PAGE.value, key=key)
