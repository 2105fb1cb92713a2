"""What holds for every past of a shop: whom the nightly round calls, and that running it twice or late changes nothing."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from aftersales.rules import visits
from aftersales.rules.visits import Due, Person
from aftersales.store.engine import transaction
from aftersales.terms import load
from aftersales.words import LeftOut, VisitKind
from tasks import sending
from tests.conftest import emptied
from tests.stories.notifying import known
from tests.visiting import a_case, change, made, night, sell

START = date(2025, 3, 21)
# past a month's end, a holiday and weekends
NIGHTS = 18
# each is eighteen nights on a real database
EXAMPLES = int(os.environ.get("NIGHTLY_EXAMPLES", "8"))
CUSTOMERS = ("U1", "U2", "U3", "", "a guest")
# guests, by whom they are: nobody knows the one without a telephone again
PHONES = {"": "", "a guest": "10211112222"}


@dataclass(frozen=True)
class Bought:
    """An order, and perhaps a case of it: days are counted from START."""

    customer: str
    ordered: int
    delivered: int | None
    warranty: int
    case: tuple[str, int, int | None] | None  # process, opened, closed


@dataclass(frozen=True)
class Past:
    """A shop's past, who does not want to be called, and how the nights went."""

    orders: tuple[Bought, ...]
    opted_out: frozenset[str]
    # how often the round came on each day, none: the machine stood still; and whether the day's calls were made
    rounds: tuple[int, ...]
    are_made: tuple[bool, ...]


@st.composite
def bought(draw: st.DrawFn) -> Bought:
    ordered = draw(st.integers(-70, 15))
    delivered = draw(st.one_of(st.none(), st.integers(0, 20).map(lambda days: ordered + days)))
    opened = ordered + draw(st.integers(1, 15))
    closed = draw(st.one_of(st.none(), st.integers(0, 10).map(lambda days: opened + days)))
    process = draw(st.sampled_from(["returns", "complaint", "revisit"]))
    case = draw(st.one_of(st.none(), st.just((process, opened, closed))))
    return Bought(draw(st.sampled_from(CUSTOMERS)), ordered, delivered, draw(st.sampled_from([0, 1, 12])), case)


pasts = st.builds(
    Past,
    orders=st.lists(bought(), min_size=1, max_size=7).map(tuple),
    opted_out=st.frozensets(st.sampled_from([*CUSTOMERS[:3], "a guest"]), max_size=1),
    rounds=st.lists(st.sampled_from([1, 1, 1, 2, 0]), min_size=NIGHTS, max_size=NIGHTS).map(tuple),
    are_made=st.lists(st.booleans(), min_size=NIGHTS, max_size=NIGHTS).map(tuple),
)


# --- the rules alone ------------------------------------------------------------------------------------------------

TERMS = load()
STAFF = ("C02", "C07", "C08")

persons = st.builds(
    Person,
    opted_out=st.sampled_from([False, False, False, True]),
    open_case=st.sampled_from(["", "", "", "RT-1"]),
    open_visit=st.sampled_from(["", "", "", "use:1:2025-03"]),
    contacts=st.integers(0, 5),
    is_seen=st.sampled_from([False, False, False, True]),
    last_agent=st.sampled_from(["", *STAFF, "X99"]),
)
dues = st.builds(
    Due,
    key=st.uuids().map(str),
    kind=st.sampled_from([kind.value for kind in VisitKind]),
    due_on=st.integers(0, 20).map(lambda days: START - timedelta(days=days)),
    owner=st.just("customer_service"),
    rule=st.just("FUP-00"),
    person=st.integers(0, 12).map(lambda number: f"c{number}"),
    operator=st.sampled_from(["", *STAFF]),
    is_returned=st.sampled_from([False, False, True]),
)


@settings(max_examples=150, deadline=None)
@given(
    due=st.lists(dues, max_size=40, unique_by=lambda each: each.key),
    people=st.dictionaries(st.integers(0, 12).map(lambda number: f"c{number}"), persons),
    away=st.frozensets(st.sampled_from(["C01", *STAFF])),
    turned=st.randoms(use_true_random=False),
)
def test_fup11_one_call_a_person_each_accounted_for_and_evenly(
    due: list[Due], people: dict[str, Person], away: frozenset[str], turned: Any
):
    night = visits.draw(due, people=people, drawn={}, away=away, on=START, terms=TERMS)

    called = [each.due.person for each in night.drawn]
    assert len(set(called)) == len(called), "one call a person"
    for name in called:
        person = people.get(name, Person())
        assert not (person.opted_out or person.open_case or person.open_visit or person.is_seen)
        is_promised = any(each.is_unsolved for each in due if each.person == name)
        assert person.contacts < TERMS.followup.contacts_a_month or is_promised
    told = [each.due.key for each in night.drawn] + [each.due.key for each in night.left]
    assert sorted(told) == sorted(each.key for each in due), "each is made, or left out with a reason, once"
    known = {each.due.key for each in night.drawn} | {person.open_visit for person in people.values()}
    assert all(each.into in known for each in night.left if each.why is LeftOut.MERGED)
    loads = [[each.agent for each in night.drawn].count(agent) for agent in STAFF if agent not in away]
    assert not loads or max(loads) - min(loads) <= 1, "evenly"
    assert not {each.agent for each in night.drawn} & away
    shuffled = turned.sample(due, len(due))
    again = visits.draw(shuffled, people=people, drawn={}, away=away, on=START, terms=TERMS)
    assert sorted(map(repr, again.drawn)) == sorted(map(repr, night.drawn)), "whatever the order it is found in"


# --- nights on a database -------------------------------------------------------------------------------------------


def day(count: int) -> str:
    return (START + timedelta(days=count)).isoformat()


async def happen(past: Past, on: int) -> None:
    """Let what belongs to a day happen: orders are known when they are placed, parcels when they come."""
    for number, each in enumerate(past.orders):
        first = on == 0
        if each.ordered == on or (first and each.ordered < 0):
            await sell(
                f"O{number}", ordered=day(each.ordered), delivered=None, customer="" if each.customer in PHONES else each.customer,
                warranty=each.warranty, phone=PHONES.get(each.customer, "10212345678"),
            )  # fmt: skip
        if each.delivered is not None and (each.delivered == on or (first and each.delivered < 0)):
            await change(
                "update order_lines set delivered_at = cast(:at as timestamptz) from orders o"
                " where o.id = order_id and o.order_no = :no",
                at=f"{day(each.delivered)} 04:00+00", no=f"O{number}",
            )  # fmt: skip
        if each.case is None:
            continue
        process, opened, closed = each.case
        if opened == on or (first and opened < 0):
            await a_case(f"C{number}", f"O{number}", process=process)
        if closed is not None and (closed == on or (first and closed < 0)):
            await change(
                "update cases set stage = 'closed', closed_at = cast(:at as timestamptz) where case_no = :no",
                at=f"{day(closed)} 04:00+00", no=f"C{number}",
            )  # fmt: skip
    if on == 0:
        for customer in past.opted_out:
            if phone := PHONES.get(customer):
                await change("insert into guests (person, opted_out) values (:person, true)", person=f"p{phone}")
            await change("update customers set opted_out = true where customer_no = :no", no=customer)


async def query(statement: str, **values: Any) -> list[Any]:
    async with transaction() as connection:
        return list((await connection.execute(text(statement), values)).all())


SNAPSHOT = "select key, state, agent, due_on, also, data from visits order by key"
CALLS = """
    select coalesce(v.customer_id::text, nullif(o.contact_phone, ''), v.order_no) as who, count(*) as number,
           bool_or(coalesce(c.opted_out, g.opted_out, false)) as opted_out
    from visits v left join customers c on c.id = v.customer_id left join orders o on o.order_no = v.order_no
    left join guests g on v.customer_id is null and g.person = 'p' || o.contact_phone
    where greatest(v.due_on, cast(v.data ->> 'drawn_on' as date)) = :on and v.agent is not null and v.state <> 'dropped' group by 1
"""
# whom the month's survey writes to on a day, whom somebody has called on it, and who must not be written to
WRITTEN = """
    select coalesce(o.customer_id::text, nullif(o.contact_phone, ''), o.order_no) as who,
           coalesce(c.opted_out, g.opted_out, false) as opted_out,
           exists (
               select from cases open join orders their using (order_no) where open.closed_at is null
               and coalesce(their.customer_id::text, nullif(their.contact_phone, ''), their.order_no)
                   = coalesce(o.customer_id::text, nullif(o.contact_phone, ''), o.order_no)
           ) as has_open
    from cases s join orders o using (order_no) left join customers c on c.id = o.customer_id
    left join guests g on o.customer_id is null and g.person = 'p' || o.contact_phone
    where s.process = 'survey' and cast(s.opened_at at time zone 'Asia/Shanghai' as date) = :on
"""
CALLED = """
    select coalesce(v.customer_id::text, nullif(o.contact_phone, ''), v.order_no) as who
    from visits v left join orders o on o.order_no = v.order_no
    where exists (select from jsonb_array_elements(v.data -> 'calls') call
                  where cast(cast(call ->> 'at' as timestamptz) at time zone 'Asia/Shanghai' as date) = :on)
"""
OPEN = """
    select v.key from visits v left join orders its on its.order_no = v.order_no
    join orders mine on mine.order_no = v.order_no or mine.customer_id = v.customer_id
        or (v.customer_id is null and mine.customer_id is null and mine.contact_phone = nullif(its.contact_phone, ''))
    join cases c on c.order_no = mine.order_no
    where v.key = any(:keys) and c.closed_at is null and c.process <> 'complaint'
"""


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(past=pasts)
async def test_fup11_over_any_past(database: str, monkeypatch: pytest.MonkeyPatch, past: Past):
    """
    No customer twice a day, none who does not want to, none with an open case; twice or late changes nothing.

    Neither by a call nor by the survey of the month, which the first working night of April draws (SVY-04).
    """
    monkeypatch.setattr(sending, "_known", known(customers={"email": "mailto://127.0.0.1:9?from=a@shop.example"}))
    emptied(database.replace("+psycopg", ""))
    seen: set[str] = set()
    written: list[str] = []
    for on in range(NIGHTS):
        # the round comes before the day's events
        for time in range(past.rounds[on]):
            told = await night(day(on), hour=("02:00", "05:30")[time])
            keys = [each.due.key for each in told.night.drawn]
            if keys:
                assert await query(OPEN, keys=keys) == [], "none with an open case"
            assert not seen & set(keys), "each visit is drawn up once"
            seen |= set(keys)
            if time == 0:
                before = await query(SNAPSHOT)
        if past.rounds[on]:
            assert await query(SNAPSHOT) == before, "a second round, late, changes nothing"
            for row in await query(CALLS, on=START + timedelta(days=on)):
                assert row.number == 1, "nobody is called twice a day"
                assert not row.opted_out, "nobody who does not want to"
        asked = await query(WRITTEN, on=START + timedelta(days=on))
        assert not [row for row in asked if row.opted_out or row.has_open], "nobody who must not be written to"
        await happen(past, on)
        if past.are_made[on]:
            await made(day(on))
        called = {row.who for row in await query(CALLED, on=START + timedelta(days=on))}
        assert not called & {row.who for row in asked}, "nobody is called and written to on one day"
        written += [row.who for row in asked]
    assert len(set(written)) == len(written), "nobody is written to twice a month"


BOUGHT_A_MONTH_AGO = Past(
    orders=(Bought("U1", -24, -21, 12, None), Bought("U2", -23, -20, 12, None)),
    opted_out=frozenset(),
    rounds=(1, *(0,) * (NIGHTS - 1)),
    are_made=(False,) * NIGHTS,
)


@settings(max_examples=EXAMPLES // 2, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(past=pasts)
@example(past=BOUGHT_A_MONTH_AGO)
async def test_nights_without_a_round_lose_nothing(database: str, past: Past):
    """Whatever nights the machine stood still, as long as nothing became too late: the same visits are found."""
    found = []
    for rounds in (past.rounds, (1,) * NIGHTS):
        emptied(database.replace("+psycopg", ""))
        for on in range(NIGHTS):
            # never for so long that what is left out is too late, and at last there is one
            if rounds[on] or on % 7 == 0 or on == NIGHTS - 1:
                await night(day(on))
            await happen(past, on)
        await night(day(NIGHTS))
        found.append({row.key for row in await query("select key from visits")})
    assert found[0] == found[1]
    if past is BOUGHT_A_MONTH_AGO:
        assert len(found[0]) == 2, "there is something to lose"
