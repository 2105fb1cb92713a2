"""
What is told arrives: each recipient by an outcome of its own, once, and not when there is nothing more to tell.

P-10 (at night), P-11 (one of three addresses fails, somebody is away), P-12 (done between sweep and send), and a send
that was begun by somebody who died. Real receivers on loopback, the real Apprise.
"""

from __future__ import annotations

import asyncio
import html
import json
from datetime import date, timedelta
from typing import Any

import pytest
from sqlalchemy import text

from aftersales import clock
from aftersales.store import outbox
from aftersales.store.engine import transaction
from tasks import escalation, records, sending
from tests.gateways.provider import Running
from tests.gateways.receivers import Mailbox, Receiver
from tests.stories.conftest import Shop
from tests.stories.notifying import (
    MINUTE,
    breached,
    history,
    known,
    ledger,
    many,
    states,
    with_sms,
)
from tests.stories.test_escalation import at, at_refund, time  # noqa: F401

# --- each address an outcome of its own -----------------------------------------------------------------------------


async def test_p11_of_three_addresses_the_one_that_failed_is_tried_again(
    shop: Shop,
    time: Any,  # noqa: F811
    receiver: Receiver,
):
    telling = await breached(shop, time)
    receiver.answers["/two"] = (500, b"{}")
    three = known(departments={"aftersales": [receiver.url(name) for name in ("one", "two", "three")]})

    await sending.look(three)

    assert await ledger(telling, "refund-0.breach") == [
        ("json", "sent", 1, False),
        ("json", "failed", 1, False),
        ("json", "sent", 1, False),
    ]
    assert await states(telling, "refund-0.breach") == [("department:aftersales", "queued")]
    receiver.answers.clear()
    await sending.look(three, at=clock.now() + MINUTE - timedelta(seconds=1))
    assert len(receiver.received) == 3, "not before its distance has passed"

    await sending.look(three, at=clock.now() + MINUTE)
    await sending.look(three, at=clock.now() + 60 * MINUTE)

    assert sorted(each.path for each in receiver.received) == ["/one", "/three", "/two", "/two"]
    assert await states(telling, "refund-0.breach") == [("department:aftersales", "sent")]


async def test_what_arrives_says_what_to_do_by_when_and_where(
    shop: Shop,
    time: Any,  # noqa: F811
    receiver: Receiver,
    monkeypatch: pytest.MonkeyPatch,
):
    telling = await breached(shop, time)
    monkeypatch.setattr(sending.links, "home", lambda: "https://desk.example")

    await sending.look(known(departments={"aftersales": [receiver.url("a")]}))

    (told,) = receiver.texts()
    assert told.startswith(f"已超时：{telling.case_no} 退款")
    assert "应在 3月19日（周三）24:00 前完成，已超时 9 小时，请售后服务部尽快办理" in told
    assert f"查看和办理：https://desk.example/v2/runs/flow-run/{telling.run_id}" in told
    (row,) = await telling.rows("outbox", "id", "and entry = 'refund-0.breach'")
    assert told.endswith(f"通知编号：{row.id}")


async def test_p11_what_fails_for_long_is_given_up_and_the_next_level_is_told(
    shop: Shop,
    time: Any,  # noqa: F811
    receiver: Receiver,
):
    telling = await breached(shop, time)
    receiver.answers["/dead"] = (503, b"{}")
    two = known(departments={"aftersales": [receiver.url("dead")]}, staff={"A01": [receiver.url("head")]})
    began = clock.now()

    for minutes in range(0, 361):
        time(f"2025-03-20 {9 + minutes // 60:02}:{minutes % 60:02}")
        await sending.look(two)

    assert await states(telling, "refund-0.breach") == [("department:aftersales", "given_up")]
    ((channel, state, tries, _),) = await ledger(telling, "refund-0.breach")
    assert (channel, state) == ("json", "given_up") and 8 <= tries <= 12
    (told,) = receiver.texts("head")
    assert "没有送达：已超时：" in told and "发给售后服务部的通知没有送达（对方回复 HTTP 503）" in told
    assert "没有送达：对方回复 HTTP 503" in await history(telling)
    assert clock.now() - began == 360 * MINUTE


async def test_a_case_without_channels_waits_visibly_and_leaves_when_there_is_one(
    shop: Shop,
    time: Any,  # noqa: F811
    receiver: Receiver,
    monkeypatch: pytest.MonkeyPatch,
):
    telling = await breached(shop, time)
    await sending.look(known(departments={"logistics": [receiver.url("other")]}))
    (row,) = await telling.rows("outbox", "*", "and entry = 'refund-0.breach'")
    assert (row.state, row.reason, row.next_at) == ("queued", "没有渠道，等待设置", None)

    monkeypatch.setattr(sending, "_known", known(departments={"aftersales": [receiver.url("a")]}))
    monkeypatch.setattr(sending, "_has_begun", False)
    await sending.send_what_is_due()

    assert len(receiver.texts("a")) == 1
    assert await states(telling, "refund-0.breach") == [("department:aftersales", "sent")]


async def test_staff_without_an_address_are_called_by_name_at_their_department(
    shop: Shop,
    time: Any,  # noqa: F811
    receiver: Receiver,
):
    await breached(shop, time, "2025-03-21 09:00")

    await sending.look(known(departments={"aftersales": [receiver.url("a")]}))

    (called,) = [told for told in receiver.texts("a") if "超时升级" in told]
    assert "（致何静）售后单" in called


# --- who, when, and whether at all ----------------------------------------------------------------------------------


async def test_p11_an_absent_head_is_stood_in_for_and_the_history_says_so(
    shop: Shop,
    time: Any,  # noqa: F811
    receiver: Receiver,
):
    telling = await breached(shop, time, "2025-03-21 09:00")
    async with transaction() as connection:
        await outbox.be_away(
            connection,
            staff_id="A01",
            from_on=date(2025, 3, 21),
            until_on=date(2025, 3, 21),
            stand_in="A04",
            actor="A01",
            created_at=clock.now(),
        )

    await sending.look(known(staff={"A01": [receiver.url("head")], "A04": [receiver.url("other")]}))

    assert receiver.texts("head") == [] and len(receiver.texts("other")) == 1
    assert "A01 何静不在，由A04 罗成代收" in await history(telling)


async def test_p10_a_breach_at_night_leaves_once_at_the_opening_with_its_true_time(
    shop: Shop,
    time: Any,  # noqa: F811
    receiver: Receiver,
):
    telling = await breached(shop, time, "2025-03-20 00:10")
    by_day = known(departments={"aftersales": [receiver.url("a")]})
    (rung,) = [e for e in (await telling.journal()).values() if e.entry == "refund-0.breach"]
    assert rung.due_at == at("2025-03-20 00:00"), "it is recorded at night"
    for wall in ("2025-03-20 00:11", "2025-03-20 07:59"):
        time(wall)
        await sending.look(by_day)
    assert receiver.received == []

    for wall in ("2025-03-20 08:00", "2025-03-20 08:01"):
        time(wall)
        await sending.look(by_day)

    (told,) = receiver.texts()
    assert "应在 3月19日（周三）24:00 前完成，已超时 8 小时" in told


async def test_p10_a_customers_own_quiet_hours_delay_what_they_are_told(
    shop: Shop,
    time: Any,  # noqa: F811
    mailbox: Mailbox,
):
    time("2025-03-19 19:59")
    await shop.order(email="li@example.com")
    await records.quiet("D1", "19:00-10:00", operator="C07")
    await shop.tell(shop.application())
    mails = known(customers={"email": f"mailto://127.0.0.1:{mailbox.port}?from=a@shop.example"})

    await sending.look(mails, at=at("2025-03-20 09:59"))
    assert mailbox.received == []
    await sending.look(mails, at=at("2025-03-20 10:00"))

    assert len(mailbox.received) == 1


async def test_p12_what_is_done_between_the_look_and_the_send_is_told_to_nobody(
    shop: Shop,
    time: Any,  # noqa: F811
    receiver: Receiver,
):
    telling = await breached(shop, time)
    async with transaction() as connection:  # as if the withdrawal of the decision had been lost
        await connection.execute(text("update promises set ended_at = now() where entry = 'refund-0'"))

    await sending.look(known(departments={"aftersales": [receiver.url("a")]}))

    assert receiver.received == []
    assert await states(telling, "refund-0.breach") == [("department:aftersales", "withdrawn")]
    assert "没有发送：已办理，不用再通知" in await history(telling)


async def test_p12_what_got_more_time_is_not_told_as_late(
    shop: Shop,
    time: Any,  # noqa: F811
    receiver: Receiver,
):
    telling = await breached(shop, time)
    async with transaction() as connection:
        await connection.execute(
            text("update promises set due_at = due_at + interval '3 days' where entry = 'refund-0'")
        )

    await sending.look(known(departments={"aftersales": [receiver.url("a")]}))

    assert receiver.received == [] and "没有发送：时限已改，不用再通知" in await history(telling)


async def test_num224_what_is_too_old_to_be_worth_telling_is_not_sent(
    shop: Shop,
    time: Any,  # noqa: F811
    mailbox: Mailbox,
):
    await shop.order(email="li@example.com")
    telling = await shop.tell(shop.application())

    time("2025-03-14 10:01")
    await sending.look(known(customers={"email": f"mailto://127.0.0.1:{mailbox.port}?from=a@shop.example"}))

    assert mailbox.received == [] and await states(telling, "opened") == [("customer", "withdrawn")]


# --- begun by somebody who died -------------------------------------------------------------------------------------


async def test_a_send_of_which_nobody_knows_the_outcome_is_sent_again_and_marked(
    shop: Shop,
    time: Any,  # noqa: F811
    receiver: Receiver,
    monkeypatch: pytest.MonkeyPatch,
):
    telling = await breached(shop, time)
    one = known(departments={"aftersales": [receiver.url("a")]})

    class Killed(BaseException):
        pass

    async def dies(*_: Any) -> str:
        raise Killed

    with monkeypatch.context() as broken:
        broken.setattr(sending, "_record", dies)
        with pytest.raises(Killed):
            while await sending._one(sending.Round(), one, None, clock.now(), lambda: None):
                pass
    assert await ledger(telling, "refund-0.breach") == [("json", "sending", 1, False)]

    await sending.look(one, at=clock.now() + sending.LEASE - timedelta(seconds=1))
    assert len(receiver.received) == 1, "it may still be under way"
    for _ in range(2):
        await sending.look(one, at=clock.now() + sending.LEASE)

    first, second = receiver.texts()
    assert second == f"【可能重复】{first}", "the same notice, and its number"
    assert await ledger(telling, "refund-0.breach") == [("json", "sent", 2, True)]


async def test_several_senders_at_once_send_each_once(
    shop: Shop,
    time: Any,  # noqa: F811
    receiver: Receiver,
):
    await breached(shop, time, "2025-03-21 09:00")
    all_ = known(departments={"aftersales": [receiver.url("a")]}, staff={"A01": [receiver.url("b")]})

    await asyncio.gather(*(sending.look(all_) for _ in range(4)))

    assert len(receiver.texts("a")) == 1 and len(receiver.texts("b")) == 1


# --- customers ------------------------------------------------------------------------------------------------------


async def test_a_customer_gets_mail_about_the_case_and_no_address_is_kept(
    shop: Shop,
    time: Any,  # noqa: F811
    mailbox: Mailbox,
):
    await shop.order(email="li.xiaohong@example.com")
    telling = await shop.tell(shop.application())

    await sending.look(known(customers={"email": f"mailto://127.0.0.1:{mailbox.port}?from=a@shop.example"}))

    ((to, mail),) = mailbox.received
    assert to == ["li.xiaohong@example.com"]
    assert str(mail["Subject"]) == f"退货申请已收到（{telling.case_no}）"
    assert "我们已收到订单 D1 的退货申请" in mail.get_body(("plain", "html")).get_content()
    async with transaction() as connection:
        rows = (await connection.execute(text("select * from deliveries"))).all()
    assert "example.com" not in str(rows) and [row.state for row in rows] == ["sent"]


@pytest.mark.parametrize("said", [False, None])
async def test_trap_14_five_rounds_over_an_overdue_case_tell_each_level_once_and_try_the_dead_target_again(
    shop: Shop,
    time: Any,  # noqa: F811
    receiver: Receiver,
    monkeypatch: pytest.MonkeyPatch,
    said: bool | None,
):
    """One of the department's two targets is down: Apprise says False, or None where it would say nothing."""
    from apprise.plugins.custom_json import NotifyJSON

    telling = await at_refund(shop, time)
    both = known(
        departments={"aftersales": [receiver.url("desk"), receiver.url("down")]}, staff={"A01": [receiver.url("A01")]}
    )
    notify, tries = NotifyJSON.notify, []

    def down(plugin: Any, *what: Any, **how: Any) -> bool | None:
        if "down" not in plugin.fullpath:
            return notify(plugin, *what, **how)
        tries.append(plugin.fullpath)
        return said

    monkeypatch.setattr(NotifyJSON, "notify", down)
    for day in (20, 21, 22):
        for minute in range(5):
            time(f"2025-03-{day} 08:0{minute}")
            await escalation.look()
            await sending.look(both)
        if day == 20:
            assert await ledger(telling, "refund-0.breach") == [
                ("json", "sent", 1, False),
                ("json", "failed", 3, False),
            ]
            assert len(tries) == 3, "at once, and after one minute and two more"

    assert [text.splitlines()[0] for text in receiver.texts("desk")] == [f"已超时：{telling.case_no} 退款"]
    assert [text.splitlines()[0] for text in receiver.texts("A01")] == [f"超时升级：{telling.case_no} 退款"] * 2
    assert [await ledger(telling, f"refund-0.{rung}") for rung in ("head", "manager")] == [
        [("json", "sent", 1, False)]
    ] * 2
    (living, dead) = await ledger(telling, "refund-0.breach")
    assert living == ("json", "sent", 1, False) and dead[1] == "given_up", "no row says sent for what did not arrive"


async def test_what_a_customer_typed_is_no_markup_in_a_mail(
    shop: Shop,
    time: Any,  # noqa: F811
    mailbox: Mailbox,
):
    typed = '<img src="//e.example/p.png">'
    await shop.order(typed, email="li@example.com")
    await shop.tell({**shop.application(), "order_no": typed})
    await many(12)  # a digest, which is a table
    async with transaction() as connection:
        await connection.execute(
            text("update outbox set body = :typed where recipient = 'department:aftersales'"), {"typed": typed}
        )
    url = f"mailto://127.0.0.1:{mailbox.port}?from=a@shop.example"

    await sending.look(known(departments={"aftersales": [f"{url}&to=as@shop.example"]}, customers={"email": url}))

    told = {to: mail for (to,), mail in mailbox.received}
    assert told["li@example.com"].get_content_type() == "text/plain"
    assert f"我们已收到订单 {typed} 的退货申请" in told["li@example.com"].get_content()
    digest = told["as@shop.example"]
    assert len(digest.get_body(("plain",)).get_content().splitlines()) > 12
    shown = digest.get_body(("html",)).get_content()
    assert shown.count(html.escape(typed)) == 12 and "<img" not in shown


async def test_a_customer_is_told_in_the_order_in_which_it_happened(
    shop: Shop,
    time: Any,  # noqa: F811
    mailbox: Mailbox,
):
    await shop.order(email="li@example.com")
    telling = await shop.tell(shop.application())
    await telling.decide("review", "C08", decision="approve")
    await telling.decide("pickup", "L02", carrier="顺丰", tracking_no="SF1001")
    written = [row.subject for row in await telling.rows("outbox", "subject", "order by id")]

    await sending.look(known(customers={"email": f"mailto://127.0.0.1:{mailbox.port}?from=a@shop.example"}))

    assert len(written) >= 3 and [str(mail["Subject"]) for _, mail in mailbox.received] == written


async def test_ret11_a_customer_who_cannot_be_texted_gets_mail(
    shop: Shop,
    time: Any,  # noqa: F811
    mailbox: Mailbox,
    other_side: Running,
):
    await shop.order(email="li@example.com")
    telling = await shop.tell(shop.application())
    both = with_sms(other_side, customers={"email": f"mailto://127.0.0.1:{mailbox.port}?from=a@shop.example"})
    (row,) = await telling.rows("outbox", "id", "and entry = 'opened'")
    other_side.behave("refused", f"notice-{row.id}")

    await sending.look(both)

    assert [to for to, _ in mailbox.received] == [["li@example.com"]]
    assert await ledger(telling, "opened") == [("sms", "given_up", 1, False), ("mailto", "sent", 1, False)]
    assert await states(telling, "opened") == [("customer", "sent")]


async def test_p15_a_text_that_was_perhaps_sent_is_asked_about_and_arrives_once(
    shop: Shop,
    time: Any,  # noqa: F811
    other_side: Running,
):
    await shop.order()
    telling = await shop.tell(shop.application())
    (row,) = await telling.rows("outbox", "id", "and entry = 'opened'")
    other_side.behave("drop", f"notice-{row.id}", times=1)
    texts = with_sms(other_side)

    await sending.look(texts)
    assert await ledger(telling, "opened") == [("sms", "failed", 1, False)]
    await sending.look(texts, at=clock.now() + MINUTE)

    assert await ledger(telling, "opened") == [("sms", "sent", 2, False)]
    (booked,) = map(json.loads, other_side.sheet.read_text().splitlines())
    assert booked["to"] == "10212345678" and "我们已收到订单 D1" in booked["text"]


async def test_a_customer_without_any_address_is_told_by_people(
    shop: Shop,
    time: Any,  # noqa: F811
    receiver: Receiver,
    mailbox: Mailbox,
):
    await shop.order(phone="10212345678", email="")
    await shop.tell(shop.application())
    mail = known(
        departments={"customer_service": [receiver.url("cs")]},
        customers={"email": f"mailto://127.0.0.1:{mailbox.port}?from=a@shop.example"},
    )

    await sending.look(mail)

    (told,) = receiver.texts("cs")
    assert "发给客户的通知没有送达（没有可用的联系方式），请另行告知" in told


async def test_a_customers_mail_that_is_not_one_address_is_told_to_people_at_once(
    shop: Shop,
    time: Any,  # noqa: F811
    receiver: Receiver,
    mailbox: Mailbox,
):
    """As it may stand in a database that an earlier import filled."""
    await shop.order(email="a@x.com,b@x.com")
    telling = await shop.tell(shop.application())
    mail = known(
        departments={"customer_service": [receiver.url("cs")]},
        customers={"email": f"mailto://127.0.0.1:{mailbox.port}?from=a@shop.example"},
    )

    await sending.look(mail)

    (told,) = receiver.texts("cs")
    assert "没有送达（没有可用的联系方式：登记的邮箱不是一个邮箱地址），请另行告知" in told
    assert mailbox.received == [] and await states(telling, "opened") == [("customer", "given_up")]


async def test_a_contact_with_a_phone_alone_leaves_the_mail_of_the_order(
    shop: Shop,
    time: Any,  # noqa: F811
    mailbox: Mailbox,
):

    await shop.order(email="li@example.com")
    telling = await shop.tell(shop.application())
    contact = {"name": "李四", "phone": "13800001234"}
    await records.record(telling.case_no, records.CONTACT, operator="C07", answer=contact)

    await sending.look(known(customers={"email": f"mailto://127.0.0.1:{mailbox.port}?from=a@shop.example"}))

    assert [to for to, _ in mailbox.received] == [["li@example.com"]]
