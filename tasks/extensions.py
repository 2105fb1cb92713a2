"""A new last day for what a case waits for, through force majeure (GEN-08, AMB-51, NTC-11)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from aftersales import clock
from aftersales.desk.leg import Leg
from aftersales.rules import authority, clocks, masking
from aftersales.rules.clocks import Extension
from aftersales.store import cases, journal, rungs
from aftersales.store.engine import transaction
from aftersales.terms import Terms
from aftersales.words import Due, Limit, Right, Unable, matter
from tasks import notices, outside, promises
from tasks.gates import Refused


async def extend(case_no: str, *, operator: str, until: str, reason: str, key: str) -> str:
    """
    Move the due time of a case's open gate to the end of a day; answers a sentence with the old and the new one.

    The outer limit moves along when it would end before. The original stays in the promise's trace and in the journal,
    and the customer is told in the same transaction. `key` makes it count once. Raises Unable; what was refused stands
    in the case's journal with its reason.
    """
    try:
        return await _extend(case_no, operator=operator, until=until, reason=reason, key=key)
    except Unable as error:
        async with transaction() as connection:
            case, terms = await outside.found(connection, case_no)
            await journal.add(
                connection,
                case_no,
                f"extended.refused:{key}",
                kind="refused",
                at=clock.now(case),
                actor=operator if operator in terms.staff() else "system",
                data={"reason": masking.scrub(str(error)), "gate": "extended"},
                rule="GEN-08",
            )
        raise


async def _extend(case_no: str, *, operator: str, until: str, reason: str, key: str) -> str:
    try:
        day = date.fromisoformat(until)
    except ValueError:
        raise Refused(f"延期日期“{until}”不是日期，请写成 2026-12-01 这样。") from None
    reason = masking.scrub(reason)
    async with transaction() as connection:
        case, terms = await outside.found(connection, case_no)
        if no := authority.objection(operator=terms.staff().get(operator), named=operator, right=Right.EXTEND):
            raise Refused(no)
        await cases.lock(connection, case_no)
        entry = f"extended:{key}"
        if await journal.find(connection, case_no, entry) is not None:
            return f"{case_no} 的这次延期已登记过，未重复登记。"
        waiting = [promise for promise in await cases.promises(connection, case_no) if promise["ended_at"] is None]
        gates = [promise for promise in waiting if promise["gate"].get("gate")]
        if case.stage.is_over or not gates:
            raise Refused(f"{case_no} {case.stage.label}，没有等待办理的环节，不能延期。")
        now = clock.now(case)
        was, due = await _move(connection, gates[-1], terms, Extension(day, reason), now)
        for outer in waiting:
            if not outer["gate"].get("gate") and outer["due_at"] < due.due_at:
                await _move(connection, outer, terms, Extension(day, reason), now)
        spoken_was = clocks.spoken(was, house=terms.house)
        spoken_due = clocks.spoken(due.due_at, house=terms.house)
        data = {"gate": gates[-1]["entry"], "was": spoken_was, "due": spoken_due, "until": until, "reason": reason}
        await journal.add(
            connection,
            case_no,
            entry,
            kind="extension",
            at=now,
            actor=operator,
            data=data,
            due_at=due.due_at,
            rule="GEN-08",
        )
        leg = Leg(driver=None, case=case, terms=terms)  # type: ignore[arg-type]  # nobody tells the story here
        await notices.tell_customer(
            connection,
            leg,
            "NTC-11",
            entry,
            {"reason": reason, "stage": matter(gates[-1]["stage"]), "due": f"{spoken_due} 前", "was": spoken_was},
        )
    return f"{case_no} 的“{matter(gates[-1]['stage'])}”已延期：{spoken_was} → {spoken_due}，客户已列入通知。"


async def _move(
    connection: AsyncConnection, promise: Mapping[str, Any], terms: Terms, extension: Extension, at: datetime
) -> tuple[datetime, Due]:
    """Move one promise; answers its due time before, and the new one."""
    now = Due(promise["started_at"], Limit.parse(promise["limit"]), promise["due_at"])
    moved = clocks.extended(due=now, extension=extension, house=terms.house, at=at)
    trace = promise["trace"]
    told = {"until": extension.until_on.isoformat(), "reason": extension.reason}
    lapses_at = promise["lapses_at"]
    if lapses_at is not None:
        # whoever has more time to answer also has more time before silence is an answer, and is reminded of its end
        lapses_at = promises.lapse(terms, promise["gate"]["gate"], moved.due_at)
    if promise["rungs"]:
        told_by_time = terms.escalation.notices
        await rungs.withdraw(
            connection, promise["case_no"], promise["entry"], notices=told_by_time, reason="已延期，不用再通知"
        )
    climbs = promises.rungs(terms, stage=promise["stage"], due=moved, lapses_at=lapses_at)
    await cases.extend(
        connection,
        promise["id"],
        due_at=moved.due_at,
        # the original due time stays in the trace
        trace={
            **trace,
            "due_at": moved.due_at.isoformat(),
            "provisional": False,
            "extensions": [*trace["extensions"], told],
        },
        lapses_at=lapses_at,
        remind_at=None if lapses_at is None else promises.reminder(terms, promise["stage"], moved, since=at),
        rung_at=climbs[0].at if climbs else None,
    )
    return promise["due_at"], moved
