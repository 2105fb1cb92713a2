"""
A rehearsal: every way of a return, on a clock that jumps and that no other case lives on (design §5).

The demo's own ways are played here by plain calls, so that what it promises to a newcomer is held without a stack.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text

from aftersales import clock, forms
from aftersales.cli import demo_play
from aftersales.cli.demo_ways import WAYS, Fill
from aftersales.desk import leg as legs
from aftersales.desk.bare import Bare
from aftersales.forms import Approval, Correction, Payer, Resolution, Result, Review, Traced
from aftersales.rules.figures import Tally
from aftersales.store import cases, rehearsals
from aftersales.store import lists as lists_store
from aftersales.store.engine import transaction
from aftersales.terms import WAITING, load
from aftersales.words import Named, Stage, Unable
from tasks import surveys
from tasks import visits as lists
from tasks.gates import options_of

# 2026-11-19, a Thursday, 15:00 in the house
START = datetime(2026, 11, 19, 7, tzinfo=UTC)


class BareDesk:
    """A desk without Prefect: a form that is sent in is told at once, by a plain call."""

    def __init__(self) -> None:
        self.requests: dict[UUID, Mapping[str, Any]] = {}
        self.opened: dict[UUID, str] = {}
        self.submitted: list[str] = []

    async def submit(self, deployment: str, request: Mapping[str, Any]) -> UUID:
        from flows.account import account
        from flows.arrivals import arrivals
        from flows.cancellation import cancellation
        from flows.extension import extension

        run_id = uuid4()
        self.submitted.append(deployment)
        if deployment == demo_play.RETURN:
            self.requests[run_id] = request
            await self._tell(run_id)
        else:
            legs.begin(Bare(run_id))
            story = {
                demo_play.ARRIVAL: arrivals,
                demo_play.CANCELLATION: cancellation,
                demo_play.EXTENSION: extension,
                demo_play.ACCOUNT: account,
            }[deployment]
            await story.fn(request)
            if request.get("case_no"):
                await self.wake(request["case_no"])
        return run_id

    async def form(self, run_id: UUID, promise: Mapping[str, Any]) -> Mapping[str, Any]:
        gate = promise["gate"]
        form = forms.GATES[gate["gate"]]
        async with transaction() as connection:
            left = await lists_store.left(connection, gate["ref"].split()[0])
        visits = {"visit": {str(visit.id): visit.choice for visit in left}} if left else {}
        return forms.schema(
            form,
            options=options_of(promise) | visits,
            prefill=gate["prefill"],
            demands=gate["demands"],
            ref=gate["ref"],
        )

    async def resume(self, run_id: UUID, answer: Mapping[str, Any]) -> None:
        from tasks import outside

        case_no, entry = answer["gate"].split(" ")
        operator = answer["operator"].split(" ")[0]
        await outside.decide(case_no, entry.partition("-")[0], operator=operator, answer=answer)
        await self._tell(run_id)

    async def wake(self, case_no: str) -> None:
        async with transaction() as connection:
            run_id = await cases.run_of_case(connection, case_no)
        assert run_id is not None
        await self._tell(run_id)

    async def run(self, case_no: str) -> UUID:
        run_id = uuid4()
        self.opened[run_id] = case_no
        await self._tell(run_id)
        return run_id

    async def answer(self, token: str, given: Mapping[str, str]) -> None:
        await surveys.answer(token, given)

    async def _tell(self, run_id: UUID) -> None:
        from flows.returns import returns
        from flows.revisit import revisit
        from flows.visits import visits

        driver = Bare(run_id)
        driver.case_no = self.opened.get(run_id)
        legs.begin(driver)
        try:
            if driver.case_no:
                await (revisit if driver.case_no.startswith("HF-") else visits).fn()
            else:
                await returns.fn(self.requests[run_id])
        except legs.Waiting:
            pass


class Watcher:
    """Remembers what an audience was shown; `at` is called at each moment."""

    def __init__(self) -> None:
        self.moments: list[datetime] = []
        self.due: list[rehearsals.Owed] = []

    async def moment(self, day: int, at: datetime, acts: Sequence[str]) -> None:
        self.moments.append(at)

    def overdue(self, owed: rehearsals.Owed) -> None:
        self.due.append(owed)


async def rows(query: str, **values: Any) -> list[Any]:
    async with transaction() as connection:
        return list((await connection.execute(text(query), values)).all())


async def rehearse(*keys: str, **changes: Any) -> tuple[list[demo_play.Played], Watcher]:
    """Play the ways of these names (all, when none is named) from Thursday afternoon."""
    watcher = Watcher()
    ways = [way for way in WAYS if not keys or way.key in keys]
    played = await demo_play.play(
        ways, **{"desk": BareDesk(), "audience": watcher, "start_at": START, "patience": 2.0, **changes}
    )
    return played, watcher


HAND_RECKONED = {
    "main": (Stage.CLOSED, ["188.00"]),
    "quality": (Stage.CLOSED, ["409.00"]),
    "corrected": (Stage.CLOSED, ["174.00"]),
    "given up": (Stage.REJECTED, []),
    "self-shipped": (Stage.CLOSED, ["139.00"]),
    "two parcels": (Stage.CLOSED, ["179.98", "89.99"]),
    "unknown date": (Stage.CLOSED, ["287.00"]),
    "too old": (Stage.REJECTED, []),
    "cancelled": (Stage.CANCELLED, []),
    "other cause": (Stage.CLOSED, ["137.70"]),
    "twice": (None, []),
    "not passed": (Stage.CLOSED, ["257.00"]),
    "sent back": (Stage.REJECTED, []),
    "partial": (Stage.CLOSED, ["150.00"]),
    "complaint": (Stage.REJECTED, []),
    "old but allowed": (Stage.CLOSED, ["76.00"]),
    "late and self-shipped": (Stage.CLOSED, ["124.00"]),
    "late quality": (Stage.CLOSED, ["399.00"]),
    "made to order": (Stage.CLOSED, ["127.00"]),
    "channel": (Stage.CLOSED, ["177.00"]),
    "never sent": (Stage.CANCELLED, []),
    "never corrected": (Stage.CANCELLED, []),
    "asked": (Stage.CLOSED, ["177.00"]),
    "never answered": (Stage.CANCELLED, []),
    "lost": (Stage.CLOSED, ["189.00"]),
    "found again": (Stage.CLOSED, ["177.00"]),
    "short": (Stage.CLOSED, ["167.98"]),
    "nobody's parcel": (Stage.CLOSED, ["139.00"]),
    "dear": (Stage.CLOSED, ["555.00"]),
    "storm": (Stage.CLOSED, ["177.00"]),
    "freight paid back": (Stage.CLOSED, ["139.00"]),
    "route gone": (Stage.CLOSED, ["177.00"]),
    "very late quality": (Stage.CLOSED, ["399.00"]),
    "fresh": (Stage.CLOSED, ["187.00"]),
    "sent back by us": (Stage.REJECTED, []),
    "loss not paid": (Stage.REJECTED, []),
    "dear and refused": (Stage.CLOSED, ["450.00"]),
    "slow": (Stage.CLOSED, ["116.00"]),
    "nothing left": (Stage.CLOSED, []),
    "the rest never came": (Stage.CLOSED, ["167.98"]),
    "dissatisfied": (Stage.CLOSED, ["127.00"]),
}


# three dozen whole cases: on a machine that does much else they take minutes
@pytest.mark.timeout(900)
@pytest.mark.soak
async def test_every_way_comes_out_as_it_says(database):
    played, watcher = await rehearse()

    assert {each.way.key: (each.stage, [str(paid) for paid in each.paid]) for each in played} == HAND_RECKONED
    assert [each for each in played if not each.is_as_told] == []
    # what is played apart has a clock of its own; none goes back
    begun = [at for before, at in pairwise(watcher.moments) if at < before]
    assert begun == [START]
    assert not await rows("select 1 from promises where ended_at is null")
    assert not await rows("select 1 from units where state = 'held'")


async def test_the_way_that_is_opened_twice_names_the_first_case(database):
    played, _ = await rehearse("main", "twice")

    main, twice = played
    assert twice.case_no == "" and main.case_no in twice.refusal


async def test_a_rehearsed_case_lives_on_the_rehearsals_time(database):
    """Numbers, promises, journal, notices, work and visits all stand on its clock, none on the wall clock."""
    (main,), watcher = await rehearse("main")

    assert main.case_no == "RT-X-20261119-0001"
    first, last = watcher.moments[0], watcher.moments[-1]
    told = await rows(
        "select at from journal where case_no = :c"
        " union all select started_at from promises where case_no = :c"
        " union all select ended_at from promises where case_no = :c"
        " union all select created_at from outbox where case_no = :c"
        " union all select created_at from work where case_no = :c"
        " union all select done_at from work where case_no = :c"
        " union all select received_at from inbox where case_no = :c"
        " union all select taken_at from inbox where case_no = :c"
        " union all select created_at from visits where case_no = :c"
        " union all select opened_at from cases where case_no = :c"
        " union all select closed_at from cases where case_no = :c",
        c=main.case_no,
    )
    assert len(told) > 30
    # time alone tells of what is due soon, between the moments that somebody acts at
    reminded = {row.due_at for row in await rows("select due_at from journal where kind = 'rung'")}
    assert reminded == {datetime(2026, 11, 24, 1, tzinfo=UTC)}
    assert {row.at for row in told} <= {*watcher.moments, *reminded}
    assert first == START and last == datetime(2026, 11, 25, 8, tzinfo=UTC)
    ((opened, closed),) = await rows("select opened_at, closed_at from cases")
    assert (opened, closed) == (first, last)


async def test_a_real_case_beside_it_is_untouched(shop, database):
    await shop.order()
    real = await shop.tell(shop.application())
    before = [await rows(f"select * from {table} where case_no = :c", c=real.case_no) for table in TABLES]
    orders = await rows("select * from orders")
    customers = await rows("select * from customers")

    await rehearse("main", "not passed", "given up")

    assert [await rows(f"select * from {table} where case_no = :c", c=real.case_no) for table in TABLES] == before
    assert await rows("select * from orders where rehearsal is null") == orders
    assert await rows("select * from customers") == customers
    case = await real.case()
    assert case.case_no.startswith("RT-2") and abs(clock.now(case) - clock.now()) < timedelta(minutes=1)


TABLES = ("cases", "journal", "promises", "outbox", "inbox", "units", "work", "visits", "runs")


async def test_two_rehearsals_share_neither_orders_nor_clock(database):
    (first,), _ = await rehearse("given up")
    (second,), _ = await rehearse("given up", start_at=START + timedelta(days=30))

    assert first.order_no != second.order_no
    assert first.case_no != second.case_no
    found = await rows("select id, now_at from rehearsals order by now_at")
    assert [row.now_at.date().isoformat() for row in found] == ["2026-11-21", "2026-12-21"]


# --- after the end --------------------------------------------------------------------------------------------------


class Unhurried(BareDesk):
    """A worker that takes a moment until it tells what the system has opened, as every real one does."""

    async def run(self, case_no: str) -> UUID:
        run_id = uuid4()
        self.opened[run_id] = case_no
        self.telling = asyncio.create_task(self._after_a_moment(run_id))
        return run_id

    async def _after_a_moment(self, run_id: UUID) -> None:
        await asyncio.sleep(0.3)
        await self._tell(run_id)


async def test_a_dissatisfied_customer_is_heard_and_visited_on_the_rehearsals_clock(database):
    """Paid on Wednesday 25 November, asked three minutes later, heard on the 26th, visited on Wednesday 2 December."""
    (played,), watcher = await rehearse("dissatisfied", desk=Unhurried(), patience=20.0)

    assert played.is_as_told
    revisit, visits = played.followed
    assert (revisit.label, visits.label) == ("二次回访", "回访")
    ((sent, answered, satisfied),) = await rows("select sent_at, answered_at, satisfied from surveys")
    assert (sent, answered, satisfied) == (
        datetime(2026, 11, 25, 8, 3, tzinfo=UTC), datetime(2026, 11, 25, 8, 30, tzinfo=UTC), False,
    )  # fmt: skip
    found = await rows("select case_no, stage, closed_at from cases where process <> 'returns' order by opened_at")
    assert [tuple(row) for row in found] == [
        (revisit.case_no, "closed", datetime(2026, 11, 26, 2, tzinfo=UTC)),
        (visits.case_no, "closed", datetime(2026, 12, 2, 1, 30, tzinfo=UTC)),
    ]
    ((key, due_on, agent, outcome, by),) = await rows(
        "select key, due_on::text, agent, outcome, data -> 'calls' -> 0 ->> 'by' from visits"
    )
    assert (key, due_on, outcome) == (f"return:{played.case_no}", "2026-12-02", "reached")
    assert by == agent
    assert {each.case_no[:5] for each in watcher.due} <= {"HF-X-", "HL-X-", "RT-X-"}


async def test_nothing_of_a_rehearsed_survey_or_visit_counts(database):
    day = START.date()
    await rehearse("dissatisfied")

    ((_, counted),) = await surveys.figures(since=day, until=day + timedelta(days=30))
    assert counted == Tally()
    assert await surveys.listed(state=None, is_dissatisfied=False, limit=9) == []
    assert list(await lists.figures(since=day, until=day + timedelta(days=30))) == []
    assert list(await lists.feedback(since=day, until=day + timedelta(days=30))) == []
    assert await lists.open_visits() == []


# --- the jump -------------------------------------------------------------------------------------------------------


async def test_a_jump_over_a_due_time_stops_there(database):
    """The decision is owed from Tuesday 24 on by the end of Wednesday 25 (1 wd); it is made on Sunday 29."""
    (late,), watcher = await rehearse("not passed")

    resolution = [owed for owed in watcher.due if owed.stage == "resolution"]
    assert [(owed.owner, owed.due_at) for owed in resolution] == [
        ("aftersales", datetime(2026, 11, 25, 16, tzinfo=UTC)),
    ]
    assert late.late == 1
    ((decided,),) = await rows("select at from journal where entry = 'resolution-0'")
    assert decided == datetime(2026, 11, 29, 1, 30, tzinfo=UTC)


async def test_a_customer_who_never_sends_makes_nobody_late(database):
    """Their window passes days before the case is ended (RET-05)."""
    (silent,), _ = await rehearse("never sent")

    assert (silent.stage, silent.late) == (Stage.CANCELLED, 0)
    ((is_past,),) = await rows("select at > due_at from journal where entry = 'pickup-0' and kind = 'decision'")
    assert is_past


async def test_fup10_each_morning_that_the_clock_reaches_has_its_visits(database):
    """What was bought and is not on its way back is asked about, on lists that end with the rehearsal."""
    await rehearse("given up", "main", "storm")

    listed = await rows("select opened_at, stage from cases where case_no like 'HL-X-%'")
    assert listed and all(row.opened_at > START for row in listed)
    assert {row.stage for row in listed} == {"closed"}
    assert await rows("select case_no from promises where case_no like 'HL-X-%' and ended_at is null") == []
    waiting = await rows("select rehearsal, list_no from visits")
    assert waiting and all(row.rehearsal for row in waiting)
    assert {row.list_no for row in waiting} == {None}, "none stands on a list that has ended"


async def test_the_main_way_jumps_over_nothing(database):
    (main,), watcher = await rehearse("main")

    assert (main.late, watcher.due) == (0, [])


@pytest.fixture
async def rehearsal(database: str) -> str:
    """A rehearsal that begins on Thursday afternoon."""
    async with transaction() as connection:
        return await rehearsals.begin(connection, at=START, on=START.date())


async def test_a_clock_never_jumps_back(rehearsal):
    async with transaction() as connection:
        await rehearsals.jump(connection, rehearsal, START + timedelta(days=2))

    with pytest.raises(ValueError, match="later"):
        async with transaction() as connection:
            await rehearsals.jump(connection, rehearsal, START + timedelta(days=1))
    async with transaction() as connection:
        assert await rehearsals.now(connection, rehearsal) == START + timedelta(days=2)


async def test_what_is_due_next_is_of_this_rehearsal_alone(shop, rehearsal):
    await shop.order()
    real = await shop.tell(shop.application())

    async with transaction() as connection:
        found = await rehearsals.next_due(connection, rehearsal, until=clock.now() + timedelta(days=3650))

    assert real.at == "review-0"
    assert found == []


@pytest.mark.parametrize(
    ("until", "found"),
    [
        pytest.param(timedelta(hours=24, microseconds=-1), [], id="just before it is due"),
        pytest.param(timedelta(hours=24), ["review"], id="at the instant it is due it is late (P-28)"),
    ],
)
async def test_what_is_due_next_knows_both_sides_of_the_edge(database, until, found):
    way = next(way for way in WAYS if way.key == "main")
    stops_there = demo_play.replace(way, acts=way.acts[:1], ends=Stage.REVIEW, refunds=())
    await demo_play.play([stops_there], desk=BareDesk(), audience=Watcher(), start_at=START, patience=2.0)
    ((name,),) = await rows("select id from rehearsals")
    async with transaction() as connection:  # behind the reminder
        await rehearsals.jump(connection, name, START + timedelta(hours=23))

    async with transaction() as connection:
        due = await rehearsals.next_due(connection, name, until=START + until)

    assert [owed.stage for owed in due] == found


# --- what goes wrong ------------------------------------------------------------------------------------------------


async def test_a_case_that_does_not_move_is_one_sentence(database):
    class Asleep(BareDesk):
        async def wake(self, case_no: str) -> None:
            """Nobody works."""

    with pytest.raises(Unable, match=r"“质量问题.*等了 0 秒也没有到“待取件”.*现在待审核.*工作进程") as told:
        await rehearse("quality", desk=Asleep(), patience=0.2)
    assert "\n" not in str(told.value)


async def test_a_case_that_ends_elsewhere_is_told_at_once(database):
    way = next(way for way in WAYS if way.key == "given up")
    wrong = demo_play.replace(way, acts=(*way.acts[:2], demo_play.replace(way.acts[2], to=Stage.REVIEW)))

    with pytest.raises(Unable, match=r"应到“待审核”，RT-X-20261119-0001却已驳回"):
        await demo_play.play([wrong], desk=BareDesk(), audience=Watcher(), start_at=START, patience=60.0)


async def test_another_amount_is_not_as_told(database):
    way = next(way for way in WAYS if way.key == "main")
    dearer = demo_play.replace(way, refunds=(demo_play.replace(way.refunds[0], goods=Decimal("201.00")),))

    (played,) = await demo_play.play([dearer], desk=BareDesk(), audience=Watcher(), start_at=START, patience=2.0)

    assert not played.is_as_told
    assert (played.paid, played.expected) == ([Decimal("188.00")], [Decimal("189.00")])


def test_the_ways_pass_every_gate_and_make_every_choice():
    """What the story can do, the demo shows; a release asks for a connected provider, which no rehearsal has."""
    chosen = {
        value
        for way in WAYS
        for act in way.acts
        if isinstance(act.does, Fill)
        for value in act.does.answer.values()
        if isinstance(value, Named)
    }

    assert {act.to for way in WAYS for act in way.acts} >= set(WAITING) - {Stage.RELEASE}
    for choices in (Review, Correction, Approval, Traced, Result, Resolution, Payer):
        assert set(choices) <= chosen


async def test_ret10_a_slow_refund_goes_over_the_outer_limit(database):
    """Received on Monday 23 November, seven working days end with Wednesday 2 December; paid on Monday 7."""
    _, watcher = await rehearse("slow")

    outer = [owed for owed in watcher.due if owed.stage == "outer"]
    assert [(owed.owner, owed.due_at) for owed in outer] == [("aftersales", datetime(2026, 12, 2, 16, tzinfo=UTC))]


def test_the_ways_are_told_under_the_shipped_terms():
    """A fee that a way names is one of `config/returns.yaml`; the stages it leads to are those of the story."""
    returns = load().returns

    for way in WAYS:
        assert all(getattr(returns, refund.fee) > 0 for refund in way.refunds if refund.fee)
        assert way.acts[-1].to is way.ends
        assert [(act.day, act.at) for act in way.acts] == sorted((act.day, act.at) for act in way.acts)
