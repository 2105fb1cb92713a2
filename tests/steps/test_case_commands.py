"""
The case commands as a shell sees them: what they print, what they write, with which code they leave.

They run inside this process against a real database; two tests that need Prefect's settings run as processes.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import stat
import sys
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import text

from aftersales.desk.leg import Leg
from aftersales.stack import schema
from aftersales.store import cases
from aftersales.store.engine import transaction
from aftersales.terms import load
from aftersales.words import Event
from tasks import complaints
from tests.calling import Left
from tests.stories.conftest import Shop, Telling

PHONE = "10212345678"


@pytest.fixture
async def shop(database: str) -> Shop:
    """An empty shop on a fresh database."""
    return Shop()


@pytest.fixture
async def applied(shop: Shop) -> Telling:
    """A case that waits for its review."""
    await shop.order(lines=[("SKU-1", "台灯", 3, "300.00"), ("SKU-2", "灯泡", 2, "20.00")])
    items = [{"sku": "SKU-1", "quantity": 2}, {"sku": "SKU-2", "quantity": 1}]
    return await shop.tell(shop.application(items=items, evidence=["https://pics.example/1"]))


async def to_inspection(telling: Telling) -> Telling:
    await telling.decide("review", "C08", decision="approve")
    await telling.decide("pickup", "L02", carrier="顺丰", tracking_no="SF100200300")
    return await telling.signal(Event.PARCEL_RECEIVED, tracking_no="SF100200300")


async def to_the_end(telling: Telling) -> Telling:
    await to_inspection(telling)
    rows = [
        {"line": "1", "quantity": 2, "grade": "sellable", "cause": "no_reason"},
        {"line": "2", "quantity": 1, "grade": "unsellable", "cause": "no_reason"},
    ]
    await telling.decide("inspection", "W03", items=rows, result="pass")
    return await telling.decide("refund", "A02", amount="198.00", reference="ALI-2026-0001")


async def query(sql: str, **values: Any) -> list[Any]:
    async with transaction() as connection:
        return [tuple(row) for row in await connection.execute(text(sql), values)]


# --- case list --------------------------------------------------------------------------------------------------------


async def test_the_list_tells_where_a_case_is_until_when_and_for_how_much(aftersales, applied):
    left = await aftersales("case", "list")

    assert (left.code, left.err) == (0, "")
    for words in (applied.case_no, "D1", "待审核", "客户服务部", "前", "198.00"):
        assert words in left.out
    assert "超时" not in left.out


async def test_the_list_as_json(aftersales, applied):
    left = await aftersales("case", "list", "--json")

    (row,) = left.data
    assert row["due_at"].endswith("+08:00")
    assert {name: row[name] for name in ("case_no", "stage", "department", "amount", "is_overdue", "provisional")} == {
        "case_no": applied.case_no,
        "stage": "review",
        "department": "customer_service",
        "amount": "198.00",
        "is_overdue": False,
        "provisional": False,
    }


@pytest.mark.parametrize(
    ("args", "is_there"),
    [
        pytest.param(["--stage", "待审核"], True, id="its stage in Chinese"),
        pytest.param(["--stage", "审核"], True, id="its stage in short"),
        pytest.param(["--stage", "review"], True, id="its stage by code"),
        pytest.param(["--stage", "待退款"], False, id="another stage"),
        pytest.param(["--stage", "已完成"], False, id="a stage that is over"),
        pytest.param(["--department", "客户服务部"], True, id="its department in Chinese"),
        pytest.param(["--department", "customer_service"], True, id="its department by code"),
        pytest.param(["--department", "仓储部"], False, id="another department"),
        pytest.param(["--all"], True, id="all"),
    ],
)
async def test_the_list_can_be_narrowed(aftersales, applied, args, is_there):
    left = await aftersales("case", "list", "--json", *args)

    assert [row["case_no"] for row in left.data] == ([applied.case_no] if is_there else [])


async def test_what_is_late_says_by_how_much_and_stands_first(aftersales, shop, applied):
    await shop.order("D2")
    late = await shop.tell(shop.application("D2"))
    await query_none("update promises set due_at = due_at - interval '3 days' where case_no = :c", c=late.case_no)

    shown = await aftersales("case", "list")
    listed = await aftersales("case", "list", "--json", "--limit", "1")

    assert "超时 2 天" in shown.out
    assert [(row["case_no"], row["is_overdue"]) for row in listed.data] == [(late.case_no, True)]


async def test_a_customer_who_takes_their_time_is_not_late(aftersales, shop):
    await shop.order()
    waiting = await shop.tell(shop.application(shipping="self"))
    await waiting.decide("review", "C08", decision="approve")
    await query_none(
        "update promises set started_at = now() - interval '12 days', due_at = now() - interval '9 days 1 minute' "
        "where case_no = :c and stage = 'pickup'",
        c=waiting.case_no,
    )

    shown = [await aftersales("case", *words) for words in (["list"], ["show", waiting.case_no])]
    listed = await aftersales("case", "list", "--json")
    page = await aftersales("case", "show", waiting.case_no, "--json")

    assert all("已过 9 天（等客户）" in each.out.replace("\n", "") and "超时" not in each.out for each in shown)
    assert [row["is_overdue"] for row in listed.data] == [False]
    assert [each["is_overdue"] for each in page.data["promises"] if each["stage"] == "pickup"] == [False]


async def test_a_complaint_has_no_stage_of_a_return_and_no_window(aftersales, shop, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    await shop.order()
    telling = await shop.tell(shop.application())
    async with transaction() as connection:
        case = await cases.read(connection, telling.case_no)
        leg = Leg(driver=None, case=case, terms=load())
        complaint_no = await complaints.open_complaint(
            connection, leg, entry="complaint-0", about=telling.case_no, order_no=case.order_no, channel=case.channel,
            reason="坏了", operator="C07", told=f"转为投诉 {complaints.NUMBER}。",
        )  # fmt: skip

    shown, page = await aftersales("case", "list"), await aftersales("case", "show", complaint_no)

    (line,) = [line for line in shown.out.splitlines() if complaint_no in line]
    assert "投诉处理" in line and "无时限" in line
    assert f"{complaint_no}  投诉处理，由客户服务部处理" in page.out
    ((subject, recipient),) = await query("select subject, recipient from outbox where entry = 'complaint-0'")
    assert (subject, recipient) == (f"{complaint_no} 提醒", "department:customer_service")


async def query_none(sql: str, **values: Any) -> None:
    async with transaction() as connection:
        await connection.execute(text(sql), values)


async def test_a_list_that_was_cut_off_says_so(aftersales, shop, applied):
    await shop.order("D2")
    await shop.tell(shop.application("D2"))

    left = await aftersales("case", "list", "--limit", "1")

    assert (left.code, left.err) == (
        0,
        "只显示了 1 个，还有更多；可用 --limit 加大，或用 --stage、--department 缩小范围。",
    )


async def test_ended_cases_are_listed_only_when_asked_for(aftersales, applied):
    await to_the_end(applied)

    assert (await aftersales("case", "list")).out == "没有符合条件的售后单。\n"
    assert applied.case_no in (await aftersales("case", "list", "--all")).out
    assert applied.case_no in (await aftersales("case", "list", "--stage", "已完成")).out


async def test_between_two_gates_nobody_owes_anything(aftersales, applied):
    await aftersales("decide", applied.case_no, "审核", "--as", "C08", "decision=通过")

    assert "办理中" in (await aftersales("case", "list")).out


# --- case show --------------------------------------------------------------------------------------------------------


async def test_the_page_tells_everything_with_the_contact_masked(aftersales, applied):
    left = await aftersales("case", "show", applied.case_no.lower())

    assert (left.code, left.err) == (0, "")
    for words in (
        "待审核，由客户服务部处理",
        "李**",
        "102****5678",
        "C07 王小明",
        "七天无理由",
        "上门取件",
        "台灯",
        "退款测算",
        "MON-02",
        "198.00",
        "RET-02",
        "起算",
        "24 小时",
        "https://pics.example/1",
        "提交申请",
    ):
        assert words in left.out
    assert PHONE not in left.out
    assert "李小红" not in left.out


async def test_the_page_as_json_has_the_bills_and_the_promises_with_their_traces(aftersales, applied):
    await to_the_end(applied)

    page = (await aftersales("case", "show", applied.case_no, "--json")).data

    assert (page["stage"], page["refunded"], page["bills"][0]["total"]) == ("closed", "198.00", "198.00")
    assert [item["outstanding"] for item in page["items"]] == [0, 0]
    stages = [promise["stage"] for promise in page["promises"]]
    assert stages == ["review", "pickup", "receipt", "outer", "inspection", "refund"]
    assert all(promise["ended_at"] for promise in page["promises"])
    assert page["promises"][0]["trace"][1] == "时限：24 小时（RET-02）"
    assert page["history"][-1]["what"] == "结案"
    assert PHONE not in json.dumps(page, ensure_ascii=False)


async def test_an_ended_case_is_nobodys(aftersales, applied):
    await to_the_end(applied)

    left = await aftersales("case", "show", applied.case_no)

    assert "已完成" in left.out
    assert "已完成，由" not in left.out
    assert "第 1 次收货的结算" in left.out
    assert "（已办）" in left.out


# --- case contact, case account ---------------------------------------------------------------------------------------


async def test_gen10_another_contact_is_kept_out_of_the_journal(aftersales, applied):
    left = await aftersales(
        "case", "contact", applied.case_no, "--as", "C08", "name=赵晓明", "phone=+86 102-8765-4321", "邮箱=z@b.cn"
    )

    assert (left.code, left.out) == (0, f"{applied.case_no} 已登记联系人；已有的以这次为准。\n")
    ((data,),) = await query("select data from contacts where case_no = :c", c=applied.case_no)
    assert data == {"name": "赵晓明", "phone": "+86 102-8765-4321", "email": "z@b.cn"}
    entry = (await applied.journal())["contact-0"]
    assert (entry.kind, entry.actor, entry.data) == ("contact", "C08", {"kind": "contact"})
    shown = (await aftersales("case", "show", applied.case_no)).out
    assert "赵**  102****4321  z***@b.cn" in shown


async def test_gen10_an_account_is_shown_by_its_last_digits(aftersales, applied):
    number = "6222020200112233445"

    left = await aftersales(
        "case", "account", applied.case_no, "--as", "C07", "holder=赵晓明", "bank=工商银行", f"number={number}"
    )

    assert left.code == 0
    assert (await applied.journal())["account-0"].data == {"kind": "account"}
    shown = (await aftersales("case", "show", applied.case_no)).out
    assert "赵**  工商银行  ****3445" in shown
    assert number not in shown


async def test_a_second_contact_takes_the_firsts_place_and_the_journal_has_both(aftersales, applied):
    for name in ("赵一", "钱二"):
        await aftersales("case", "contact", applied.case_no, "--as", "C08", f"name={name}", f"phone={PHONE}")

    assert await query("select data->>'name' from contacts") == [("钱二",)]
    assert {"contact-0", "contact-1"} <= set(await applied.journal())


async def test_a_contact_may_still_be_needed_for_the_revisit_but_no_account(aftersales, applied):
    await to_the_end(applied)

    contact = await aftersales("case", "contact", applied.case_no, "--as", "C08", "name=赵一", f"phone={PHONE}")
    account = await aftersales(
        "case", "account", applied.case_no, "--as", "C08", "holder=赵一", "bank=工商银行", "number=622202"
    )

    assert contact.code == 0
    assert (account.code, account.err) == (1, f"{applied.case_no} 已完成，不会再付款，收款账户未登记。")


@pytest.mark.parametrize(
    ("args", "code", "sentence"),
    [
        pytest.param(["contact", "--as", "W01", "name=赵一", "phone=102000"], 1, "不属于客户服务部", id="warehouse"),
        pytest.param(["contact", "--as", "A01", "name=赵一", "phone=102000"], 1, "不属于客户服务部", id="manager"),
        pytest.param(["account", "--as", "A02"], 1, "收款账户没有填对（户名：必填", id="nothing said"),
        pytest.param(["contact", "--as", "X99", "name=赵一", "phone=102000"], 1, "“X99”不在员工名单中", id="unknown"),
        pytest.param(["contact", "--as", "C07", "name=赵一"], 1, "邮箱：必填", id="neither phone nor email"),
        pytest.param(["contact", "--as", "C07", "phone=102000"], 1, "姓名：必填", id="no name"),
        pytest.param(["contact", "--as", "C07", "name=赵一", "phone=abc"], 1, "6～18 位电话号码", id="no phone number"),
        pytest.param(["contact", "--as", "C07", "name=赵一", "email=a@b"], 1, "如 a@b.cn", id="no address"),
        pytest.param(
            ["account", "--as", "C07", "holder=赵一", "bank=工行", "number=12"], 1, "4～40 位账号", id="no number"
        ),
        pytest.param(["contact", "name=赵一"], 2, "缺少选项 --as", id="nobody"),
        pytest.param(["contact", "--as", "C07", "wechat=x"], 2, "没有“wechat”这一项", id="no such field"),
        pytest.param(["contact", "--as", "C07", "赵一"], 2, "没有写成“项目=内容”", id="no equals sign"),
    ],
)
async def test_what_cannot_be_recorded_is_said_in_one_sentence(aftersales, applied, args, code, sentence):
    left = await aftersales("case", args[0], applied.case_no, *args[1:])

    assert (left.code, left.out) == (code, "")
    assert sentence in left.err
    assert "\n" not in left.err
    assert await query("select * from contacts") == []
    assert "contact-0" not in await applied.journal()


# --- decide -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("gate", ["review", "审核", "待审核"])
async def test_a_decision_is_registered_under_every_name_of_its_gate(aftersales, applied, gate):
    left = await aftersales("decide", applied.case_no, gate, "--as", "C08", "decision=通过", "备注=电话 13800001234")

    assert left.code == 0
    assert left.out.startswith(f"已登记：{applied.case_no} 审核：通过（C08 陈晓，")
    decided = (await applied.journal())["review-0"]
    assert (decided.actor, decided.data["decision"], decided.data["via"]) == ("C08", "approve", "command")
    assert decided.data["remark"] == "电话 138****1234"


async def test_rows_are_typed_with_colons(aftersales, applied):
    await to_inspection(applied)

    left = await aftersales(
        *["decide", applied.case_no, "验收", "--as", "W03", "result=通过"],
        "items=第1行:2:可再销售:七天无理由,第2行:1:不可再销售:质量问题",
    )

    assert (left.code, left.out.split("（W03")[0]) == (
        0,
        f"已登记：{applied.case_no} 验收：通过，第1行 2 件可再销售（七天无理由）、第2行 1 件不可再销售（质量问题）",
    )


@pytest.mark.parametrize(
    ("args", "code", "sentence"),
    [
        pytest.param(["审核", "--as", "X99", "decision=通过"], 1, "“X99”不在员工名单中", id="unknown operator"),
        pytest.param(["审核", "--as", "W01", "decision=通过"], 1, "不属于客户服务部", id="wrong department"),
        pytest.param(["审核", "--as", "C08", "decision=也许"], 1, "审核结果：请选择：通过、驳回", id="no such choice"),
        pytest.param(["审核", "--as", "C08", "decision=驳回"], 1, "驳回理由：必填", id="a rejection without a reason"),
        pytest.param(["审核", "--as", "C08"], 1, "审核结果：必填", id="no decision"),
        pytest.param(["退款", "--as", "A02", "amount=1.00"], 1, "现在待审核，还不能办理退款", id="not its turn"),
        pytest.param(["审核", "decision=通过"], 2, "缺少选项 --as", id="nobody"),
        pytest.param(["审批", "--as", "C08"], 2, "没有环节“审批”，可选：review（审核）", id="no such gate"),
        pytest.param(["审核", "--as", "C08", "通过"], 2, "没有写成“项目=内容”", id="no equals sign"),
        pytest.param(["审核", "--as", "C08", "color=red"], 2, "没有“color”这一项", id="no such field"),
    ],
)
async def test_a_decision_that_cannot_be_taken_is_one_sentence(aftersales, applied, args, code, sentence):
    left = await aftersales("decide", applied.case_no, *args)

    assert (left.code, left.out) == (code, "")
    assert sentence in left.err
    assert "\n" not in left.err
    assert "review-0" not in await applied.journal()


@pytest.mark.parametrize(
    "args",
    [
        pytest.param(["decide", "RT-1", "审核", "--as", "C08", "decision=通过"], id="decide"),
        pytest.param(["signal", "RT-1", "parcel.received"], id="signal"),
        pytest.param(["case", "show", "RT-1"], id="case show"),
        pytest.param(["case", "contact", "RT-1", "--as", "C08", "name=赵一", "phone=102000"], id="case contact"),
        pytest.param(["evidence", "add", "RT-1", "一句话", "--as", "C08"], id="evidence add"),
        pytest.param(["evidence", "list", "RT-1"], id="evidence list"),
        pytest.param(["audit", "case", "RT-1"], id="audit case"),
    ],
)
async def test_a_case_that_does_not_exist_is_one_sentence(aftersales, args):
    left = await aftersales(*args)

    assert left.code == 1
    assert left.err == "没有售后单 RT-1，请核对单号（可用 aftersales case list 查看）。"


async def test_whoever_decides_second_is_told_who_was_first(aftersales, applied):
    await aftersales("decide", applied.case_no, "审核", "--as", "C08", "decision=通过")

    left = await aftersales("decide", applied.case_no, "审核", "--as", "C02", "decision=驳回", "reason=重复")

    assert left.code == 1
    assert left.err.startswith(f"{applied.case_no} 的审核已由 C08 陈晓 于 ")


async def in_a_shell(database: str, home: Path, *args: str, **environment: str) -> Left:
    """Run `aftersales …` as a process of its own."""
    process = await asyncio.create_subprocess_exec(
        Path(sys.executable).with_name("aftersales"),
        *args,
        env={name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
        | {"AFTERSALES_DATABASE_URL": database, "AFTERSALES_HOME": str(home), "HOME": str(home)}
        | environment,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    return Left(process.returncode or 0, out.decode(), err.decode().strip())


@pytest.mark.parametrize(
    ("environment", "sentence"),
    [
        pytest.param({}, "已登记，但 Prefect 服务没有运行", id="Prefect is nowhere, and none is started in secret"),
        pytest.param(
            {"PREFECT_API_URL": "http://127.0.0.1:9/api"}, "已登记，但连不上 Prefect（ConnectError）", id="it is down"
        ),
    ],
)
async def test_a_decision_counts_also_when_prefect_cannot_be_reached(database, home, applied, environment, sentence):
    left = await in_a_shell(
        database, home, "decide", applied.case_no, "审核", "--as", "C08", "decision=通过", **environment
    )

    assert (left.code, left.err) == (
        0,
        f"{sentence}；{applied.case_no} 在{'恢复后' if environment else '服务启动后'}会自动继续，无需重复提交。",
    )
    assert left.out.startswith("已登记：")
    assert (await applied.again()).at == "pickup-0"


# --- signal -----------------------------------------------------------------------------------------------------------


async def test_an_event_in_chinese_with_quantities(aftersales, applied):
    await applied.decide("review", "C08", decision="approve")

    left = await aftersales(
        "signal", applied.case_no, "已收货", "--as", "W02", "items=SKU-1:2，SKU-2:1", "运单号=SF100200300"
    )

    assert (left.code, left.out) == (0, f"{applied.case_no} 已登记“已收货”。\n")
    assert (await applied.again()).at == "inspection-0"
    received = (await applied.journal())["receipt-0"]
    assert received.actor == "W02"
    assert received.data["items"] == [{"line_no": 1, "quantity": 2}, {"line_no": 2, "quantity": 1}]


async def test_an_event_from_another_system_counts_once_a_key(aftersales, applied):
    await applied.decide("review", "C08", decision="approve")

    first = await aftersales("signal", applied.case_no, "parcel.picked_up", "--key", "SF-1", "carrier=顺丰")
    again = await aftersales("signal", applied.case_no, "parcel.picked_up", "--key", "SF-1", "carrier=顺丰")

    assert (first.code, again.code) == (0, 0)
    assert again.out == f"{applied.case_no} 的“已取件”已登记过，未重复登记。\n"
    await applied.again()
    assert (await applied.journal())["pickup-0"].actor == "carrier"


async def test_ret06_a_parcel_that_a_command_matches_leaves_the_page_of_those_without_a_case(
    aftersales, applied, monkeypatch: pytest.MonkeyPatch
):
    """The page is of the desk: a command that changes what stands on it writes it anew, others do not touch it."""
    from tasks import desks, outside

    published: list[bool] = []

    async def publish() -> None:
        async with transaction() as connection:
            published.append(bool(await cases.orphans(connection)))

    monkeypatch.setattr(desks, "publish_parcels_from_outside", publish)
    await applied.decide("review", "C08", decision="approve")
    items = [{"sku": "SKU-1", "quantity": 2}, {"sku": "SKU-2", "quantity": 1}]
    await outside.parcel_without_case(staff="W02", data={"tracking_no": "SF100200300", "items": items}, key="o1")

    other = await aftersales("signal", applied.case_no, "已收货", "运单号=SF900900900", "items=SKU-1:1")
    left = await aftersales("signal", applied.case_no, "已收货", "运单号=sf100200300")

    assert (other.code, left.code) == (0, 0)
    assert "已与先前登记的无主包裹 SF100200300 匹配" in left.out
    assert published == [False]


async def test_an_early_event_is_kept_and_says_so(aftersales, applied):
    left = await aftersales("signal", applied.case_no, "已取件", "carrier=顺丰", "tracking_no=SF100200300")

    assert (left.code, left.err) == (0, "")
    assert left.out == f"{applied.case_no} 已登记“已取件”，现在待审核，到相应环节时自动采用。\n"


@pytest.mark.parametrize(
    ("args", "code", "sentence"),
    [
        pytest.param(["已收货", "--as", "C07"], 1, "没有“登记收货”权限", id="no right"),
        pytest.param(["已收货", "--as", "X9"], 1, "“X9”不在员工名单中", id="unknown operator"),
        pytest.param(["已取件", "tracking_no=a b"], 1, "4～40 位字母、数字或短横线", id="no parcel number"),
        pytest.param(["已取件", "freight=1.234"], 1, "最多两位小数的金额", id="three decimals"),
        pytest.param(["已收货", "rest=也许"], 1, "全部到齐", id="no such choice"),
        pytest.param(["已退款", "amount=-1"], 1, "最多两位小数的金额", id="negative"),
        pytest.param(["飞了"], 2, "没有事件“飞了”，可选：parcel.picked_up（已取件）", id="no such event"),
        pytest.param(["已收货", "color=red"], 2, "项目可以是：carrier（承运商）", id="no such field"),
        pytest.param(["已收货", "items=SKU-1"], 2, "“SKU-1”应写成 商品编码:件数", id="no quantity"),
        pytest.param(["已收货", "items=SKU-1:0"], 2, "“SKU-1:0”应写成 商品编码:件数", id="none"),
        pytest.param(["已收货", "remark=a", "备注=b"], 2, "备注写了两次", id="twice"),
    ],
)
async def test_an_event_that_cannot_be_taken_is_one_sentence(aftersales, applied, args, code, sentence):
    left = await aftersales("signal", applied.case_no, *args)

    assert (left.code, left.out) == (code, "")
    assert sentence in left.err
    assert "\n" not in left.err
    assert await query("select * from inbox") == []


# --- evidence ---------------------------------------------------------------------------------------------------------


async def test_pol08_a_file_is_kept_once_and_for_our_eyes_only(aftersales, applied, home, tmp_path):
    photo = tmp_path / "划痕 13800001234.jpg"
    photo.write_bytes(b"\xff\xd8 a scratch")
    digest = hashlib.sha256(b"\xff\xd8 a scratch").hexdigest()

    first = await aftersales("evidence", "add", applied.case_no, str(photo), "--as", "W03")
    again = await aftersales("evidence", "add", applied.case_no, str(photo), "--as", "C07")

    name = f"划痕 138****1234.jpg（文件 {digest[:12]}）"
    assert (first.code, first.out) == (0, f"{applied.case_no} 已登记凭证：{name}\n")
    assert (again.code, again.out) == (0, f"{applied.case_no} 已有这份凭证，未重复登记：{name}\n")
    stored = home / "files" / digest
    assert stored.read_bytes() == photo.read_bytes()
    assert stat.S_IMODE(stored.stat().st_mode) == 0o600
    assert [path.name for path in stored.parent.iterdir()] == [digest]
    entries = [entry for entry in (await applied.journal()).values() if entry.kind == "evidence"]
    assert [(e.actor, e.data) for e in entries] == [("W03", {"reference": digest, "name": "划痕 138****1234.jpg"})]
    assert await query("select reference, actor from evidence") == [(digest, "W03")]


async def test_the_same_file_belongs_to_two_cases(aftersales, shop, applied, home, tmp_path):
    await shop.order("D2")
    other = await shop.tell(shop.application("D2"))
    (tmp_path / "a.txt").write_text("same")

    for case_no in (applied.case_no, other.case_no):
        assert (await aftersales("evidence", "add", case_no, str(tmp_path / "a.txt"), "--as", "C07")).code == 0

    assert len(list((home / "files").iterdir())) == 1
    assert len(await query("select * from evidence")) == 2


@pytest.mark.parametrize(
    ("what", "args", "said"),
    [
        pytest.param("https://pics.example/2", [], "https://pics.example/2", id="a link"),
        pytest.param("屏幕左上角有划痕", [], "屏幕左上角有划痕", id="a note"),
        pytest.param("见 photo.jpg", ["--note"], "见 photo.jpg", id="a note that looks like a file"),
        pytest.param(
            "客户电话 13800001234",
            [],
            "客户电话 138****1234（其中的个人信息已隐去）",
            id="gen10 a note with a phone number",
        ),
    ],
)
async def test_links_and_notes_are_evidence_too(aftersales, applied, what, args, said):
    left = await aftersales("evidence", "add", applied.case_no, what, "--as", "C07", *args)

    assert (left.code, left.out) == (0, f"{applied.case_no} 已登记凭证：{said}\n")
    assert "13800001234" not in str(await query("select * from evidence") + await query("select data from journal"))


async def test_pol08_the_list_has_what_forms_and_commands_brought(aftersales, applied, tmp_path):
    (tmp_path / "b.png").write_bytes(b"png")
    await aftersales("evidence", "add", applied.case_no, str(tmp_path / "b.png"), "--as", "C07")

    shown = await aftersales("evidence", "list", applied.case_no)
    listed = await aftersales("evidence", "list", applied.case_no, "--json")

    assert "https://pics.example/1" in shown.out
    assert "b.png（文件 " in shown.out
    assert f"\n{hashlib.sha256(b'png').hexdigest()}  b.png" in shown.out, "whole, to be found in the folder"
    assert [(piece["actor"], piece["sha256"]) for piece in listed.data] == [
        ("C07", None),
        ("C07", hashlib.sha256(b"png").hexdigest()),
    ]


async def test_a_case_without_evidence_says_so(aftersales, shop):
    await shop.order()
    telling = await shop.tell(shop.application())

    assert (await aftersales("evidence", "list", telling.case_no)).out == f"{telling.case_no} 还没有凭证。\n"


async def test_a_case_that_is_over_takes_no_evidence(aftersales, applied):
    await to_the_end(applied)

    left = await aftersales("evidence", "add", applied.case_no, "迟到的说明", "--as", "C07")

    assert (left.code, left.err) == (
        1,
        f"{applied.case_no} 已完成，结案后不再接收凭证；如需继续处理，请重新提交申请并附上凭证。",
    )


@pytest.mark.parametrize(
    ("what", "sentence"),
    [
        pytest.param("no/such.jpg", "没有文件 no/such.jpg", id="no such file"),
        pytest.param("./missing", "没有文件 ./missing", id="no such path"),
        pytest.param("{}", "是文件夹", id="a folder"),
        pytest.param("{}/empty.jpg", "是空的", id="an empty file"),
        pytest.param("{}/big.mp4", "超过 20 MB", id="one byte too many"),
        pytest.param("/dev/zero", "不是普通文件", id="a file without an end"),
        pytest.param("字" * 501, "超过 500 字", id="a note too long"),
        pytest.param("  ", "没有内容", id="blanks"),
        pytest.param("响铃\a", "控制字符", id="a control character"),
    ],
)
async def test_what_is_no_evidence_is_refused(aftersales, applied, home, tmp_path, what, sentence):
    (tmp_path / "empty.jpg").touch()
    (tmp_path / "big.mp4").touch()
    os.truncate(tmp_path / "big.mp4", 20 * 1024 * 1024 + 1)

    left = await aftersales("evidence", "add", applied.case_no, what.format(tmp_path), "--as", "C07")

    assert left.code == 1
    assert sentence in left.err
    assert "\n" not in left.err
    assert await query("select * from evidence") == []
    assert not (home / "files").exists() or not list((home / "files").iterdir())


async def test_num223_evidence_by_customer_service_is_the_answer_to_a_question(aftersales, applied):
    await applied.decide("review", "C08", decision="ask", question="请补拍吊牌照片")
    shown = await aftersales("case", "show", applied.case_no)

    kept = await aftersales("evidence", "add", applied.case_no, "https://pics.example/tag", "--as", "C07")
    await applied.again()
    told = await aftersales("case", "show", applied.case_no)

    assert "待客户答复，由客户服务部处理" in shown.out and "审核（已暂停）" in shown.out
    assert (kept.code, f"{applied.case_no} 正在等待客户答复，这份凭证就是答复，恢复计时。" in kept.out) == (0, True)
    assert applied.at == "review-1" and "待审核" in told.out
    assert "请客户补充，暂停计时：请补拍吊牌照片" in told.out and "等待客户答复：请补拍吊牌照片" in told.out
    assert "客户答复：补充凭证：https://pics.example/tag" in told.out


# --- audit ------------------------------------------------------------------------------------------------------------


async def test_aud01_the_audit_tells_the_whole_history(aftersales, applied):
    await to_the_end(applied)

    left = await aftersales("audit", "case", applied.case_no)
    audit = (await aftersales("audit", "case", applied.case_no, "--json")).data

    assert left.code == 0
    for words in ("提交申请", "C08 陈晓", "提前 23 小时", "RET-02", "-12.00 上门取件运费 MON-02", "A02 许诺", "结案"):
        assert words in left.out
    assert f"流水共 {len(audit['entries'])} 条，哈希链完整，未被改动。" in left.out
    assert [entry["seq"] for entry in audit["entries"]] == list(range(1, len(audit["entries"]) + 1))
    by_name = {entry["entry"]: entry for entry in audit["entries"]}
    assert by_name["refund-0"]["amount"] == "198.00"
    assert by_name["bill-0"]["amounts"][-1] == {"rule": "MON-02", "label": "上门取件运费", "amount": "-12.00"}
    assert by_name["review-0"]["due_at"].endswith("+08:00")
    # everything has words: no code shows through
    assert [entry["what"] for entry in audit["entries"] if entry["what"].isascii()] == []


@pytest.mark.parametrize(
    ("attack", "broken_at"),
    [
        pytest.param("update journal set actor = 'C01' where entry = 'review-0'", "review-0", id="a row was changed"),
        pytest.param("update journal set data = '{}' where entry = 'opened'", "opened", id="a row was emptied"),
        pytest.param("delete from journal where entry = 'review-0'", "review-0", id="a row was removed"),
        pytest.param("delete from journal where seq = (select max(seq) from journal)", None, id="the last was removed"),
    ],
)
async def test_aud01_the_audit_finds_what_was_tampered_with(aftersales, database, applied, attack, broken_at):
    await applied.decide("review", "C08", decision="approve")
    before = await applied.journal()
    with psycopg.connect(schema.plain(database), autocommit=True) as owner:
        owner.execute("alter table journal disable trigger user")
        owner.execute(attack)

    left = await aftersales("audit", "case", applied.case_no)

    number = before[broken_at].seq if broken_at else len(before)
    assert left.code == 1
    assert left.err == (
        f"{applied.case_no} 的流水从第 {number} 条起对不上（被改动、删去或插入过），请立即报告负责人并保留数据库备份。"
    )


# --- customer ---------------------------------------------------------------------------------------------------------


async def test_gen10_the_full_contact_is_shown_and_the_look_is_kept(aftersales, shop, applied):
    await aftersales("case", "contact", applied.case_no, "--as", "C08", "name=赵晓明", "phone=10287654321")

    left = await aftersales("customer", "show", "D1", "--as", "C02", "--reason", "客户 13800001234 来电核对")

    assert left.code == 0
    for words in ("李小红", PHONE, "赵晓明", "10287654321", "本次查看已记录（该订单第 1 次）"):
        assert words in left.out
    entry = (await applied.journal())["access-0"]
    assert (entry.kind, entry.actor, entry.data["reason"]) == ("access", "C02", "客户 138****1234 来电核对")
    assert await query("select actor, order_no, reason from looks") == [("C02", "D1", "客户 138****1234 来电核对")]


async def test_gen10_a_look_at_an_order_without_a_case_leaves_a_trace_too(aftersales, shop):
    await shop.order("D9")

    first = await aftersales("customer", "show", "D9", "--as", "A01")
    second = await aftersales("customer", "show", "D9", "--as", "A01")

    assert (first.code, second.code) == (0, 0)
    assert "第 2 次" in second.out
    assert await query("select actor, order_no from looks") == [("A01", "D9"), ("A01", "D9")]


@pytest.mark.parametrize("attack", ["update looks set actor = 'C01'", "delete from looks", "truncate looks"])
async def test_gen10_nobody_can_make_a_look_undone(aftersales, shop, database, attack):
    await shop.order("D9")
    await aftersales("customer", "show", "D9", "--as", "A01")

    with psycopg.connect(schema.plain(database)) as owner, pytest.raises(psycopg.errors.RestrictViolation):
        owner.execute(attack)


@pytest.mark.parametrize(
    ("args", "code", "sentence"),
    [
        pytest.param(["D1", "--as", "L02"], 1, "没有“查看联系方式”权限", id="no right"),
        pytest.param(["D1", "--as", "X9"], 1, "“X9”不在员工名单中", id="unknown operator"),
        pytest.param(["D7", "--as", "C02"], 1, "没有订单 D7，请核对订单号。", id="unknown order"),
        pytest.param(["D1"], 2, "缺少选项 --as", id="nobody"),
    ],
)
async def test_gen10_who_may_not_look_sees_nothing(aftersales, applied, args, code, sentence):
    left = await aftersales("customer", "show", *args)

    assert (left.code, left.out) == (code, "")
    assert sentence in left.err
    assert PHONE not in left.err
    assert await query("select * from looks") == []


async def test_p10_a_customers_own_quiet_hours_are_kept_and_taken_back(aftersales, shop):
    await shop.order("D9")

    kept = await aftersales("customer", "quiet", "D9", "20:00 - 10:00", "--as", "C07")
    assert (kept.code, kept.out.strip()) == (0, "已登记：订单 D9 的客户在 20:00-10:00 不发通知，到结束时再发。")
    assert await query("select quiet from customers") == [("20:00-10:00",)]

    back = await aftersales("customer", "quiet", "D9", "--default", "--as", "C07")
    assert (back.code, back.out.strip()) == (0, "已取消：订单 D9 的客户按全体客户的静默时段。")
    assert await query("select quiet from customers") == [("",)]


@pytest.mark.parametrize(
    ("args", "code", "sentence"),
    [
        pytest.param(["D9", "25:00-10:00", "--as", "C07"], 1, "“25:00”", id="no hour"),
        pytest.param(
            ["D9", "10:00-10:00", "--as", "C07"],
            1,
            '静默时段“10:00-10:00”的起止相同，请写成 "22:00-08:00" 这样；不再单独设的写 --default。',
            id="no span",
        ),
        pytest.param(["D9", "夜里", "--as", "C07"], 1, "“夜里”不是静默时段", id="no hours"),
        pytest.param(["D7", "20:00-10:00", "--as", "C07"], 1, "没有订单 D7，请核对订单号。", id="unknown order"),
        pytest.param(["G1", "20:00-10:00", "--as", "C07"], 1, "订单 G1 是散客下的", id="a guest"),
        pytest.param(["D9", "20:00-10:00", "--as", "W03"], 1, "没有“提交申请”权限", id="no right"),
        pytest.param(["D9", "--as", "C07"], 2, "请写上时段", id="nothing said"),
        pytest.param(["D9", "20:00-10:00", "--default", "--as", "C07"], 2, "请写上时段", id="both said"),
    ],
)
async def test_p10_what_are_no_quiet_hours_changes_nothing(aftersales, shop, args, code, sentence):
    await shop.order("D9")
    await shop.order("G1", customer_no="")

    left = await aftersales("customer", "quiet", *args)

    assert (left.code, left.out) == (code, "")
    assert sentence in left.err
    assert await query("select distinct quiet from customers") == [("",)]


# --- wrong use --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("args", "sentence"),
    [
        pytest.param(["case", "list", "--stage", "天上"], "没有环节“天上”，可选：新申请、待审核", id="no such stage"),
        pytest.param(["case", "list", "--department", "财务"], "没有部门“财务”，可选：客户服务部", id="no department"),
        pytest.param(["case", "list", "--limit", "0"], "“0”应写成 1 到 10000 的整数", id="no rows"),
        pytest.param(["case", "list", "--limit", "many"], "“many”应写成 1 到 10000 的整数", id="no number"),
        pytest.param(["case", "show"], "缺少参数 售后单号", id="no case number"),
        pytest.param(["case", "show", "\udcff"], "无法识别的字符", id="bytes that are no text"),
        pytest.param(["case"], "缺少子命令", id="no command"),
        pytest.param(["audit", "month"], "没有命令 month", id="no such command"),
    ],
)
async def test_wrong_use_is_one_sentence(aftersales, database, args, sentence):
    left = await aftersales(*args)

    assert (left.code, left.out) == (2, "")
    assert sentence in left.err
    assert "\n" not in left.err
