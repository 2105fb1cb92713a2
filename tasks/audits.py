"""The audits: whether a journal was changed afterwards, what was paid, what was late, who was told (AUD-01 to AUD-04)."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import text

from aftersales import clock
from aftersales.rules import audit as checks
from aftersales.rules import chain, clocks
from aftersales.rules.audit import Payment
from aftersales.rules.pages import Reader
from aftersales.store import audit, facts, outbox
from aftersales.store import cases as case_store
from aftersales.store.engine import transaction
from aftersales.terms import House, Terms
from aftersales.words import ZERO, Limit, Stage, Unable, Unit
from tasks import desks, outside
from tasks.cases import current_terms, terms_of

OUTER = "整单时限"
# cases whose payments are checked at once
PART = 200


@dataclass(frozen=True, slots=True)
class Finding:
    """One place where a journal does not hold together."""

    case_no: str
    number: int
    entry: str
    why: str


@dataclass
class Verified:
    """What a verification has walked, and what it found."""

    cases: int = 0
    rows: int = 0
    findings: list[Finding] = field(default_factory=list)


async def verify(
    *, case_no: str = "", since: date | None = None, until: date | None = None, seal: Any = None
) -> Verified:
    """
    Walk the hash chain of every case, or of those opened in a period, or of one (AUD-01).

    What stands beside the journals (the case's own row, its promises) is held against them, and whatever names a case
    that is gone is told. With a seal, also find history that was rewritten as a whole, and cases that are gone. Raises Unable for a seal
    that is none.
    """
    told = Verified()
    sealed = _read(seal) if seal is not None else {}
    seen: set[str] = set()
    async with transaction() as connection:
        # heads and journals of one moment: the desk goes on working meanwhile
        await connection.execute(text("set transaction isolation level repeatable read, read only"))
        async for found in audit.chains(connection, case_no=case_no, **_period(since, until)):
            told.cases += 1
            told.rows += len(found.rows)
            seen.add(found.case_no)
            if found.seq is None:
                told.findings.append(Finding(found.case_no, 0, "", "流水还在，售后单被删去"))
                continue
            broken = chain.breaks(found.rows, seq=found.seq, last_hash=found.last_hash)
            told.findings += [Finding(found.case_no, each.number, each.entry, each.why) for each in broken]
            if not broken:  # what stands beside a journal is held against it, as long as that is worth something
                wrong = checks.beside(case=found.case, promises=found.promises, rows=found.rows)
                told.findings += [Finding(found.case_no, 0, entry, why) for entry, why in wrong]
            if found.case_no in sealed:
                told.findings += _against(found, *sealed[found.case_no])
        if not (since or until):
            for homeless, places in await audit.homeless(connection, case_no):
                seen.add(homeless)
                why = f"售后单和流水都没有了，{places} 里还有"
                told.findings.append(Finding(homeless, 0, "", why))
    if not (case_no or since or until):
        gone = sorted(sealed.keys() - seen)
        told.findings += [Finding(each, 0, "", "封存时有这张售后单，现在没有了") for each in gone]
    elif case_no and not seen:
        raise Unable(f"没有售后单 {case_no}，请核对单号（可用 aftersales case list 查看）。")
    return told


def _against(found: audit.Chain, number: int, digest: str) -> list[Finding]:
    rows = {row["seq"]: row["hash"] for row in found.rows}
    if number == 0 or rows.get(number) == digest:
        return []
    return [Finding(found.case_no, number, "", "与封存时不同：整条链被重写过")]


async def seal() -> dict[str, Any]:
    """The end of every journal now, with a digest over all of it: kept elsewhere, it proves what stood here."""
    async with transaction() as connection:
        heads = {case_no: [seq, digest] async for case_no, seq, digest in audit.heads(connection)}
    return {"sealed_at": clock.now().isoformat(), "cases": heads, "digest": _digest(heads)}


def _digest(heads: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(heads, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def _read(seal: Any) -> dict[str, tuple[int, str]]:
    try:
        heads = {str(case_no): (int(number), str(digest)) for case_no, (number, digest) in seal["cases"].items()}
        if _digest({case_no: list(head) for case_no, head in heads.items()}) != seal["digest"]:
            raise Unable("封存文件自己的指纹对不上，它被改动过，请用原件。")
    except (TypeError, KeyError, ValueError, AttributeError):
        raise Unable("这不是封存文件，请用 aftersales audit seal 写出的文件。") from None
    return heads


# --- refunds --------------------------------------------------------------------------------------------------------


async def refunds(*, since: date, until: date) -> tuple[list[Payment], list[str]]:
    """Every payment of real cases in a period, checked (AUD-03), and the orders for which too much went back."""
    found: list[Payment] = []
    orders: list[str] = []
    period = _period(since, until)
    async with transaction() as connection:
        reckoned = await audit.reckoned_between(connection, **period)
        for start in range(0, len(reckoned), PART):
            part = reckoned[start : start + PART]
            histories = await audit.histories(connection, [case_no for case_no, _, _ in part])
            for case_no, order_no, _ in part:
                order = await facts.load(connection, order_no, with_refunds=False)
                case = await case_store.read(connection, case_no)
                assert order is not None and case is not None, "a case has its order"
                payments = checks.payments(
                    case_no=case_no,
                    history=histories[case_no],
                    order=order,
                    terms=await terms_of(connection, case),
                    billed=(billed := await audit.bills(connection, order_no)),
                )
                found += [each for each in payments if period["since"] <= each.at < period["until"]]
                if too_much := checks.beyond_the_order(order, billed):
                    orders.append(too_much)
        # a reference may have been used long before
        used = await audit.uses(connection, {each.reference for each in found if each.reference})
    found = [_doubled(each, used.get(each.reference, [])) for each in found]
    return sorted(found, key=lambda each: (not each.faults, each.at)), sorted(set(orders))


def _doubled(payment: Payment, used: list[tuple[str, str]]) -> Payment:
    others = [f"{case_no} {entry}" for case_no, entry in used if (case_no, entry) != (payment.case_no, payment.entry)]
    if not others:
        return payment
    fault = f"流水号 {payment.reference} 用了 {len(used)} 次，另见 {'、'.join(others[:3])}"
    return replace(payment, faults=(*payment.faults, fault))


# --- windows --------------------------------------------------------------------------------------------------------


@dataclass
class Window:
    """How one stage of one department kept its windows in a period (AUD-02)."""

    stage: str
    department: str
    limit: str
    on_time: int = 0
    late: int = 0
    overdue: int = 0
    running: int = 0
    extended: int = 0
    extensions: list[str] = field(default_factory=list)
    paused: int = 0
    provisional: int = 0
    delays: list[tuple[Decimal, str]] = field(default_factory=list)
    unit: str = ""

    @property
    def total(self) -> int:
        """Every promise of the period."""
        return self.on_time + self.late + self.overdue + self.running

    @property
    def reasons(self) -> str:
        """Which cases were given more time, until when, and why."""
        return "；".join(self.extensions)

    @property
    def share(self) -> str:
        """On time out of those that are decided, in per cent (KPI-38)."""
        decided = self.on_time + self.late + self.overdue
        return f"{Decimal(100 * self.on_time) / decided:.1f}" if decided else ""

    @property
    def average(self) -> str:
        """The mean delay of what was late, in the limit's own unit."""
        return f"{sum((d for d, _ in self.delays), ZERO) / len(self.delays):.1f}" if self.delays else ""

    @property
    def worst(self) -> tuple[str, str]:
        """The longest delay and its case."""
        if not self.delays:
            return "", ""
        delay, case_no = max(self.delays)
        return f"{delay:.1f}", case_no


async def windows(*, since: date, until: date) -> list[Window]:
    """Every stage and department: on time, late and by how much, still open, extended (AUD-02, KPI-38)."""
    terms = current_terms()
    now = clock.now()
    async with transaction() as connection:
        promises = await audit.windows(connection, **_period(since, until))
    found: dict[tuple[str, str, str], Window] = {}
    for promise in promises:
        if "continued" in promise["trace"]:  # what was left of it goes on after a question, and is counted there
            continue
        key = (promise["stage"], promise["owner"], promise["limit"])
        if key not in found:
            limit = Limit.parse(promise["limit"])
            unit = "小时" if limit.unit in (Unit.HOUR, Unit.MINUTE, Unit.SERVICE_HOUR) else limit.unit.label
            found[key] = Window(_stage(promise["stage"]), _department(promise["owner"], terms), limit.words, unit=unit)
        _count(found[key], promise, terms, now)
    order = {stage.value: n for n, stage in enumerate(Stage)}
    return [found[key] for key in sorted(found, key=lambda key: (order.get(key[0], len(order)), key))]


def _count(window: Window, promise: Mapping[str, Any], terms: Terms, now: datetime) -> None:
    ended = promise["ended_at"] or promise["closed_at"]
    until = ended or now
    if moved := promise["trace"].get("extensions"):
        window.extended += 1
        window.extensions += [f"{promise['case_no']} 延至 {each['until']}：{each['reason']}" for each in moved]
    window.paused += bool(promise["trace"].get("pauses"))
    window.provisional += bool(promise["provisional"])
    if not clocks.is_overdue(due_at=promise["due_at"], at=until):
        if ended:
            window.on_time += 1
        else:
            window.running += 1
        return
    if ended:
        window.late += 1
    else:
        window.overdue += 1
    window.delays.append((_delay(promise, until, terms), promise["case_no"]))


def _delay(promise: Mapping[str, Any], until: datetime, terms: Terms) -> Decimal:
    """How late, in the limit's own unit: hours on its clock, or days that it counts."""
    unit = Limit.parse(promise["limit"]).unit
    span = {
        "start_at": promise["due_at"],
        "until_at": until,
        "calendars": terms.calendars,
        "house": terms.house,
        # what was late already when the customer was asked is not later for the time of the answer
        "pauses": clocks.pauses_of(promise["trace"]),
    }
    if unit in (Unit.WORKING_DAY, Unit.DAY):
        return Decimal(clocks.used_days(unit=unit, **span) + 1)
    return Decimal(int(clocks.used_time(unit=unit, **span).total_seconds())) / 3600


# how a notice or one of its sends stands, as people read it
STATES = {
    "queued": "待发",
    "digested": "待发（并入汇总）",
    "sending": "正在发送",
    "sent": "已送达",
    "failed": "失败，稍后再试",
    "given_up": "放弃",
    "withdrawn": "撤回",
    "maybe": "可能已送达",
}


async def notices(
    *, case_no: str = "", department: str = "", since: date | None = None, until: date | None = None
) -> list[dict[str, str]]:
    """
    Who was told when, by which channel, with what outcome, a row for each address (AUD-04).

    `department` is a code or a name; its staff are meant too. Raises Unable: no such case or department.
    """
    terms = current_terms()
    house = terms.house
    recipients: list[str] = []
    if department:
        code = desks.department(department, terms)
        if not code:
            raise Unable(f"没有部门“{department}”，可写：{desks.departments(terms)}。")
        recipients = [f"department:{code}", *(f"staff:{s.id}" for s in terms.staff().values() if s.department == code)]
    async with transaction() as connection:
        if case_no:
            await outside.found(connection, case_no)
        rows = await audit.notices(connection, case_no=case_no, recipients=recipients, **_period(since, until))
    reader = desks.reader(terms)
    return [_told(row, reader, house) for row in rows]


def _told(row: Mapping[str, Any], reader: Reader, house: House) -> dict[str, str]:
    def spoken(at: datetime | None) -> str:
        return clocks.in_house(at, house=house).strftime("%Y-%m-%d %H:%M:%S") if at else ""

    outcome, is_doubtful = row["outcome"] or row["state"], row["is_doubtful"]
    is_unclear = outcome == "sending" or is_doubtful
    had = row["data"].get(outbox.HAD)
    if had is not None and (row["address"] in had or row["digest_id"]):
        # what its digest told later, it told without it
        outcome = had.get(row["address"], "withdrawn")
        is_doubtful = is_doubtful and outcome == outbox.SENT
    elif row["state"] == "withdrawn" and outcome != "sent" and is_unclear:
        outcome, is_doubtful = "maybe", False
    elif row["state"] in ("withdrawn", "sent") and outcome in ("queued", "failed"):
        # it was withdrawn before this address had it
        outcome = "withdrawn"
    return {
        "id": str(row["id"]),
        "case_no": row["case_no"] or "",
        "entry": row["entry"],
        "notice": row["notice"],
        "subject": row["subject"],
        "to": reader.recipient(row["recipient"]),
        "told": reader.recipient(row["told"]) if row["told"] else "",
        "reached": spoken(row["reached_at"]),
        "written": spoken(row["created_at"]),
        "channel": row["channel"] or "",
        "begun": spoken(row["begun_at"]),
        "ended": spoken(row["ended_at"]),
        "outcome": STATES[outcome] + ("（可能重复）" if is_doubtful else ""),
        "tries": str(row["tries"] or ""),
        "digest": str(row["digest_id"] or ""),
        "reason": row["reason"] if outcome in ("withdrawn", "maybe") else row["why"] or row["reason"],
    }


def _stage(stage: str) -> str:
    return OUTER if stage == "outer" else Stage(stage).label


def _department(key: str, terms: Terms) -> str:
    department = terms.house.departments.get(key)
    return department.name if department else key


def _period(since: date | None, until: date | None) -> dict[str, Any]:
    """House days, both inclusive, as instants."""
    house = current_terms().house
    return {
        "since": since and clocks.start_of_day(since, house=house),
        "until": until and clocks.end_of_day(until, house=house),
    }
