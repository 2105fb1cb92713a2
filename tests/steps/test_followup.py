"""The nightly round: what it finds and draws up, once, whatever happens to it (FUP-01 to FUP-11, AMB-39; P-01)."""

from __future__ import annotations

import asyncio
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from aftersales import terms
from aftersales.desk.deployments import nightly
from aftersales.rules import clocks, visits
from aftersales.rules import lists as rules
from aftersales.store import lists as store
from aftersales.store import outbox, rehearsals
from aftersales.store.engine import transaction
from aftersales.terms import Terms
from aftersales.words import LeftOut, Unable
from tasks import followup
from tasks import visits as lists
from tasks.followup import Round
from tests.killing import killed
from tests.stories.test_escalation import time
from tests.visiting import a_case, at, change, drawn, made, night, rows, sell, states

__all__ = ["time"]

pytestmark = pytest.mark.usefixtures("database")


def why(told: Round) -> dict[str, LeftOut]:
    """Key → why it is left out."""
    return {each.due.key: each.why for each in told.night.left}


def with_(monkeypatch: pytest.MonkeyPatch, **changes: Any) -> Terms:
    """Let the round go by other terms."""
    live = terms.load()
    other = live.model_copy(
        update={
            "followup": live.followup.model_copy(update={k: v for k, v in changes.items() if k != "timezone"}),
            "house": live.house.model_copy(update={k: v for k, v in changes.items() if k == "timezone"}),
        }
    )
    monkeypatch.setattr(followup, "current_terms", lambda: other)
    return other


# --- what is found --------------------------------------------------------------------------------------------------


async def test_fup01_a_buyer_is_visited_a_week_after_the_purchase():
    await sell("O1", ordered="2025-03-05", delivered="2025-03-07")

    assert (await night("2025-03-11")).night.drawn == []
    told = await night("2025-03-12")

    assert [each.due.key for each in told.night.drawn] == ["purchase:O1"]
    (row,) = await rows()
    assert (row.kind, row.state, row.agent, row.owner, row.rule) == (
        "purchase", "listed", "C02", "customer_service", "FUP-01",
    )  # fmt: skip
    assert (row.due_on, row.order_no, row.case_no, row.rehearsal) == (date(2025, 3, 12), "O1", None, None)
    assert row.customer_id is not None and row.created_at == at("2025-03-12 02:00")


@pytest.mark.parametrize(
    ("ordered", "delivered", "on"),
    [
        pytest.param("2025-03-05 00:00", "2025-03-07", "2025-03-12", id="bought in the first minute of the day"),
        pytest.param("2025-03-05 23:59", "2025-03-07", "2025-03-12", id="bought in its last minute"),
        pytest.param("2025-03-05", "2025-03-12 23:59", "2025-03-12", id="delivered on the day itself"),
        pytest.param("2025-03-05", "2025-03-13 00:00", "2025-03-13", id="AMB-39 delivered the day after"),
        pytest.param("2025-01-20", "2025-03-12", "2025-03-12", id="AMB-39 delivered two months after"),
    ],
)
async def test_fup01_on_its_day_and_not_before(ordered: str, delivered: str, on: str):
    await sell("O1", ordered=ordered, delivered=delivered)
    before = date.fromisoformat(on) - timedelta(days=1)

    assert (await night(str(before))).night.drawn == []
    assert len((await night(on)).night.drawn) == 1


async def test_amb39_an_order_of_two_parcels_waits_for_the_second():
    await sell("O1", ordered="2025-03-03", delivered=None, parcels=("2025-03-05", None))

    told = await night("2025-03-12")

    assert told.night.drawn == [] and told.undelivered == (1, ["O1"])
    assert ("订单还没有全部签收，签收后再排", "1", "订单 O1") in told.left_out()

    await change("update order_lines set delivered_at = :at", at=at("2025-03-17"))
    assert (await night("2025-03-17")).night.drawn
    assert (await night("2025-03-18")).undelivered == (0, [])


async def test_fup01_what_went_back_is_not_asked_about():
    await sell("O1", ordered="2025-03-05", delivered="2025-03-07", warranty=12)
    await change(
        "insert into units (line_id, first_unit, end_unit, case_no, process, state)"
        " select id, 0, 1, 'RT-1', 'returns', 'settled' from order_lines"
    )

    assert (await night("2025-03-12")).night.drawn == []
    assert (await night("2025-04-07")).night.drawn == []
    await change("update units set process = 'exchanges'")
    assert [each.due.key for each in (await night("2025-05-07")).night.drawn] == [await use("2025-05")]


async def test_fup02_users_are_asked_each_month_while_under_warranty():
    await sell("O1", ordered="2025-01-02", delivered="2025-01-09", warranty=3)
    months = []
    day = date(2025, 2, 1)

    while day < date(2025, 4, 15):
        months += [(each.due.key, str(day)) for each in (await night(str(day))).night.drawn]
        await made()
        day += timedelta(days=1)

    # 9 February and 9 March are Sundays; on 9 April the warranty has ended
    assert months == [(await use("2025-02"), "2025-02-10"), (await use("2025-03"), "2025-03-10")]


async def use(month: str) -> str:
    """The key of a month's visit of the only customer."""
    async with transaction() as connection:
        from sqlalchemy import text

        return f"use:{await connection.scalar(text('select id from customers'))}:{month}"


@pytest.mark.parametrize(
    ("delivered", "on"),
    [
        pytest.param("2025-01-31", "2025-02-28", id="the 31st, in February"),
        pytest.param("2024-10-31", "2025-04-30", id="the 31st, in April"),
        pytest.param("2023-08-30", "2024-02-29", id="the 30th, in a leap year's February"),
        pytest.param("2024-02-29", "2025-02-28", id="the leap day, a year later"),
        pytest.param("2025-01-31", "2025-03-31", id="the 31st comes back"),
    ],
)
async def test_fup02_month_ends(delivered: str, on: str):
    await sell("O1", ordered=delivered, delivered=delivered, warranty=24)
    # as if the night before had been drawn up
    before = (date.fromisoformat(on) - timedelta(days=1)).isoformat()
    await change("insert into settings values ('followup', jsonb_build_object('on', cast(:on as text)))", on=before)

    told = await night(on)

    assert [each.due.key for each in told.night.drawn] == [await use(on[:7])]


@pytest.mark.parametrize(
    ("later", "on"),
    [
        pytest.param(12, "2025-03-20", id="from what came last"),
        pytest.param(0, "2025-03-12", id="but not from what has no warranty"),
        pytest.param(1, "2025-03-12", id="nor from what is under warranty no more on its day"),
    ],
)
async def test_fup02_somebody_with_several_orders_is_asked_from_the_last_under_warranty(later: int, on: str):
    await sell("O1", ordered="2025-01-05", delivered="2025-01-12", warranty=12)
    await sell("O2", ordered="2025-01-06", delivered="2025-02-20" if later != 1 else "2025-02-11", warranty=later)
    await change("insert into settings values ('followup', '{\"on\": \"2025-03-11\"}')")

    asked = []
    for day in ("2025-03-12", "2025-03-13", "2025-03-20"):
        asked += [day for each in (await night(day)).night.drawn if each.due.kind == "use"]
        await made()

    assert asked == [on]


async def test_fup02_the_customers_wish_ends_the_visits():
    await sell("O1", ordered="2025-01-03", delivered="2025-01-10", warranty=12)
    await change("update customers set visits_until = '2025-03-09'")

    assert (await night("2025-02-10")).night.drawn
    await made()
    assert (await night("2025-03-10")).night.drawn == []


async def test_fup07_fup05_fup06_what_follows_cases():
    for number in range(1, 6):
        await sell(f"O{number}", ordered="2024-01-03", delivered="2024-01-10", customer=f"U{number}")
    await a_case("CP-1", "O1", closed="2025-03-10", process="complaint")
    await a_case("TK-1", "O2", closed="2025-03-06", process="tickets", operator="C08")
    await a_case("TK-2", "O3", closed="2025-03-11", process="tickets", facts='{"solved": false}', operator="C07")
    await a_case("TK-3", "O4", closed="2025-03-06", process="tickets", stage="cancelled")
    await a_case("TK-4", "O5", closed="2025-03-06", process="tickets", facts='{"imported": {"is_past": true}}')

    told = await night("2025-03-13")

    assert {each.due.key: each.agent for each in told.night.drawn} == {
        "complaint:CP-1": "C02", "solved:TK-1": "C08", "unsolved:TK-2": "C07",
    }  # fmt: skip
    assert {row.case_no: row.rule for row in await rows()} == {"CP-1": "FUP-07", "TK-1": "FUP-05", "TK-2": "FUP-06"}


async def test_fup09_a_channel_has_its_own_visits(monkeypatch: pytest.MonkeyPatch):
    own = terms.load().followup.model_validate(
        terms.load().followup.model_dump(mode="json")
        | {"channels": {"社交电商": {"purchase": {"after": "3 d"}}, "门店": {"purchase": {"is_on": False}}}}
    )
    with_(monkeypatch, channels=own.channels)
    for number, channel in enumerate(("官方网站", "社交电商", "门店")):
        await sell(f"O{number}", ordered="2025-03-05", delivered="2025-03-06", channel=channel, customer=f"U{number}")

    assert [each.due.order_no for each in (await night("2025-03-10")).night.drawn] == ["O1"]
    assert [each.due.order_no for each in (await night("2025-03-12")).night.drawn] == ["O0"]


async def test_a_guest_is_visited_too_and_once_under_one_telephone():
    await sell("O1", ordered="2025-03-05", delivered="2025-03-07", customer="", phone="10211112222")
    await sell("O2", ordered="2025-03-05", delivered="2025-03-07", customer="", phone="10211112222")
    await sell("O3", ordered="2025-03-05", delivered="2025-03-07", customer="", phone="")

    await night("2025-03-12")

    assert await states() == {
        "purchase:O1": "2025-03-12 C07", "purchase:O2": "merged", "purchase:O3": "2025-03-12 C02",
    }  # fmt: skip


async def guest(order_no: str, *, ordered: str = "2025-03-05", delivered: str = "2025-03-07") -> None:
    """Sell to a guest, each time under the same telephone."""
    await sell(order_no, ordered=ordered, delivered=delivered, customer="", phone="10211112222")


async def test_fup11_a_guest_is_one_person_while_a_case_of_another_order_is_open():
    await guest("O1", ordered="2024-02-05", delivered="2024-02-07")
    await a_case("RT-1", "O1")
    await guest("O2")

    assert why(await night("2025-03-12")) == {"purchase:O2": LeftOut.OPEN_CASE}


async def test_fup11_a_guest_is_one_person_on_one_day():
    await guest("O1")
    await night("2025-03-12")
    await made("2025-03-12")
    await guest("O2")

    assert why(await night("2025-03-12", hour="15:00")) == {"purchase:O2": LeftOut.SEEN_TODAY}


async def test_fup11_a_guest_is_one_person_from_day_to_day():
    await guest("O1")
    await guest("O2", ordered="2025-03-06")

    await night("2025-03-12")
    await night("2025-03-13")

    assert (await states())["purchase:O2"] == "merged"


async def test_fup10_who_called_a_guest_last_calls_again():
    await guest("O1", ordered="2025-02-05", delivered="2025-02-07")
    await night("2025-02-12")
    await made()
    await change("update visits set agent = 'C08'")
    await guest("O2")

    assert [each.agent for each in (await night("2025-03-12")).night.drawn] == ["C08"]


@pytest.mark.parametrize(
    ("ordered", "on"),
    [
        pytest.param("2025-03-15", "2025-03-21", id="a week later is a Saturday: the Friday before"),
        pytest.param("2025-03-16", "2025-03-21", id="a week later is a Sunday: the Friday before"),
        pytest.param("2025-09-25", "2025-09-30", id="a week later is a holiday: the last day before"),
    ],
)
async def test_fup01_within_a_week_though_that_ends_on_a_day_off(ordered: str, on: str):
    await sell("O1", ordered=ordered, delivered=ordered)

    assert (await night(str(date.fromisoformat(on) - timedelta(days=1)))).night.drawn == []
    assert len((await night(on)).night.drawn) == 1


# --- who is left out ------------------------------------------------------------------------------------------------


async def test_fup11_while_a_case_is_open_nobody_calls_and_then_one_call_is_for_all():
    await sell("O1", ordered="2025-03-05", delivered="2025-03-07")
    await sell("O2", ordered="2025-03-06", delivered="2025-03-07")
    await a_case("RT-1", "O2")

    assert why(await night("2025-03-12")) == {"purchase:O1": LeftOut.OPEN_CASE}
    assert why(await night("2025-03-13")) == {"purchase:O1": LeftOut.OPEN_CASE, "purchase:O2": LeftOut.OPEN_CASE}
    await change("update cases set stage = 'closed', closed_at = :at", at=at("2025-03-14"))
    told = await night("2025-03-17")

    assert [each.due.key for each in told.night.drawn] == ["purchase:O1"]
    assert (await states())["purchase:O2"] == "merged"
    (lead,) = await rows("agent is not null")
    assert [(each["key"], each["rule"], each["order_no"]) for each in lead.also] == [("purchase:O2", "FUP-01", "O2")]


async def gone_back(order_no: str) -> None:
    """Everything of an order has been sent back."""
    await change(
        "insert into units (line_id, first_unit, end_unit, case_no, process, state)"
        " select l.id, 0, 1, 'RT-1', 'returns', 'settled' from order_lines l join orders o on o.id = l.order_id"
        " where o.order_no = :order_no",
        order_no=order_no,
    )


async def test_fup01_what_became_part_of_a_visit_that_is_dropped_is_a_visit_of_its_own_again():
    """Two orders are one call; before it is made the first order goes back whole: the second is asked about."""
    await sell("O1", ordered="2025-03-05", delivered="2025-03-07")
    await sell("O2", ordered="2025-03-05", delivered="2025-03-08")
    assert [each.due.key for each in (await night("2025-03-12")).night.drawn] == ["purchase:O1"]
    await gone_back("O1")

    told = await night("2025-03-13")

    assert why(told)["purchase:O1"] is LeftOut.RETURNED
    assert [each.due.key for each in told.night.drawn] == ["purchase:O2"]
    assert await drawn("2025-03-13") == ["purchase:O2"]


async def test_fup07_nothing_becomes_part_of_a_visit_that_the_same_night_drops():
    """A visit waits behind a return of everything it is about; with its end a complaint's visit comes."""
    await sell("O1", ordered="2025-03-05", delivered="2025-03-07")
    await night("2025-03-12")
    await a_case("RT-1", "O1")
    await night("2025-03-13")
    await gone_back("O1")
    await change("update cases set stage = 'closed', closed_at = :at", at=at("2025-03-13"))
    await a_case("CP-1", "O1", closed="2025-03-11", process="complaint")

    told = await night("2025-03-14")

    assert why(told) == {"purchase:O1": LeftOut.RETURNED}
    assert [each.due.key for each in told.night.drawn] == ["complaint:CP-1"]


async def test_fup11_who_wants_no_visits_is_not_called_about_what_was_part_of_one():
    await sell("O1", ordered="2025-03-05", delivered="2025-03-07")
    await sell("O2", ordered="2025-03-05", delivered="2025-03-08")
    await night("2025-03-12")
    await change("update customers set opted_out = true")

    assert (await night("2025-03-13")).night.drawn == []
    assert await states() == {"purchase:O1": "opted_out", "purchase:O2": "merged"}


async def test_fup11_who_does_not_want_to_is_not_called():
    await sell("O1", ordered="2025-03-05", delivered="2025-03-07")
    await change("update customers set opted_out = true")

    told = await night("2025-03-12")

    assert why(told) == {"purchase:O1": LeftOut.OPTED_OUT}
    assert (await night("2025-03-13")).night.left == [], "that was the end of it"


async def test_fup11_at_most_so_many_calls_a_month(monkeypatch: pytest.MonkeyPatch):
    with_(monkeypatch, contacts_a_month=1)
    await sell("O1", ordered="2025-03-18", delivered="2025-03-19")
    await sell("O2", ordered="2025-03-20", delivered="2025-03-21")

    assert (await night("2025-03-25")).night.drawn
    await made()
    assert why(await night("2025-03-27")) == {"purchase:O2": LeftOut.TOO_OFTEN}
    assert why(await night("2025-03-31")) == {"purchase:O2": LeftOut.TOO_OFTEN}
    assert (await night("2025-04-01")).night.drawn, "another month"


@pytest.mark.parametrize(
    ("state", "later"),
    [
        pytest.param("listed", "merged", id="on a list"),
        pytest.param("done", "planned", id="done today: another day"),
    ],
)
async def test_fup11_what_comes_to_light_later_in_a_day_makes_no_second_call(state: str, later: str):
    await sell("O1", ordered="2025-03-05", delivered="2025-03-07")
    await night("2025-03-12")
    if state == "done":
        await made()
    await sell("O2", ordered="2025-03-04", delivered="2025-03-07")  # imported late

    await night("2025-03-12", hour="15:00")

    assert await drawn("2025-03-12") == ["purchase:O1"]
    assert (await states())["purchase:O2"] == later
    first, _ = await rows()
    assert [each["key"] for each in first.also] == (["purchase:O2"] if later == "merged" else [])


async def test_kpi40_what_was_due_before_the_first_round_is_due_on_its_day(time: Any):
    """A shop that begins with its orders of the last weeks has kept nobody waiting."""
    await sell("O1", ordered="2025-03-05", delivered="2025-03-07")
    time("2025-03-24 02:00")
    told = await night("2025-03-24")
    assert [(each.due.order_no, str(each.due.due_on)) for each in told.night.drawn] == [("O1", "2025-03-24")]
    assert (await night("2025-03-24")).night.drawn == []
    await made("2025-03-24")

    ((_, kept), *_) = await lists.figures(since=date(2025, 3, 24), until=date(2025, 3, 24))

    assert (kept.due, kept.in_time) == (1, 1)


async def test_kpi40_what_an_outage_has_made_late_is_late(time: Any):
    time("2025-03-04 02:00")
    await night("2025-03-04")
    await sell("O1", ordered="2025-03-05", delivered="2025-03-07")
    time("2025-03-24 02:00")
    await night("2025-03-24")
    await made("2025-03-24")

    ((_, kept), *_) = await lists.figures(since=date(2025, 3, 12), until=date(2025, 3, 12))
    assert (kept.due, kept.in_time, kept.late) == (1, 0, 1)


async def test_esc10_what_is_drawn_up_late_owes_since_it_was_due(time: Any):
    await night("2025-03-04")
    await sell("O1", ordered="2025-03-05", delivered="2025-03-07")
    time("2025-03-24 02:00")
    told = await night("2025-03-24")

    async with transaction() as connection:
        owed = rules.owed(await store.left(connection, told.lists.opened[0]), terms=terms.load())
    assert owed is not None and owed[0].due_at == at("2025-03-13 00:00")


async def test_fup11_a_call_counts_on_the_day_that_it_was_made():
    await sell("O1", ordered="2025-03-05", delivered="2025-03-07")
    await night("2025-03-12")
    await night("2025-03-13")
    await made("2025-03-13")
    await sell("O2", ordered="2025-03-06", delivered="2025-03-07")

    assert why(await night("2025-03-13", hour="15:00")) == {"purchase:O2": LeftOut.SEEN_TODAY}


@pytest.mark.parametrize(
    ("spoken", "why_not"),
    [
        pytest.param("a second revisit", {"purchase:O2": LeftOut.SEEN_TODAY}, id="a second revisit"),
        pytest.param("a survey by phone", {"purchase:O2": LeftOut.SEEN_TODAY}, id="a survey by phone"),
        pytest.param("a survey by link", {}, id="a survey by link is no call"),
    ],
)
async def test_fup11_who_was_called_today_for_another_reason_is_called_on_another_day(spoken: str, why_not: Any):
    await sell("O1", ordered="2025-01-05", delivered="2025-01-07")
    await sell("O2", ordered="2025-03-05", delivered="2025-03-07")
    if spoken == "a second revisit":
        await a_case("HF-1", "O1", process="revisit", closed="2025-03-12 09:30")
    else:
        await a_case("RT-1", "O1", closed="2025-03-11 10:00")
        await change('update cases set facts = \'{"imported": {"is_past": true}}\'')
        await change(
            "insert into surveys (case_no, order_no, state, terms, ended_at, sent_at, answered_at, via)"
            " values ('RT-1', 'O1', 'answered', '{}', '2025-03-11', '2025-03-11 10:03+08', '2025-03-12 09:30+08', :via)",
            via="link" if spoken == "a survey by link" else "C02",
        )

    told = await night("2025-03-12", hour="10:00")

    assert why(told) == why_not
    assert bool(told.night.drawn) is not bool(why_not)


async def test_fup11_a_call_counts_in_the_month_in_which_it_was_made(monkeypatch: pytest.MonkeyPatch):
    with_(monkeypatch, contacts_a_month=1)
    await sell("O1", ordered="2025-03-24", delivered="2025-03-25")
    await night("2025-03-31")
    await made("2025-04-01")
    await sell("O2", ordered="2025-03-25", delivered="2025-03-26")

    assert why(await night("2025-04-02")) == {"purchase:O2": LeftOut.TOO_OFTEN}


async def test_fup10_what_waited_too_long_is_left_out_for_good():
    await sell("O1", ordered="2025-03-05", delivered="2025-03-07")
    await a_case("RT-1", "O1")

    assert why(await night("2025-03-12")) == {"purchase:O1": LeftOut.OPEN_CASE}
    assert why(await night("2025-03-26")) == {"purchase:O1": LeftOut.OPEN_CASE}
    assert why(await night("2025-03-27")) == {"purchase:O1": LeftOut.TOO_LATE}
    assert (await night("2025-03-28")).night.left == []


async def test_what_a_shop_has_sold_before_it_had_visits_is_not_asked_about():
    await sell("O1", ordered="2024-03-05", delivered="2024-03-07")
    await sell("O2", ordered="2025-02-17", delivered="2025-02-20")

    told = await night("2025-03-12")

    assert told.night.drawn == [] and told.night.left == [] and await rows() == []


# --- who calls ------------------------------------------------------------------------------------------------------


async def test_fup10_nobody_who_is_away_is_called_upon():
    for number in range(4):
        await sell(f"O{number}", ordered="2025-03-05", delivered="2025-03-07", customer=f"U{number}")
    async with transaction() as connection:
        for agent in ("C02", "C07"):
            await outbox.be_away(
                connection, staff_id=agent, from_on=date(2025, 3, 12), until_on=date(2025, 3, 12), stand_in="",
                actor=agent, created_at=at("2025-03-11"),
            )  # fmt: skip

    told = await night("2025-03-12")

    assert {each.agent for each in told.night.drawn} == {"C08"}


async def test_fup10_where_nobody_is_there_it_waits_for_the_next_working_day():
    await sell("O1", ordered="2025-03-07", delivered="2025-03-08")
    async with transaction() as connection:
        for agent in ("C01", "C02", "C07", "C08"):
            await outbox.be_away(
                connection, staff_id=agent, from_on=date(2025, 3, 14), until_on=date(2025, 3, 14), stand_in="",
                actor=agent, created_at=at("2025-03-11"),
            )  # fmt: skip

    assert why(await night("2025-03-14")) == {"purchase:O1": LeftOut.NOBODY}
    assert (await night("2025-03-17")).night.drawn


async def test_fup10_whoever_called_a_customer_last_calls_again():
    for number in range(6):
        await sell(f"O{number}", ordered="2025-03-05", delivered="2025-03-07", customer=f"U{number}", warranty=12)
    await night("2025-03-12")
    first = {row.customer_id: row.agent for row in await rows()}
    await made()

    await night("2025-04-07")

    assert {row.customer_id: row.agent for row in await rows("kind = 'use'")} == first


# --- once, whatever happens -----------------------------------------------------------------------------------------


async def a_shop(customers: int = 12) -> None:
    """Customers with a purchase of last week, two thirds of them with something due besides."""
    for number in range(customers):
        await sell(f"O{number}", ordered="2025-03-05", delivered="2025-03-07", customer=f"U{number}")
        if number % 3:
            await sell(f"P{number}", ordered="2025-02-03", delivered="2025-02-12", customer=f"U{number}", warranty=12)
        if number % 3 == 1:
            await a_case(f"CP-{number}", f"O{number}", closed="2025-03-09", process="complaint")


async def test_a_second_round_of_a_day_and_a_late_one_change_nothing():
    await a_shop()
    await night("2025-03-12")
    before = await rows()

    again = await night("2025-03-12")
    late = await night("2025-03-12", hour="23:59")

    assert again.night.drawn == late.night.drawn == []
    assert await rows() == before
    assert len(await drawn("2025-03-12")) == 12


async def test_what_nights_without_a_round_have_left_is_drawn_up_once():
    """The machine stood still from Tuesday 11 to Friday 14 March: nothing is lost, nobody is called twice."""
    await night("2025-03-10")
    for number in range(4):
        await sell(f"O{number}", ordered=f"2025-03-0{3 + number}", delivered="2025-03-07", customer=f"U{number}")
        await sell(
            f"P{number}", ordered="2025-01-03", delivered=f"2025-02-1{number + 1}", customer=f"V{number}", warranty=12
        )

    told = await night("2025-03-14")

    assert len(told.night.drawn) == 8
    assert {row.due_on.isoformat() for row in await rows()} == {
        "2025-03-10", "2025-03-11", "2025-03-12", "2025-03-13", "2025-03-14",
    }  # fmt: skip


async def test_fup10_what_comes_on_days_off_is_drawn_up_after_them_or_before_when_it_has_a_bound():
    """A first visit is within a week of the purchase; a monthly one may wait."""
    await sell("O1", ordered="2025-03-27", delivered="2025-03-28", customer="U1")  # due on 3 April
    await sell("O2", ordered="2025-03-28", delivered="2025-03-29", customer="U2")  # on 4 April, 清明节
    await sell("P3", ordered="2025-03-01", delivered="2025-03-05", customer="U3", warranty=12)  # on 5 April

    assert [each.due.kind for each in (await night("2025-04-03")).night.drawn] == ["purchase", "purchase"]
    off = await night("2025-04-04")
    assert off.said == "4月4日（周五）是清明节，不排回访，顺延到下一个工作日"
    for day in ("2025-04-05", "2025-04-06"):
        await night(day)
    assert len(await rows()) == 2
    assert [each.due.kind for each in (await night("2025-04-07")).night.drawn] == ["use"]


async def test_two_rounds_at_once_draw_up_each_visit_once():
    await a_shop()

    both = await asyncio.gather(*(night("2025-03-12") for _ in range(3)))

    assert sorted(len(told.night.drawn) for told in both) == [0, 0, 12]
    assert len(await drawn("2025-03-12")) == 12


KILLED = """
import sys
from datetime import datetime
from tasks import followup
from tests.killing import until_one_ends

followup.AT_ONCE = 3
until_one_ends(lambda turn: followup.look(at=datetime.fromisoformat(sys.argv[2])))
"""


@pytest.mark.soak
async def test_a_round_killed_between_any_two_writes_neither_doubles_nor_loses():
    """kill -9 right before and right after the first, the second … write, in parts of three, until one round ends."""
    await a_shop(6)

    assert await killed(KILLED, at("2025-03-12 02:00").isoformat()) >= 8
    found = await rows()
    assert len(found) == 6 + 4 + 2
    made = [row for row in found if row.agent]
    assert len({row.customer_id for row in made}) == len(made) == 6
    assert sum(len(row.also) for row in made) == len(found) - 6
    agents = [row.agent for row in made]
    assert {agents.count(agent) for agent in ("C02", "C07", "C08")} == {2}


# --- P-01 -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("hour", ["01:00", "02:00", "02:30", "03:00"])
@pytest.mark.parametrize(
    "zone", ["Asia/Shanghai", "Europe/Berlin", "America/New_York", "America/Havana", "Australia/Lord_Howe", "Africa/Cairo"]
)  # fmt: skip
async def test_p01_the_night_comes_once_on_every_day_of_a_year(monkeypatch: pytest.MonkeyPatch, zone: str, hour: str):
    """As Prefect reckons it, however often its scheduler asks: on the 25-hour day and on the 23-hour day too."""
    times = await nights(with_(monkeypatch, timezone=zone, at=hour), date(2026, 1, 1), 365)

    assert [night.astimezone(ZoneInfo(zone)).date() for night in times] == [
        date(2026, 1, 1) + timedelta(days=number) for number in range(365)
    ]


async def nights(rules: Terms, first: date, days: int) -> list[datetime]:
    """When the round comes, as Prefect's scheduler lays it down: each few hours it asks for the next days."""
    from prefect.server.schemas.schedules import CronSchedule

    laid_down = CronSchedule(**nightly(rules).model_dump())
    start, end = clocks.span(first, first + timedelta(days=days - 1), house=rules.house)
    times: set[datetime] = set()
    asked = start
    while asked < end:
        times |= {night for night in await laid_down.get_dates(n=4, start=asked) if night < end}
        asked += timedelta(hours=31)
    return sorted(times)


@pytest.mark.parametrize(
    ("zone", "first", "hours"),
    [
        pytest.param("Africa/Cairo", date(2026, 4, 22), 23, id="Cairo's Friday of 23 hours"),
        pytest.param("Africa/Cairo", date(2026, 10, 27), 25, id="Cairo's Thursday of 25 hours"),
        pytest.param("Europe/Berlin", date(2026, 3, 27), 23, id="Berlin's Sunday of 23 hours"),
        pytest.param("Europe/Berlin", date(2026, 10, 23), 25, id="Berlin's Sunday of 25 hours"),
    ],
)
async def test_p01_on_both_nights_of_the_clock_each_visit_is_drawn_up_once(
    monkeypatch: pytest.MonkeyPatch, zone: str, first: date, hours: int
):
    rules = with_(monkeypatch, timezone=zone)
    rules = rules.model_copy(update={"calendars": {}})
    monkeypatch.setattr(followup, "current_terms", lambda: rules)
    days = [first + timedelta(days=number) for number in range(6)]
    lengths = {int((ends.timestamp() - begins.timestamp()) / 3600) for begins, ends in
               (clocks.span(day, day, house=rules.house) for day in days)}  # fmt: skip
    assert hours in lengths
    for number, day in enumerate(days):
        # in the last hour before midnight, where a wrong hour makes another day of it
        bought = clocks.end_of_day(day - timedelta(days=7), house=rules.house) - timedelta(minutes=30)
        wall = bought.astimezone(ZoneInfo("Asia/Shanghai")).strftime("%Y-%m-%d %H:%M")
        await sell(f"O{number}", ordered=wall, delivered=wall, customer=f"U{number}")

    for night_ in await nights(rules, first, 7):
        for late in (0, 1, 3):  # and again, and late
            await followup.look(at=night_ + timedelta(hours=late))

    found = await rows()
    assert [row.order_no for row in found] == [f"O{number}" for number in range(6)]
    assert all(row.agent for row in found if visits.is_working(days[int(row.order_no[1:])], terms=rules))
    for row in found:
        day = days[int(row.order_no[1:])]
        assert row.due_on == (
            day if visits.is_working(day, terms=rules) else visits.working_day_before(day, terms=rules)
        )


# --- rehearsals -----------------------------------------------------------------------------------------------------


async def test_real_orders_and_each_rehearsal_are_drawn_up_by_themselves():
    await sell("O1", ordered="2025-03-05", delivered="2025-03-07")
    async with transaction() as connection:
        names = [await rehearsals.begin(connection, at=at("2025-03-12 02:00"), on=date(2025, 3, 12)) for _ in range(2)]
    for number, name in enumerate(names):
        await sell(f"DX-{number}", ordered="2025-03-05", delivered="2025-03-07", customer="", rehearsal=name)

    await night("2025-03-12", rehearsal=names[0])

    assert [(row.key, row.rehearsal) for row in await rows()] == [("purchase:DX-0", names[0])]
    await night("2025-03-12")
    assert [(row.key, row.rehearsal) for row in await rows()] == [("purchase:DX-0", names[0]), ("purchase:O1", None)]
    assert [row.agent for row in await rows()] == ["C02", "C02"], "what is rehearsed is nobody's work"


# --- what people read -----------------------------------------------------------------------------------------------


async def test_the_page_says_whose_it_is_and_who_is_left_out_and_names_nobody():
    await a_shop()
    await change("update customers set opted_out = true where customer_no in ('U1', 'U2', 'U3', 'U4', 'U5')")

    page = (await night("2025-03-12")).page

    assert page.startswith("# 3月12日（周三）的回访\n\n3月12日（周三）新排 7 次回访，17 次没有排。")
    assert "| C02 刘洋 | 3 | " in page
    assert "| 客户不愿被回访 | 11 | " in page and "李\\*\\*" in page
    assert "李小红" not in page and "10212345678" not in page


async def test_fup10_a_dry_run_says_what_the_night_will_do_and_writes_nothing():
    await a_shop()
    await change("update customers set opted_out = true where customer_no = 'U1'")

    tried = await followup.look(at=at("2025-03-11 15:00"), on=date(2025, 3, 12), dry_run=True)
    assert await rows() == []
    really = await night("2025-03-12")

    assert tried.night == really.night and tried.loads == really.loads
    assert tried.left_out() == really.left_out()
    again = await followup.look(at=at("2025-03-12 15:00"), dry_run=True)
    assert again.night.drawn == [] and again.loads == really.loads


async def test_a_day_that_is_past_is_not_drawn_up():
    with pytest.raises(Unable, match="2025-03-11 已经过去"):
        await followup.look(at=at("2025-03-12 10:00"), on=date(2025, 3, 11), dry_run=True)


# --- the command ----------------------------------------------------------------------------------------------------


async def test_followup_draws_up_the_day(time: Any, aftersales: Any):
    await a_shop()
    time("2025-03-12 08:00")

    told = await aftersales("followup")
    again = await aftersales("followup")

    assert told.code == 0 and "3月12日（周三）新排 12 次回访，12 次没有排。" in told.out
    assert "C08 陈晓" in told.out and "并入同一客户的另一次回访" in told.out
    assert "新排 0 次回访" in again.out and "C08 陈晓" in again.out


async def test_followup_dry_run_of_a_day_to_come(time: Any, aftersales: Any):
    await a_shop()
    time("2025-03-10 08:00")

    told = await aftersales("followup", "--dry-run", "--date", "2025-03-12")

    assert told.code == 0 and "试排（没有写入）：3月12日（周三）新排 12 次回访" in told.out
    assert await rows() == []


async def test_fup11_a_dry_run_of_a_day_to_come_names_what_is_held_until_then(time: Any, aftersales: Any):
    """Held by an open case yesterday and today, and still tomorrow; held by the month's number until the next month."""
    await sell("O1", ordered="2025-03-18", delivered="2025-03-19")
    await a_case("RT-1", "O1")
    for number in (2, 3):
        await sell(f"O{number}", ordered=f"2025-03-{16 + number}", delivered=f"2025-03-{17 + number}", customer="U2")
    for day in ("2025-03-25", "2025-03-26"):
        await night(day)
        await made()
    await sell("O4", ordered="2025-03-21", delivered="2025-03-22", customer="U2")
    held = await night("2025-03-28")
    assert why(held) == {"purchase:O1": LeftOut.OPEN_CASE, "purchase:O4": LeftOut.TOO_OFTEN}
    time("2025-03-28 08:00")

    monday = await aftersales("followup", "--dry-run", "--date", "2025-03-31", "--all")
    tuesday = await aftersales("followup", "--dry-run", "--date", "2025-04-01", "--all")
    wednesday = await aftersales("followup", "--dry-run", "--date", "2025-04-02")

    assert monday.code == 0 and "新排 0 次回访，2 次没有排" in monday.out
    assert "新购回访（订单 O4，李**）" in monday.out and "本月已达联系次数上限" in monday.out
    assert "新购回访（订单 O1，李**）" in monday.out
    assert "新排 1 次回访，1 次没有排" in tuesday.out and "订单 O4" not in tuesday.out
    assert "新排 0 次回访，1 次没有排" in wednesday.out


async def test_fup11_each_order_that_is_on_its_way_is_named(time: Any, aftersales: Any):
    for number in range(5):
        await sell(f"W{number}", ordered="2025-03-05", delivered=None, customer=f"W{number}")
    time("2025-03-12 01:00")

    told = await aftersales("followup", "--dry-run", "--all")

    assert "5 次没有排" in told.out
    assert all(f"订单 W{number}" in told.out.partition("逐个列出")[2] for number in range(5))


async def test_fup10_what_comes_after_todays_night_is_in_tomorrows_dry_run():
    await night("2025-03-12")
    await sell("O9", ordered="2025-03-01", delivered="2025-03-04")

    tried = await followup.look(at=at("2025-03-12 15:00"), on=date(2025, 3, 13), dry_run=True)

    assert [each.due.key for each in tried.night.drawn] == ["purchase:O9"]
    assert [each.due.key for each in (await night("2025-03-13")).night.drawn] == ["purchase:O9"]


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        pytest.param(["--all"], 2, "--all 只能和 --dry-run 一起用", id="one by one without a dry run"),
        pytest.param(["--date", "2025-03-12"], 2, "--date 只能和 --dry-run 一起用", id="a day without a dry run"),
        pytest.param(["--dry-run", "--date", "明天"], 2, "--date 的值不对：“明天”不是日期", id="a day in words"),
        pytest.param(
            ["--dry-run", "--date", "2025-02-30"], 2, "--date 的值不对：“2025-02-30”不是日期", id="no such day"
        ),
        pytest.param(["--dry-run", "--date", "2025-03-10"], 1, "2025-03-10 已经过去", id="a day that is past"),
    ],
)
async def test_followup_is_told_wrongly(time: Any, aftersales: Any, words: list[str], code: int, sentence: str):
    time("2025-03-12 08:00")

    left = await aftersales("followup", *words)

    assert left.code == code and left.err.startswith(sentence) and left.err.count("\n") == 0


# --- what customers wish --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("customer", [pytest.param("U1", id="a customer"), pytest.param("", id="a guest")])
async def test_fup11_who_says_so_by_phone_is_called_no_more_until_they_want_to(
    time: Any, aftersales: Any, customer: str
):
    await sell("O1", ordered="2025-03-05", delivered="2025-03-07", customer=customer)
    time("2025-03-12 02:00")
    await night("2025-03-12")

    stopped = await aftersales("customer", "calls", "O1", "--stop", "--as", "C07")
    assert stopped.out == "已登记：不再回访和调查订单 O1 的客户，取消已排的回访 1 次。\n"
    assert await states() == {"purchase:O1": "opted_out"}
    await sell("O2", ordered="2025-03-06", delivered="2025-03-07", customer=customer)
    assert why(await night("2025-03-13")) == {"purchase:O2": LeftOut.OPTED_OUT}

    await aftersales("customer", "calls", "O1", "--resume", "--as", "C07")
    await sell("O3", ordered="2025-03-07", delivered="2025-03-08", customer=customer)
    assert [each.due.key for each in (await night("2025-03-14")).night.drawn] == ["purchase:O3"]


async def test_fup02_a_customer_names_the_last_day(time: Any, aftersales: Any):
    await sell("O1", ordered="2025-01-03", delivered="2025-01-10", warranty=1)
    time("2025-02-03 10:00")

    told = await aftersales("customer", "calls", "O1", "--until", "2025-03-10", "--as", "C07")

    assert told.out == "已登记：订单 O1 的客户，使用回访做到 2025-03-10 为止。\n"
    await night("2025-02-07")
    assert (await night("2025-02-10")).night.drawn


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        pytest.param(["O1", "--as", "C07"], "只写一个", id="no wish"),
        pytest.param(["O1", "--stop", "--resume", "--as", "C07"], "只写一个", id="two wishes"),
        pytest.param(["O9", "--stop", "--as", "C07"], "没有订单 O9", id="no such order"),
        pytest.param(["O1", "--stop", "--as", "W01"], "客户服务部", id="another department"),
        pytest.param(["O1", "--until", "2025-03-11", "--as", "C07"], "2025-03-11 已经过去", id="a day that is past"),
        pytest.param(["O1", "--until", "2025-04-11", "--as", "C07"], "是散客下的", id="a guest has no visits in use"),
    ],
)
async def test_what_is_no_wish_is_one_sentence(time: Any, aftersales: Any, words: list[str], sentence: str):
    await sell("O1", ordered="2025-03-05", delivered="2025-03-07", customer="")
    time("2025-03-12 08:00")

    left = await aftersales("customer", "calls", *words)

    assert left.code != 0 and sentence in left.err and left.err.count("\n") == 0
