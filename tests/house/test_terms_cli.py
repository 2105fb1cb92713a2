"""`aftersales check`, `due` and `calendar`, as people call them in the project's root."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from aftersales.settings import settings
from tests.calling import Left, call

ROOT = Path(__file__).parents[2]
# no database may be needed: one that does not exist is named
NO_DATABASE = "postgresql://nobody@127.0.0.1:1/none"


def aftersales(*words: str, cwd: Path = ROOT) -> Left:
    """Run the command line in a folder."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(cwd)
        patch.setenv("AFTERSALES_DATABASE_URL", NO_DATABASE)
        settings.cache_clear()
        try:
            return call(*words)
        finally:
            settings.cache_clear()


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A folder with a copy of the shipped config, to be spoiled."""
    shutil.copytree(ROOT / "config", tmp_path / "config")
    return tmp_path


def test_due_in_json_has_exactly_the_agreed_keys():
    done = aftersales("due", "2025-03-07 10:00", "3 wd", "--json")

    assert (done.code, done.err) == (0, "")
    assert json.loads(done.out) == {
        "start": "2025-03-07T10:00:00+08:00",
        "limit": "3 wd",
        "due_at": "2025-03-13T00:00:00+08:00",
        "provisional": False,
        "skipped": [{"date": "2025-03-08", "reason": "周末"}, {"date": "2025-03-09", "reason": "周末"}],
    }


def test_due_names_the_days_off_also_on_a_weekend():
    done = aftersales("due", "2025-09-30 11:00", "2 wd", "--json")

    found = json.loads(done.out)
    assert found["due_at"] == "2025-10-11T00:00:00+08:00"
    assert found["skipped"] == [
        {"date": f"2025-10-0{day}", "reason": "中秋节" if day == 6 else "国庆节"} for day in range(1, 9)
    ]


def test_due_reads_aloud():
    done = aftersales("due", "2025-03-07 10:00", "3 wd")

    assert done.out.splitlines() == [
        "起算：2025年3月7日（周五）10:00",
        "时限：3 个工作日",
        "不计：3月8日（周六）至 3月9日（周日）周末",
        "截止：3月12日（周三）24:00 前",
    ]


@pytest.mark.parametrize(
    ("start", "taken"),
    [
        pytest.param("2025-03-07 10:00", "2025-03-07T10:00:00+08:00", id="without offset it is house time"),
        pytest.param("2025-03-07T10:00:30", "2025-03-07T10:00:30+08:00", id="with T and seconds"),
        pytest.param("2025-03-07T10:00+08:00", "2025-03-07T10:00:00+08:00", id="with the house's offset"),
        pytest.param("2025-03-07T02:00Z", "2025-03-07T10:00:00+08:00", id="in UTC"),
        pytest.param("2025-03-06T21:00-05:00", "2025-03-07T10:00:00+08:00", id="in New York"),
        pytest.param("2025-03-07", "2025-03-07T00:00:00+08:00", id="a date is its first minute"),
    ],
)
def test_due_understands_a_start(start, taken):
    found = json.loads(aftersales("due", start, "24 h", "--json").out)

    assert found["start"] == taken
    assert found["skipped"] == []


def test_p05_due_in_a_year_without_data_is_provisional_and_says_what_is_missing():
    done = aftersales("due", "2030-09-30 10:00", "3 wd", "--json")

    assert done.code == 0
    assert json.loads(done.out)["provisional"] is True
    assert len(done.err.splitlines()) == 1
    assert "缺少 2030 年的日历（config/calendars/2030.yaml）" in done.err
    assert "aftersales calendar 2030 --write" in done.err


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        pytest.param(("tomorrow", "3 wd"), "“tomorrow”不是时刻", id="a start that is no time"),
        pytest.param(("2025-02-30 10:00", "3 wd"), "“2025-02-30 10:00”不是时刻", id="a day that does not exist"),
        pytest.param(("2025-03-07 10:00", "3"), "“3”不是时限", id="a limit without unit"),
        pytest.param(("2025-03-07 10:00", "0 wd"), "“0 wd”不是时限", id="a limit of nothing"),
        pytest.param(("2025-03-07 10:00", "three days"), "“three days”不是时限", id="a limit in words"),
        pytest.param(("9999-12-31 10:00", "3 wd"), "超出了可计算的年份", id="after the last year"),
        pytest.param(("0001-01-01T00:00+14:00", "3 wd"), "超出了可计算的年份", id="before the first year"),
        pytest.param(("2025-03-07 10:00",), "缺少参数 LIMIT", id="no limit"),
        pytest.param(("2025-03-07", "10:00", "3 wd"), "多余的参数 3 wd", id="a start without quotes"),
    ],
)
def test_wrong_use_of_due_is_one_sentence(words, sentence):
    done = aftersales("due", *words)

    assert (done.code, done.out) == (2, "")
    assert sentence in done.err
    assert len(done.err.splitlines()) == 1


def test_due_starts_without_prefect_and_database():
    code = (
        "import sys\n"
        "from aftersales.cli import root\n"
        "root.main(['due', '2025-03-07 10:00', '3 wd', '--json'], standalone_mode=False)\n"
        "print([name for name in ('prefect', 'sqlmodel', 'sqlalchemy', 'psycopg', 'apprise') if name in sys.modules])"
    )

    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60)

    assert done.stdout.splitlines()[-1] == "[]", done.stderr


def test_a_time_that_the_clock_jumps_over_is_no_start(copy):
    house = copy / "config" / "house.yaml"
    house.write_text(house.read_text("utf-8").replace("Asia/Shanghai", "Europe/Berlin"), "utf-8")

    done = aftersales("due", "2025-03-30 02:30", "1 h", cwd=copy)

    assert done.code == 2
    assert "“2025-03-30 02:30”在 Europe/Berlin 不存在" in done.err


def test_check_says_that_all_is_fine():
    done = aftersales("check")

    assert (done.code, done.err) == (0, "")
    assert done.out.startswith("规则文件没有错误：5 个部门，")
    assert "23 年日历（2004–2026）" in done.out


def test_check_lists_every_mistake(copy):
    for name, old, new in (
        ("house.yaml", "Asia/Shanghai", "Beijing"),
        ("staff.yaml", '"2000.00"', "2000"),
        ("returns.yaml", "limit: 24 h", "limit: 24"),
    ):
        path = copy / "config" / name
        path.write_text(path.read_text("utf-8").replace(old, new, 1), "utf-8")

    done = aftersales("check", cwd=copy)

    assert done.code == 1
    assert [line.split("：")[0] for line in done.out.splitlines()] == [
        "config/house.yaml 第 3 行 timezone",
        "config/staff.yaml 第 14 行 staff[A02].refund_limit",
        "config/returns.yaml 第 3 行 stages.review.limit",
    ]
    assert done.err == "规则文件有 3 处错误，请照上面所列改正后再检查。\n"


def test_other_commands_refuse_wrong_terms(copy):
    path = copy / "config" / "returns.yaml"
    path.write_text(path.read_text("utf-8").replace("limit: 24 h", "limit: 24", 1), "utf-8")

    done = aftersales("due", "2025-03-07 10:00", "3 wd", cwd=copy)

    assert (done.code, done.out) == (1, "")
    assert "config/returns.yaml 第 3 行 stages.review.limit：24 没有单位" in done.err


def test_outside_the_project_the_sentence_says_where_to_go(tmp_path):
    done = aftersales("check", cwd=tmp_path)

    assert done.code == 1
    assert done.out == "config：没有这个文件夹，请在项目的根目录运行，那里有 config/。\n"


def test_outside_of_the_project_no_database_is_begun(tmp_path: Path):
    done = subprocess.run(
        [Path(sys.executable).with_name("aftersales"), "visit", "list"],
        cwd=tmp_path,
        env={name: value for name, value in os.environ.items() if not name.startswith("AFTERSALES_")},
        capture_output=True,
        text=True,
        timeout=60,
    )

    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "这里不是项目目录（没有 migrations 文件夹），请先 cd 到项目根目录再运行。\n"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("year", [2004, 2008, 2015, 2020, 2025, 2026])
def test_a_shipped_calendar_is_what_the_command_writes(year):
    done = aftersales("calendar", str(year))

    assert done.out == (ROOT / "config" / "calendars" / f"{year}.yaml").read_text("utf-8")


def test_a_calendar_has_chinese_names_and_makeup_workdays():
    text = aftersales("calendar", "2025").out

    assert "  2025-04-04: 清明节\n" in text
    assert "  2025-05-31: 端午节\n" in text
    assert "makeup_workdays:" in text
    assert "  2025-10-11: 国庆节\n" in text


def test_a_calendar_is_written_once_and_overwritten_only_by_force(copy):
    path = copy / "config" / "calendars" / "2026.yaml"
    path.unlink()

    first = aftersales("calendar", "2026", "--write", cwd=copy)
    path.write_text(path.read_text("utf-8").replace("国庆节", "国庆"), "utf-8")  # a person corrects it
    second = aftersales("calendar", "2026", "--write", cwd=copy)
    kept = path.read_text("utf-8")
    forced = aftersales("calendar", "2026", "--write", "--force", cwd=copy)

    assert [first.code, second.code, forced.code] == [0, 1, 0]
    assert "config/calendars/2026.yaml 已经存在" in second.err
    assert "国庆节" not in kept
    assert "国庆节" in path.read_text("utf-8")


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        pytest.param(("2003",), 1, "没有 2003 年的放假安排（只有 2004–2026 年）", id="before the first known year"),
        pytest.param(("2099",), 1, "没有 2099 年的放假安排", id="a year nobody knows yet"),
        pytest.param(("next",), 2, "“next”不是年份", id="not a year"),
        pytest.param(("2026", "--force"), 2, "--force 只与 --write 同用", id="force without write"),
    ],
)
def test_a_calendar_that_cannot_be_made(words, code, sentence):
    done = aftersales("calendar", *words)

    assert (done.code, done.out) == (code, "")
    assert sentence in done.err
    assert len(done.err.splitlines()) == 1
