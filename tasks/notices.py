"""Notices: put into the outbox in the transaction of what they tell about (design §8, GEN-14)."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from aftersales.desk.leg import Leg
from aftersales.rules import clocks
from aftersales.rules.deliveries import CUSTOMER
from aftersales.store import journal, outbox, rungs
from aftersales.words import DESK, STAFF

# what asks the customer something, and reminds of it
QUESTION = ("NTC-17", "NTC-18")
# what holds a link that lets its reader answer as the customer
PRIVATE = ("NTC-20", "SVY-04", "SVY-07")

# what asks staff to ask in the place of a link
ASK = "survey-0.ask"

# what tells a department that a second revisit waits for it
OPENED = "opened"

# a case that was settled before it came to us: its notices are written for the history alone
_PAST = "导入的历史售后单，不再发送"


def asks_how_it_was(row: Mapping[str, Any]) -> bool:
    """Whether a notice of the outbox asks a customer how it was, or has staff ask them."""
    return row["notice"] in PRIVATE or row["entry"] == ASK


def was_told(leg: Leg, notice: str, entry: str) -> bool:
    """Whether an earlier telling has put this notice into the outbox."""
    return f"{entry}.{notice}" in leg.entries


async def put(
    connection: AsyncConnection,
    leg: Leg,
    notice: str,
    entry: str,
    *,
    to: str,
    subject: str,
    body: str,
    data: Mapping[str, str] | None = None,
    withdrawn: str = "",
) -> None:
    """
    Put a notice about the leg's case into the outbox, once for each entry it is about and recipient.

    `to` is `customer`, `department:…` or `staff:…`; `withdrawn` says why it is only kept for the history.
    """
    assert leg.case is not None
    assert leg.terms is not None
    words = leg.terms.notices.get(notice)
    expires_at = None
    if words is not None and words.expires is not None:
        expires_at = clocks.due(
            start_at=leg.now(), limit=words.expires, calendars=leg.terms.calendars, house=leg.terms.house
        ).due_at
    await outbox.put(
        connection,
        case_no=leg.case.case_no,
        entry=entry,
        notice=notice,
        recipient=to,
        language=leg.terms.house.language,
        subject=subject,
        body=body,
        data=dict(data or {}),
        created_at=leg.now(),
        expires_at=expires_at,
        is_rehearsed=leg.case.rehearsal is not None,
        withdrawn=withdrawn or (_PAST if leg.case.is_past else ""),
    )
    if to == CUSTOMER:
        await leg.note(connection, f"{entry}.{notice}", kind="notice", data={"notice": notice, "subject": subject})


async def withdraw(
    connection: AsyncConnection,
    case_no: str,
    promised: str | None,
    *,
    notices: Collection[str],
    rung: str = "",
    reason: str,
    at: datetime,
) -> list[Mapping[str, Any]]:
    """
    Withdraw what a ladder has told, and let the history say why (P-12); answers what nobody is known to have got.

    Called under the case's lock; whoever sends takes that lock before a notice's, too.
    """
    gone = await rungs.withdraw(connection, case_no, promised, notices=notices, rung=rung, reason=reason, at=at)
    for row in gone:
        await say_withdrawn(connection, {**row, "case_no": case_no}, reason, came=row["came"], at=at)
    return [row for row in gone if row["came"] != "sent"]


async def say_withdrawn(
    connection: AsyncConnection, row: Mapping[str, Any], reason: str, *, came: str, at: datetime
) -> None:
    """Let a case's history say that a notice was withdrawn, and how far it `came` (`outbox.withdraw`); as `say` does."""
    how = {"sent": "已送达，其余地址不再发送", "maybe": "可能已送达，不再重试"}.get(came, "没有发送")
    await say(connection, row, f"{how}：{reason}", what="withdrawn", at=at)


async def say_last(
    connection: AsyncConnection, row: Mapping[str, Any], *, before: str, came: str, at: datetime
) -> None:
    """Let a case's history say what became of a notice that was under way when it was withdrawn, once that is known."""
    if came == before:
        return
    text, what = ("撤回时正在发送，已送达", "arrived") if came else ("撤回时正在发送，没有送达", "lost")
    await say(connection, row, text, what=what, at=at)


async def say(connection: AsyncConnection, row: Mapping[str, Any], text: str, *, what: str, at: datetime) -> None:
    """
    Let a case's history say what became of a notice, where it was not simply sent; `what` once. Under the case's lock.
    """
    await journal.add(
        connection,
        row["case_no"],
        f"{row['entry']}.{row['recipient']}.{what}",
        kind="delivery",
        at=at,
        actor="system",
        data={"notice": row["notice"], "to": row["recipient"], "subject": row["subject"], "text": text},
    )


async def tell_customer(
    connection: AsyncConnection, leg: Leg, notice: str, entry: str, values: Mapping[str, str]
) -> None:
    """Put a customer's notice into the outbox, once for each entry it is about (NTC-01 to NTC-09)."""
    assert leg.case is not None
    assert leg.terms is not None
    words = leg.terms.notices[notice]
    values = {"case_no": leg.case.case_no, "order_no": leg.case.order_no, **values}
    subject, body = words.render(values)
    short = words.render_short(values)
    data = {"short": short} if short else {}
    await put(connection, leg, notice, entry, to=CUSTOMER, subject=subject, body=body, data=data)


async def tell_staff(connection: AsyncConnection, leg: Leg, entry: str, staff_id: str, text: str) -> None:
    """Put a sentence for one member of staff into the outbox, once for each entry it is about."""
    assert leg.case is not None
    await put(connection, leg, STAFF, entry, to=f"staff:{staff_id}", subject=f"{leg.case.case_no} 提醒", body=text)


async def tell_department(
    connection: AsyncConnection, leg: Leg, entry: str, department: str, text: str, *, about: str = ""
) -> None:
    """
    Put a sentence for a department into the outbox, once for each entry it is about.

    `about` is the case that its title names, where that is not the leg's.
    """
    assert leg.case is not None
    subject = f"{about or leg.case.case_no} 提醒"
    await put(connection, leg, DESK, entry, to=f"department:{department}", subject=subject, body=text)


async def tell_without_case(
    connection: AsyncConnection, entry: str, department: str, text: str, *, language: str, at: datetime
) -> None:
    """Put a sentence for a department into the outbox that is about no case; the caller sees to it that it does so once."""
    await outbox.put(
        connection,
        case_no=None,
        entry=entry,
        notice=DESK,
        recipient=f"department:{department}",
        language=language,
        subject="退货申请提醒",
        body=text,
        data={},
        created_at=at,
        expires_at=None,
    )
