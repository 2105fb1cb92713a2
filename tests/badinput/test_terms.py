"""Terms: a mistake in `config/*.yaml` is told with file, line, key and remedy, and a command that needs them does nothing."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.badinput.conftest import House, nothing_changes
from tests.badinput.test_commands import GOOD, HEADER

ROOT = Path(__file__).parents[2]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a copy of the terms, to be spoiled, and an order file."""
    shutil.copytree(ROOT / "config", tmp_path / "config")
    (tmp_path / "orders.csv").write_text(HEADER + GOOD, "utf-8")
    (tmp_path / "migrations").symlink_to(ROOT / "migrations")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def mistake(what: str, file: str, old: str, new: str, sentence: str) -> Any:
    return pytest.param(file, old, new, sentence, id=what)


TERMS = [
    mistake("a limit without unit", "returns.yaml", "limit: 24 h", "limit: 24", "config/returns.yaml 第 3 行 stages.review.limit：24 没有单位，请写成 24 h（小时）、24 wd（工作日）或 24 d（自然日）。"),
    mistake("a limit of nothing", "returns.yaml", "limit: 24 h", "limit: 0 h", "config/returns.yaml 第 3 行 stages.review.limit：“0 h”不是时限，请写成数字加单位，如 30 min（分钟）、24 h（小时）、3 wd（工作日）、7 d（自然日）、4 sh（服务小时）。"),
    mistake("a limit in words", "returns.yaml", "limit: 24 h", "limit: 一天", "config/returns.yaml 第 3 行 stages.review.limit：“一天”不是时限，请写成数字加单位，如 30 min（分钟）、24 h（小时）、3 wd（工作日）、7 d（自然日）、4 sh（服务小时）。"),
    mistake("an unknown department", "returns.yaml", "owner: customer_service", "owner: finance", "config/returns.yaml 第 3 行 stages.review.owner：house.yaml 没有部门“finance”，可写：customer_service、logistics、warehouse、aftersales、technical。"),
    mistake("money as a number", "returns.yaml", '"12.00"', "12.00", "config/returns.yaml 第 30 行 pickup_freight：金额 12.00 没有写成加引号的两位小数，请写成 \"12.00\"。"),
    mistake("negative money", "returns.yaml", '"12.00"', '"-12.00"', "config/returns.yaml 第 30 行 pickup_freight：金额“-12.00”是负数，请写成不小于零的两位小数，如 \"12.00\"。"),
    mistake("money of three decimals", "returns.yaml", '"12.00"', '"12.345"', "config/returns.yaml 第 30 行 pickup_freight：金额“12.345”不是两位小数的数，请写成 \"12.00\" 这样。"),
    mistake("money that is not a number", "returns.yaml", '"12.00"', ".nan", "config/returns.yaml 第 30 行 pickup_freight：金额“.nan”不是两位小数的数，请写成 \"12.00\" 这样。"),
    mistake("money without end", "returns.yaml", '"12.00"', ".inf", "config/returns.yaml 第 30 行 pickup_freight：金额“.inf”不是两位小数的数，请写成 \"12.00\" 这样。"),
    mistake("money in full width", "returns.yaml", '"12.00"', '"１２.00"', "config/returns.yaml 第 30 行 pickup_freight：金额“１２.00”不是两位小数的数，请写成 \"12.00\" 这样。"),
    mistake("a day as a text", "returns.yaml", "free_until_day:     7", 'free_until_day: "7"', "config/returns.yaml 第 25 行 free_until_day：“7”用在这里不对，请写成整数，如 7。"),
    mistake("days in the wrong order", "returns.yaml", "free_until_day:     7", "free_until_day: 31", "config/returns.yaml 第 26 行 freight_until_day：30 不大于 free_until_day 的 31，请写更大的天数，如 54。"),
    mistake("a day of minus one", "returns.yaml", "free_until_day:     7", "free_until_day: -1", "config/returns.yaml 第 25 行 free_until_day：-1 太小，请写成不小于 0 的整数。"),
    mistake("a key that is none", "returns.yaml", "free_until_day:     7", "free_until_day: 7\nfree_untill_day: 8", "config/returns.yaml 第 26 行 free_untill_day：没有“free_untill_day”这一项，是不是想写“free_until_day”；多余的请删去。"),
    mistake("a key twice", "returns.yaml", "free_until_day:     7", "free_until_day: 7\nfree_until_day: 8", "config/returns.yaml 第 26 行 free_until_day：“free_until_day”在第 25 行已经写过，请只留一处。"),
    mistake("a key that is missing", "returns.yaml", "free_until_day:     7 ", "# ", "config/returns.yaml 第 2 行 free_until_day：缺少“free_until_day”，请补上，写成 free_until_day: 7。"),
    mistake("a tab", "returns.yaml", "free_until_day:     7", "\tfree_until_day: 7", "config/returns.yaml 第 25 行：YAML 写法不对（found character that cannot start any token），请检查这一行及上一行的缩进、引号、括号和半角冒号。"),
    mistake("an alias", "returns.yaml", "free_until_day:     7", "free_until_day: *seven", "config/returns.yaml 第 25 行：不支持 YAML 的引用（*），请把值直接写出来。"),
    mistake("a tag that makes objects", "returns.yaml", "free_until_day:     7", "free_until_day: !!python/object:os.system 7", "config/returns.yaml 第 25 行 free_until_day：“7”用在这里不对，请写成整数，如 7。"),
    mistake("a zone that is none", "house.yaml", "Asia/Shanghai", "Asia/Peking", "config/house.yaml 第 3 行 timezone：没有时区“Asia/Peking”，请写成 Asia/Shanghai 这样的名称。"),
    mistake("a zone that is a path", "house.yaml", "Asia/Shanghai", "../../etc/passwd", "config/house.yaml 第 3 行 timezone：没有时区“../../etc/passwd”，请写成 Asia/Shanghai 这样的名称。"),
    mistake("yes for true", "house.yaml", "makeup_days_count: false", "makeup_days_count: maybe", "config/house.yaml 第 6 行 makeup_days_count：“maybe”用在这里不对，请写成是非，如 true 或 false。"),
    mistake("a head who does not work here", "house.yaml", "head: C01", "head: C99", "config/house.yaml 第 10 行 departments.customer_service.head：staff.yaml 没有编号为“C99”的员工，请写已有的编号，或先在那里加上。"),
    mistake("a language nobody speaks here", "house.yaml", "language: zh", "language: fr", "config/house.yaml 第 2 行 language：“fr”不在可选值中，请写成 zh 或 en。"),
    mistake("hours in the wrong order", "house.yaml", "24x7", '"18:00-09:00"', "config/house.yaml 第 7 行 service_hours：营业时间“18:00-09:00”前后颠倒或重叠，请按先后写在 00:00 到 24:00 之间，过午夜的分成两段。"),
    mistake("two of the same id", "staff.yaml", "id: C02", "id: C01", "config/staff.yaml 第 5 行 staff[C01].id：编号“C01”与第 4 行的员工重复，请换一个编号。"),
    mistake("a right that is none", "staff.yaml", "rights: [pickup]", "rights: [fly]", "config/staff.yaml 第 9 行 staff[L02].rights[1]：没有权限“fly”，可写：apply、review、pickup、receive、inspect、approve_exception、countersign、refund、cancel、extend、visit、revisit、supervise、view_contact。"),
    mistake("an id with a blank", "staff.yaml", "id: C02", 'id: "C 02"', "config/staff.yaml 第 5 行 staff[C 02].id：“C 02”不能作员工编号，请只用字母、数字、- 和 _，如 C07。"),
    mistake("a NUL", "staff.yaml", "name: 刘洋", 'name: "刘\\0洋"', "config/staff.yaml 第 5 行 staff[C02].name：含有不可见的控制字符，请删去后重写。"),
    mistake("a day of another year", "calendars/2026.yaml", "2026-10-01", "2027-10-01", "config/calendars/2026.yaml 第 32 行 days_off.2027-10-01：2027-10-01 不在 2026 年，请移到 2027.yaml，或改正日期。"),
    mistake("a day that there is not", "calendars/2026.yaml", "2026-10-01", "2026-02-30", "config/calendars/2026.yaml 第 32 行 days_off.2026-02-30：“2026-02-30”用在这里不对，请写成日期，如 2026-01-01。"),
    mistake("an expiry without unit", "notices.yaml", "NTC-01: ", "NTC-01: 7 # ", "config/notices.yaml 第 17 行 expires.NTC-01：7 没有单位，请写成 7 h（小时）、7 wd（工作日）或 7 d（自然日）。"),
    mistake("a visit of nobody", "followup.yaml", "owner: customer_service", "owner: sales", "config/followup.yaml 第 8 行 kinds.purchase.owner：house.yaml 没有部门“sales”，是不是想写“aftersales”。"),
    mistake("a visit an hour after", "followup.yaml", "after: 7 d,", "after: 1 h,", "config/followup.yaml 第 8 行 kinds.purchase.after：“1 h”的单位不对，请用 d（天）或 wd（工作日），如 7 d。"),
    mistake("a night before one o'clock", "followup.yaml", '"02:00"', '"00:00"', "config/followup.yaml 第 2 行 at：“00:00”太早，请写成 \"01:00\" 或更晚：有的时区在零点拨快时钟，会算成前一天。"),
    mistake("visits every half month", "followup.yaml", "months: 1,", "months: 0.5,", "config/followup.yaml 第 9 行 kinds.use.months：“0.5”用在这里不对，请写成整数，如 7。"),
    mistake("no call a month", "followup.yaml", "contacts_a_month: 2", "contacts_a_month: 0", "config/followup.yaml 第 3 行 contacts_a_month：0 太小，请写成不小于 1 的整数。"),
    mistake("a mapping with a word that is none", "imports/standard.yaml", "  sku:", "  skuu:", "config/imports/standard.yaml 第 18 行 columns.skuu：“skuu”不在可选值中，请写成 sku。"),
]  # fmt: skip


@pytest.mark.parametrize(("file", "old", "new", "sentence"), TERMS)
async def test_a_mistake_in_the_terms_is_one_sentence_and_nothing_is_imported(
    house: House, aftersales: Any, project: Path, file: str, old: str, new: str, sentence: str
):
    path = project / "config" / file
    text = path.read_text("utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), "utf-8")

    with nothing_changes(house):
        left = await aftersales("import", "orders", "orders.csv", "--mapping", "standard")

    assert (left.code, left.out, left.err) == (1, "", f"规则文件有 1 处错误，请改正后再试：\n{sentence}")
