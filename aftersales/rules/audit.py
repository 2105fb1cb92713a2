"""Checks of what was paid, from the journal alone: every deduction by its rule, and the refund the rule's result (AUD-03)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from aftersales.rules import money, settlements
from aftersales.rules.standing import Standing, Told, standing
from aftersales.terms import Terms
from aftersales.words import ZERO, Line, Order


@dataclass(frozen=True, slots=True)
class Payment:
    """One payment to a customer, its bill, what proves it, and what does not agree (`faults`, empty when all does)."""

    case_no: str
    order_no: str
    entry: str
    at: datetime
    by: str
    amount: Decimal
    reference: str
    lines: tuple[Mapping[str, Any], ...]
    evidence: tuple[str, ...]
    approvers: tuple[str, ...]
    faults: tuple[str, ...] = field(default=())


def payments(*, case_no: str, history: Sequence[Told], order: Order, terms: Terms) -> list[Payment]:
    """Every payment of a case, checked against its bill, and its bill against the rules and the terms of the case."""
    found: list[Payment] = []
    paid: set[str] = set()
    bills: list[tuple[int, Told]] = []
    reckoned: Told | None = None
    for index, entry in enumerate(history):
        name = entry.entry.rpartition("-")[0]
        if entry.kind == "bill":
            # what was taken back pays nothing; its bill is gone with it
            bills.pop() if name == "void" else bills.append((index, entry))
        elif entry.kind == "reimbursement":
            reckoned = entry
        if entry.kind != "decision" or name not in ("refund", "reimbursement"):
            continue
        faults: list[str] = []
        if name == "refund":
            if not bills or bills[-1][1].entry in paid:
                faults.append("没有对应的结算")
                lines: tuple[Mapping[str, Any], ...] = ()
            else:
                at, bill = bills[-1]
                paid.add(bill.entry)
                lines = tuple(bill.data["lines"])
                faults += _disagreements(bill, history[:at], order, terms)
                faults += _amount(entry, bill)
        else:
            lines = tuple(reckoned.data["lines"]) if reckoned else ()
            faults += _amount(entry, reckoned) if reckoned else ["没有应补运费的记录"]
        told = standing(history[:index])
        found.append(
            Payment(
                case_no,
                order.order_no,
                entry.entry,
                entry.at,
                entry.actor,
                Decimal(entry.data.get("amount") or "0"),
                entry.data.get("reference", ""),
                lines,
                _evidence(told),
                told.approvers,
                tuple(faults),
            )
        )
    return found


def beyond_the_order(order: Order, total: Decimal) -> str:
    """Say when more went back for an order than was paid for it (MON-14); empty when not."""
    if total <= order.paid:
        return ""
    return f"订单 {order.order_no} 实付 {order.paid:.2f} 元，共退 {total:.2f} 元"


def _amount(entry: Told, bill: Told) -> list[str]:
    due, given = Decimal(bill.data["total"]), Decimal(entry.data.get("amount") or "0")
    return [] if due == given else [f"应付 {due:.2f} 元，实付 {given:.2f} 元"]


def _disagreements(bill: Told, before: Sequence[Told], order: Order, terms: Terms) -> list[str]:
    """Compare a bill with what the rules give for the same facts; the bound of the order's money is checked apart."""
    lines = bill.data["lines"]
    total = sum((Decimal(line["amount"]) for line in lines), ZERO)
    faults = (
        [] if total == Decimal(bill.data["total"]) else [f"各行相加 {total:.2f} 元，合计写的是 {bill.data['total']} 元"]
    )
    told = standing(before)
    zone = ZoneInfo(terms.house.timezone)
    try:
        ruled = settlements.settle(
            told=told, order=replace(order, refunded=ZERO), terms=terms, on=bill.at.astimezone(zone).date()
        )
    except (KeyError, IndexError, ValueError) as error:
        return [*faults, f"无法按规则重算（{type(error).__name__}）"]
    capped = [line for line in lines if line["label"] == money.CAP]
    if capped:
        ruled = replace(ruled, lines=(*ruled.lines, Line("MON-14", money.CAP, Decimal(capped[0]["amount"]))))
    ruled = settlements.granted(ruled, told)
    was = [(line["rule"], line["label"], Decimal(line["amount"])) for line in lines]
    now = [(line.rule, line.label, line.amount) for line in ruled.lines]
    for line in was:
        if line not in now:
            faults.append(f"规则没有这一行：{line[0]} {line[1]} {line[2]:.2f}")
    for line in now:
        if line not in was:
            faults.append(f"缺少规则的一行：{line[0]} {line[1]} {line[2]:.2f}")
    return faults


def _evidence(told: Standing) -> tuple[str, ...]:
    """What stands behind the amounts: the cause and grade found, the vouchers, the pieces of evidence."""
    last = told.receipts[-1] if told.receipts else None
    proof = [
        f"验收：第{item['line_no']}行 {item['quantity']} 件 {item['grade']} {item['cause']}"
        for item in (last.inspection["items"] if last and last.inspection else ())
    ]
    if last and last.is_lost:
        proof.append(f"查件确认丢失：{last.traced}")
    pickup = told.pickup or {}
    if pickup.get("freight"):
        proof.append(f"承运凭证 {pickup['freight']} 元 {pickup.get('voucher', '')}".strip())
    proof += [
        f"客户垫付运费 {each.freight:.2f} 元 {each.voucher}".strip()
        for each in told.receipts
        if each.freight is not None
    ]
    return (*proof, *told.evidence)
