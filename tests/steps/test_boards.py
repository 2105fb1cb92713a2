"""What the boards are read from, and which runs are to be tagged (ESC-04, ESC-05)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from aftersales.desk.bare import Bare
from aftersales.rules import boards as rules
from aftersales.rules import ladders
from aftersales.rules.boards import Group, Owed
from aftersales.store import boards
from aftersales.store.engine import transaction
from aftersales.words import Stage
from tasks import escalation, extensions
from tests.stories.conftest import Shop, Telling
from tests.stories.test_escalation import at_refund, many, time
from tests.stories.test_question import answered, ask_at_inspection, at_inspection

__all__ = ["time"]

A_MOMENT = timedelta(microseconds=1)


async def do(query: str, **values: Any) -> None:
    """Change rows, as nobody does through a step."""
    async with transaction() as connection:
        await connection.execute(text(query), values)


async def nearest(at: datetime, most: int = rules.MOST) -> list[Owed]:
    """What the boards list."""
    async with transaction() as connection:
        owners = {group.owner for group in await boards.groups(connection, at=at)}
        return await boards.nearest(connection, owners=owners, most=most)


async def counted(at: datetime) -> Counter[tuple[str, str, Any]]:
    """What the boards count: owner, stage, urgency."""
    async with transaction() as connection:
        groups = await boards.groups(connection, at=at)
    told: Counter[tuple[str, str, Any]] = Counter()
    for group in groups:
        told[group.owner, group.stage, urgency(group, at)] += group.count
    return told


def urgency(promise: Owed | Group, at: datetime) -> Any:
    """How pressing the rule says it is."""
    return ladders.urgency(due_at=promise.due_at, rungs=promise.rungs, rung_at=promise.rung_at, at=at)


# --- what is read ---------------------------------------------------------------------------------------------------


async def test_a_case_stands_there_once_with_its_run_and_its_next_rung(shop: Shop, time: Any):
    """The limit of the whole case runs too; while it presses nobody, the gate alone is shown."""
    telling = await at_refund(shop, time)

    (owed,) = await nearest(time("2025-03-17 16:00"))

    assert (owed.case_no, owed.stage, owed.owner, owed.run_id) == (
        telling.case_no,
        "refund",
        "aftersales",
        telling.run_id,
    )
    assert (owed.due_at, owed.rungs, owed.rung_at) == (time("2025-03-20 00:00"), 0, time("2025-03-19 09:00"))


async def test_esc09_the_limit_of_the_whole_case_stands_there_once_it_presses(shop: Shop, time: Any):
    await at_refund(shop, time)

    await escalation.look(at=time("2025-03-26 09:00") - timedelta(minutes=1))
    before = {owed.stage for owed in await nearest(time("2025-03-26 08:59"))}
    await escalation.look(at=time("2025-03-26 09:00"))

    assert before == {"refund"}
    assert {owed.stage for owed in await nearest(time("2025-03-26 09:00"))} == {"refund", "outer"}
    assert (await counted(time("2025-03-26 09:00")))["aftersales", "outer", ladders.Urgency.SOON] == 1


async def test_p07_what_was_late_before_a_question_stands_there_with_its_pause(shop: Shop, time: Any):
    telling = await at_inspection(shop, time)
    await escalation.look(at=time("2025-03-19 00:00"))
    time("2025-03-19 12:00")
    await ask_at_inspection(telling)
    time("2025-03-21 12:00")
    await answered(telling, "收到时就有")

    owed = next(owed for owed in await nearest(time("2025-03-21 12:00")) if owed.stage == "inspection")

    (pause,) = owed.pauses
    assert (pause.from_at, pause.until_at) == (time("2025-03-19 12:00"), time("2025-03-21 12:00"))


async def test_the_most_pressing_are_found_without_reading_all_that_is_open(shop: Shop, time: Any):
    telling = await at_refund(shop, time)
    await many(telling, 3000)
    await do("analyze")

    async with transaction() as connection:
        found = await boards.nearest(connection, owners=["aftersales", "logistics"], most=5)
        read = await connection.scalar(
            text(
                "select pg_stat_get_xact_tuples_returned('promises'::regclass)"
                " + pg_stat_get_xact_tuples_fetched('promises'::regclass)"
            )
        )

    assert len(found) == 5 and read < 50


async def test_what_is_done_and_what_is_rehearsed_stands_nowhere(shop: Shop, time: Any):
    telling = await at_refund(shop, time)
    await many(telling, 3)
    await do("insert into rehearsals (id, now_at) values ('X1', now())")
    await do("update cases set rehearsal = 'X1' where case_no = :no", no=f"{telling.case_no}-1")

    await telling.decide("refund", "A03", amount="188.00", reference="ALI-1")

    assert (await telling.case()).stage is Stage.CLOSED
    assert [owed.case_no for owed in await nearest(time("2025-03-17 16:00"))] == [f"{telling.case_no}-2"]
    assert sum((await counted(time("2025-03-17 16:00"))).values()) == 1


async def test_the_most_pressing_of_each_owner_come_first_and_nobodys_lateness_last(shop: Shop, time: Any):
    telling = await at_refund(shop, time)
    await many(telling, 6)
    no = telling.case_no
    now = time("2025-03-19 12:00")
    for place, change in {
        1: "due_at = due_at - interval '2 days'",
        2: "owner = 'logistics'",
        3: "owner = 'logistics', due_at = due_at - interval '1 hour'",
        4: "due_at = due_at - interval '9 days', rung_at = null",
    }.items():
        await do(f"update promises set {change} where case_no = :no and stage = 'refund'", no=f"{no}-{place}")

    listed = [(owed.owner, owed.case_no.removeprefix(no)) for owed in await nearest(now, most=3)]

    assert listed == [
        ("aftersales", "-1"),
        ("aftersales", ""),
        ("aftersales", "-5"),
        ("logistics", "-3"),
        ("logistics", "-2"),
    ]


async def test_what_is_counted_is_what_the_rule_says_of_each(shop: Shop, time: Any):
    """The database counts together what the rule cannot tell apart: here is every kind that there is."""
    telling = await at_refund(shop, time)
    await many(telling, 24)
    now = time("2025-03-20 00:00")
    kinds = [
        (rungs, rung_at, due)
        for rungs in (0, 1, 4)
        for rung_at in ("null", "now()")
        for due in (-A_MOMENT, timedelta(0), A_MOMENT)
    ]
    for place, (rungs, rung_at, due) in enumerate(kinds, 1):
        await do(
            f"update promises set rungs = :rungs, rung_at = {rung_at}, due_at = :due where case_no = :no",
            rungs=rungs,
            due=now + due,
            no=f"{telling.case_no}-{place}",
        )

    rows = await nearest(now)

    assert await counted(now) == Counter((each.owner, each.stage, urgency(each, now)) for each in rows)
    assert len({urgency(each, now) for each in rows}) == 3


async def test_a_look_after_which_nothing_was_written_counts_the_same(shop: Shop, time: Any):
    telling = await at_refund(shop, time)

    async def writes(connection: AsyncConnection) -> list[int]:
        return await boards.writes(connection)

    async def settled(query: str) -> list[int]:
        async with transaction() as connection:
            await connection.execute(text(query), {"no": telling.case_no})
            # else PostgreSQL tells it some moments later
            await connection.execute(text("select pg_stat_force_next_flush()"))
        async with transaction() as connection:
            return await writes(connection)

    first = await settled("select :no ::text")
    again = await settled("select count(*) from promises where case_no = :no")
    moved = await settled("update promises set due_at = due_at + interval '1 day' where case_no = :no")
    anew = await settled("insert into runs (run_id, case_no, generation) values (gen_random_uuid(), :no, 2)")

    assert first == again != moved != anew


# --- tags -----------------------------------------------------------------------------------------------------------


async def untagged() -> list[str]:
    """The cases whose run does not show yet how pressing they are."""
    async with transaction() as connection:
        return [case_no for case_no, _ in await boards.untagged(connection, limit=10)]


async def mark(telling: Telling) -> None:
    """As a round does when the run is tagged."""
    async with transaction() as connection:
        await boards.tagged(connection, await boards.owed_by(connection, telling.case_no))


async def test_what_a_rung_or_an_extension_changes_is_tagged_once(shop: Shop, time: Any):
    telling = await at_refund(shop, time)
    asked = {"nothing has happened": await untagged()}
    for what, wall in {
        "the reminder": "2025-03-19 09:00",
        "the breach": "2025-03-20 00:00",
        "the head": "2025-03-21 00:00",
    }.items():
        await escalation.look(at=time(wall))
        asked[what] = await untagged()
        await mark(telling)
        assert await untagged() == []

    await extensions.extend(telling.case_no, operator="C01", until="2025-03-25", reason="系统故障", key="k")
    asked["the extension"] = await untagged()
    await mark(telling)
    await extensions.extend(telling.case_no, operator="C01", until="2025-03-26", reason="系统故障", key="l")
    asked["one of what had not climbed"] = await untagged()

    assert {what: len(cases) for what, cases in asked.items()} == {
        "nothing has happened": 0,
        "the reminder": 1,
        "the breach": 1,
        "the head": 0,
        "the extension": 1,
        "one of what had not climbed": 0,
    }


@pytest.mark.parametrize("then", ["climbs on", "is extended"])
async def test_what_changes_while_it_is_tagged_is_tagged_again(shop: Shop, time: Any, then: str):
    telling = await at_refund(shop, time)
    await escalation.look(at=time("2025-03-19 09:00"))
    async with transaction() as connection:
        seen = await boards.owed_by(connection, telling.case_no)

    if then == "climbs on":
        await escalation.look(at=time("2025-03-20 00:00"))
    else:
        await extensions.extend(telling.case_no, operator="C01", until="2025-03-25", reason="系统故障", key="k")
    async with transaction() as connection:
        await boards.tagged(connection, seen)

    assert await untagged() == [telling.case_no]


async def test_what_is_done_is_not_tagged_any_more(shop: Shop, time: Any):
    telling = await at_refund(shop, time)
    await escalation.look(at=time("2025-03-20 00:00"))

    await telling.decide("refund", "A03", amount="188.00", reference="ALI-1")

    assert await untagged() == []


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The tags that legs give to runs, one after the other."""
    tags: list[list[str]] = []

    async def show(_: Any, *, name: str, tags: list[str], pages: Mapping[str, str]) -> None:
        shown.append(tags)

    shown = tags
    monkeypatch.setattr(Bare, "show", show)
    return tags


async def test_a_leg_tags_its_run_by_itself(shop: Shop, time: Any, shown: list[list[str]]):
    """Every tag in one call: the next gate, an extension and the end take away what was there before."""
    telling = await at_refund(shop, time)
    assert "超时" not in shown[-1] and "即将超时" not in shown[-1]
    await escalation.look(at=time("2025-03-19 09:00"))
    await telling.again()
    assert shown[-1][:2] == ["即将超时", "退货"]
    await escalation.look(at=time("2025-03-20 00:00"))
    await telling.again()
    assert shown[-1][:2] == ["超时", "退货"] and "即将超时" not in shown[-1]

    await extensions.extend(telling.case_no, operator="C01", until="2025-03-25", reason="系统故障", key="k")
    await telling.again()
    assert shown[-1][0] == "退货"
    await escalation.look(at=time("2025-03-26 00:00"))
    await telling.again()
    assert shown[-1][0] == "超时"
    await telling.decide("refund", "A03", amount="188.00", reference="ALI-1")

    assert shown[-1][:2] == ["退货", "已完成"] and not {"超时", "即将超时"} & set(shown[-1])


async def test_esc09_a_case_that_is_late_as_a_whole_stays_tagged_from_gate_to_gate(
    shop: Shop, time: Any, shown: list[list[str]]
):
    telling = await at_refund(shop, time)
    await do("update promises set due_at = :at, rung_at = :at where stage = 'outer'", at=time("2025-03-18 00:00"))
    await escalation.look(at=time("2025-03-18 00:00"))

    await telling.again()

    assert telling.at == "refund-0" and shown[-1][0] == "超时"
