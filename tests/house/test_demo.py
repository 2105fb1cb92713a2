"""`aftersales demo` on a real stack: what a newcomer sees, what it leaves behind, and what stands in its way."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterable
from decimal import Decimal
from typing import Any

import psycopg
import pytest

from aftersales.cli import demo
from aftersales.cli.demo_ways import WAYS, Way
from aftersales.stack import up
from tests.stories.test_rehearsal import HAND_RECKONED


def _sum(paid: list[str]) -> str:
    total = f"{sum(map(Decimal, paid)):.2f}" if paid else ""
    return f"{total}（{len(paid)} 笔）" if len(paid) > 1 else total


# one way for each way to decide and each deployment; `make soak` plays them all
SOME = (
    "上门取件",
    "收货前客户取消",
    "又提交一次",
    "自行寄回，不收",
    "七天无人补正",
    "组长延期",
    "登记账户后",
)


def table(ways: Iterable[Way]) -> dict[str, tuple[str, str]]:
    """What the demo's table must say, reckoned by hand under the shipped terms."""
    return {
        way.story: (ends.label if ends else "未受理", _sum(paid))
        for way, (ends, paid) in ((way, HAND_RECKONED[way.key]) for way in ways)
    }


def shown(output: str) -> list[list[str]]:
    """The cells of the table that was printed."""
    return [[cell.strip() for cell in line.split("│")[1:-1]] for line in output.splitlines() if "│" in line]


def rows(stack: Any, query: str) -> list[Any]:
    with psycopg.connect(stack.stack.database_url) as connection:
        return connection.execute(query).fetchall()


REAL = (
    "orders where rehearsal is null",
    *(f"{t} where case_no not like '__-X-%'" for t in ("cases", "journal", "work")),
)


def real(stack: Any) -> list[Any]:
    """Every order and case that is no rehearsal's; other tests may share this stack."""
    return [sorted(map(str, rows(stack, f"select * from {which}"))) for which in REAL]


@pytest.fixture(scope="module")
def before(stack) -> list[Any]:
    """What the shop had before anybody rehearsed."""
    return real(stack)


@pytest.fixture(scope="module")
def played(stack, before) -> subprocess.CompletedProcess[str]:
    """Some ways of the demo, played once, as fast as possible."""
    return stack.command("demo", "--speed", "0", *(f"--only={word}" for word in SOME))


pytestmark = [pytest.mark.timeout(400)]


@pytest.mark.stack
def test_it_ends_with_a_table_of_cases_amounts_and_links(stack, played):
    assert played.returncode == 0, played.stderr
    cells = shown(played.stdout)
    chosen = [way for way in WAYS if any(word in way.story for word in SOME)]
    assert {story: (end, paid) for _, story, end, paid, _, _ in cells} == table(chosen)
    assert len(cells) == len(SOME)
    for number, _, end, _, _, url in cells:
        assert number.startswith("RT-X-") or end == "未受理"
        run = up.ask(f"{stack.stack.api_url}/flow_runs/{url.rpartition('/')[2]}")
        assert run["state"]["type"] == "COMPLETED"
        assert run["name"] == (f"退货 {number} {end}" if number.startswith("RT-X-") else run["name"])
        assert (number in run["tags"] and "演练" in run["tags"]) or end == "未受理"
    assert f"/v2/runs?tags={'%E6%BC%94%E7%BB%83'}" in played.stdout
    assert re.search(r"aftersales audit case RT-X-\d{8}-\d{4}\n", played.stdout)


@pytest.mark.stack
def test_it_decides_by_the_same_ways_as_staff(stack, played):
    decided = "select split_part(data->>'via', ':', 1) from journal where kind = 'decision' and case_no like 'RT-X-%'"
    started = {run["name"].split(" ")[0] for run in up.ask(f"{stack.stack.api_url}/flow_runs/filter", body={})}

    assert {via for (via,) in rows(stack, decided)} == {"form", "command", "event", "lapse"}
    assert started >= {"退货", "到件登记", "取消售后单", "延期", "收款账户登记"}


@pytest.mark.stack
def test_it_touches_nothing_else_and_leaves_nothing_open(stack, before, played):
    assert real(stack) == before
    # a complaint is for people: it has no run and stays open until the process of complaints exists
    rehearsed = "case_no like '__-X-%' and case_no not like 'CP-%'"
    assert rows(stack, f"select case_no from cases where {rehearsed} and closed_at is null") == []
    assert rows(stack, f"select case_no from promises where {rehearsed} and ended_at is null") == []
    assert rows(stack, f"select case_no from units where {rehearsed} and state = 'held'") == []
    assert rows(stack, "select order_no from orders where rehearsal is not null and order_no not like 'DX-%'") == []


@pytest.mark.stack
def test_it_is_played_on_one_clock(stack, played):
    case_no = re.search(r"RT-X-\d{8}-\d{4}", played.stdout)[0]
    ((rehearsal,),) = rows(stack, f"select rehearsal from cases where case_no = '{case_no}'")
    ((begun, ends),) = rows(
        stack, f"select min(at), max(at) from journal join cases using (case_no) where rehearsal = '{rehearsal}'"
    )
    ((clock,),) = rows(stack, f"select now_at from rehearsals where id = '{rehearsal}'")

    # the pick-up that a storm delays is the longest of these stories
    assert ends <= clock
    assert (ends - begun).days == 15 and (clock - begun).days == 15


@pytest.mark.soak
def test_every_way_is_played(shops):
    """The whole demo on a stack of its own: what `make demo` shows a newcomer."""
    shop = shops().start()

    told = shop.command("demo", "--speed", "0")

    assert told.returncode == 0, told.stderr
    assert {story: (end, paid) for _, story, end, paid, _, _ in shown(told.stdout)} == table(WAYS)
    ((begun, ends),) = rows(shop, "select min(at), max(at) from journal where case_no like 'RT-X-%'")
    ((clock,),) = rows(shop, "select max(now_at) from rehearsals")
    # the refund that is never made is the longest story; the watcher of goods never sent looks in after its end
    assert ends < clock
    # how many weekends lie in it depends on the day on which it is played
    assert 18 <= (ends - begun).days <= (clock - begun).days <= 25


def test_a_way_that_is_about_another_ones_order_brings_that_one_along():
    assert [way.key for way in demo._chosen(["又提交一次"])] == ["main", "twice"]
    assert demo._chosen([]) == list(WAYS)


def test_a_word_that_no_story_holds_is_one_sentence_that_lists_them(shops):
    told = shops().command("demo", "--only", "飞船")

    assert told.returncode == 1
    assert told.stderr.startswith("没有哪种演示的经过含有“飞船”，可以选：七天无理由，上门取件；")
    assert told.stderr.count("\n") == 1


def test_without_a_stack_it_is_one_sentence(shops):
    told = shops().command("demo")

    assert told.returncode == 1
    assert told.stderr == "服务没有运行，请先在另一个终端运行 make run。\n"


@pytest.mark.parametrize("speed", ["-1", "nan", "fast", "1e9", ""])
def test_a_speed_that_is_none_is_wrong_use(shops, speed):
    told = shops().command("demo", "--speed", speed)

    assert told.returncode == 2
    assert "应写成 0 到 3600 的秒数" in told.stderr and told.stderr.count("\n") == 1
