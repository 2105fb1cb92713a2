"""
Force majeure for all cases of a region and a period in one command (GEN-08, AMB-51, NTC-11, P-13).

The clock stands on Thursday 13 March 2025, 10:00, until a story puts it forward.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime
from typing import Any

import pytest
from sqlalchemy import text

from aftersales import clock
from aftersales.rules import clocks
from aftersales.store.engine import transaction
from aftersales.terms import load
from aftersales.words import Event, Stage, Unable
from tasks import audits, extensions, lapses
from tasks.extensions import Regional
from tests.steps.conftest import aftersales, home
from tests.stories.conftest import Shop, Telling
from tests.stories.on_the_way import promise

__all__ = ["aftersales", "home"]

HOUSE = load().house
Time = Callable[[str], datetime]
STORM: dict[str, Any] = {
    "regions": ["浙江"],
    "since": date(2025, 3, 14),
    "until": date(2025, 3, 16),
    "to": date(2025, 3, 25),
    "reason": "台风，快递停运",
}


def at(wall: str) -> datetime:
    """A time of the house."""
    return clocks.house_time(datetime.fromisoformat(wall), house=HOUSE)


@pytest.fixture(autouse=True)
def time(monkeypatch: pytest.MonkeyPatch) -> Time:
    """Put the clock to a time of the house."""

    def put(wall: str) -> datetime:
        monkeypatch.setattr(clock, "now", lambda case=None: at(wall))
        return at(wall)

    put("2025-03-13 10:00")
    return put


async def a_case(shop: Shop, region: str = "浙江省 杭州市", **application: Any) -> Telling:
    """An application that waits for its review until Friday 14 March, 10:00."""
    order_no = await shop.order(f"D{region}{len(application)}", region=region)
    return await shop.tell(shop.application(order_no, **application))


async def storm(*, operator: str = "C02", dry_run: bool = False, **changes: Any) -> Regional:
    """A team lead extends what the storm has touched."""
    force = extensions.force_majeure(**{**STORM, **changes})
    return await extensions.extend_region(force, operator=operator, dry_run=dry_run)


def numbers(rows: Any) -> list[str]:
    return [each.case_no for each in rows]


async def extended(telling: Telling) -> list[Any]:
    return [entry for entry in (await telling.journal()).values() if entry.kind == "extension"]


async def test_gen08_every_case_of_the_region_gets_the_new_date_and_its_customer_is_told(shop: Shop):
    here, city = await a_case(shop), await a_case(shop, "浙江 宁波")
    elsewhere = await a_case(shop, "广东省 广州市")

    told = await storm()

    assert numbers(told.extended) == [here.case_no, city.case_no]
    assert [(each.was, each.due) for each in told.extended] == [("3月14日（周五）10:00", "3月25日（周二）24:00")] * 2
    assert (told.left_out, told.failed) == ([], [])
    for telling in (here, city):
        moved = await promise(telling, "review")
        assert moved.due_at == at("2025-03-26 00:00")
        assert moved.trace["original_due_at"].startswith("2025-03-14T10:00"), (
            "what was promised first stays in the audit"
        )
        (written,) = await extended(telling)
        assert (written.actor, written.rule) == ("C02", "GEN-08")
        assert (written.data["was"], written.data["reason"]) == ("3月14日（周五）10:00", "台风，快递停运")
        (notice,) = [row for row in await telling.rows("outbox") if row.notice == "NTC-11"]
        assert notice.recipient == "customer" and "台风，快递停运" in notice.body and "3月25日" in notice.body
        assert (await audits.verify(case_no=telling.case_no)).findings == []
    assert await extended(elsewhere) == []


async def test_a_preview_writes_nothing_and_says_the_same(shop: Shop):
    telling = await a_case(shop)
    before = [await telling.rows(table) for table in ("promises", "outbox", "journal")]

    seen = await storm(dry_run=True)

    assert [await telling.rows(table) for table in ("promises", "outbox", "journal")] == before
    assert seen.extended == (await storm()).extended


@pytest.mark.parametrize(
    ("since", "until", "why"),
    [
        pytest.param(date(2025, 3, 14), date(2025, 3, 14), "", id="due on its last day"),
        pytest.param(date(2025, 3, 15), date(2025, 3, 16), "之前已到期", id="due on the day before it"),
        pytest.param(date(2025, 3, 11), date(2025, 3, 13), "", id="began on its last day"),
        pytest.param(date(2025, 3, 11), date(2025, 3, 12), "在这段时间之后才开始", id="began on the day after it"),
    ],
)
async def test_gen08_a_window_that_ran_on_one_of_the_days_was_touched(shop: Shop, since: date, until: date, why: str):
    """The window of the review runs from Thursday 13 to Friday 14 March, 10:00."""
    telling = await a_case(shop)

    told = await storm(since=since, until=until)

    assert numbers(told.extended if not why else told.left_out) == [telling.case_no]
    assert all(why in each.why for each in told.left_out)


async def test_gen08_a_due_time_of_midnight_belongs_to_the_day_that_it_ends(shop: Shop, time: Time):
    """Picked up by the end of Tuesday 18 March: a storm from Wednesday on has not touched it, one from Tuesday has."""
    telling = await a_case(shop)
    await telling.decide("review", "C08", decision="approve")
    time("2025-03-20 10:00")

    after = await storm(since=date(2025, 3, 19), until=date(2025, 3, 20), dry_run=True)
    on_it = await storm(since=date(2025, 3, 18), until=date(2025, 3, 20), dry_run=True)

    assert "之前已到期：3月18日（周二）24:00" in after.left_out[0].why
    assert numbers(on_it.extended) == [telling.case_no]


async def test_gen14_a_second_call_moves_nothing_twice(shop: Shop):
    telling = await a_case(shop)
    await storm()

    again = await storm()

    assert again.extended == [] and "已按同一原因延到这一天" in again.left_out[0].why
    assert len(await extended(telling)) == 1
    assert len([row for row in await telling.rows("outbox") if row.notice == "NTC-11"]) == 1


async def test_gen14_two_calls_at_once_move_nothing_twice(shop: Shop):
    import asyncio

    telling = await a_case(shop)

    both = await asyncio.gather(storm(), storm())

    assert sorted(len(told.extended) for told in both) == [0, 1]
    assert len(await extended(telling)) == 1


async def test_amb51_a_later_date_may_follow(shop: Shop):
    telling = await a_case(shop)
    await storm()

    told = await storm(to=date(2025, 3, 28), reason="道路仍未恢复")

    assert numbers(told.extended) == [telling.case_no]
    assert told.extended[0].was == "3月25日（周二）24:00"
    moved = await promise(telling, "review")
    assert [each["until"] for each in moved.trace["extensions"]] == ["2025-03-25", "2025-03-28"]


async def test_what_is_due_later_anyway_keeps_its_date(shop: Shop):
    telling = await a_case(shop)
    await extensions.extend(telling.case_no, operator="C01", until="2025-03-30", reason="系统故障", key="k")

    told = await storm()

    assert numbers(told.left_out) == [telling.case_no]
    assert "不晚于现在的截止时间 3月30日（周日）24:00" in told.left_out[0].why


async def test_only_the_stages_that_are_named(shop: Shop):
    review, pickup = await a_case(shop), await a_case(shop, "浙江 宁波")
    await pickup.decide("review", "C08", decision="approve")

    told = await storm(stages=[Stage.PICKUP])

    assert numbers(told.extended) == [pickup.case_no]
    assert [(each.case_no, each.why) for each in told.left_out] == [(review.case_no, "现在待审核，不在所选环节")]


async def test_the_outer_limit_moves_along(shop: Shop, time: Time):
    telling = await a_case(shop)
    await telling.decide("review", "C08", decision="approve")
    await telling.decide("pickup", "L02", carrier="顺丰", tracking_no="SF1001")
    await telling.signal(Event.PARCEL_RECEIVED)

    await storm(to=date(2025, 4, 30))

    assert (await promise(telling, "outer")).due_at == at("2025-05-01 00:00")


async def test_amb52_a_customer_in_the_storm_has_more_time_to_send_the_goods(shop: Shop, time: Time):
    telling = await a_case(shop, shipping="self")
    await telling.decide("review", "C08", decision="approve")

    await storm()

    moved = await promise(telling, "pickup")
    assert moved.due_at == at("2025-03-26 00:00") and moved.lapses_at > moved.due_at
    assert (await lapses.look(at=time("2025-03-25 23:00"))).is_empty


async def test_p13_one_bad_case_is_told_and_stops_nothing(shop: Shop):
    bad, good = await a_case(shop), await a_case(shop, "浙江 宁波")
    async with transaction() as connection:
        await connection.execute(text("update promises set \"limit\" = '?' where case_no = :c"), {"c": bad.case_no})

    told = await storm()

    assert numbers(told.extended) == [good.case_no] and numbers(told.failed) == [bad.case_no]
    assert await extended(bad) == []


async def test_p13_a_call_that_died_on_the_way_is_made_up_for_by_the_next(shop: Shop, monkeypatch: pytest.MonkeyPatch):
    first, second = await a_case(shop), await a_case(shop, "浙江 宁波")
    tell = extensions.notices.tell_customer

    async def dies_at_the_second(connection: Any, leg: Any, *what: Any) -> None:
        if leg.case.case_no == second.case_no:
            raise SystemExit
        await tell(connection, leg, *what)

    with monkeypatch.context() as patch:
        patch.setattr(extensions.notices, "tell_customer", dies_at_the_second)
        with pytest.raises(SystemExit):
            await storm()
    assert await extended(second) == [], "no date without its notice"

    told = await storm()

    assert numbers(told.extended) == [second.case_no]
    assert [len(await extended(each)) for each in (first, second)] == [1, 1]


async def test_what_moved_on_since_it_was_read_is_told_and_not_extended(shop: Shop, monkeypatch: pytest.MonkeyPatch):
    telling = await a_case(shop)
    read = extensions.regions.placed

    async def and_approved(connection: Any, *what: Any, **more: Any) -> Any:
        rows = await read(connection, *what, **more)
        await telling.decide("review", "C08", decision="approve")
        return rows

    monkeypatch.setattr(extensions.regions, "placed", and_approved)
    told = await storm()

    assert "刚刚办到了下一环节（待取件）" in told.failed[0].why
    assert await extended(telling) == []


async def test_amb51_whoever_may_not_extends_nothing_and_sees_nothing(shop: Shop):
    telling = await a_case(shop)

    for dry_run in (True, False):
        with pytest.raises(Unable, match="C07 王小明 没有“延期”权限"):
            await storm(operator="C07", dry_run=dry_run)

    assert await extended(telling) == []


async def test_what_has_ended_what_is_rehearsed_and_what_names_no_region_is_not_meant(shop: Shop):
    ended, nowhere = await a_case(shop), await a_case(shop, "")
    open_one = await a_case(shop, "浙江 宁波")
    await ended.signal(Event.CASE_CANCELLED, reason="不退了")

    told = await storm()

    assert numbers(told.extended) == [open_one.case_no] and told.left_out == []
    assert told.nowhere == 1 and await extended(nowhere) == []


async def test_a_region_that_no_order_names_is_one_sentence_with_those_there_are(shop: Shop):
    await a_case(shop)

    with pytest.raises(Unable, match=r"没有未结案的售后单在“杭州”。.*现有：浙江省 杭州市（1 张）。"):
        await storm(regions=["杭州"])


# --- the command ----------------------------------------------------------------------------------------------------

ARGS = ("extend", "--region", "浙江", "--from", "2025-03-14", "--to", "2025-03-16", "--until", "2025-03-25")
BY = ("--reason", "台风，快递停运", "--as", "C02")


async def test_the_command_previews_then_extends_and_says_who_is_left_out(shop: Shop, aftersales: Any):
    here, late = await a_case(shop), await a_case(shop, "浙江 宁波")
    await extensions.extend(late.case_no, operator="C01", until="2025-03-30", reason="系统故障", key="k")
    await a_case(shop, "")

    preview = await aftersales(*ARGS, *BY, "--dry-run")
    done = await aftersales(*ARGS, *BY)
    again = await aftersales(*ARGS, *BY)

    assert (preview.code, done.code, again.code) == (0, 0, 0)
    for said in (here.case_no, "浙江省 杭州市", "3月14日（周五）10:00", "3月25日（周二）24:00", late.case_no):
        assert said in preview.out and said in done.out
    assert "将延期 1 张，未包括 1 张。" in preview.out and "另有 1 张未结案的售后单，订单没有写地区" in preview.out
    assert "已延期 1 张，未包括 1 张，客户已列入通知。" in done.out and "下次打开时更新" in done.err
    assert "已延期 0 张，未包括 2 张。" in again.out
    assert len(await extended(here)) == 1


async def test_the_command_ends_with_1_when_a_case_could_not_be_extended(shop: Shop, aftersales: Any):
    bad = await a_case(shop)
    good = await a_case(shop, "浙江 宁波")
    async with transaction() as connection:
        await connection.execute(text("update promises set \"limit\" = '?' where case_no = :c"), {"c": bad.case_no})

    left = await aftersales(*ARGS, *BY)

    assert left.code == 1 and f"有 1 张没有延成，例如 {bad.case_no}" in left.err
    assert len(await extended(good)) == 1
