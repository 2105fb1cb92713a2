"""
What a customer sees of a case: what was done and when, what is owed until when, what it brought (SLF-01, SLF-02, RET-15).

Told from the journal in codes; the page has the words. What staff wrote is left out, but for what their forms say that
the customer is told; so are their names, and what they agree on among themselves (RFD-02, RET-09).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

from aftersales.rules import clocks, settlements
from aftersales.rules.standing import Standing, Told, asks, standing
from aftersales.words import ZERO, Shipping, Stage

# the way of a return from one end to the other, as a customer walks it
WAY = ("review", "pickup", "receipt", "inspection", "refund")
# where each stage lies on it
_PLACE = {
    Stage.OPENED: 0,
    Stage.REVIEW: 0,
    Stage.CORRECTION: 0,
    Stage.EXCEPTION: 0,
    Stage.PICKUP: 1,
    Stage.RECEIPT: 2,
    Stage.TRACING: 2,
    Stage.INSPECTION: 3,
    Stage.RESOLUTION: 3,
    Stage.COUNTERSIGN: 4,
    Stage.RELEASE: 4,
    Stage.REFUND: 4,
    Stage.REIMBURSEMENT: 5,
    Stage.SENDBACK: 5,
}
# what a decision to pay in full, to send back … is called
_RESOLVED = {"refund": "granted", "partial": "granted_part", "send_back": "sending_back", "complaint": "complaint"}


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that was done: a code, when, the facts that belong to it, and what the shop wrote to the customer."""

    what: str
    at: datetime
    facts: Mapping[str, str] = field(default_factory=dict)
    said: str = ""


@dataclass(frozen=True, slots=True)
class Owed:
    """What is waited for: the stage, until when, and whether it is the customer who must act."""

    what: str
    due_at: datetime | None = None
    provisional: bool = False
    is_customers: bool = False
    is_late: bool = False
    said: str = ""


@dataclass(frozen=True, slots=True)
class Progress:
    """
    A case as its customer sees it; `owed` is None when it is over, and `ahead` is what still comes after that.

    `amount` is what went back, else what is expected to; None where no money is spoken of. An empty route is the account
    that was recorded, where the money cannot go back the way it came (MON-08).
    """

    case_no: str
    opened_at: datetime
    items: tuple[tuple[str, int], ...] = ()
    reason: str = ""
    done: tuple[Step, ...] = ()
    owed: Owed | None = None
    ahead: tuple[str, ...] = ()
    result: str = ""
    amount: Decimal | None = None
    is_paid: bool = False
    route: str = ""
    is_rehearsed: bool = False
    is_complaint: bool = False

    @property
    def parcels(self) -> tuple[Step, ...]:
        """The steps that name a parcel."""
        return tuple(step for step in self.done if step.facts.get("tracking_no"))


@dataclass(frozen=True, slots=True)
class Promised:
    """The open promise of a gate."""

    stage: Stage
    due_at: datetime
    provisional: bool = False


def progress(
    *,
    case_no: str,
    stage: Stage,
    opened_at: datetime,
    history: Sequence[Told],
    promised: Promised | None,
    payment_route: str,
    at: datetime,
    is_rehearsed: bool = False,
) -> Progress:
    """Tell a case as its customer sees it, at an instant of the case's clock (SLF-02)."""
    told = standing(history)
    if not told.request:
        # a complaint, which has no story yet: that it is there
        return Progress(
            case_no,
            opened_at,
            done=(Step("registered", opened_at),),
            owed=None if stage.is_over else Owed("registered"),
            # whether it was solved is for its customer to say
            result="handled" if stage.is_over else "",
            is_rehearsed=is_rehearsed,
            is_complaint=True,
        )
    done = tuple(step for place, entry in enumerate(history) if (step := _step(entry, history[:place], payment_route)))
    money = _money(told, payment_route, is_over=stage.is_over)
    return Progress(
        case_no=case_no,
        opened_at=opened_at,
        items=tuple((item["name"] or item["sku"], item["quantity"]) for item in told.items),
        reason=told.request["reason"],
        done=done,
        owed=None if stage.is_over else _owed(stage, told, promised, at),
        ahead=() if stage.is_over else _ahead(stage, told),
        result=_result(stage, history) if stage.is_over else "",
        is_rehearsed=is_rehearsed,
        **money,
    )


def _owed(stage: Stage, told: Standing, promised: Promised | None, at: datetime) -> Owed:
    is_self_shipped = told.request["shipping"] == Shipping.SELF
    what = "pickup.self" if stage is Stage.PICKUP and is_self_shipped else stage.value
    # between two gates a promise may be over, or be the last stage's
    due = promised if promised is not None and promised.stage is stage else None
    is_past = due is not None and clocks.is_overdue(due_at=due.due_at, at=at)
    if is_past and due is not None and due.provisional:
        # whether it has passed nobody knows before the calendar has come (P-05)
        due, is_past = None, False
    return Owed(
        what,
        due_at=None if due is None else due.due_at,
        provisional=due is not None and due.provisional,
        is_customers=stage in (Stage.QUESTION, Stage.CORRECTION) or what == "pickup.self",
        is_late=is_past,
        said=told.asked.question if told.asked and stage is Stage.QUESTION else "",
    )


def _ahead(stage: Stage, told: Standing) -> tuple[str, ...]:
    if stage is Stage.QUESTION:
        # the gate that asks opens again
        gate = told.asked.gate if told.asked else Stage.REVIEW.value
        return WAY[_PLACE[Stage(gate)] :]
    ahead = WAY[_PLACE[stage] + 1 :]
    is_self_shipped = told.request["shipping"] == Shipping.SELF
    return tuple("pickup.self" if what == "pickup" and is_self_shipped else what for what in ahead)


def _result(stage: Stage, history: Sequence[Told]) -> str:
    """How it ended, and for a case without money whether the goods went back or to a complaint."""
    if stage is Stage.REJECTED:
        decided = [entry.data.get("decision") for entry in history if entry.entry.startswith("resolution-")]
        if decided and decided[-1] in ("send_back", "complaint"):
            return {"send_back": "sent_back", "complaint": "complaint"}[decided[-1]]
    return stage.value


def _money(told: Standing, payment_route: str, *, is_over: bool) -> dict[str, Any]:
    """What went back and by which route; before that what is expected."""
    if told.refunds:
        bill = told.bills[-1] if told.bills else {}
        route = settlements.original_route(bill, payment_route, is_refused=told.is_refused)
        return {"amount": told.refunded, "is_paid": True, "route": route}
    if is_over:
        return {}
    bill = told.bills[-1] if told.bills else told.request["quote"]
    expected = Decimal(bill["total"])
    route = settlements.original_route(bill, payment_route, is_refused=told.is_refused)
    return {"amount": max(expected, ZERO), "route": route}


def _step(entry: Told, before: Sequence[Told], payment_route: str) -> Step | None:
    """What an entry of the journal is to the customer; None when it is nothing to them."""
    data, at = entry.data, entry.at
    match entry.kind:
        case "opened":
            return Step("opened", at)
        case "notice" if data.get("notice") == "NTC-05":
            # now the bill is agreed on and told; before that it is the house's own matter
            return Step("billed", at, {"amount": standing(before).bills[-1]["total"]})
        case "decision":
            return _decided(entry, before, payment_route)
        case "closed":
            return Step(f"ended.{data['stage']}", at)
    return None


def _decided(entry: Told, before: Sequence[Told], payment_route: str) -> Step | None:
    data, at = entry.data, entry.at
    name = entry.entry.rpartition("-")[0]
    if data.get("lapsed"):
        return Step("lapsed", at)
    if asks(data):
        return Step("asked", at, said=data["question"])
    parcel = {key: data[key] for key in ("carrier", "tracking_no") if data.get(key)}
    match name:
        case "review" if data["decision"] == "approve":
            return Step("approved", at)
        case "review":
            return Step("rejected", at, said=_joined(data.get("reason", ""), *(data.get("missing") or ())))
        case "exception":
            return _excepted(entry, before)
        case "correction":
            return Step("resubmitted" if data["decision"] == "resubmit" else "withdrawn", at)
        case "question":
            return Step("unanswered" if data.get("unanswered") else "answered", at)
        case "pickup":
            is_self_shipped = standing(before).request["shipping"] == Shipping.SELF
            return Step("sent" if is_self_shipped else "picked_up", at, parcel)
        case "receipt":
            return _received(entry)
        case "tracing":
            return Step("lost" if data["result"] == "lost" else "found", at)
        case "inspection":
            is_failed = data.get("result") == "fail"
            return Step("failed" if is_failed else "passed", at, said=data.get("reason", "") if is_failed else "")
        case "resolution":
            facts = {key: str(data[key]) for key in ("amount", "payer") if data.get(key)}
            return Step(_RESOLVED[data["decision"]], at, facts, said=data["reason"])
        case "sendback":
            return Step("returned", at, parcel)
        case "refund":
            told = standing(before)
            bill = told.bills[-1] if told.bills else {}
            route = settlements.original_route(bill, payment_route, is_refused=told.is_refused)
            return Step("refunded", at, {"amount": str(data["amount"]), "route": route})
        case "reimbursement":
            return Step("reimbursed", at, {"amount": str(data["amount"])})
    # who agrees to a payment, and who lets it go, is the house's own matter
    return None


def _excepted(entry: Told, before: Sequence[Told]) -> Step | None:
    """The manager's word on an application or a loss is the customer's matter, that on a bill is not yet."""
    told = standing(before)
    if told.receipts and told.receipts[-1].is_billed:
        return None
    if entry.data["decision"] == "approve":
        return Step("excepted", entry.at)
    return Step("rejected", entry.at, said=entry.data.get("reason", ""))


def _received(entry: Told) -> Step:
    if entry.data.get("rest") == "lost":
        return Step("missing", entry.at)
    count = sum(item["quantity"] for item in entry.data.get("items") or ())
    if not count:
        return Step("nothing_more", entry.at)
    return Step("received", entry.at, {"count": str(count)})


def _joined(first: str, *more: str) -> str:
    return "；".join([part for part in (first, *more) if part])
