"""A list of visits and a visit, each through its whole life (FUP-10, FUP-12, NUM-211, ESC-10, CMP-01)."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import date
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text

from aftersales.desk import leg as legs
from aftersales.desk.bare import Bare
from aftersales.desk.leg import FormAnswer
from aftersales.gateways.channels import Channels
from aftersales.rules import pages
from aftersales.store import people
from aftersales.store.engine import engine, transaction
from aftersales.terms.models import Rung
from aftersales.words import Event, LeftOut, Stage, Unable
from tasks import (
    absences,
    audits,
    cases,
    desks,
    escalation,
    extensions,
    gates,
    outside,
    records,
    sending,
    surveys,
    visits,
)  # fmt: skip
from tasks.cases import current_terms
from tests.gateways.receivers import Receiver
from tests.steps.test_rivals import until
from tests.stories.conftest import Shop, Telling
from tests.stories.notifying import known
from tests.stories.test_escalation import at, time
from tests.visiting import a_case, a_visit, change, night, rows, sell

__all__ = ["time"]

# a Wednesday
TODAY, TOMORROW = "2025-03-12", "2025-03-13"


@pytest.fixture(autouse=True)
def morning(shop: Shop, time: Any) -> Any:
    """The clock, at two o'clock of a Wednesday."""
    time(f"{TODAY} 02:00")
    return time


async def opened(on: str = TODAY, *, rehearsal: str | None = None) -> visits.Opened:
    """What the nightly round does with lists."""
    async with transaction() as connection:
        return await visits.open_lists(connection, date.fromisoformat(on), rehearsal=rehearsal)


async def a_list(*visit_ids: int, on: str = TODAY) -> Telling:
    """The list of the only agent who has visits, told up to its form."""
    told = await opened(on)
    (list_no,) = told.opened
    return await telling_of(list_no)


async def telling_of(list_no: str) -> Telling:
    """A list, told up to where it waits."""
    return await Telling({}, uuid4(), story="visits", case_no=list_no).again()


async def recorded(telling: Telling, visit_id: int, outcome: str, operator: str = "C07", **more: Any) -> Telling:
    """Record a visit in the list's form, and tell on."""
    note = {"note": "客户没有问题"} if outcome in ("reached", "problem") else {}
    kind = {"feedback": "quality"} if outcome == "problem" else {}
    return await telling.decide("visit", operator, visit=str(visit_id), outcome=outcome, **{**note, **kind, **more})


async def visit(visit_id: int) -> Any:
    """A visit's row."""
    (row,) = await rows(f"id = {visit_id}")
    return row


async def told_by_time(telling: Telling) -> list[tuple[str, str, str]]:
    """What the ladder has told of a list: entry, notice, state."""
    found = await telling.rows("outbox", "entry, notice, state", "and notice in ('NTC-10', 'NTC-15') order by id")
    return [(row.entry, row.notice, row.state) for row in found]


# --- a list ---------------------------------------------------------------------------------------------------------


async def test_fup10_an_agent_has_one_list_a_day_and_it_ends_when_everybody_was_called():
    first, second = await a_visit("O1"), await a_visit("O2", customer="U2")
    other = await a_visit("O3", customer="U3", agent="C08")

    told = await opened()
    mine, theirs = [await telling_of(list_no) for list_no in told.opened]

    assert mine.case_no == "HL-20250312-0001"
    case = await mine.case()
    assert (case.stage, case.operator, case.owner) == (Stage.VISIT, "C07", "customer_service")
    (promise,) = await mine.rows("promises", "due_at, rule, owner")
    assert (promise.due_at, promise.rule) == (at("2025-03-13 00:00"), "FUP-10")

    await recorded(mine, first, "reached")
    assert mine.at == "visit-1"
    await recorded(mine, second, "reached", note="很满意", feedback="praise", effect="solved")
    assert mine.result == mine.case_no
    assert (await mine.case()).stage is Stage.CLOSED
    assert (await theirs.case()).stage is Stage.VISIT
    assert [(row.state, row.outcome) for row in await rows()] == [
        ("done", "reached"), ("done", "reached"), ("listed", ""),
    ]  # fmt: skip
    assert (await visit(other)).list_no == theirs.case_no
    assert not await mine.rows("promises", "*", "and ended_at is null")


async def test_a_second_round_a_late_one_and_two_at_once_make_no_second_list(morning: Any):
    await a_visit("O1")

    both = await asyncio.gather(opened(), opened())
    morning(f"{TODAY} 15:00")
    late = await opened()

    assert sorted(len(told.opened) for told in both) == [0, 1]
    assert (late.opened, late.changed, late.ended) == ([], [], [])
    assert len(await lists()) == 1


async def test_a_round_beside_another_adds_to_the_list_that_the_other_opens():
    await a_visit("O1")
    async with transaction() as connection:
        told = await visits.open_lists(connection, date.fromisoformat(TODAY))
        await a_visit("O2", customer="U2")
        beside = asyncio.create_task(opened())
        async with engine().connect() as watcher:
            await until(watcher, "wait_event_type = 'Lock'", 1)

    assert await beside == visits.Opened(changed=told.opened)


async def test_what_comes_later_in_the_day_is_added_to_the_list():
    first = await a_visit("O1")
    telling = await a_list()
    late = await a_visit("O2", customer="U2")

    told = await opened()

    assert (told.opened, told.changed) == ([], [telling.case_no])
    await recorded(telling, first, "reached")
    assert telling.at == "visit-1"
    await recorded(telling, late, "reached")
    assert telling.result == telling.case_no


async def test_no_list_is_opened_on_a_day_off_and_fridays_stays_open(morning: Any):
    await a_visit("O1", due="2025-03-14")
    friday = await a_list(on="2025-03-14")
    await a_visit("O2", due="2025-03-15", customer="U2")

    saturday = await opened("2025-03-15")

    assert saturday == visits.Opened()
    assert (await friday.again()).at == "visit-0"


async def test_fup10_what_is_left_at_the_end_of_the_day_stands_on_the_next_list_of_the_same_agent(morning: Any):
    done, left = await a_visit("O1"), await a_visit("O2", customer="U2")
    telling = await a_list()
    await recorded(telling, done, "reached")
    morning(f"{TOMORROW} 02:00")

    told = await opened(TOMORROW)

    assert told.ended == [telling.case_no]
    await telling.again()
    assert telling.result == telling.case_no
    assert (await telling.case()).stage is Stage.CLOSED
    (next_no,) = told.opened
    row = await visit(left)
    assert (row.list_no, row.agent, str(row.due_on), row.state) == (next_no, "C07", TODAY, "listed")
    following = await telling_of(next_no)
    assert following.at == "visit-0"
    assert not (await audits.verify()).findings


async def test_fup10_what_an_absent_agent_has_left_goes_to_another(morning: Any):
    left = await a_visit("O1")
    await a_list()
    morning(f"{TOMORROW} 02:00")
    await absences.away("C07", date(2025, 3, 13), date(2025, 3, 14))

    told = await opened(TOMORROW)

    row = await visit(left)
    assert (row.agent, row.list_no) == ("C02", told.opened[0])


async def test_a_list_of_a_rehearsal_has_a_number_of_its_own_and_ends_no_real_one():
    async with transaction() as connection:
        await connection.execute(text("insert into rehearsals (id, now_at) values ('r1', now())"))
    await a_visit("O1")
    await a_visit("O2", rehearsal="r1", customer="U2")

    real, rehearsed = await opened(), await opened(rehearsal="r1")

    assert real.opened == ["HL-20250312-0001"]
    assert rehearsed.opened == ["HL-X-20250312-0001"]


async def test_fup10_the_nightly_round_puts_what_it_draws_up_on_lists_and_ends_those_of_the_day_before():
    await sell("O1", ordered="2025-03-05", delivered="2025-03-07")
    await sell("O2", ordered="2025-03-06", delivered="2025-03-07", customer="U2")

    first = await night(TODAY)
    again = await night(TODAY)
    second = await night(TOMORROW)

    (drawn,) = first.night.drawn
    assert len(first.lists.opened) == 1 and again.lists == visits.Opened()
    assert second.lists.ended == first.lists.opened
    found = {row.order_no: row for row in await rows()}
    assert (found["O1"].agent, str(found["O1"].due_on), str(found["O1"].promised_on)) == (drawn.agent, TODAY, TODAY)
    assert {row.state for row in found.values()} == {"listed"}
    assert {row.list_no for row in found.values()} == set(second.lists.opened)


async def test_p05_that_a_calendar_is_missing_is_told_once_whichever_list_a_visit_stands_on(morning: Any):
    """The ladder of 31 December goes on in a year without calendar."""
    first, _ = await a_visit("O1", due="2026-12-31"), await a_visit("O2", due="2026-12-31", customer="U2")
    morning("2026-12-31 02:00")
    telling = await a_list(on="2026-12-31")
    missing = "select count(*) from outbox where notice = 'NTC-24'"

    for day in ("2027-01-01 00:01", "2027-01-02 00:01"):
        morning(day)
        await escalation.look()
    async with transaction() as connection:
        assert await connection.scalar(text(missing)) == 1
        await connection.execute(text("update outbox set state = 'sent' where notice = 'NTC-24'"))
    await recorded(telling, first, "reached")
    assert telling.at == "visit-1"
    morning("2027-01-02 00:05")
    await escalation.look()

    async with transaction() as connection:
        assert await connection.scalar(text(missing)) == 1


# --- nobody is called who is not to be --------------------------------------------------------------------------------


async def test_fup11_whose_case_is_opened_during_the_day_is_taken_off_the_list_until_it_is_closed(morning: Any):
    held, left = await a_visit("O1"), await a_visit("O2", customer="U2")
    telling = await a_list()
    await a_case("RT-1", "O1")

    struck = await visits.strike_off()

    assert [(list_no, each.due.order_no, each.why) for list_no, each in struck] == [
        (telling.case_no, "O1", LeftOut.OPEN_CASE)
    ]
    row = await visit(held)
    assert (row.state, row.list_no, row.agent, str(row.promised_on)) == ("planned", None, "C07", TODAY)
    assert (await visit(left)).list_no == telling.case_no
    assert await visits.strike_off() == []
    with pytest.raises(Unable, match="现在不在清单上"):
        await visits.record(held, operator="C07", answer={"outcome": "not_reached"})

    morning(f"{TOMORROW} 02:00")
    assert (await opened(TOMORROW)).opened
    assert (await visit(held)).state == "planned"
    await change(
        "update cases set stage = 'closed', closed_at = :at where case_no = 'RT-1'", at=at(f"{TOMORROW} 12:00")
    )
    morning("2025-03-14 02:00")
    await opened("2025-03-14")
    assert (await visit(held)).state == "listed"


@pytest.mark.parametrize("customer", [pytest.param("U1", id="a customer"), pytest.param("", id="a guest")])
async def test_fup11_a_list_whose_last_customer_wants_no_calls_any_more_ends_and_is_not_late(
    morning: Any, customer: str
):
    called = await a_visit("O1", customer=customer)
    telling = await a_list()
    morning(f"{TODAY} 10:00")

    told = await records.calls("O1", operator="C08", is_out=True)

    assert told == "已登记：不再回访和调查订单 O1 的客户，取消已排的回访 1 次。"
    assert (await visit(called)).state == "dropped"
    await telling.again()
    assert (telling.result, (await telling.case()).stage) == (telling.case_no, Stage.CLOSED)
    morning(f"{TOMORROW} 00:01")
    await escalation.look()
    assert "NTC-10" not in {notice for _, notice, _ in await told_by_time(telling)}
    assert not (await audits.verify()).findings


async def test_fup11_two_looks_at_once_beside_a_call_end_a_list_once():
    first, _ = await a_visit("O1"), await a_visit("O2", customer="U2")
    telling = await a_list()
    await a_case("RT-1", "O1")
    await a_case("RT-2", "O2")

    one, other, call = await asyncio.gather(
        visits.strike_off(),
        visits.strike_off(),
        visits.record(first, operator="C07", answer={"outcome": "not_reached"}),
        return_exceptions=True,
    )

    assert isinstance(one, list) and isinstance(other, list)
    was_called = not isinstance(call, Unable)
    assert sorted(each.due.order_no for _, each in one + other) == (["O2"] if was_called else ["O1", "O2"])
    assert not await rows("state = 'listed'")
    assert (await telling.again()).result == telling.case_no
    decided = [entry.data.get("ended") for entry in (await telling.journal()).values() if entry.kind == "decision"]
    assert decided == ([None, True] if was_called else [True])


# --- a visit --------------------------------------------------------------------------------------------------------


async def test_fup12_who_is_not_reached_comes_back_on_the_next_working_day_three_times(morning: Any):
    """Called on Thursday, Friday and Monday; then it is over (NUM-211)."""
    called = await a_visit("O1", due=TOMORROW)
    days = [TOMORROW, "2025-03-14", "2025-03-17"]

    for tried, day in enumerate(days):
        morning(f"{day} 02:00")
        telling = await a_list(on=day)
        morning(f"{day} 10:00")
        await recorded(telling, called, "not_reached")
        assert telling.result == telling.case_no
        row = await visit(called)
        assert row.tries == tried + 1
        if tried < 2:
            assert (row.state, row.list_no, str(row.due_on)) == ("planned", None, days[tried + 1])

    assert (row.state, row.outcome, row.done_at) == ("done", "not_reached", at("2025-03-17 10:00"))
    assert str(row.promised_on) == TOMORROW
    assert [call["outcome"] for call in row.data["calls"]] == ["not_reached"] * 3
    morning("2025-03-18 02:00")
    assert (await opened("2025-03-18")).opened == []


async def test_fup12_a_problem_opens_a_complaint_about_the_old_case(shop: Shop):
    await a_visit("O0", customer="U9", agent=None)
    await a_case("RT-1", "O0", closed="2025-03-05")
    called = await a_visit("O0", kind="return", case_no="RT-1")
    telling = await a_list()

    await recorded(telling, called, "problem", note="又坏了，电话 13812345678", measure="已登记")

    row = await visit(called)
    assert (row.state, row.outcome) == ("done", "problem")
    (complaint,) = [case for case in await complaints()]
    assert (complaint.order_no, complaint.facts["about"], complaint.owner) == ("O0", "RT-1", "customer_service")
    assert row.data["complaint_no"] == complaint.case_no
    said = (await telling.journal())["visit-0"].data
    assert said["complaint_no"] == complaint.case_no and said["feedback"] == "quality"
    assert "13812345678" not in str(said)
    old = await Telling({}, uuid4(), case_no="RT-1").journal()
    assert old[f"complaint-visit-{called}"].data == {"complaint_no": complaint.case_no}
    (notice,) = await telling.rows("outbox", "recipient, body")
    assert notice.recipient == "department:customer_service"
    assert complaint.case_no in notice.body and "13812345678" not in notice.body


async def test_cmp08_an_open_complaint_bars_no_visit_and_once_done_is_asked_about(morning: Any):
    await sell("O1", ordered="2025-03-05", delivered="2025-03-07", warranty=12)
    told = await night(TODAY)
    (called,) = await rows()
    telling = await telling_of(told.lists.opened[0])
    await recorded(telling, called.id, "problem", operator=called.agent)
    (complaint,) = await complaints()

    morning("2025-04-07 02:00")
    assert [each.due.kind for each in (await night("2025-04-07")).night.drawn] == ["use"]

    told_done = await records.end_complaint(
        complaint.case_no, operator="C07", note="已补发，电话 13812345678", is_solved=True
    )
    assert told_done == f"{complaint.case_no} 已办结（已解决），之后的回访由每天凌晨的回访巡检排出。"
    said = (await Telling({}, uuid4(), case_no=complaint.case_no).journal())["closed"].data
    assert said["note"].startswith("已补发") and "13812345678" not in str(said)
    (use,) = await rows("kind = 'use'")
    await recorded(await telling_of(use.list_no), use.id, "reached", operator=use.agent)
    morning("2025-04-10 02:00")
    await night("2025-04-10")
    assert [row.case_no for row in await rows("kind = 'complaint' and agent is not null")] == [complaint.case_no]


async def test_svy02_cmp08_a_complaint_that_was_solved_is_asked_about(morning: Any, monkeypatch: pytest.MonkeyPatch):
    """By phone, since no channel reaches its customer; by nobody who worked on it (P-22)."""
    monkeypatch.setattr(sending, "_known", Channels())
    called = await a_visit("O1")
    await recorded(await a_list(), called, "problem")
    (complaint,) = await complaints()
    await records.end_complaint(complaint.case_no, operator="C08", note="已补发", is_solved=True)

    assert (await surveys.look(at=morning(f"{TODAY} 02:03"))).handed == [complaint.case_no]
    telling = Telling({}, uuid4(), case_no=complaint.case_no)
    asked = [row.body for row in await telling.rows("outbox", "body", "and entry = 'survey-0.ask'")]
    assert len(asked) == 1 and asked[0].startswith(f"投诉 {complaint.case_no} 已办完，满意度调查发不到客户")
    with pytest.raises(Unable, match="C08 陈晓 办理过这次售后，不能登记自己的满意度"):
        await surveys.record(complaint.case_no, operator="C08", given={"overall": "1"})

    told = await surveys.record(complaint.case_no, operator="C02", given={"overall": "1", "other_need": "yes"})

    assert told.revisit_no.startswith("HF-") and told.complaint_no.startswith("CP-")
    await records.end_complaint(told.complaint_no, operator="C08", note="已补发", is_solved=True)
    with pytest.raises(Unable, match="没有满意度调查"):
        await surveys.show(told.complaint_no)  # AMB-40: no third survey


async def test_svy02_a_complaint_that_was_not_solved_is_not_asked_about_by_a_survey():
    called = await a_visit("O1")
    await recorded(await a_list(), called, "problem")
    (complaint,) = await complaints()
    await records.end_complaint(complaint.case_no, operator="C08", note="厂家停产", is_solved=False)

    with pytest.raises(Unable, match="没有满意度调查：只调查在本系统办完的退货和解决了的投诉"):
        await surveys.show(complaint.case_no)


async def test_fup06_a_complaint_that_was_not_solved_is_asked_about_every_two_days(morning: Any):
    called = await a_visit("O1")
    await recorded(await a_list(), called, "problem")
    (complaint,) = await complaints()
    await records.end_complaint(complaint.case_no, operator="C02", note="厂家停产", is_solved=False)

    morning("2025-03-14 02:00")
    told = await night("2025-03-14")

    assert [each.due.key for each in told.night.drawn] == [f"unsolved:{complaint.case_no}"]


@pytest.mark.parametrize(
    ("number", "operator", "note", "sentence"),
    [
        pytest.param("CP-20250312-9999", "C07", "好了", "没有售后单", id="no such complaint"),
        pytest.param("HL-20250312-0001", "C07", "好了", "不是投诉单", id="another case"),
        pytest.param("CP-20250312-0001", "W01", "好了", "不属于客户服务部", id="another department"),
        pytest.param("CP-20250312-0001", "C07", "  ", "办理结果没有内容", id="nothing said"),
    ],
)
async def test_cmp08_what_ends_no_complaint_is_refused(number: str, operator: str, note: str, sentence: str):
    called = await a_visit("O1")
    await recorded(await a_list(), called, "problem")

    with pytest.raises(Unable, match=sentence):
        await records.end_complaint(number, operator=operator, note=note, is_solved=True)

    assert [case.closed_at for case in await complaints()] == [None]


async def test_cmp08_a_complaint_is_done_once():
    called = await a_visit("O1")
    await recorded(await a_list(), called, "problem")
    (complaint,) = await complaints()
    await records.end_complaint(complaint.case_no, operator="C07", note="好了", is_solved=True)

    with pytest.raises(Unable, match=r"已于 .* 办结，不用再登记"):
        await records.end_complaint(complaint.case_no, operator="C02", note="好了", is_solved=True)


async def test_fup12_a_problem_after_a_purchase_names_the_order():
    called = await a_visit("O1")
    telling = await a_list()

    await recorded(telling, called, "problem")

    (complaint,) = await complaints()
    assert (complaint.order_no, complaint.facts["about"]) == ("O1", telling.case_no)


async def test_fup11_who_wants_no_calls_gets_none_any_more():
    called = await a_visit("O1")
    later = await a_visit("O2", due="2025-04-12", agent=None)
    others = await a_visit("O3", customer="U2")
    telling = await a_list()

    await recorded(telling, called, "opted_out")

    async with transaction() as connection:
        out = list(await connection.scalars(text("select opted_out from customers order by customer_no")))
    assert out == [True, False]
    assert ((await visit(later)).state, (await visit(later)).data["why"]) == ("dropped", "opted_out")
    assert (await visit(others)).state == "listed"
    assert telling.at == "visit-1"


async def test_fup11_a_guest_who_wants_no_calls_gets_none_any_more(morning: Any):
    guest = {"customer": "", "phone": "10211112222", "ordered": "2025-03-05", "delivered": "2025-03-07"}
    await sell("O1", **guest)
    told = await night(TODAY)
    (called,) = await rows()
    await recorded(await telling_of(told.lists.opened[0]), called.id, "opted_out", operator=called.agent)
    await sell("O2", **{**guest, "ordered": "2025-03-06"})
    await sell("O3", **{**guest, "ordered": "2025-03-06", "phone": "10233334444"})

    morning(f"{TOMORROW} 02:00")
    told = await night(TOMORROW)

    assert [each.due.key for each in told.night.drawn] == ["purchase:O3"]
    assert [(each.due.key, each.why.value) for each in told.night.left] == [("purchase:O2", "opted_out")]
    async with transaction() as connection:
        assert [await people.is_opted_out(connection, number) for number in ("O1", "O2", "O3")] == [True, True, False]


async def test_fup06_what_became_part_of_another_visit_and_is_not_solved_is_asked_about_again(morning: Any):
    called = await a_visit("O1")
    await recorded(await a_list(), called, "problem")
    (complaint,) = await complaints()
    await records.end_complaint(complaint.case_no, operator="C02", note="厂家停产", is_solved=False)
    await sell("O2", ordered="2025-03-06", delivered="2025-03-07")
    for day in (TOMORROW, "2025-03-14"):
        morning(f"{day} 02:00")
        told = await night(day)
    (open_,) = await rows("state = 'listed'")
    assert (open_.kind, open_.also[-1]["kind"]) == ("purchase", "unsolved")

    await recorded(await telling_of(told.lists.opened[0]), open_.id, "reached", operator=open_.agent)

    (again,) = await rows("state = 'planned'")
    assert (again.key, again.case_no, str(again.due_on)) == (
        f"unsolved:{complaint.case_no}#2", complaint.case_no, "2025-03-18",
    )  # fmt: skip


async def left_over(morning: Any) -> tuple[Any, Telling]:
    """A visit that was not made on the day before, and its list."""
    await sell("O1", ordered="2025-03-05", delivered="2025-03-07")
    told = await night(TODAY)
    (called,) = await rows()
    return called, await telling_of(told.lists.opened[0])


async def test_fup11_what_is_left_waits_while_a_case_is_open_that_came_later(morning: Any):
    from tests.visiting import a_case, change

    called, _ = await left_over(morning)
    await a_case("RT-1", "O1")

    morning(f"{TOMORROW} 02:00")
    told = await night(TOMORROW)
    assert told.lists.opened == [] and [each.why.value for each in told.night.left] == ["open_case"]
    assert ((await visit(called.id)).state, (await visit(called.id)).list_no) == ("planned", None)

    await change(
        "update cases set stage = 'closed', closed_at = :at where case_no = 'RT-1'", at=at(f"{TOMORROW} 12:00")
    )
    morning("2025-03-14 02:00")
    assert len((await night("2025-03-14")).lists.opened) == 1
    assert (await visit(called.id)).state == "listed"


async def test_fup11_who_was_not_reached_is_called_again_only_if_nothing_forbids_it(morning: Any):
    called, telling = await left_over(morning)
    morning(f"{TODAY} 10:00")
    await recorded(telling, called.id, "not_reached", operator=called.agent)
    await a_case("HF-1", "O1", process="revisit")

    morning(f"{TOMORROW} 02:00")
    assert (await night(TOMORROW)).lists.opened == []


async def test_fup11_what_is_left_of_who_opted_out_since_is_dropped(morning: Any):
    called, _ = await left_over(morning)
    async with transaction() as connection:
        await people.opt_out(connection, f"c{called.customer_id}")

    morning(f"{TOMORROW} 02:00")
    assert (await night(TOMORROW)).lists.opened == []
    row = await visit(called.id)
    assert (row.state, row.data["why"]) == ("dropped", "opted_out")


async def test_fup06_what_is_still_not_solved_is_asked_about_again(morning: Any):
    await a_visit("O0", customer="U9", agent=None, due="2026-01-01")
    await a_case("TK-1", "O0", closed="2025-03-05", process="tickets", facts='{"solved": false}')
    called = await a_visit("O0", kind="unsolved", case_no="TK-1")
    telling = await a_list()

    await recorded(telling, called, "reached", effect="unsolved")

    (following,) = await rows(f"kind = 'unsolved' and id <> {called}")
    assert (following.state, str(following.due_on), following.case_no) == ("planned", "2025-03-14", "TK-1")


# --- late -----------------------------------------------------------------------------------------------------------


async def test_esc05_the_agent_whose_list_it_is_is_reminded(morning: Any, receiver: Receiver):
    """At the address of the department, by name, where they have none; whoever stands in when they are away."""
    await a_visit("O1")
    telling = await a_list()
    morning(f"{TODAY} 09:00")
    await escalation.look()
    assert [(row.entry, row.recipient) for row in await telling.rows("outbox")] == [("visit-0.reminder", "staff:C07")]

    await sending.look(known(departments={"customer_service": [receiver.url("desk")]}))

    (said,) = receiver.texts("desk")
    assert said.startswith(f"即将到期：{telling.case_no} ") and "（致王小明）" in said


async def test_esc10_what_is_late_climbs_once_on_whichever_list_it_stands(morning: Any):
    late, also_late, todays = [await a_visit(f"O{n}", customer=f"U{n}") for n in range(3)]
    first = await a_list()
    morning("2025-03-13 00:01")
    await escalation.look()
    assert await told_by_time(first) == [("visit-0.breach", "NTC-10", "queued")]
    async with transaction() as connection:
        await connection.execute(text("update outbox set state = 'sent'"))

    # the next list is as far as the last one was
    morning(f"{TOMORROW} 02:00")
    told = await opened(TOMORROW)
    await first.again()
    second = await telling_of(told.opened[0])
    (promise,) = await second.rows("promises", "due_at, rungs, rung_at", "and ended_at is null")
    assert promise.due_at == at("2025-03-13 00:00")
    await escalation.look()
    assert await told_by_time(second) == []

    # recorded or not, nobody is told a second time; the next rung is
    await recorded(second, late, "reached")
    await escalation.look()
    assert await told_by_time(second) == []
    morning("2025-03-14 00:01")
    await escalation.look()
    assert await told_by_time(second) == [("visit-1.head", "NTC-15", "queued")]

    # what is not sent yet is told of the one that is left, and of nobody when all were called
    await recorded(second, also_late, "reached")
    assert await told_by_time(second) == [("visit-1.head", "NTC-15", "withdrawn")]
    await escalation.look()
    assert await told_by_time(second) == [
        ("visit-1.head", "NTC-15", "withdrawn"), ("visit-2.head", "NTC-15", "queued"),
    ]  # fmt: skip
    await recorded(second, todays, "reached")
    assert [state for *_, state in await told_by_time(second)] == ["withdrawn", "withdrawn"]


async def test_esc10_a_rung_taken_out_behind_loses_no_other_on_the_next_list(
    morning: Any, monkeypatch: pytest.MonkeyPatch
):
    live = current_terms()
    breach, head = live.escalation.ladders["followup"]
    lead = Rung(name="lead", rule="ESC-10", notice="NTC-10", tell=["owner"], after="1 h")
    longer = {**live.escalation.ladders, "followup": [breach, lead, head]}
    with monkeypatch.context() as patch:
        changed = live.model_copy(update={"escalation": live.escalation.model_copy(update={"ladders": longer})})
        patch.setattr(cases, "current_terms", lambda: changed)
        late = await a_visit("O1")
        await a_list()
        morning("2025-03-13 01:01")
        await escalation.look()
    assert (await visit(late)).told == ["reminder", "breach", "lead"]
    async with transaction() as connection:
        await connection.execute(text("update outbox set state = 'sent'"))

    morning(f"{TOMORROW} 02:00")
    second = await telling_of((await opened(TOMORROW)).opened[0])
    morning("2025-03-14 00:01")
    await escalation.look()

    assert await told_by_time(second) == [("visit-0.head", "NTC-15", "queued")]


async def test_esc10_what_the_day_told_and_nobody_has_sent_is_told_of_the_next_list(morning: Any):
    await a_visit("O1")
    first = await a_list()
    morning("2025-03-13 00:01")
    await escalation.look()
    morning(f"{TOMORROW} 02:00")

    told = await opened(TOMORROW)
    await escalation.look()
    second = await telling_of(told.opened[0])
    await escalation.look()

    assert [state for *_, state in await told_by_time(first)] == ["withdrawn"]
    assert await told_by_time(second) == [("visit-0.breach", "NTC-10", "queued")]


async def test_esc10_visits_of_today_have_their_own_day_when_the_late_ones_are_done(morning: Any):
    late = await a_visit("O1", due="2025-03-11")
    await a_visit("O2", customer="U2")
    telling = await a_list()
    (before,) = await telling.rows("promises", "due_at")

    await recorded(telling, late, "reached")

    assert before.due_at == at("2025-03-12 00:00")
    *_, now = await telling.rows("promises", "due_at, rungs", "order by id")
    assert (now.due_at, now.rungs) == (at("2025-03-13 00:00"), 0)


async def test_esc10_who_was_called_in_vain_has_a_new_day_and_its_ladder(morning: Any):
    called = await a_visit("O1", due="2025-03-10")
    telling = await a_list()
    await escalation.look()
    assert (await visit(called)).told == ["reminder", "breach", "head"]

    await recorded(telling, called, "not_reached")

    row = await visit(called)
    assert (row.told, str(row.due_on)) == ([], TOMORROW)


# --- twice, at once, too late ---------------------------------------------------------------------------------------


async def test_a_list_told_again_after_each_call_does_nothing_twice(morning: Any):
    called = [await a_visit(f"O{n}", customer=f"U{n}") for n in range(4)]
    telling = await a_list()

    for number, outcome in enumerate(("problem", "not_reached", "opted_out", "reached")):
        await recorded(telling, called[number], outcome)
        before = await everything()
        await telling.again()
        assert await everything() == before

    assert telling.result == telling.case_no
    assert len(await complaints()) == 1


class Filled(Bare):
    """A driver whose forms somebody has filled in: gate's entry → answers."""

    def __init__(self, run_id: UUID, case_no: str, forms: dict[str, list[dict[str, Any]]]) -> None:
        super().__init__(run_id)
        self.case_no = case_no
        self.forms = forms

    async def answers(self, entry: str) -> list[FormAnswer]:
        return [
            FormAnswer(self.run_id, f"{entry}-{n}", values) for n, values in enumerate(self.forms.get(entry, []), 1)
        ]

    async def forget(self, answer: FormAnswer) -> None:
        entry, _, _ = answer.key.rpartition("-")
        self.forms[entry] = [values for values in self.forms.get(entry, []) if values != answer.values]


async def submitted(telling: Telling, **forms: Mapping[str, Any]) -> str:
    """Tell a list with what was submitted in its forms; answers where it waits then."""
    from flows.visits import visits as story

    filled = {entry.replace("_", "-"): [dict(values)] for entry, values in forms.items()}
    driver = Filled(telling.run_id, telling.case_no, filled)
    legs.begin(driver)
    try:
        await story.fn()
    except legs.Waiting as waiting:
        return waiting.gate
    assert not any(driver.forms.values()), "what was submitted is read before the list ends"
    return ""


def form(telling: Telling, visit_id: int, operator: str = "C08 陈晓") -> dict[str, Any]:
    """A filled in form of a list."""
    return {
        "gate": f"{telling.case_no} visit",
        "operator": operator,
        "visit": f"{visit_id} O1 李** 新购回访",
        "outcome": "已联系上",
        "note": "表单里的话",
        "feedback": "未填",
        "measure": "",
        "effect": "未评估",
    }


async def test_a_form_about_another_visit_counts_though_a_command_was_first():
    by_command, by_form = await a_visit("O1"), await a_visit("O2", customer="U2")
    telling = await a_list()
    await visits.record(by_command, operator="C07", answer={"outcome": "reached", "note": "命令里的话"})

    waits = await submitted(telling, visit_0=form(telling, by_form))

    assert waits == ""
    assert await decided(telling) == [("visit-0", "C07", str(by_command)), ("visit-1", "C08", str(by_form))]
    assert (await telling.case()).stage is Stage.CLOSED


async def test_a_form_that_was_taken_and_not_yet_deleted_is_not_taken_for_a_second_one():
    """The worker died between the two."""
    by_command, by_form, left = [await a_visit(f"O{n}", customer=f"U{n}") for n in range(3)]
    telling = await a_list()
    await visits.record(by_command, operator="C07", answer={"outcome": "reached", "note": "命令里的话"})

    for _ in range(2):
        assert await submitted(telling, visit_0=form(telling, by_form)) == "visit-2"

    assert [visit for *_, visit in await decided(telling)] == [str(by_command), str(by_form)]
    assert not [entry for entry in (await telling.journal()).values() if entry.kind == "late"]
    assert (await visit(left)).state == "listed"


async def test_who_is_second_with_a_visit_is_told_who_was_first():
    called, left = await a_visit("O1"), await a_visit("O2", customer="U2")
    telling = await a_list()
    await visits.record(called, operator="C07", answer={"outcome": "reached", "note": "命令里的话"})

    assert await submitted(telling, visit_0=form(telling, called)) == "visit-1"

    late = (await telling.journal())["visit-0.late:form:" + str(telling.run_id)[:8] + "/visit-0-1"]
    assert f"回访 {called} 已由 C07 王小明 于 2025-03-12 02:00 登记为“已联系上”" in late.data["reason"]
    (told,) = await telling.rows("outbox", "recipient, body")
    assert (told.recipient, told.body) == ("staff:C08", late.data["reason"])
    assert (await visit(left)).state == "listed"
    with pytest.raises(Unable, match="已由 C07 王小明 于"):
        await visits.record(called, operator="C08", answer={"outcome": "reached", "note": "又一次"})


async def test_two_commands_at_the_same_moment_record_two_visits():
    first, second = await a_visit("O1"), await a_visit("O2", customer="U2")
    telling = await a_list()
    said = {"outcome": "reached", "note": "没有问题"}

    await asyncio.gather(
        visits.record(first, operator="C07", answer=said), visits.record(second, operator="C08", answer=said)
    )

    assert sorted(visit for _, _, visit in await decided(telling)) == [str(first), str(second)]
    await telling.again()
    assert telling.result == telling.case_no
    assert not (await audits.verify()).findings


async def test_two_commands_at_the_same_moment_record_one_visit_once():
    called = await a_visit("O1")
    await a_list()
    said = {"outcome": "not_reached"}

    told = await asyncio.gather(
        visits.record(called, operator="C07", answer=said),
        visits.record(called, operator="C08", answer=said),
        return_exceptions=True,
    )

    assert sum(isinstance(each, Unable) for each in told) == 1
    assert (await visit(called)).tries == 1


async def test_a_form_that_comes_after_the_days_end_is_told_where_its_visit_went(morning: Any):
    await a_visit("O1")
    telling = await a_list()
    (called,) = [row.id for row in await rows()]
    morning(f"{TOMORROW} 02:00")
    told = await opened(TOMORROW)

    assert await submitted(telling, visit_0=form(telling, called)) == ""

    (late,) = [entry for entry in (await telling.journal()).values() if entry.kind == "late"]
    assert "没有回访的会列入下一张清单" in late.data["reason"]
    assert (await visit(called)).list_no == told.opened[0]


# --- what is no answer ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("operator", "answer", "sentence"),
    [
        pytest.param("C07", {}, "回访结果：必填", id="no outcome"),
        pytest.param("C07", {"outcome": "maybe"}, "回访结果：请选择：已联系上、未联系上", id="an outcome that is none"),
        pytest.param("C07", {"outcome": "reached"}, "主要问题：必填", id="reached, and nothing was said"),
        pytest.param("C07", {"outcome": "problem", "note": "坏了"}, "反馈类型：必填", id="a problem of no kind"),
        pytest.param("C99", {"outcome": "not_reached"}, "经办人“C99”不在员工名单中", id="nobody"),
        pytest.param("W03", {"outcome": "not_reached"}, "不属于客户服务部", id="another department"),
        pytest.param("C07", {"outcome": "reached", "note": "坏\x00了"}, "控制字符", id="what no keyboard writes"),
    ],
)
async def test_what_is_no_answer_is_refused_and_changes_nothing(operator: str, answer: dict[str, Any], sentence: str):
    called = await a_visit("O1")
    telling = await a_list()

    with pytest.raises(Unable, match=sentence):
        await visits.record(called, operator=operator, answer=answer)

    row = await visit(called)
    assert (row.state, row.tries, row.data) == ("listed", 0, {})
    assert (await telling.again()).at == "visit-0"


@pytest.mark.parametrize(
    ("named", "sentence"),
    [
        pytest.param("4711", "没有回访 4711", id="no such visit"),
        pytest.param("abc", "请从下拉框中选择回访对象", id="no number"),
        pytest.param("另一张", "现在在清单 HL-20250312-0002（C08 陈晓）上", id="on another list"),
        pytest.param("以后", "排在 3月20日（周四），现在不在清单上", id="not yet due"),
        pytest.param("取消", "已取消，不用再联系这位客户", id="dropped"),
    ],
)
async def test_a_visit_that_is_not_on_the_list_is_refused_with_where_it_is(named: str, sentence: str):
    await a_visit("O1")
    numbers = {
        "另一张": await a_visit("O2", agent="C08", customer="U2"),
        "以后": await a_visit("O3", due="2025-03-20", customer="U3"),
        "取消": await a_visit("O4", due="2025-03-20", customer="U4"),
    }
    async with transaction() as connection:
        await connection.execute(text("update visits set state = 'dropped' where order_no = 'O4'"))
    telling = await telling_of((await opened()).opened[0])

    with pytest.raises(Unable, match=sentence):
        await telling.decide("visit", "C07", visit=str(numbers.get(named, named)), outcome="not_reached")

    assert (await telling.again()).at == "visit-0"


async def test_a_list_is_neither_extended_nor_cancelled():
    await a_visit("O1")
    telling = await a_list()

    with pytest.raises(Unable, match="是回访清单，不能延期"):
        await extensions.extend(telling.case_no, operator="C01", until="2025-03-20", reason="台风，停工", key="k")
    with pytest.raises(gates.Refused, match="是回访单，不接收“已取消”，请改填退货的售后单号"):
        await outside.signal(telling.case_no, Event.CASE_CANCELLED, actor="", data={"reason": "不要了"}, staff="C01")


async def test_a_run_that_somebody_started_by_hand_tells_nothing():
    telling = await Telling({}, uuid4(), story="visits").again()

    assert telling.result == "未受理"


# --- what people read -----------------------------------------------------------------------------------------------


async def test_gen10_the_page_above_the_form_lists_who_is_left_masked_and_the_overdue_first():
    await a_visit("O2", customer="U2")
    late = await a_visit("O1", due="2025-03-10")
    shown: dict[str, Any] = {}

    async def wait(self: Any, entry: str, schema: Any, summary: str, answered: Any) -> None:
        shown[entry] = (schema, summary)
        raise legs.Waiting(self.case_no, entry)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("aftersales.desk.bare.Bare.wait", wait)
        telling = await a_list()
        await recorded(telling, late, "not_reached")

    schema, page = shown["visit-0"]
    assert f"## {telling.case_no} 待回访（C07 王小明）" in page
    rows_ = [line for line in page.splitlines() if line.startswith("| ") and "新购回访" in line]
    assert [("O1" in row, " **超时** |" in row) for row in rows_] == [(True, True), (False, False)]
    assert "10212345678" not in page and "李小红" not in page
    assert schema["properties"]["visit"]["enum"] == [f"{late} O1 李** 新购回访", f"{late - 1} O2 李** 新购回访"]
    assert "default" not in schema["properties"]["outcome"]
    assert "default" not in schema["properties"]["operator"]
    schema, page = shown["visit-1"]
    assert schema["properties"]["visit"]["enum"] == [f"{late - 1} O2 李** 新购回访"]
    assert schema["properties"]["gate"]["enum"] == [f"{telling.case_no} visit"]


async def test_what_was_said_last_stands_on_the_next_list(morning: Any):
    called = await a_visit("O1")
    telling = await a_list()
    await recorded(telling, called, "reached", note="灯泡有点暗")
    again = await a_visit("O1", kind="use", due=TOMORROW)
    morning(f"{TOMORROW} 02:00")
    await opened(TOMORROW)

    assert (await visits.read(again)).said == "灯泡有点暗"


async def test_aud01_the_timeline_tells_the_whole_list():
    called = [await a_visit(f"O{n}", customer=f"U{n}") for n in range(3)]
    telling = await a_list()
    await recorded(telling, called[0], "problem")
    await recorded(telling, called[1], "not_reached")
    await opened(TOMORROW)
    await telling.again()

    timeline = pages.timeline_page(telling.case_no, (await telling.journal()).values(), desks.reader(current_terms()))
    for what in ("列出回访清单", "发现问题；产品质量；客户没有问题；转为投诉", "未联系上；第 1 次，2025-03-13 再打",
                 "当天结束，1 位列入下一张清单", "已完成"):  # fmt: skip
        assert what in timeline.replace("\\", "")
    assert not (await audits.verify()).findings


# --- looking --------------------------------------------------------------------------------------------------------


async def lists() -> list[Any]:
    """Every list."""
    return await _rows("select case_no from cases where process = 'visits' order by case_no")


async def complaints() -> list[Any]:
    """Every complaint."""
    return await _rows("select * from cases where process = 'complaint' order by case_no")


async def everything() -> list[tuple[Any, ...]]:
    """What must not change when a list is told again."""
    tables = ("visits", "cases", "journal", "promises", "outbox", "customers")
    return [tuple(row) for table in tables for row in await _rows(f"select * from {table} t order by t::text")]


async def decided(telling: Telling) -> list[tuple[str, str, str]]:
    """Which call was recorded when, by whom."""
    entries = sorted((await telling.journal()).values(), key=lambda entry: entry.seq)
    return [(each.entry, each.actor, each.data["visit"]) for each in entries if each.kind == "decision"]


async def _rows(query: str) -> list[Any]:
    async with transaction() as connection:
        return list((await connection.execute(text(query))).all())
