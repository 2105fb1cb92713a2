"""The audits on real cases: tampering is found and named, every payment agrees with the rules, every window is told."""

from __future__ import annotations

import csv
import io
import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from click.testing import CliRunner

from aftersales import clock
from aftersales.cli import audit as cli
from aftersales.cli import database as located
from aftersales.rules import chain
from aftersales.store import records
from aftersales.store.engine import transaction
from aftersales.words import Unable
from tasks import audits
from tests.stories.conftest import Shop, Telling

TODAY = clock.now().astimezone().date()
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
        rows, _, _ = await records.audited(connection, case.case_no)
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


async def test_aud01_a_case_that_is_gone_is_found_with_a_seal(shop: Shop, database: str):
    case = await closed(shop)
    sealed = await audits.seal()
    attack(database, "delete from journal", "delete from cases")

    assert (await audits.verify()).findings == []
    assert [each.case_no for each in (await audits.verify(seal=sealed)).findings] == [case.case_no]


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
    assert payment.evidence[0].startswith("验收：第1行 1 件 sellable no_reason")
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


async def test_aud03_one_reference_for_two_payments_is_told(shop: Shop):
    await closed(shop, "D1")
    two = await closed(shop, "D2")
    async with transaction() as connection:
        await connection.exec_driver_sql("set session_replication_role = replica")
        await connection.exec_driver_sql(
            f"update journal set data = data || '{{\"reference\": \"ALI-D1\"}}' where case_no = '{two.case_no}' and entry = 'refund-0'"
        )
        await connection.exec_driver_sql("set session_replication_role = origin")

    payments, _ = await audits.refunds(**DAYS)

    assert [each.faults for each in payments] == [("流水号 ALI-D1 用了 2 次",)] * 2


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
