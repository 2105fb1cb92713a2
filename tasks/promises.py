"""Promises: what a department owes by when, written when a gate opens (GEN-09, design §5)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from aftersales.desk.leg import Leg
from aftersales.rules import clocks, offers
from aftersales.rules.standing import standing
from aftersales.store import cases
from aftersales.store.engine import transaction
from aftersales.terms import Promised
from aftersales.words import Due, Limit, Stage


async def ask(leg: Leg, gate: str, entry: str) -> None:
    """
    Open a gate's promise, once: its owner, its due time with the trace, what its form offers (RET-02 to RET-10).

    The case moves to the gate's stage in the same transaction.
    """
    assert leg.case is not None
    assert leg.terms is not None
    asked = f"{entry}.asked"
    if asked in leg.entries:
        return
    promised = leg.terms.returns.stages[gate]
    offer = offers.offer(gate=gate, standing=standing(leg.history), terms=leg.terms)
    form = {
        "gate": gate,
        "ref": f"{leg.case.case_no} {entry}",
        "options": {name: list(choices.items()) for name, choices in offer.options.items()},
        "prefill": offer.prefill,
        "context": offer.context,
    }
    async with transaction() as connection:
        due_at = await give(connection, leg, entry, stage=gate, promised=promised, gate=form)
        await leg.note(
            connection,
            asked,
            kind="gate",
            data={"stage": gate, "owner": promised.owner},
            due_at=due_at,
            rule=promised.rule,
        )
        await cases.move(connection, leg.case.case_no, stage=Stage(gate), owner=promised.owner)


def reckon(leg: Leg, limit: Limit) -> Due:
    """
    Reckon when something is due that began with what last happened to the case.

    A window runs from the event that opens it (submission, confirmation, receipt, inspection: RET-02 to RET-10), not
    from the moment a worker came to it; notices and promises agree because both ask here (GEN-11).
    """
    assert leg.terms is not None
    began = [entry.at for entry in leg.history if entry.kind in ("opened", "decision")]
    return clocks.due(
        start_at=began[-1] if began else leg.now(),
        limit=limit,
        calendars=leg.terms.calendars,
        house=leg.terms.house,
    )


async def give(
    connection: AsyncConnection,
    leg: Leg,
    entry: str,
    *,
    stage: str,
    promised: Promised,
    gate: Mapping[str, Any] | None = None,
) -> Any:
    """Write one promise; answers its due time (exclusive)."""
    assert leg.case is not None
    assert leg.terms is not None
    due = reckon(leg, promised.limit)
    await cases.promise(
        connection,
        leg.case.case_no,
        entry,
        stage=stage,
        owner=promised.owner,
        rule=promised.rule,
        due=due,
        trace=clocks.trace(due, promised.rule),
        calendars=clocks.calendar_version(due, leg.terms.calendars),
        gate=gate,
    )
    return due.due_at
