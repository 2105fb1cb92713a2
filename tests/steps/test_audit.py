"""The audits on real cases: tampering is found and named, every payment agrees with the rules, every window is told."""

from __future__ import annotations

import csv
import io
import json
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from click.testing import CliRunner
from sqlmodel import SQLModel

from aftersales.cli import audit as cli
from aftersales.cli import database as located
from aftersales.rules import chain, clocks
from aftersales.store import records as stored
from aftersales.store.engine import transaction
from aftersales.words import Event, Right, Unable
from tasks import audits, extensions, records
from tasks.cases import current_terms
from tests import builders
from tests.stories.conftest import Shop, Telling

TODAY = builders.today()
DAYS = {"since": TODAY - timedelta(days=2), "until": TODAY + timedelta(days=2)}


async def closed(shop: Shop, order_no: str = "D1", **changes: Any) -> Telling:
    """A return that was paid."""
    await shop.order(order_no)
    case = await shop.tell(shop.application(order_no, **changes))
    await case.decide("review", "C08", decision="approve")
    await case.decide("pickup", "L02", carrier="顺丰", tracking_no=f"SF{order_no}00300", freight="13.50", voucher="V-1")
    await case.decide("receipt", "W02", items=[{"line": "1", "quantity": 1}], rest="complete")
    rows = [{"line": "1", "quantity": 1, "grade": "sellable", "cause": changes.get("reason", "no_reason")}]
    await case.decide("inspection", "W03", items=rows, result="pass")
    amount = (await case.journal())["bill-0"].data["total"]
    return await case.decide("refund", "A03", amount=amount, reference=f"ALI-{order_no}")


def attack(database: str, *statements: str) -> None:
    """Change the database as somebody with its owner's rights would, past the triggers."""
    with psycopg.connect(database.replace("+psycopg", "")) as connection:
        connection.execute("set session_replication_role = replica")
        for statement in statements:
            connection.execute(statement)


async def found(**how: Any) -> list[tuple[int, str, str]]:
    told = await audits.verify(**how)
    return [(each.number, each.entry, each.why) for each in told.findings]


# --- tampering ------------------------------------------------------------------------------------------------------


async def test_aud01_what_nobody_touched_is_whole(shop: Shop):
    one, two = await closed(shop, "D1"), await closed(shop, "D2")

    told = await audits.verify()

    assert (told.cases, told.findings) == (2, [])
    assert told.rows == len(await one.journal()) + len(await two.journal())


AT_5 = "where seq = 5"
TAMPERED = {
    "changed data": ([f"update journal set data = data || '{{\"x\": 1}}' {AT_5}"], [(5, "内容被改动")]),
    "changed time": ([f"update journal set at = at - interval '1 day' {AT_5}"], [(5, "内容被改动")]),
    "changed actor": ([f"update journal set actor = 'A01' {AT_5}"], [(5, "内容被改动")]),
    "changed rule": ([f"update journal set rule = 'MON-01' {AT_5}"], [(5, "内容被改动")]),
    "changed hash": ([f"update journal set hash = repeat('a', 64) {AT_5}"], [(5, "内容被改动"), (6, None)]),
    "removed in the middle": ([f"delete from journal {AT_5}"], [(5, "被删去")]),
    "two removed": (["delete from journal where seq in (5, 6)"], [(5, "被删去"), (6, "被删去")]),
    "the end removed": (
        ["delete from journal where seq = (select max(seq) from journal)"],
        [(None, "被删去（末尾）")],
    ),
    "the end removed and the case adjusted": (
        [
            "delete from journal where seq = (select max(seq) from journal)",
            "update cases set seq = seq - 1",
        ],
        [(None, "最后一条与售后单记录的不同，整条链被重写过")],
    ),
    "put in at the end": (
        [
            "insert into journal select case_no, seq + 1, 'extra', kind, at, actor, due_at, rule, data, hash, hash"
            " from journal where seq = (select max(seq) from journal)"
        ],
        [(None, "内容被改动"), (None, "比售后单记录的条数多，末尾被插入")],
    ),
    "two swapped": (
        [
            "update journal set seq = 1000 where seq = 5",
            "update journal set seq = 5 where seq = 6",
            "update journal set seq = 6 where seq = 1000",
        ],
        [(5, "内容被改动"), (6, "内容被改动")],
    ),
    "the whole journal removed": (["delete from journal"], [(1, "被删去（末尾）")]),
    "the case removed": (["delete from cases"], [(0, "流水还在，售后单被删去")]),
    "the case's end changed": (
        ["update cases set last_hash = repeat('b', 64)"],
        [(None, "最后一条与售后单记录的不同，整条链被重写过")],
    ),
}


@pytest.mark.parametrize("how", TAMPERED)
async def test_aud01_tampering_is_found_and_named(shop: Shop, database: str, how: str):
    await closed(shop)
    statements, expected = TAMPERED[how]
    columns = "case_no, seq, entry, kind, at, actor, due_at, rule, data, prev_hash, hash"
    attack(database, *(s.replace("into journal select", f"into journal ({columns}) select") for s in statements))

    told = await found()

    for place, (number, why) in zip(told, expected, strict=False):
        assert why is None or place[2] == why
        assert number is None or place[0] == number
    assert len(told) >= len(expected)


async def test_aud01_rows_exchanged_between_two_cases_are_found_in_both(shop: Shop, database: str):
    one, two = await closed(shop, "D1"), await closed(shop, "D2")
    swap = "update journal set case_no = '{}' where case_no = '{}' and seq = 5"
    attack(
        database, swap.format("X", one.case_no), swap.format(one.case_no, two.case_no), swap.format(two.case_no, "X")
    )

    told = await audits.verify()

    assert {each.case_no for each in told.findings} == {one.case_no, two.case_no}


async def test_aud01_a_chain_that_was_rewritten_as_a_whole_is_found_with_a_seal(shop: Shop, database: str):
    """Whoever can write every row can also write every hash; only what is kept elsewhere proves it."""
    case = await closed(shop)
    sealed = await audits.seal()
    async with transaction() as connection:
        rows, _, _ = await stored.audited(connection, case.case_no)
    before, statements = "", []
    for row in rows:
        changed = {name: row[name] for name in chain.ROW}
        if row["entry"] == "refund-0":
            changed["actor"] = "A02"
        new = chain.digest(prev_hash=before, row=changed)
        statements.append(
            f"update journal set actor = '{changed['actor']}', prev_hash = '{before}', hash = '{new}' where seq = {row['seq']}"
        )
        before = new
    attack(database, *statements, f"update cases set last_hash = '{before}'")

    assert await found() == []
    assert await found(seal=sealed) == [(len(rows), "", "与封存时不同：整条链被重写过")]


NAMING = ("units", "promises", "inbox", "outbox", "runs", "work", "visits", "restock", "parks", "evidence")


async def test_aud01_a_case_that_is_gone_is_found_by_whatever_still_names_it(shop: Shop, database: str):
    case, other = await closed(shop, "D1"), await closed(shop, "D2")
    attack(database, *(f"delete from {table} where case_no = '{case.case_no}'" for table in ("journal", "cases")))

    told = await audits.verify()

    assert [(each.case_no, each.why) for each in told.findings] == [
        (case.case_no, "售后单和流水都没有了，outbox、promises、restock、runs、units、visits、work 里还有")
    ]
    assert [each.case_no for each in (await audits.verify(case_no=case.case_no)).findings] == [case.case_no]
    assert (await audits.verify(case_no=other.case_no)).findings == []


async def test_aud01_a_case_that_is_gone_from_every_table_is_found_with_a_seal(shop: Shop, database: str):
    case = await closed(shop)
    sealed = await audits.seal()
    attack(database, *(f"delete from {table}" for table in ("journal", *NAMING, "cases")))

    assert (await audits.verify()).findings == []
    assert [each.case_no for each in (await audits.verify(seal=sealed)).findings] == [case.case_no]


REVIEW = "where entry = 'review-0'"
BESIDE = {
    f"update promises set due_at = due_at + interval '90 days' {REVIEW}": ("review-0", "应办时间与流水不同"),
    f"update promises set ended_at = ended_at - interval '1 second' {REVIEW}": ("review-0", "办完时间与流水不同"),
    f"update promises set ended_at = null {REVIEW}": ("review-0", "办完时间与流水不同"),
    f"update promises set owner = 'logistics' {REVIEW}": ("review-0", "责任部门与流水不同"),
    f"update promises set entry = 'review-7' {REVIEW}": ("review-7", "流水里没有给过这个时限"),
    f"delete from promises {REVIEW}": ("review-0", "流水里给过的时限，现在没有了"),
    "update promises set due_at = due_at + interval '1 day' where entry = 'outer-0'": ("outer-0", "应办时间与流水不同"),
    "update cases set opened_at = opened_at - interval '1 day'": ("opened", "售后单的申请时间与流水不同"),
    "update cases set closed_at = closed_at - interval '1 day'": ("closed", "售后单的结束时间与流水不同"),
    "update cases set closed_at = null": ("closed", "售后单的结束时间与流水不同"),
    "update cases set stage = 'rejected'": ("closed", "售后单的结果与流水不同"),
}


async def test_aud01_what_stands_beside_the_journal_is_held_against_it(shop: Shop, database: str):
    """The windows are counted from the promises: who changes one is found by what the journal says of it."""
    await closed(shop)
    kept = "promises", "cases"
    attack(database, *(f"create table kept_{table} as table {table}" for table in kept))

    told = {}
    for statement in BESIDE:
        attack(database, statement)
        told[statement] = await found()
        for table in kept:
            columns = ", ".join(f'"{column.name}"' for column in SQLModel.metadata.tables[table].columns)
            copy = f"insert into {table} ({columns}) overriding system value select {columns} from kept_{table}"
            attack(database, f"delete from {table}", copy)

    assert {statement: places[0] for statement, places in told.items()} == {
        statement: (0, *place) for statement, place in BESIDE.items()
    }
    assert await found() == []


async def test_aud01_an_extension_and_a_question_in_between_are_no_findings(shop: Shop):
    """A due time that was moved for a reason stands in the journal; what ended unanswered was overtaken."""
    await shop.order()
    case = await shop.tell(shop.application())
    await extended(case.case_no)
    assert await found() == []

    await case.decide("review", "C08", decision="approve")
    await case.signal(Event.CASE_CANCELLED, reason="不要了")

    assert case.at == "" and await found() == []


async def extended(case_no: str, reason: str = "台风停运") -> str:
    """Move a case's due time to twenty days from now; answers that day."""
    until = (TODAY + timedelta(days=20)).isoformat()
    who = current_terms().who_may(Right.EXTEND)[0].id
    await extensions.extend(case_no, operator=who, until=until, reason=reason, key="k1")
    return until


async def test_what_happened_after_the_seal_is_no_finding(shop: Shop):
    await closed(shop, "D1")
    sealed = await audits.seal()
    await closed(shop, "D2")

    assert await found(seal=sealed) == []


@pytest.mark.parametrize("bad", [{}, [], {"cases": 1}, {"cases": {"RT-1": [1]}}, {"cases": {}, "digest": "x"}])
async def test_what_is_no_seal_is_one_sentence(database: str, bad: Any):
    with pytest.raises(Unable, match="封存文件"):
        await audits.verify(seal=bad)


# --- refunds --------------------------------------------------------------------------------------------------------


async def test_aud03_every_deduction_has_its_rule_amount_and_evidence(shop: Shop):
    case = await closed(shop)

    (payment,), orders = await audits.refunds(**DAYS)

    assert (payment.case_no, f"{payment.amount:.2f}", payment.faults, orders) == (case.case_no, "186.50", (), [])
    assert [(line["rule"], line["amount"]) for line in payment.lines] == [("MON-14", "200.00"), ("MON-02", "-13.50")]
    assert "承运凭证 13.50 元 V-1" in payment.evidence
    assert payment.evidence[0].startswith("验收：第1行 1 件 可再销售 七天无理由")
    assert (payment.by, payment.approvers) == ("A03", ("C08",))


async def test_aud03_a_bill_that_was_changed_disagrees_with_the_rules(shop: Shop, database: str):
    await closed(shop)
    attack(
        database,
        "update journal set data = jsonb_set(data, '{lines,1,amount}', '\"-3.50\"') where entry = 'bill-0'",
        "update journal set data = jsonb_set(data, '{total}', '\"196.50\"') where entry = 'bill-0'",
    )

    (payment,), _ = await audits.refunds(**DAYS)

    assert payment.faults == (
        "规则没有这一行：MON-02 上门取件运费 -3.50",
        "缺少规则的一行：MON-02 上门取件运费 -13.50",
        "应付 196.50 元，实付 186.50 元",
    )


async def freight_back(shop: Shop) -> Telling:
    """A self-shipper of a faulty product who paid 23.00 and gets the 20.00 back that the limit allows."""
    await shop.order()
    case = await shop.tell(shop.application(shipping="self", reason="quality", evidence=["照片"]))
    await case.decide("review", "C08", decision="approve")
    await case.decide("pickup", "L02", carrier="顺丰", tracking_no="SF100200300", freight="23.00", voucher="V-1")
    await case.decide("receipt", "W02", items=[{"line": "1", "quantity": 1}], rest="complete")
    rows = [{"line": "1", "quantity": 1, "grade": "unsellable", "cause": "quality"}]
    await case.decide("inspection", "W03", items=rows, result="pass")
    await case.decide("refund", "A03", amount="200.00", reference="ALI-1")
    account = {"holder": "李小红", "bank": "招商银行", "number": "6225000000000000"}
    await records.record(case.case_no, records.ACCOUNT, operator="C07", answer=account)
    return await case.decide("reimbursement", "A03", amount="20.00", reference="ALI-2")


RECKONED, PAID = "where entry = 'reimbursement-0.reckoned'", "where entry = 'reimbursement-0'"
RAISED = f"update journal set data = jsonb_set(data, '{{lines,0,amount}}', '\"200.00\"') {RECKONED}"
TOTAL = f'update journal set data = data || \'{{"total": "200.00"}}\' {RECKONED}'
GIVEN = f'update journal set data = data || \'{{"amount": "200.00"}}\' {PAID}'
NOT_PAID_BY_THE_CUSTOMER = "update journal set data = data - 'freight' where entry = 'pickup-0'"


@pytest.mark.parametrize(
    ("statements", "faults"),
    [
        pytest.param([], (), id="as it was reckoned"),
        pytest.param([TOTAL, GIVEN], ("各行相加 20.00 元，合计写的是 200.00 元",), id="total and amount raised"),
        pytest.param(
            [RAISED, TOTAL, GIVEN],
            (
                "规则没有这一行：MON-18 补偿自行寄回的运费 200.00",
                "缺少规则的一行：MON-18 补偿自行寄回的运费 20.00",
            ),
            id="line, total and amount raised",
        ),
        pytest.param(
            [NOT_PAID_BY_THE_CUSTOMER],
            ("规则没有这一行：MON-18 补偿自行寄回的运费 20.00",),
            id="the customer had paid nothing",
        ),
        pytest.param([GIVEN], ("应付 20.00 元，实付 200.00 元",), id="amount raised"),
    ],
)
async def test_aud03_freight_that_went_back_agrees_with_its_rule(
    shop: Shop, database: str, statements: list[str], faults: tuple[str, ...]
):
    await freight_back(shop)
    if statements:
        attack(database, *statements)

    payments, _ = await audits.refunds(**DAYS)

    assert [each.faults for each in payments if each.entry == "reimbursement-0"] == [faults]
    assert [each.faults for each in payments if each.entry == "refund-0"] == [()]


async def test_aud03_one_reference_for_two_payments_is_told(shop: Shop):
    one, two = await closed(shop, "D1"), await closed(shop, "D2")
    async with transaction() as connection:
        await connection.exec_driver_sql("set session_replication_role = replica")
        await connection.exec_driver_sql(
            f"update journal set data = data || '{{\"reference\": \"ALI-D1\"}}' where case_no = '{two.case_no}' and entry = 'refund-0'"
        )
        await connection.exec_driver_sql("set session_replication_role = origin")

    payments, _ = await audits.refunds(**DAYS)

    assert [each.faults for each in payments] == [
        (f"流水号 ALI-D1 用了 2 次，另见 {other.case_no} refund-0",) for other in (two, one)
    ]


async def test_aud03_a_reference_that_was_used_long_before_the_period_is_told(shop: Shop, database: str):
    one, two = await closed(shop, "D1"), await closed(shop, "D2")
    use = 'update journal set data = data || \'{"reference": "ALI-D1"}\''
    attack(
        database,
        f"{use} where case_no = '{two.case_no}' and entry = 'refund-0'",
        f"update journal set at = at - interval '40 days' where case_no = '{one.case_no}'",
    )

    payments, _ = await audits.refunds(**DAYS)

    assert [(each.case_no, each.faults) for each in payments] == [
        (two.case_no, (f"流水号 ALI-D1 用了 2 次，另见 {one.case_no} refund-0",))
    ]


async def test_aud03_a_bill_that_fees_have_eaten_up_is_told_with_its_deductions(shop: Shop):
    """8.00 of goods, 13.50 of freight: nobody is paid, and the deduction is audited all the same."""
    await shop.order("D1", lines=[("SKU-1", "台灯", 1, "8.00")])
    case = await shop.tell(shop.application("D1"))
    await case.decide("review", "C08", decision="approve")
    await case.decide("pickup", "L02", carrier="顺丰", tracking_no="SF100200300", freight="13.50", voucher="V-1")
    await case.decide("receipt", "W02", items=[{"line": "1", "quantity": 1}], rest="complete")
    rows = [{"line": "1", "quantity": 1, "grade": "sellable", "cause": "no_reason"}]
    await case.decide("inspection", "W03", items=rows, result="pass")
    assert case.result is not None

    (told,), orders = await audits.refunds(**DAYS)

    assert (told.entry, f"{told.amount:.2f}", told.reference, told.faults, orders) == ("bill-0", "0.00", "", (), [])
    assert [(line["rule"], line["amount"]) for line in told.lines] == [
        ("MON-14", "8.00"),
        ("MON-02", "-13.50"),
        ("MON-14", "5.50"),
    ]
    assert "承运凭证 13.50 元 V-1" in told.evidence


async def test_aud03_a_bound_that_nobody_had_to_keep_is_told(shop: Shop, database: str):
    """Bill and refund brought down together by the one line that the facts of a single case do not prove."""
    await closed(shop)
    line = '{"rule": "MON-14", "label": "不超过可原路退回的余额", "amount": "-100.00", "note": ""}'
    attack(
        database,
        f"update journal set data = jsonb_set(data, '{{lines,2}}', '{line}') where entry = 'bill-0'",
        "update journal set data = jsonb_set(data, '{total}', '\"86.50\"') where entry = 'bill-0'",
        "update journal set data = jsonb_set(data, '{amount}', '\"86.50\"') where entry = 'refund-0'",
    )

    (payment,), _ = await audits.refunds(**DAYS)

    assert payment.faults == ("规则没有这一行：MON-14 不超过可原路退回的余额 -100.00",)


async def test_aud03_a_bound_that_an_earlier_bill_has_set_is_no_fault(shop: Shop, database: str):
    """Two units of 200.00, 300.00 paid for the order: the second case gets what the first has left."""
    await shop.order("D1", lines=[("SKU-1", "台灯", 2, "400.00")])
    attack(database, "update orders set paid = 300")
    for number in (1, 2):
        case = await shop.tell(shop.application("D1", reason="quality", evidence=["照片"]))
        await case.decide("review", "C08", decision="approve")
        await allowed(case)
        await case.decide("pickup", "L02", carrier="顺丰", tracking_no=f"SF10020030{number}")
        await case.decide("receipt", "W02", items=[{"line": "1", "quantity": 1}], rest="complete")
        rows = [{"line": "1", "quantity": 1, "grade": "sellable", "cause": "quality"}]
        await case.decide("inspection", "W03", items=rows, result="pass")
        await allowed(case)
        amount = (await case.journal())["bill-0"].data["total"]
        await case.decide("refund", "A03", amount=amount, reference=f"ALI-{number}")

    payments, orders = await audits.refunds(**DAYS)

    assert [(f"{each.amount:.2f}", each.faults) for each in payments] == [("200.00", ()), ("100.00", ())]
    assert orders == []


async def allowed(case: Telling) -> None:
    """Have the manager agree where a case waits for that."""
    if case.at.startswith("exception"):
        await case.decide("exception", "A01", decision="approve", reason="按余额退")


UNREADABLE = {
    "'{total}', '\"abc\"') where entry = 'bill-0'": "金额“abc”无法读出",
    "'{total}', '\"NaN\"') where entry = 'bill-0'": "金额“NaN”无法读出",
    "'{amount}', '\"1E+99999\"') where entry = 'refund-0'": "金额“1E+99999”无法读出",
    "'{lines,1,amount}', 'null') where entry = 'bill-0'": "金额“None”无法读出",
    "'{lines}', '\"x\"') where entry = 'bill-0'": "结算的各行无法读出",
    "'{asked_on}', '\"x\"') where entry = 'opened'": "无法按规则重算（ValueError）",
}


async def test_aud03_what_cannot_be_read_is_a_fault_of_its_payment_alone(shop: Shop, database: str, command: Any):
    one, two = await closed(shop, "D1"), await closed(shop, "D2")
    attack(database, "create table kept_journal as table journal")

    told = {}
    for change in UNREADABLE:
        attack(database, f"update journal set data = jsonb_set(data, {change} and case_no = '{one.case_no}'")
        payments, _ = await audits.refunds(**DAYS)
        assert [each.faults for each in payments if each.case_no == two.case_no] == [()]
        told[change] = next(each.faults for each in payments if each.case_no == one.case_no)
        attack(database, "delete from journal", "insert into journal select * from kept_journal")
    attack(database, f"update journal set data = jsonb_set(data, '{{lines}}', '[1]') where case_no = '{one.case_no}'")
    shown = command("refunds", *WHEN)

    assert {change: UNREADABLE[change] in faults for change, faults in told.items()} == dict.fromkeys(
        UNREADABLE, True
    ), told
    assert isinstance(shown.exception, Unable) and f"{one.case_no} 结算的各行无法读出" in str(shown.exception)


async def test_a_period_without_payments_is_empty(shop: Shop):
    await closed(shop)
    long_ago = TODAY - timedelta(days=400)

    assert await audits.refunds(since=long_ago, until=long_ago) == ([], [])


# --- windows --------------------------------------------------------------------------------------------------------


async def test_aud02_every_stage_is_counted_with_its_worst_delay(shop: Shop, database: str):
    case = await closed(shop)
    attack(
        database,
        "update promises set due_at = ended_at - interval '5 hours' where stage = 'review'",
        "update promises set due_at = ended_at - interval '1 minute' where stage = 'inspection'",
    )

    told = {
        each.stage: each
        for each in await audits.windows(since=TODAY - timedelta(days=9), until=TODAY + timedelta(days=20))
    }

    review, inspection = told["待审核"], told["待验收"]
    assert (review.late, review.on_time, review.average, review.unit, review.share) == (1, 0, "5.0", "小时", "0.0")
    assert review.worst == ("5.0", case.case_no)
    assert (inspection.late, inspection.average, inspection.unit) == (1, "1.0", "个工作日")
    assert (told["待退款"].on_time, told["待退款"].share) == (1, "100.0")
    assert told["待审核"].department == "客户服务部"


async def test_aud02_a_window_belongs_to_the_day_that_people_read(shop: Shop, database: str):
    """A promise due on the 26th at 24:00 ends with the 27th's first moment, and is one of the 26th."""
    await shop.order()
    await shop.tell(shop.application())
    midnight = clocks.end_of_day(date(2026, 11, 26), house=current_terms().house)
    attack(database, f"update promises set due_at = '{midnight.isoformat()}'")

    told = {day: await audits.windows(since=date(2026, 11, day), until=date(2026, 11, day)) for day in (25, 26, 27)}

    assert {day: [each.total for each in windows] for day, windows in told.items()} == {25: [], 26: [1], 27: []}


async def test_aud02_extended_cases_are_told_with_their_reason(shop: Shop, command: Any):
    await shop.order()
    case = await shop.tell(shop.application())
    until = await extended(case.case_no)
    days = {"since": TODAY, "until": TODAY + timedelta(days=21)}

    (window,) = await audits.windows(**days)
    (row,) = json.loads(command("windows", "--from", f"{TODAY}", "--to", f"{days['until']}", "--format", "json").output)

    assert (window.extended, window.reasons) == (1, f"{case.case_no} 延至 {until}：台风停运")
    assert row["reasons"] == window.reasons


# --- the commands ---------------------------------------------------------------------------------------------------


@pytest.fixture
def command(database: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Run `aftersales audit …` in this process."""
    from aftersales.settings import settings

    monkeypatch.setenv("AFTERSALES_DATABASE_URL", database)
    settings.cache_clear()

    def run(*words: str) -> Any:
        import concurrent.futures

        with concurrent.futures.ThreadPoolExecutor(1) as thread:
            return thread.submit(CliRunner().invoke, cli.audit, list(words)).result()

    yield run
    settings.cache_clear()
    assert located


WHEN = ("--from", DAYS["since"].isoformat(), "--to", DAYS["until"].isoformat())


async def test_csv_opens_in_a_spreadsheet_and_no_cell_is_a_formula(shop: Shop, command: Any, tmp_path: Path):
    await closed(shop, evidence=["=1+1"])

    told = command("refunds", *WHEN, "--format", "csv", "--out", str(tmp_path / "refunds.csv"))

    assert told.exit_code == 0, told.output
    text = (tmp_path / "refunds.csv").read_bytes().decode("utf-8-sig")
    rows = list(csv.DictReader(io.StringIO(text)))
    assert [row["规则"] for row in rows] == ["MON-14", "MON-02"]
    assert [row["金额（元）"] for row in rows] == ["200.00", "-13.50"]
    assert (tmp_path / "refunds.csv").read_bytes().startswith(b"\xef\xbb\xbf")
    assert not [cell for row in rows for cell in row.values() if cell.startswith(("=", "+", "@"))]


async def test_json_has_stable_keys_and_amounts_as_text(shop: Shop, command: Any):
    await closed(shop)

    refunds = json.loads(command("refunds", *WHEN, "--format", "json").output)
    windows = json.loads(command("windows", *WHEN, "--format", "json").output)

    assert refunds[1]["rule"] == "MON-02" and refunds[1]["line_amount"] == "-13.50"
    assert {"stage", "department", "on_time", "late", "share", "worst_case"} <= set(windows[0])


async def test_verify_and_seal_by_command(shop: Shop, command: Any, database: str, tmp_path: Path):
    case = await closed(shop)
    file = tmp_path / "seal.json"

    assert command("seal", "--out", str(file)).output == f"已封存 1 张售后单：{file}\n"
    whole = command("verify", "--seal", str(file))
    assert whole.exit_code == 0 and "全部完整，未被改动。" in whole.output
    attack(database, f"update journal set actor = 'A01' {AT_5}")
    broken = command("verify")
    assert case.case_no in broken.output and "内容被改动" in broken.output
    assert isinstance(broken.exception, Unable) and "有 1 张售后单的流水对不上（共 1 处）" in str(broken.exception)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("refunds", "--from", "昨天", "--to", "2026-11-22"), "“昨天”不是日期，请写成 2026-03-05 这样"),
        (("refunds", "--from", "2026-02-30", "--to", "2026-11-22"), "“2026-02-30”不是日期"),
        (("refunds", "--from", "2026-11-23", "--to", "2026-11-22"), "--from 2026-11-23 晚于 --to 2026-11-22，请对调。"),
        (("windows", "--from", "0000-01-01", "--to", "2026-11-22"), "“0000-01-01”不是日期"),
        (("refunds", "--from", "2026-11-01"), "--to"),
        (("verify", "--seal", "/nowhere/seal.json"), "读不了封存文件 /nowhere/seal.json，请核对路径。"),
        (("verify", "--case", "RT-20000101-0001"), "没有售后单 RT-20000101-0001，请核对单号"),
    ],
)
async def test_wrong_words_are_one_sentence(database: str, command: Any, words: tuple[str, ...], sentence: str):
    told = command(*words)

    assert told.exit_code != 0
    assert sentence in told.output or sentence in str(told.exception)
