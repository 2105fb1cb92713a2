"""
A survey's whole life: sent three minutes after the end, reminded of, answered once, and what an answer sets going.

P-22 (one a closure, none inside the lock time, none in quiet hours, none too late, none by whoever worked on the case)
and P-25 (kind words reopen nothing) stand here; a real mail server on loopback.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import text

from aftersales import clock, links
from aftersales.desk import leg as legs
from aftersales.gateways.channels import Channels
from aftersales.rules.surveys import Misanswered
from aftersales.settings import settings
from aftersales.store import cases, people, surveys
from aftersales.store.engine import transaction
from aftersales.words import Event, Stage, Unable
from tasks import audits, records, sending
from tasks import surveys as asking
from tasks.surveys import TooLate
from tests import builders
from tests.gateways.receivers import Mailbox
from tests.killing import killed
from tests.stories.conftest import Shop, Telling
from tests.stories.notifying import known
from tests.stories.test_escalation import at, time
from tests.stories.test_returns import to_refund

__all__ = ["time"]

Put = Callable[[str], datetime]
GOOD = {"overall": "5", "solved": "yes", "other_need": "no", "comment": "谢谢，很满意！"}
BAD = {"overall": "2", "solved": "no", "comment": "电话 13812345678 一直没人接"}


@pytest.fixture(autouse=True)
def home(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Where the key of links is kept."""
    monkeypatch.setenv("AFTERSALES_HOME", str(tmp_path))
    settings.cache_clear()
    yield tmp_path
    settings.cache_clear()


@pytest.fixture
def mail(mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch) -> Channels:
    """Customers are reached by mail."""
    found = known(customers={"email": f"mailto://127.0.0.1:{mailbox.port}?from=a@shop.example"})
    monkeypatch.setattr(sending, "_known", found)
    return found


@pytest.fixture
def nobody_reached(monkeypatch: pytest.MonkeyPatch) -> None:
    """There is no channel."""
    monkeypatch.setattr(sending, "_known", Channels())


async def ended(shop: Shop, order_no: str = "D1", *, sells: bool = True, **order: Any) -> Telling:
    """A return that was completed just now, of a customer with a mail address."""
    if sells:
        await shop.order(order_no, **{"email": "li@example.com", **order})
    telling = await to_refund(await shop.tell(shop.application(order_no)))
    bill = [each for each in (await telling.journal()).values() if each.kind == "bill"][-1]
    return await telling.decide("refund", "A02", amount=bill.data["total"], reference="ALI-2026-0001")


async def survey_of(telling: Telling) -> Any:
    """The survey about a case."""
    async with transaction() as connection:
        row = await surveys.of_case(connection, telling.case_no)
    assert row is not None
    return row


async def told(telling: Telling, notice: str) -> list[tuple[str, str]]:
    """State and recipient of each notice of a kind."""
    rows = await telling.rows("outbox", "state, recipient", f"and notice = '{notice}' order by id")
    return [(row.state, row.recipient) for row in rows]


async def token(telling: Telling) -> str:
    """What the customer's link holds."""
    (row,) = await telling.rows("outbox", "body", "and notice = 'NTC-20'")
    return re.search(r"/s/(\S+)$", row.body)[1]  # type: ignore[index]


async def sent(shop: Shop, time: Put, mail: Channels, **order: Any) -> Telling:
    """A return that ended at 10:00, whose survey has reached its customer at 10:03."""
    telling = await ended(shop, **order)
    await asking.look(at=time("2025-03-13 10:03"))
    await sending.look(mail)
    await asking.look(at=time("2025-03-13 10:04"))
    return telling


# --- a whole life ---------------------------------------------------------------------------------------------------


async def test_amb30_a_survey_leaves_three_minutes_after_the_end(
    shop: Shop, time: Put, mail: Channels, mailbox: Mailbox
):
    telling = await ended(shop)

    assert not (await asking.look(at=time("2025-03-13 10:02"))).told
    assert (await asking.look(at=time("2025-03-13 10:03"))).sent == [telling.case_no]
    assert not (await asking.look(at=time("2025-03-13 10:03"))).told, "not twice"
    await sending.look(mail)

    to, message = mailbox.received[-1]
    assert to == ["li@example.com"]
    assert str(message["Subject"]) == f"请评价我们的服务（{telling.case_no}）"
    body = message.get_body(("plain", "html")).get_content()
    assert "72 小时内有效" in body and links.address(f"/s/{await token(telling)}") in body.replace("=\n", "")


async def test_num208_the_customers_time_begins_when_the_survey_has_arrived(shop: Shop, time: Put, mail: Channels):
    telling = await ended(shop)
    await asking.look(at=time("2025-03-13 10:03"))
    assert (await survey_of(telling))["expires_at"] is None

    time("2025-03-13 10:40")  # the channel was down until now
    await sending.look(mail)
    await asking.look(at=time("2025-03-13 10:41"))

    row = await survey_of(telling)
    assert (row["sent_at"], row["expires_at"]) == (at("2025-03-13 10:40"), at("2025-03-16 10:40"))


async def test_p22_a_survey_waits_for_the_end_of_quiet_hours(shop: Shop, time: Put, mail: Channels, mailbox: Mailbox):
    time("2025-03-13 22:00")
    telling = await ended(shop)
    await asking.look(at=time("2025-03-13 22:03"))

    for wall in ("2025-03-13 22:04", "2025-03-14 03:00", "2025-03-14 07:59"):
        time(wall)
        await sending.look(mail)
        await asking.look(at=clock.now())
    assert not mailbox.received and (await survey_of(telling))["sent_at"] is None

    time("2025-03-14 08:00")
    await sending.look(mail)
    await asking.look(at=time("2025-03-14 08:06"))

    assert (await survey_of(telling))["expires_at"] == at("2025-03-17 08:00"), "the night is not the customer's time"


async def test_svy07_one_reminder_after_a_day_then_the_end(shop: Shop, time: Put, mail: Channels, mailbox: Mailbox):
    telling = await sent(shop, time, mail)

    assert not (await asking.look(at=time("2025-03-14 10:02"))).told
    assert (await asking.look(at=time("2025-03-14 10:03"))).reminded == [telling.case_no]
    await sending.look(mail)
    assert not (await asking.look(at=time("2025-03-16 10:02"))).told, "reminded once"
    body = mailbox.received[-1][1].get_body(("plain", "html")).get_content()
    assert "请在 3月16日（周日）10:03 前填写" in body

    assert (await asking.look(at=time("2025-03-16 10:03"))).expired == [telling.case_no]
    assert not (await asking.look(at=time("2025-04-16 10:03"))).told
    row = await survey_of(telling)
    assert (row["state"], row["satisfied"], row["next_at"]) == ("expired", None, None)


async def test_svy07_who_opts_out_after_they_were_asked_is_not_reminded(shop: Shop, time: Put, mail: Channels):
    telling = await sent(shop, time, mail)
    async with transaction() as connection:
        await connection.execute(text("update customers set opted_out = true"))

    assert not (await asking.look(at=time("2025-03-14 10:03"))).told

    assert not await told(telling, "SVY-07")
    assert (await survey_of(telling))["reminded_at"] is None
    assert (await asking.look(at=time("2025-03-16 10:03"))).expired == [telling.case_no]


async def test_p13_after_an_outage_a_survey_is_ended_and_not_reminded_of_first(shop: Shop, time: Put, mail: Channels):
    telling = await sent(shop, time, mail)

    found = await asking.look(at=time("2025-03-20 10:00"))

    assert (found.expired, found.reminded) == ([telling.case_no], [])


async def test_a_survey_is_answered(shop: Shop, time: Put, mail: Channels):
    telling = await sent(shop, time, mail)
    time("2025-03-13 12:00")

    asked = await asking.read(await token(telling))
    recorded = await asking.answer(await token(telling), GOOD)

    assert (asked.case_no, asked.too_late, [q.code for q in asked.questions][:2]) == (
        telling.case_no, "", ["solved", "overall"],
    )  # fmt: skip
    assert (recorded.revisit_no, recorded.complaint_no) == ("", "")
    row = await survey_of(telling)
    assert (row["state"], row["satisfied"], row["other_need"], row["score"], row["via"]) == (
        "answered", True, False, Decimal("5.00"), "link",
    )  # fmt: skip
    assert {"code": "overall", "scale": "stars5", "answer": "5"} in row["answers"]
    assert not (await asking.look(at=time("2025-03-20 10:00"))).told, "nobody is reminded of what is done"


async def test_p12_the_reminder_is_withdrawn_when_the_answer_comes_first(shop: Shop, time: Put, mail: Channels):
    telling = await sent(shop, time, mail)
    await asking.look(at=time("2025-03-14 10:03"))
    assert await told(telling, "SVY-07") == [("queued", "customer")]

    await asking.answer(await token(telling), GOOD)

    assert await told(telling, "SVY-07") == [("withdrawn", "customer")]
    assert not (await audits.verify()).findings


# --- what an answer sets going --------------------------------------------------------------------------------------


async def test_svy05_a_dissatisfied_answer_opens_a_second_revisit(shop: Shop, time: Put, mail: Channels):
    telling = await sent(shop, time, mail)

    recorded = await asking.answer(await token(telling), BAD)

    revisit = await Telling({}, uuid4(), story="revisit", case_no=recorded.revisit_no).again()
    assert revisit.at == "revisit-0"
    assert (await revisit.case()).facts["about"] == telling.case_no
    assert (await revisit.journal())["begun"].data["answers"] == [["问题解决得满意吗？", "否"], ["总体满意度", "2 星"]]
    assert (await telling.journal())["revisit-0"].data["revisit_no"] == recorded.revisit_no


async def test_gen10_free_text_is_in_no_journal_and_masked_where_it_is_read(
    shop: Shop, time: Put, mail: Channels, monkeypatch: pytest.MonkeyPatch
):
    telling = await sent(shop, time, mail)
    recorded = await asking.answer(await token(telling), BAD)
    shown: list[str] = []

    async def wait(self: Any, entry: str, schema: Any, summary: str, answered: Any) -> None:
        shown.append(summary)
        raise legs.Waiting(self.case_no, entry)

    monkeypatch.setattr("aftersales.desk.bare.Bare.wait", wait)
    revisit = await Telling({}, uuid4(), story="revisit", case_no=recorded.revisit_no).again()

    journals = str([await each.journal() for each in (telling, revisit)])
    assert "一直没人接" not in journals and "1234" not in journals
    assert "还想说的：电话 138\\*\\*\\*\\*5678 一直没人接" in shown[-1]
    for row in (await asking.show(telling.case_no)).answers:
        assert "13812345678" not in row[2]
    assert (await telling.journal())["survey-0"].data == {
        "answers": {"solved": "no", "overall": "2"}, "satisfied": False, "other_need": None,
    }  # fmt: skip


async def test_svy07_another_need_opens_a_new_case_and_somebody_is_told(shop: Shop, time: Put, mail: Channels):
    telling = await sent(shop, time, mail)

    recorded = await asking.answer(await token(telling), GOOD | {"other_need": "yes"})

    assert recorded.complaint_no.startswith("CP-") and not recorded.revisit_no
    async with transaction() as connection:
        new = await cases.read(connection, recorded.complaint_no)
    assert new is not None and (new.facts["about"], new.order_no, new.owner) == (
        telling.case_no, "D1", "customer_service",
    )  # fmt: skip
    (notice,) = await telling.rows("outbox", "recipient, body", "and entry = 'survey-0.need'")
    assert notice.recipient == "department:customer_service"
    assert recorded.complaint_no in notice.body


async def test_p25_a_thank_you_reopens_nothing(shop: Shop, time: Put, mail: Channels):
    telling = await sent(shop, time, mail)
    before = await telling.case()
    time("2025-03-14 09:00")

    await asking.answer(await token(telling), GOOD)

    after = await telling.case()
    assert (after.stage, after.closed_at) == (Stage.CLOSED, before.closed_at)
    assert not await telling.rows("promises", "*", "and ended_at is null")
    async with transaction() as connection:
        assert await connection.scalar(text("select count(*) from cases")) == 1


async def test_a_dissatisfied_customer_with_another_need_gets_both(shop: Shop, time: Put, mail: Channels):
    telling = await sent(shop, time, mail)

    recorded = await asking.answer(await token(telling), BAD | {"other_need": "yes"})

    assert recorded.revisit_no and recorded.complaint_no
    assert not (await audits.verify()).findings


# --- P-22: once, in time, by nobody else ----------------------------------------------------------------------------


async def test_p22_a_second_answer_is_refused_and_changes_nothing(shop: Shop, time: Put, mail: Channels):
    telling = await sent(shop, time, mail)
    await asking.answer(await token(telling), GOOD)
    before = await survey_of(telling)

    with pytest.raises(TooLate, match="已有评价，没有再登记"):
        await asking.answer(await token(telling), BAD)

    assert await survey_of(telling) == before
    assert (await asking.read(await token(telling))).too_late == "answered"


async def test_p22_of_two_answers_at_once_one_counts(shop: Shop, time: Put, mail: Channels):
    telling = await sent(shop, time, mail)
    link = await token(telling)

    ends = await asyncio.gather(*(asking.answer(link, BAD) for _ in range(5)), return_exceptions=True)

    assert sorted(type(end).__name__ for end in ends) == ["Recorded", *["TooLate"] * 4]
    async with transaction() as connection:
        assert await connection.scalar(text("select count(*) from cases where process = 'revisit'")) == 1


@pytest.mark.parametrize(
    ("wall", "is_taken"),
    [
        pytest.param("2025-03-16 10:02", True, id="the last minute"),
        pytest.param("2025-03-16 10:03", False, id="the end, though no round has come by"),
    ],
)
async def test_p22_an_answer_after_the_end_is_refused(shop: Shop, time: Put, mail: Channels, wall: str, is_taken: bool):
    telling = await sent(shop, time, mail)
    time(wall)

    if is_taken:
        await asking.answer(await token(telling), GOOD)
    else:
        with pytest.raises(TooLate, match="评价已于 3月16日（周日）10:03 截止"):
            await asking.answer(await token(telling), GOOD)

    assert ("survey-0" in await telling.journal()) is is_taken


async def test_p22_no_survey_inside_the_lock_time_of_another_case_of_the_order(shop: Shop, time: Put, mail: Channels):
    await shop.order(lines=[("SKU-1", "台灯", 3, "600.00")], email="li@example.com")
    await ended(shop, sells=False)
    time("2025-03-19 10:00")

    again = await ended(shop, sells=False)
    time("2025-03-21 10:00")
    later = await ended(shop, sells=False)

    row = await survey_of(again)
    assert (row["state"], row["next_at"]) == ("skipped", None)
    assert row["reason"].endswith("结案不到 7 天，已经调查过")
    assert (await survey_of(later))["state"] == "waiting", "what was skipped locks nothing"


async def test_p22_who_has_opted_out_is_not_asked(shop: Shop, time: Put, mail: Channels):
    await shop.order(email="li@example.com")
    async with transaction() as connection:
        await connection.execute(text("update customers set opted_out = true"))

    telling = await ended(shop, sells=False)

    assert not (await asking.look(at=time("2025-03-13 10:03"))).told
    row = await survey_of(telling)
    assert (row["state"], row["reason"]) == ("skipped", "客户已表示不愿被调查")


@pytest.mark.parametrize("how", ["by phone", "in a visit"])
async def test_p22_who_opts_out_while_it_waits_for_the_morning_is_not_written_to(
    shop: Shop, time: Put, mail: Channels, mailbox: Mailbox, how: str
):
    """Queued at night, put off to the opening; said in between, whichever way: neither link nor call."""
    time("2025-03-13 22:30")
    telling = await ended(shop)
    await asking.look(at=time("2025-03-13 22:33"))
    await sending.look(mail)
    assert await told(telling, "NTC-20") == [("queued", "customer")]
    async with transaction() as connection:
        if how == "by phone":
            await people.opt_out(connection, await people.of_order(connection, "D1"))
        else:
            await connection.execute(text("update customers set opted_out = true"))

    time("2025-03-14 08:00")
    await sending.look(mail)

    assert await told(telling, "NTC-20") == [("withdrawn", "customer")]
    assert not [letter for _, letter in mailbox.received if "评价" in letter["subject"]]
    assert (await asking.look(at=time("2025-03-14 23:00"))).skipped == [telling.case_no]
    row = await survey_of(telling)
    assert (row["state"], row["reason"]) == ("skipped", "客户已表示不愿被调查")
    assert not await telling.rows("outbox", "id", "and recipient <> 'customer'"), "nobody is asked to call them"


async def test_who_opts_out_when_it_has_arrived_may_still_answer(shop: Shop, time: Put, mail: Channels):
    telling = await ended(shop)
    await asking.look(at=time("2025-03-13 10:03"))
    await sending.look(mail)
    async with transaction() as connection:
        await connection.execute(text("update customers set opted_out = true"))

    assert not (await asking.look(at=time("2025-03-13 10:04"))).told
    await asking.answer(await token(telling), GOOD)

    assert (await survey_of(telling))["state"] == "answered"


async def test_who_opts_out_and_in_again_is_not_called_instead(shop: Shop, time: Put, mail: Channels):
    """The link was withdrawn while they wanted none."""
    telling = await ended(shop)
    await asking.look(at=time("2025-03-13 10:03"))
    async with transaction() as connection:
        await connection.execute(text("update customers set opted_out = true"))
    await sending.look(mail)
    async with transaction() as connection:
        await connection.execute(text("update customers set opted_out = false"))

    assert (await asking.look(at=time("2025-03-13 10:10"))).skipped == [telling.case_no]
    assert (await survey_of(telling))["reason"] == "客户已表示不愿被调查"


async def test_who_opts_out_before_it_has_left_is_not_asked(shop: Shop, time: Put, mail: Channels):
    telling = await ended(shop)
    async with transaction() as connection:
        await connection.execute(text("update customers set opted_out = true"))

    assert (await asking.look(at=time("2025-03-13 10:03"))).skipped == [telling.case_no]

    assert not await told(telling, "NTC-20")


@pytest.mark.parametrize("how", ["rejected", "cancelled"])
async def test_svy02_nobody_is_asked_about_a_return_that_was_not_completed(shop: Shop, how: str):
    await shop.order()
    telling = await shop.tell(shop.application())
    if how == "rejected":
        await telling.decide("review", "C08", decision="reject", reason="已过期", missing=[])
        await telling.decide("correction", "C07", decision="withdraw")
    else:
        await telling.signal(Event.CASE_CANCELLED, reason="不要了")

    assert (await telling.case()).stage.is_over
    assert not await telling.rows("surveys")


@pytest.mark.parametrize("link", ["", "x", "1", "W10.abc", "a" * 500, "../../etc/passwd"])
async def test_a_link_that_we_did_not_sign_opens_nothing(database: str, link: str):
    with pytest.raises(links.Unreadable, match="请从收到的消息里重新打开"):
        await asking.read(link)


async def test_a_link_for_something_else_opens_nothing(shop: Shop, time: Put, mail: Channels):
    telling = await sent(shop, time, mail)
    row = await survey_of(telling)

    for foreign in (
        links.sign("session", str(row["id"]), clock.now() + timedelta(days=1)),
        links.sign("survey", "abc", clock.now() + timedelta(days=1)),
        links.sign("survey", str(row["id"] + 1), clock.now() + timedelta(days=1)),
    ):
        with pytest.raises(links.Unreadable):
            await asking.answer(foreign, GOOD)


async def test_wrong_answers_change_nothing(shop: Shop, time: Put, mail: Channels):
    telling = await sent(shop, time, mail)
    before = await survey_of(telling)

    with pytest.raises(Misanswered, match="“总体满意度”还没有回答"):
        await asking.answer(await token(telling), {"solved": "no"})

    assert await survey_of(telling) == before


async def test_gen07_a_survey_keeps_the_questions_it_was_written_with(
    shop: Shop, time: Put, mail: Channels, monkeypatch: pytest.MonkeyPatch
):
    telling = await sent(shop, time, mail)
    live = asking.current_terms()
    others = live.survey.model_copy(update={"questions": live.survey.questions[:2]})
    monkeypatch.setattr(asking, "current_terms", lambda: live.model_copy(update={"survey": others}))

    asked = await asking.read(await token(telling))

    assert len(asked.questions) == len(live.survey.questions) > 2


# --- by phone -------------------------------------------------------------------------------------------------------


async def test_svy04_whom_no_channel_reaches_is_asked_by_phone(shop: Shop, time: Put, nobody_reached: None):
    telling = await ended(shop)

    assert (await asking.look(at=time("2025-03-13 10:03"))).handed == [telling.case_no]

    assert not await told(telling, "NTC-20")
    (notice,) = await telling.rows("outbox", "recipient, body", "and entry = 'survey-0.ask'")
    assert notice.recipient == "department:customer_service"
    assert f"aftersales survey record {telling.case_no} --as 工号 overall=…" in notice.body
    assert "在 3月16日（周日）10:03 前电话询问" in notice.body
    assert "发不到客户（没有设置发给客户的渠道）" in notice.body
    assert (await survey_of(telling))["asked_by"] == "staff"


async def test_svy04_what_was_said_by_phone_is_recorded(shop: Shop, time: Put, nobody_reached: None):
    telling = await ended(shop)
    await asking.look(at=time("2025-03-13 10:03"))

    recorded = await asking.record(telling.case_no, operator="C02", given={"overall": "1", "solved": "否"})

    assert recorded.revisit_no
    row = await survey_of(telling)
    assert (row["state"], row["via"], row["satisfied"]) == ("answered", "C02", False)
    assert (await telling.journal())["survey-0"].actor == "C02"
    (notice,) = await telling.rows("outbox", "state", "and entry = 'survey-0.ask'")
    assert notice.state == "withdrawn"


async def test_fup11_who_takes_the_wish_back_at_once_is_asked_by_phone_as_before(
    shop: Shop, time: Put, nobody_reached: None
):
    telling = await ended(shop)
    await asking.look(at=time("2025-03-13 10:03"))
    before = await survey_of(telling)
    for is_out in (True, False):
        await records.calls(telling.request["order_no"], operator="C02", is_out=is_out)

    assert not (await asking.look(at=time("2025-03-13 10:04"))).told

    assert await survey_of(telling) == before
    assert not await told(telling, "SVY-07")


async def test_fup11_who_wants_no_questions_any_more_is_not_asked_by_phone_either(
    shop: Shop, time: Put, nobody_reached: None
):
    telling = await ended(shop)
    await asking.look(at=time("2025-03-13 10:03"))
    time("2025-03-13 11:00")

    await records.calls(telling.request["order_no"], operator="C02", is_out=True)

    assert (await asking.look()).skipped == [telling.case_no]
    with pytest.raises(Unable, match="不调查满意度：客户已表示不愿被调查"):
        await asking.record(telling.case_no, operator="C02", given=GOOD)
    (notice,) = await telling.rows("outbox", "state", "and entry = 'survey-0.ask'")
    assert notice.state == "withdrawn"
    day = at("2025-03-13 00:00").date()
    assert (await asking.figures(since=day, until=day))[0][1].sent == 0
    assert not (await audits.verify()).findings


@pytest.mark.parametrize(
    ("operator", "sentence"),
    [
        pytest.param("C07", "办理过这次售后，不能登记自己的满意度", id="who took it in"),
        pytest.param("C08", "办理过这次售后，不能登记自己的满意度", id="who reviewed it"),
        pytest.param("A02", "不属于客户服务部", id="who paid it"),
        pytest.param("C99", "不在员工名单中", id="nobody"),
    ],
)
async def test_p22_staff_record_no_answer_about_their_own_case(
    shop: Shop, time: Put, nobody_reached: None, operator: str, sentence: str
):
    telling = await ended(shop)
    await asking.look(at=time("2025-03-13 10:03"))

    with pytest.raises(Exception, match=sentence):
        await asking.record(telling.case_no, operator=operator, given=GOOD)

    assert (await survey_of(telling))["state"] == "sent"


async def test_by_phone_before_it_has_gone_out_nothing_is_sent_any_more(shop: Shop, time: Put, mail: Channels):
    telling = await ended(shop)

    await asking.record(telling.case_no, operator="C02", given={"overall": "4"})

    assert not (await asking.look(at=time("2025-03-13 10:03"))).told
    row = await survey_of(telling)
    assert (row["asked_by"], row["sent_at"]) == ("staff", at("2025-03-13 10:00"))


async def test_p11_what_reaches_nobody_is_handed_to_staff_and_the_link_to_nobody(
    shop: Shop, time: Put, mail: Channels, mailbox: Mailbox
):
    telling = await ended(shop)
    await asking.look(at=time("2025-03-13 10:03"))
    link = await token(telling)
    mailbox.refused.add("li@example.com")
    for minutes in range(0, 420, 20):
        time(f"2025-03-13 {10 + minutes // 60:02}:{minutes % 60:02}")
        await sending.look(mail)

    assert (await asking.look(at=time("2025-03-13 18:00"))).handed == [telling.case_no]

    others = await telling.rows("outbox", "body", "and recipient <> 'customer'")
    assert any("没有送达" in row.body for row in others)
    assert not any(link in row.body for row in others)


async def test_a_survey_that_nobody_has_sent_for_a_day_is_asked_by_phone(shop: Shop, time: Put, mail: Channels):
    telling = await ended(shop)
    await asking.look(at=time("2025-03-13 10:03"))

    for wall in ("2025-03-13 10:04", "2025-03-13 15:00", "2025-03-14 10:02"):
        assert not (await asking.look(at=time(wall))).told
    assert (await asking.look(at=time("2025-03-14 10:03"))).handed == [telling.case_no]

    assert await told(telling, "NTC-20") == [("withdrawn", "customer")]
    assert not (await audits.verify()).findings


# --- a clock of its own, two at once, killed ------------------------------------------------------------------------


async def test_a_rehearsed_survey_lives_on_the_rehearsals_clock(database: str):
    from aftersales.store import rehearsals
    from tests.stories.test_rehearsal import rehearse

    (main,), watcher = await rehearse("main")
    async with transaction() as connection:
        row = await surveys.of_case(connection, main.case_no)
        assert row is not None
        due = await rehearsals.next_due(connection, row["rehearsal"], until=row["next_at"])
        assert [each.due_at for each in due] == [watcher.moments[-1] + timedelta(minutes=3)]
        await rehearsals.jump(connection, row["rehearsal"], row["next_at"])

    assert not (await asking.look(at=row["next_at"] + timedelta(days=9))).told, "no real round sees it"
    assert (await asking.look(rehearsal=row["rehearsal"], at=row["next_at"])).sent == [main.case_no]
    async with transaction() as connection:
        body = await connection.scalar(text("select body from outbox where notice = 'NTC-20'"))
        begun = await surveys.of_case(connection, main.case_no)
    assert begun is not None
    assert (begun["sent_at"], begun["expires_at"]) == (row["next_at"], row["next_at"] + timedelta(hours=72))
    recorded = await asking.answer(re.search(r"/s/(\S+)$", body)[1], BAD)  # type: ignore[index]

    assert recorded.revisit_no.startswith("HF-X")
    assert (await asking.figures(since=builders.today(), until=builders.today()))[0][1].sent == 0


async def test_p13_two_looks_at_once_send_one(shop: Shop, time: Put, mail: Channels):
    telling = await ended(shop)
    when = time("2025-03-13 10:03")

    found = await asyncio.gather(*(asking.look(at=when) for _ in range(4)))

    assert sorted(len(each.sent) for each in found) == [0, 0, 0, 1]
    assert not [each for one in found for each in one.failed]
    assert await told(telling, "NTC-20") == [("queued", "customer")]


async def test_p13_two_looks_at_once_remind_once(shop: Shop, time: Put, mail: Channels):
    telling = await sent(shop, time, mail)
    when = time("2025-03-14 10:03")

    found = await asyncio.gather(*(asking.look(at=when) for _ in range(4)))

    assert sorted(len(each.reminded) for each in found) == [0, 0, 0, 1]
    assert await told(telling, "SVY-07") == [("queued", "customer")]


async def test_p13_one_bad_survey_stops_no_other(shop: Shop, time: Put, mail: Channels):
    bad, good = await ended(shop), await ended(shop, "D2")
    async with transaction() as connection:
        await connection.execute(
            text("update surveys set terms = '{\"open_for\": 7}' where case_no = :c"), {"c": bad.case_no}
        )

    found = await asking.look(at=time("2025-03-13 10:03"))

    assert (found.sent, found.failed) == ([good.case_no], [bad.case_no])
    assert (await survey_of(bad))["next_at"] == at("2025-03-13 10:08")


KILLED = """
import sys
from datetime import datetime
from aftersales import clock
from tasks import sending, surveys
from tests.killing import until_one_ends
from tests.stories.notifying import known

what, when, token = sys.argv[2:5]
sending._known = known(customers={"email": "mailto://127.0.0.1:9?from=a@shop.example"})
clock.now = lambda case=None: datetime.fromisoformat(when)

async def look(turn):
    found = await surveys.look(at=clock.now())
    assert not found.failed, found.failed

async def answer(turn):
    try:
        await surveys.answer(token, {"overall": "1", "other_need": "yes"})
    except surveys.TooLate:
        pass

until_one_ends(look if what == "look" else answer)
"""


@pytest.mark.soak
async def test_p13_killed_between_any_two_writes_a_survey_is_sent_once(shop: Shop, time: Put, mail: Channels):
    tellings = [await ended(shop), await ended(shop, "D2")]

    assert await killed(KILLED, "look", time("2025-03-13 10:03").isoformat(), "-") >= 6

    for telling in tellings:
        assert await told(telling, "NTC-20") == [("queued", "customer")]
        assert (await survey_of(telling))["state"] == "sent"
    assert not (await audits.verify()).findings


async def test_p13_killed_between_any_two_writes_an_answer_counts_once_or_not_at_all(
    shop: Shop, time: Put, mail: Channels
):
    telling = await sent(shop, time, mail)

    when = time("2025-03-13 12:00").isoformat()
    assert await killed(KILLED, "answer", when, await token(telling)) >= 20

    assert (await survey_of(telling))["state"] == "answered"
    async with transaction() as connection:
        rows = (await connection.execute(text("select process, count(*) from cases group by 1 order by 1"))).all()
    assert [tuple(row) for row in rows] == [("complaint", 1), ("returns", 1), ("revisit", 1)]
    assert not (await audits.verify()).findings


# --- figures --------------------------------------------------------------------------------------------------------


async def test_kpi09_kpi44_figures_by_period_agent_and_team(shop: Shop, time: Put, mail: Channels):
    first = await sent(shop, time, mail)
    await asking.answer(await token(first), GOOD | {"overall": "4"})
    for order_no, overall in (("D2", "1"), ("D3", None)):
        time("2025-03-14 10:00")
        telling = await ended(shop, order_no)
        await asking.look(at=time("2025-03-14 10:03"))
        await sending.look(mail)
        await asking.look(at=time("2025-03-14 10:04"))
        if overall:
            await asking.answer(await token(telling), {"overall": overall})

    ((name, all_),) = await asking.figures(since=at("2025-03-13 00:00").date(), until=at("2025-03-14 00:00").date())
    ((_, second_day),) = await asking.figures(since=at("2025-03-14 00:00").date(), until=at("2025-03-14 00:00").date())
    by_agent = await asking.figures(
        since=at("2025-03-13 00:00").date(), until=at("2025-03-14 00:00").date(), by="agent"
    )
    by_team = await asking.figures(since=at("2025-03-13 00:00").date(), until=at("2025-03-14 00:00").date(), by="team")

    assert (name, all_.sent, all_.answered, all_.csat, all_.good_share) == (
        "合计", 3, 2, Decimal("2.50"), Decimal("50.0"),
    )  # fmt: skip
    assert (all_.response_rate, all_.dissatisfied, all_.revisits) == (Decimal("66.7"), 1, 1)
    assert (second_day.sent, second_day.csat) == (2, Decimal("1.00"))
    assert [group for group, _ in by_agent] == ["C07 王小明", "合计"] and by_agent[0][1] == all_
    assert [group for group, _ in by_team] == ["客服一组", "合计"]


@pytest.mark.parametrize(
    ("result", "rate"), [("satisfied", Decimal("100.0")), ("unreached", Decimal("0.0"))], ids=["heard", "not reached"]
)
async def test_kpi41_recovery_is_told_of_the_second_revisits_that_have_ended(
    shop: Shop, time: Put, mail: Channels, result: str, rate: Decimal
):
    telling = await sent(shop, time, mail)
    recorded = await asking.answer(await token(telling), BAD)
    today = at("2025-03-13 00:00").date()
    ((_, before),) = await asking.figures(since=today, until=today)

    revisit = await Telling({}, uuid4(), story="revisit", case_no=recorded.revisit_no).again()
    while revisit.at:
        await revisit.decide("revisit", "C02", result=result, note="已回访")

    ((_, after),) = await asking.figures(since=today, until=today)
    assert (before.revisits, before.recovery_rate) == (1, None)
    assert (after.revisits_ended, after.recovery_rate) == (1, rate)
