"""Which visits are due on a day, who is left out, and whose they are (FUP-01 to FUP-11, AMB-39; P-01)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, timedelta
from functools import cache
from typing import Any

import pytest

from aftersales import terms
from aftersales.rules import clocks, visits
from aftersales.rules.visits import Due, Left, Person
from aftersales.terms import Terms
from aftersales.terms.followup import Followup
from aftersales.words import LeftOut, Limit, VisitKind
from tests.specs.test_clocks import CONFIG, C

# a Wednesday
ON = date(2026, 11, 25)


@cache
def shipped() -> Terms:
    """The terms that come with the project, but the calendar of the pitfalls for 2026."""
    found = terms.load(CONFIG)
    return found.model_copy(update={"calendars": {**found.calendars, **C}})


def with_(**changes: Any) -> Terms:
    """The terms with other visits."""
    document = shipped().followup.model_dump(mode="json") | changes
    return shipped().model_copy(update={"followup": Followup.model_validate(document)})


def a_kind(kind: str, **changes: Any) -> dict[str, Any]:
    """The kinds, one of them changed."""
    kinds = shipped().followup.model_dump(mode="json")["kinds"]
    return {**kinds, kind: kinds[kind] | changes}


def day(text: str) -> date:
    """A day of 2026, unless a year is named."""
    return date.fromisoformat(text if text.count("-") == 2 else f"2026-{text}")


# --- days -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("on", "works"),
    [
        pytest.param("11-27", True, id="a Friday"),
        pytest.param("11-28", False, id="a Saturday"),
        pytest.param("11-29", False, id="a Sunday"),
        pytest.param("09-30", True, id="the day before a holiday"),
        pytest.param("10-01", False, id="a holiday"),
        pytest.param("10-08", True, id="the day after it"),
        pytest.param("10-10", False, id="AMB-11 a make-up workday does not count"),
    ],
)
def test_fup10_visits_are_made_on_working_days(on: str, works: bool):
    assert visits.is_working(day(on), terms=shipped()) is works


@pytest.mark.parametrize(
    ("on", "before"),
    [
        pytest.param("11-27", "11-26", id="Friday after Thursday"),
        pytest.param("11-30", "11-27", id="Monday after Friday"),
        pytest.param("10-08", "09-30", id="after a week of holidays"),
    ],
)
def test_fup10_the_day_before_is_the_last_on_which_somebody_called(on: str, before: str):
    assert visits.working_day_before(day(on), terms=shipped()) == day(before)


@pytest.mark.parametrize(
    ("on", "months", "later"),
    [
        pytest.param("2026-01-15", 1, "2026-02-15", id="the middle of a month"),
        pytest.param("2026-01-31", 1, "2026-02-28", id="the 31st in February"),
        pytest.param("2024-01-31", 1, "2024-02-29", id="the 31st in a leap year's February"),
        pytest.param("2026-01-31", 2, "2026-03-31", id="the 31st comes back: nothing drifts"),
        pytest.param("2026-01-30", 1, "2026-02-28", id="the 30th in February"),
        pytest.param("2024-02-29", 12, "2025-02-28", id="the leap day a year later"),
        pytest.param("2024-02-29", 48, "2028-02-29", id="the leap day four years later"),
        pytest.param("2026-12-31", 2, "2027-02-28", id="over the new year"),
        pytest.param("2026-05-31", 1, "2026-06-30", id="the 31st in June"),
    ],
)
def test_fup02_a_month_later_is_the_same_day_or_the_months_last(on: str, months: int, later: str):
    assert visits.months_later(day(on), months) == day(later)


# --- FUP-01 ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ordered", "delivered", "due"),
    [
        pytest.param("11-18", "11-20", "11-25", id="a week after the purchase"),
        pytest.param("11-21", "11-23", "11-27", id="the week ends on a Saturday: the Friday before"),
        pytest.param("11-21", "11-28", "11-30", id="delivered on that Saturday: the Monday after"),
        pytest.param("11-18", "11-25", "11-25", id="delivered on that very day"),
        pytest.param("11-18", "11-26", "11-26", id="AMB-39 held until the day of delivery"),
        pytest.param("10-12", "11-20", "11-20", id="AMB-39 held for a month: bought long before it was made"),
        pytest.param("2024-02-22", "2024-02-24", "2024-02-29", id="on a leap day"),
        pytest.param("2025-12-29", "2025-12-30", "2026-01-05", id="over the new year"),
        pytest.param("09-26", "09-28", "09-30", id="the week ends in a holiday: the last day before"),
    ],
)
def test_fup01_amb39_the_first_visit(ordered: str, delivered: str, due: str):
    found = visits.first_visit(ordered_on=day(ordered), delivered_on=day(delivered), channel="官网", terms=shipped())

    assert found is not None
    assert (found[0], found[1].rule, found[1].owner) == (day(due), "FUP-01", "customer_service")


def test_fup09_the_first_visit_of_a_channel_has_its_own_distance():
    rules = with_(channels={"社交电商": {"purchase": {"after": "3 wd"}}})
    asked = {"ordered_on": day("11-26"), "delivered_on": day("11-27"), "terms": rules}

    own = visits.first_visit(channel="社交电商", **asked)
    shops = visits.first_visit(channel="官网", **asked)

    assert own and own[0] == day("12-01"), "three working days over a weekend"
    assert shops and shops[0] == day("12-03")


@pytest.mark.parametrize(
    "rules",
    [
        pytest.param({"kinds": a_kind("purchase", is_on=False)}, id="in the whole shop"),
        pytest.param({"channels": {"社交电商": {"purchase": {"is_on": False}}}}, id="in one channel"),
    ],
)
def test_fup09_a_kind_may_be_switched_off(rules: dict[str, Any]):
    found = visits.first_visit(
        ordered_on=day("11-18"), delivered_on=day("11-20"), channel="社交电商", terms=with_(**rules)
    )

    assert found is None


# --- FUP-02 ---------------------------------------------------------------------------------------------------------


def used(*goods: tuple[str, int], since: str, until: str, rules: Terms | None = None, **changes: Any) -> list[str]:
    """The days in a span on which somebody to whom these goods came is asked."""
    found = visits.use_visits(
        **{
            "goods": [(day(delivered), months) for delivered, months in goods],
            "visits_until": None,
            "channel": "官网",
            "since": day(since) - timedelta(days=1),
            "until": day(until),
            "terms": rules or shipped(),
            **changes,
        }
    )
    return [on.isoformat() for on, _ in found]


@pytest.mark.parametrize(
    ("goods", "since", "until", "due"),
    [
        pytest.param([("2026-03-15", 12)], "2026-03-15", "2026-05-15", ["2026-04-15", "2026-05-15"], id="each month"),
        pytest.param([("2026-03-15", 12)], "2026-04-01", "2026-04-14", [], id="the day before, nobody"),
        pytest.param([("2026-01-31", 12)], "2026-02-01", "2026-04-30", ["2026-02-28", "2026-03-31", "2026-04-30"],
                     id="of the 31st: the last of short months, and the 31st again"),
        pytest.param([("2024-01-31", 12)], "2024-02-01", "2024-03-01", ["2024-02-29"], id="of the 31st, in a leap year"),
        pytest.param([("2024-02-29", 12)], "2024-03-01", "2024-03-31", ["2024-03-29"], id="of the leap day"),
        pytest.param([("2026-03-15", 3)], "2026-05-01", "2026-07-01", ["2026-05-15"],
                     id="AMB-39 it ends with the warranty: the day it ends is under warranty no more"),
        pytest.param([("2026-03-15", 0)], "2026-03-16", "2026-06-01", [], id="AMB-39 no warranty, no visit"),
        pytest.param([("2026-03-15", 12), ("2026-04-10", 12)], "2026-04-01", "2026-05-31", ["2026-05-10"],
                     id="from what came last"),
        pytest.param([("2026-03-15", 12), ("2026-04-10", 0)], "2026-04-01", "2026-05-31", ["2026-04-15", "2026-05-15"],
                     id="from what came last of what is under warranty"),
        pytest.param([("2026-03-15", 12), ("2026-03-20", 2)], "2026-05-01", "2026-06-30", ["2026-06-15"],
                     id="when that warranty ends, from what came before: 20 May is its end, 15 May was not its day"),
        pytest.param([], "2026-04-01", "2026-05-31", [], id="nothing came, or all went back"),
    ],
)  # fmt: skip
def test_fup02_who_has_something_under_warranty_is_asked_every_month(
    goods: list[tuple[str, int]], since: str, until: str, due: list[str]
):
    assert used(*goods, since=since, until=until) == due


@pytest.mark.parametrize(
    ("wish", "due"),
    [
        pytest.param("2026-04-15", ["2026-04-15"], id="up to that day"),
        pytest.param("2026-04-14", [], id="not beyond"),
        pytest.param("2026-08-01", ["2026-04-15", "2026-05-15", "2026-06-15"], id="longer than the warranty"),
    ],
)
def test_fup02_the_customers_wish_takes_the_place_of_the_warranty(wish: str, due: list[str]):
    assert used(("2026-03-15", 2), since="2026-04-01", until="2026-06-30", visits_until=day(wish)) == due


@pytest.mark.parametrize(
    ("months", "due"),
    [
        pytest.param(1, ["2026-04-15", "2026-05-15", "2026-06-15"], id="each month"),
        pytest.param(2, ["2026-05-15"], id="every other"),
        pytest.param(3, ["2026-06-15"], id="each quarter"),
    ],
)
def test_fup09_a_channel_is_asked_less_often(months: int, due: list[str]):
    rules = with_(channels={"官网": {"use": {"months": months}}})

    assert used(("2026-03-15", 12), since="2026-04-01", until="2026-06-30", rules=rules) == due


@pytest.mark.parametrize("on", ["2026-02-28", "2024-02-28", "2024-02-29", "2026-04-30", "2026-03-31", "2026-11-25"])
def test_fup02_the_days_that_the_round_asks_for_are_those_that_lead_to_a_visit(on: str):
    """The database is asked by days of delivery: exactly those from which some month later is the day."""
    asked = set(visits.delivery_days(day(on), months={1}))

    leading = {
        delivered
        for delivered in (day(on) - timedelta(days=back) for back in range(1, 900))
        if any(visits.months_later(delivered, months) == day(on) for months in range(1, 31))
    }
    assert leading <= asked
    assert {delivered for delivered in asked if delivered > day(on) - timedelta(days=800)} <= leading


# --- after cases ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("process", "is_solved", "due"),
    [
        pytest.param(
            "complaint",
            True,
            ("11-30", "complaint", "FUP-07"),
            id="FUP-07 three days after a complaint, a Saturday: on Monday",
        ),
        pytest.param("tickets", True, ("12-02", "solved", "FUP-05"), id="FUP-05 a week after something was solved"),
        pytest.param("tickets", False, ("11-27", "unsolved", "FUP-06"), id="FUP-06 two working days where it was not"),
        pytest.param("complaint", False, ("11-27", "unsolved", "FUP-06"), id="FUP-06 nor a complaint"),
        pytest.param("returns", True, None, id="FUP-03 a return plans its own"),
    ],
)
def test_what_follows_a_case(process: str, is_solved: bool, due: tuple[str, str, str] | None):
    found = visits.after_case(process=process, closed_on=ON, is_solved=is_solved, channel="官网", terms=shipped())

    assert (found and (found[0], found[1].value, found[2].rule)) == (due and (day(due[0]), *due[1:]))


@pytest.mark.parametrize(
    ("visited", "next_one"),
    [
        pytest.param("11-25", "11-27", id="two working days"),
        pytest.param("11-26", "11-30", id="over a weekend"),
        pytest.param("09-30", "10-09", id="over a week of holidays, the make-up Saturday not counted"),
    ],
)
def test_fup06_what_is_not_solved_is_asked_about_again_and_again(visited: str, next_one: str):
    found = visits.next_visit(key="unsolved:TK-1", visited_on=day(visited), channel="官网", terms=shipped())
    assert found is not None
    after = visits.next_visit(key=found[0], visited_on=found[1], channel="官网", terms=shipped())

    assert found[:2] == ("unsolved:TK-1#2", day(next_one))
    assert after and after[0] == "unsolved:TK-1#3"


@pytest.mark.parametrize("distance", ["1 d", "7 d", "1 wd", "2 wd", "5 wd"])
def test_the_span_that_the_round_asks_for_holds_every_start_that_leads_to_the_day(distance: str):
    limit = Limit.parse(distance)
    for on in (ON + timedelta(days=shift) for shift in range(-70, 10)):
        first, last = visits.day_before(on, limit, terms=shipped()), visits.last_start(on, limit)

        for start in (on - timedelta(days=back) for back in range(25)):
            if visits.day_after(start, limit, terms=shipped()) == on:
                assert first <= start <= last


# --- who is left out ------------------------------------------------------------------------------------------------


def due(kind: str = "purchase", on: date = ON, person: str = "c1", **changes: Any) -> Due:
    """A visit whose day has come."""
    about = changes.pop("about", f"{person}-{on}")
    facts: dict[str, Any] = {
        "key": f"{kind}:{about}",
        "kind": kind,
        "due_on": on,
        "owner": "customer_service",
        "rule": "FUP-00",
        "person": person,
        "channel": "官网",
        "order_no": f"O-{about}",
    }
    return Due(**(facts | changes))


def settled(*found: Due, rules: Terms | None = None, **facts: Any) -> tuple[str, list[tuple[str, str, str]]]:
    """Which leads, and what is left out and why."""
    lead, _, left = visits.settle(found, person=Person(**facts), on=ON, terms=rules or shipped())
    return (lead.kind if lead else ""), [(each.due.kind, each.why.value, each.into) for each in left]


@pytest.mark.parametrize(
    ("facts", "why"),
    [
        pytest.param({}, "", id="nothing speaks against it"),
        pytest.param({"opted_out": True}, "opted_out", id="FUP-11 who does not want to"),
        pytest.param({"open_case": "RT-1"}, "open_case", id="FUP-11 while a case is open"),
        pytest.param({"contacts": 1}, "", id="NUM-221 the second in a month"),
        pytest.param({"contacts": 2}, "too_often", id="NUM-221 the third in a month"),
        pytest.param({"is_seen": True}, "seen_today", id="FUP-11 twice a day"),
        pytest.param({"open_visit": "use:1:2026-11"}, "merged", id="FUP-11 beside one that is still to be made"),
        pytest.param({"opted_out": True, "open_case": "RT-1"}, "opted_out", id="a wish counts for good"),
    ],
)
def test_fup11_who_is_left_out(facts: dict[str, Any], why: str):
    lead, left = settled(due(), **facts)

    assert lead == ("" if why else "purchase")
    assert [each[1] for each in left] == ([why] if why else [])


def test_fup06_what_is_not_solved_is_asked_about_however_often_it_was():
    assert settled(due(VisitKind.UNSOLVED), contacts=9)[0] == "unsolved"
    assert settled(due(VisitKind.UNSOLVED), contacts=9, is_seen=True)[0] == "", "not twice a day"


@pytest.mark.parametrize(
    ("on", "is_made"),
    [
        pytest.param(ON - timedelta(days=14), True, id="two weeks late is still made"),
        pytest.param(ON - timedelta(days=15), False, id="a day more is too late"),
    ],
)
def test_fup10_what_could_not_be_made_for_too_long_is_left_out(on: date, is_made: bool):
    lead, left = settled(due(on=on))

    assert (lead != "") is is_made
    assert [each[1] for each in left] == ([] if is_made else ["too_late"])


@pytest.mark.parametrize(
    ("kinds", "leads"),
    [
        pytest.param(["use", "purchase"], "purchase", id="a new purchase before the month's use"),
        pytest.param(["purchase", "solved"], "solved", id="something solved before a purchase"),
        pytest.param(["solved", "return"], "return", id="a return before something solved"),
        pytest.param(["return", "complaint"], "complaint", id="a complaint before a return"),
        pytest.param(["complaint", "unsolved"], "unsolved", id="what is not solved before everything"),
        pytest.param([kind.value for kind in VisitKind], "unsolved", id="all at once are one"),
    ],
)
def test_fup11_several_due_for_one_customer_become_one(kinds: list[str], leads: str):
    for order in (kinds, kinds[::-1]):
        lead, left = settled(*(due(kind, about="X") for kind in order))

        assert lead == leads
        assert {each[0] for each in left} == set(kinds) - {leads}
        assert {each[1:] for each in left} == {("merged", f"{leads}:X")}


def test_fup11_of_one_kind_the_older_leads():
    older, newer = due(on=ON - timedelta(days=1)), due(on=ON)

    lead, also, left = visits.settle([newer, older], person=Person(), on=ON, terms=shipped())

    assert (lead, also) == (older, (newer,))
    assert left == [Left(newer, LeftOut.MERGED, older.key)]


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"on": ON - timedelta(days=40)}, id="too late"),
        pytest.param({"is_returned": True}, id="its goods went back"),
    ],
)
def test_fup06_a_visit_that_took_what_is_not_solved_along_is_made(changes: dict[str, Any]):
    lead, _, left = visits.settle(
        [due("purchase", takes_unsolved=True, **changes)], person=Person(), on=ON, terms=shipped()
    )

    assert lead is not None and not left


def test_fup06_what_is_not_solved_is_never_too_late():
    lead, _, left = visits.settle([due("unsolved", ON - timedelta(days=40))], person=Person(), on=ON, terms=shipped())

    assert lead is not None and not left


def test_fup11_what_is_too_late_leads_nothing():
    lead, left = settled(due("complaint", on=ON - timedelta(days=20)), due("use"))

    assert (lead, left) == ("use", [("complaint", "too_late", "")])


def test_fup09_what_is_switched_off_is_left_out_and_the_rest_is_made():
    lead, left = settled(due("purchase"), due("use"), rules=with_(channels={"官网": {"purchase": {"is_on": False}}}))

    assert (lead, left) == ("use", [("purchase", "off", "")])


@pytest.mark.parametrize(
    ("facts", "lead", "left"),
    [
        pytest.param({}, "", [("purchase", "returned", "")], id="what went back is asked about no more"),
        pytest.param({"open_case": "RT-1"}, "", [("purchase", "open_case", "")], id="while it is on its way, it waits"),
    ],
)
def test_fup01_what_was_bought_has_gone_back(facts: dict[str, Any], lead: str, left: list[tuple[str, str, str]]):
    assert settled(due(is_returned=True), **facts) == (lead, left)
    if not facts:
        assert settled(due(is_returned=True), due("use")) == ("use", left)


def test_every_reason_is_either_for_good_or_for_another_day():
    assert {why for why in LeftOut if not why.is_final} == {
        LeftOut.OPEN_CASE, LeftOut.TOO_OFTEN, LeftOut.SEEN_TODAY, LeftOut.NOBODY,
    }  # fmt: skip


# --- whose it is ----------------------------------------------------------------------------------------------------


def drawn(
    *found: Due,
    people: Mapping[str, Person] | None = None,
    had: Mapping[str, int] | None = None,
    away: tuple[str, ...] = (),
) -> dict[str, str]:
    """Person → agent."""
    night = visits.draw(found, people=people or {}, drawn=had or {}, away=away, on=ON, terms=shipped())
    return {each.due.person: each.agent for each in night.drawn}


def counts(found: Mapping[str, str]) -> dict[str, int]:
    """How many each has."""
    agents = list(found.values())
    return {agent: agents.count(agent) for agent in sorted(set(agents))}


@pytest.mark.parametrize(
    ("away", "there"),
    [
        pytest.param((), ["C02", "C07", "C08"], id="everybody but the head"),
        pytest.param(("C07",), ["C02", "C08"], id="but those who are away"),
        pytest.param(("C02", "C07", "C08"), ["C01"], id="the head when nobody else is there"),
        pytest.param(("C01", "C02", "C07", "C08"), [], id="nobody"),
    ],
)
def test_fup10_who_makes_visits(away: tuple[str, ...], there: list[str]):
    assert visits.agents("customer_service", away=away, terms=shipped()) == there


def test_fup10_only_who_may_record_a_visit_makes_any():
    rules = shipped()
    people = [
        one.model_copy(update={"rights": [right for right in one.rights if right != "visit"]})
        if one.id == "C08"
        else one
        for one in rules.staff_list.staff
    ]
    rules = rules.model_copy(update={"staff_list": rules.staff_list.model_copy(update={"staff": people})})

    assert visits.agents("customer_service", away=(), terms=rules) == ["C02", "C07"]


def test_fup10_visits_are_spread_evenly():
    assert counts(drawn(*(due(person=f"c{n}") for n in range(11)))) == {"C02": 4, "C07": 4, "C08": 3}


def test_fup10_what_somebody_has_already_counts():
    found = drawn(*(due(person=f"c{n}") for n in range(5)), had={"C02": 4})

    assert counts(found) == {"C07": 3, "C08": 2}


def test_fup10_whoever_called_last_calls_again():
    people = {"c1": Person(last_agent="C08"), "c2": Person(last_agent="C07"), "c3": Person()}

    assert drawn(*(due(person=name) for name in people), people=people) == {"c1": "C08", "c2": "C07", "c3": "C02"}


def test_fup10_nobody_gets_more_for_being_known():
    people = {f"c{n}": Person(last_agent="C08") for n in range(9)}

    assert counts(drawn(*(due(person=name) for name in people), people=people)) == {"C02": 3, "C07": 3, "C08": 3}


@pytest.mark.parametrize(
    ("kind", "agent"),
    [
        pytest.param("return", "C08", id="a return: whoever called last"),
        pytest.param("solved", "C07", id="FUP-05 something solved: whoever opened the case"),
        pytest.param("unsolved", "C07", id="FUP-06 something unsolved: whoever opened the case"),
    ],
)
def test_fup05_who_knows_the_matter_or_the_customer(kind: str, agent: str):
    people = {"c1": Person(last_agent="C08")}

    assert drawn(due(kind, operator="C07"), people=people) == {"c1": agent}


def test_fup10_who_is_away_or_gone_or_elsewhere_is_not_called_upon():
    people = {"c1": Person(last_agent="C08"), "c2": Person(last_agent="X99"), "c3": Person(last_agent="A01")}

    found = drawn(*(due(person=name) for name in people), people=people, away=("C08",))

    assert set(found.values()) == {"C02", "C07"}


def test_fup10_where_nobody_is_there_it_waits():
    night = visits.draw(
        [due("purchase", about="1"), due("use", about="1")],
        people={}, drawn={}, away=("C01", "C02", "C07", "C08"), on=ON, terms=shipped(),
    )  # fmt: skip

    assert night.drawn == []
    assert {(each.due.kind, each.why) for each in night.left} == {
        ("purchase", LeftOut.NOBODY), ("use", LeftOut.NOBODY),
    }  # fmt: skip


def test_the_order_in_which_things_are_found_changes_nothing():
    found = [due(kind, person=f"c{n % 7}", about=f"{n}") for n, kind in enumerate(list(VisitKind) * 4)]
    people = {"c1": Person(last_agent="C08"), "c2": Person(open_case="RT-1"), "c3": Person(opted_out=True)}

    first = drawn(*found, people=people)

    assert first == drawn(*reversed(found), people=people)
    assert set(first) == {"c0", "c1", "c4", "c5", "c6"}


# --- the night (P-01) -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("zone", "on", "hours"),
    [
        pytest.param("Asia/Shanghai", "2026-03-29", 24, id="Shanghai has no such nights"),
        pytest.param("Europe/Berlin", "2026-03-29", 23, id="the clock is put forward"),
        pytest.param("Europe/Berlin", "2026-10-25", 25, id="the clock is put back"),
        pytest.param("America/Havana", "2026-03-08", 23, id="the clock is put forward at midnight"),
        pytest.param("America/Havana", "2026-11-01", 25, id="the clock is put back to midnight"),
    ],
)
def test_p01_a_day_of_the_house_has_23_to_25_hours_and_the_next_begins_where_it_ends(zone: str, on: str, hours: int):
    rules = _in(zone)

    begins, ends = clocks.span(day(on), day(on), house=rules.house)

    assert (ends.astimezone(UTC) - begins.astimezone(UTC)) == timedelta(hours=hours)
    assert clocks.start_of_day(day(on) + timedelta(days=1), house=rules.house) == ends


def _in(zone: str) -> Terms:
    return shipped().model_copy(update={"house": shipped().house.model_copy(update={"timezone": zone})})
