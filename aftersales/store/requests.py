"""Requests of shop systems under keys of their own, and what they were answered."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import delete, select, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection

from aftersales.store.tables import RequestRow

REQUESTS = RequestRow.__table__  # type: ignore[attr-defined]


@dataclass(frozen=True, slots=True)
class Known:
    """A request that was begun before; `status` None while it has no answer."""

    fingerprint: str
    begun_at: datetime
    status: int | None
    answer: str


async def begin(connection: AsyncConnection, *, client: str, key: str, fingerprint: str, at: datetime) -> Known | None:
    """Begin a request; what is known of it when it was begun before, else None."""
    begun = await connection.execute(
        upsert(REQUESTS)
        .values(client=client, key=key, fingerprint=fingerprint, begun_at=at)
        .on_conflict_do_nothing()
        .returning(REQUESTS.c.key)
    )
    if begun.first() is not None:
        return None
    row = (
        await connection.execute(
            select(REQUESTS.c.fingerprint, REQUESTS.c.begun_at, REQUESTS.c.status, REQUESTS.c.answer)
            .where(REQUESTS.c.client == client, REQUESTS.c.key == key)
            .with_for_update()
        )
    ).one_or_none()
    # somebody gave it up between the two looks: it is to be begun after all
    return Known(*row) if row else await begin(connection, client=client, key=key, fingerprint=fingerprint, at=at)


async def begin_again(connection: AsyncConnection, *, client: str, key: str, fingerprint: str, at: datetime) -> None:
    """Take a request in hand whose sender got no answer."""
    await connection.execute(
        update(REQUESTS)
        .where(REQUESTS.c.client == client, REQUESTS.c.key == key)
        .values(fingerprint=fingerprint, begun_at=at)
    )


async def answer(connection: AsyncConnection, *, client: str, key: str, status: int, answer: str) -> None:
    """Write down what a request was answered."""
    await connection.execute(
        update(REQUESTS).where(REQUESTS.c.client == client, REQUESTS.c.key == key).values(status=status, answer=answer)
    )


async def drop(connection: AsyncConnection, *, client: str, key: str) -> None:
    """Forget a request that came to nothing: it may be sent again under its key."""
    await connection.execute(
        delete(REQUESTS).where(REQUESTS.c.client == client, REQUESTS.c.key == key, REQUESTS.c.status.is_(None))
    )


async def forget(connection: AsyncConnection, before: datetime) -> None:
    """Forget what was answered long ago."""
    await connection.execute(delete(REQUESTS).where(REQUESTS.c.begun_at < before))
