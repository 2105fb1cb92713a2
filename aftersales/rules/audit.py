"""Checks of what was paid, from the journal alone: every deduction by its rule, and the refund the rule's result (AUD-03)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Protocol
from zoneinfo import ZoneInfo

from aftersales.rules import settlements
from aftersales.rules.standing import Standing, Told, standing
from aftersales.terms import Returns, Terms
from aftersales.words import ZERO, Bill, Grade, Order

SLACK = timedelta(minutes=5)
# what a row that somebody has changed may raise wherever it is read
_TAMPERED = (LookupError, TypeError, ValueError, AttributeError, ArithmeticError)
_PLAIN = re.compile(r"-?\d{1,12}(\.\d{1,6})?")


@dataclass(frozen=True, slots=True)
class Payment:
    """One payment to a customer (or a bill that pays nothing), what proves it, and what does not agree (`faults`)."""

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


class Billed(Protocol):
    """A bill among all of an order: its case, its number in that case's journal, and whatever stands there as total."""

    @property
    def case_no(self) -> str: ...
    @property
    def seq(self) -> int: ...
    @property
    def at(self) -> datetime: ...
    @property
    def total(self) -> Any: ...


class Numbered(Told, Protocol):
    """A journal row with its number."""

    @property
    def seq(self) -> int: ...


def payments(
    *, case_no: str, history: Sequence[Numbered], order: Order, terms: Terms, billed: Sequence[Billed]
) -> list[Payment]:
    """
    Every payment of a case, checked against its bill, and its bill against the rules and the terms of the case.

    A bill that fees have eaten up pays nothing and is told too: every deduction counts. `billed` are all bills of the
    order, in whatever case. What cannot be read is a fault of that payment and ends nothing.
    """
    found: list[Payment] = []
    paid: set[str] = set()
    bills: list[tuple[int, Numbered]] = []
    reckoned: tuple[int, Numbered] | None = None

    def tell(index: int, entry: Numbered, bill: Numbered | None, faults: list[str], *, pays: bool) -> None:
        told = _standing(history[:index])
        lines, unread = _lines(bill)
        amount, unknown = _read(entry.data.get("amount") or "0") if pays else (ZERO, [])
        found.append(
            Payment(
                case_no,
                order.order_no,
                entry.entry,
                entry.at,
                entry.actor,
                amount,
                str(entry.data.get("reference", "")) if pays else "",
                lines,
                _evidence(told, terms.returns),
                told.approvers,
                tuple(dict.fromkeys([*unread, *unknown, *faults])),
            )
        )

    def against_the_rules(at: int, bill: Numbered) -> list[str]:
        return _safely(lambda: _disagreements(bill, history[:at], order, terms, _before(bill, case_no, billed)))

    for index, entry in enumerate(history):
        name = entry.entry.rpartition("-")[0]
        if entry.kind == "bill" and name == "void":
            # what was taken back pays nothing; its bill is gone with it
            del bills[-1:]
        elif entry.kind == "bill":
            bills.append((index, entry))
        elif entry.kind == "reimbursement":
            reckoned = index, entry
        elif entry.kind == "decision" and name == "refund":
            if not bills or bills[-1][1].entry in paid:
                tell(index, entry, None, ["没有对应的结算"], pays=True)
                continue
            at, bill = bills[-1]
            paid.add(bill.entry)
            tell(index, entry, bill, against_the_rules(at, bill) + _agreement(entry, bill), pays=True)
        elif entry.kind == "decision" and name == "reimbursement":
            if reckoned is None:
                tell(index, entry, None, ["没有应补运费的记录"], pays=True)
                continue
            at, owed = reckoned
            tell(
                index,
                entry,
                owed,
                _freight_disagreements(owed, history[:at], terms) + _agreement(entry, owed),
                pays=True,
            )
    has_ended = any(entry.kind == "closed" for entry in history)
    for at, bill in bills:
        total, unread = _read(bill.data.get("total"))
        if bill.entry in paid or (total > ZERO and not has_ended):
            continue
        unpaid = [f"结算 {total:.2f} 元，没有付款"] if total > ZERO else []
        tell(at, bill, bill, against_the_rules(at, bill) + unread + unpaid, pays=False)
    return found


def beyond_the_order(order: Order, billed: Iterable[Billed]) -> str:
    """Say when more went back for an order than was paid for it (MON-14); empty when not."""
    read = [_read(each.total) for each in billed]
    total = sum((amount for amount, _ in read), ZERO)
    if any(unread for _, unread in read):
        return f"订单 {order.order_no} 有读不出的结算金额，共退多少无法核对"
    if total <= order.paid:
        return ""
    return f"订单 {order.order_no} 实付 {order.paid:.2f} 元，共退 {total:.2f} 元"


def beside(
    *, case: Mapping[str, Any], promises: Iterable[Mapping[str, Any]], rows: Sequence[Mapping[str, Any]]
) -> list[tuple[str, str]]:
    """
    Compare what stands beside a case's journal with it: when it was opened and ended, and every promise (AUD-01, AUD-02).

    Answers the entry and what is wrong. The journal is taken as it is: whether it was changed, its chain tells.
    """
    written = {row["entry"]: row for row in rows}
    found: list[tuple[str, str]] = []
    opened, closed = written.get("opened"), written.get("closed")
    if opened and _is_apart(case["opened_at"], opened["at"]):
        found.append(("opened", "售后单的申请时间与流水不同"))
    if (closed is None) != (case["closed_at"] is None) or (closed and _is_apart(case["closed_at"], closed["at"])):
        found.append(("closed", "售后单的结束时间与流水不同"))
    elif closed and closed["data"].get("stage") != case["stage"]:
        found.append(("closed", "售后单的结果与流水不同"))
    given: set[str] = set()
    for promise in promises:
        entry = promise["entry"]
        given.add(f"{entry}.asked")
        found += [(entry, why) for why in _promised(promise, written)]
    found += [
        (name.removesuffix(".asked"), "流水里给过的时限，现在没有了")
        for name, row in written.items()
        if name.endswith(".asked") and row["kind"] in ("gate", "outer") and name not in given
    ]
    return found


def _promised(promise: Mapping[str, Any], written: Mapping[str, Mapping[str, Any]]) -> list[str]:
    asked, decided = written.get(f"{promise['entry']}.asked"), written.get(promise["entry"])
    if asked is None:
        return ["流水里没有给过这个时限"]
    found = []
    due_at = asked["due_at"]
    for row in sorted(written.values(), key=lambda row: row["seq"]):
        if row["kind"] not in ("extension", "recount") or row["seq"] < asked["seq"]:
            continue
        if row["data"].get("gate") == promise["entry"]:
            due_at = row["due_at"]
        elif row["kind"] == "extension" and asked["kind"] == "outer":
            # the outer limit moves along with a gate, never back
            due_at = max(due_at, row["due_at"])
    if promise["due_at"] != due_at:
        found.append("应办时间与流水不同")
    if promise["owner"] != asked["data"].get("owner"):
        found.append("责任部门与流水不同")
    later = [row for row in written.values() if row["seq"] > asked["seq"]]
    if decided is not None and decided["kind"] == "decision":
        if promise["ended_at"] != decided["at"]:
            found.append("办完时间与流水不同")
    elif promise["ended_at"] is not None and not any(row["kind"] in ("gate", "cancelled", "closed") for row in later):
        # a question in between, a cancellation or the case's end may end what nobody has answered
        found.append("记着已办完，流水里没有")
    return found


def _is_apart(stored: datetime, written: datetime) -> bool:
    """The row and its entry are written in one transaction, one a moment after the other."""
    return abs(stored - written) > SLACK


# --- reading --------------------------------------------------------------------------------------------------------


class Unreadable(ValueError):
    """An amount in a journal is none; the message is a sentence."""


def _amount(value: Any) -> Decimal:
    if isinstance(value, str) and _PLAIN.fullmatch(value):
        return Decimal(value)
    raise Unreadable(f"金额“{str(value)[:40]}”无法读出")


def _read(value: Any) -> tuple[Decimal, list[str]]:
    """An amount, or nothing and what is wrong with it."""
    try:
        return _amount(value), []
    except Unreadable as error:
        return ZERO, [str(error)]


def _lines(bill: Told | None) -> tuple[tuple[Mapping[str, Any], ...], list[str]]:
    """The lines of a bill as they are shown, and what cannot be read of them."""
    lines = bill.data.get("lines") if bill else []
    if not isinstance(lines, list) or not all(isinstance(line, Mapping) for line in lines):
        return (), ["结算的各行无法读出"]
    shown = [{name: str(line.get(name, "")) for name in ("rule", "label", "amount")} for line in lines]
    return tuple(shown), [why for line in shown for why in _read(line["amount"])[1]]


def _standing(history: Sequence[Told]) -> Standing:
    try:
        return standing(history)
    except _TAMPERED:
        return Standing()


def _safely(check: Callable[[], list[str]]) -> list[str]:
    try:
        return check()
    except Unreadable as error:
        return [str(error)]
    except _TAMPERED as error:
        return [f"无法按规则重算（{type(error).__name__}）"]


# --- checks ---------------------------------------------------------------------------------------------------------


def _agreement(entry: Told, bill: Told) -> list[str]:
    def check() -> list[str]:
        due, given = _amount(bill.data.get("total")), _amount(entry.data.get("amount") or "0")
        return [] if due == given else [f"应付 {due:.2f} 元，实付 {given:.2f} 元"]

    return _safely(check)


def _before(bill: Numbered, case_no: str, billed: Iterable[Billed]) -> list[Any]:
    """What the earlier bills of the order pay: it bounds this one. Bills of an order are made one after the other."""
    return [each.total for each in billed if (each.seq < bill.seq if each.case_no == case_no else each.at < bill.at)]


def _disagreements(bill: Told, before: Sequence[Told], order: Order, terms: Terms, earlier: Iterable[Any]) -> list[str]:
    """Compare a bill with what the rules give for the same facts, with `earlier` bills of its order paid already."""
    told = standing(before)
    zone = ZoneInfo(terms.house.timezone)
    refunded = sum((_amount(each) for each in earlier), ZERO)
    ruled = settlements.settle(
        told=told, order=replace(order, refunded=refunded), terms=terms, on=bill.at.astimezone(zone).date()
    )
    return _apart(bill, settlements.granted(ruled, told))


def _freight_disagreements(owed: Told, before: Sequence[Told], terms: Terms) -> list[str]:
    """Compare the freight that a self-shipper gets back with what the rule gives for the same facts (MON-18)."""
    return _safely(lambda: _apart(owed, settlements.freight_back(standing(before), terms.returns)[0]))


def _apart(bill: Told, ruled: Bill) -> list[str]:
    """Say where a bill as it was written is not its own sum, or not what the rules give."""
    lines = bill.data["lines"]
    sum_of = sum((_amount(line["amount"]) for line in lines), ZERO)
    total = _amount(bill.data["total"])
    faults = [] if sum_of == total else [f"各行相加 {sum_of:.2f} 元，合计写的是 {total:.2f} 元"]
    was = [(line["rule"], line["label"], _amount(line["amount"])) for line in lines]
    now = [(line.rule, line.label, line.amount) for line in ruled.lines]
    for line in was:
        if line not in now:
            faults.append(f"规则没有这一行：{line[0]} {line[1]} {line[2]:.2f}")
    for line in now:
        if line not in was:
            faults.append(f"缺少规则的一行：{line[0]} {line[1]} {line[2]:.2f}")
    return faults


def _evidence(told: Standing, returns: Returns) -> tuple[str, ...]:
    """What stands behind the amounts: the cause and grade found, the vouchers, the pieces of evidence."""
    last = told.receipts[-1] if told.receipts else None
    proof = [
        f"验收：第{item['line_no']}行 {item['quantity']} 件 {' '.join(_found(item, returns))}"
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


def _found(item: Mapping[str, Any], returns: Returns) -> tuple[str, str]:
    """What the warehouse found, in words; a code that is none stays as it stands."""
    grades, causes = {grade.value: grade.label for grade in Grade}, returns.reasons
    cause = causes[item["cause"]].label if item["cause"] in causes else item["cause"]
    return grades.get(item["grade"], item["grade"]), cause
