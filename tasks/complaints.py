"""Complaints: a row with a number and an owner, linked to what it is about (RET-08, CMP-01, FUP-12)."""

from __future__ import annotations

from zoneinfo import ZoneInfo

from sqlalchemy.ext.asyncio import AsyncConnection

from aftersales.desk.leg import Leg
from aftersales.store import cases, journal
from aftersales.words import Process, Stage
from tasks import notices

# stands for the number that a complaint is going to have
NUMBER = "{complaint_no}"


async def open_complaint(
    connection: AsyncConnection,
    leg: Leg,
    *,
    entry: str,
    about: str,
    order_no: str,
    channel: str,
    reason: str,
    operator: str,
    told: str,
    actor: str = "",
) -> str:
    """
    Open a complaint out of the leg's case, and tell the department that has it; answers its number (CMP-01).

    `about` is the case that the customer complains of, empty when there was none; `told` is what the department reads,
    with `NUMBER` in the place of the new number. `actor` is who said so, else the operator. The caller sees to it that it does so once, and writes the number into the case's own journal.
    """
    assert leg.case is not None
    assert leg.terms is not None
    now, owner = leg.now(), leg.terms.returns.stages["review"].owner
    on = now.astimezone(ZoneInfo(leg.terms.house.timezone)).date()
    prefix = "CP-X" if leg.case.rehearsal else "CP"
    complaint_no = await cases.next_number(connection, prefix=prefix, on=on)
    await cases.open_case(
        connection,
        case_no=complaint_no,
        process=Process.COMPLAINT,
        order_no=order_no,
        channel=channel,
        stage=Stage.OPENED.value,
        owner=owner,
        opened_at=now,
        operator=operator,
        terms_hash=leg.case.terms_hash,
        rehearsal=leg.case.rehearsal,
        facts={"about": about or leg.case.case_no},
    )
    await journal.add(
        connection,
        complaint_no,
        "opened",
        kind="complaint",
        at=now,
        actor=actor or operator,
        data={"about": about or leg.case.case_no, "order_no": order_no, "reason": reason},
        rule="CMP-01",
    )
    text = told.replace(NUMBER, complaint_no)
    await notices.tell_department(connection, leg, entry, owner, text, about=complaint_no)
    return complaint_no
