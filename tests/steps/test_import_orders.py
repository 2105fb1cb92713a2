"""Order files into a real PostgreSQL: nothing twice, nothing half, and counts that add up (issue 2, part 3)."""

from __future__ import annotations

import csv
import gzip
import os
import subprocess
import sys
from collections import defaultdict
from collections.abc import Callable
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import text

from aftersales.imports import mapping as mappings
from aftersales.imports import reading
from aftersales.imports.sales import Sale, SoldLine
from aftersales.store import engine, imports, orders

SHANGHAI = ZoneInfo("Asia/Shanghai")
REAL = sorted((Path(__file__).parents[2].parent / "shared" / "data").glob("*.csv.gz"))

HEADER = (
    "order_no,line_no,channel,customer_no,name,phone,email,region,ordered_at,delivered_at,sku,product,category,quantity,"
    "unit_price,line_discount,order_discount,freight,insured_freight,payment_route"
)
GOOD = (
    "A1,1,官方网站,U1,王小明,10200000001,,上海市,2026-03-01 10:00,2026-03-03,S1,保温杯,家居,2,10.00,,5.00,8.00,,支付宝"
)
SECOND = "A1,2,官方网站,U1,王小明,10200000001,,上海市,2026-03-01 10:00,,S2,碗,家居,1,30.00,,5.00,8.00,,支付宝"
GUEST = "B1,1,官方网站,,,,,,2026-03-02 10:00,,S1,保温杯,家居,1,10.00,,,,,微信支付"
BAD = "C1,1,官方网站,U2,,,,,2025-02-30 10:00,,S1,保温杯,家居,1,10.00,,,,,微信支付"


def a_file(folder: Path, *rows: str) -> Path:
    path = folder / "orders.csv"
    path.write_text("\n".join((HEADER, *rows)), "utf-8")
    return path


async def run(path: Path, name: str = "standard", *, shift_to: date | None = None, strict: bool = False):
    async with engine.transaction() as connection:
        report = await imports.import_orders(
            connection,
            reading.look(path),
            mappings.load(name),
            source=f"import:{name}",
            zone=SHANGHAI,
            currency="CNY",
            shift_to=shift_to,
            strict=strict,
        )
    told = report.goods + report.freight + report.skipped + report.left + report.unchanged + report.bad
    assert told == report.rows, "the counts add up to the rows of the file"
    return report


async def ask(question: str):
    async with engine.transaction() as connection:
        return (await connection.execute(text(question))).all()


async def everything() -> list:
    return [await ask(f"select * from {table} order by id") for table in ("customers", "orders", "order_lines")]


async def test_an_order_is_stored(database: str, tmp_path: Path) -> None:
    report = await run(a_file(tmp_path, GOOD, SECOND, GUEST))

    async with engine.transaction() as connection:
        order = await orders.show(connection, "A1")
        guest = await orders.show(connection, "B1")
    assert (report.orders, report.goods, report.customers, report.bad) == (2, 3, 1, 0)
    assert order is not None and guest is not None
    assert (order.customer_no, order.name, order.paid, order.freight) == (
        "U1",
        "王小明",
        Decimal("53.00"),
        Decimal("8.00"),
    )
    assert [(line.quantity, line.paid, line.free) for line in order.lines] == [
        (2, Decimal("18.00"), 2),
        (1, Decimal("27.00"), 1),
    ]
    assert [line.delivered_at for line in order.lines] == [datetime(2026, 3, 3, tzinfo=SHANGHAI), None]
    assert (guest.customer_no, order.source, order.rehearsal) == ("", "import:standard", None)


async def test_a_second_import_of_the_same_file_changes_nothing(database: str, tmp_path: Path) -> None:
    path = a_file(tmp_path, GOOD, SECOND, GUEST)
    await run(path)
    before = await everything()

    report = await run(path)

    assert (report.orders, report.customers, report.goods) == (0, 0, 0)
    assert (report.unchanged, report.unchanged_orders, report.bad) == (3, 2, 0)
    assert await everything() == before


@pytest.mark.parametrize(
    ("was", "becomes", "differs"),
    [
        pytest.param("官方网站", "社交电商", "渠道", id="another channel"),
        pytest.param(",U1,", ",U9,", "客户编号", id="another customer"),
        pytest.param("10200000001", "10200000002", "联系方式", id="another phone"),
        pytest.param("上海市", "北京市", "地区", id="another region"),
        pytest.param("03-01 10:00", "03-01 10:01", "下单时间", id="another time"),
        pytest.param(",8.00,", ",9.00,", "运费", id="another freight"),
        pytest.param("支付宝", "现金", "付款方式", id="another route"),
        pytest.param(
            ",30.00,", ",31.00,", "实付金额、第 1 个商品行", id="another price moves the shares of a discount"
        ),
        pytest.param(",碗,", ",盘,", "第 2 个商品行", id="another name on the second line"),
        pytest.param("2026-03-03", "", "第 1 个商品行", id="a delivery date that went missing"),
    ],
)
async def test_an_order_that_is_there_is_never_changed(
    database: str, tmp_path: Path, was: str, becomes: str, differs: str
) -> None:
    await run(a_file(tmp_path, GOOD, SECOND))
    before = await everything()

    report = await run(a_file(tmp_path, GOOD.replace(was, becomes), SECOND.replace(was, becomes), GUEST))

    assert (report.orders, report.bad) == (1, 2)
    assert [remark.line for remark in report.remarks] == [2]
    assert f"订单 A1 已在库中，但{differs}" in report.remarks[0].reason
    assert [rows[: len(old)] for rows, old in zip(await everything(), before, strict=True)] == before


async def test_a_line_more_is_other_content(database: str, tmp_path: Path) -> None:
    await run(a_file(tmp_path, GOOD.replace(",5.00,", ",,")))
    before = await everything()

    report = await run(a_file(tmp_path, GOOD.replace(",5.00,", ",,"), SECOND.replace(",5.00,", ",,")))

    assert "第 2 个商品行" in report.remarks[0].reason
    assert await everything() == before


async def test_bad_rows_stop_nothing_else(database: str, tmp_path: Path) -> None:
    report = await run(a_file(tmp_path, BAD, GUEST))

    assert (report.orders, report.bad) == (1, 1)
    assert [order_no for (order_no,) in await ask("select order_no from orders")] == ["B1"]


async def test_strict_refuses_all(database: str, tmp_path: Path) -> None:
    with pytest.raises(imports.Refused, match="全部未导入") as told:
        await run(a_file(tmp_path, GUEST, BAD), strict=True)

    assert told.value.report.bad == 1
    assert await everything() == [[], [], []]


async def test_strict_refuses_all_when_an_order_is_there_with_other_content(database: str, tmp_path: Path) -> None:
    await run(a_file(tmp_path, GUEST))
    before = await everything()

    with pytest.raises(imports.Refused):
        await run(a_file(tmp_path, GUEST.replace("微信支付", "现金"), GOOD), strict=True)

    assert await everything() == before


async def test_the_customer_of_a_file_is_as_the_latest_order_says(database: str, tmp_path: Path) -> None:
    later = GOOD.replace("A1", "A2").replace("03-01", "03-09").replace("03-03", "03-12").replace("王小明", "王晓明")

    await run(a_file(tmp_path, later, GOOD))

    assert [tuple(row) for row in await ask("select customer_no, name from customers")] == [("U1", "王晓明")]
    assert {tuple(row) for row in await ask("select order_no, contact_name from orders")} == {
        ("A1", "王小明"),
        ("A2", "王晓明"),
    }


async def test_after_a_big_import_postgresql_knows_how_much_there_is(database: str) -> None:
    sales = [
        Sale(
            f"X{n}",
            "官方网站",
            datetime(2026, 3, 1, tzinfo=SHANGHAI),
            (SoldLine(1, "S1", "杯", "家居", 1, Decimal("9.00"), None),),
        )
        for n in range(orders.MANY)
    ]
    async with engine.transaction() as connection:
        await orders.insert(connection, sales, source="demo")

    rows = await ask("select reltuples from pg_class where oid in ('orders'::regclass, 'order_lines'::regclass)")
    assert [int(row.reltuples) for row in rows] == [orders.MANY, orders.MANY]


async def test_the_orders_of_a_rehearsal_carry_its_id(database: str) -> None:
    sale = Sale(
        "X1",
        "官方网站",
        datetime(2026, 3, 1, tzinfo=SHANGHAI),
        (SoldLine(1, "S1", "杯", "家居", 1, Decimal("9.00"), None, attributes={"颜色": "白"}),),
    )
    async with engine.transaction() as connection:
        await connection.execute(text("insert into rehearsals (id, now_at) values ('r1', now())"))

        settled = await orders.insert(connection, [sale], source="demo", rehearsal="r1")

        shown = await orders.show(connection, "X1")
    assert settled.orders == 1
    assert shown is not None and shown.rehearsal == "r1" and shown.lines[0].attributes == {"颜色": "白"}


async def test_units_in_a_case_are_not_free(database: str, tmp_path: Path) -> None:
    """P-20: what is held or settled is gone, what was released is free again."""
    await run(a_file(tmp_path, GOOD.replace(",2,10.00", ",9,10.00")))
    async with engine.transaction() as connection:
        for first, end, state in ((0, 2, "held"), (2, 3, "settled"), (3, 8, "released")):
            await connection.execute(
                text(
                    "insert into units (line_id, first_unit, end_unit, case_no, process, state) "
                    "select id, :first, :end, 'RT-1', 'returns', :state from order_lines"
                ),
                {"first": first, "end": end, "state": state},
            )

        order = await orders.show(connection, "A1")

    assert order is not None and order.lines[0].free == 6


# --- the command ----------------------------------------------------------------------------------------------------


def test_outside_the_project_a_command_says_what_is_missing(tmp_path: Path) -> None:
    done = subprocess.run(
        [str(Path(sys.executable).with_name("aftersales")), "import", "orders", "o.csv", "--mapping", "standard"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )

    said = "这里不是项目目录（没有 config/imports 文件夹），请先 cd 到项目根目录再运行。\n"
    assert (done.returncode, done.stdout, done.stderr) == (1, "", said)


def test_what_prefect_logs_is_no_part_of_what_a_command_says(database: str, tmp_path: Path) -> None:
    program = (
        "import logging\n"
        "from aftersales.cli.common import run\n"
        "async def work():\n"
        "    import prefect.main\n"
        "    for name in ('EventsWorker', 'prefect.client'):\n"
        "        logging.getLogger(name).warning('Still processing items: 1 items remaining...')\n"
        "    logging.getLogger('EventsWorker').error('broken')\n"
        "run(work)\n"
    )

    done = subprocess.run(
        [sys.executable, "-c", program],
        env=os.environ | {"AFTERSALES_DATABASE_URL": database, "AFTERSALES_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    assert "broken" in done.stderr and "Still processing" not in done.stderr + done.stdout


async def test_the_command_imports_and_shows(aftersales: Callable[..., Any], tmp_path: Path) -> None:
    path, listed = a_file(tmp_path, GOOD, SECOND, BAD), tmp_path / "bad.csv"

    done = await aftersales("import", "orders", str(path), "--mapping", "standard", "--bad-rows", str(listed))
    shown = await aftersales("orders", "show", "A1")
    missing = await aftersales("orders", "show", "nix")

    assert done.code == 0, done.err
    assert "新增订单 1 个" in done.out and "第 4 行 C1" in done.err
    assert list(csv.reader(listed.open(encoding="utf-8-sig"))) == [
        ["行", "订单号", "结果", "原因"],
        ["4", "C1", "有误", "ordered_at “2025-02-30 10:00”没有这个日期或时间；请改正"],
    ]
    assert "王**" in shown.out and "102****0001" in shown.out, "GEN-10"
    assert "王小明" not in shown.out and "10200000001" not in shown.out
    assert "53.00" in shown.out
    assert (missing.code, len(missing.err.splitlines())) == (1, 1)


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        pytest.param(["--mapping", "standard", "--strict"], 1, "全部未导入", id="strict"),
        pytest.param(["--mapping", "standard"], 1, "没有一个订单可以导入", id="nothing but bad rows"),
        pytest.param(["--mapping", "mine"], 2, "没有映射“mine”", id="a mapping that there is not"),
        pytest.param([], 2, "--mapping", id="no mapping"),
        pytest.param(["--mapping", "standard", "--shift-to", "2026-13-01"], 2, "不是日期", id="a date that is none"),
        pytest.param(["--mapping", "online-retail"], 1, "缺少这些列：InvoiceNo", id="the mapping of another file"),
        pytest.param(["--mapping", "standard", "--bad-rows", "/dev/null/list.csv"], 1, "清单写不进", id="no room"),
    ],
)
async def test_the_command_says_what_it_cannot(
    aftersales: Callable[..., Any], tmp_path: Path, arguments: list[str], code: int, said: str
) -> None:
    done = await aftersales("import", "orders", str(a_file(tmp_path, BAD)), *arguments)

    assert done.code == code
    assert said in done.err


# --- the real orders ------------------------------------------------------------------------------------------------


@pytest.mark.skipif(not REAL, reason="no ../shared/data/*.csv.gz beside this checkout")
async def test_the_real_orders_reconcile_with_an_independent_count(database: str) -> None:
    rows = goods = freight_rows = left = 0
    units: defaultdict[str, int] = defaultdict(int)
    worth: defaultdict[str, Decimal] = defaultdict(Decimal)
    freight: defaultdict[str, Decimal] = defaultdict(Decimal)
    customers: set[str] = set()
    first_times: dict[str, str] = {}
    for path in REAL:
        with gzip.open(path, "rt", encoding="utf-8", newline="") as opened:
            for row in csv.DictReader(opened):
                rows += 1
                number, code, quantity = row["InvoiceNo"], row["StockCode"].strip(), int(row["Quantity"])
                amount = quantity * Decimal(row["UnitPrice"])
                if number.startswith("C"):
                    left += 1
                    continue
                if quantity <= 0 or Decimal(row["UnitPrice"]) <= 0:
                    continue
                if code in {"M", "m", "D", "S", "B", "AMAZONFEE", "BANK CHARGES", "CRUK"} or code.startswith("gift_"):
                    continue
                first_times[number] = min(first_times.get(number, "9"), row["InvoiceDate"])
                customers |= {row["CustomerID"]} - {""}
                if code in {"POST", "DOT", "C2"}:
                    freight_rows += 1
                    freight[number] += amount
                else:
                    goods += 1
                    units[number] += quantity
                    worth[number] += amount
        report = await run(path, "online-retail", shift_to=date(2026, 11, 21))

    assert (report.rows, report.goods, report.freight, report.left) == (rows, goods, freight_rows, left)
    assert report.skipped == rows - goods - freight_rows - left
    assert (report.bad, report.unchanged, report.orders, report.customers) == (0, 0, len(first_times), len(customers))
    stored = await ask(
        "select o.order_no, o.freight, o.paid, o.ordered_at, coalesce(sum(l.quantity), 0) as units, "
        "coalesce(sum(l.paid), 0) as worth, bool_and(l.delivered_at = o.ordered_at + interval '3 days') as three_days "
        "from orders o left join order_lines l on l.order_id = o.id group by o.id"
    )
    assert {row.order_no for row in stored} == set(first_times)
    last_day = max(datetime.fromisoformat(value) for value in first_times.values()).date()
    for row in stored:
        number = row.order_no
        assert (row.units, row.worth, row.freight) == (units[number], worth[number], freight[number]), number
        assert row.paid == worth[number] + freight[number], number
        assert row.three_days in (True, None), number
        moved = datetime.fromisoformat(first_times[number]) + (date(2026, 11, 21) - last_day)
        assert row.ordered_at.astimezone(SHANGHAI).replace(tzinfo=None) == moved, number

    again = await run(REAL[0], "online-retail", shift_to=date(2026, 11, 21))

    assert (again.orders, again.bad, again.unchanged) == (0, 0, goods + freight_rows)


async def test_a_shift_moves_the_last_day_of_the_file(database: str, tmp_path: Path) -> None:
    report = await run(a_file(tmp_path, GOOD, GUEST), shift_to=date(2026, 11, 21))

    assert report.shifted == timedelta(days=263), "the last day of the file is the delivery on 3 March"
    assert {
        tuple(row)
        for row in await ask("select (max(delivered_at) at time zone 'Asia/Shanghai')::date from order_lines")
    } == {(date(2026, 11, 21),)}
