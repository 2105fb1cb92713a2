"""What a department sees at a glance: how much waits at each stage, the late first, and who is told next (ESC-04)."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import datetime, timedelta
from functools import cache
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest

from aftersales.rules import boards, clocks, ladders
from aftersales.rules.boards import Group, Owed
from aftersales.rules.pages import Reader
from aftersales.terms import Terms, load
from aftersales.words import Limit, Urgency
from tests.specs.test_clocks import CONFIG

RUN = UUID("00000000-0000-0000-0000-000000000001")
A_MOMENT = timedelta(microseconds=1)


@cache
def shipped() -> Terms:
    """The terms that come with the project."""
    return load(CONFIG)


@cache
def reader() -> Reader:
    """What turns their codes into words."""
    terms = shipped()
    departments = {code: department.name for code, department in terms.house.departments.items()}
    return Reader(
        returns=terms.returns, staff=terms.staff(), departments=departments, zone=ZoneInfo(terms.house.timezone)
    )


def at(wall: str) -> datetime:
    """A time of the house."""
    return clocks.house_time(datetime.fromisoformat(wall), house=shipped().house)


DUE = at("2025-03-20 00:00")


def owed(case_no: str = "RT-1", **changes: object) -> Owed:
    """A refund that is due on Wednesday 19 March at 24:00, and nobody was reminded of yet."""
    plain = Owed(
        case_no=case_no,
        stage="refund",
        owner="aftersales",
        due_at=DUE,
        lapses_at=None,
        rungs=0,
        rung_at=at("2025-03-19 09:00"),
        run_id=RUN,
        started_at=at("2025-03-17 16:00"),
    )
    return replace(plain, **changes)  # type: ignore[arg-type]


def late(case_no: str = "RT-1", **changes: object) -> Owed:
    """One that is a moment late: the department was told, the head is next."""
    return owed(case_no, **{"rungs": 2, "rung_at": at("2025-03-21 00:00"), **changes})


def counted(*all_of: Owed) -> list[Group]:
    """Each counted by itself, as the store counts many."""
    return [Group(each.owner, each.stage, 1, each.due_at, each.rungs, each.rung_at) for each in all_of]


def written(*all_of: Owed, now: datetime = DUE, groups: list[Group] | None = None) -> dict[str, str]:
    """Every board at an instant: when the refund falls due, unless another is named."""
    return boards.boards(
        groups=counted(*all_of) if groups is None else groups,
        owed=all_of,
        terms=shipped(),
        reader=reader(),
        at=now,
    )


def tables(board: str) -> list[list[list[str]]]:
    """The tables of a board, as rows of cells without their links."""
    found: list[list[list[str]]] = [[]]
    for line in board.splitlines():
        if line.startswith("|"):
            bare = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", line).replace("\N{WORD JOINER}", "")
            found[-1].append([cell.strip() for cell in bare.strip("|").split("|")])
        elif found[-1]:
            found.append([])
    return [[row for row in table if not row[0].startswith("---")] for table in found if table]


def headings(board: str) -> list[str]:
    """The headings between the lists of a board."""
    return re.findall(r"(?m)^## (.+)$", board)


def test_a_board_counts_what_waits_and_lists_the_late_first():
    soon = owed("RT-2", rungs=1, rung_at=DUE + timedelta(days=1), due_at=DUE + timedelta(days=1))
    later = owed("RT-3", due_at=at("2025-03-22 00:00"), rung_at=at("2025-03-21 09:00"))
    waits = owed("RT-4", stage="resolution", due_at=at("2025-03-21 00:00"), rung_at=at("2025-03-20 09:00"))

    board = written(later, soon, waits, late("RT-9"))["aftersales"]

    numbers, *lists = tables(board)
    assert numbers == [
        ["环节", "未办完", "超时", "即将超时"],
        ["待处理决定", "1", "0", "0"],
        ["待退款", "3", "1", "1"],
        ["**合计**", "4", "1", "1"],
    ]
    assert headings(board) == ["超时", "即将超时", "还有时间"]
    assert lists[0][0] == ["售后单", "环节", "截止", "下一级"]
    assert [table[1:] for table in lists] == [
        [["RT-9", "待退款", "3月19日（周三）24:00", "3月20日（周四）24:00 A01 何静、客户"]],
        [["RT-2", "待退款", "3月20日（周四）24:00", "3月20日（周四）24:00 售后服务部、客户"]],
        [
            ["RT-4", "待处理决定", "3月20日（周四）24:00", "3月20日（周四）09:00 售后服务部"],
            ["RT-3", "待退款", "3月21日（周五）24:00", "3月21日（周五）09:00 售后服务部"],
        ],
    ]


def test_p05_what_waits_for_a_calendar_says_so_and_is_not_late():
    provisional = owed("RT-1", rung_at=DUE, missing=(2027,), is_uncounted=True)
    waits = owed("RT-2", rung_at=None, missing=(2027,), is_uncounted=True)
    past = late("RT-3", rung_at=None, is_uncounted=True)

    board = written(provisional, waits, now=DUE - A_MOMENT)["aftersales"]
    assert headings(board) == ["还有时间"]
    assert tables(board)[1][1] == ["RT-1", "待退款", "3月19日（周三）24:00（暂定）", "3月19日（周三）24:00 A01 何静"]

    board = written(waits, past)["aftersales"]
    assert headings(board) == ["超时", "缺日历"]
    assert [table[1] for table in tables(board)[1:]] == [
        ["RT-3", "待退款", "3月19日（周三）24:00", "缺日历，已通知售后经理"],
        ["RT-2", "待退款", "3月19日（周三）24:00（暂定）", "缺日历，已通知售后经理"],
    ]


def test_what_presses_more_stands_before_what_ends_sooner():
    """A day's window is reminded of after one of an hour has begun; a customer may have less time than both."""
    days = [DUE + timedelta(days=number) for number in range(1, 5)]
    customer = owed("RT-1", rung_at=None, due_at=days[0], lapses_at=days[0])
    in_time = owed("RT-2", due_at=days[1])
    soon = owed("RT-3", rungs=1, rung_at=days[2], due_at=days[2])
    long_late = late("RT-4", due_at=DUE - timedelta(days=2))

    board = written(customer, in_time, soon, long_late, late("RT-5"))["aftersales"]

    assert headings(board) == ["超时", "即将超时", "还有时间", "等客户"]
    assert [[row[0] for row in table[1:]] for table in tables(board)[1:]] == [
        ["RT-4", "RT-5"],
        ["RT-3"],
        ["RT-2"],
        ["RT-1"],
    ]


@pytest.mark.parametrize(
    ("now", "urgency"),
    [
        pytest.param(DUE - A_MOMENT, Urgency.SOON, id="a moment before it is due"),
        pytest.param(DUE, Urgency.LATE, id="due exactly now is late: the due time is exclusive"),
        pytest.param(DUE + timedelta(days=9), Urgency.LATE, id="long ago"),
    ],
)
def test_esc04_what_was_reminded_of_is_soon_late_until_it_is_due(now: datetime, urgency: Urgency):
    found = owed(rungs=1, rung_at=DUE)

    assert ladders.urgency(due_at=found.due_at, rungs=found.rungs, rung_at=found.rung_at, at=now) is urgency
    assert headings(written(found, now=now)["aftersales"]) == [urgency.label]


@pytest.mark.parametrize(
    ("rungs", "rung_at", "now", "urgency"),
    [
        pytest.param(0, DUE, DUE - A_MOMENT, None, id="nobody was reminded yet"),
        pytest.param(0, DUE, DUE, Urgency.LATE, id="a window too short for a reminder"),
        pytest.param(0, None, DUE, None, id="AMB-52 the customer's time is nobody's lateness"),
        pytest.param(5, None, DUE, Urgency.LATE, id="everybody was told"),
        pytest.param(5, None, DUE - A_MOMENT, Urgency.SOON, id="everybody was told of a window that was moved by hand"),
    ],
)
def test_how_pressing_a_promise_is(rungs: int, rung_at: datetime | None, now: datetime, urgency: Urgency | None):
    assert ladders.urgency(due_at=DUE, rungs=rungs, rung_at=rung_at, at=now) is urgency


def test_a_case_is_as_pressing_as_the_most_pressing_of_what_it_owes():
    gate = {"due_at": DUE + timedelta(days=2), "rungs": 1, "rung_at": None}
    outer = {"due_at": DUE, "rungs": 2, "rung_at": None}
    nothing = {"due_at": DUE + timedelta(days=2), "rungs": 0, "rung_at": DUE}

    assert ladders.most_urgent([gate, outer, nothing], at=DUE) is Urgency.LATE
    assert ladders.most_urgent([nothing, gate], at=DUE) is Urgency.SOON
    assert ladders.most_urgent([nothing], at=DUE) is ladders.most_urgent([], at=DUE) is None


@pytest.mark.parametrize("stage", ["review", "pickup", "refund", "outer"])
@pytest.mark.parametrize("limit", ["24 h", "2 wd"])
def test_whom_a_rung_tells_is_what_the_ladder_says(stage: str, limit: str):
    terms = shipped()
    calendars, house = terms.calendars, terms.house
    due = clocks.due(start_at=at("2025-03-13 16:00"), limit=Limit.parse(limit), calendars=calendars, house=house)
    told: dict[datetime, list[str]] = {}
    for rung in ladders.ladder(
        stage=stage,
        due=due,
        refund_bound=terms.returns.refund_bound,
        escalation=terms.escalation,
        calendars=calendars,
        house=house,
    ):
        told.setdefault(rung.at, []).extend(rung.tell)

    assert len(told) >= 2
    for rung_at, roles in told.items():
        found = ladders.told_at(
            rung_at,
            stage=stage,
            due=due,
            refund_bound=terms.returns.refund_bound,
            escalation=terms.escalation,
            calendars=calendars,
            house=house,
        )
        assert list(found) == roles


@pytest.mark.parametrize(
    ("stage", "whom"),
    [
        pytest.param("visit", "C07 王小明", id="a list of visits is its agent's"),
        pytest.param("review", "客户服务部", id="all else is the department's, whoever entered it"),
    ],
)
def test_esc05_whom_the_reminder_that_comes_next_tells(stage: str, whom: str):
    found = owed(stage=stage, owner="customer_service", operator="C07")

    board = written(found, now=at("2025-03-19 08:00"))["customer_service"]

    assert f"| 3月19日（周三）09:00 {whom} |" in board


def test_p07_what_was_late_before_its_pause_names_whom_it_tells_next():
    """The head on Thursday 24:00; asked on Thursday noon, answered on Monday: on Monday 24:00."""
    pause = clocks.Pause(at("2025-03-20 12:00"), at("2025-03-24 12:00"), "等待客户答复")

    board = written(late(rung_at=at("2025-03-25 00:00"), pauses=(pause,)), late("RT-2"))["aftersales"]

    assert [row[3] for row in tables(board)[1][1:]] == [
        "3月24日（周一）24:00 A01 何静、客户",
        "3月20日（周四）24:00 A01 何静、客户",
    ]


def test_a_ladder_that_was_changed_since_names_the_time_and_nobody():
    changed = late(rung_at=at("2025-03-20 15:00"))

    assert tables(written(changed)["aftersales"])[1][1][3] == "3月20日（周四）15:00"


def test_amb52_what_waits_for_the_customer_ends_by_itself_and_is_never_late():
    waits = owed("RT-1", stage="pickup", owner="logistics", rung_at=None, due_at=DUE, lapses_at=DUE + timedelta(days=7))

    board = written(waits, now=DUE + timedelta(days=1))["logistics"]

    assert headings(board) == ["等客户"]
    assert tables(board)[1][1:] == [["RT-1", "待取件", "3月26日（周三）24:00", "到时自动结案"]]


def test_where_nobody_is_told_it_says_so():
    done, never = late("RT-1", rungs=5, rung_at=None), owed("RT-2", rung_at=None)

    board = written(done, never)["aftersales"]

    assert headings(board) == ["超时", "还有时间"]
    assert [(row[0], row[3]) for table in tables(board)[1:] for row in table[1:]] == [
        ("RT-1", "已到最后一级"),
        ("RT-2", "不催办"),
    ]


def test_a_department_sees_its_own_and_the_house_sees_all():
    found = written(late("RT-1"), owed("RT-2", stage="pickup", owner="logistics"))

    listed = {
        code: [row[0] for table in tables(page)[1:] for row in table[1:]]
        for code, page in found.items()
        if "RT-" in page
    }
    assert listed == {boards.HOUSE: ["RT-1", "RT-2"], "aftersales": ["RT-1"], "logistics": ["RT-2"]}
    assert set(found) == {boards.HOUSE, *shipped().house.departments}
    assert found["logistics"].startswith("# 物流与配送部看板\n")
    assert found["warehouse"].endswith("现在没有未办完的售后单。")
    numbers, *lists = tables(found[boards.HOUSE])
    assert [row[:2] for row in numbers] == [
        ["部门", "环节"],
        ["物流与配送部", "待取件"],
        ["售后服务部", "待退款"],
        ["", "**合计**"],
    ]
    assert [[row[1] for row in table] for table in lists] == [["部门", "售后服务部", "物流与配送部"]]


def test_the_work_of_a_department_that_was_dissolved_is_on_the_houses_board():
    found = written(late(owner="night_shift"))

    _, rows = tables(found[boards.HOUSE])
    assert rows[1:] == [["RT-1", "night\\_shift", "待退款", "3月19日（周三）24:00", "3月20日（周四）24:00"]]


def test_esc09_the_limit_of_the_whole_case_is_named_as_such():
    numbers, rows = tables(written(late(stage="outer", rung_at=None))["aftersales"])

    assert numbers[1][0] == rows[1][1] == "整单时限"


def test_a_board_lists_the_most_pressing_and_counts_the_rest():
    many = [owed(f"RT-{place}", due_at=DUE + timedelta(minutes=1 + place)) for place in range(boards.MOST + 1)]
    groups = [Group("aftersales", "refund", 3_000, DUE + timedelta(minutes=1), 0, DUE)]

    board = written(*reversed(many), late("RT-LATE"), groups=groups)["aftersales"]

    numbers, *lists = tables(board)
    assert numbers[1] == ["待退款", "3000", "0", "0"]
    assert [row[0] for table in lists for row in table[1:]] == [
        "RT-LATE",
        *(each.case_no for each in many[: boards.MOST - 1]),
    ]
    assert "共 3000 项，只列出最急的 200 项" in board


def test_a_board_leads_to_the_run_and_to_the_lists_by_tag():
    board = written(late())["aftersales"]

    assert f"[RT-1](/v2/runs/flow-run/{RUN})" in board
    assert "[超时的单](/v2/runs?tags=%E8%B6%85%E6%97%B6)" in board
    assert "[本部门的待办](/v2/runs?tags=%E5%94%AE" in board


def test_a_board_says_the_same_until_something_happens_to_a_case():
    """Each minute a new text would be a new writing: no board tells how long until, or how long since."""
    found = [
        late("RT-1"),
        owed("RT-2", due_at=DUE + timedelta(days=2)),
        owed("RT-3", rungs=1, due_at=DUE + timedelta(days=3)),
    ]

    assert written(*found, now=DUE) == written(*found, now=DUE + timedelta(hours=23))


def test_when_it_was_written_is_no_part_of_what_a_board_says():
    board = written(late())["aftersales"]

    shown = boards.dated(board, at=DUE, reader=reader())

    assert shown.startswith("# 售后服务部看板\n\n更新于 2025-03-20 00:00；")
    assert shown.replace("更新于 2025-03-20 00:00；每分钟核对一次，有变化才更新。\n\n", "") == board
    assert "更新于" not in board
