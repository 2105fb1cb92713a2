"""
What a payment provider and a carrier tell us: read strictly, and told to the case as an event, once each.

The contract is `docs/openapi/callbacks.yaml`. The id of an event is its key in the inbox: the same one counts once,
however often and however close together it is sent.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, StringConstraints
from sqlalchemy.ext.asyncio import AsyncConnection

from aftersales import clock
from aftersales.desk.leg import Leg
from aftersales.gateways.http import printable
from aftersales.rules import decisions, messages, offers
from aftersales.rules.standing import standing
from aftersales.serve.reading import Unreadable
from aftersales.store import cases, journal
from aftersales.store.engine import transaction
from aftersales.words import AWAITED, Event
from tasks import gates, late, outside

Id = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.:-]{1,100}$")]
Key = Annotated[str, StringConstraints(pattern=r"^[A-Z]{2}-[A-Z0-9-]{1,40}/[a-z-]{1,20}-[0-9]{1,4}$")]
Text = Annotated[str, StringConstraints(max_length=200), AfterValidator(printable)]
Sum = Annotated[str, StringConstraints(pattern=r"^[0-9]{1,9}(\.[0-9]{1,2})?$")]


class _Callback(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")

    event_id: Id
    key: Key


class PaymentCallback(_Callback):
    """What became of a refund."""

    event: Literal["refund.succeeded", "refund.failed"]
    amount: Sum = ""
    reference: Text = ""
    reason: Text = ""


class CarrierCallback(_Callback):
    """What became of a parcel."""

    event: Literal["picked_up", "delivered", "lost"]
    carrier: Annotated[str, StringConstraints(max_length=40), AfterValidator(printable)] = ""
    tracking_no: Annotated[str, StringConstraints(pattern=r"^([A-Za-z0-9-]{4,40})?$")] = ""
    freight: Sum = ""
    voucher: Text = ""


@dataclass(frozen=True, slots=True)
class Told:
    """What came of a callback: the case, a sentence, and whether its run is to be woken."""

    case_no: str
    sentence: str
    wakes: bool = False


async def payment(told: PaymentCallback) -> Told:
    """Tell a case that its refund has gone, or has failed. Raises Unable."""
    case_no, step, round_ = _parts(told.key)
    if step != "refund":
        raise Unreadable(f"业务键 {told.key} 不是一笔退款，请照我们发出的 Idempotency-Key 填写。")
    key = f"payment/{told.event_id}"
    entry = f"refund-{round_}"
    if told.event == "refund.failed":
        data = {"key": told.key, "reason": told.reason or "没有说明原因"}
        return await _tell(case_no, Event.REFUND_FAILED, data, key, actor="payment", begun=told.key, entry=entry)
    data = {"key": told.key, "reference": told.reference}
    if told.amount:
        data["amount"] = f"{Decimal(told.amount):.2f}"
    return await _tell(case_no, Event.REFUND_SENT, data, key, actor="payment", begun=told.key, entry=entry)


async def carrier(told: CarrierCallback) -> Told:
    """
    Tell a case that its parcel was picked up, or is lost. Raises Unable.

    *Delivered* changes nothing: what counts is that the warehouse has counted what was in the parcel (RET-06).
    """
    case_no, step, round_ = _parts(told.key)
    gate = {begun: gate for gate, begun in gates.WORK.items()}.get(step)
    if gate not in ("pickup", "sendback"):
        raise Unreadable(f"业务键 {told.key} 不是一件包裹，请照我们发出的 Idempotency-Key 填写。")
    key = f"carrier/{told.event_id}"
    entry = f"{gate}-{round_}"
    parcel = {"carrier": told.carrier, "tracking_no": told.tracking_no}
    match told.event:
        case "lost":
            return await _tell(case_no, Event.PARCEL_LOST, parcel, key, actor="carrier", begun=told.key, entry=entry)
        case "picked_up":
            event = Event.PARCEL_PICKED_UP if gate == "pickup" else Event.PARCEL_SENT_BACK
            data = {**parcel, "freight": told.freight, "voucher": told.voucher, "key": f"{case_no}/{entry}"}
            return await _tell(case_no, event, data, key, actor="carrier", begun=told.key, entry=entry)
    async with transaction() as connection:
        await outside.found(connection, case_no)
    return Told(case_no, f"已收到，{case_no} 不需要处理这条消息。")


async def _tell(
    case_no: str, event: Event, data: Mapping[str, Any], key: str, *, actor: str, begun: str, entry: str
) -> Told:
    """
    Take a message in, once: into the inbox when the case can use it, else into the journal and to people.

    `begun` is the key that the other side speaks of, `entry` the gate that waits for it.
    """
    async with transaction() as connection:
        case, terms = await outside.found(connection, case_no)
        # nobody decides between the look and the row
        await cases.lock(connection, case_no)
        entries = await journal.read(connection, case_no)
        if case.rehearsal is not None or f"{begun.partition('/')[2]}.intent" not in entries:
            raise outside.UnableToFind(f"没有发出过业务键 {begun}，请照我们发出的 Idempotency-Key 填写。")
        values = outside.checked(event, data, by_staff=False)
        repeated = Told(case_no, f"{case_no} 的“{event.label}”已登记过，未重复登记。")
        if await cases.was_received(connection, key):
            return repeated
        decided = entries.get(entry)
        if decided is not None and event is not Event.PARCEL_LOST:
            by_staff = decided.actor in terms.staff()
            no = messages.contradiction(event=event, told=values, decided=decided.data, by_staff=by_staff)
            if not no:
                return Told(case_no, f"{case_no} 的这一步已登记过，未重复登记。")
        else:
            no = await _unusable(connection, case, event, values, entry, entries)
        gate = entry.rpartition("-")[0]
        if no:
            # whoever said that the money had gone hears first that it has not
            who = [each.actor for each in (entries.get(entry.replace("refund", "release")), decided) if each]
            kept = await late.keep(
                connection,
                Leg(driver=None, case=case, terms=terms),  # type: ignore[arg-type]  # nobody tells the story here
                entry=entry,
                gate=gate,
                key=key,
                actor=actor,
                reason=no,
                told=values,
                staff=next((each for each in reversed(who) if each in terms.staff()), ""),
            )
            return Told(case_no, f"已收到，{case_no} 不能采用这条消息，已交给员工核对。") if kept else repeated
        at = clock.now(case)
        await cases.receive(connection, key=key, case_no=case_no, event=event.value, actor=actor, data=values, at=at)
    is_awaited = event in AWAITED.get(case.stage, ())
    later = "" if is_awaited else f"，现在{case.stage.label}，到相应环节时自动采用"
    return Told(case_no, f"{case_no} 已登记“{event.label}”{later}。", wakes=is_awaited)


async def _unusable(
    connection: AsyncConnection,
    case: cases.Case,
    event: Event,
    values: Mapping[str, Any],
    entry: str,
    entries: Mapping[str, journal.Entry],
) -> str:
    """Say why no gate of a case can use a message, now or later; empty when one can."""
    if event is Event.PARCEL_LOST and not entry.startswith("pickup"):
        return f"承运商说寄回客户的包裹已丢失（运单 {values['tracking_no'] or '未说明'}），请向承运商索赔，并联系客户。"
    if case.stage.is_over:
        return f"本单{case.stage.label}，又收到“{event.label}”{_said(values)}，请核对。"
    if event is Event.PARCEL_LOST and not standing(entries.values()).expects_more:
        return f"商品已收货，又收到承运商的“{event.label}”{_said(values)}，请核对。"
    gate = "receipt" if event is Event.PARCEL_LOST else entry.rpartition("-")[0]
    promise = await cases.open_gate(connection, case.case_no, gate)
    if event is Event.REFUND_FAILED or promise is None:
        return ""
    context = promise["gate"]["context"]
    try:
        answer = offers.from_event(event=event, data=values, context=context)
    except ValueError as error:
        return str(error)
    no = decisions.disagreement(gate=gate, answer=answer, context=context)
    return f"“{event.label}”的消息{_said(values)}没有采用：{no}" if no else ""


def _said(values: Mapping[str, Any]) -> str:
    names = {"amount": "金额", "reference": "流水号", "tracking_no": "运单", "reason": "原因"}
    said = "，".join(f"{title} {values[name]}" for name, title in names.items() if values.get(name))
    return f"（{said}）" if said else ""


def _parts(key: str) -> tuple[str, str, str]:
    case_no, _, entry = key.partition("/")
    step, _, round_ = entry.rpartition("-")
    return case_no, step, round_


READERS: dict[str, tuple[type[PaymentCallback] | type[CarrierCallback], Callable[..., Any]]] = {
    "payment": (PaymentCallback, payment),
    "carrier": (CarrierCallback, carrier),
}
