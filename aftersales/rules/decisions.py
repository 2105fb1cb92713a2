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
        case "refund":
            due, given = Decimal(context["amount"]), Decimal(answer["amount"])
            if given != due:
                return f"退款金额应为 {due:.2f} 元，填写的是 {given:.2f} 元，请按应退金额付款后再确认。"
    return ""


def _receipt(answer: Mapping[str, Any], context: Mapping[str, Any]) -> str:
    if (parcel := answer.get("tracking_no")) and parcel in context.get("parcels", ()):
        return f"运单 {parcel} 已登记过收货，同一包裹不能登记两次。"
    left = {int(line_no): count for line_no, count in context["outstanding"].items()}
    arrived = _sums(answer)
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
    return ""


def _sums(answer: Mapping[str, Any]) -> Counter[int]:
    sums = Counter[int]()
    for item in answer["items"]:
        sums[item["line_no"]] += item["quantity"]
    return sums
