"""
What must be true of the databases before Prefect's server starts: they exist, ours is migrated.
"""

from __future__ import annotations

from sqlalchemy import Executable, text

from aftersales.stack import schema

SAMPLE = "sample shop"


def databases(*, ours: str, prefects: str) -> None:
    """Make both databases, the extension that Prefect needs, and our tables. Raises Unable."""
    schema.create(ours)
    schema.create(prefects)
    schema.need_trigrams(prefects)
    if (found := schema.version(ours)) and found > schema.newest():
        schema.require(ours)
    schema.upgrade(ours)


def wants_sample(url: str) -> bool:
    """True for a shop that has neither orders nor ever had the sample."""
    with schema.reach(url) as connection:
        row = connection.execute(
            "select exists (select from orders) or exists (select from settings where name = %s)", [SAMPLE]
        ).fetchone()
        return row is not None and not row[0]


def sample_mark() -> Executable:
    """The statement that remembers that the sample was loaded: a shop that deletes it does not get it again."""
    return text("insert into settings (name, value) values (:name, '{}') on conflict (name) do nothing").bindparams(
        name=SAMPLE
    )
