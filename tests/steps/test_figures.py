"""`aftersales figures` and what is counted: days of the house, no rehearsals, sent is sent (KPI-09, KPI-40, KPI-41, KPI-44)."""

from __future__ import annotations

import csv
import io
from datetime import date, timedelta
from typing import Any

import pytest

from aftersales import clock
from aftersales.rules.figures import HEADS, Kept
from tasks import figures, surveys, visits
from tests import builders
from tests.stories.test_escalation import time
from tests.visiting import a_case, a_visit, at, change, night, rows, sell

__all__ = ["time"]

DAY, NEXT = date(2025, 3, 12), date(2025, 3, 13)
MOMENT = timedelta(microseconds=1)


async def a_survey(
    case_no: str,
    *,
    sent: Any,
    score: float | None = None,
    state: str = "sent",
    rehearsal: str | None = None,
    operator: str = "C07",
) -> None:
    """A survey that was sent at an instant, or not yet, answered where it has a score."""
    await a_case(case_no, "D1", closed="2025-03-11", operator=operator)
    await change(
        "insert into surveys (case_no, order_no, state, rehearsal, terms, ended_at, asked_by, sent_at, score, satisfied)"
        " values (:case_no, 'D1', :state, :rehearsal, '{}', '2025-03-11', 'link', :sent, :score, :satisfied)",
        case_no=case_no,
        state="answered" if score else state,
        rehearsal=rehearsal,
        sent=sent,
        score=score,
        satisfied=None if score is None else score > 2,
    )


async def sent_on(day: date) -> Any:
    """What surveys of a day came to."""
    ((_, tally),) = await surveys.figures(since=day, until=day)
    return tally


async def settle(visit_id: int, *, promised: date, done: Any = None, outcome: str = "reached", **more: Any) -> None:
    """Put a visit as it stands once it was on a list."""
    values = {"state": "done" if done else "listed", "outcome": outcome if done else "", "done_at": done, **more}
    sets = ", ".join(f"{name} = :{name}" for name in ("promised_on", *values))
    await change(f"update visits set {sets} where id = :id", id=visit_id, promised_on=promised, **values)


async def kept_on(day: date) -> Kept:
    """What visits of a day came to."""
    found = await visits.figures(since=day, until=day)
    return found[-1][1] if found else Kept()


# --- KPI-09, KPI-44: surveys ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("off", "of_the_day", "of_the_next"),
    [
        pytest.param(-MOMENT, 1, 0, id="a moment before midnight of the house"),
        pytest.param(timedelta(), 0, 1, id="midnight of the house"),
    ],
)
async def test_kpi44_a_survey_is_of_the_day_on_which_it_was_sent(
    database: str, off: timedelta, of_the_day: int, of_the_next: int
):
    await sell("D1", ordered="2025-03-01", delivered="2025-03-04")
    await a_survey("RT-1", sent=at("2025-03-13 00:00") + off)

    assert ((await sent_on(DAY)).sent, (await sent_on(NEXT)).sent) == (of_the_day, of_the_next)


async def test_kpi44_a_survey_that_expired_was_sent_and_one_that_waits_was_not(database: str):
    await sell("D1", ordered="2025-03-01", delivered="2025-03-04")
    await a_survey("RT-1", sent=at("2025-03-12"), score=4)
    await a_survey("RT-2", sent=at("2025-03-12"), state="expired")
    await a_survey("RT-3", sent=None, state="waiting")
    await a_survey("RT-4", sent=None, state="sent")  # its notice still waits in the outbox
    await a_survey("RT-5", sent=None, state="skipped")
    await change("insert into rehearsals (id, now_at) values ('X1', now())")
    await a_survey("RT-6", sent=at("2025-03-12"), score=1, rehearsal="X1")

    tally = await sent_on(DAY)

    assert (tally.sent, tally.answered, str(tally.response_rate), str(tally.csat)) == (2, 1, "50.0", "4.00")


# --- KPI-40: visits -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("done", "told"),
    [
        pytest.param(at("2025-03-13 00:00") - MOMENT, Kept(1, in_time=1), id="a moment before midnight of the house"),
        pytest.param(at("2025-03-13 00:00"), Kept(1, late=1), id="midnight of the house"),
    ],
)
async def test_kpi40_a_visit_is_in_time_until_its_day_is_over(database: str, done: Any, told: Kept):
    await settle(await a_visit("O1"), promised=DAY, done=done)

    assert await kept_on(DAY) == told


@pytest.mark.parametrize(
    ("now", "told"),
    [
        pytest.param("2025-03-12 23:59", Kept(1, pending=1), id="its day still lasts"),
        pytest.param("2025-03-13 00:00", Kept(1, overdue=1), id="its day is over"),
    ],
)
async def test_kpi40_what_is_not_done_is_overdue_once_its_day_is_over(shop: Any, time: Any, now: str, told: Kept):
    await settle(await a_visit("O1"), promised=DAY, due_on=NEXT)

    time(now)

    assert await kept_on(DAY) == told
    assert await kept_on(NEXT) == Kept(), "it stays due when it was first"


async def test_kpi40_what_stood_on_lists_until_it_was_too_late_stays_overdue(shop: Any, time: Any):
    await sell("O1", ordered="2025-03-05", delivered="2025-03-07")
    for day in ("2025-03-12", "2025-03-13", "2025-03-26", "2025-03-27"):
        time(f"{day} 02:00")
        await night(day)

    (row,) = await rows()
    assert (row.state, row.data["why"]) == ("dropped", "too_late")
    assert await kept_on(DAY) == Kept(1, overdue=1)


async def test_kpi40_dropped_rehearsed_and_unlisted_visits_count_nowhere(database: str):
    await change("insert into rehearsals (id, now_at) values ('X1', now())")
    await settle(await a_visit("O1"), promised=DAY, state="dropped")
    await settle(await a_visit("O2", customer="U2", rehearsal="X1"), promised=DAY, done=at("2025-03-12"))
    await a_visit("O3", customer="U3")

    assert await visits.figures(since=DAY, until=NEXT) == []


# --- all of them ----------------------------------------------------------------------------------------------------


@pytest.fixture
async def past(database: str) -> None:
    """Two agents' surveys, visits and a second revisit, this week and the one before."""
    today = builders.today()
    for number, (agent, days) in enumerate((("C07", 0), ("C07", 7), ("C02", 7)), 1):
        order, when = f"O{number}", clock.now() - timedelta(days=days)
        await settle(
            await a_visit(order, customer=f"U{number}", agent=agent),
            promised=today - timedelta(days=days),
            done=when if number != 2 else None,
        )
    await sell("D1", ordered="2025-03-01", delivered="2025-03-04")
    await a_survey("RT-1", sent=clock.now() - timedelta(days=7), score=4, operator="C07")
    await a_survey("RT-2", sent=clock.now() - timedelta(days=7), state="expired", operator="C02")
    await a_case("HF-1", "D1", process="revisit", closed="2025-03-12", operator="C02")
    await change("update cases set opened_at = :at where case_no = 'HF-1'", at=clock.now() - timedelta(days=7))


async def test_the_sheet_is_what_the_two_other_commands_say(aftersales: Any, past: None):
    today = builders.today()
    days = ("--from", str(today - timedelta(days=20)), "--to", str(today + timedelta(days=1)))

    told = await aftersales("figures", "followup", *days, "--by", "agent", "--format", "csv")
    visited = await aftersales("visit", "figures", *days, "--format", "json")
    surveyed = await aftersales("survey", "figures", *days, "--by", "agent", "--format", "json")

    rows = {row["客服"]: row for row in csv.DictReader(io.StringIO(told.out.removeprefix("\ufeff")))}
    assert list(rows) == ["C02 刘洋", "C07 王小明", "合计"]
    for row in visited.data:
        assert [rows[row["agent"]][HEADS[name]] for name in ("due", "in_time", "late", "completion")] == [
            row[name] for name in ("due", "in_time", "late", "share")
        ]
    for row in surveyed.data:
        same = (
            "sent",
            "answered",
            "response_rate",
            "csat",
            "good_share",
            "revisits",
            "revisits_ended",
            "recovery_rate",
        )
        assert [rows[row["group"]][HEADS[name]] for name in same] == [row[name] for name in same]
    assert rows["合计"]["完成率（%）"] == "66.7" and rows["合计"]["挽回率（%）"] == "0.0"


async def test_without_a_period_it_is_the_last_weeks_and_says_that_no_page_was_written(aftersales: Any, past: None):
    told = await aftersales("figures", "followup", "--format", "json")
    teams = await aftersales("figures", "followup", "--by", "team")

    assert len(told.data) == 13 and told.data[-1]["week"] == "合计"
    assert told.data[-1]["due"] == "3" and told.data[10]["sent"] == "2"
    assert told.err == "页面“回访和满意度”没有更新：Prefect 服务没有运行，请先在另一个终端运行 make run。"
    assert "客服一组" in teams.out and teams.code == 0


async def test_an_empty_shop_has_weeks_without_figures(database: str):
    found = await figures.followup()

    assert (len(found.weeks), found.teams, found.agents) == (12, [], [])
    assert found.total.cells["completion"] == "" and found.total.cells["due"] == "0"


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        pytest.param(("--from", "2026-02-01", "--to", "2026-01-31"), "请对调", id="backwards"),
        pytest.param(("--from", "2026-02-01"), "--from 和 --to 请一起写", id="no end"),
        pytest.param(("--to", "2026-02-01"), "--from 和 --to 请一起写", id="no beginning"),
        pytest.param(("--from", "昨天", "--to", "2026-01-31"), "“昨天”不是日期", id="no date"),
        pytest.param(("--by", "shop"), "可选：team、agent", id="no group"),
        pytest.param(("--format", "xlsx"), "可选：table、csv、json", id="no format"),
    ],
)
async def test_what_is_wrong_is_one_sentence(aftersales: Any, database: str, words: tuple[str, ...], sentence: str):
    told = await aftersales("figures", "followup", *words)

    assert (told.code, told.out) == (2, "")
    assert sentence in told.err and "\n" not in told.err


async def test_a_place_that_cannot_be_written_is_one_sentence(aftersales: Any, database: str):
    days = ("--from", "2026-01-01", "--to", "2026-01-31")

    told = await aftersales("figures", "followup", *days, "--format", "csv", "--out", "/nowhere/figures.csv")

    assert told.code == 1 and told.err.startswith("写不了 /nowhere/figures.csv") and "\n" not in told.err
