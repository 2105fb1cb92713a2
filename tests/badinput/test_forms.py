"""Forms: the application, every gate, and the small forms beside them; each refusal is one sentence and no decision."""

from __future__ import annotations

from typing import Any
from zoneinfo import ZoneInfo

import pytest

from aftersales import forms
from aftersales.rules import clocks
from aftersales.words import FOLLOWING_UP
from flows.account import account
from flows.arrivals import arrivals
from flows.cancellation import cancellation
from flows.extension import extension
from flows.returns import returns
from tests.badinput.conftest import REFUSED_APPLICATION, REFUSED_DECISION, House, enter, nothing_changes, submit

LONG = "长" * 501
NAN, MINUS, FINE, WIDE = "NaN", "-1.00", "1.234", "１８８.00"
GOODS = [{"sku": "SKU-1", "quantity": 1}]
ARRIVED = [{"line": "第1行 SKU-1 台灯", "quantity": 1}]
INSPECTED = [{**ARRIVED[0], "grade": "可再销售", "cause": "七天无理由"}]

# a complete answer at each gate, as the form sends it
ANSWERS: dict[str, dict[str, Any]] = {
    "review": {"operator": "C08 陈晓", "decision": "通过"},
    "question": {"operator": "C07 王小明", "answer": "照片已发"},
    "correction": {"operator": "C07 王小明", "decision": "补正重提"},
    "exception": {"operator": "A01 何静", "decision": "批准", "reason": "情况属实"},
    "pickup": {"operator": "L02 孙磊", "carrier": "顺丰", "tracking_no": "SF100200300"},
    "receipt": {"operator": "W02 郑凯", "items_": ARRIVED, "rest": "全部到齐"},
    "tracing": {"operator": "L02 孙磊", "result": "已找到", "note": "在分拨中心"},
    "inspection": {"operator": "W03 冯雪", "items_": INSPECTED, "result": "通过"},
    "resolution": {"operator": "A01 何静", "decision": "按规则退款", "reason": "划痕轻微"},
    "sendback": {"operator": "L02 孙磊", "carrier": "顺丰", "tracking_no": "SF100200309"},
    "countersign": {"operator": "A04 罗成", "decision": "批准"},
    "release": {"operator": "A03 马琳", "amount": "188.00"},
    "refund": {"operator": "A03 马琳", "amount": "188.00", "reference": "ALI-2026-0001"},
    "reimbursement": {"operator": "A03 马琳", "amount": "18.00", "reference": "ALI-2026-0002"},
}
APPLICATION = {
    "operator": "C07 王小明",
    "order_no": "D404",
    "items": GOODS,
    "reason": "七天无理由",
    "shipping": "上门取件",
}
ENTRIES: dict[str, tuple[Any, dict[str, Any]]] = {
    "到件登记": (
        arrivals,
        {"operator": "W02 郑凯", "case_no": "CASE", "tracking_no": "SF99999", "items": GOODS, "rest": "全部到齐"},
    ),
    "取消售后单": (cancellation, {"operator": "C07 王小明", "case_no": "CASE", "reason": "不想退了"}),
    "延期": (extension, {"operator": "C02 刘洋", "case_no": "CASE", "until": "2099-12-01", "reason": "暴雨停运"}),
    "收款账户登记": (
        account,
        {"operator": "C07 王小明", "case_no": "CASE", "holder": "李小红", "bank": "招商银行", "number": "6225880123"},
    ),
}


def at_gate(what: str, gate: str, answer: Any, wrong: str) -> Any:
    """A form of a gate that cannot be read."""
    return against(what, gate, answer, misfilled(forms.GATES[gate].title, wrong))


def against(what: str, gate: str, answer: Any, sentence: str) -> Any:
    """A form of a gate that breaks a rule."""
    return pytest.param(gate, answer, sentence, id=f"{gate}: {what}")


def misfilled(title: str, wrong: str) -> str:
    return f"{title}没有填对（{wrong}），请改正后重新提交。"


GATES = [
    at_gate(
        "nothing at all",
        "review",
        {"operator": None, "decision": None},
        "操作人：必填，从下拉框中选择；审核结果：必填，选择：通过、驳回、请客户补充",
    ),
    at_gate("a number for a decision", "review", {"decision": 1}, "审核结果：请填写文字"),
    at_gate("a list for a decision", "review", {"decision": ["通过"]}, "审核结果：请填写文字"),
    at_gate("an object for a decision", "review", {"decision": {"const": "通过"}}, "审核结果：请填写文字"),
    at_gate("true for an operator", "review", {"operator": True}, "操作人：请填写文字"),
    at_gate(
        "an operator nobody knows",
        "review",
        {"operator": "C99 无名"},
        "操作人：请选择：C01 周敏、C02 刘洋、C07 王小明、C08 陈晓",
    ),
    at_gate(
        "an operator of another department",
        "review",
        {"operator": "W01 吴芳"},
        "操作人：请选择：C01 周敏、C02 刘洋、C07 王小明、C08 陈晓",
    ),
    at_gate(
        "an operator's id with another's name",
        "review",
        {"operator": "C08 王小明"},
        "操作人：请选择：C01 周敏、C02 刘洋、C07 王小明、C08 陈晓",
    ),
    at_gate(
        "the form of another gate",
        "review",
        {"gate": "RT-20200101-0001 review-0"},
        "受理环节：这张表单已过期，现在是 CASE review-0，请重新打开",
    ),
    at_gate("no gate", "review", {"gate": None}, "受理环节：必填，1～80 字，不含控制字符"),
    at_gate(
        "a field that is not asked",
        "review",
        {"refund": "9999.00"},
        "审核：有多余的项目，只能填写：受理环节、操作人、审核结果、驳回理由、缺少的材料、请客户补充什么、备注",
    ),
    at_gate(
        "a rejection with nothing but blanks", "review", {"decision": "驳回", "reason": " \u3000\t\n"}, "驳回理由：必填"
    ),
    at_gate(
        "a rejection in zero-width characters",
        "review",
        {"decision": "驳回", "reason": "\u200b\u200b"},
        "驳回理由：必填",
    ),
    at_gate("a NUL", "review", {"remark": "a\x00b"}, "备注：含有不可见的控制字符，请删去后重填"),
    at_gate("half a surrogate pair", "review", {"remark": "\ud83d"}, "备注：含有无法保存的字符，请删去后重填"),
    at_gate("501 characters", "review", {"remark": LONG}, "备注：请填写最多 500 字，不含控制字符"),
    at_gate(
        "ten thousand materials",
        "review",
        {"missing": ["发票"] * 10_000},
        "缺少的材料：请填写最多 20 条，每条1～100 字，不含控制字符，空行请删除",
    ),
    at_gate(
        "ten thousand different materials",
        "review",
        {"missing": [f"第{n}张" for n in range(10_000)]},
        "缺少的材料：请填写最多 20 条，每条1～100 字，不含控制字符，空行请删除",
    ),
    at_gate("a text for a list", "review", {"missing": "发票"}, "缺少的材料：请填写成列表"),
    at_gate(
        "a question of blanks", "review", {"decision": "请客户补充", "question": " \u3000"}, "请客户补充什么：必填"
    ),
    against(
        "an approval that asks",
        "review",
        {"question": "吊牌照片"},
        "只有“请客户补充”才填写“请客户补充什么”，请删去这一项，或改选“请客户补充”。",
    ),
    against(
        "a question that rejects",
        "review",
        {"decision": "请客户补充", "question": "吊牌照片", "reason": "看不清"},
        "选“请客户补充”时，要客户做的都写在“请客户补充什么”里，请把理由和缺少的材料移过去。",
    ),
    at_gate("no answer", "question", {"answer": None}, "客户的答复：必填，1～500 字，不含控制字符"),
    at_gate("an answer nobody sees", "question", {"answer": "\u200b"}, "客户的答复：请填写1～500 字，不含控制字符"),
    at_gate("an answer of 501 characters", "question", {"answer": LONG}, "客户的答复：请填写1～500 字，不含控制字符"),
    at_gate("a text for evidence", "question", {"evidence": "照片"}, "补充凭证：请填写成列表"),
    at_gate(
        "the warehouse answers",
        "question",
        {"operator": "W03 冯雪"},
        "操作人：请选择：C01 周敏、C02 刘洋、C07 王小明、C08 陈晓",
    ),
    at_gate("goods that are no list", "correction", {"items_": "SKU-1"}, "退货商品：请填写成列表"),
    at_gate("goods that are no rows", "correction", {"items_": ["SKU-1"]}, "退货商品第1行：填写的格式不对，请重新填写"),
    at_gate(
        "a row without a quantity",
        "correction",
        {"items_": [{"sku": "SKU-1"}]},
        "退货商品第1行数量：必填，整数，至少为 1",
    ),
    at_gate("501 rows", "correction", {"items_": GOODS * 501}, "退货商品：最多 500 行"),
    at_gate(
        "a quantity of 1e30",
        "correction",
        {"items_": [{"sku": "SKU-1", "quantity": 1e30}]},
        "退货商品第1行数量：请填写整数，至少为 1",
    ),
    at_gate(
        "a quantity of 1.5",
        "correction",
        {"items_": [{"sku": "SKU-1", "quantity": 1.5}]},
        "退货商品第1行数量：请填写整数，至少为 1",
    ),
    at_gate(
        "a reason that is none",
        "correction",
        {"reason": "心情不好"},
        "退货原因：请选择：七天无理由、尺码不合适、不喜欢、质量问题、运输破损、发错商品",
    ),
    at_gate("a way that is none", "correction", {"shipping": "飞鸽"}, "寄回方式：请选择：不变、上门取件、自行寄回"),
    at_gate("no reason", "exception", {"reason": None}, "审批理由：必填，2～500 字，不含控制字符"),
    at_gate("a reason of one sign", "exception", {"reason": "好"}, "审批理由：请填写2～500 字，不含控制字符"),
    at_gate("a reason as a number", "exception", {"reason": 42}, "审批理由：请填写文字"),
    at_gate("a clerk decides", "exception", {"operator": "C07 王小明"}, "操作人：请选择：A01 何静"),
    at_gate(
        "negative freight",
        "pickup",
        {"freight": MINUS},
        "承运凭证金额：请填写金额（元），不能为负，最多两位小数，如 19.99",
    ),
    at_gate(
        "freight as a number",
        "pickup",
        {"freight": 13.5},
        "承运凭证金额：请填写金额（元），不能为负，最多两位小数，如 19.99",
    ),
    at_gate(
        "a number in Arabic script", "pickup", {"tracking_no": "شحنة١٢٣٤"}, "运单号：请填写4～40 位字母、数字或短横线"
    ),
    at_gate("an emoji for a number", "pickup", {"tracking_no": "📦📦📦📦"}, "运单号：请填写4～40 位字母、数字或短横线"),
    at_gate("41 letters for a number", "pickup", {"tracking_no": "S" * 41}, "运单号：请填写4～40 位字母、数字或短横线"),
    at_gate("a carrier of blanks", "pickup", {"carrier": "   "}, "承运商：请填写1～40 字，不含控制字符"),
    at_gate("a carrier of 41 letters", "pickup", {"carrier": "顺" * 41}, "承运商：请填写1～40 字，不含控制字符"),
    at_gate(
        "a line that is not in the case",
        "receipt",
        {"items_": [{"line": "第9行", "quantity": 1}]},
        "实收商品第1行订单行：请选择：第1行 SKU-1 台灯",
    ),
    against(
        "more than was applied for",
        "receipt",
        {"items_": [{**ARRIVED[0], "quantity": 7}]},
        "第 1 行还有 1 件待收，填写了 7 件，请核对数量。",
    ),
    at_gate(
        "a quantity of minus one",
        "receipt",
        {"items_": [{**ARRIVED[0], "quantity": -1}]},
        "实收商品第1行实收数量：请填写整数，至少为 1",
    ),
    at_gate(
        "a quantity in full width",
        "receipt",
        {"items_": [{**ARRIVED[0], "quantity": "１"}]},
        "实收商品第1行实收数量：请填写整数，至少为 1",
    ),
    against(
        "nothing, and everything has come",
        "receipt",
        {"items_": []},
        "请填写实收商品；什么也没有收到、承运商称已丢件时，“是否到齐”请选“包裹丢失”。",
    ),
    against(
        "lost, with goods",
        "receipt",
        {"rest": "包裹丢失"},
        "包裹丢失时没有实收商品，请删除“实收商品”的各行；收到了一部分请选“其余还会寄来”。",
    ),
    at_gate(
        "a choice of another form",
        "receipt",
        {"rest": "通过"},
        "是否到齐：请选择：全部到齐、其余还会寄来、其余不再寄来、包裹丢失",
    ),
    at_gate("a note of one sign", "tracing", {"note": "无"}, "查件说明：请填写2～500 字，不含控制字符"),
    at_gate("a result that is none", "tracing", {"result": "也许"}, "查件结果：请选择：已找到、确认丢失"),
    at_gate("the warehouse traces", "tracing", {"operator": "W02 郑凯"}, "操作人：请选择：L01 赵强、L02 孙磊"),
    at_gate("no rows", "inspection", {"items_": []}, "验收明细：请至少填写一行"),
    at_gate("null rows", "inspection", {"items_": [None, None]}, "验收明细：请至少填写一行"),
    at_gate("ten thousand rows", "inspection", {"items_": INSPECTED * 10_000}, "验收明细：最多 500 行"),
    against(
        "a line counted twice",
        "inspection",
        {"items_": INSPECTED * 2},
        "第 1 行收到 1 件，验收填写了 2 件，各等级数量之和须等于收到的数量。",
    ),
    at_gate(
        "a grade that is none",
        "inspection",
        {"items_": [{**INSPECTED[0], "grade": "全新"}]},
        "验收明细第1行等级：请选择：可再销售、不可再销售、非本单商品",
    ),
    at_gate(
        "a cause that is none",
        "inspection",
        {"items_": [{**INSPECTED[0], "cause": "天气"}]},
        "验收明细第1行实际原因：请选择：七天无理由、尺码不合适、不喜欢、质量问题、运输破损、发错商品",
    ),
    at_gate(
        "more in a row than is asked",
        "inspection",
        {"items_": [{**INSPECTED[0], "price": "0.01"}]},
        "验收明细第1行：有多余的项目，只能填写：订单行、数量、等级、实际原因",
    ),
    at_gate("asks for nothing", "inspection", {"result": "请客户补充"}, "请客户补充什么：必填"),
    against(
        "failed, and asks",
        "inspection",
        {"result": "不通过", "reason": "有划痕", "question": "何时有的"},
        "只有“请客户补充”才填写“请客户补充什么”，请删去这一项，或改选“请客户补充”。",
    ),
    against(
        "passed without a row",
        "inspection",
        {"items_": None},
        "第 1 行收到 1 件，验收填写了 0 件，各等级数量之和须等于收到的数量。",
    ),
    at_gate("failed without a reason", "inspection", {"result": "不通过", "reason": " "}, "不通过原因：必填"),
    at_gate("evidence as a text", "inspection", {"evidence": "照片"}, "验收凭证：请填写成列表"),
    at_gate(
        "evidence with a NUL", "inspection", {"evidence": ["a\x00"]}, "验收凭证：含有不可见的控制字符，请删去后重填"
    ),
    against(
        "more than is due",
        "resolution",
        {"decision": "部分退款", "amount": "999.00"},
        "部分退款金额须大于 0 且小于应退的 188.00 元，填写的是 999.00 元；要全额退请选“按规则退款”。",
    ),
    against(
        "a part of nothing",
        "resolution",
        {"decision": "部分退款", "amount": "0.00"},
        "部分退款金额须大于 0 且小于应退的 188.00 元，填写的是 0.00 元；要全额退请选“按规则退款”。",
    ),
    at_gate("a part without an amount", "resolution", {"decision": "部分退款"}, "部分退款金额：必填"),
    at_gate(
        "back, and nobody pays", "resolution", {"decision": "寄回客户", "payer": "不适用"}, "寄回运费由谁承担：必填"
    ),
    at_gate(
        "full-width money",
        "resolution",
        {"decision": "部分退款", "amount": WIDE},
        "部分退款金额：请填写金额（元），不能为负，最多两位小数，如 19.99",
    ),
    against(
        "an amount where none is asked",
        "resolution",
        {"amount": "10.00"},
        "只有“部分退款”才填写金额，请删去金额，或改选“部分退款”。",
    ),
    at_gate(
        "a number with a blank", "sendback", {"tracking_no": "SF 1002"}, "运单号：请填写4～40 位字母、数字或短横线"
    ),
    at_gate(
        "freight of a billion",
        "sendback",
        {"freight": "1000000000.00"},
        "运费：请填写金额（元），不能为负，最多两位小数，如 19.99",
    ),
    at_gate("refused without a reason", "countersign", {"decision": "驳回"}, "驳回理由：必填"),
    at_gate("a cashier countersigns", "countersign", {"operator": "A02 许诺"}, "操作人：请选择：A01 何静、A04 罗成"),
    against(
        "a fen too little",
        "release",
        {"amount": "187.99"},
        "退款金额应为 188.00 元，填写的是 187.99 元，请按应退金额付款后再确认。",
    ),
    at_gate("not a number", "release", {"amount": NAN}, "退款金额：请填写金额（元），不能为负，最多两位小数，如 19.99"),
    against(
        "a day that there is not",
        "release",
        {"told_how": "电话", "told_at": "2026-02-30 10:00"},
        "“已告知客户（时间）”没有 2026-02-30 10:00 这个时间，请写成 2026-11-24 15:30 这样。",
    ),
    against(
        "a fen too much",
        "refund",
        {"amount": "188.01"},
        "退款金额应为 188.00 元，填写的是 188.01 元，请按应退金额付款后再确认。",
    ),
    at_gate(
        "negative money", "refund", {"amount": MINUS}, "退款金额：请填写金额（元），不能为负，最多两位小数，如 19.99"
    ),
    at_gate(
        "three decimals", "refund", {"amount": FINE}, "退款金额：请填写金额（元），不能为负，最多两位小数，如 19.99"
    ),
    at_gate(
        "infinite money",
        "refund",
        {"amount": "Infinity"},
        "退款金额：请填写金额（元），不能为负，最多两位小数，如 19.99",
    ),
    at_gate(
        "money with a sign",
        "refund",
        {"amount": "￥188.00"},
        "退款金额：请填写金额（元），不能为负，最多两位小数，如 19.99",
    ),
    at_gate(
        "money as a number", "refund", {"amount": 188}, "退款金额：请填写金额（元），不能为负，最多两位小数，如 19.99"
    ),
    at_gate("no money", "refund", {"amount": ""}, "退款金额：请填写金额（元），不能为负，最多两位小数，如 19.99"),
    at_gate(
        "a reference in Chinese",
        "refund",
        {"reference": "支付宝流水"},
        "交易流水号：请填写4～64 位字母、数字或 - _ . / : #",
    ),
    at_gate(
        "a reference that turns the line",
        "refund",
        {"reference": "ALI\u202e1000"},
        "交易流水号：请填写4～64 位字母、数字或 - _ . / : #",
    ),
    against(
        "told, but not when",
        "refund",
        {"told_how": "电话"},
        "“已告知客户”的方式和时间要一起填写，没有告知的两项都不填。",
    ),
    at_gate(
        "told at a quarter past noon",
        "refund",
        {"told_how": "电话", "told_at": "中午"},
        "已告知客户（时间）：请填写年-月-日 时:分，如 2026-11-24 15:30",
    ),
    against(
        "another amount",
        "reimbursement",
        {"amount": "180.00"},
        "补运费金额应为 18.00 元，填写的是 180.00 元，请按应补金额付款后再确认。",
    ),
    at_gate(
        "1e1", "reimbursement", {"amount": "1.8e1"}, "补运费金额：请填写金额（元），不能为负，最多两位小数，如 19.99"
    ),
    at_gate(
        "a reference of three letters",
        "reimbursement",
        {"reference": "abc"},
        "交易流水号：请填写4～64 位字母、数字或 - _ . / : #",
    ),
]


@pytest.mark.parametrize(("gate", "answer", "sentence"), GATES)
async def test_a_gate_that_is_misfilled_stays_open_and_says_why(
    house: House, database: str, gate: str, answer: dict[str, Any], sentence: str
):
    case = house.at[gate]

    with nothing_changes(house, besides=REFUSED_DECISION):
        sent = await submit(case, gate, {**ANSWERS[gate], **answer})

    assert sent.at == f"{gate}-0"
    assert sent.refusals == [sentence.replace("CASE", case.case_no)]


def applied(what: str, answer: Any, wrong: str) -> Any:
    """An application that cannot be read."""
    return unable(what, answer, misfilled(forms.ReturnRequest.title, wrong))


def unable(what: str, answer: Any, sentence: str) -> Any:
    """An application that breaks a rule."""
    return pytest.param(answer, sentence, id=what)


APPLICATIONS = [
    unable("nothing", None, "退货申请没有内容，请重新打开表单填写。"),
    unable("a list", [APPLICATION], "退货申请没有内容，请重新打开表单填写。"),
    unable("a text", "退货", "退货申请没有内容，请重新打开表单填写。"),
    unable("an order nobody knows", {}, "没有订单 D404，请核对订单号。"),
    applied("an order number of 65 letters", {"order_no": "D" * 65}, "订单号：请填写订单号，最多 64 字"),
    applied("an order number with a NUL", {"order_no": "D1\x00"}, "订单号：含有不可见的控制字符，请删去后重填"),
    applied("an order number as a number", {"order_no": 1}, "订单号：请填写文字"),
    unable(
        "an order number of SQL",
        {"order_no": "D1'; drop table cases; --"},
        "没有订单 D1'; drop table cases; --，请核对订单号。",
    ),
    unable(
        "goods that the order does not have",
        {"order_no": "D1", "items": [{"sku": "SKU-9", "quantity": 1}]},
        "订单 D1 中没有商品 SKU-9，请填写该订单的商品编码：SKU-1。",
    ),
    unable(
        "more goods than were bought",
        {"order_no": "D1", "items": [{"sku": "SKU-1", "quantity": 999_999}]},
        "订单 D1 的商品 SKU-1 仅剩 0 件可退，售后单 CASE 已占用 1 件，请在该售后单中处理。",
    ),
    unable(
        "the same goods twice",
        {"order_no": "D1", "items": GOODS * 2},
        "订单 D1 的商品 SKU-1 仅剩 0 件可退，售后单 CASE 已占用 1 件，请在该售后单中处理。",
    ),
    unable(
        "goods of another case",
        {"order_no": "D1", "reason": "质量问题", "evidence": ["照片"]},
        "订单 D1 的商品 SKU-1 仅剩 0 件可退，售后单 CASE 已占用 1 件，请在该售后单中处理。",
    ),
    applied("no goods", {"items": []}, "退货商品：请至少填写一行"),
    applied("10,000 rows", {"items": GOODS * 10_000}, "退货商品：最多 500 行"),
    applied(
        "a quantity of a million",
        {"items": [{"sku": "SKU-1", "quantity": 1_000_000}]},
        "退货商品第1行数量：请填写整数，至少为 1",
    ),
    applied(
        "a quantity of 10**400",
        {"items": [{"sku": "SKU-1", "quantity": 10**400}]},
        "退货商品第1行数量：请填写整数，至少为 1",
    ),
    applied(
        "a quantity of NaN",
        {"items": [{"sku": "SKU-1", "quantity": float("nan")}]},
        "退货商品第1行数量：请填写整数，至少为 1",
    ),
    applied(
        "a quantity of infinity",
        {"items": [{"sku": "SKU-1", "quantity": float("inf")}]},
        "退货商品第1行数量：请填写整数，至少为 1",
    ),
    applied("nested goods", {"items": [[[[GOODS]]]]}, "退货商品第1行：填写的格式不对，请重新填写"),
    applied(
        "a reason that is none",
        {"reason": "whim"},
        "退货原因：请选择：七天无理由、尺码不合适、不喜欢、质量问题、运输破损、发错商品",
    ),
    applied("a wish that is none", {"wish": "换货"}, "客户期望：请选择：退货退款"),
    applied("no way back", {"shipping": None}, "寄回方式：必填，选择：上门取件、自行寄回"),
    unable(
        "an operator without the right",
        {"operator": "W01 吴芳", "order_no": "D1"},
        "经办人 W01 吴芳 没有“提交申请”权限，请换有权限的员工处理。",
    ),
    unable(
        "an operator nobody knows",
        {"operator": "Z99", "order_no": "D1"},
        "经办人“Z99”不在员工名单中，请用员工编号，如 C07。",
    ),
    applied(
        "21 pieces of evidence",
        {"evidence": [f"照片{n}" for n in range(21)]},
        "凭证：请填写最多 20 条，每条1～500 字，不含控制字符，空行请删除",
    ),
    applied("a remark of 501 characters", {"remark": LONG}, "备注：请填写最多 500 字，不含控制字符"),
    applied(
        "a field that is not asked",
        {"price": "0.01"},
        "退货申请：有多余的项目，只能填写：操作人、订单号、退货商品、退货原因、寄回方式、客户期望、凭证、备注",
    ),
    applied(
        "a field whose name is a number",
        {1: 2},
        "退货申请：有多余的项目，只能填写：操作人、订单号、退货商品、退货原因、寄回方式、客户期望、凭证、备注",
    ),
]


@pytest.mark.parametrize(("answer", "sentence"), APPLICATIONS)
async def test_an_application_that_is_misfilled_opens_no_case(house: House, database: str, answer: Any, sentence: str):
    request = {**APPLICATION, **answer} if isinstance(answer, dict) else answer

    with nothing_changes(house, besides=REFUSED_APPLICATION):
        told = await enter(returns.fn, request)

    assert told == "未受理"
    assert house.last_refusal() == sentence.replace("CASE", house.at["review"].case_no)


def entered(what: str, title: str, answer: Any, wrong: str) -> Any:
    """A small form that cannot be read."""
    return turned_away(what, title, answer, misfilled(title, wrong))


def turned_away(what: str, title: str, answer: Any, sentence: str, *, besides: str = "") -> Any:
    """A small form that breaks a rule."""
    return pytest.param(title, answer, sentence, besides, id=f"{title}: {what}")


SMALL = [
    turned_away("nothing", "到件登记", None, "到件登记没有内容，请重新打开表单填写。"),
    entered("no case and no number", "到件登记", {"case_no": "", "tracking_no": ""}, "运单号：必填"),
    turned_away(
        "a case that is not there",
        "到件登记",
        {"case_no": "RT-20200101-0001"},
        "没有售后单 RT-20200101-0001，请核对单号（可用 aftersales case list 查看）。",
    ),
    entered(
        "a case number that is none", "到件登记", {"case_no": "退货一"}, "售后单号：请填写售后单号，如 RT-20261122-0007"
    ),
    entered("no goods", "到件登记", {"items": []}, "实收商品：请至少填写一行"),
    turned_away(
        "goods of another order",
        "到件登记",
        {"items": [{"sku": "SKU-9", "quantity": 1}]},
        "商品 SKU-9 不在本售后单的待收商品中，请核对商品编码。",
        besides=REFUSED_DECISION,
    ),
    turned_away(
        "more than is expected",
        "到件登记",
        {"items": [{"sku": "SKU-1", "quantity": 9}]},
        "第 1 行还有 1 件待收，填写了 9 件，请核对数量。",
        besides=REFUSED_DECISION,
    ),
    turned_away(
        "a clerk books in",
        "到件登记",
        {"operator": "C07 王小明"},
        "经办人 C07 王小明 没有“登记收货”权限，请换有权限的员工处理。",
        besides=REFUSED_DECISION,
    ),
    turned_away(
        "a clerk books in a parcel of nobody",
        "到件登记",
        {"operator": "C07 王小明", "case_no": ""},
        "经办人 C07 王小明 没有“登记收货”权限，请换有权限的员工处理。",
    ),
    turned_away(
        "an operator nobody knows",
        "到件登记",
        {"operator": "Z99"},
        "经办人“Z99”不在员工名单中，请用员工编号，如 C07。",
        besides=REFUSED_DECISION,
    ),
    entered(
        "a choice that is none",
        "到件登记",
        {"rest": "包裹丢失"},
        "是否到齐：请选择：全部到齐、其余还会寄来、其余不再寄来",
    ),
    entered(
        "a carrier with an escape",
        "到件登记",
        {"carrier": "\x1b[31m顺丰"},
        "承运商：含有不可见的控制字符，请删去后重填",
    ),
    turned_away("a list", "取消售后单", [1, 2], "取消售后单没有内容，请重新打开表单填写。"),
    entered("a reason of blanks", "取消售后单", {"reason": "    "}, "取消理由：请填写2～500 字，不含控制字符"),
    turned_away(
        "a case that is not there",
        "取消售后单",
        {"case_no": "RT-20200101-0001"},
        "没有售后单 RT-20200101-0001，请核对单号（可用 aftersales case list 查看）。",
    ),
    entered("no case", "取消售后单", {"case_no": ""}, "售后单号：请填写售后单号，如 RT-20261122-0007"),
    turned_away(
        "the warehouse cancels",
        "取消售后单",
        {"operator": "W02 郑凯"},
        "经办人 W02 郑凯 没有“取消售后单”权限，请换有权限的员工处理。",
        besides=REFUSED_DECISION,
    ),
    turned_away(
        "goods that are here",
        "取消售后单",
        {"case_no": "INSPECTION"},
        "INSPECTION 的商品已收货，不能取消，请按验收结果继续处理。",
        besides=REFUSED_DECISION,
    ),
    turned_away(
        "a day that there is not",
        "延期",
        {"until": "2026-02-30"},
        "延期日期“2026-02-30”不是日期，请写成 2026-12-01 这样。",
        besides=REFUSED_DECISION,
    ),
    entered("a day in words", "延期", {"until": "下周三"}, "延期到：请填写日期，如 2026-12-01"),
    turned_away(
        "a day long past",
        "延期",
        {"until": "2020-01-01"},
        "延期到 2020-01-01 已经过去，请填今天或以后的日期。",
        besides=REFUSED_DECISION,
    ),
    turned_away(
        "the year 9999",
        "延期",
        {"until": "9999-12-31"},
        "延期到 9999-12-31 太远，最晚可以延到 LATEST，请填较近的日期。",
        besides=REFUSED_DECISION,
    ),
    turned_away(
        "the year 0000",
        "延期",
        {"until": "0000-01-01"},
        "延期日期“0000-01-01”不是日期，请写成 2026-12-01 这样。",
        besides=REFUSED_DECISION,
    ),
    turned_away(
        "a clerk extends",
        "延期",
        {"operator": "C07 王小明"},
        "经办人 C07 王小明 没有“延期”权限，请换有权限的员工处理。",
        besides=REFUSED_DECISION,
    ),
    turned_away(
        "a case that is not there",
        "延期",
        {"case_no": "RT-20200101-0001"},
        "没有售后单 RT-20200101-0001，请核对单号（可用 aftersales case list 查看）。",
    ),
    entered("no reason", "延期", {"reason": None}, "延期原因：必填，2～500 字，不含控制字符"),
    entered(
        "nothing",
        "收款账户登记",
        None,
        "操作人：必填，从下拉框中选择；售后单号：必填，售后单号，如 RT-20261122-0007；户名：必填，1～60 字，不含控制字符；开户行或支付平台：必填，2～60 字，不含控制字符；账号：必填，4～40 位账号",
    ),
    entered("an account in Chinese", "收款账户登记", {"number": "我的卡"}, "账号：请填写4～40 位账号"),
    entered("an account of three digits", "收款账户登记", {"number": "123"}, "账号：请填写4～40 位账号"),
    entered("no holder", "收款账户登记", {"holder": " "}, "户名：请填写1～60 字，不含控制字符"),
    turned_away(
        "the warehouse enters",
        "收款账户登记",
        {"operator": "W02 郑凯"},
        "经办人 W02 郑凯 不属于客户服务部，请由客户服务部的员工处理。",
    ),
    turned_away(
        "a case that is not there",
        "收款账户登记",
        {"case_no": "RT-20200101-0001"},
        "没有售后单 RT-20200101-0001，请核对单号（可用 aftersales case list 查看）。",
    ),
    entered(
        "a bank of 61 letters", "收款账户登记", {"bank": "行" * 61}, "开户行或支付平台：请填写2～60 字，不含控制字符"
    ),
    entered(
        "more than is asked",
        "收款账户登记",
        {"cvv": "123"},
        "收款账户登记：有多余的项目，只能填写：操作人、售后单号、户名、开户行或支付平台、账号",
    ),
]


@pytest.mark.parametrize(("title", "answer", "sentence", "besides"), SMALL)
async def test_a_small_form_that_is_misfilled_enters_nothing(
    house: House, database: str, title: str, answer: Any, sentence: str, besides: str
):
    flow, whole = ENTRIES[title]
    numbers = {"CASE": house.at["receipt"].case_no, "INSPECTION": house.at["inspection"].case_no}
    request = {**whole, **answer} if isinstance(answer, dict) else answer
    if isinstance(request, dict):
        request["case_no"] = numbers.get(request["case_no"], request["case_no"])
    for name, case_no in numbers.items():
        sentence = sentence.replace(name, case_no)
    ((due,),) = await house.at["receipt"].rows("promises", "due_at", "and entry = 'receipt-0'")
    latest = due.astimezone(ZoneInfo("Asia/Shanghai")).date() + clocks.LONGEST_EXTENSION
    sentence = sentence.replace("LATEST", latest.isoformat())

    with nothing_changes(house, besides=besides):
        told = await enter(flow.fn, request)

    assert told == sentence


def test_every_gate_of_a_return_is_in_the_table():
    # those of following up stand in tests/stories/test_revisit.py and test_visits.py
    of_a_return = set(forms.GATES) - {stage.value for stage in FOLLOWING_UP}

    assert {param.values[0] for param in GATES} == of_a_return == set(ANSWERS)
