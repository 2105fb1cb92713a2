"""
A question to the customer without a rejection: the window is paused, and what was left is left (NUM-223, P-06 to P-08).

Thursday 13 March 2025 is a working day; the weekend is the 15th and 16th.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Iterator
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from aftersales import clock
from aftersales.gateways import channels
from aftersales.rules import clocks
from aftersales.settings import Settings
from aftersales.store.engine import transaction
from aftersales.terms import load
from aftersales.words import Event, Stage, Unable
from tasks import audits, desks, escalation, extensions, lapses, outside, questions, records, sending
from tests.gateways.receivers import receiving
from tests.stories.conftest import Shop, Telling
from tests.stories.on_the_way import promise

HOUSE = load().house
A_MOMENT = timedelta(minutes=1)
Time = Callable[[str], datetime]
Send = Callable[[], Awaitable[list[str]]]


def at(wall: str) -> datetime:
    """A time of the house."""
    return clocks.house_time(datetime.fromisoformat(wall), house=HOUSE)


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> Time:
    """Put the clock to a time of the house."""

    def put(wall: str) -> datetime:
        monkeypatch.setattr(clock, "now", lambda case=None: at(wall))
        return at(wall)

    put("2025-03-13 10:00")
    return put


async def at_review(shop: Shop, **application: Any) -> Telling:
    """An application of Thursday 10:00, to be reviewed by Friday 10:00."""
    await shop.order()
    return await shop.tell(shop.application(**application))


async def at_inspection(shop: Shop, time: Time) -> Telling:
    """A parcel of Monday 17 March, to be inspected by the end of Tuesday."""
    telling = await at_review(shop)
    await telling.decide("review", "C08", decision="approve")
    await telling.decide("pickup", "L02", carrier="顺丰", tracking_no="SF1001")
    time("2025-03-17 09:00")
    return await telling.signal(Event.PARCEL_RECEIVED)


async def ask(telling: Telling, question: str = "请补拍吊牌照片") -> Telling:
    """The reviewer asks the customer."""
    return await telling.decide("review", "C08", decision="ask", question=question)


async def ask_at_inspection(telling: Telling) -> Telling:
    return await telling.decide("inspection", "W03", result="ask", question="划痕是收到时就有的吗")


async def passed(telling: Telling) -> Telling:
    item = {"line": "第1行", "quantity": "1", "grade": "sellable", "cause": "no_reason"}
    return await telling.decide("inspection", "W03", items=[item], result="pass")


async def answered(telling: Telling, answer: str = "照片已发") -> Telling:
    return await telling.decide("question", "C07", answer=answer)


async def notices(telling: Telling, *wanted: str) -> list[tuple[str, str, str]]:
    """Notice, recipient and state of what was written, oldest first."""
    rows = await telling.rows("outbox", "*", "order by id")
    return [(row.notice, row.recipient, row.state) for row in rows if row.notice in wanted]


async def body(telling: Telling, notice: str) -> str:
    return [row.body for row in await telling.rows("outbox", "*", "order by id") if row.notice == notice][-1]


BY_TIME = ("ESC-05", "NTC-10", "NTC-15")


@pytest.fixture
def send() -> Iterator[Send]:
    """Send what is due now; answers what arrived this time: to whom, and its subject up to the case's number."""
    house = load()
    with receiving() as receiver:
        document = {
            "departments": {code: [receiver.url(code)] for code in HOUSE.departments},
            "staff": {person: [receiver.url(person)] for person in house.staff()},
        }
        known = channels.load(
            Settings(channels=json.dumps(document), home=Path("/nonexistent")), house=HOUSE, staff=house.staff()
        )

        async def sent() -> list[str]:
            before = len(receiver.received)
            await sending.look(known)
            return sorted(
                f"{each.path.strip('/')} {each.text.partition('：')[0]}" for each in receiver.received[before:]
            )

        yield sent


# --- the time that is left ------------------------------------------------------------------------------------------


async def test_p08_a_review_goes_on_with_the_hours_it_had_left(shop: Shop, time: Time):
    """Asked after 20 of 24 hours, answered three days later: 4 hours are left, not 24 and not none."""
    telling = await at_review(shop)
    time("2025-03-14 06:00")
    await ask(telling)
    assert (telling.at, (await telling.case()).stage) == ("question-0", Stage.QUESTION)

    time("2025-03-17 09:00")
    await answered(telling)

    assert telling.at == "review-1"
    given = await promise(telling, "review")
    assert given.due_at == at("2025-03-17 13:00")
    assert given.started_at == at("2025-03-13 10:00"), "no new window: the one from the application"
    told = clocks.explain(given.trace)
    assert "暂停：3月14日（周五）06:00 至 3月17日（周一）09:00，等待客户答复：请补拍吊牌照片" in told
    assert "原截止：3月14日（周五）10:00 前" in told
    assert (await telling.journal())["review-1.asked"].due_at == at("2025-03-17 13:00")


@pytest.mark.parametrize(
    ("asked", "answer", "due"),
    [
        pytest.param("2025-03-18 11:00", "2025-03-18 23:59", "2025-03-19 00:00", id="no day ended: the same evening"),
        pytest.param("2025-03-18 11:00", "2025-03-19 00:00", "2025-03-20 00:00", id="one day ended: one day more"),
        pytest.param("2025-03-18 11:00", "2025-03-21 17:00", "2025-03-22 00:00", id="three days"),
        pytest.param("2025-03-18 11:00", "2025-03-22 12:00", "2025-03-25 00:00", id="answered on a Saturday: Monday"),
    ],
)
async def test_p06_an_inspection_goes_on_with_the_working_day_it_had_left(
    shop: Shop, time: Time, asked: str, answer: str, due: str
):
    telling = await at_inspection(shop, time)
    time(asked)
    await ask_at_inspection(telling)
    assert telling.at == "question-0"

    time(answer)
    await answered(telling, "收到时就有")

    assert telling.at == "inspection-1"
    assert (await promise(telling, "inspection")).due_at == at(due)
    await passed(telling)
    assert telling.at == "refund-0", "what was asked in between is no second inspection"
    assert (await promise(telling, "refund")).started_at == at(answer)
    assert (await telling.journal())["bill-0"].data["total"] == "188.00"


async def test_a_second_question_pauses_once_more(shop: Shop, time: Time):
    telling = await at_review(shop)
    time("2025-03-13 12:00")
    await ask(telling)
    time("2025-03-14 12:00")
    await answered(telling)
    time("2025-03-14 13:00")
    await ask(telling, "还要外箱的照片")
    time("2025-03-14 23:00")
    await answered(telling)

    given = await promise(telling, "review")
    assert telling.at == "review-2"
    assert given.due_at == at("2025-03-14 10:00") + timedelta(hours=24 + 10)
    assert [each["reason"] for each in given.trace["pauses"]] == [
        "等待客户答复：请补拍吊牌照片",
        "等待客户答复：还要外箱的照片",
    ]
    assert [to for _, to, _ in await notices(telling, "NTC-17")] == ["customer", "customer"]


async def test_gen08_what_was_extended_before_the_question_stays_extended(shop: Shop, time: Time):
    telling = await at_review(shop)
    await extensions.extend(telling.case_no, operator="C01", until="2025-03-15", reason="系统故障", key="k")
    time("2025-03-15 12:00")
    await ask(telling)
    time("2025-03-20 12:00")
    await answered(telling)

    given = await promise(telling, "review")
    assert given.due_at == at("2025-03-21 00:00"), "half a day was left"
    (extension,) = given.trace["extensions"]
    assert extension == {"until": "2025-03-15", "reason": "系统故障", "at": extension["at"]}
    assert given.trace["original_due_at"].startswith("2025-03-14T10:00")


async def test_ret04_a_rejection_is_no_pause(shop: Shop, time: Time):
    """After a question that was answered, a rejection and its correction open 24 new hours."""
    telling = await at_review(shop)
    time("2025-03-14 06:00")
    await ask(telling)
    time("2025-03-15 06:00")
    await answered(telling)
    await telling.decide("review", "C08", decision="reject", reason="照片不清", missing=["照片"])
    time("2025-03-16 08:00")
    await telling.decide("correction", "C07", decision="resubmit")

    given = await promise(telling, "review")
    assert telling.at == "review-2"
    assert (given.due_at, given.trace["pauses"]) == (at("2025-03-17 08:00"), [])


# --- who is told ----------------------------------------------------------------------------------------------------


async def test_the_customer_is_told_what_is_asked_and_until_when(shop: Shop, time: Time):
    telling = await ask(await at_review(shop))
    for _ in range(2):
        await telling.again()

    assert await notices(telling, "NTC-17") == [("NTC-17", "customer", "queued")]
    told = await body(telling, "NTC-17")
    assert "请补拍吊牌照片" in told and "3月20日（周四）24:00 前" in told


async def test_gen14_a_telling_that_died_before_the_customer_was_told_is_made_up_for(
    shop: Shop, time: Time, monkeypatch: pytest.MonkeyPatch
):
    """The pause counts from the question, whenever a worker comes to it; the customer is told once."""
    telling = await at_review(shop)
    time("2025-03-14 06:00")
    with monkeypatch.context() as patch:
        patch.setattr(questions.notices, "tell_customer", dies)
        with pytest.raises(SystemExit):
            await ask(telling)
    time("2025-03-14 12:00")
    for _ in range(2):
        await telling.again()
    time("2025-03-17 06:00")
    await answered(telling)

    assert await notices(telling, "NTC-17") == [("NTC-17", "customer", "withdrawn")]
    assert (await promise(telling, "review")).due_at == at("2025-03-17 10:00")


async def dies(*_: Any) -> None:
    raise SystemExit


async def test_num223_reminded_once_after_three_days(shop: Shop, time: Time):
    telling = await ask(await at_review(shop))

    assert (await lapses.look(at=time("2025-03-17 00:00") - A_MOMENT)).is_empty
    for _ in range(2):
        told = await lapses.look(at=time("2025-03-17 00:00"))
        assert told.ended == [] and told.failed == []
    assert (await lapses.look(at=time("2025-03-21 00:00") - A_MOMENT)).is_empty

    assert await notices(telling, "NTC-18") == [("NTC-18", "customer", "queued")]
    assert "请补拍吊牌照片" in await body(telling, "NTC-18") and "3月20日（周四）24:00" in await body(telling, "NTC-18")


async def test_num223_a_review_without_answer_is_closed_after_seven_days(shop: Shop, time: Time):
    telling = await ask(await at_review(shop))
    await lapses.look(at=time("2025-03-17 00:00"))

    told = await lapses.look(at=time("2025-03-21 00:00"))
    assert (told.ended, told.unanswered) == ([telling.case_no], [])
    await telling.again()

    assert (await telling.case()).stage is Stage.CANCELLED
    assert "未在期限内收到您的答复" in await body(telling, "NTC-09")
    assert desks.reader(load()).told((await telling.journal())["question-0"]).result == "客户未答复，自动结案"
    assert not await telling.rows("units", "*", "and state = 'held'")
    assert {state for _, _, state in await notices(telling, "NTC-17", "NTC-18")} == {"withdrawn"}
    assert await notices(telling, *BY_TIME) == [], "P-07: closed from within the pause it was never overdue"


async def test_ret07_goods_that_are_here_are_inspected_without_the_answer(shop: Shop, time: Time):
    """Nothing can be closed over goods that have arrived: the department goes on, with the time that was left."""
    telling = await at_inspection(shop, time)
    await ask_at_inspection(telling)
    await lapses.look(at=time("2025-03-21 00:00"))

    told = await lapses.look(at=time("2025-03-25 00:00"))
    assert (told.ended, told.unanswered) == ([], [telling.case_no])
    for _ in range(2):
        await telling.again()

    assert telling.at == "inspection-1" and not (await telling.case()).stage.is_over
    assert (await promise(telling, "inspection")).due_at == at("2025-03-26 00:00")
    assert await notices(telling, "NTC-19", "DESK") == [
        ("NTC-19", "customer", "queued"),
        ("DESK", "department:warehouse", "queued"),
    ]
    assert (await passed(telling)).at == "refund-0"


async def test_ret06_a_parcel_that_came_early_closes_no_review(shop: Shop, time: Time):
    telling = await ask(await at_review(shop, shipping="self"))
    await outside.signal(telling.case_no, Event.PARCEL_RECEIVED, actor="scanner", data={"tracking_no": "SF1001"})
    await lapses.look(at=time("2025-03-17 00:00"))

    told = await lapses.look(at=time("2025-03-21 00:00"))
    await telling.again()

    assert told.unanswered == [telling.case_no] and telling.at == "review-1"


async def test_esc04_the_ladder_is_silent_in_the_pause_and_climbs_after_it(shop: Shop, time: Time):
    """P-07: no notice at any moment of the pause, however often somebody looks."""
    telling = await at_review(shop)
    await escalation.look(at=time("2025-03-14 05:12"))
    assert await notices(telling, *BY_TIME) == [("ESC-05", "department:customer_service", "queued")]
    time("2025-03-14 06:00")
    await ask(telling)
    assert await notices(telling, *BY_TIME) == [("ESC-05", "department:customer_service", "withdrawn")]

    for day in range(14, 20):
        assert (await escalation.look(at=time(f"2025-03-{day} 23:59"))).told == []
    time("2025-03-20 10:00")
    await answered(telling)

    assert (await promise(telling, "review")).due_at == at("2025-03-20 14:00")
    await escalation.look(at=time("2025-03-20 10:01"))
    assert (await escalation.look(at=time("2025-03-20 14:00") - A_MOMENT)).told == []
    await escalation.look(at=time("2025-03-20 14:00"))
    await escalation.look(at=time("2025-03-22 00:00"))
    assert (await notices(telling, *BY_TIME))[1:] == [
        ("ESC-05", "department:customer_service", "withdrawn"),
        ("NTC-10", "department:customer_service", "queued"),
        ("NTC-15", "staff:C01", "queued"),
    ]


async def test_gen14_what_was_late_before_the_question_is_told_no_second_time(shop: Shop, time: Time, send: Send):
    """Late on Friday 10:00, asked at 12:00, answered on Wednesday: the head's working day begins to count then."""
    telling = await at_review(shop)
    await escalation.look(at=time("2025-03-14 10:00"))
    assert await send() == ["customer_service 已超时"]
    time("2025-03-14 12:00")
    await ask(telling)
    for day in (15, 17, 18):
        assert (await escalation.look(at=time(f"2025-03-{day} 12:00"))).told == []
    time("2025-03-19 12:00")
    await answered(telling)

    assert (await promise(telling, "review")).due_at == at("2025-03-14 10:00"), "a question makes nothing early"
    assert (await escalation.look(at=time("2025-03-20 00:00") - A_MOMENT)).told == []
    await escalation.look(at=time("2025-03-20 00:00"))
    assert [(notice, to) for notice, to, _ in await notices(telling, *BY_TIME)] == [
        ("ESC-05", "department:customer_service"),
        ("NTC-10", "department:customer_service"),
        ("NTC-15", "staff:C01"),
    ]


async def test_p07_a_breach_that_the_question_withdrew_unsent_is_told_once_after_the_answer(
    shop: Shop, time: Time, send: Send
):
    """It passed at night and waits for 08:00; asked at 07:30, answered the next day, asked and answered once more."""
    telling = await at_inspection(shop, time)
    await escalation.look(at=time("2025-03-19 00:01"))
    told = [await send()]
    time("2025-03-19 07:30")
    await ask_at_inspection(telling)
    time("2025-03-19 08:00")
    told.append(await send())
    time("2025-03-20 07:00")
    await answered(telling)
    await telling.again()
    told.append(await send())
    time("2025-03-20 07:30")
    await ask_at_inspection(telling)
    time("2025-03-21 11:00")
    await answered(telling)
    await telling.again()
    assert told == [[], [], []], "at night, and while the customer is asked"

    assert await send() == ["warehouse 已超时"]
    for _ in range(2):
        await escalation.look(at=time("2025-03-21 12:00"))
        assert await send() == []
    assert [entry for entry, found in (await telling.journal()).items() if found.kind == "rung"] == [
        "inspection-0.reminder",
        "inspection-0.breach",
        "inspection-1.breach",
        "inspection-2.breach",
    ]
    given = await promise(telling, "inspection")
    assert await escalation.look(at=time(f"{clocks.in_house(given.rung_at, house=HOUSE):%Y-%m-%d %H:%M}"))
    time("2025-03-25 12:00")
    assert await send() == ["W01 超时升级"], "its head is, next"


@pytest.mark.parametrize(
    ("is_digested", "begun", "again"),
    [
        pytest.param(False, "2025-03-19 07:00", [], id="at one of two addresses, the other is to be tried again"),
        pytest.param(True, "2025-03-19 07:00", [], id="in a digest, at one of two addresses"),
        pytest.param(True, "2025-03-19 07:40", ["warehouse 已超时"], id="the digest was sent later, without it"),
    ],
)
async def test_p11_what_had_arrived_before_a_question_withdrew_it_is_told_no_second_time(
    shop: Shop, time: Time, send: Send, is_digested: bool, begun: str, again: list[str]
):
    telling = await at_inspection(shop, time)
    await escalation.look(at=time("2025-03-19 00:01"))
    (breach,) = await telling.rows("outbox", "id", "and notice = 'NTC-10'")
    async with transaction() as connection:
        sent = breach.id
        if is_digested:
            sent = await connection.scalar(
                text(
                    "insert into outbox (entry, notice, recipient, language, subject, body, state, created_at)"
                    " select 'digest.1', 'DIGEST', recipient, language, '', '', 'sent', created_at from outbox where id = :id"
                    " returning id"
                ),
                {"id": breach.id},
            )
            await connection.execute(
                text("update outbox set state = 'digested', digest_id = :to where id = :id"),
                {"id": breach.id, "to": sent},
            )
    for wall in sorted([begun, "2025-03-19 07:30"]):
        time(wall)
        if wall != begun:
            await ask_at_inspection(telling)
            continue
        async with transaction() as connection:
            await connection.execute(
                text(
                    "insert into deliveries (outbox_id, address, channel, told, state, begun_at)"
                    " values (:id, 'one', 'json', 'department:warehouse', 'sent', :at)"
                ),
                {"id": sent, "at": at(begun)},
            )
    time("2025-03-20 11:00")

    await answered(telling)

    ended = "withdrawn" if again else "sent"
    assert ("NTC-10", "department:warehouse", ended) in await notices(telling, "NTC-10")
    assert await send() == again


async def test_p06_a_reminder_that_a_question_of_the_same_day_withdrew_unsent_is_made_up_for(
    shop: Shop, time: Time, send: Send
):
    """Nothing was given for it: the inspection is due the same evening still."""
    telling = await at_inspection(shop, time)
    await escalation.look(at=time("2025-03-18 09:00"))
    await ask_at_inspection(telling)
    assert await send() == []
    time("2025-03-18 11:00")

    await answered(telling)

    assert (await promise(telling, "inspection")).due_at == at("2025-03-19 00:00")
    assert await send() == ["warehouse 即将到期"]


async def test_p12_a_reminder_that_was_not_sent_is_withdrawn_by_the_answer(shop: Shop, time: Time):
    telling = await ask(await at_review(shop))
    await lapses.look(at=time("2025-03-17 00:00"))

    await answered(telling)

    assert {state for _, _, state in await notices(telling, "NTC-17", "NTC-18")} == {"withdrawn"}


# --- the answer -----------------------------------------------------------------------------------------------------


async def test_evidence_is_the_answer(shop: Shop, time: Time, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """`aftersales evidence add` by customer service: kept, the window goes on, and the reviewer sees it (POL-08)."""
    telling = await ask(await at_review(shop))
    time("2025-03-14 06:00")

    kept = await records.add_text(telling.case_no, "https://p.example/tag.jpg", operator="C07")
    await telling.again()

    assert kept.answers and telling.at == "review-1"
    assert (await telling.journal())["question-0"].data["via"] == "evidence"
    again = await records.add_text(telling.case_no, "https://p.example/box.jpg", operator="C07")
    assert not again.answers, "the next piece is evidence, and answers nothing any more"


async def test_what_a_colleague_adds_meanwhile_is_no_answer(shop: Shop, time: Time):
    telling = await at_inspection(shop, time)
    await ask_at_inspection(telling)

    kept = await records.add_text(telling.case_no, "https://p.example/scratch.jpg", operator="W03")
    await telling.again()

    assert kept.is_new and not kept.answers and telling.at == "question-0"


async def test_two_who_answer_at_once_are_one_answer(shop: Shop, time: Time):
    telling = await ask(await at_review(shop))
    await outside.decide(telling.case_no, "question", operator="C07", answer={"answer": "已补"})

    with pytest.raises(Unable, match="客户答复已由 C07 王小明"):
        await outside.decide(telling.case_no, "question", operator="C08", answer={"answer": "没有"})
    kept = await records.add_text(telling.case_no, "https://p.example/1.jpg", operator="C08")

    assert kept.is_new and not kept.answers
    assert (await telling.again()).at == "review-1"


async def test_who_asks_and_who_approves_at_once_are_one_decision(shop: Shop, time: Time):
    telling = await at_review(shop)
    await outside.decide(telling.case_no, "review", operator="C07", answer={"decision": "approve"})

    with pytest.raises(Unable, match="审核已由 C07 王小明"):
        await outside.decide(
            telling.case_no, "review", operator="C08", answer={"decision": "ask", "question": "吊牌照片"}
        )

    assert (await telling.again()).at == "pickup-0"
    assert await notices(telling, "NTC-17") == []


async def test_an_answer_that_came_while_a_round_was_at_work_is_no_silence(
    shop: Shop, time: Time, monkeypatch: pytest.MonkeyPatch
):
    telling = await ask(await at_review(shop))
    await lapses.look(at=time("2025-03-17 00:00"))
    read = lapses.lapses.lapsed

    async def and_answered(connection: Any, **what: Any) -> Any:
        rows = await read(connection, **what)
        await answered(telling)
        return rows

    monkeypatch.setattr(lapses.lapses, "lapsed", and_answered)
    told = await lapses.look(at=time("2025-03-21 00:00"))

    assert told.is_empty and telling.at == "review-1"


async def test_ret17_whoever_takes_it_back_while_asked_is_cancelled(shop: Shop, time: Time):
    telling = await ask(await at_review(shop))

    await telling.signal(Event.CASE_CANCELLED, reason="不退了")

    assert (await telling.case()).stage is Stage.CANCELLED
    assert "按您的要求取消" in await body(telling, "NTC-09")
    assert await notices(telling, "NTC-17") == [("NTC-17", "customer", "withdrawn")]
    assert (await lapses.look(at=time("2025-04-30 00:00"))).is_empty


async def test_ret17_goods_that_are_here_are_not_cancelled_from_a_question(shop: Shop, time: Time):
    telling = await ask_at_inspection(await at_inspection(shop, time))

    with pytest.raises(Unable, match="商品已收货，不能取消"):
        await telling.signal(Event.CASE_CANCELLED, reason="不退了")


async def test_gen08_who_got_more_time_to_answer_is_reminded_before_its_new_end(shop: Shop, time: Time):
    """Asked on the 13th, to be answered by the 20th, then by the 30th: four days before the end, as before."""
    telling = await ask(await at_review(shop))
    await lapses.look(at=time("2025-03-17 00:00"))

    await extensions.extend(telling.case_no, operator="C01", until="2025-03-30", reason="台风", key="k")

    given = await promise(telling, "question")
    assert (given.due_at, given.lapses_at) == (at("2025-03-31 00:00"), at("2025-03-31 00:00"))
    assert (await lapses.look(at=time("2025-03-27 00:00") - A_MOMENT)).is_empty
    await lapses.look(at=time("2025-03-27 00:00"))
    assert len(await notices(telling, "NTC-18")) == 2
    assert (await lapses.look(at=time("2025-03-31 00:00"))).ended == [telling.case_no]


async def test_num223_reminded_late_after_an_outage_leaves_a_day_to_answer(shop: Shop, time: Time):
    telling = await ask(await at_review(shop))

    told = await lapses.look(at=time("2025-03-25 10:00"))

    assert (told.reminded, told.ended) == ([telling.case_no], [])
    assert "3月26日（周三）24:00" in await body(telling, "NTC-18")
    assert (await lapses.look(at=time("2025-03-27 00:00"))).ended == [telling.case_no]


# --- what is seen and checked ---------------------------------------------------------------------------------------


async def test_aud02_a_paused_window_counts_once_and_says_so(shop: Shop, time: Time):
    telling = await at_review(shop)
    time("2025-03-14 06:00")
    await ask(telling)
    time("2025-03-17 09:00")
    await answered(telling)
    await telling.decide("review", "C08", decision="approve")

    since, until = date(2025, 3, 1), date(2025, 3, 31)
    reviews = [each for each in await audits.windows(since=since, until=until) if each.stage == "待审核"]

    assert [(each.total, each.on_time, each.paused) for each in reviews] == [(1, 1, 1)]
    assert (await audits.verify(case_no=telling.case_no)).findings == []


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        pytest.param({"decision": "ask"}, "请客户补充什么：必填", id="asks nothing"),
        pytest.param({"decision": "ask", "question": " "}, "请客户补充什么：必填", id="asks blanks"),
        pytest.param({"decision": "approve", "question": "吊牌"}, "只有“请客户补充”才填写", id="asks, and approves"),
        pytest.param(
            {"decision": "ask", "question": "吊牌", "missing": ["照片"]},
            "都写在“请客户补充什么”里",
            id="lists it apart",
        ),
        pytest.param(
            {"decision": "ask", "question": "吊牌", "reason": "看不清"}, "都写在“请客户补充什么”里", id="rejects a bit"
        ),
    ],
)
async def test_a_question_and_a_decision_are_not_mixed(shop: Shop, time: Time, answer: dict[str, Any], sentence: str):
    telling = await at_review(shop)

    with pytest.raises(Unable, match=sentence):
        await telling.decide("review", "C08", **answer)

    assert (await telling.again()).at == "review-0"


async def test_gen10_what_is_asked_and_answered_is_masked(shop: Shop, time: Time):
    telling = await ask(await at_review(shop), "请确认电话 10212345678")
    await answered(telling, "打 10212345678")

    told = await telling.journal()
    assert "10212345678" not in str([told["review-0"].data, told["question-0"].data])
    assert "10212345678" not in await body(telling, "NTC-17")
