"""
What a decision must agree with beyond its own form: the quantities that are outstanding, the amount that is due.

The context is what the gate wrote down when it opened, so that a form, a command and an event are all checked alike.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from aftersales.rules.standing import Standing, asks


def disagreement(
    *, gate: str, answer: Mapping[str, Any], context: Mapping[str, Any], at: datetime | None = None
) -> str:
    """Say what an answer that is given at an instant (in house time) contradicts; an empty text when it fits."""
    if asks(answer) or answer.get("question"):
        return _question(answer)
    match gate:
        case "review":
            return _review(answer, context)
        case "tracing":
            return _tracing(answer, context)
        case "receipt":
            return _receipt(answer, context)
        case "inspection":
            return _inspection(answer, context)
        case "resolution":
            return _resolution(answer, context)
        case "release" | "refund":
            due, given = Decimal(context["amount"]), Decimal(answer["amount"])
            if given != due:
                return f"退款金额应为 {due:.2f} 元，填写的是 {given:.2f} 元，请按应退金额付款后再确认。"
            if context.get("must_tell") and not (answer.get("told_how") and answer.get("told_at")):
                return "本次扣款与客户申请的不同，请先告知客户，再填写“已告知客户”的方式和时间。"
            return _told(answer, context, at)
        case "reimbursement":
            due, given = Decimal(context["amount"]), Decimal(answer["amount"])
            if given != due:
                return f"补运费金额应为 {due:.2f} 元，填写的是 {given:.2f} 元，请按应补金额付款后再确认。"
    return ""


def too_late_to_cancel(*, case_no: str, standing: Standing, is_scanned: bool = False) -> str:
    """Say why a case can no longer be cancelled; an empty text when it can (RET-17)."""
    if is_scanned or standing.has_arrived:
        return f"{case_no} 的商品已收货，不能取消，请按验收结果继续处理。"
    if standing.is_lost or standing.bills:
        return f"{case_no} 的包裹已确认丢失，不能取消，请按丢失继续处理。"
    return ""


def _question(answer: Mapping[str, Any]) -> str:
    """A question is no decision, and a decision asks nothing: what stood in the other's field would be lost unseen."""
    if not asks(answer):
        return "只有“请客户补充”才填写“请客户补充什么”，请删去这一项，或改选“请客户补充”。"
    if answer.get("reason") or answer.get("missing"):
        return "选“请客户补充”时，要客户做的都写在“请客户补充什么”里，请把理由和缺少的材料移过去。"
    return ""


def _review(answer: Mapping[str, Any], context: Mapping[str, Any]) -> str:
    lacking = context.get("lacks_evidence")
    if lacking and answer["decision"] == "approve" and not answer.get("remark"):
        return f"{lacking}；请驳回并列出要补的凭证，确需通过的，请在“备注”写明依据（POL-02）。"
    return ""


def _tracing(answer: Mapping[str, Any], context: Mapping[str, Any]) -> str:
    if answer["result"] != "lost":
        return ""
    if context.get("has_parcel"):
        return "包裹已到仓库，不能确认丢失，请刷新后按已找到办理。"
    left = {int(line_no): count for line_no, count in context.get("outstanding", {}).items()}
    for line_no, quantity in _sums(answer).items():
        if quantity > left.get(line_no, 0):
            return f"第 {line_no} 行还有 {left.get(line_no, 0)} 件没到，丢失填写了 {quantity} 件，请核对数量。"
    return ""


def _told(answer: Mapping[str, Any], context: Mapping[str, Any], at: datetime | None) -> str:
    """Say why a customer cannot have been told so: half said, no such time, before the bill, or not yet (MON-17)."""
    how, text = answer.get("told_how"), answer.get("told_at")
    if bool(how) != bool(text):
        return "“已告知客户”的方式和时间要一起填写，没有告知的两项都不填。"
    if not text:
        return ""
    try:
        naive = datetime.strptime(text, "%Y-%m-%d %H:%M")  # noqa: DTZ007 - in house time, whatever zone `at` is given in
    except ValueError:
        return f"“已告知客户（时间）”没有 {text} 这个时间，请写成 2026-11-24 15:30 这样。"
    if at is None:
        return ""
    told_at = naive.replace(tzinfo=at.tzinfo)
    if told_at > at:
        return f"“已告知客户（时间）”{text} 还没有到，请先告知客户，再填写实际的时间。"
    if "billed_at" not in context:
        return ""
    billed_at = datetime.fromisoformat(context["billed_at"]).astimezone(at.tzinfo)
    if told_at < billed_at.replace(second=0, microsecond=0):
        return f"“已告知客户（时间）”{text} 早于结算（{billed_at:%Y-%m-%d %H:%M}），请按结算的金额告知客户，再填写实际的时间。"
    return ""


def _resolution(answer: Mapping[str, Any], context: Mapping[str, Any]) -> str:
    if answer["decision"] == "send_back":
        # without the seller's fault the shop may bear it too: what favors the customer is the manager's to give
        if context.get("is_lost"):
            return "包裹已确认丢失，没有商品可以寄回，请选“按规则退款”“部分退款”或“转投诉”。"
        if context.get("is_sellers_fault") and answer["payer"] == "customer":
            return "验收有卖家原因的商品，寄回运费由店铺承担，请选“店铺承担”（MON-20）。"
        return ""
    if answer["decision"] == "refund" and context.get("is_all_wrong"):
        return "这一批全是“非本单商品”，没有可以退款的，请选“寄回客户”或“转投诉”。"
    if answer["decision"] != "partial":
        if answer.get("amount"):
            return "只有“部分退款”才填写金额，请删去金额，或改选“部分退款”。"
        return ""
    due, given = Decimal(context["due"]), Decimal(answer["amount"] or 0)
    if not 0 < given < due:
        return f"部分退款金额须大于 0 且小于应退的 {due:.2f} 元，填写的是 {given:.2f} 元；要全额退请选“按规则退款”。"
    return ""


def _receipt(answer: Mapping[str, Any], context: Mapping[str, Any]) -> str:
    if (parcel := answer.get("tracking_no")) and parcel in context.get("parcels", ()):
        return f"运单 {parcel} 已登记过收货，同一包裹不能登记两次。"
    left = {int(line_no): count for line_no, count in context["outstanding"].items()}
    arrived = _sums(answer)
    if answer.get("freight") and not context.get("is_self_shipped", True):
        return "上门取件的运费不由客户垫付，“客户垫付运费”请留空。"
    if answer.get("rest") == "lost":
        return "包裹丢失时没有实收商品，请删除“实收商品”的各行；收到了一部分请选“其余还会寄来”。" if arrived else ""
    if not arrived and context.get("is_later"):
        if answer.get("rest") == "none":
            return ""
        return "请填写实收商品；其余的不来了，“是否到齐”请选“其余不再寄来”。"
    if not arrived:
        return "请填写实收商品；什么也没有收到、承运商称已丢件时，“是否到齐”请选“包裹丢失”。"
    for line_no, quantity in arrived.items():
        if line_no not in left:
            return f"第 {line_no} 行不在本售后单的待收商品中，请核对商品行。"
        if quantity > left[line_no]:
            return f"第 {line_no} 行还有 {left[line_no]} 件待收，填写了 {quantity} 件，请核对数量。"
    everything = all(arrived.get(line_no, 0) == count for line_no, count in left.items())
    if everything and answer.get("rest") == "coming":
        return "商品已全部到齐，“是否到齐”请选“全部到齐”。"
    if not everything and answer.get("rest") == "complete":
        missing = "、".join(f"第 {n} 行 {c - arrived.get(n, 0)} 件" for n, c in left.items() if c > arrived.get(n, 0))
        return f"还缺{missing}，“是否到齐”请选“其余还会寄来”或“其余不再寄来”。"
    return ""


def _inspection(answer: Mapping[str, Any], context: Mapping[str, Any]) -> str:
    received = {int(line_no): count for line_no, count in context["received"].items()}
    inspected = _sums(answer)
    for line_no in sorted(received.keys() | inspected.keys()):
        there, seen = received.get(line_no, 0), inspected.get(line_no, 0)
        if there != seen:
            return f"第 {line_no} 行收到 {there} 件，验收填写了 {seen} 件，各等级数量之和须等于收到的数量。"
    if answer.get("result") == "pass" and any(item["grade"] == "wrong" for item in answer["items"]):
        return "有“非本单商品”时不能通过，验收结论请选“不通过”，由售后经理决定。"
    return ""


def _sums(answer: Mapping[str, Any]) -> Counter[int]:
    sums = Counter[int]()
    for item in answer.get("items") or ():
        sums[item["line_no"]] += item["quantity"]
    return sums
