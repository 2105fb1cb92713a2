"""What Prefect gets to know: no customer, no answers once the journal holds them (GEN-10)."""

from __future__ import annotations

import json
from decimal import Decimal

import psycopg
from prefect.events.worker import EventsWorker
from prefect.logging.handlers import APILogWorker
from sqlalchemy.engine import URL, make_url

from aftersales.store import engine
from tests.traps.conftest import MAIN_WAY, RETURNS, Desk

NAME, PHONE, EMAIL, CALLED = "欧阳锦瑟", "13912345678", "jinse.ouyang@example.com", "13887654321"


async def test_prefect_learns_nothing_about_the_customer(staffed: Desk):
    """A whole case, with a phone number written where none belongs: Prefect's database holds none of it anywhere."""
    await staffed.order("D1", name=NAME, phone=PHONE, email=EMAIL, freight=Decimal("0.00"))
    run = await staffed.start(RETURNS, staffed.request("D1", remark=f"客户电话 {CALLED}"))
    await run.fill("review-0", decision="驳回", reason=f"请发邮件到 {EMAIL}")
    await run.fill("correction-0", remark=f"客户改号 {CALLED}")
    await run.fill("review-1", remark=f"已致电 {CALLED}")
    await run.along(*MAIN_WAY[1:])
    await run.ends()

    assert not [key for key in await run.inputs() if key.endswith("-response")]
    await APILogWorker.drain_all()  # type: ignore[misc]
    await EventsWorker.drain_all()  # type: ignore[misc]
    assert found_in_prefect("SKU-1"), "the search finds what is there"
    for secret in (NAME, PHONE, EMAIL, CALLED):
        assert found_in_prefect(secret) == [], secret
    # and in ours only where contacts belong
    assert {table for table, _ in found(engine.engine().url.set(drivername="postgresql"), CALLED)} == set()
    for secret in (NAME, PHONE, EMAIL):
        tables = {table for table, _ in found(engine.engine().url.set(drivername="postgresql"), secret)}
        assert tables <= {"orders", "customers"}, (secret, tables)


async def test_the_inputs_of_an_open_case_hold_no_answer(staffed: Desk):
    """The answer row in Prefect is gone when the next gate opens; schema and page stay, for the run's history."""
    run = await (await staffed.apply()).along("review")
    await run.at("pickup-0-1")

    assert sorted(await run.inputs()) == [
        f"suspended-{form}-{part}" for form in ("pickup-0-1", "review-0-1") for part in ("description", "schema")
    ]


def found_in_prefect(secret: str) -> list[tuple[str, str]]:
    """Where a text stands in Prefect's database: table and row."""
    return found(make_url(engine.engine().url).set(drivername="postgresql", database="prefect"), secret)


def found(url: URL, secret: str) -> list[tuple[str, str]]:
    """Where a text stands in a database, as it is or as JSON writes it, once or twice over."""
    once = json.dumps(secret)[1:-1]
    spellings = {secret, once, json.dumps(once)[1:-1]}
    hits = []
    with psycopg.connect(url.render_as_string(hide_password=False)) as connection:
        tables = connection.execute(
            "select table_name from information_schema.tables where table_schema = 'public' and table_type = 'BASE TABLE'"
        ).fetchall()
        for (table,) in tables:
            # strpos, since a pattern would read the backslashes of JSON as its own
            condition = " or ".join("strpos(t::text, %s) > 0" for _ in spellings)
            query = f'select t::text from "{table}" t where {condition} limit 3'
            hits += [(table, row[:400]) for (row,) in connection.execute(query, [*spellings]).fetchall()]  # type: ignore[arg-type]
    return hits
