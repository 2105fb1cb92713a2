"""`aftersales import returns`: real rows become cases that end with what the rules say, counted here by hand."""

from __future__ import annotations

import asyncio
import csv
import gzip
from collections import Counter, defaultdict
from datetime import date, timedelta
from decimal import ROUND_HALF_UP, Decimal
from functools import cache
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import text

from aftersales import clock
from aftersales.imports import mapping as mappings
from aftersales.imports import reading, returns
from aftersales.imports.orders import survey
from aftersales.store import imported as store
from aftersales.store import imports
from aftersales.store.engine import transaction
from aftersales.words import Unable
from tasks import audits, imported
from tests import builders

ZONE = ZoneInfo("Asia/Shanghai")
TODAY = date(2026, 11, 21)
REAL = sorted((Path(__file__).parents[2].parent / "shared" / "data").glob("*.csv.gz"))
HEADER = ["InvoiceNo", "StockCode", "Description", "Quantity", "InvoiceDate", "UnitPrice", "CustomerID", "Country"]
SOLD = [
    ["536001", "A1", "杯子", "10", "2010-12-01 10:00", "2.00", "17850.0", "UK"],
    ["536001", "A1", "杯子", "5", "2010-12-01 10:00", "2.50", "17850.0", "UK"],
    ["536002", "A1", "杯子", "4", "2010-12-05 10:00", "2.00", "17850.0", "UK"],
    ["536003", "B1", "盘子", "300", "2010-12-20 10:00", "2.00", "17851.0", "UK"],
    ["536004", "D1", "旧碗", "1", "2010-11-01 10:00", "9.00", "17852.0", "UK"],
]
BACK = [
    # the later order of the same price first, then the earlier one: two cases; day 0, and day 9 (B, 15.00 off)
    ["C536010", "A1", "杯子", "-6", "2010-12-08 11:00", "2.00", "17850.0", "UK"],
    ["C536011", "A1", "杯子", "-3", "2010-12-13 09:00", "2.50", "17850.0", "UK"],
    ["C536012", "B1", "盘子", "-300", "2010-12-21 09:00", "2.00", "17851.0", "UK"],  # before delivery; 600.00
    ["C536013", "D1", "旧碗", "-1", "2010-12-22 09:00", "9.00", "17852.0", "UK"],  # day 48: the manager decides
    ["C536014", "A1", "杯子", "-2", "2010-12-22 10:00", "2.00", "", "UK"],
    ["C536014", "M", "手工", "-1", "2010-12-22 10:00", "5.00", "17850.0", "UK"],
    ["C536015", "B1", "盘子", "-1", "2010-12-22 11:00", "2.00", "17851.0", "UK"],
]

SETTLED = {
    ("C536010", "536002"): ("closed", "8.00"),  # 4 × 2.00, delivered on the 8th: day 0
    ("C536010", "536001"): ("closed", "4.00"),  # 2 × 2.00, delivered on the 4th: day 4
    ("C536011", "536001"): ("closed", "0.00"),  # 3 × 2.50, day 9: 15.00 late freight ate it up
    ("C536012", "536003"): ("closed", "600.00"),  # asked before delivery: day 0; above 500.00, countersigned
    ("C536013", "536004"): ("exception", "0.00"),
}


@pytest.fixture
async def file(database: str, tmp_path: Path) -> Path:
    """A small file of the other system's kind, its orders imported."""
    path = tmp_path / "sales.csv"
    write(path, SOLD + BACK)
    await orders_of(path)
    return path


def write(path: Path, rows: list[list[str]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as opened:
        csv.writer(opened).writerows([HEADER, *rows])


async def orders_of(path: Path) -> None:
    async with transaction() as connection:
        await imports.import_orders(
            connection,
            reading.look(path),
            mappings.load("online-retail"),
            source="import:online-retail",
            zone=ZONE,
            currency="CNY",
            shift_to=TODAY,
        )


async def take_in(
    path: Path, *, settles: bool = True, operator: str = "C07", story: imported.Story | None = None
) -> imported.Told:
    from flows.returns import returns as flow

    mapping, file = mappings.load("online-retail"), reading.look(path)
    shift = survey(file, mapping, zone=ZONE, dates=True).shift(file, to=TODAY)
    rows, bad = returns.read(file, mapping, zone=ZONE, currency="CNY", shift=shift)
    return await imported.take_in(
        rows,
        mapping,
        bad=bad,
        source="returns:online-retail",
        operator=operator,
        story=story or flow.fn,
        settles=settles,
    )


async def cases_by_invoice() -> dict[tuple[str, str], Any]:
    async with transaction() as connection:
        rows = await connection.execute(
            text(
                "select c.facts->'imported'->>'invoice' as invoice, c.*, coalesce((select sum((data->>'amount')::numeric)"
                " from journal j where j.case_no = c.case_no and j.kind = 'decision' and j.entry like 'refund-%'), 0) as paid"
                " from cases c order by c.case_no"
            )
        )
        return {(row.invoice, row.order_no): row for row in rows}


async def test_each_invoice_and_order_is_a_case_that_ends_with_what_the_rules_say(file: Path):
    told = await take_in(file)

    found = await cases_by_invoice()
    assert {key: (row.stage, f"{row.paid:.2f}") for key, row in found.items()} == SETTLED
    assert (told.settled, dict(told.waiting), told.refused) == (4, {"exception": 1}, [])
    assert (f"{told.refunds:.2f}", f"{told.plan.amount:.2f}") == ("612.00", "628.50")
    assert sorted(each.kind for each in told.plan.unplaced) == ["不是商品", "件数不够", "没有客户编号"]


async def test_it_is_asked_on_the_rows_date_and_promised_from_now(file: Path):
    await take_in(file, settles=False)

    shift = TODAY - date(2010, 12, 22)
    async with transaction() as connection:
        asked = await connection.execute(
            text(
                "select distinct j.data->>'asked_on' as on from journal j join cases c using (case_no)"
                " where j.kind = 'opened' and c.facts->'imported'->>'invoice' = 'C536010'"
            )
        )
        promised = await connection.scalar(text("select min(started_at) from promises"))
    (row,) = asked.all()
    assert row.on == (date(2010, 12, 8) + shift).isoformat()
    assert promised is not None and (clock.now() - promised) < timedelta(minutes=5)


async def test_the_same_file_again_changes_nothing(file: Path):
    await take_in(file)
    before = await cases_by_invoice()

    again = await take_in(file)

    assert (again.repeated, again.opened, again.left, again.carried_on) == (4, [], 0, 0)
    assert await cases_by_invoice() == before


async def test_two_imports_at_once_are_one(file: Path):
    came = await asyncio.gather(take_in(file), take_in(file), return_exceptions=True)

    (told,) = [each for each in came if isinstance(each, imported.Told)]
    (turned_away,) = [each for each in came if not isinstance(each, imported.Told)]
    assert isinstance(turned_away, Unable) and str(turned_away) == "另一个退货导入正在进行，请等它结束后再试。"
    assert len(told.opened) == 5
    async with transaction() as connection:
        assert await connection.scalar(text("select sum(end_unit - first_unit) from units")) == 6 + 3 + 300 + 1


class Killed(BaseException):
    """The process dies here."""


@pytest.mark.parametrize("told_before", [0, 3, 8])
async def test_an_import_that_was_killed_is_finished_by_the_next(file: Path, told_before: int):
    from flows.returns import returns as flow

    async def story(request: Any) -> Any:
        nonlocal told_before
        told_before -= 1
        if told_before < 0:
            raise Killed
        return await flow.fn(request)

    with pytest.raises(BaseExceptionGroup):
        await take_in(file, story=story)

    told = await take_in(file)

    assert told.refused == []
    assert {key: (row.stage, f"{row.paid:.2f}") for key, row in (await cases_by_invoice()).items()} == SETTLED
    again = await take_in(file)
    assert (again.opened, again.carried_on) == ([], 0)


async def test_returns_imported_before_their_orders_are_placed_once_the_orders_are_there(database: str, tmp_path: Path):
    write(path := tmp_path / "sales.csv", SOLD + BACK)
    early = await take_in(path)
    assert (early.opened, early.left) == ([], 7)

    await orders_of(path)
    told = await take_in(path)

    assert len(told.opened) == 5
    async with transaction() as connection:
        assert len(await store.unplaced(connection)) == 3


async def test_what_cannot_be_opened_goes_to_a_person_and_stops_nothing(file: Path, monkeypatch: pytest.MonkeyPatch):
    from tasks import cases as tasks_cases

    real = tasks_cases._hold

    async def hold(connection: Any, terms: Any, case_no: str, request: Any, **options: Any) -> Any:
        if request["order_no"] == "536003":
            raise tasks_cases.UnableToOpen("这几件正在盘点，请稍后再试。")
        if request["order_no"] == "536002":
            raise ZeroDivisionError
        return await real(connection, terms, case_no, request, **options)

    monkeypatch.setattr(tasks_cases, "_hold", hold)
    told = await take_in(file)

    assert sorted(told.refused) == [
        "C536010 → 536002：程序出错（ZeroDivisionError），请把日志交给技术同事，解决后再导入一次",
        "C536012 → 536003：这几件正在盘点，请稍后再试。",
    ]
    assert len(told.opened) == 3
    async with transaction() as connection:
        left = {row["row_key"]: row["reason"] for row in await store.unplaced(connection)}
    assert left["C536012/B1/1"] == "没有开立售后单：这几件正在盘点，请稍后再试。"
    monkeypatch.undo()

    assert (await take_in(file)).refused == []

    assert {key: (row.stage, f"{row.paid:.2f}") for key, row in (await cases_by_invoice()).items()} == SETTLED


async def test_what_was_settled_long_ago_counts_nowhere(file: Path):
    await take_in(file)

    async with transaction() as connection:
        assert await connection.scalar(text("select count(*) from restock")) == 0
        assert await connection.scalar(text("select count(*) from visits")) == 0
    today = builders.today()
    assert await audits.windows(since=today - timedelta(days=30), until=today + timedelta(days=60)) == []


async def test_rows_that_cannot_be_read_go_to_a_person_too(file: Path, tmp_path: Path):
    write(
        path := tmp_path / "more.csv",
        [*SOLD, *BACK, ["C536099", "A1", "杯子", "一件", "2010-12-22 10:00", "2.00", "17850.0", "UK"]],
    )

    await take_in(path)

    async with transaction() as connection:
        (bad,) = [row for row in await store.unplaced(connection) if row["data"]["invoice"] == "C536099"]
    assert bad["reason"].startswith("有误：") and "Quantity" in bad["reason"]


async def test_a_bad_row_that_is_corrected_leaves_the_row_behind_it_alone(file: Path, tmp_path: Path):
    """The good row was placed already: the correction opens a case for what was corrected, and for nothing else."""
    good = ["C536090", "A1", "杯子", "-2", "2010-12-22 10:00", "2.00", "17850.0", "UK"]
    bad, corrected = [[*good[:3], quantity, *good[4:]] for quantity in ("一件", "-1")]
    write(path := tmp_path / "more.csv", [*SOLD, bad, good])
    first = await take_in(path, settles=False)
    async with transaction() as connection:
        (left,) = await store.unplaced(connection)

    write(path, [*SOLD, corrected, good])
    second = await take_in(path, settles=False)

    assert left["reason"].startswith("有误：") and left["data"]["line"] == 7
    assert (len(first.opened), len(second.opened), second.repeated) == (1, 1, 1)
    async with transaction() as connection:
        assert await store.unplaced(connection) == []
        assert await connection.scalar(text("select sum(end_unit - first_unit) from units")) == 2 + 1


async def test_a_corrected_row_that_still_finds_no_order_is_listed_once_as_it_is_now(file: Path, tmp_path: Path):
    bad = ["C536090", "B1", "盘子", "一", "2010-12-22 10:00", "2.00", "17850.0", "UK"]
    write(path := tmp_path / "more.csv", [*SOLD, bad])
    await take_in(path)

    write(path, [*SOLD, [*bad[:3], "-1", *bad[4:]]])
    await take_in(path)

    async with transaction() as connection:
        (left,) = await store.unplaced(connection)
    assert left["reason"] == "这位客户没有买过 B1（或购买早于导入的订单）"
    assert (left["data"]["sku"], left["data"]["quantity"]) == ("B1", 1)


def test_a_malformed_rows_key_names_no_customer(tmp_path: Path):
    """With a comma too few anything may stand in the place of the code (GEN-10)."""
    write(tmp_path / "bad.csv", [*SOLD, ["C1", "13800138000", "x"], ["C1", "A1", "x"]])
    mapping = mappings.load("online-retail")

    _, bad = returns.read(reading.look(tmp_path / "bad.csv"), mapping, zone=ZONE, currency="CNY", shift=timedelta())

    assert [each.key for each in bad] == ["C1/line-7", "C1/A1/1"]


async def test_what_goes_to_a_person_is_listed_until_it_is_dealt_with(file: Path):
    await take_in(file)
    async with transaction() as connection:
        rows = await store.unplaced(connection)
        assert sorted(row["row_key"] for row in rows) == ["C536014/A1/1", "C536014/M/1", "C536015/B1/1"]
        assert "17851" not in str([row["data"] for row in rows]), "the invoice leads to the customer"
        assert await store.done(connection, rows[0]["id"], clock.now())
        assert not await store.done(connection, rows[0]["id"], clock.now())
        assert len(await store.unplaced(connection)) == 2


async def test_nobody_is_told_about_what_was_settled_long_ago_and_no_provider_is_asked(
    file: Path, monkeypatch: pytest.MonkeyPatch
):
    from aftersales.gateways import http

    monkeypatch.setattr(http, "payment_from", lambda settings: pytest.fail("a provider was asked"))
    monkeypatch.setattr(http, "carrier_from", lambda settings: pytest.fail("a carrier was asked"))
    await take_in(file)

    async with transaction() as connection:
        states = await connection.execute(text("select distinct state, reason from outbox"))
    assert [tuple(row) for row in states] == [("withdrawn", "导入的历史售后单，不再发送")]


async def test_without_settling_every_case_waits_for_its_review(file: Path):
    told = await take_in(file, settles=False)

    assert {row.stage for row in (await cases_by_invoice()).values()} == {"review"}
    assert dict(told.waiting) == {"review": 5} and told.settled == 0


async def test_the_audit_agrees_with_every_payment(file: Path):
    await take_in(file)

    payments, orders = await audits.refunds(
        since=builders.today() - timedelta(days=1), until=builders.today() + timedelta(days=1)
    )

    # among them the bill that fees ate up
    assert len(payments) == 4 and not orders
    assert [each.faults for each in payments] == [()] * 4


@pytest.mark.parametrize(
    ("operator", "sentence"),
    [("X99", "经办人“X99”不在员工名单中"), ("W02", "没有“提交申请”权限")],
)
async def test_who_may_not_apply_may_not_import(file: Path, operator: str, sentence: str):
    with pytest.raises(Unable, match=sentence):
        await take_in(file, operator=operator)
    assert await cases_by_invoice() == {}


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (["C1", "A1", "x", "5", "2010-12-08 11:00", "2.00", "1", "UK"], "退货行的数量应为负数"),
        (["C1", "A1", "x", "0", "2010-12-08 11:00", "2.00", "1", "UK"], "退货行的数量应为负数"),
        (["C1", "A1", "x", "-1", "2010-12-08 11:00", "-2.00", "1", "UK"], "单价不能为负数"),
        (["C1", "A1", "x", "-1", "昨天", "2.00", "1", "UK"], "InvoiceDate"),
        (["C1", "A1", "x", "一件", "2010-12-08 11:00", "2.00", "1", "UK"], "Quantity"),
        (["C1", "A1", "x", "-1", "2010-12-08 11:00", "两元", "1", "UK"], "UnitPrice"),
        (["C1", "A1", "x", "-1"], "这一行有 4 格，表头有 8 列"),
    ],
)
def test_a_bad_row_is_told_with_its_line(tmp_path: Path, row: list[str], reason: str):
    write(tmp_path / "bad.csv", [*SOLD, row])
    mapping = mappings.load("online-retail")

    good, bad = returns.read(reading.look(tmp_path / "bad.csv"), mapping, zone=ZONE, currency="CNY", shift=timedelta())

    assert good == []
    assert [(each.line, each.order_no) for each in bad] == [(7, "C1")]
    assert reason in bad[0].reason


# --- the real two months --------------------------------------------------------------------------------------------


@cache
def real_rows() -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Bought and returned rows of the shared file, read here without any code of the project."""
    bought, back = [], []
    with gzip.open(REAL[0], "rt", encoding="utf-8", newline="") as opened:
        for row in csv.DictReader(opened):
            told = {
                "invoice": row["InvoiceNo"].strip(),
                "sku": row["StockCode"].strip(),
                "n": int(row["Quantity"]),
                "at": row["InvoiceDate"].strip(),
                "price": Decimal(row["UnitPrice"]),
                "who": row["CustomerID"].strip().removesuffix(".0"),
            }
            (back if told["invoice"].startswith("C") else bought).append(told)
    return bought, back


NO_GOODS = {"M", "m", "D", "S", "B", "AMAZONFEE", "BANK CHARGES", "CRUK", "POST", "DOT", "C2"}


def independent() -> tuple[int, dict[tuple[str, str], dict[tuple[str, int], int]], dict[str, Any]]:
    """Which rows can be filled, and from which lines: a second implementation, from the file alone."""
    bought, back = real_rows()
    times: dict[str, str] = {}
    for row in bought:
        times[row["invoice"]] = min(row["at"], times.get(row["invoice"], row["at"]))
    lines: dict[tuple[str, str], list[dict[str, Any]]] = defaultdict(list)
    numbers: Counter[str] = Counter()
    all_lines: dict[str, Any] = {}
    for row in bought:
        if row["n"] <= 0 or row["price"] <= 0 or row["sku"] in NO_GOODS or row["sku"].startswith("gift_"):
            continue
        numbers[row["invoice"]] += 1
        paid = (row["price"] * row["n"]).quantize(Decimal("0.01"), ROUND_HALF_UP)
        line = {**row, "no": numbers[row["invoice"]], "left": row["n"], "on": times[row["invoice"]], "paid": paid}
        lines[row["who"], row["sku"]].append(line)
        all_lines[f"{row['invoice']}/{line['no']}"] = line
    filled = 0
    cases: dict[tuple[str, str], dict[tuple[str, int], int]] = defaultdict(lambda: defaultdict(int))
    for row in sorted(back, key=lambda row: row["at"]):
        if not row["who"] or row["sku"] in NO_GOODS or row["sku"].startswith("gift_"):
            continue
        there = [line for line in lines[row["who"], row["sku"]] if line["on"] <= row["at"]]
        if sum(line["left"] for line in there) < -row["n"]:
            continue
        filled += 1
        wanted = -row["n"]
        there.sort(
            key=lambda line: (
                line["paid"] != row["price"] * line["n"],
                _descending(line["on"]),
                line["invoice"],
                line["no"],
            )
        )
        for line in there:
            part = min(wanted, line["left"])
            if part:
                line["left"] -= part
                wanted -= part
                cases[row["invoice"], line["invoice"]][line["invoice"], line["no"]] += part
    return filled, cases, all_lines


def _descending(text_: str) -> tuple[int, ...]:
    return tuple(-ord(char) for char in text_)


@pytest.mark.skipif(not REAL, reason="no ../shared/data/*.csv.gz beside this checkout")
async def test_782_of_1429_real_rows_are_filled_as_a_second_implementation_fills_them(database: str):
    await orders_of(REAL[0])
    mapping, file = mappings.load("online-retail"), reading.look(REAL[0])
    shift = survey(file, mapping, zone=ZONE, dates=True).shift(file, to=TODAY)
    rows, _ = returns.read(file, mapping, zone=ZONE, currency="CNY", shift=shift)
    async with transaction() as connection:
        sold = await store.sold(connection, {(row.customer_no, row.sku) for row in rows if row.customer_no})

    told = returns.plan(rows, sold, mapping=mapping)

    filled, cases, _ = independent()
    assert (len(rows), told.filled, len(told.unplaced), filled) == (1429, 782, 647, 782)
    assert {(a.invoice, a.order_no): dict(a.lines) for a in told.applications} == {
        key: {no: n for (_, no), n in lines.items()} for key, lines in cases.items()
    }


@pytest.mark.soak
@pytest.mark.timeout(1200)
@pytest.mark.skipif(not REAL, reason="no ../shared/data/*.csv.gz beside this checkout")
async def test_the_real_two_months_are_settled_to_the_fen_as_reckoned_from_the_file_alone(
    database: str, capsys: pytest.CaptureFixture[str]
):
    await orders_of(REAL[0])

    told = await take_in(REAL[0])

    _, wanted, lines = independent()
    due = {key: reckoned(key[0], units, lines) for key, units in in_order_of_asking(wanted).items()}
    found = {
        key: f"{row.paid:.2f}" if row.stage == "closed" else row.stage
        for key, row in (await cases_by_invoice()).items()
    }
    assert found == due
    assert told.refused == []
    paid = sum((Decimal(amount) for amount in due.values() if amount != "exception"), Decimal(0))
    assert told.refunds == paid
    with capsys.disabled():
        print(
            f"\n{len(due)} cases, {told.settled} settled, {dict(told.waiting)} waiting; the file's own amounts"
            f" {told.plan.amount:.2f}, our refunds {paid:.2f}, difference {told.plan.amount - paid:.2f}"
        )


def in_order_of_asking(cases: dict[tuple[str, str], Any]) -> dict[tuple[str, str], Any]:
    """The cases as their rows were asked for: earlier ones take an order's lower units."""
    asked = {row["invoice"]: row["at"] for row in real_rows()[1]}
    return dict(sorted(cases.items(), key=lambda case: asked[case[0][0]]))


def reckoned(invoice: str, units: dict[tuple[str, int], int], lines: dict[str, Any]) -> str:
    """What a case must pay, by POL-02 to POL-04, MON-04 and P-17, in fen; or that the manager decides."""
    asked = {row["invoice"]: date.fromisoformat(row["at"][:10]) for row in real_rows()[1]}[invoice]
    fen = 0
    for (order_no, number), n in units.items():
        line = lines[f"{order_no}/{number}"]
        each, extra = divmod(int(line["paid"] * 100), line["n"])
        first_dear = line["n"] - extra
        taken = line.setdefault("taken", 0)
        fen += n * each + max(0, taken + n - first_dear) - max(0, taken - first_dear)
        line["taken"] = taken + n
        delivered = date.fromisoformat(line["on"][:10]) + timedelta(days=3)
    day = max(0, (asked - delivered).days)
    if day > 30:
        return "exception"
    return f"{Decimal(max(0, fen - (1500 if day > 7 else 0))) / 100:.2f}"
