"""
The survey of the month: who is asked about the shop as a whole, once, and what their answers set going (SVY-04, SVY-06).

1 April 2025 is a Tuesday and a working day: in its night those who got something in March are drawn.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import text

from aftersales import terms
from aftersales.gateways.channels import Channels
from aftersales.gateways.http import HttpMessages
from aftersales.rules import pages
from aftersales.settings import settings
from aftersales.store import journal, rehearsals
from aftersales.store import surveys as store
from aftersales.store.engine import transaction
from aftersales.words import Process, Scale
from tasks import audits, desks, followup, regular, sending
from tasks import surveys as asking
from tasks import visits as lists
from tests.gateways.receivers import Mailbox
from tests.killing import killed
from tests.stories.conftest import Shop
from tests.stories.notifying import known
from tests.stories.test_escalation import time
from tests.stories.test_survey import ended, survey_of
from tests.visiting import a_case, at, change, made, night, sell

__all__ = ["time"]

pytestmark = pytest.mark.usefixtures("database")

MARCH = {"ordered": "2025-02-20", "delivered": "2025-03-01"}


@pytest.fixture(autouse=True)
def home(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Where the key of links is kept."""
    monkeypatch.setenv("AFTERSALES_HOME", str(tmp_path))
    settings.cache_clear()
    yield
    settings.cache_clear()


def by_mail(mailbox: Mailbox) -> dict[str, Any]:
    """Channels that reach customers by mail alone."""
    return {"customers": {"email": f"mailto://127.0.0.1:{mailbox.port}?from=a@shop.example"}}


@pytest.fixture(autouse=True)
def mail(mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch) -> Channels:
    """Customers are reached by mail."""
    found = known(**by_mail(mailbox))
    monkeypatch.setattr(sending, "_known", found)
    return found


async def sold(*order_nos: str, **order: Any) -> None:
    """Orders of as many customers who can be written to, and whom nobody visits."""
    for order_no in order_nos:
        await sell(order_no, **{**MARCH, "customer": f"U-{order_no}", **order})
    await change("update orders set contact_email = 'li@example.com'")


async def asked() -> list[str]:
    """The orders whose buyers are asked, as they were drawn."""
    async with transaction() as connection:
        query = "select order_no from cases where process = 'survey' order by case_no"
        return list(await connection.scalars(text(query)))


async def one(columns: str, table: str) -> Any:
    """The only row of a table about the survey of the month."""
    async with transaction() as connection:
        return (await connection.execute(text(f"select {columns} from {table} where case_no like 'DC-%'"))).one()


def letters(mailbox: Mailbox) -> list[tuple[str, str]]:
    """Subject and text of what has arrived."""
    return [(each["subject"], each.get_body(("plain", "html")).get_content()) for _, each in mailbox.received]


# --- who is asked, and when -----------------------------------------------------------------------------------------


async def test_svy04_who_got_something_last_month_is_asked_on_the_first_working_day():
    await sold("O1")
    await sold("O-feb", ordered="2025-02-20", delivered="2025-02-28")
    await sold("O-apr", ordered="2025-03-30", delivered="2025-04-01 00:00")
    await sold("O-way", ordered="2025-03-30", delivered=None)
    await night("2025-03-31")
    assert await asked() == []

    told = await night("2025-04-01")

    assert told.said.endswith("；定期调查请 1 位客户评价")
    assert await asked() == ["O1"]


async def test_svy04_once_a_month_whatever_rounds_come():
    await sold("O1", "O2")
    await asyncio.gather(night("2025-04-01"), night("2025-04-01"))
    await night("2025-04-01", hour="15:00")
    await night("2025-04-02")
    assert sorted(await asked()) == ["O1", "O2"]

    await sold("O3", ordered="2025-04-02", delivered="2025-04-10")
    await night("2025-05-06")  # the first working day after the holiday

    assert sorted(await asked()) == ["O1", "O2", "O3"]


KILLED = """
import sys
from datetime import datetime
from sqlalchemy import text
from aftersales.store.engine import transaction
from tasks import followup
from tests.killing import until_one_ends

async def all_or_nobody(turn):
    async with transaction() as connection:
        asked = await connection.scalar(text("select count(*) from surveys"))
    assert asked in (0, 5), asked

until_one_ends(lambda turn: followup.look(at=datetime.fromisoformat(sys.argv[2])), after=all_or_nobody)
"""


@pytest.mark.soak
async def test_svy04_a_night_killed_between_any_two_writes_asks_all_or_nobody_and_the_next_makes_up_for_it(
    mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch
):
    """kill -9 right before and right after the first, the second … write, until one round ends (SVY-04, trap 10)."""
    await sold(*(f"O{number}" for number in range(5)))
    await sell("P1", ordered="2025-03-25", delivered="2025-03-27", customer="U-P1")  # somebody who is called
    await night("2025-03-31")
    monkeypatch.setenv("AFTERSALES_CHANNELS", json.dumps(by_mail(mailbox)))

    assert await killed(KILLED, at("2025-04-01 02:00").isoformat()) >= 8

    assert sorted(await asked()) == [f"O{number}" for number in range(5)]
    async with transaction() as connection:
        per_case = "select case_no, count(*) from surveys group by case_no"
        assert {count for _, count in await connection.execute(text(per_case))} == {1}
        assert await connection.scalar(text("select count(*) from visits")) == 1


@pytest.mark.parametrize(
    ("before", "is_asked"),
    [
        pytest.param("2025-03-28", True, id="after an outage the next night makes up for it"),
        pytest.param("2025-04-01", False, id="it was done"),
        pytest.param(None, False, id="a shop that has just begun begins with the next month"),
    ],
)
async def test_svy04_a_night_later_in_the_month(before: str | None, is_asked: bool):
    if before:
        await night(before)
    await sold("O1")

    await night("2025-04-03")

    assert await asked() == (["O1"] if is_asked else [])


@pytest.mark.parametrize(
    "why",
    [
        "opted out",
        "a guest opted out",
        "an open case",
        "an open complaint",
        "is called today",
        "was called upon",
        "was called today",
        "asked a week ago",
    ],
)
async def test_svy04_fup11_who_is_left_alone(why: str):
    await sold("O-other")
    match why:
        case "opted out":
            await sold("O1")
            await change("update customers set opted_out = true where customer_no = 'U-O1'")
        case "a guest opted out":
            await sold("O1", customer="", phone="10200000001")
            await change("insert into guests (person, opted_out) values ('p10200000001', true)")
        case "an open case":
            await sold("O1")
            await a_case("RT-1", "O1")
        case "an open complaint":
            await sold("O1")
            await a_case("CP-1", "O1", process="complaint")
        case "was called today":
            await sold("O1", ordered="2025-03-24", delivered="2025-03-26")
            await night("2025-03-31")
            await made("2025-04-01")
        case "is called today":
            await sold("O1", ordered="2025-03-25", delivered="2025-03-26")
        case "was called upon":
            await sold("O1", ordered="2025-03-24", delivered="2025-03-26")
            await night("2025-03-31")
        case _:
            await sold("O1")
            await a_case("RT-1", "O1", closed="2025-03-26")
            await change(
                "insert into surveys (case_no, order_no, state, ended_at) values ('RT-1', 'O1', 'expired', '2025-03-26')"
            )

    await night("2025-04-01")

    assert await asked() == ["O-other"]


async def test_fup11_who_is_asked_today_is_called_on_another_day():
    """The round of the same day comes again, when something more has been delivered."""
    await sold("O1")
    await night("2025-04-01")
    assert await asked() == ["O1"]
    await sell("O2", ordered="2025-03-25", delivered="2025-04-01", customer="U-O1")

    later = await night("2025-04-01", hour="15:00")

    assert [(each.due.key, each.why.value) for each in later.night.left] == [("purchase:O2", "seen_today")]
    assert [each.due.key for each in (await night("2025-04-02")).night.drawn] == ["purchase:O2"]


async def test_svy04_what_goes_wrong_keeps_nobody_from_being_called_and_comes_again(monkeypatch: pytest.MonkeyPatch):
    await sold("O1")
    await sell("O2", ordered="2025-03-25", delivered="2025-03-26", customer="U2")

    async def breaks(*how: Any, **more: Any) -> None:
        raise ValueError("no such plan")

    with monkeypatch.context() as broken:
        broken.setattr(store, "buyers", breaks)
        told = await night("2025-04-01")
    assert [each.due.key for each in told.night.drawn] == ["purchase:O2"] and len(told.lists.opened) == 1
    assert told.said.endswith("；4月不做定期调查：出错，下一个夜里再试") and await asked() == []

    await night("2025-04-02")

    assert await asked() == ["O1"]


@pytest.mark.parametrize("what", ["killed", "no lists", "two at once"])
async def test_svy04_the_first_month_of_all_survives_what_ends_its_night(monkeypatch: pytest.MonkeyPatch, what: str):
    """A shop that drew up visits before there was a survey of the month: its night ends too early, or comes twice."""
    await night("2025-03-31")
    await change("delete from settings where name = 'regular-survey'")
    await sold("O1")

    async def dies(*how: Any, **more: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as broken:
        if what == "two at once":
            await asyncio.gather(night("2025-04-01"), night("2025-04-01"))
        else:
            broken.setattr(*((regular, "look", dies) if what == "killed" else (lists, "open_lists", dies)))
            with pytest.raises(KeyboardInterrupt):
                await night("2025-04-01")
    await night("2025-04-02")

    assert await asked() == ["O1"]


async def test_svy04_those_whom_no_channel_reaches_take_nobodys_place(monkeypatch: pytest.MonkeyPatch):
    live = terms.load()
    few = live.survey.model_copy(update={"regular": live.survey.regular.model_copy(update={"customers": 3})})
    monkeypatch.setattr(followup, "current_terms", lambda: live.model_copy(update={"survey": few}))
    await sold(*(f"O{number:02}" for number in range(20)))
    await change("update orders set contact_email = '' where order_no not in ('O07', 'O11')")

    told = await night("2025-04-01")

    assert sorted(await asked()) == ["O07", "O11"] and told.said.endswith("请 2 位客户评价")


async def test_svy04_who_is_reached_by_text_is_asked_too(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sending, "_known", Channels(sms=HttpMessages("http://127.0.0.1:9", "key")))
    await sold("O1")
    await sold("O2", phone="")
    await change("update orders set contact_email = ''")

    await night("2025-04-01")

    assert await asked() == ["O1"]


async def test_svy04_a_rehearsal_asks_its_own_customers_and_no_others():
    async with transaction() as connection:
        rehearsal = await rehearsals.begin(connection, at=at("2025-03-31"), on=date(2025, 3, 31))
    await sold("O1")
    await sold("X1", rehearsal=rehearsal)

    await night("2025-04-01", rehearsal=rehearsal)
    assert await asked() == ["X1"]
    await night("2025-04-01")

    assert sorted(await asked()) == ["O1", "X1"]
    async with transaction() as connection:
        numbers = list(await connection.scalars(text("select case_no from cases order by case_no")))
    assert numbers == ["DC-20250401-0001", "DC-X-20250401-0001"]


async def test_svy04_a_shop_that_wants_it_again_begins_with_the_next_month(monkeypatch: pytest.MonkeyPatch):
    await sold("O1")
    live = terms.load()
    off = live.survey.model_copy(update={"regular": live.survey.regular.model_copy(update={"is_on": False})})
    with monkeypatch.context() as switched:
        switched.setattr(followup, "current_terms", lambda: live.model_copy(update={"survey": off}))
        await night("2025-04-01")

    await night("2025-04-18")

    assert await asked() == []


async def test_svy04_a_night_without_a_channel_is_made_up_for(monkeypatch: pytest.MonkeyPatch):
    """Somebody draws the night up by hand, from a shell that knows no channel."""
    await sold("O1")
    with monkeypatch.context() as shell:
        shell.setattr(sending, "_known", Channels())
        assert "没有设置发给客户的渠道" in (await night("2025-04-01", hour="01:00")).said
        assert "定期调查" not in (await night("2025-04-02", hour="01:00")).said, "said once"

    await night("2025-04-02")

    assert await asked() == ["O1"]


async def test_svy04_asked_eight_days_ago_is_long_ago():
    await sold("O1")
    await a_case("RT-1", "O1", closed="2025-03-24")
    await change(
        "insert into surveys (case_no, order_no, state, ended_at) values ('RT-1', 'O1', 'expired', '2025-03-24')"
    )

    await night("2025-04-01")

    assert await asked() == ["O1"]


async def test_svy04_a_person_is_asked_once_about_the_last_order():
    await sold("O1")
    await sold("O2", customer="U-O1", delivered="2025-03-04")
    await sold("G1", customer="", phone="10200000001")
    await sold("G2", customer="", phone="10200000001", delivered="2025-03-03")

    await night("2025-04-01")

    assert sorted(await asked()) == ["G2", "O2"]


async def test_svy04_no_more_than_the_shop_wants_drawn_by_lot_as_the_dry_run_says(monkeypatch: pytest.MonkeyPatch):
    live = terms.load()
    few = live.survey.model_copy(update={"regular": live.survey.regular.model_copy(update={"customers": 3})})
    monkeypatch.setattr(followup, "current_terms", lambda: live.model_copy(update={"survey": few}))
    await sold(*(f"O{number:02}" for number in range(20)))

    tried = await followup.look(at=at("2025-03-31 15:00"), on=date(2025, 4, 1), dry_run=True)
    assert await asked() == []
    late = await followup.look(at=at("2025-03-31 15:00"), on=date(2025, 4, 2), dry_run=True)
    await night("2025-04-01")

    assert await asked() == [buyer.order_no for buyer in tried.month.buyers]
    assert len(tried.month.buyers) == 3 and not late.month.buyers
    assert sorted(await asked()) != ["O00", "O01", "O02"], "by lot"


@pytest.mark.parametrize("why", ["off", "no channel"])
async def test_svy04_nobody_is_asked(monkeypatch: pytest.MonkeyPatch, why: str):
    await sold("O1")
    if why == "off":
        live = terms.load()
        off = live.survey.model_copy(update={"regular": live.survey.regular.model_copy(update={"is_on": False})})
        monkeypatch.setattr(followup, "current_terms", lambda: live.model_copy(update={"survey": off}))
    else:
        monkeypatch.setattr(sending, "_known", Channels())

    told = await night("2025-04-01")

    assert await asked() == []
    assert ("4月不做定期调查：没有设置发给客户的渠道" in told.said) is (why == "no channel")


# --- a whole life ---------------------------------------------------------------------------------------------------


async def drawn_up(time: Any, mail: Channels) -> str:
    """Somebody is asked, in the morning, when they may be written to; answers what their link holds."""
    await sold("O1")
    await night("2025-04-01")
    await asking.look(at=time("2025-04-01 02:01"))
    await sending.look(mail)
    assert (await one("state, sent_at", "surveys")) == ("sent", None), "nobody is written to at night (P-10)"
    time("2025-04-01 08:00")
    await sending.look(mail)
    await asking.look(at=time("2025-04-01 08:06"))
    return re.search(r"/s/(\S+)$", (await one("body", "outbox")).body)[1]  # type: ignore[index]


async def test_svy04_a_survey_of_the_month_is_sent_in_the_morning_and_answered(
    time: Any, mail: Channels, mailbox: Mailbox
):
    token = await drawn_up(time, mail)
    (case_no, closed_at) = await one("case_no, closed_at", "cases")
    assert case_no == "DC-20250401-0001" and closed_at is not None, "it holds up nobody else"
    ((subject, body),) = letters(mailbox)
    assert subject == f"请评价我们的商品和服务（{case_no}）" and "订单 O1" in body and "72 小时内有效" in body

    asked = await asking.read(token)
    assert asked.process is Process.SURVEY and [each.code for each in asked.questions][:2] == ["overall", "product"]
    done = await asking.answer(token, {"overall": "5", "recommend": "9", "other_need": "no", "comment": "很好"})

    assert (done.revisit_no, done.complaint_no) == ("", "")
    assert (await one("state, satisfied, score", "surveys")) == ("answered", True, Decimal("5.00"))
    async with transaction() as connection:
        entries = await journal.read(connection, case_no)
    assert not (await audits.verify()).findings
    history = pages.timeline_page(case_no, entries.values(), desks.reader(terms.load()))
    assert "| 请客户参加定期调查 | 2025-04，订单 O1 |" in history and "| 客户评价 | 满意 |" in history


async def test_svy05_somebody_dissatisfied_with_the_shop_is_called_too(time: Any, mail: Channels):
    done = await asking.answer(await drawn_up(time, mail), {"overall": "2", "other_need": "yes"})

    assert done.revisit_no.startswith("HF-") and done.complaint_no.startswith("CP-")


async def test_svy07_it_is_reminded_of_once_and_ends(time: Any, mail: Channels, mailbox: Mailbox):
    await drawn_up(time, mail)
    assert (await asking.look(at=time("2025-04-02 07:59"))).told == []

    assert (await asking.look(at=time("2025-04-02 08:00"))).reminded == ["DC-20250401-0001"]
    await sending.look(mail)
    assert "单号 DC-20250401-0001，订单 O1" in letters(mailbox)[-1][1]
    assert (await asking.look(at=time("2025-04-04 08:00"))).expired == ["DC-20250401-0001"]


async def test_p11_what_does_not_arrive_bothers_nobody(time: Any, mail: Channels, mailbox: Mailbox):
    mailbox.refused.add("li@example.com")
    await sold("O1")
    await night("2025-04-01")
    await asking.look(at=time("2025-04-01 08:00"))
    for minutes in range(0, 420, 20):
        time(f"2025-04-01 {8 + minutes // 60:02}:{minutes % 60:02}")
        await sending.look(mail)
    assert (await one("state", "outbox")) == ("given_up",)

    assert (await asking.look(at=time("2025-04-01 18:00"))).skipped == ["DC-20250401-0001"]

    async with transaction() as connection:
        told = (await connection.execute(text("select recipient from outbox"))).all()
    assert told == [("customer",)], "neither its department nor anybody else"


async def test_svy04_whom_no_channel_reaches_is_not_asked_by_phone(time: Any, mail: Channels):
    await sold("O1")
    await night("2025-04-01")
    await change("update orders set contact_email = ''")

    assert (await asking.look(at=time("2025-04-01 02:01"))).skipped == ["DC-20250401-0001"]

    async with transaction() as connection:
        assert (await connection.execute(text("select 1 from outbox"))).all() == [], "nobody is bothered"


async def test_p22_the_months_survey_locks_none_about_a_return_of_the_same_order(time: Any, mail: Channels, shop: Shop):
    time("2025-03-31 10:00")
    await shop.order("D1", age=5, email="li@example.com")
    await night("2025-03-31")
    await made()
    await night("2025-04-01")
    assert await asked() == ["D1"]
    await asking.look(at=time("2025-04-01 10:01"))

    returned = await ended(shop, sells=False)

    assert (await survey_of(returned))["state"] == "waiting"


# --- what it tells --------------------------------------------------------------------------------------------------


async def test_kpi09_it_is_no_figure_of_anybodys_cases_and_analysed_apart(time: Any, mail: Channels):
    token = await drawn_up(time, mail)
    await asking.answer(token, {"overall": "2", "product": "1", "recommend": "6", "other_need": "no", "comment": "好"})
    april = {"since": date(2025, 4, 1), "until": date(2025, 4, 30)}

    ((_, counted),) = await asking.figures(**april)
    found = await asking.analysed(**april)

    assert (counted.sent, counted.answered, counted.recommended) == (0, 0, 0)
    assert all(is_regular for is_regular, _ in found)
    ((name, revisits), _) = await asking.figures(**april, by="agent")
    assert (name, revisits.revisits) == ("定期调查", 1), "what follows from it is nobody's of the staff"
    told = {each.question: (each.scale, each.answered, each.mean, each.low) for _, each in found}
    assert told == {
        "商品质量和使用体验": (Scale.STARS5, 1, Decimal("1.00"), 1),
        "您愿意把本店推荐给朋友吗？": (Scale.NPS, 1, None, 1),
        "对本店的总体满意度": (Scale.STARS5, 1, Decimal("2.00"), 1),
        "有什么需要我们办理的吗？": (Scale.YES_NO, 1, None, 0),
        "还想说的": (Scale.TEXT, 1, None, 0),
    }
