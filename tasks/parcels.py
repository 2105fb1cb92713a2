"""Parcels on their way back: pick-up, loss, what the receipt and the inspection leave behind (RET-05 to RET-08)."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal
from typing import Any

from aftersales.desk import leg as legs
from aftersales.desk.leg import Leg
from aftersales.gateways import Carrier, Outcome, http
from aftersales.gateways.worklists import PickupList
from aftersales.rules import clocks
from aftersales.rules.standing import Standing, is_decided_by_exception, lines_of, standing
from aftersales.settings import settings
from aftersales.store import records, stock, work
from aftersales.store import units as ledger
from aftersales.store.engine import transaction
from aftersales.store.journal import Entry
from aftersales.words import Grade, Shipping
from tasks import notices, promises
from tasks.steps import Intent, step


def carrier(leg: Leg) -> Carrier:
    """The carrier of this shop; until one is connected, and in rehearsals, the list that logistics arranges by hand."""
    is_real = leg.case is not None and leg.case.is_real
    return (http.carrier_from(settings()) if is_real else None) or by_hand()


def by_hand() -> PickupList:
    """The lists of parcels that logistics arranges by hand."""
    return PickupList(work.put, work.find)


async def is_self_shipped(case: str) -> bool:
    """Whether the customer sends the goods by their own means (RET-05)."""
    leg = await legs.here()
    return standing(leg.history).request["shipping"] == Shipping.SELF


@step("book-pickup", "预约取件", gate="pickup")
async def book_pickup(intent: Intent, case: str) -> Outcome:
    """Ask the carrier to pick the goods up, once (RET-05)."""
    leg = await legs.here()
    gateway = carrier(leg)
    items = [{"sku": item["sku"], "quantity": item["quantity"]} for item in standing(leg.history).items]
    what: dict[str, Any] = {"case_no": case, "data": {"items": items}}
    known = await gateway.ask(intent.key) if intent.is_old else None
    if known is None or known.outcome == "failed":
        known = await gateway.book(intent.key, contact=await _contact(leg, gateway), **what)
    if known.outcome == "refused":  # logistics must arrange what the carrier does not take
        await by_hand().book(intent.key, contact={}, **what)
    return known


async def tell_how_to_send(case: str) -> None:
    """Tell the customer that a pick-up is arranged, or by when to send the goods themselves (NTC-04)."""
    leg = await legs.here()
    assert leg.terms is not None
    is_self_shipped = standing(leg.history).request["shipping"] == Shipping.SELF
    is_booked = any(told.kind == "outcome" and told.data["outcome"] == "done" for told in _bookings(leg))
    # what is not booked yet is not promised; the customer hears again when it is
    entry = "sending-0" if is_self_shipped or is_booked else "sending-0.unbooked"
    if notices.was_told(leg, "NTC-04", entry) or "pickup-0" in leg.entries:
        return
    promised = leg.terms.returns.stages["pickup"]
    due = promises.reckon(leg, "pickup", promised.limit)
    if is_self_shipped:
        subject, what = "请寄回退货商品", f"请在 {clocks.spoken_due(due)}寄出，并将承运商和运单号告诉客服。"
    elif not is_booked:
        subject, what = "正在安排上门取件", "取件时间确定后另行通知您，请先备好商品及配件。"
    else:
        subject, what = "上门取件已安排", f"承运商将在 {clocks.spoken_due(due)}上门取件，请备好商品及配件。"
    async with transaction() as connection:
        await notices.tell_customer(connection, leg, "NTC-04", entry, {"subject": subject, "next": what})


def _bookings(leg: Leg) -> list[Entry]:
    return [told for told in leg.entries.values() if told.entry.startswith("book-pickup-0.")]


async def start_outer_limit(case: str) -> None:
    """Start the outer limit of the whole case with the first receipt (RET-10, AMB-14)."""
    leg = await legs.here()
    assert leg.terms is not None
    if "outer-0.asked" in leg.entries:
        return
    promised = leg.terms.returns.outer
    async with transaction() as connection:
        due = await promises.give(connection, leg, "outer-0", stage="outer", promised=promised)
        await leg.note(
            connection,
            "outer-0.asked",
            kind="outer",
            data={"owner": promised.owner, **clocks.noted(due)},
            due_at=due.due_at,
            rule=promised.rule,
        )


async def is_let_through(case: str) -> bool:
    """Whether the manager let the goods that did not pass through by an exception, in a story older than RET-08's gate."""
    leg = await legs.here()
    return is_decided_by_exception(leg.history, inspection=f"inspection-{leg.rounds['gate inspection'] - 1}")


async def tell_failed(case: str) -> None:
    """Tell the customer that the goods did not pass and why; the refund is held until a person decides (RET-08, NTC-06)."""
    leg = await legs.here()
    assert leg.terms is not None
    entry = f"failed-{leg.round('failed')}"
    if notices.was_told(leg, "NTC-06", entry):
        return
    told = standing(leg.history)
    inspected = told.inspections[-1]
    due = promises.reckon(leg, "resolution", leg.terms.returns.stages["resolution"].limit)
    photos = f"凭证：{'；'.join(inspected['evidence'])}。" if inspected.get("evidence") else ""
    text = f"验收未通过：{_result(told)}。原因：{inspected.get('reason', '')}。{photos}我们将在 {clocks.spoken_due(due)}给出处理决定。"
    async with transaction() as connection:
        await notices.tell_customer(connection, leg, "NTC-06", entry, {"subject": "退货商品验收未通过", "text": text})


async def tell_resolved(case: str) -> None:
    """Tell the customer what was decided about goods that did not pass, where no refund follows (RET-08, MON-20, NTC-06)."""
    leg = await legs.here()
    entry = f"resolved-{leg.round('resolved')}"
    if notices.was_told(leg, "NTC-06", entry):
        return
    decided = standing(leg.history).resolution
    assert decided is not None, "the gate stands before this line"
    if decided["decision"] == "send_back":
        payer = "店铺承担" if decided["payer"] == "seller" else "由您承担"
        text = f"本次不退款，商品将寄回给您，运费{payer}。理由：{decided['reason']}。如有异议请联系客服。"
    else:
        text = f"您的情况已转为投诉处理，客服会尽快联系您。说明：{decided['reason']}。"
    async with transaction() as connection:
        await notices.tell_customer(connection, leg, "NTC-06", entry, {"subject": "退货处理决定", "text": text})


async def tell_granted(case: str) -> None:
    """Tell the customer what the manager grants for goods that did not pass, and why (RET-08, NTC-06)."""
    leg = await legs.here()
    entry = f"granted-{leg.round('granted')}"
    # an earlier form of the story went on to its bill without this notice: it would come out of time
    if notices.was_told(leg, "NTC-06", entry) or f"bill-{leg.rounds['bill']}" in leg.entries:
        return
    decided = standing(leg.history).resolution
    assert decided is not None, "the gate stands before this line"
    is_partial = decided["decision"] == "partial"
    what = f"部分退款 {Decimal(decided['amount']):.2f} 元" if is_partial else "按规则退款"
    text = f"我们决定{what}。理由：{decided['reason']}。退款明细随后告知，如有异议请在退款前联系客服。"
    async with transaction() as connection:
        await notices.tell_customer(connection, leg, "NTC-06", entry, {"subject": "退货处理决定", "text": text})


async def tell_missing(case: str) -> None:
    """Tell the customer which goods are not waited for any more (P-14, NTC-06)."""
    leg = await legs.here()
    entry = f"missing-{leg.round('missing')}"
    if notices.was_told(leg, "NTC-06", entry):
        return
    text = f"以下商品没有收到，按不再寄回处理，不退款：{_named(standing(leg.history))}。如有异议请联系客服。"
    async with transaction() as connection:
        await notices.tell_customer(connection, leg, "NTC-06", entry, {"subject": "退货商品没有全部收到", "text": text})


@step("send-back", "安排寄回客户", gate="sendback")
async def send_back(intent: Intent, case: str) -> Outcome:
    """Ask the carrier to bring goods that did not pass back to the customer, once (MON-20)."""
    leg = await legs.here()
    gateway = carrier(leg)
    told = standing(leg.history)
    assert told.resolution is not None, "the manager has decided before this step"
    skus = {item["line_no"]: item["sku"] for item in told.items}
    data = {
        "items": [{"sku": skus[line_no], "quantity": n} for line_no, n in told.receipts[-1].quantities.items()],
        "payer": told.resolution["payer"],
    }
    what: dict[str, Any] = {"case_no": case, "data": data}
    known = await gateway.ask(intent.key) if intent.is_old else None
    if known is None or known.outcome == "failed":
        known = await gateway.send_back(intent.key, contact=await _contact(leg, gateway), **what)
    if known.outcome == "refused":
        await by_hand().send_back(intent.key, contact={}, **what)
    return known


async def tell_sent_back(case: str) -> None:
    """Tell the customer by which parcel the goods come back (MON-20, NTC-06)."""
    leg = await legs.here()
    entry = f"sent-back-{leg.round('sent-back')}"
    if notices.was_told(leg, "NTC-06", entry):
        return
    parcel = leg.entries[f"sendback-{leg.rounds['gate sendback'] - 1}"].data
    text = (
        f"商品已由{parcel.get('carrier') or '承运商'}寄回，运单号 {parcel.get('tracking_no') or '待补'}，请注意查收。"
    )
    async with transaction() as connection:
        await notices.tell_customer(connection, leg, "NTC-06", entry, {"subject": "退货商品已寄回", "text": text})


async def tell_result(case: str) -> None:
    """Tell the customer what was found, a changed cause, and every line of what will be paid (RET-07, MON-17, NTC-05)."""
    leg = await legs.here()
    assert leg.terms is not None
    told = standing(leg.history)
    entry = f"told-{leg.round('told')}"
    if notices.was_told(leg, "NTC-05", entry):
        return
    due = promises.reckon(leg, "refund", leg.terms.returns.refund_bound)
    async with transaction() as connection:
        await notices.tell_customer(
            connection,
            leg,
            "NTC-05",
            entry,
            {
                "result": ("退货包裹在途中丢失" if told.is_lost else _result(told)) + _absent(told),
                "cause": _changed_cause(leg, told),
                "lines": "；".join(f"{line.label} {line.amount:.2f} 元" for line in lines_of(told.bills[-1])),
                "total": told.bills[-1]["total"],
                "bound": clocks.spoken_due(due),
            },
        )


async def keep(case: str) -> None:
    """Keep the units of a bill that was agreed for ever, and put those that can be sold again back to stock (P-24)."""
    leg = await legs.here()
    assert leg.case is not None
    entry = f"kept-{leg.round('kept')}"
    if entry in leg.entries:
        return
    told = standing(leg.history)
    skus = {item["line_no"]: item["sku"] for item in told.items}
    sellable = Counter[int]()
    for item in () if told.is_lost else told.inspections[-1]["items"]:
        if item["grade"] == Grade.SELLABLE:
            sellable[item["line_no"]] += item["quantity"]
    # what came back long ago is in the stock system's counts already
    back = [] if leg.case.is_past else [(line_no, skus[line_no], count) for line_no, count in sorted(sellable.items())]
    async with transaction() as connection:
        await ledger.settle(connection, leg.case.case_no, wanted=told.receipts[-1].kept)
        await stock.restock(connection, case_no=leg.case.case_no, entry=entry, units=back, at=leg.now())
        items = [{"sku": sku, "quantity": quantity} for _, sku, quantity in back]
        await leg.note(connection, entry, kind="kept", data={"restocked": items})


async def expects_more(case: str) -> bool:
    """Whether something that was asked for has not arrived and is still coming, as of this place in the story (P-14)."""
    leg = await legs.here()
    return standing(leg.history).at_receipt(leg.rounds["gate receipt"]).expects_more


def _result(told: Standing) -> str:
    return "、".join(
        f"{told.label(item['line_no'])} {item['quantity']} 件{Grade(item['grade']).label}"
        for item in told.inspections[-1]["items"]
    )


def _absent(told: Standing) -> str:
    """What was asked for and has not come, and what becomes of it (P-14); empty when everything is there."""
    if not told.outstanding:
        return ""
    if told.expects_more:
        return f"；还没有收到：{_named(told)}，收到后另行处理"
    return f"；没有收到：{_named(told)}，按不再寄回处理"


def _named(told: Standing) -> str:
    return "、".join(f"{told.label(line_no)} {count} 件" for line_no, count in told.outstanding.items())


def _changed_cause(leg: Leg, told: Standing) -> str:
    """The cause as found where it is not the one that was claimed."""
    assert leg.terms is not None
    reasons = leg.terms.returns.reasons
    claimed = told.request["reason"]
    items = [] if told.is_lost else told.inspections[-1]["items"]
    found = dict.fromkeys(item["cause"] for item in items if item["cause"] != claimed)
    if not found:
        return reasons[claimed].label
    return f"{'、'.join(reasons[code].label for code in found)}（申请时为{reasons[claimed].label}）"


async def _contact(leg: Leg, gateway: Carrier) -> dict[str, str]:
    """Whom the carrier comes to; a list that people read needs no copy of it (GEN-10)."""
    if isinstance(gateway, PickupList):
        return {}
    assert leg.case is not None
    async with transaction() as connection:
        return await records.reach(connection, leg.case.case_no)
