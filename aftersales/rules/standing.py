"""
Where a return stands, told from its journal alone: what was asked for, what arrived, what was found, what was paid.

Both the story's forms and the audit read this; nothing is counted anywhere else.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from typing import Any, Protocol

from aftersales.rules import units as runs_of
from aftersales.words import ZERO, Bill, Grade, Line, Units, Wanted


class Told(Protocol):
    """What this module needs of a journal row."""

    @property
    def entry(self) -> str: ...
    @property
    def kind(self) -> str: ...
    @property
    def at(self) -> datetime: ...
    @property
    def actor(self) -> str: ...
    @property
    def data(self) -> Mapping[str, Any]: ...


# a parcel said to be lost, until logistics has found it or confirmed the loss
MISSING, LOST = "missing", "lost"
# who agrees to a payment opens no new window for it: the customer's runs on (RET-09)
AGREEING = ("exception", "countersign", "release")
PAYING = ("release", "refund")
# where the customer's answer to a question is waited for
QUESTION = "question"


@dataclass(frozen=True, slots=True)
class Receipt:
    """One parcel: the units of each line that it brought (P-14)."""

    received_at: datetime
    units: Mapping[int, tuple[Units, ...]]
    rest: str
    tracking_no: str = ""
    foreign: str = ""
    is_sent_back: bool = False
    # what logistics has confirmed to be lost; such a parcel brought nothing
    lost: Mapping[int, tuple[Units, ...]] = field(default_factory=dict)
    traced: str = ""
    inspection: Mapping[str, Any] | None = None
    is_billed: bool = False
    # what the customer paid to send it, with its voucher (MON-18)
    freight: Decimal | None = None
    voucher: str = ""

    @property
    def quantities(self) -> dict[int, int]:
        """How many units of each line."""
        return {line_no: sum(run.count for run in runs) for line_no, runs in self.units.items()}

    @property
    def wanted(self) -> tuple[Wanted, ...]:
        """The units as the money rules take them."""
        return tuple(Wanted(line_no, runs) for line_no, runs in sorted(self.units.items()))

    @property
    def is_lost(self) -> bool:
        """True when logistics has confirmed that it is lost."""
        return self.rest == LOST

    @property
    def findings(self) -> list[tuple[int, tuple[Units, ...], Mapping[str, Any]]]:
        """What the inspection says: a line's units dealt out to its rows in order (MON-17)."""
        found: list[tuple[int, tuple[Units, ...], Mapping[str, Any]]] = []
        if self.inspection is None:
            return found
        for line_no, runs in self.units.items():
            rows = [item for item in self.inspection["items"] if item["line_no"] == line_no]
            dealt = runs_of.deal(runs, [row["quantity"] for row in rows])
            found += [(line_no, part, row) for row, part in zip(rows, dealt, strict=True)]
        return found

    @property
    def kept(self) -> tuple[Wanted, ...]:
        """The units that pay: what is lost, or what arrived and is not somebody else's goods (RET-06, RET-08)."""
        if self.is_lost:
            return tuple(Wanted(line_no, runs) for line_no, runs in sorted(self.lost.items()))
        wrong: dict[int, list[Units]] = {}
        for line_no, part, row in self.findings:
            if row["grade"] == Grade.WRONG:
                wrong.setdefault(line_no, []).extend(part)
        ours = ((each.line_no, runs_of.without(each.units, wrong.get(each.line_no, []))) for each in self.wanted)
        return tuple(Wanted(line_no, runs) for line_no, runs in ours if runs)


@dataclass(frozen=True, slots=True)
class Asked:
    """A question to the customer: the entry of the gate that asked, when, and what; None: not answered yet (NUM-223)."""

    entry: str
    question: str
    from_at: datetime
    until_at: datetime | None = None

    @property
    def gate(self) -> str:
        """The gate whose window is paused meanwhile."""
        return self.entry.rpartition("-")[0]


@dataclass(frozen=True, slots=True)
class Standing:
    """A return as its journal tells it."""

    request: Mapping[str, Any] = field(default_factory=dict)
    evidence: tuple[str, ...] = ()
    receipts: tuple[Receipt, ...] = ()
    inspections: tuple[Mapping[str, Any], ...] = ()
    bills: tuple[Mapping[str, Any], ...] = ()
    refunds: tuple[Mapping[str, Any], ...] = ()
    pickup: Mapping[str, Any] | None = None
    approvers: tuple[str, ...] = ()
    # whether the manager has allowed the application
    is_exceptional: bool = False
    # of the last receipt alone; agreed means that the manager has seen what it is reckoned to pay, and pays
    is_agreed: bool = False
    billed_at: datetime | None = None
    traced_at: datetime | None = None
    resolution: Mapping[str, Any] | None = None
    reckoned: Mapping[str, Any] | None = None
    is_released: bool = False
    is_refused: bool = False
    # who let the application through, and who approved the bill that is due now
    bill_approvers: tuple[str, ...] = ()
    # of the whole case
    reimbursement: Mapping[str, Any] | None = None
    # what the customer was asked and has not answered yet (NUM-223)
    asked: Asked | None = None

    @property
    def items(self) -> list[Mapping[str, Any]]:
        """The lines asked for: line_no, sku, name, quantity, units."""
        return list(self.request.get("items", ()))

    def label(self, line_no: int) -> str:
        """A line as drop-downs show it: `第1行 SKU 名称`."""
        for item in self.items:
            if item["line_no"] == line_no:
                return line_label(item)
        return f"第{line_no}行"

    @property
    def outstanding(self) -> dict[int, int]:
        """How many units of each line have not arrived yet and are not known to be lost."""
        gone = _gone(self.receipts)
        left = {item["line_no"]: item["quantity"] - gone[item["line_no"]] for item in self.items}
        return {line_no: count for line_no, count in left.items() if count > 0}

    @property
    def has_arrived(self) -> bool:
        """True when goods have come, be it in part."""
        return any(receipt.units for receipt in self.receipts)

    @property
    def is_lost(self) -> bool:
        """True when logistics has confirmed that the last parcel is lost."""
        return bool(self.receipts) and self.receipts[-1].is_lost

    @property
    def expects_more(self) -> bool:
        """True while something is outstanding and nobody said that it will not come."""
        return bool(self.outstanding) and not (self.receipts and self.receipts[-1].rest == "none")

    def at_receipt(self, number: int) -> Standing:
        """The return as it stood after so many receipts: a story told again must decide as it did the first time."""
        return replace(self, receipts=self.receipts[:number])

    @property
    def charged(self) -> tuple[Line, ...]:
        """The lines of all bills so far."""
        return tuple(line for bill in self.bills for line in lines_of(bill))

    @property
    def refunded(self) -> Decimal:
        """What has been paid back."""
        return sum((Decimal(refund["amount"]) for refund in self.refunds), ZERO)


def line_label(item: Mapping[str, Any]) -> str:
    """A line as drop-downs show it: `第1行 SKU 名称`."""
    return f"第{item['line_no']}行 {item['sku']} {item['name']}".strip()


def bill_data(bill: Bill) -> dict[str, Any]:
    """A bill as the journal keeps it."""
    return {
        "age_band": bill.age_band.value if bill.age_band else None,
        "lines": [{**asdict(line), "amount": f"{line.amount:.2f}"} for line in bill.lines],
        "total": f"{bill.total:.2f}",
        "needs_person": list(bill.needs_person),
    }


def lines_of(bill: Mapping[str, Any]) -> tuple[Line, ...]:
    """The lines of a bill as the journal holds it."""
    return tuple(
        Line(line["rule"], line["label"], Decimal(line["amount"]), line.get("note", "")) for line in bill["lines"]
    )


def evidence_label(data: Mapping[str, Any]) -> str:
    """A piece of evidence as people read it: the link or note itself, a stored file by its name and hash."""
    return f"{data['name']}（文件 {data['reference'][:12]}）" if data.get("name") else str(data["reference"])


def standing(entries: Iterable[Told]) -> Standing:
    """Tell where a return stands from its journal, in order."""
    request: Mapping[str, Any] = {}
    evidence: list[str] = []
    receipts: list[Receipt] = []
    inspections: list[Mapping[str, Any]] = []
    bills: list[Mapping[str, Any]] = []
    refunds: list[Mapping[str, Any]] = []
    pickup: Mapping[str, Any] | None = None
    approvers: list[str] = []
    admitted_by: list[str] = []
    agreed_by: list[str] = []
    is_exceptional = is_agreed = is_released = is_refused = False
    billed_at = traced_at = None
    resolution: Mapping[str, Any] | None = None
    reckoned: Mapping[str, Any] | None = None
    reimbursement: Mapping[str, Any] | None = None
    asked: Asked | None = None
    for entry in entries:
        name = entry.entry.rpartition("-")[0]
        if entry.kind in ("opened", "amended", "decision"):
            evidence += [piece for piece in entry.data.get("evidence") or () if piece not in evidence]
        if entry.kind in ("opened", "amended"):
            request = entry.data
        elif entry.kind == "evidence":
            evidence.append(evidence_label(entry.data))
        elif entry.kind == "bill" and name == "void":
            # what was refused after it had been reckoned pays nothing and has charged nothing
            bills.pop()
            receipts[-1:] = [replace(last, is_billed=False) for last in receipts[-1:]]
            agreed_by = []
        elif entry.kind == "bill":
            bills.append(entry.data)
            billed_at = entry.at
            receipts[-1:] = [replace(last, is_billed=True) for last in receipts[-1:]]
        elif entry.kind == "reckoning":
            reckoned = entry.data
        elif entry.kind == "reimbursement":
            reimbursement = entry.data
        elif entry.kind == "outcome":
            is_refused = is_refused or (entry.entry.startswith("refund-") and entry.data["outcome"] == "refused")
        elif entry.kind != "decision":
            continue
        elif asks(entry.data):
            asked = Asked(entry.entry, entry.data["question"], entry.at)
        elif name == QUESTION:
            asked = None
        elif name in ("review", "exception", "countersign") and entry.data.get("decision") == "approve":
            approvers.append(entry.actor)
            (agreed_by if receipts else admitted_by).append(entry.actor)
            # later exceptions are about a loss, or about a bill that is reckoned already
            is_exceptional = is_exceptional or (name == "exception" and not receipts)
        elif name == "resolution":
            resolution = entry.data
            if entry.data["decision"] in ("refund", "partial"):
                approvers.append(entry.actor)
                agreed_by.append(entry.actor)
                is_agreed = True
        elif name == "pickup":
            pickup = entry.data
        elif name == "receipt":
            receipts.append(_receipt(entry, request, receipts))
            resolution, reckoned, is_agreed, is_released, is_refused = None, None, False, False, False
            agreed_by = []
        elif name == "sendback":
            receipts[-1] = replace(receipts[-1], is_sent_back=True)
        elif name == "tracing":
            receipts[-1] = _traced(entry, request, receipts)
            traced_at = entry.at
        elif name == "inspection":
            inspections.append(entry.data)
            receipts[-1:] = [replace(last, inspection=entry.data) for last in receipts[-1:]]
        elif name == "release":
            is_released = True
        elif name == "refund":
            refunds.append(entry.data)
    return Standing(
        request,
        tuple(evidence),
        tuple(receipts),
        tuple(inspections),
        tuple(bills),
        tuple(refunds),
        pickup,
        tuple(approvers),
        is_exceptional,
        is_agreed,
        billed_at,
        traced_at,
        resolution,
        reckoned,
        is_released,
        is_refused,
        tuple(admitted_by + agreed_by),
        reimbursement,
        asked,
    )


def asks(answer: Mapping[str, Any]) -> bool:
    """Whether a gate's answer is a question to the customer, after which the gate opens again (NUM-223)."""
    return "ask" in (answer.get("decision"), answer.get("result"))


def interrupted(entries: Iterable[Told], *, gate: str) -> Asked | None:
    """Find the question that a gate has asked right before it opens again; None when its window begins anew."""
    decided = [entry for entry in entries if entry.kind == "decision"][-2:]
    if len(decided) < 2 or not asks(decided[0].data) or decided[1].entry.rpartition("-")[0] != QUESTION:
        return None
    asked = Asked(decided[0].entry, decided[0].data["question"], decided[0].at, decided[1].at)
    return asked if asked.gate == gate else None


def began_at(entries: Iterable[Told], *, stage: str) -> datetime | None:
    """
    Say when the window of a stage began: with what last happened to the case (RET-02 to RET-10); None before it opens.

    What pays waits for those who agree, but the customer's window is the one that the inspection opened. A question to
    the customer opens no window but its own (NUM-223).
    """
    overlooked = AGREEING if stage in PAYING else ()

    def opens(entry: Told) -> bool:
        name = entry.entry.rpartition("-")[0]
        is_between = stage != QUESTION and (name == QUESTION or asks(entry.data))
        return entry.kind == "decision" and name not in overlooked and not is_between

    began = [entry.at for entry in entries if entry.kind in ("opened", "begun") or opens(entry)]
    return began[-1] if began else None


def is_decided_by_exception(entries: Iterable[Told], *, inspection: str) -> bool:
    """Whether goods that failed this inspection were let through by an exception, as before there were resolutions."""
    decided = [entry for entry in entries if entry.kind == "decision"]
    names = [entry.entry for entry in decided]
    following = decided[names.index(inspection) + 1 :][:1] if inspection in names else []
    return any(entry.entry.startswith("exception-") and entry.data.get("decision") == "approve" for entry in following)


def _receipt(entry: Told, request: Mapping[str, Any], earlier: list[Receipt]) -> Receipt:
    """Say which of the held units a parcel brought."""
    rest = entry.data.get("rest", "")
    freight = entry.data.get("freight")
    return Receipt(
        entry.at,
        _next_units(entry.data.get("items") or (), request, earlier),
        MISSING if rest == "lost" else rest,
        entry.data.get("tracking_no", ""),
        entry.data.get("foreign", ""),
        freight=Decimal(freight) if freight else None,
        voucher=entry.data.get("voucher", ""),
    )


def _traced(entry: Told, request: Mapping[str, Any], receipts: list[Receipt]) -> Receipt:
    """Say what became of the last parcel; a loss that names no goods is of everything that had not arrived."""
    if entry.data["result"] != "lost":
        return replace(receipts[-1], rest="coming")
    items = entry.data.get("items")
    if not items:
        gone = _gone(receipts)
        items = [
            {"line_no": item["line_no"], "quantity": max(0, item["quantity"] - gone[item["line_no"]])}
            for item in request.get("items", ())
        ]
    lost = _next_units(items, request, receipts)
    return replace(receipts[-1], rest=LOST, lost=lost, traced=entry.data.get("note", ""))


def _next_units(
    items: Iterable[Mapping[str, Any]], request: Mapping[str, Any], earlier: list[Receipt]
) -> dict[int, tuple[Units, ...]]:
    """Deal held units out: the lowest that have neither arrived nor got lost."""
    gone = _gone(earlier)
    held = {item["line_no"]: _runs(item) for item in request.get("items", ())}
    units: dict[int, tuple[Units, ...]] = {}
    for item in items:
        line_no = item["line_no"]
        if part := _slice(held.get(line_no, []), gone[line_no], item["quantity"]):
            units[line_no] = units.get(line_no, ()) + part
        gone[line_no] += item["quantity"]
    return units


def _gone(receipts: Iterable[Receipt]) -> Counter[int]:
    """How many units of each line have arrived or got lost."""
    gone = Counter[int]()
    for receipt in receipts:
        gone.update(receipt.quantities)
        gone.update({line_no: runs_of.count(runs) for line_no, runs in receipt.lost.items()})
    return gone


def _runs(item: Mapping[str, Any]) -> list[Units]:
    return [Units(first, end) for first, end in item["units"]]


def _slice(runs: list[Units], skip: int, take: int) -> tuple[Units, ...]:
    found: list[Units] = []
    for run in runs:
        first = run.first + min(skip, run.count)
        skip -= first - run.first
        end = min(run.end, first + take)
        if end > first:
            found.append(Units(first, end))
            take -= end - first
    return tuple(found)
