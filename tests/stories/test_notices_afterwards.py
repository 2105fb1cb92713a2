"""
What becomes of a notice afterwards: whoever was away is back, what was done meanwhile, what reached nobody (P-11, P-12).

The history and the audit say the same of it, also of what was under way when it was withdrawn (AUD-04).
"""

from __future__ import annotations

import asyncio
from datetime import date, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text

from aftersales import clock
from aftersales.gateways import channels
from aftersales.gateways.channels import Channels
from aftersales.store import outbox
from aftersales.store.engine import transaction
from tasks import absences, escalation, sending
from tests.gateways.receivers import Receiver
from tests.stories.conftest import Shop
from tests.stories.notifying import (
    MINUTE,
    audited,
    breached,
    done,
    known,
    ledger,
    many,
    outbox_states,
    said,
    states,
    time_has_moved,
)
from tests.stories.test_escalation import at, at_refund, time  # noqa: F401
from tests.stories.test_question import answered, ask_at_inspection, at_inspection

# --- whoever stands in has no channel -------------------------------------------------------------------------------


async def waits_until() -> list[Any]:
    """Until when what was not sent yet waits."""
    async with transaction() as connection:
        return list(await connection.scalars(text("select next_at from outbox where state = 'queued' order by id")))


async def test_p11_a_stand_in_without_a_channel_is_passed_over(
    shop: Shop,
    time: Any,  # noqa: F811
    receiver: Receiver,
):
    await many(1, "staff:L02")
    await absences.away("L02", date(2025, 3, 13), date(2025, 3, 14), stand_in="W02")

    await sending.look(known(staff={"L01": [receiver.url("head")]}))

    assert len(receiver.texts("head")) == 1


async def test_p11_what_no_stand_in_could_be_told_waits_until_somebody_may_be_back(
    shop: Shop,
    time: Any,  # noqa: F811
    receiver: Receiver,
):
    await many(1, "staff:A01")
    await absences.away("A01", date(2025, 3, 13), date(2025, 3, 13), stand_in="L02")
    own = known(staff={"A01": [receiver.url("manager")]})

    await sending.look(own)
    assert receiver.received == [] and await waits_until() == [at("2025-03-14 00:00")]
    for wall in ("2025-03-13 21:00", "2025-03-14 00:00", "2025-03-14 08:00"):
        time(wall)
        await sending.look(own)

    assert len(receiver.texts("manager")) == 1 and await outbox_states() == {"sent": 1}


async def test_p11_what_no_stand_in_could_be_told_leaves_at_once_when_somebody_is_back(
    shop: Shop,
    time: Any,  # noqa: F811
    receiver: Receiver,
):
    await many(1, "staff:A01")
    await absences.away("A01", date(2025, 3, 13), date(2025, 3, 14), stand_in="L02")
    own = known(staff={"A01": [receiver.url("manager")]})
    await sending.look(own)

    assert "通知照常发给本人" in await absences.back("A01")
    await sending.look(own)

    assert len(receiver.texts("manager")) == 1


async def test_p11_what_no_stand_in_could_be_told_leaves_at_once_when_another_stands_in(
    shop: Shop,
    time: Any,  # noqa: F811
    receiver: Receiver,
):
    await many(1, "staff:A01")
    await absences.away("A01", date(2025, 3, 13), date(2025, 3, 14), stand_in="L02")
    other = known(staff={"C07": [receiver.url("other")]})
    await sending.look(other)

    await absences.away("A01", date(2025, 3, 13), date(2025, 3, 14), stand_in="C07")
    await sending.look(other)

    assert len(receiver.texts("other")) == 1


# --- what was under way, or in a digest, when it was withdrawn ------------------------------------------------------

DONE = "已办理，不用再通知"


async def under_way(known_: Channels, **when: datetime) -> asyncio.Task[Any]:
    """A look in the middle of a send."""
    looking = asyncio.create_task(sending.look(known_, **when))
    async with asyncio.timeout(20), transaction() as connection:
        begun = text("select count(*) from deliveries where state = 'sending'")
        while not await connection.scalar(begun):  # noqa: ASYNC110 - in a row
            await asyncio.sleep(0.02)
    return looking


@pytest.mark.parametrize("ends", [done, time_has_moved])
async def test_aud04_an_address_that_its_digest_reached_later_without_it_did_not_get_it(
    shop: Shop,
    time: Any,  # noqa: F811
    receiver: Receiver,
    ends: Any,
):
    telling = await breached(shop, time)
    await many(12)
    receiver.answers["/dead"] = (500, b"{}")
    two = known(departments={"aftersales": [receiver.url("a"), receiver.url("dead")]})
    await sending.look(two)

    await ends(telling)
    receiver.answers.clear()
    await sending.look(two, at=clock.now() + MINUTE)

    assert [telling.case_no in told for told in receiver.texts("dead")] == [True, False], "the first it refused"
    assert len(receiver.texts("a")) == 1
    assert await said(telling) == [f"已送达，其余地址不再发送：{DONE}"]
    assert await audited(telling, "refund-0.breach") == [("已送达", DONE), ("撤回", DONE)]


async def test_aud04_what_a_digest_may_have_told_is_told_so_also_after_it_was_sent_again(
    shop: Shop,
    time: Any,  # noqa: F811
    receiver: Receiver,
    monkeypatch: pytest.MonkeyPatch,
):
    telling = await breached(shop, time)
    await many(12)
    monkeypatch.setattr(channels, "_WAITS", "cto=5&rto=0.3&retry=0")
    receiver.delay = 1.0
    one = known(departments={"aftersales": [receiver.url("a")]})
    await sending.look(one)
    await done(telling)
    receiver.delay = 0.0

    time("2025-03-20 09:02")
    await sending.look(one)

    assert (await outbox_states())["sent"] == 13
    assert await said(telling) == [f"可能已送达，不再重试：{DONE}"]
    assert await audited(telling, "refund-0.breach") == [("可能已送达", DONE)]


@pytest.mark.parametrize("others", [0, 12])
@pytest.mark.parametrize(
    ("answer", "word", "outcome"), [(200, "已送达", "已送达"), (500, "没有送达", "撤回"), (404, "没有送达", "撤回")]
)
async def test_aud04_what_was_under_way_gets_a_last_word_also_in_a_digest_and_when_it_fails(
    shop: Shop,
    time: Any,  # noqa: F811
    receiver: Receiver,
    others: int,
    answer: int,
    word: str,
    outcome: str,
):
    telling = await breached(shop, time)
    await many(others)
    receiver.delay = 1.0
    receiver.answers["/a"] = (answer, b"{}")
    one = known(departments={"aftersales": [receiver.url("a")]})
    looking = await under_way(one)

    await done(telling)
    meanwhile = await audited(telling, "refund-0.breach")
    await looking

    assert meanwhile == [("可能已送达", DONE)]
    assert telling.case_no in receiver.texts("a")[0]
    assert await said(telling) == [f"可能已送达，不再重试：{DONE}", f"撤回时正在发送，{word}"]
    assert [found for found, _ in await audited(telling, "refund-0.breach")] == [outcome]
    receiver.answers.clear()
    await sending.look(one, at=clock.now() + MINUTE)
    assert [found for found, _ in await audited(telling, "refund-0.breach")] == [outcome], "it went on without it"


async def test_aud04_what_was_under_way_and_is_not_answered_may_still_have_arrived(
    shop: Shop,
    time: Any,  # noqa: F811
    receiver: Receiver,
    monkeypatch: pytest.MonkeyPatch,
):
    telling = await breached(shop, time)
    monkeypatch.setattr(channels, "_WAITS", "cto=5&rto=1.0&retry=0")
    receiver.delay = 2.0
    looking = await under_way(known(departments={"aftersales": [receiver.url("a")]}))

    await done(telling)
    await looking

    assert await said(telling) == [f"可能已送达，不再重试：{DONE}"]
    assert await audited(telling, "refund-0.breach") == [("可能已送达", DONE)]


@pytest.mark.parametrize("others", [0, 12])
async def test_p06_what_may_have_arrived_before_a_question_is_told_again_with_a_mark(
    shop: Shop,
    time: Any,  # noqa: F811
    receiver: Receiver,
    monkeypatch: pytest.MonkeyPatch,
    others: int,
):
    telling = await at_inspection(shop, time)
    time("2025-03-19 09:00")
    await escalation.look()
    await many(others, "department:warehouse")
    monkeypatch.setattr(channels, "_WAITS", "cto=5&rto=0.3&retry=0")
    receiver.delay = 1.0
    one = known(departments={"warehouse": [receiver.url("w")]})
    await sending.look(one)

    time("2025-03-19 09:00:30")
    await ask_at_inspection(telling)
    receiver.delay = 0.0
    time("2025-03-19 10:00")
    await sending.look(one)
    time("2025-03-19 11:00")
    await answered(telling, "x")
    await escalation.look()
    await sending.look(one)

    again = f"【可能重复】已超时：{telling.case_no}"
    assert [told.startswith(again) for told in receiver.texts("w")].count(True) == 1
    async with transaction() as connection:
        (data,) = await connection.scalars(text("select data from outbox where subject like '【可能重复】%'"))
    assert outbox.HAD not in data


# --- what reached nobody --------------------------------------------------------------------------------------------


async def test_p12_whoever_hears_that_a_digest_did_not_arrive_reads_nothing_that_is_done(
    shop: Shop,
    time: Any,  # noqa: F811
    receiver: Receiver,
):
    telling = await breached(shop, time)
    await many(12)
    receiver.answers["/dead"] = (500, b"{}")
    of_all = known(departments={"aftersales": [receiver.url("dead")]}, staff={"A01": [receiver.url("head")]})
    await sending.look(of_all)

    await done(telling)
    await sending.look(of_all, at=clock.now() + timedelta(hours=6))

    (told,) = receiver.texts("head")
    assert told.startswith("没有送达：12 项提醒") and "原文：1. 提醒 0\n" in told and "12. 提醒 11" in told
    assert telling.case_no not in told


async def test_p12_nobody_hears_of_a_digest_that_has_nothing_left_to_tell(
    shop: Shop,
    time: Any,  # noqa: F811
    receiver: Receiver,
):
    telling = await breached(shop, time)
    await many(12)
    receiver.answers["/dead"] = (500, b"{}")
    of_all = known(departments={"aftersales": [receiver.url("dead")]}, staff={"A01": [receiver.url("head")]})
    await sending.look(of_all)
    async with transaction() as connection:
        await connection.execute(text("update outbox set state = 'withdrawn' where entry like 'x%'"))
    receiver.delay = 1.0
    looking = await under_way(of_all, at=clock.now() + timedelta(hours=6))
    await done(telling)
    await looking

    assert receiver.texts("head") == []
    async with transaction() as connection:
        ended = await connection.scalars(text("select state from outbox where notice = 'DIGEST'"))
        assert list(ended) == ["withdrawn"], "and nothing was written for the next level"


async def test_p11_a_head_who_is_away_hears_of_it_by_whoever_stands_in(
    shop: Shop,
    time: Any,  # noqa: F811
    receiver: Receiver,
):
    """A01 has no address of their own, and nobody is above: but C07 can be told."""
    await many(1, "department:aftersales")
    await absences.away("A01", date(2025, 3, 13), date(2025, 3, 30), stand_in="C07")
    receiver.answers["/dead"] = (500, b"{}")
    of_all = known(departments={"aftersales": [receiver.url("dead")]}, staff={"C07": [receiver.url("other")]})
    await sending.look(of_all)

    await sending.look(of_all, at=clock.now() + timedelta(hours=6))

    assert ["没有送达：提醒 0" in told for told in receiver.texts("other")] == [True]


# --- several at once ------------------------------------------------------------------------------------------------


async def test_a_burst_behind_what_goes_one_after_the_other_is_sent_by_several(
    shop: Shop,
    time: Any,  # noqa: F811
    receiver: Receiver,
    monkeypatch: pytest.MonkeyPatch,
):
    """Whoever looked for another meanwhile, and found none that may leave yet, has ended."""
    telling = await at_refund(shop, time)
    async with transaction() as connection:
        await connection.execute(text("update outbox set state = 'withdrawn'"))
        for number in range(sending.AT_ONCE + 1):
            await outbox.put(
                connection, case_no=telling.case_no, entry=f"q{number}", notice="STAFF", recipient="staff:A01",
                language="zh", subject=f"{number}", body="", data={}, created_at=clock.now(), expires_at=None,
            )  # fmt: skip
    others = ("A02", "A03", "A04", "C07")
    send, sent, running, most = channels.Channels.send, 0, 0, 0

    async def counted(*args: Any, **more: Any) -> Any:
        nonlocal sent, running, most
        sent, running = sent + 1, running + 1
        most = max(most, running)
        if sent == sending.AT_ONCE + 1:
            assert most == 1, "one after the other"
            for person in others:
                await many(2, f"staff:{person}")
        await asyncio.sleep(0.2)
        try:
            return await send(*args, **more)
        finally:
            running -= 1

    monkeypatch.setattr(channels.Channels, "send", counted)
    await sending.look(known(staff={person: [receiver.url(person)] for person in ("A01", *others)}))

    assert len(receiver.received) == sending.AT_ONCE + 1 + 2 * len(others) and most > 2


# --- what is withdrawn after it has arrived, or may have ------------------------------------------------------------


@pytest.mark.parametrize("ends", [done, time_has_moved])
async def test_aud04_what_reached_one_of_two_addresses_is_told_as_sent(
    shop: Shop,
    time: Any,  # noqa: F811
    receiver: Receiver,
    ends: Any,
):
    telling = await breached(shop, time)
    receiver.answers["/dead"] = (500, b"{}")
    two = known(departments={"aftersales": [receiver.url("a"), receiver.url("dead")]})
    await sending.look(two)

    await ends(telling)
    await sending.look(two, at=clock.now() + MINUTE)

    assert len(receiver.received) == 2 and await states(telling, "refund-0.breach") == [
        ("department:aftersales", "sent")
    ]
    assert await said(telling) == ["已送达，其余地址不再发送：已办理，不用再通知"]
    assert await audited(telling, "refund-0.breach") == [
        ("已送达", "已办理，不用再通知"),
        ("撤回", "已办理，不用再通知"),
    ]


async def test_aud04_what_reached_nobody_is_told_as_not_sent(
    shop: Shop,
    time: Any,  # noqa: F811
    receiver: Receiver,
):
    telling = await breached(shop, time)
    receiver.answers["/dead"] = (500, b"{}")
    await sending.look(known(departments={"aftersales": [receiver.url("dead")]}))

    await done(telling)

    assert await said(telling) == ["没有发送：已办理，不用再通知"]
    assert await audited(telling, "refund-0.breach") == [("撤回", "已办理，不用再通知")]


async def test_aud04_what_was_under_way_may_have_arrived_and_then_has(
    shop: Shop,
    time: Any,  # noqa: F811
    receiver: Receiver,
):
    telling = await breached(shop, time)
    receiver.delay = 1.0
    under_way = asyncio.create_task(sending.look(known(departments={"aftersales": [receiver.url("a")]})))
    async with asyncio.timeout(20):
        while await ledger(telling, "refund-0.breach") != [("json", "sending", 1, False)]:  # noqa: ASYNC110 - in a row
            await asyncio.sleep(0.02)

    await done(telling)
    meanwhile = await said(telling), await audited(telling, "refund-0.breach")
    await under_way

    assert meanwhile == (
        ["可能已送达，不再重试：已办理，不用再通知"],
        [("可能已送达", "已办理，不用再通知")],
    )
    assert (await said(telling))[-1] == "撤回时正在发送，已送达"
    assert [outcome for outcome, _ in await audited(telling, "refund-0.breach")] == ["已送达"]


@pytest.mark.parametrize(
    ("state", "words", "outcome"),
    [
        ("sent", "已送达，其余地址不再发送", "已送达"),
        ("sending", "可能已送达，不再重试", "可能已送达"),
        ("failed", "没有发送", "撤回"),
    ],
)
async def test_aud04_what_its_digest_has_told_is_told_as_sent(
    shop: Shop,
    time: Any,  # noqa: F811
    state: str,
    words: str,
    outcome: str,
):
    telling = await breached(shop, time)
    await many(12)
    await sending._digest(clock.now())
    async with transaction() as connection:
        digest_id = await connection.scalar(text("select id from outbox where notice = 'DIGEST'"))
        await outbox.keep(
            connection, digest_id, "mark", channel="json", told="department:aftersales", state=state, tries=1,
            begun_at=clock.now(),
        )  # fmt: skip

    await done(telling)

    assert await said(telling) == [f"{words}：已办理，不用再通知"]
    assert [found for found, _ in await audited(telling, "refund-0.breach")] == [outcome]
