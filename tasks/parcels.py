"""Parcels on their way back: booking the pick-up, what the receipt and the inspection leave behind (RET-05 to RET-08)."""

from __future__ import annotations

from aftersales.desk import leg as legs
from aftersales.gateways import Carrier, Outcome
from aftersales.gateways.worklists import PickupList
from aftersales.rules import clocks
from aftersales.rules.standing import Standing, lines_of, standing
from aftersales.store import work
from aftersales.store.engine import transaction
from aftersales.words import Grade, Shipping
from tasks import notices, promises
from tasks.steps import Intent, step


def carrier() -> Carrier:
    """The carrier of this shop: until one is connected, the list that logistics arranges by hand."""
    return PickupList(work.put, work.find)


async def is_self_shipped(case: str) -> bool:
    """Whether the customer sends the goods by their own means (RET-05)."""
    leg = await legs.here()
    return standing(leg.history).request["shipping"] == Shipping.SELF


@step("book-pickup", "预约取件")
async def book_pickup(intent: Intent, case: str) -> Outcome:
    """Ask the carrier to pick the goods up, once (RET-05)."""
    gateway = carrier()
    if intent.is_old and (known := await gateway.ask(intent.key)):
        return known
    leg = await legs.here()
    items = [{"sku": item["sku"], "quantity": item["quantity"]} for item in standing(leg.history).items]
    return await gateway.book(intent.key, case_no=case, data={"items": items})


async def tell_how_to_send(case: str) -> None:
    """Tell the customer that a pick-up is arranged, or by when to send the goods themselves (NTC-04)."""
    leg = await legs.here()
    if notices.was_told(leg, "NTC-04", "sending-0"):
        return
    assert leg.terms is not None
    promised = leg.terms.returns.stages["pickup"]
    due = promises.reckon(leg, promised.limit)
    if standing(leg.history).request["shipping"] == Shipping.SELF:
        subject, what = "请寄回退货商品", f"请在 {clocks.spoken_due(due)}寄出，并将承运商和运单号告诉客服。"
    else:
        subject, what = "上门取件已安排", f"承运商将在 {clocks.spoken_due(due)}上门取件，请备好商品及配件。"
    async with transaction() as connection:
        await notices.tell_customer(connection, leg, "NTC-04", "sending-0", {"subject": subject, "next": what})


async def start_outer_limit(case: str) -> None:
    """Start the outer limit of the whole case with the first receipt (RET-10, AMB-14)."""
    leg = await legs.here()
    assert leg.terms is not None
    if "outer-0.asked" in leg.entries:
        return
    promised = leg.terms.returns.outer
    async with transaction() as connection:
        due_at = await promises.give(connection, leg, "outer-0", stage="outer", promised=promised)
        await leg.note(
            connection, "outer-0.asked", kind="outer", data={"owner": promised.owner}, due_at=due_at, rule=promised.rule
        )


async def tell_result(case: str) -> None:
    """Tell the customer what was found, a changed cause, and every line of what will be paid (RET-07, MON-17, NTC-05)."""
    leg = await legs.here()
    assert leg.terms is not None
    told = standing(leg.history)
    entry = f"told-{leg.round('told')}"
    if notices.was_told(leg, "NTC-05", entry):
        return
    inspected = told.inspections[-1]
    result = "、".join(
        f"{told.label(item['line_no'])} {item['quantity']} 件{Grade(item['grade']).label}"
        for item in inspected["items"]
    )
    due = promises.reckon(leg, leg.terms.returns.refund_bound)
    async with transaction() as connection:
        await notices.tell_customer(
            connection,
            leg,
            "NTC-05",
            entry,
            {
                "result": result,
                "cause": _changed_cause(leg, told),
                "lines": "；".join(f"{line.label} {line.amount:.2f} 元" for line in lines_of(told.bills[-1])),
                "total": told.bills[-1]["total"],
                "bound": clocks.spoken_due(due),
            },
        )


def _changed_cause(leg: legs.Leg, told: Standing) -> str:
    """The cause as found where it is not the one that was claimed."""
    assert leg.terms is not None
    reasons = leg.terms.returns.reasons
    claimed = told.request["reason"]
    found = dict.fromkeys(item["cause"] for item in told.inspections[-1]["items"] if item["cause"] != claimed)
    if not found:
        return reasons[claimed].label
    return f"{'、'.join(reasons[code].label for code in found)}（申请时为{reasons[claimed].label}）"


async def expects_more(case: str) -> bool:
    """Whether something that was asked for has not arrived and is still coming, as of this place in the story (P-14)."""
    leg = await legs.here()
    return standing(leg.history).at_receipt(leg.rounds["gate receipt"]).expects_more
