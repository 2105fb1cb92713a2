"""What stories of notices share: channels as they are read, notices written, and what became of them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import text

from aftersales import clock
from aftersales.gateways import channels
from aftersales.gateways.channels import Channels
from aftersales.settings import Settings
from aftersales.store import outbox
from aftersales.store.engine import transaction
from aftersales.terms import load
from tasks import audits, escalation
from tests.gateways.provider import KEY, Running
from tests.stories.conftest import Shop, Telling
from tests.stories.test_escalation import at, at_refund, time  # noqa: F401

LIVE = load()
MINUTE = timedelta(minutes=1)


def known(**document: Any) -> Channels:
    """Channels as they are read from the environment."""
    return channels.load(
        Settings(channels=json.dumps(document), home=Path("/nonexistent")), house=LIVE.house, staff=LIVE.staff()
    )


async def ledger(telling: Telling, entry: str) -> list[tuple[str, str, int, bool]]:
    """Channel, state, tries and doubt of each address of the notices of an entry."""
    rows = await telling.rows("outbox", "id", f"and entry = '{entry}'")
    async with transaction() as connection:
        query = text(
            "select channel, state, tries, is_doubtful from deliveries where outbox_id = any(:ids) order by id"
        )
        found = (await connection.execute(query, {"ids": [row.id for row in rows]})).all()
    return [tuple(row) for row in found]


async def states(telling: Telling, entry: str) -> list[tuple[str, str]]:
    """Recipient and state of the notices of an entry."""
    rows = await telling.rows("outbox", "recipient, state", f"and entry = '{entry}' order by id")
    return [(row.recipient, row.state) for row in rows]


async def history(telling: Telling) -> list[str]:
    """What the case's history says of deliveries."""
    return [entry.data["text"] for entry in (await telling.journal()).values() if entry.kind == "delivery"]


async def breached(shop: Shop, time: Any, wall: str = "2025-03-20 09:00") -> Telling:  # noqa: F811
    """A refund whose window passed at midnight; the round has looked at `wall`."""
    telling = await at_refund(shop, time)
    await escalation.look(at=time(wall))
    return telling


def with_sms(other_side: Running, **document: Any) -> Channels:
    """Channels with an SMS gateway."""
    found = Settings(
        channels=json.dumps(document) if document else "",
        home=Path("/nonexistent"),
        sms_url=other_side.url,
        sms_key=KEY,
    )
    return channels.load(found, house=LIVE.house, staff=LIVE.staff())


async def many(count: int, recipient: str = "department:aftersales", *, first: int = 0) -> None:
    """So many sentences for one recipient, about no case."""
    async with transaction() as connection:
        for number in range(first, first + count):
            await outbox.put(
                connection,
                case_no=None,
                entry=f"x{number}",
                notice="DESK",
                recipient=recipient,
                language="zh",
                subject=f"提醒 {number}",
                body=f"内容 {number}",
                data={},
                created_at=clock.now(),
                expires_at=None,
            )


async def outbox_states() -> Mapping[str, int]:
    """How many notices stand where."""
    async with transaction() as connection:
        rows = await connection.execute(text("select state, count(*) from outbox group by state"))
        return {row.state: row.count for row in rows}


async def audited(telling: Telling, entry: str) -> list[tuple[str, str]]:
    """Outcome and reason of each address of the notices of an entry, as the audit tells them."""
    return [(r["outcome"], r["reason"]) for r in await audits.notices(case_no=telling.case_no) if r["entry"] == entry]


async def said(telling: Telling) -> list[str]:
    """What the history says of the notice of the breach."""
    journal = (await telling.journal()).values()
    return [e.data["text"] for e in journal if e.kind == "delivery" and e.entry.startswith("refund-0.breach")]


async def done(telling: Telling) -> None:
    """Somebody has paid: there is nothing to tell any more."""
    await telling.decide("refund", "A03", amount="188.00", reference="ALI-1")


async def time_has_moved(telling: Telling) -> None:
    """As if the withdrawal of the decision had been lost: the sender finds out."""
    async with transaction() as connection:
        await connection.execute(text("update promises set ended_at = now() where entry = 'refund-0'"))
