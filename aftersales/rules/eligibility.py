"""
Whether a return may be opened, and how old its purchase is (POL-01 to POL-08, AMB-15 to AMB-19, AMB-50).

Dates are dates of the house zone. What the rules do not decide goes to a person, with the reason.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, tzinfo
from typing import Literal

from aftersales.terms import Returns
from aftersales.words import AgeBand, Fault, Order, OrderLine, Verdict, Wanted

# what a verdict may answer: go on, ask the after-sales manager, refuse
YES = "yes"
PERSON = "person"
NO = "no"


@dataclass(frozen=True, slots=True)
class Age:
    """How old a purchase is: its band, or None when the first day is unknown, and why."""

    band: AgeBand | None
    day: int | None
    reason: str


@dataclass(frozen=True, slots=True)
class Eligibility:
    """
    What the rules say to an application.

    `age_band` is that of the oldest line, None when the date of any line is unknown.
    `needs_person` are the reasons for the exception gate, `refused` those for which no person is even asked.
    """

    age_band: AgeBand | None
    ages: tuple[tuple[int, Age], ...]
    needs_person: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()

    @property
    def verdict(self) -> Verdict:
        """One answer with all its reasons: yes, person or no."""
        if self.refused:
            return Verdict(NO, "；".join(self.refused))
        if self.needs_person:
            return Verdict(PERSON, "；".join(self.needs_person))
        return Verdict(YES, "；".join(dict.fromkeys(age.reason for _, age in self.ages)))

    def age(self, line_no: int) -> Age:
        """The age of one line."""
        return dict(self.ages)[line_no]


def age_band(*, received_on: date | None, asked_on: date, terms: Returns) -> Age:
    """
    Place a return in its age band (POL-02 to POL-04, AMB-15); the day of receipt is day 0.

    Goods that came after they were asked about are at day 0 too: a customer may change his mind on the way.
    An unknown first day has no band: it is never day 0 and never unlimited, a person decides (P-23).
    """
    counted = "下单" if terms.age_counts_from == "purchase" else "签收"
    if received_on is None:
        return Age(None, None, f"{counted}日期未知，无法判断退货期限")
    day = max(0, (asked_on - received_on).days)
    if received_on > asked_on:
        return Age(AgeBand.A, 0, f"申请时尚未{counted}，按第 0 天计")
    if day <= terms.free_until_day:
        return Age(AgeBand.A, day, f"{counted}后第 {day} 天，在 {terms.free_until_day} 天无理由期内")
    if day <= terms.freight_until_day:
        return Age(
            AgeBand.B,
            day,
            f"{counted}后第 {day} 天，已过 {terms.free_until_day} 天、未过 {terms.freight_until_day} 天",
        )
    return Age(AgeBand.C, day, f"{counted}后第 {day} 天，已超过 {terms.freight_until_day} 天")


def starts_on(*, order: Order, line: OrderLine, terms: Returns, zone: tzinfo) -> date | None:
    """Say on which day the age of a line begins to count: receipt, or purchase by the switch (AMB-16)."""
    began_at = order.ordered_at if terms.age_counts_from == "purchase" else line.delivered_at
    return began_at.astimezone(zone).date() if began_at else None


def late(*, age: Age, fault: Fault, terms: Returns) -> Verdict:
    """
    Say what happens to a purchase of this age (POL-04, AMB-17, AMB-19, P-23).

    The seller's fault goes over the age bands as to fees; whether an old purchase is still taken back
    and not repaired under warranty, a person decides whatever the switch says.
    """
    if age.band is None:
        return Verdict(PERSON, f"{age.reason}，由售后经理决定（AMB-16）")
    if age.band is not AgeBand.C:
        return Verdict(YES, age.reason)
    if fault is Fault.SELLER:
        return Verdict(PERSON, f"{age.reason}，卖家原因适用质保，是否退货由售后经理决定（AMB-19）")
    answers: dict[str, tuple[str, str]] = {
        "manual": (PERSON, f"{age.reason}，是否接受退货由售后经理决定（AMB-17）"),
        "refuse": (NO, f"{age.reason}，不再受理退货（AMB-17）"),
        "charge": (YES, f"{age.reason}，可退货，买家承担全部运费和仓储费（MON-05）"),
    }
    return Verdict(*answers[terms.after_last_day])


def category(*, line: OrderLine, fault: Fault, terms: Returns) -> Verdict:
    """
    Say whether the kind of goods may come back (POL-06, AMB-50).

    Goods that must be unopened are not asked about when the seller is at fault: the fault shows after opening.
    Where nobody knows yet whether they are opened, the inspection sees it: refusing unopened goods is the known error.
    """
    if line.is_gift:
        return Verdict(PERSON, "赠品没有退货规则，由售后经理决定（AMB-50）")
    rule: Literal["standard", "unopened", "manual"] | None = terms.categories.get(line.category)
    if rule is None:
        kind = f"类目“{line.category}”没有退货规则" if line.category else "没有类目"
        return Verdict(PERSON, f"{kind}，由售后经理决定（POL-06）")
    if rule == "manual":
        return Verdict(PERSON, f"类目“{line.category}”须人工审核，由售后经理决定（POL-06）")
    if rule == "unopened" and fault is Fault.CUSTOMER:
        if line.opened:
            return Verdict(PERSON, f"类目“{line.category}”拆封后不适用无理由退货，由售后经理决定（POL-06）")
        if line.opened is None:
            return Verdict(YES, f"类目“{line.category}”未拆封可退，验收时核对（POL-06）")
    return Verdict(YES, f"类目“{line.category}”可退（POL-06）")


def evidence(*, reason: str, given: Sequence[str], terms: Returns) -> Verdict:
    """Say whether the evidence that the reason asks for is there (POL-02, POL-08); none is asked for twice."""
    asked = terms.reasons[reason]
    if asked.evidence and not any(piece.strip() for piece in given):
        return Verdict(NO, f"退货原因“{asked.label}”需要凭证，请补充照片链接或说明（POL-08）")
    return Verdict(YES, "凭证已提供" if asked.evidence else f"退货原因“{asked.label}”不需要凭证")


def check(
    *, order: Order, wanted: Iterable[Wanted], reason: str, asked_on: date, terms: Returns, zone: tzinfo
) -> Eligibility:
    """Judge an application: the age of every line, its category, gifts (POL-02 to POL-06, AMB-15 to AMB-19, AMB-50)."""
    fault = terms.fault(reason)
    lines = {line.line_no: line for line in order.lines}
    ages: list[tuple[int, Age]] = []
    verdicts: list[tuple[OrderLine, Verdict]] = []
    for line_no in sorted({w.line_no for w in wanted}):
        line = lines[line_no]
        age = age_band(
            received_on=starts_on(order=order, line=line, terms=terms, zone=zone), asked_on=asked_on, terms=terms
        )
        ages.append((line_no, age))
        verdicts.append((line, late(age=age, fault=fault, terms=terms)))
        verdicts.append((line, category(line=line, fault=fault, terms=terms)))
    return Eligibility(oldest(age for _, age in ages), tuple(ages), _reasons(verdicts, PERSON), _reasons(verdicts, NO))


def _reasons(verdicts: Iterable[tuple[OrderLine, Verdict]], answer: str) -> tuple[str, ...]:
    # an invoice of five hundred lines that are all too old gives one reason, not five hundred
    lines_of: dict[str, list[OrderLine]] = {}
    for line, verdict in verdicts:
        if verdict.answer == answer:
            lines_of.setdefault(verdict.reason, []).append(line)
    return tuple(f"{_named(lines)}：{reason}" for reason, lines in lines_of.items())


def _named(lines: Sequence[OrderLine]) -> str:
    if len(lines) == 1:
        return f"第 {lines[0].line_no} 行 {lines[0].name}".rstrip()
    numbers = "、".join(str(line.line_no) for line in lines[:5])
    return f"第 {numbers} 行" if len(lines) <= 5 else f"第 {numbers} 行等共 {len(lines)} 行"


def oldest(ages: Iterable[Age]) -> AgeBand | None:
    """Give the band of the oldest purchase, None as soon as one is unknown: nobody gains by mixing lines (P-23)."""
    bands = [age.band for age in ages]
    return None if None in bands else max((b for b in bands if b is not None), default=None)
