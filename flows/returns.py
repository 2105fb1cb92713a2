"""
Returns (退货): from the customer's request to the money back.

    review       we decide within 24 hours                              RET-02 … RET-04
    question     the customer is asked first: the clock stands still    NUM-223
    exception    what no rule decides goes to the after-sales manager   POL-04, POL-06, P-23
    pickup       the goods travel back within 3 working days            RET-05, AMB-52
    receipt      the warehouse books what arrived, also in part         RET-06, P-14
    inspection   we look at it within 1 working day                     RET-07
    resolution   what did not pass goes to the manager, 1 working day   RET-08, MON-20
    refund       the money goes back the way it came, 2 working days    RET-09, RFD-02
    revisit      we ask how it went, within a week                      RET-13
"""

from __future__ import annotations

from prefect import flow

from aftersales import desk
from aftersales.forms import Raw
from aftersales.words import Event
from tasks import cases, gates, money, parcels, questions


@flow(name="returns", **desk.story)
async def returns(request: Raw = None) -> str:
    """
    退货退款：客服提交申请后，依次等待审核、取件、收货、验收、退款，每一步都有责任部门和时限。
    """
    case = await cases.open_return(request)
    if case is None:
        return "未受理"
    try:
        if not await accepted(case):
            return await cases.reject(case)
        await sent_back(case)
        paid = False
        while await parcels.expects_more(case):
            paid = await paid_for_one_parcel(case) or paid
        if paid and await money.owes_freight(case):
            await money.reimburse(case)
            await gates.expect(case, "reimbursement", Event.FREIGHT_REIMBURSED)
            await money.tell_reimbursed(case)
        return await (cases.close(case) if paid else cases.reject(case))
    except gates.Cancelled:
        return await cases.cancel(case)


async def accepted(case: str) -> bool:
    """Review the application until it is approved or given up; what no rule decides goes to the manager."""
    while (review := await decided(case, "review")).rejected:
        await cases.explain_rejection(case, review, final=False)
        correction = await gates.decide(case, "correction")
        if correction.withdrawn:
            return False
        await cases.amend(case, correction.data)

    if await cases.needs_person(case) and not await allowed(case):
        return False

    await cases.confirm(case)
    return True


async def decided(case: str, gate: str) -> gates.Answer:
    """Have a gate decided; a question to the customer in between pauses its window, and silence closes a review."""
    while (answer := await gates.decide(case, gate)).asks:
        await questions.ask(case, answer)
        if (await gates.decide(case, "question")).unanswered:
            await questions.go_on(case, gate)
    return answer


async def allowed(case: str) -> bool:
    """Let the after-sales manager decide what no rule decides; the customer is told of a refusal."""
    exception = await gates.decide(case, "exception")
    if exception.rejected:
        await cases.explain_rejection(case, exception, final=True)
    return not exception.rejected


async def sent_back(case: str) -> None:
    """Have the goods picked up, or wait until the customer has sent them (transit is only watched, RET-06)."""
    if not await parcels.is_self_shipped(case):
        await parcels.book_pickup(case)
    await parcels.tell_how_to_send(case)
    await gates.expect(case, "pickup", Event.PARCEL_PICKED_UP)


async def paid_for_one_parcel(case: str) -> bool:
    """Receive, inspect and pay for one parcel; False when it brings no money (yet): lost, sent back, a complaint."""
    receipt = await gates.expect(case, "receipt", Event.PARCEL_RECEIVED, Event.PARCEL_LOST)
    if receipt.lost:
        # nothing came: logistics looks for it, and a loss that is confirmed goes to the manager
        tracing = await gates.decide(case, "tracing")
        return tracing.lost and await allowed(case) and await agreed(case) and await paid(case)

    if receipt.brings_nothing:
        await parcels.tell_missing(case)
        return False

    await parcels.start_outer_limit(case)
    inspection = await decided(case, "inspection")
    if inspection.failed and not await let_through(case):
        return False
    return await agreed(case) and await paid(case)


async def let_through(case: str) -> bool:
    """Ask whether goods that did not pass are paid for; what an older story had settled by exception stays settled."""
    if await parcels.is_let_through(case):
        return await allowed(case)
    await parcels.tell_failed(case)
    return await resolved(case)


async def resolved(case: str) -> bool:
    """Let the manager say what becomes of goods that are not simply paid for; True when money goes back (RET-08)."""
    await money.reckon(case)
    resolution = await gates.decide(case, "resolution")
    if resolution.pays:
        await parcels.tell_granted(case)
        return True
    await parcels.tell_resolved(case)
    if resolution.sends_back:
        await parcels.send_back(case)
        await gates.expect(case, "sendback", Event.PARCEL_SENT_BACK)
        await parcels.tell_sent_back(case)
    else:
        await cases.open_complaint(case)
    return False


async def agreed(case: str) -> bool:
    """Settle what is due and have everybody agree who must; a bill that somebody refuses goes to the manager."""
    while True:
        await money.settle(case)
        if (not await money.needs_person(case) or not (await gates.decide(case, "exception")).rejected) and (
            not await money.needs_countersign(case) or not (await gates.decide(case, "countersign")).rejected
        ):
            return True
        await money.void(case)
        if not await resolved(case):
            return False


async def paid(case: str) -> bool:
    """Keep the goods and pay the bill that was agreed, and see that the money has gone."""
    await parcels.keep(case)
    await parcels.tell_result(case)
    if await money.nothing_to_pay(case):
        if await money.must_tell_first(case):
            await gates.decide(case, "release")
        return True
    if await money.goes_by_itself(case):
        await gates.decide(case, "release")
    await money.refund(case)
    await gates.expect(case, "refund", Event.REFUND_SENT)
    await money.tell_refunded(case)
    return True
