"""
What a decision must agree with beyond its own form: the quantities that are outstanding, the amount that is due.

The context is what the gate wrote down when it opened, so that a form, a command and an event are all checked alike.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from decimal import Decimal
from typing import Any


def disagreement(*, gate: str, answer: Mapping[str, Any], context: Mapping[str, Any]) -> str:
    """Say what an answer contradicts; an empty text when it fits."""
    match gate:
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
        case "reimbursement":
            due, given = Decimal(context["amount"]), Decimal(answer["amount"])
            if given != due:
                return f"补运费金额应为 {due:.2f} 元，填写的是 {given:.2f} 元，请按应补金额付款后再确认。"
    return ""


def _resolution(answer: Mapping[str, Any], context: Mapping[str, Any]) -> str:
    if answer["decision"] == "send_back" and context.get("is_lost"):
        return "包裹已丢失，没有商品可以寄回，请选“按规则退款”“部分退款”或“转投诉”。"
    if answer["decision"] != "partial":
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
    if answer.get("rest") == "lost":
        return "包裹丢失时没有实收商品，请删除“实收商品”的各行；收到了一部分请选“其余还会寄来”。" if arrived else ""
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
