"""What was said about a case and cannot be used: never lost, one row in the journal and one notice, once a message."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from aftersales.desk.leg import Leg
from aftersales.rules import messages
from aftersales.store import cases
from aftersales.store.journal import Entry
from tasks import notices


async def keep(
    connection: AsyncConnection,
    leg: Leg,
    *,
    entry: str,
    gate: str,
    key: str,
    actor: str,
    reason: str,
    told: Mapping[str, Any],
    staff: str = "",
) -> bool:
    """
    Keep a message that nobody can use, and tell the department that owns its gate; False when that was done before.

    `key` is the message's own, `told` what it said; `staff` is somebody who must hear of it too.
    """
    assert leg.terms is not None
    name = f"{entry}.late:{key}"
    data = {"reason": reason, "told": {item: value for item, value in told.items() if value}}
    if await leg.note(connection, name, kind="late", actor=actor, data=data) is None:
        return False
    await notices.tell_department(connection, leg, name, leg.terms.returns.stages[gate].owner, reason)
    if staff in leg.terms.staff():
        await notices.tell_staff(connection, leg, name, staff, reason)
    return True


async def sweep(connection: AsyncConnection, leg: Leg, gate: str, decided: Entry) -> None:
    """Take what still waits in the inbox for a gate that has just been answered: nobody else will ever look at it."""
    assert leg.case is not None
    assert leg.terms is not None
    for row in await cases.waiting_about(connection, leg.case.case_no, f"{leg.case.case_no}/{decided.entry}"):
        await cases.take(connection, row["id"], leg.now())
        no = messages.contradiction(
            event=row["event"], told=row["data"], decided=decided.data, by_staff=decided.actor in leg.terms.staff()
        )
        if no:
            await keep(
                connection,
                leg,
                entry=decided.entry,
                gate=gate,
                key=row["key"],
                actor=row["actor"],
                reason=no,
                told=row["data"],
                staff=decided.actor,
            )
