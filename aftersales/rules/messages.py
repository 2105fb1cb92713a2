"""What another system says about a matter that was settled before: the same once more, or something else (P-15, GEN-14)."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from aftersales.words import Event


def contradiction(*, event: str, told: Mapping[str, Any], decided: Mapping[str, Any], by_staff: bool) -> str:
    """
    Say what in a message does not fit with what is written down; an empty text when it is the same once more.

    What a person has written down and a provider tells of is one payment only when both name the same reference.
    """
    match event:
        case Event.REFUND_SENT:
            return _refund(told, decided, by_staff=by_staff)
        case Event.REFUND_FAILED:
            reason = told.get("reason") or "没有说明原因"
            return (
                f"{_paid(decided)}，又收到支付渠道的失败通知（{reason}）：钱可能没有到账，或被退回。"
                "请核对；确实没有到账的，请联系客户另行付款。"
            )
        case Event.PARCEL_PICKED_UP | Event.PARCEL_SENT_BACK:
            return _parcel(told, decided)
    return ""


def second_payment(*, told: Mapping[str, Any], decided: Mapping[str, Any]) -> str:
    """Say that somebody has written down another payment of what is paid already; empty when it is the same one."""
    given, known = str(told.get("reference") or "").strip(), str(decided.get("reference") or "")
    if not given or given == known:
        return ""
    return f"{_paid(decided)}，又有人登记了另一笔（流水号 {given}）：可能付了两次，请马上核对，多付的请追回。"


def _refund(told: Mapping[str, Any], decided: Mapping[str, Any], *, by_staff: bool) -> str:
    given, known = told.get("reference", ""), decided.get("reference", "")
    is_same = given == known if given and known else not by_staff
    amount = told.get("amount")
    if is_same and (not amount or not decided.get("amount") or Decimal(amount) == Decimal(decided["amount"])):
        return ""
    said = f"退款 {amount} 元" if amount else "退款"
    return f"{_paid(decided)}，又收到支付渠道的{said}（流水号 {given or '无'}）：可能付了两次，请向支付渠道核对，多付的请追回。"


def _paid(decided: Mapping[str, Any]) -> str:
    return f"已登记退款 {decided.get('amount', '')} 元（流水号 {decided.get('reference') or '无'}）"


def _parcel(told: Mapping[str, Any], decided: Mapping[str, Any]) -> str:
    given, known = told.get("tracking_no", ""), decided.get("tracking_no", "")
    if given and known and given != known:
        return f"已登记运单 {known}，又收到承运商的运单 {given}：可能取了两次件，请核对。"
    freight, voucher = told.get("freight"), decided.get("freight")
    if freight and voucher and Decimal(freight) != Decimal(voucher):
        return f"运单 {known or given or '（无单号）'} 登记的运费是 {voucher} 元，承运商说是 {freight} 元，请核对。"
    return ""
