"""What a call makes of a visit, by when a list owes something, whose what is left is (FUP-06, FUP-10, FUP-12, ESC-10)."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from aftersales.rules import lists, pages
from aftersales.rules.lists import Called, Visit
from aftersales.terms import load
from aftersales.words import Outcome

LIVE = load()
HOUSE = ZoneInfo("Asia/Shanghai")


def a_visit(**changes: Any) -> Visit:
    """A visit on a list, due on Thursday 13 March 2025."""
    facts: dict[str, Any] = dict.fromkeys(Visit.__dataclass_fields__, "")
    facts |= {
        "id": 17, "kind": "purchase", "state": "listed", "order_no": "D1", "due_on": date(2025, 3, 13), "tries": 0,
        "told": [], "key": "purchase:D1", "also": (), "data": {}, "name": "李小红", "phone": "10212345678",
    }  # fmt: skip
    return Visit(**(facts | changes))


@pytest.mark.parametrize(
    ("outcome", "tries", "becomes"),
    [
        pytest.param("reached", 0, Called("done", "reached", 0), id="reached is done"),
        pytest.param("reached", 2, Called("done", "reached", 2), id="reached at last is done"),
        pytest.param("problem", 0, Called("done", "problem", 0), id="a problem is done: its complaint goes on"),
        pytest.param("opted_out", 1, Called("done", "opted_out", 1), id="no calls any more is done"),
        pytest.param("not_reached", 0, Called("planned", "", 1, date(2025, 3, 14)), id="the first call in vain is followed by another"),
        pytest.param("not_reached", 1, Called("planned", "", 2, date(2025, 3, 14)), id="the second call in vain too"),
        pytest.param("not_reached", 2, Called("done", "not_reached", 3), id="the third call in vain is the last"),
    ],
)  # fmt: skip
def test_fup12_what_a_call_makes_of_a_visit(outcome: str, tries: int, becomes: Called):
    told = lists.called(a_visit(tries=tries), outcome=Outcome(outcome), on=date(2025, 3, 13), terms=LIVE)

    assert told == becomes


@pytest.mark.parametrize(
    ("called_on", "again_on"),
    [
        pytest.param(date(2025, 3, 13), date(2025, 3, 14), id="on Thursday: on Friday"),
        pytest.param(date(2025, 3, 14), date(2025, 3, 17), id="on Friday: on Monday"),
        pytest.param(date(2025, 3, 15), date(2025, 3, 17), id="on a Saturday: on Monday"),
        pytest.param(date(2025, 9, 30), date(2025, 10, 9), id="before the holidays: after them"),
    ],
)
def test_fup12_who_was_not_reached_is_called_on_the_next_working_day(called_on: date, again_on: date):
    assert lists.called(a_visit(), outcome=Outcome.NOT_REACHED, on=called_on, terms=LIVE).due_on == again_on


@pytest.mark.parametrize(
    ("kind", "outcome", "effect", "follows_on"),
    [
        pytest.param("unsolved", "reached", "unsolved", date(2025, 3, 17), id="still not solved: two working days later"),
        pytest.param("unsolved", "reached", "", date(2025, 3, 17), id="nobody said: it is asked again"),
        pytest.param("unsolved", "reached", "solved", None, id="solved now: that is all"),
        pytest.param("unsolved", "problem", "", None, id="a complaint goes on in its place"),
        pytest.param("purchase", "reached", "unsolved", None, id="another kind: that is all"),
    ],
)  # fmt: skip
def test_fup06_what_follows_a_visit(kind: str, outcome: str, effect: str, follows_on: date | None):
    seen = a_visit(kind=kind, key=f"{kind}:RT-1")

    told = lists.follows(seen, outcome=Outcome(outcome), effect=effect, on=date(2025, 3, 13), terms=LIVE)

    assert [(part["key"], day) for part, day, _ in told] == ([(f"{kind}:RT-1#2", follows_on)] if follows_on else [])


@pytest.mark.parametrize("effect", ["", "solved"])
def test_fup06_what_is_not_solved_lives_on_though_another_visit_asked(effect: str):
    part = {"key": "unsolved:TK-2#3", "kind": "unsolved", "rule": "FUP-06", "order_no": "O9", "case_no": "TK-2"}
    seen = a_visit(also=({**part, "kind": "return", "key": "return:RT-1"}, part))

    told = lists.follows(seen, outcome=Outcome.REACHED, effect=effect, on=date(2025, 3, 13), terms=LIVE)

    follows = [("unsolved:TK-2#4", "O9", "TK-2", date(2025, 3, 17))]
    assert [(p["key"], p["order_no"], p["case_no"], day) for p, day, _ in told] == ([] if effect else follows)


def test_a_list_names_what_else_the_call_is_about():
    parts = [
        {"kind": "purchase", "order_no": "D2", "case_no": None},
        {"kind": "return", "order_no": "D3", "case_no": "RT-1"},
    ]

    assert a_visit(also=parts).merged == "新购回访 D2、退换货回访 RT-1"
    assert a_visit(also=parts).label == "新购回访（一并：新购回访 D2、退换货回访 RT-1）"
    assert (a_visit().merged, a_visit().label) == ("", "新购回访")


@pytest.mark.parametrize(
    ("left", "due_at", "behind"),
    [
        pytest.param([("13", ""), ("13", "")], "2025-03-14", "", id="the end of the day"),
        pytest.param([("13", ""), ("12", "reminder breach"), ("14", "")], "2025-03-13", "reminder breach", id="the earliest day counts, with what was told of it"),
        pytest.param([("12", "breach"), ("12", "breach head"), ("13", "reminder")], "2025-03-13", "breach head", id="what was told of one of a day is told of all"),
    ],
)  # fmt: skip
def test_esc10_by_when_a_list_owes_something(left: list[tuple[str, str]], due_at: str, behind: str):
    visits = [a_visit(id=n, due_on=date(2025, 3, int(day)), told=told.split()) for n, (day, told) in enumerate(left)]

    told = lists.owed(visits, terms=LIVE)

    assert told is not None
    assert (told[0].due_at, told[1]) == (datetime.fromisoformat(due_at).replace(tzinfo=HOUSE), behind.split())


def test_a_list_of_nobody_owes_nothing():
    assert lists.owed([], terms=LIVE) is None


def test_fup10_what_is_left_goes_to_whoever_has_the_fewest():
    orphaned = [(1, "cs"), (2, "cs"), (3, "cs"), (4, "wh")]

    given = lists.hand_over(orphaned, loads={"C07": 3, "C08": 1}, there={"cs": ["C07", "C08"], "wh": []})

    assert given == {1: "C08", 2: "C08", 3: "C07"}


def test_gen10_a_choice_names_nobody_whole():
    assert a_visit().choice == "17 D1 李** 新购回访"
    assert a_visit(order_no="", kind="use").choice == "17 李** 使用回访"


@pytest.mark.parametrize(
    ("about", "shown"),
    [
        pytest.param(
            {"kind": "return", "case_no": "RT-1"}, "| D1 售后单 RT-1 |", id="a visit after a case names the case"
        ),
        pytest.param({"case_no": None}, "| D1 |", id="a visit after a purchase has none"),
    ],
)
def test_fup10_a_list_names_what_each_visit_is_about(about: dict[str, Any], shown: str):
    assert shown in pages.visits_table([a_visit(**about)], on=date(2025, 3, 13))
