"""Absences: who is away on which days, and who stands in; their notices go there (P-11)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from aftersales import clock
from aftersales.rules import clocks, deliveries
from aftersales.store import outbox
from aftersales.store.engine import transaction
from aftersales.terms import Terms
from aftersales.words import Staff, Unable
from tasks.cases import current_terms


async def away(staff_id: str, from_on: date, until_on: date, *, stand_in: str = "", actor: str = "") -> str:
    """
    Write down that somebody is away from one day to another, both included; answers a sentence.

    Without `stand_in` their notices go to the next level. Written twice it is there once; what is written last counts.
    Raises Unable.
    """
    terms = current_terms()
    person = _person(staff_id, terms)
    by = _person(actor, terms) if actor else person
    if until_on < from_on:
        raise Unable(f"结束日期 {until_on} 早于开始日期 {from_on}，请把两个日期对调。")
    if until_on < _today(terms):
        raise Unable(f"{until_on} 已经过去，不用登记；请填写今天或以后的日期。")
    if stand_in == person.id:
        raise Unable(
            f"{person.choice} 不能代理自己，请填写另一名员工，或不写代理人（{_taken(person.id, '', terms)}）。"
        )
    if stand_in:
        _person(stand_in, terms)
    async with transaction() as connection:
        less = await outbox.be_away(
            connection,
            staff_id=person.id,
            from_on=from_on,
            until_on=until_on,
            stand_in=stand_in,
            actor=by.id,
            created_at=clock.now(),
        )
        await _look_again(connection, terms)
    days, who = _days(from_on, until_on), _taken(person.id, stand_in, terms)
    if less is None:
        return f"{person.choice} {days} 已登记过，通知{who}，未重复登记。"
    told = "".join(
        f"原登记的 {_days(row['from_on'], row['until_on'])} {_taken(person.id, row['stand_in'], terms)}，"
        + ("由这次取代。" if from_on <= row["from_on"] and row["until_on"] <= until_on else "重叠的日子以这次为准。")
        for row in less
    )
    return f"已登记：{person.choice} {days} 不在，通知{who}。{told}"


async def back(staff_id: str) -> str:
    """Take back somebody's absences, the present and the coming ones; answers a sentence. Raises Unable."""
    terms = current_terms()
    person = _person(staff_id, terms)
    async with transaction() as connection:
        count = await outbox.be_back(connection, person.id, on=_today(terms), at=clock.now())
        await _look_again(connection, terms)
    if not count:
        return f"{person.choice} 没有登记不在的日子，未作更改。"
    return f"已取消 {person.choice} 登记的 {count} 段不在的日子，通知照常发给本人。"


async def _look_again(connection: AsyncConnection, terms: Terms) -> None:
    """Let what nobody who stood in could be told be looked at: whoever is there now may also stand in for others."""
    await outbox.look_again(connection, [f"staff:{person}" for person in terms.staff()], clock.now())


async def listed() -> list[Mapping[str, Any]]:
    """The absences that have not ended, in order of their beginning, with names."""
    terms = current_terms()
    staff = terms.staff()
    async with transaction() as connection:
        rows = await outbox.absences_from(connection, _today(terms))
    return [
        {
            "staff": _label(row["staff_id"], staff),
            "from": row["from_on"].isoformat(),
            "until": row["until_on"].isoformat(),
            "stand_in": _label(row["stand_in"], staff) if row["stand_in"] else _next_level(row["staff_id"], terms),
            "by": _label(row["actor"], staff),
        }
        for row in rows
    ]


def _days(from_on: date, until_on: date) -> str:
    return f"{from_on} 至 {until_on}" if from_on != until_on else str(from_on)


def _taken(staff_id: str, stand_in: str, terms: Terms) -> str:
    """Say who gets what is meant for somebody who is away."""
    return f"由{f' {_label(stand_in, terms.staff())} ' if stand_in else _next_level(staff_id, terms)}代收"


def _next_level(staff_id: str, terms: Terms) -> str:
    """Above the after-sales manager there is nobody: their department gets it."""
    house = terms.house
    to = deliveries.whom(f"staff:{staff_id}", away={staff_id: ""}, house=house, staff=terms.staff()).recipient
    kind, _, code = to.partition(":")
    return house.departments[code].name if kind == "department" else "上一级"


def _label(staff_id: str, staff: Mapping[str, Staff]) -> str:
    return staff[staff_id].choice if staff_id in staff else staff_id


def _person(staff_id: str, terms: Terms) -> Staff:
    person = terms.staff().get(staff_id)
    if person is None:
        raise Unable(f"员工名单中没有“{staff_id}”，请填写员工编号，如 C07（名单在 config/staff.yaml）。")
    return person


def _today(terms: Terms) -> date:
    return clocks.house_date(clock.now(), house=terms.house)
