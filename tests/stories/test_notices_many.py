"""
Many notices at once: digests, what robots take, dead channels, senders that are killed, bad notices (P-11, P-12, P-13).

Real receivers on loopback, the real Apprise.
"""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text

from aftersales import clock
from aftersales.gateways import channels
from aftersales.rules import deliveries
from aftersales.store import outbox
from aftersales.store.engine import transaction
from tasks import escalation, sending
from tests.gateways.receivers import Drip, Mailbox, Receiver
from tests.killing import killed
from tests.stories.conftest import Shop
from tests.stories.notifying import (
    LIVE,
    MINUTE,
    breached,
    history,
    known,
    ledger,
    many,
    outbox_states,
    said,
    states,
)
from tests.stories.test_escalation import at, at_refund, time  # noqa: F401
from tests.stories.test_escalation import many as many_cases
from tests.stories.test_rehearsal import rehearse

# --- many at once ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("count", "messages"), [(10, 10), (11, 1), (outbox.MOST_DIGESTED + 11, 2)])
async def test_too_many_for_one_department_become_one_message(
    shop: Shop,
    time: Any,  # noqa: F811
    receiver: Receiver,
    count: int,
    messages: int,
):
    await many(count)

    await sending.look(known(departments={"aftersales": [receiver.url("a")]}))

    told = receiver.texts()
    assert len(told) == messages
    assert all(any(f"提醒 {n}" in each for each in told) for n in range(min(count, deliveries.NAMED)))
    assert await outbox_states() == {"sent": count + (messages < count) * messages}


async def test_p13_after_an_outage_a_digest_names_for_each_case_by_when_and_what_was_missed(
    shop: Shop,
    time: Any,  # noqa: F811
    receiver: Receiver,
    mailbox: Mailbox,
):
    telling = await at_refund(shop, time)
    await many_cases(telling, 12)
    await escalation.look(at=time("2025-03-24 10:00"))
    mail = f"mailto://127.0.0.1:{mailbox.port}?from=a@shop.example&to=he@shop.example"

    await sending.look(known(departments={"aftersales": [receiver.url("a")]}, staff={"A01": [mail]}))

    (told,) = receiver.texts("a")
    assert told.count("退款，截止 3月19日（周三）24:00，已超时 4 天") == 12 and sending.TO_DO in told
    ((_, arrived),) = mailbox.received
    assert str(arrived["Subject"]) == "12 项提醒"
    missed = "3月19日（周三）24:00 通知责任部门、3月20日（周四）24:00 通知部门负责人、3月20日（周四）24:00 通知客户"
    shown = arrived.get_body(("html",)).get_content()
    assert shown.count(f"<td>3月19日（周三）24:00</td><td>已超时 4 天</td><td>{missed}</td>") == 12


async def test_whoever_had_as_many_within_a_minute_gets_the_next_as_soon_as_the_minute_is_over(
    shop: Shop,
    time: Any,  # noqa: F811
    receiver: Receiver,
):
    """Two rounds lie less than a minute apart now and then; nobody hears a whole minute later for that."""
    aftersales = known(departments={"aftersales": [receiver.url("a")]})
    time("2025-03-13 10:00:02")
    await many(LIVE.sending.digest_above)
    await sending.look(aftersales)
    time("2025-03-13 10:01:00")
    await many(3, first=100)

    await sending.look(aftersales)
    assert len(receiver.received) == LIVE.sending.digest_above
    time("2025-03-13 10:01:01")
    await sending.look(aftersales)
    assert len(receiver.received) == LIVE.sending.digest_above
    time("2025-03-13 10:01:02")
    await sending.look(aftersales)

    assert len(receiver.received) == LIVE.sending.digest_above + 3


@pytest.mark.parametrize(
    ("sent_at", "is_rehearsed", "until"),
    [
        pytest.param("2025-03-29 10:00", True, None, id="rehearsed weeks ahead"),
        pytest.param("2025-03-13 10:00:30", True, None, id="rehearsed just now"),
        pytest.param("2025-03-13 10:00:30", False, "2025-03-13 10:01:30", id="just now"),
        pytest.param("2025-03-29 10:00", False, "2025-03-13 10:02:00", id="the clock was put back since"),
        pytest.param("2025-03-13 10:00:00", False, None, id="a minute ago"),
    ],
)
async def test_what_was_sent_on_another_clock_holds_up_nothing(
    shop: Shop,
    time: Any,  # noqa: F811
    receiver: Receiver,
    sent_at: str,
    is_rehearsed: bool,
    until: str | None,
):
    await at_refund(shop, time)
    time("2025-03-13 10:01")
    await many(LIVE.sending.digest_above)
    async with transaction() as connection:
        await connection.execute(
            text("update outbox set state = 'sent', next_at = null, settled_at = :at"), {"at": at(sent_at)}
        )
        if is_rehearsed:
            await connection.execute(text("insert into rehearsals (id, now_at) values ('X1', now())"))
            await connection.execute(text("update cases set rehearsal = 'X1'"))
            await connection.execute(text("update outbox set case_no = (select case_no from cases)"))
    await many(1, first=100)

    await sending.look(known(departments={"aftersales": [receiver.url("a")]}))

    assert len(receiver.received) == (until is None)
    async with transaction() as connection:
        waits = await connection.scalar(text("select next_at from outbox where entry = 'x100'"))
    assert waits == (at(until) if until else None)


async def test_p12_what_is_withdrawn_leaves_the_digest_that_nobody_has_sent(
    shop: Shop,
    time: Any,  # noqa: F811
    receiver: Receiver,
):
    await many(12)
    await sending._digest(clock.now())
    async with transaction() as connection:
        await connection.execute(text("update outbox set state = 'withdrawn' where entry in ('x3', 'x4')"))

    await sending.look(known(departments={"aftersales": [receiver.url("a")]}))

    (told,) = receiver.texts()
    assert told.startswith("10 项提醒") and "提醒 3\n" not in told and "提醒 5\n" in told
    assert await outbox_states() == {"sent": 11, "withdrawn": 2}


async def test_a_robot_gets_no_more_a_minute_than_it_takes(
    shop: Shop,
    time: Any,  # noqa: F811
    receiver: Receiver,
    monkeypatch: pytest.MonkeyPatch,
):
    """Twenty a minute for WeCom, counted over all that share the robot; the wall's clock counts."""
    from apprise.plugins import wecombot

    monkeypatch.setattr(wecombot.NotifyWeComBot, "notify_url", f"http://{receiver.base}/robot?key={{key}}")
    for department in LIVE.house.departments:
        await many(5, f"department:{department}")
    shared = known(departments={code: ["wecombot://0123456789"] for code in LIVE.house.departments})

    await sending.look(shared)
    assert len(receiver.received) == 20
    await sending.look(shared, at=clock.now() + timedelta(seconds=59))
    assert len(receiver.received) == 20

    time("2025-03-13 10:02")
    await sending.look(shared)
    assert len(receiver.received) == 25 and await outbox_states() == {"sent": 25}


async def test_one_dead_channel_holds_up_no_other(
    shop: Shop,
    time: Any,  # noqa: F811
    receiver: Receiver,
    monkeypatch: pytest.MonkeyPatch,
):
    # as many as are under way at once may be lost before anybody knows of the first
    monkeypatch.setattr(sending, "AT_ONCE", 2)
    receiver.answers["/dead"] = (500, b"{}")
    people = [person for person in LIVE.staff() if person != "C07"]
    for person in people:
        await many(10, f"staff:{person}")
    await many(10, "staff:C07")
    of_them = {person: [receiver.url(person)] for person in people} | {"C07": [receiver.url("dead")]}

    found = await sending.look(known(staff=of_them))

    assert found.sent == 10 * len(people)
    assert sending.FAILURES <= len(receiver.texts("dead")) < 10, "it rests"
    assert await outbox_states() == {"sent": 10 * len(people), "queued": 10}

    for minutes in range(0, 6 * 60 + 2, 2):
        time(f"2025-03-13 {10 + minutes // 60:02}:{minutes % 60:02}")
        await sending.look(known(staff=of_them))

    assert await outbox_states() == {"sent": 10 * len(people) + 10, "given_up": 10}, "and the next level is told"
    told = sorted(text.splitlines()[0] for text in receiver.texts("C01")[10:])
    assert told == [f"没有送达：提醒 {number}" for number in range(10)]


async def test_p11_a_channel_that_never_ends_its_answer_holds_up_no_other(
    shop: Shop,
    time: Any,  # noqa: F811
    receiver: Receiver,
    drip: Drip,
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr(channels, "LONGEST_SEND", 2.0)
    both = known(staff={"C07": [drip.url()], "L01": [receiver.url("L01")]})
    await many(9, "staff:C07")
    await many(3, "staff:L01")
    await sending.look(both)
    asked = drip.asked

    time("2025-03-13 10:02")
    await many(3, "staff:L01")
    await sending.look(both)

    told = receiver.texts("L01")
    assert len(told) == 6 and not any(each.startswith("【可能重复】") for each in told)
    query = "select channel, told, state, tries, is_doubtful, reason from deliveries order by id"
    async with transaction() as connection:
        rows = (await connection.execute(text(query))).all()
    of_l01 = [row for row in rows if row.told == "staff:L01"]
    assert {(row.state, row.tries, row.is_doubtful) for row in of_l01} == {("sent", 1, False)}
    of_c07 = [row for row in rows if row.told == "staff:C07"]
    assert 0 < drip.asked == asked < sending.AT_ONCE + channels.MOST_ABANDONED
    assert channels.STUCK in {row.reason for row in of_c07}
    assert sum(row.is_doubtful for row in of_c07) == asked, "what was not sent cannot have arrived"


async def test_a_worker_that_is_about_to_leave_begins_nothing_more(
    shop: Shop,
    time: Any,  # noqa: F811
    receiver: Receiver,
):
    await many(5)
    one = known(departments={"aftersales": [receiver.url("a")]})

    await sending.look(one, is_stopping=lambda: True)
    assert receiver.received == [] and await outbox_states() == {"queued": 5}

    await sending.look(one)
    assert len(receiver.received) == 5 and await outbox_states() == {"sent": 5}


async def test_what_waits_for_a_channel_is_looked_at_only_where_there_is_one_now(
    shop: Shop,
    time: Any,  # noqa: F811
    receiver: Receiver,
    monkeypatch: pytest.MonkeyPatch,
):
    await many(1, "department:aftersales")
    await many(1, "department:logistics")
    await sending.look(known())
    monkeypatch.setattr(sending, "_known", known(departments={"logistics": [receiver.url("l")]}))
    monkeypatch.setattr(sending, "_has_begun", False)

    await sending.send_what_is_due()

    assert len(receiver.texts("l")) == 1
    async with transaction() as connection:
        rows = (await connection.execute(text("select recipient, next_at from outbox where state = 'queued'"))).all()
    assert [tuple(row) for row in rows] == [("department:aftersales", None)]


async def test_one_bad_notice_stops_nothing(
    shop: Shop,
    time: Any,  # noqa: F811
    receiver: Receiver,
    monkeypatch: pytest.MonkeyPatch,
):
    await many(5)
    words = sending._words

    async def broken(connection: Any, row: Any, *rest: Any) -> Any:
        if row["entry"] == "x2":
            raise ValueError("broken")
        return await words(connection, row, *rest)

    monkeypatch.setattr(sending, "_words", broken)
    one = known(departments={"aftersales": [receiver.url("a")]})

    found = await sending.look(one)

    assert len(receiver.received) == 4 and [each.outcome for each in found.told] == ["出错：ValueError"]
    monkeypatch.setattr(sending, "_words", words)
    await sending.look(one, at=clock.now() + sending.LEASE)
    assert len(receiver.received) == 5 and await outbox_states() == {"sent": 5}


async def test_what_goes_wrong_after_a_send_is_reported_and_the_notice_comes_again_with_a_mark(
    shop: Shop,
    time: Any,  # noqa: F811
    receiver: Receiver,
    monkeypatch: pytest.MonkeyPatch,
):
    await many(3)
    record = sending._record

    async def broken(connection: Any, message: Any, *rest: Any) -> Any:
        if message.row["entry"] == "x1":
            raise ValueError("broken")
        return await record(connection, message, *rest)

    one = known(departments={"aftersales": [receiver.url("a")]})
    with monkeypatch.context() as patch:
        patch.setattr(sending, "_record", broken)
        found = await sending.look(one)
    assert len(receiver.received) == 3 and [each.outcome for each in found.told] == ["出错：ValueError"]

    await sending.look(one, at=clock.now() + sending.LEASE)

    assert [told.startswith("【可能重复】") for told in receiver.texts()].count(True) == 1
    assert len(receiver.received) == 4 and await outbox_states() == {"sent": 3}


# --- a rehearsal ----------------------------------------------------------------------------------------------------


async def test_a_return_left_alone_is_seen_to_walk_the_whole_ladder(
    shop: Shop, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
):
    """The refund is due on Wednesday 24:00; at night nothing leaves, so each message comes at the opening."""
    only_here = known(
        departments={"aftersales": [receiver.url("real")]},
        staff={"A01": [receiver.url("real")]},
        rehearsal=[receiver.url("rehearsal")],
    )
    monkeypatch.setattr(sending, "_known", only_here)

    ((played,), _) = await rehearse("slow")

    assert played.is_as_told and receiver.texts("real") == [], "a rehearsal tells nobody but its own receiver"
    of_the_refund = [
        text.splitlines()[0].replace(played.case_no, "…").removeprefix("【演练】")
        + "→"
        + text.split("（发给")[1].split("）")[0]
        for text in receiver.texts()
        if "“退款”" in text or "退款原定" in text or "“整单”" in text
    ]
    assert of_the_refund.count("退款延迟，向您致歉（…）→客户") == 1
    assert [told for told in of_the_refund if "客户" not in told] == [
        "即将到期：… 退款→售后服务部",
        "已超时：… 退款→售后服务部",
        "超时升级：… 退款→A01 何静",
        "超时升级：… 退款→A01 何静",
        "即将到期：… 整单→售后服务部",
        *sorted(("已超时：… 整单→售后服务部", "已超时：… 整单→A01 何静"), key=of_the_refund.index),
    ]
    assert len(set(receiver.texts())) == len(receiver.received), "each once"
    delays = [text.partition("，已超时 ")[2].split("，")[0] for text in receiver.texts() if "超时升级" in text]
    assert delays == ["32 小时", "4 天"], "named as they are when it leaves, a weekend lies between"


KILLED = """
import json, sys
from datetime import datetime, timedelta
from pathlib import Path
from aftersales.gateways import channels
from aftersales.settings import Settings
from aftersales.store import cases, engine, outbox
from aftersales.terms import load
from tasks import notices, sending
from tests.killing import until_one_ends

base, at, kind, case_no = sys.argv[2], datetime.fromisoformat(sys.argv[3]), sys.argv[4], sys.argv[5]
terms = load()
departments = {"aftersales": [f"{base}/a"], "logistics": [f"{base}/dead"]}
document = json.dumps({"departments": departments, "staff": {"L01": [f"{base}/head"]}})
known = channels.load(Settings(channels=document, home=Path("/nonexistent")), house=terms.house, staff=terms.staff())
A_DAY, GIVEN_UP = timedelta(days=1), terms.sending.give_up_after.length

async def write(turn):
    async with engine.transaction() as connection:
        for number in range(terms.sending.digest_above + 1 if kind == "digest" else 1):
            await outbox.put(
                connection,
                case_no=None if kind == "alone" else case_no,
                entry=f"{turn}.{number}",
                notice="DESK",
                recipient="department:logistics" if kind == "given up" else "department:aftersales",
                language="zh",
                subject=f"no {turn}.{number}.",
                body="",
                data={},
                created_at=at + turn * A_DAY,
                expires_at=None,
            )
    if kind == "given up":
        await sending.look(known, at=at + turn * A_DAY)

async def withdrawn_under_way(message, *rest):
    outcome = await send_one(message, *rest)
    async with engine.transaction() as connection:
        await cases.lock(connection, case_no)
        came = await outbox.withdraw(connection, [message.row["id"]], "done", at)
        if came:
            await notices.say_withdrawn(connection, message.row, "done", came=came[message.row["id"]], at=at)
    return outcome

send_one = sending._send

async def send(turn):
    if kind == "withdrawn":
        sending._send = withdrawn_under_way
    await sending.look(known, at=at + turn * A_DAY + (GIVEN_UP if kind == "given up" else timedelta(0)))

async def what_was_left(turn):
    for looks in range(1, 3):
        await sending.look(known, at=at + turn * A_DAY + GIVEN_UP + looks * sending.LEASE)

until_one_ends(send, before=write, after=what_was_left)
"""


@pytest.mark.parametrize(
    ("kind", "deaths"),
    [
        ("withdrawn", 12),
        ("digest", 12),
        pytest.param("alone", 8, marks=pytest.mark.soak),
        pytest.param("case", 8, marks=pytest.mark.soak),
        pytest.param("given up", 12, marks=pytest.mark.soak),
    ],
)
async def test_a_sender_killed_between_any_two_writes_loses_nothing_and_says_what_may_be_double(
    shop: Shop,
    time: Any,  # noqa: F811
    receiver: Receiver,
    kind: str,
    deaths: int,
):
    """kill -9 right before and right after the first, the second … write of a sender, until one ends."""
    telling = await at_refund(shop, time)
    when = time("2025-03-24 10:00")
    async with transaction() as connection:
        await connection.execute(text("update outbox set state = 'withdrawn', next_at = null"))
    receiver.answers["/dead"] = (500, b"{}")

    assert await killed(KILLED, f"json://{receiver.base}", when.isoformat(), kind, telling.case_no) >= deaths

    heard: dict[str, list[str]] = {}
    for told in receiver.texts("head" if kind == "given up" else "a"):
        for number in re.findall(r"no (\d+\.\d+)\.", told.partition("原文")[0]):
            heard.setdefault(number, []).append(told)
    doubled = [each for each in heard.values() if len(each) > 1]
    assert doubled and all(len(each) == 2 and each[1].startswith("【可能重复】") for each in doubled)
    assert not any(each[0].startswith("【可能重复】") for each in heard.values() if len(each) > 1)
    written = await rows_of("o.entry ~ '^[0-9]+[.][0-9]+$'")
    others = await rows_of("o.entry like '%.undelivered' or o.entry like 'digest.%'")
    history_of = Counter(e.entry for e in (await telling.journal()).values() if e.kind == "delivery")
    if kind == "withdrawn":
        # of whom nobody knows whether it arrived the history says so; of all others it has the last word
        assert {row.state for row in written} <= {"withdrawn", "sent"}
        last = {entry.partition(".department")[0] for entry in history_of if entry.endswith(".arrived")}
        assert last == {row.entry for row in written if row.sent and row.state == "withdrawn"} != set()
        return
    assert len(heard) == len(written), "none is lost"
    assert {row.state for row in written} == {"given_up" if kind == "given up" else "sent"}
    assert {row.state for row in others} <= {"sent"}
    if kind == "given up":
        assert len(others) == len(written) == len(history_of) and set(history_of.values()) == {1}
    elif kind == "digest":
        assert len({row.digest_id for row in written}) == len(others)
    else:
        assert all(row.sent == 1 for row in written) and not history_of


async def rows_of(where: str) -> list[Any]:
    """The notices of the killed, with how many addresses have each."""
    query = "select o.*, (select count(*) from deliveries d where d.outbox_id = o.id and d.state = 'sent') as sent"
    async with transaction() as connection:
        return list((await connection.execute(text(f"{query} from outbox o where {where} order by id"))).all())


# --- thousands ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("open_", "due"),
    [
        pytest.param(600, 500, id="hundreds"),
        pytest.param(20_000, 2_000, id="thousands", marks=[pytest.mark.soak, pytest.mark.timeout(3600)]),
    ],
)
async def test_many_fall_due_while_one_channel_is_dead(
    shop: Shop,
    time: Any,  # noqa: F811
    receiver: Receiver,
    open_: int,
    due: int,
):
    """Half belong to a department whose channel is down all day; its head, and everybody else, is told of each once."""
    telling = await at_refund(shop, time)
    await many_cases(telling, open_)
    async with transaction() as connection:
        await connection.execute(
            text("update promises set due_at = due_at + interval '1 year', rung_at = due_at where stage = 'outer'")
        )
        await connection.execute(
            text(
                "update promises set due_at = due_at + interval '1 year', rung_at = due_at + interval '1 year'"
                " where stage = 'refund' and case_no not in"
                " (select case_no from promises where stage = 'refund' order by case_no limit :due)"
            ),
            {"due": due},
        )
        every_other = (
            "update promises set owner = 'logistics' where stage = 'refund' and id in (select id from"
            " (select id, row_number() over (order by case_no) as number from promises where stage = 'refund') as their"
            " where number % 2 = 0)"
        )
        await connection.execute(text(every_other))
        await connection.execute(text("update outbox set state = 'withdrawn'"))  # what the customer was told before
    receiver.answers["/logistics"] = (500, b"{}")
    of_all = known(
        departments={code: [receiver.url(code)] for code in ("aftersales", "logistics")},
        staff={person: [receiver.url(person)] for person in ("A01", "L01")},
    )

    for minute in range(0, 8 * 60, 5):
        time(f"2025-03-20 {9 + minute // 60:02}:{minute % 60:02}")
        await escalation.look()
        await sending.look(of_all)

    async with transaction() as connection:
        rows = (await connection.execute(text("select id, case_no, recipient, state, digest_id from outbox"))).all()
    told = [row for row in rows if row.case_no and row.state != "withdrawn"]
    assert {(row.recipient, row.state) for row in told} == {
        ("department:aftersales", "sent"),
        ("department:logistics", "given_up"),
    }
    assert len(told) == due and len({(row.case_no, row.recipient) for row in told}) == due
    ours = {row.case_no: row.digest_id for row in told if row.recipient == "department:aftersales"}
    digests = set(ours.values())
    assert len(receiver.texts("aftersales")) == len(digests), "a digest is one message"
    heard = [each for said in receiver.texts("aftersales") for each in re.findall(r"已超时：(RT-[\d-]+) 退款", said)]
    assert len(heard) == len(set(heard)) and set(heard) <= set(ours), "each once, in one message alone"
    assert len(heard) >= min(len(digests) * deliveries.NAMED, due // 2)
    lost = [each for each in receiver.texts("L01") if "没有送达" in each]
    assert len(lost) == len({row.digest_id for row in told if row.recipient == "department:logistics"})
    assert sending.FAILURES <= len(receiver.texts("logistics")) < 60, "the dead one is not hammered"


# --- what a review found --------------------------------------------------------------------------------------------


async def test_a_burst_that_is_written_while_a_look_is_running_becomes_few_messages(
    shop: Shop,
    time: Any,  # noqa: F811
    receiver: Receiver,
):
    one = known(departments={"aftersales": [receiver.url("a")]})
    await many(10)
    await sending.look(one)
    async with transaction() as connection:
        await connection.execute(text("update outbox set entry = 'first' || entry"))
    await many(40)
    await sending.look(one)
    assert len(receiver.received) <= 10 + sending.AT_ONCE, "ten a minute, and those under way"

    time("2025-03-13 10:02")
    await sending.look(one)

    assert len(receiver.received) <= 11 + sending.AT_ONCE and "项提醒" in receiver.texts()[-1]


async def test_p15_a_receiver_that_takes_it_and_does_not_answer_is_told_again_with_a_mark(
    shop: Shop,
    time: Any,  # noqa: F811
    receiver: Receiver,
    monkeypatch: pytest.MonkeyPatch,
):
    telling = await breached(shop, time)
    monkeypatch.setattr(channels, "_WAITS", "cto=5&rto=0.3&retry=0")
    receiver.delay = 1.0
    one = known(departments={"aftersales": [receiver.url("a")]})

    await sending.look(one)
    assert await ledger(telling, "refund-0.breach") == [("json", "failed", 1, True)]
    receiver.delay = 0.0
    await sending.look(one, at=clock.now() + MINUTE)
    async with asyncio.timeout(20):
        while len(receiver.received) < 2:  # noqa: ASYNC110 - the first answers late, and nobody listens any more
            await asyncio.sleep(0.05)

    assert sorted(told.startswith("【可能重复】") for told in receiver.texts()) == [False, True]


async def test_aud04_what_was_done_before_its_digest_left_is_withdrawn_with_a_word(
    shop: Shop,
    time: Any,  # noqa: F811
    receiver: Receiver,
):
    telling = await breached(shop, time)
    await many(12)
    await sending._digest(clock.now())
    assert await states(telling, "refund-0.breach") == [("department:aftersales", "digested")]

    await telling.decide("refund", "A03", amount="188.00", reference="ALI-1")
    await sending.look(known(departments={"aftersales": [receiver.url("a")]}))

    (row,) = await telling.rows("outbox", "state, digest_id", "and entry = 'refund-0.breach'")
    assert (row.state, row.digest_id) == ("withdrawn", None)
    assert "没有发送：已办理，不用再通知" in await history(telling)
    assert telling.case_no not in receiver.texts()[0]


async def test_aud04_who_dies_over_the_word_of_what_a_digest_left_out_leaves_it_to_the_next(
    shop: Shop,
    time: Any,  # noqa: F811
    receiver: Receiver,
    monkeypatch: pytest.MonkeyPatch,
):
    telling = await breached(shop, time)
    await many(12)
    await sending._digest(clock.now())
    async with transaction() as connection:  # as if the withdrawal of the decision had been lost
        await connection.execute(text("update promises set ended_at = now() where entry = 'refund-0'"))
    say = sending.notices.say

    async def dies(connection: Any, row: Any, *rest: Any, **more: Any) -> None:
        if row["entry"] != "refund-0.breach":
            return await say(connection, row, *rest, **more)
        monkeypatch.setattr(sending.notices, "say", say)
        raise RuntimeError("killed")

    monkeypatch.setattr(sending.notices, "say", dies)
    by_robot = known(departments={"aftersales": [receiver.url("a")]})

    await sending.look(by_robot)
    assert (receiver.received, await states(telling, "refund-0.breach")) == (
        [],
        [("department:aftersales", "digested")],
    )
    await sending.look(by_robot, at=clock.now() + 2 * sending.LEASE)

    assert await states(telling, "refund-0.breach") == [("department:aftersales", "withdrawn")]
    assert (await history(telling)).count("没有发送：已办理，不用再通知") == 1
    assert len(receiver.received) == 1


async def test_a_robot_shared_with_rehearsals_tells_real_matters_as_real(
    shop: Shop,
    time: Any,  # noqa: F811
    receiver: Receiver,
):
    await breached(shop, time)

    await sending.look(known(departments={"aftersales": [receiver.url("a")]}, rehearsal=[receiver.url("a")]))

    assert not receiver.texts()[0].startswith(sending.REHEARSED)


async def test_p11_a_head_reached_at_the_same_dead_address_is_passed_over(
    shop: Shop,
    time: Any,  # noqa: F811
    receiver: Receiver,
):
    """L01 has no address of their own: what the department's robot does not take reaches nobody there."""
    await many(1, "department:logistics")
    receiver.answers["/dead"] = (500, b"{}")
    of_all = known(departments={"logistics": [receiver.url("dead")]}, staff={"A01": [receiver.url("manager")]})

    for minute in range(0, 6 * 60 + 2, 2):
        time(f"2025-03-13 {10 + minute // 60:02}:{minute % 60:02}")
        await sending.look(of_all)

    assert ["没有送达：提醒 0" in told for told in receiver.texts("manager")] == [True]


async def test_two_departments_that_name_shared_robots_in_another_order_never_wait_for_each_other(
    shop: Shop,
    time: Any,  # noqa: F811
    receiver: Receiver,
    monkeypatch: pytest.MonkeyPatch,
):
    from apprise.plugins import wecombot

    monkeypatch.setattr(wecombot.NotifyWeComBot, "notify_url", f"http://{receiver.base}/robot?key={{key}}")
    await many(9, "department:logistics")
    await many(9, "department:aftersales")
    both = ["wecombot://aaaaaaaaaa", "wecombot://bbbbbbbbbb"]

    await sending.look(known(departments={"logistics": both, "aftersales": both[::-1]}))

    assert len(receiver.received) == 36


async def test_p10_the_night_uses_up_nothing_of_the_time_to_try(
    shop: Shop,
    time: Any,  # noqa: F811
    receiver: Receiver,
):
    await many(1)
    receiver.answers["/a"] = (500, b"{}")
    one = known(departments={"aftersales": [receiver.url("a")]})
    for wall in ("2025-03-13 21:58", "2025-03-13 21:59", "2025-03-13 22:01", "2025-03-14 08:00"):
        time(wall)
        await sending.look(one)

    assert await outbox_states() == {"queued": 1}, "two hours, not ten, have passed"


# --- digests that end -----------------------------------------------------------------------------------------------


async def test_p11_a_digest_that_reaches_nobody_is_told_in_the_history_of_each_of_its_cases(
    shop: Shop,
    time: Any,  # noqa: F811
    receiver: Receiver,
):
    telling = await breached(shop, time)
    await many(12)
    receiver.answers["/dead"] = (500, b"{}")
    dead = known(departments={"aftersales": [receiver.url("dead")]})
    await sending.look(dead)

    await sending.look(dead, at=clock.now() + timedelta(hours=6))

    assert await states(telling, "refund-0.breach") == [("department:aftersales", "given_up")]
    assert await said(telling) == ["没有送达：对方回复 HTTP 500"]


async def test_p12_a_digest_that_has_nothing_left_to_tell_was_never_under_way(
    shop: Shop,
    time: Any,  # noqa: F811
    receiver: Receiver,
):
    telling = await breached(shop, time)
    await many(12)
    await sending._digest(clock.now())
    async with transaction() as connection:
        await connection.execute(text("update outbox set state = 'withdrawn' where entry like 'x%'"))
        await connection.execute(text("update promises set ended_at = now() where entry = 'refund-0'"))

    await sending.look(known(departments={"aftersales": [receiver.url("a")]}))

    assert receiver.received == [] and await states(telling, "refund-0.breach") == [
        ("department:aftersales", "withdrawn")
    ]
    assert await said(telling) == ["没有发送：已办理，不用再通知"]
    async with transaction() as connection:
        assert (await connection.execute(text("select * from deliveries"))).all() == []


async def test_p11_whoever_is_told_hears_why_it_did_not_arrive_and_each_cause_once(
    shop: Shop,
    time: Any,  # noqa: F811
    receiver: Receiver,
):
    """Both addresses of the department fail all the time, so that they rest: that is not why."""
    await many(6, "department:logistics")
    receiver.answers |= {"/one": (500, b"{}"), "/two": (500, b"{}")}
    both = known(
        departments={"logistics": [receiver.url("one"), receiver.url("two")]}, staff={"L01": [receiver.url("head")]}
    )

    for minute in range(0, 6 * 60 + 4, 2):
        time(f"2025-03-13 {10 + minute // 60:02}:{minute % 60:02}")
        await sending.look(both)

    async with transaction() as connection:
        reasons = set(await connection.scalars(text("select reason from outbox where state = 'given_up'")))
    assert reasons == {"对方回复 HTTP 500"}
    assert len(receiver.texts("head")) == 6
