"""What was heard on a visit: what it makes of the visit, of its customer, and of what the ladder has told (FUP-12)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from aftersales.desk.leg import Leg
from aftersales.rules import clocks, deliveries, lists
from aftersales.rules.lists import Visit
from aftersales.store import cases, journal, people, surveys, visits
from aftersales.store import lists as store
from aftersales.terms import Terms
from aftersales.words import Outcome, Unable
from tasks import complaints, desks, notices, promises

# why what was told of a list that still owes the same is withdrawn, and told again
STILL_OWED = "这一天到期的还有别的回访，随后重新通知"


class NotLeft(Unable):
    """A visit does not stand on the list (any more); the sentence says who was first, or where it stands."""


async def settle(
    connection: AsyncConnection, leg: Leg, *, entry: str, answer: Mapping[str, Any], operator: str, at: datetime
) -> dict[str, Any]:
    """
    Let a call settle its visit, in the transaction that takes it into the list's journal (FUP-12).

    Answers what the journal keeps of it beside what was said. Raises NotLeft.
    """
    assert leg.case is not None
    assert leg.terms is not None
    visit = await store.take(connection, int(answer["visit"]))
    if visit is None or visit.state != lists.LISTED or visit.list_no != leg.case.case_no:
        raise NotLeft(not_left(answer["visit"], visit, leg.case.case_no, leg.terms))
    outcome = Outcome(answer["outcome"])
    on = clocks.house_date(at, house=leg.terms.house)
    what = lists.called(visit, outcome=outcome, on=on, terms=leg.terms)
    told: dict[str, Any] = {"kind": visit.kind, "order_no": visit.order_no, "about": visit.case_no or ""}
    if outcome is Outcome.NOT_REACHED:
        told |= {"tries": what.tries, "due_on": what.due_on.isoformat() if what.due_on else ""}
    if outcome is Outcome.OPTED_OUT:
        who = people.person(customer_id=visit.customer_id, phone=visit.phone, order_no=visit.order_no)
        told["dropped"] = await opt_out(connection, who, at=at)
    if outcome is Outcome.PROBLEM:
        told["complaint_no"] = await _complain(connection, leg, visit, entry=entry, answer=answer, operator=operator)
    effect = str(answer.get("effect") or "")
    for part, due_on, kind in lists.follows(visit, outcome=outcome, effect=effect, on=on, terms=leg.terms):
        told["next_on"] = due_on.isoformat()
        await visits.plan(
            connection,
            key=part["key"],
            order_no=part["order_no"],
            case_no=part["case_no"],
            rehearsal=visit.rehearsal,
            kind=part["kind"],
            owner=kind.owner,
            due_on=due_on,
            rule=kind.rule,
            created_at=at,
        )
    call = {
        "at": at.isoformat(),
        "by": operator,
        "outcome": outcome.value,
        "list_no": leg.case.case_no,
        "entry": entry,
    }
    more = {"complaint_no": told["complaint_no"]} if "complaint_no" in told else {}
    await store.settle(connection, visit.id, what, call=call, at=at, **more)
    return told


async def opt_out(connection: AsyncConnection, name: str, *, at: datetime) -> int:
    """Ask somebody no more: no visits, and no survey by phone; answers how many visits that were planned it drops (FUP-11)."""
    await people.opt_out(connection, name)
    await surveys.look_again(connection, name, at=at)
    return await store.call_off(connection, name, at=at)


async def _complain(
    connection: AsyncConnection, leg: Leg, visit: Visit, *, entry: str, answer: Mapping[str, Any], operator: str
) -> str:
    """Open a complaint about what a customer has told, linked to the case that the visit was about."""
    complaint_no = await complaints.open_complaint(
        connection,
        leg,
        entry=f"{entry}.complaint",
        about=visit.case_no or "",
        order_no=visit.order_no,
        channel=visit.channel,
        reason=answer["note"],
        operator=operator,
        told=(
            f"回访 {visit.id}（{f'售后单 {visit.case_no}' if visit.case_no else f'订单 {visit.order_no}'}）发现问题，"
            f"转为投诉 {complaints.NUMBER}：{answer['note']}。请联系客户处理。"
        ),
    )
    if visit.case_no and await cases.read(connection, visit.case_no) is not None:
        await journal.add(
            connection,
            visit.case_no,
            f"complaint-visit-{visit.id}",
            kind="complaint",
            at=leg.now(),
            actor=operator,
            data={"complaint_no": complaint_no},
            rule="FUP-12",
        )
    return complaint_no


def not_left(number: Any, visit: Visit | None, list_no: str, terms: Terms) -> str:
    """Say why a visit cannot be recorded on a list: who was first, or where it stands."""
    if visit is None:
        return f"没有回访 {number}，请核对编号（可用 aftersales visit list 查看）。"
    reader = desks.reader(terms)
    last = visit.calls[-1] if visit.calls else None
    if last is not None and (visit.state == lists.DONE or last["list_no"] == list_no):
        at = reader.time(datetime.fromisoformat(last["at"]))
        first = f"回访 {visit.id} 已由 {reader.who(last['by'])} 于 {at} 登记为“{Outcome(last['outcome']).label}”，"
        if visit.state == lists.PLANNED:
            # who was not reached is called again: it is not settled, as what is done is
            again = clocks.spoken_day(visit.due_on)
            return f"{first}一天只登记一次，您的提交未被采用；{again}列入清单后再打，打完再登记。"
        return f"{first}您的提交未被采用，无需再处理。"
    if visit.state == lists.DROPPED:
        return f"回访 {visit.id} 已取消，不用再联系这位客户。"
    if visit.state == lists.LISTED:
        return f"回访 {visit.id} 现在在清单 {visit.list_no}（{reader.who(visit.agent or '')}）上，请在那张清单登记。"
    return f"回访 {visit.id} 排在 {clocks.spoken_day(visit.due_on)}，现在不在清单上，列入清单后再登记。"


async def let_go(
    connection: AsyncConnection, list_no: str, promise: Mapping[str, Any], terms: Terms, *, at: datetime
) -> None:
    """
    Withdraw what the ladder of a list's promise has told and nobody has sent yet (P-12), under the list's lock.

    Where more is left of the same day, nobody has been told of that then: it climbs there once more.
    """
    on = lists.due_day(promise["due_at"], terms=terms)
    owed = [visit for visit in await store.left(connection, list_no) if visit.due_on == on]
    gone = await notices.withdraw(
        connection,
        list_no,
        promise["entry"],
        notices=terms.escalation.notices,
        reason=STILL_OWED if owed else deliveries.DONE,
        at=at,
    )
    if not gone or not owed:
        return
    due = promises.owed(promise, house=terms.house)
    names = {rung.name for rung in promises.rungs(terms, stage=promise["stage"], due=due, lapses_at=None)}
    untold = {row["entry"].partition(".")[2] for row in gone} & names
    if untold:
        told = [name for name in lists.told(owed) if name not in untold]
        await store.climbed(connection, list_no, due_on=on, told=told)
