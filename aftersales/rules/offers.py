"""
What a gate's form offers and is checked against: drop-downs, prefilled values, quantities and amounts.

The context is stored with the gate's promise, so that a command or an event is held to the same as the form.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from aftersales.rules import eligibility
from aftersales.rules.authority import RIGHTS
from aftersales.rules.standing import Standing
from aftersales.terms import Returns, Terms
from aftersales.words import Event, Fault, Grade, Shipping


@dataclass(frozen=True, slots=True)
class Offer:
    """What a form shows, what its answer must agree with (context), and which optional fields it must fill."""

    options: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    prefill: Mapping[str, Any] = field(default_factory=dict)
    context: Mapping[str, Any] = field(default_factory=dict)
    demands: tuple[str, ...] = ()


def offer(*, gate: str, standing: Standing, terms: Terms) -> Offer:
    """Say what the form of a gate offers now; drop-downs as code → label."""
    owner = terms.promised(gate).owner
    operators = {person.id: person.choice for person in terms.who_may(RIGHTS[gate], owner)}
    options: dict[str, Mapping[str, str]] = {"operator": operators}
    reasons = {code: reason.label for code, reason in terms.returns.reasons.items()}
    match gate:
        case "correction":
            return Offer(options | {"reason": reasons})
        case "receipt":
            outstanding = standing.outstanding
            return Offer(
                options | {"line": _lines(standing, outstanding)},
                {"items": [{"line": line_no, "quantity": count} for line_no, count in outstanding.items()]},
                {
                    "outstanding": {str(line_no): count for line_no, count in outstanding.items()},
                    "parcels": _parcels(standing),
                    "is_later": standing.has_arrived,
                    "is_self_shipped": standing.request["shipping"] == Shipping.SELF,
                    "skus": {str(item["line_no"]): item["sku"] for item in standing.items},
                },
            )
        case "tracing":
            outstanding = standing.outstanding
            return Offer(
                options | {"line": _lines(standing, outstanding)},
                {"items": [{"line": line_no, "quantity": count} for line_no, count in outstanding.items()]},
                {"outstanding": {str(line_no): count for line_no, count in outstanding.items()}},
            )
        case "inspection":
            received = standing.receipts[-1].quantities
            claimed = standing.request["reason"]
            rows = [
                {"line": line_no, "quantity": count, "grade": Grade.SELLABLE.value, "cause": claimed}
                for line_no, count in received.items()
            ]
            return Offer(
                options | {"line": _lines(standing, received), "cause": reasons},
                {"items": rows},
                {"received": {str(line_no): count for line_no, count in received.items()}},
            )
        case "resolution":
            last = standing.receipts[-1]
            # somebody else's goods come from the customer, whatever their cause says
            is_sellers_fault = any(
                row["grade"] != Grade.WRONG and terms.returns.fault(row["cause"]) is Fault.SELLER
                for _, _, row in last.findings
            )
            context = {"is_lost": last.is_lost, "is_sellers_fault": is_sellers_fault, "is_all_wrong": not last.kept}
            return Offer(options, context=context)
        case "countersign":
            return Offer(options, context={"not_by": list(standing.bill_approvers)})
        case "release" | "refund":
            amount = standing.bills[-1]["total"]
            # who lets the provider pay has told the customer; the confirmation asks no second time
            tells = must_tell(standing, terms.returns) and not standing.is_released
            agreed = {"amount": amount, "not_by": list(standing.approvers), "must_tell": tells}
            if standing.billed_at is not None:
                agreed["billed_at"] = standing.billed_at.isoformat()
            return Offer(options, {"amount": amount}, agreed, ("told_how", "told_at") if tells else ())
        case "reimbursement":
            assert standing.reimbursement is not None, "a reimbursement is reckoned before it is paid"
            amount = standing.reimbursement["total"]
            return Offer(options, {"amount": amount}, {"amount": amount, "not_by": list(standing.approvers)})
    return Offer(options)


def must_tell(standing: Standing, terms: Returns) -> bool:
    """
    Whether the customer must be told before a deduction: found at fault, or paid in part only (MON-17, RET-08).

    A part is told whatever its bill came to: that may be less than was promised, with no line for it.
    """
    if standing.resolution is not None and standing.resolution["decision"] == "partial":
        return True
    claimed = terms.fault(standing.request["reason"])
    found = {terms.fault(row["cause"]) for _, _, row in standing.receipts[-1].findings}
    return claimed is Fault.SELLER and Fault.CUSTOMER in found


def at_answer(*, gate: str, standing: Standing, terms: Returns, has_parcel: bool) -> dict[str, Any]:
    """
    Say what a gate's answer must agree with that may have changed since its form was drawn.

    `has_parcel` means that a parcel has come which the case has not read yet.
    """
    match gate:
        case "review":
            # what was added beside the form counts too (POL-08)
            proof = eligibility.evidence(reason=standing.request["reason"], given=standing.evidence, terms=terms)
            return {"lacks_evidence": "" if proof.answer == eligibility.YES else proof.reason}
        case "tracing":
            return {"has_parcel": has_parcel}
        case "refund":
            is_transferred = standing.is_refused or standing.bills[-1].get("paid_by") == "transfer"
            return {"needs_account": is_transferred}
        case "reimbursement":
            return {"needs_account": True}
    return {}


def _parcels(standing: Standing) -> list[str]:
    """The parcels that have arrived; the one that was picked up came first, whoever booked it in, by form or by scan."""
    # one that was said to be lost has not
    seen = [receipt.tracking_no for receipt in standing.receipts if receipt.units]
    if seen and standing.pickup:
        seen.append(standing.pickup.get("tracking_no", ""))
    return sorted({number for number in seen if number})


def _lines(standing: Standing, quantities: Mapping[int, int]) -> dict[str, str]:
    return {str(line_no): standing.label(line_no) for line_no in quantities}


# what a parcel that has arrived answers to a gate which only waits for that
ARRIVED: Mapping[str, Mapping[str, Any]] = {
    "pickup": {"implied": True},
    "tracing": {"implied": True, "result": "found", "note": "包裹已到仓库"},
}


def from_event(*, event: str, data: Mapping[str, Any], context: Mapping[str, Any]) -> dict[str, Any]:
    """
    Say what an event answers to the gate that waits for it, in the form's codes.

    Without quantities a parcel brought everything outstanding, and whether more comes is told by what is left; without
    an amount a refund paid what was due.
    Raises ValueError naming the item that does not belong to the case.
    """
    if data.get("key") and data["key"] != context.get("key", data["key"]):
        raise ValueError(f"消息说的是 {data['key']}，现在等待的是 {context['key']}，未采用。")
    match event:
        case Event.PARCEL_PICKED_UP | Event.PARCEL_SENT_BACK:
            return {"carrier": "", "tracking_no": "", "freight": "", "voucher": "", **data}
        case Event.PARCEL_LOST:
            return {**data, "items": [], "rest": "lost"}
        case Event.PARCEL_RECEIVED:
            left = {int(line_no): count for line_no, count in context["outstanding"].items()}
            rest = data.get("rest") or ""
            # whoever says that something is not there has to say what is
            if not data.get("items") and rest in ("none", "coming"):
                return {**data, "items": []}
            if not data.get("items") and context.get("is_later"):
                raise ValueError("本单已收过包裹，请写明这次收到的商品编码和数量。")
            items = _by_line(data.get("items") or [], left, context["skus"])
            if not data.get("items"):
                items = [{"line_no": line_no, "quantity": count} for line_no, count in left.items()]
            arrived = {item["line_no"]: item["quantity"] for item in items}
            whole = all(arrived.get(line_no, 0) >= count for line_no, count in left.items())
            # what somebody declares is checked like a form's answer, never put right behind their back
            return {**data, "items": items, "rest": rest or ("complete" if whole else "coming")}
        case Event.REFUND_SENT | Event.FREIGHT_REIMBURSED:
            return {"reference": "", **data, "amount": data.get("amount") or context["amount"]}
    return dict(data)


def _by_line(
    items: Sequence[Mapping[str, Any]], left: Mapping[int, int], skus: Mapping[str, str]
) -> list[dict[str, Any]]:
    """Spread quantities by SKU over the outstanding lines of that SKU, in line order; the last takes what is over."""
    remaining = dict(left)
    found: dict[int, int] = {}
    for item in items:
        lines = [n for n in remaining if skus.get(str(n)) == item["sku"]]
        if not lines:
            raise ValueError(f"商品 {item['sku']} 不在本售后单的待收商品中，请核对商品编码。")
        quantity = int(item["quantity"])
        for line_no in lines:
            part = min(quantity, remaining[line_no])
            if line_no == lines[-1]:
                part = quantity
            if part:
                found[line_no] = found.get(line_no, 0) + part
                remaining[line_no] = max(0, remaining[line_no] - part)
                quantity -= part
    return [{"line_no": line_no, "quantity": quantity} for line_no, quantity in sorted(found.items())]
