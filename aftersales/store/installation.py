"""Small facts about this installation, by name: which pages it has published."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import select, text
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection

from aftersales.store.tables import SettingRow

SETTINGS = SettingRow.__table__  # type: ignore[attr-defined]


async def lock(connection: AsyncConnection, name: str) -> Mapping[str, Any] | None:
    """A fact, or None; nobody else gets it until this transaction ends."""
    await connection.execute(text("select pg_advisory_xact_lock(hashtextextended(:n, 2))"), {"n": name})
    return await connection.scalar(select(SETTINGS.c.value).where(SETTINGS.c.name == name))


async def keep(connection: AsyncConnection, name: str, value: Mapping[str, Any]) -> None:
    """Write a fact down, in the place of the one before."""
    await connection.execute(
        upsert(SETTINGS)
        .values(name=name, value=dict(value))
        .on_conflict_do_update(index_elements=["name"], set_={"value": dict(value)})
    )
