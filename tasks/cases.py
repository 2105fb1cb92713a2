"""Opening and ending cases: the only code that gives a case its number, its holds and its end."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import cache
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy.ext.asyncio import AsyncConnection

from aftersales import clock, forms
from aftersales import terms as rulebook
from aftersales.desk import leg as legs
from aftersales.desk.leg import Leg
from aftersales.rules import authority, clocks, eligibility, masking, money, quality, units
from aftersales.rules import surveys as rules
from aftersales.rules import visits as calling
from aftersales.rules.standing import bill_data, standing
from aftersales.store import applications, cases, facts, parks, people, surveys, visits, work
from aftersales.store import imported as import_store
from aftersales.store import units as ledger
from aftersales.store.engine import transaction
from aftersales.terms import Terms
from aftersales.words import (
    PREFECT,
    Bill,
    Event,
    Order,
    OrderLine,
    Process,
    Right,
    Shipping,
    Stage,
    Surveyed,
    Unable,
    VisitKind,
    Wanted,
    Way,
)
from tasks import complaints, desks, gates, notices, promises


class UnableToOpen(Unable):
    """An application cannot be opened; the sentence says why and what to do instead (design §3)."""


@cache
def current_terms() -> Terms:
    """The terms in force, read once a process (a change of `config/` comes into force with the next start)."""
    return rulebook.load()


@dataclass(frozen=True, slots=True)
class Imported:
    """What an import knows of an application beyond its form: when it was made, which lines it means, where it stood."""

    source: str
    invoice: str
    rows: Mapping[str, int]
    asked_on: date
    lines: Mapping[int, int]
    # it was settled long ago: nobody outside is asked or told anything any more
    is_past: bool

    def as_facts(self) -> dict[str, Any]:
        """As the case keeps it."""
        return {"source": self.source, "invoice": self.invoice, "is_past": self.is_past}


async def open_return(request: Mapping[str, Any], *, imported: Imported | None = None) -> str | None:
    """
    Open a return: check the request, hold its units, quote it, give it a number, acknowledge it (RET-01, NTC-01).

    Answers the case number, the same in every later telling. An application that cannot be opened answers None: the
    run is named 未受理 and carries the sentence, and the journal of refusals has a row.
    """
    leg = await legs.here()
    if case_no := await known(leg):
        return case_no
    if (masked := masking.scrub_all(request)) != request:
        await leg.driver.hide(masked)
        request = masked
    async with transaction() as connection:
        refusal = await cases.refusal_of_run(connection, leg.driver.run_id)
    if refusal is None:
        try:
            return await _open(leg, request, imported)
        except (forms.Misfilled, UnableToOpen) as error:
            refusal = masking.forget(masking.scrub(str(error)), request)
            if (masked := masking.scrub_all(request, keep=())) != request:
                await leg.driver.hide(masked)
                request = masked
            await _write_refusal(leg, request, refusal)
    order_no = str(_field(request, "order_no"))[:64]
    async with transaction() as connection:
        is_rehearsed = await cases.rehearsal_of_order(connection, order_no.replace("\x00", "")) is not None
    await leg.driver.show(
        name=f"{Process.RETURNS.label} 未受理 {order_no}".strip(),
        tags=[Process.RETURNS.label, "未受理", *([desks.REHEARSED] if is_rehearsed else [])],
        pages={f"refused-{str(leg.driver.run_id)[:13]}": f"# 未受理\n\n{refusal}"},
    )
    return None


async def amend(case: str, correction: Mapping[str, Any]) -> None:
    """
    Put a corrected application in the place of the old one: new holds, a new quote (RET-04).

    A correction that cannot be held (units taken meanwhile, an unknown SKU) changes nothing; the reviewer sees why.
    """
    leg = await legs.here()
    assert leg.case is not None
    assert leg.terms is not None
    entry = f"amended-{leg.round('amended')}"
    if entry in leg.entries or f"{entry}.refused:rule" in leg.entries:
        return
    last = _request(leg)
    request = {
        **last,
        "reason": correction.get("reason") or last["reason"],
        "shipping": correction.get("shipping") or last["shipping"],
        "remark": correction.get("remark") or last["remark"],
        # what was given once is never asked for again (POL-08)
        "evidence": list(dict.fromkeys([*standing(leg.history).evidence, *(correction.get("evidence") or [])])),
        "items": correction.get("items") or [{"sku": i["sku"], "quantity": i["quantity"]} for i in last["items"]],
    }
    try:
        async with transaction() as connection:
            await cases.one_at_a_time(connection, leg.case.order_no)
            await ledger.release(connection, leg.case.case_no)
            data = await _hold(connection, leg.terms, leg.case.case_no, request)
            await leg.note(connection, entry, kind="amended", data=data)
    except UnableToOpen as error:
        async with transaction() as connection:
            await leg.note(
                connection,
                f"{entry}.refused:rule",
                kind="refused",
                data={"reason": f"补正内容未采用：{error}", "gate": "correction"},
            )


async def needs_person(case: str) -> bool:
    """Whether the application as it stands goes to the after-sales manager (POL-04, P-23, AMB-50)."""
    leg = await legs.here()
    return bool(_request(leg)["quote"]["needs_person"])


async def confirm(case: str) -> None:
    """Tell the customer that the application was approved (RET-02, NTC-02)."""
    leg = await legs.here()
    if notices.was_told(leg, "NTC-02", "confirmed-0"):
        return
    shipping = _request(leg)["shipping"]
    following = (
        "请将商品寄回，并把承运商和运单号告诉客服。"
        if shipping == Shipping.SELF
        else "我们会安排上门取件，请保持电话畅通。"
    )
    async with transaction() as connection:
        await notices.tell_customer(connection, leg, "NTC-02", "confirmed-0", {"next": following})


async def explain_rejection(case: str, answer: Any, *, final: bool) -> None:
    """Tell the customer why the application was rejected and what is missing (RET-04, NTC-03)."""
    leg = await legs.here()
    entry = f"explained-{leg.round('explained')}"
    if notices.was_told(leg, "NTC-03", entry):
        return
    missing = "、".join(answer.data.get("missing") or [])
    guidance = "如有疑问请联系客服。" if final else f"请补充：{missing or '相关材料'}，并联系客服重新提交。"
    async with transaction() as connection:
        await notices.tell_customer(
            connection, leg, "NTC-03", entry, {"reason": answer.data.get("reason", ""), "guidance": guidance}
        )


async def close(case: str) -> str:
    """End a case whose refunds are paid: completion, the due revisit, the ledger settled (RET-11, RET-13, NTC-08)."""
    leg = await legs.here()
    return await _end(leg, Stage.CLOSED)


async def reject(case: str) -> str:
    """End a case that was rejected or given up; its units are free again (RET-04)."""
    leg = await legs.here()
    return await _end(leg, Stage.REJECTED)


async def cancel(case: str) -> str:
    """End a case that the customer cancelled before receipt; its units are free again (RET-17, NTC-09)."""
    leg = await legs.here()
    return await _end(leg, Stage.CANCELLED)


async def open_complaint(case: str) -> None:
    """Open a complaint about a case, once: a row with a number and an owner, linked both ways (RET-08, CMP-01)."""
    leg = await legs.here()
    assert leg.case is not None
    assert leg.terms is not None
    entry = f"complaint-{leg.round('complaint')}"
    if entry in leg.entries:
        return
    told = standing(leg.history)
    assert told.resolution is not None, "the manager has decided before this step"
    decided = told.resolution
    async with transaction() as connection:
        complaint_no = await complaints.open_complaint(
            connection,
            leg,
            entry=entry,
            about=case,
            order_no=leg.case.order_no,
            channel=leg.case.channel,
            reason=decided["reason"],
            operator=leg.case.operator,
            told=f"售后单 {case} 转为投诉 {complaints.NUMBER}：{decided['reason']}。请联系客户处理。",
        )
        await leg.note(connection, entry, kind="complaint", data={"complaint_no": complaint_no}, rule="RET-08")


# --- opening --------------------------------------------------------------------------------------------------------


async def begin(process: Process, by_hand: str) -> str | None:
    """
    Find the case that this run tells, of a process whose cases the system opens by itself.

    None, and a page that says so (`by_hand`), for a run that somebody started by hand.
    """
    leg = await legs.here()
    if case_no := await known(leg):
        return case_no
    await leg.driver.show(
        name=f"{process.label} 未受理",
        tags=[process.label, "未受理"],
        pages={f"refused-{str(leg.driver.run_id)[:13]}": f"# 未受理\n\n{by_hand}"},
    )
    return None


async def known(leg: Leg) -> str | None:
    """Load the case this run tells, when it has one already (a later telling, or a rebuilt run)."""
    async with transaction() as connection:
        case_no = await cases.case_of_run(connection, leg.driver.run_id)
        if case_no is None and leg.driver.case_no is not None:
            case_no = leg.driver.case_no
            await cases.link_run(connection, leg.driver.run_id, case_no)
        if case_no is None:
            return None
        await leg.load(connection, case_no, current_terms())
        assert leg.case is not None
        leg.terms = await terms_of(connection, leg.case)
    return case_no


async def terms_of(connection: AsyncConnection, case: cases.Case) -> Terms:
    """The terms a case was opened under, with today's people and calendars (GEN-07)."""
    live = current_terms()
    if case.terms_hash == rulebook.fingerprint(live):
        return live
    return rulebook.restore(await cases.terms_document(connection, case.terms_hash), live=live)


async def _open(leg: Leg, raw: Mapping[str, Any], imported: Imported | None) -> str:
    terms = current_terms()
    reasons = {code: reason.label for code, reason in terms.returns.reasons.items()}
    request = forms.read(forms.ReturnRequest, raw, options={"reason": reasons})
    person = terms.staff().get(request.operator)
    if no := authority.objection(operator=person, named=request.operator, right=Right.APPLY):
        raise UnableToOpen(no)
    values = request.model_dump(mode="json")
    zone = ZoneInfo(terms.house.timezone)

    async with transaction() as connection:
        await cases.one_at_a_time(connection, request.order_no)
        rehearsal = await cases.rehearsal_of_order(connection, request.order_no)
        now = rehearsal[1] if rehearsal else clock.now()
        prefix = "RT-X" if rehearsal else "RT"
        case_no = await cases.next_number(connection, prefix=prefix, on=now.astimezone(zone).date())
        values["asked_on"] = (imported.asked_on if imported else now.astimezone(zone).date()).isoformat()
        values["fingerprint"] = _fingerprint(values)
        if imported is None:
            await _refuse_twin(connection, values)
        data = await _hold(connection, terms, case_no, values, lines=imported.lines if imported else None)
        terms_hash = rulebook.fingerprint(terms)
        await cases.keep_terms(connection, terms_hash, rulebook.dump(terms), now)
        await cases.open_case(
            connection,
            case_no=case_no,
            process=Process.RETURNS,
            order_no=request.order_no,
            channel=data.pop("channel"),
            stage=Stage.OPENED.value,
            owner=terms.returns.stages["review"].owner,
            opened_at=now,
            operator=request.operator,
            terms_hash=terms_hash,
            rehearsal=rehearsal[0] if rehearsal else None,
            facts={"fingerprint": values["fingerprint"]} | ({"imported": imported.as_facts()} if imported else {}),
        )
        if imported is not None:
            try:
                await import_store.place(
                    connection, imported.source, imported.rows, order_no=request.order_no, case_no=case_no
                )
            except import_store.AlreadyPlaced as error:
                raise UnableToOpen(str(error)) from None
        await cases.link_run(connection, leg.driver.run_id, case_no)
        await leg.load(connection, case_no, terms)
        applied = await applications.read(connection, leg.driver.application)
        actor = request.operator
        if applied is not None:
            # whoever started this run may have died before writing that down
            await applications.hand(connection, applied.id, leg.driver.run_id)
            actor = Way(applied.via).actor
            data |= {"via": applied.via, "application": str(applied.id)}
        await leg.note(connection, "opened", kind="opened", actor=actor, data=data, rule="RET-01")
        await _acknowledge(connection, leg, data["quote"]["total"])
        # inside the transaction: nobody else can know the number before the commit
        await leg.driver.secure(case_no)
    return case_no


async def _hold(
    connection: AsyncConnection,
    terms: Terms,
    case_no: str,
    request: Mapping[str, Any],
    *,
    lines: Mapping[int, int] | None = None,
) -> dict[str, Any]:
    """Hold the units asked for, of these lines if they are known, and quote them. Raises UnableToOpen."""
    order = await facts.load(connection, request["order_no"])
    if order is None:
        raise UnableToOpen(f"没有订单 {request['order_no']}，请核对订单号。")
    try:
        asked = (
            sorted(lines.items())
            if lines
            else units.by_sku(order=order, wanted=[(item["sku"], item["quantity"]) for item in request["items"]])
        )
        wanted = await ledger.hold(
            connection, order_no=order.order_no, wanted=asked, case_no=case_no, process=Process.RETURNS
        )
    except UnableToOpen:
        raise
    except Unable as error:
        raise UnableToOpen(str(error)) from error
    bill = _quote(order, wanted, request, terms)
    names = {line.line_no: line for line in order.lines}
    return {
        "order_no": order.order_no,
        "channel": order.channel,
        "operator": request["operator"],
        "reason": request["reason"],
        "shipping": request["shipping"],
        "wish": request["wish"],
        "remark": request["remark"],
        "evidence": list(request["evidence"]),
        "asked_on": request["asked_on"],
        "items": [
            {
                "line_no": each.line_no,
                "sku": names[each.line_no].sku,
                "name": _shown(names[each.line_no]),
                "quantity": each.quantity,
                "units": [[run.first, run.end] for run in each.units],
            }
            for each in wanted
        ],
        "quote": bill_data(bill),
        "ages": _ages(order, wanted, request, terms),
        "hints": _hints(request, terms),
    }


def _shown(line: OrderLine) -> str:
    """What was bought, with size and color: the warehouse checks against it."""
    return f"{line.name}（{line.variant}）" if line.variant else line.name


def _hints(request: Mapping[str, Any], terms: Terms) -> list[str]:
    """What the reviewer should look at: a claim without the evidence it asks for (POL-02, POL-08)."""
    proof = eligibility.evidence(reason=request["reason"], given=request["evidence"], terms=terms.returns)
    return [] if proof.answer == eligibility.YES else [proof.reason]


def _ages(order: Order, wanted: list[Wanted], request: Mapping[str, Any], terms: Terms) -> list[str]:
    """Why the application is in its age band, for the reviewer to check (POL-02 to POL-04)."""
    judged = eligibility.check(
        order=order,
        wanted=wanted,
        reason=request["reason"],
        asked_on=date.fromisoformat(request["asked_on"]),
        terms=terms.returns.on(order.channel),
        zone=ZoneInfo(terms.house.timezone),
    )
    return list(dict.fromkeys(age.reason for _, age in judged.ages))


def _quote(order: Order, wanted: list[Wanted], request: Mapping[str, Any], terms: Terms) -> Bill:
    """Quote an application. Raises UnableToOpen where no person is even asked (AMB-17 `refuse`)."""
    asked_on = date.fromisoformat(request["asked_on"])
    zone = ZoneInfo(terms.house.timezone)
    returns = terms.returns.on(order.channel)
    judged = eligibility.check(
        order=order, wanted=wanted, reason=request["reason"], asked_on=asked_on, terms=returns, zone=zone
    )
    if judged.refused:
        raise UnableToOpen("；".join(judged.refused))
    return money.quote(
        order=order,
        wanted=wanted,
        reason=request["reason"],
        asked_on=asked_on,
        shipping=Shipping(request["shipping"]),
        terms=returns,
        zone=zone,
    )


def _fingerprint(values: Mapping[str, Any]) -> str:
    kept = {name: values[name] for name in ("order_no", "items", "reason", "shipping")}
    return hashlib.sha256(json.dumps(kept, sort_keys=True, ensure_ascii=False).encode()).hexdigest()[:16]


async def _refuse_twin(connection: AsyncConnection, values: Mapping[str, Any]) -> None:
    """Refuse the same application submitted twice (double click, *Copy to new run*). Raises UnableToOpen."""
    for case in await cases.of_order(connection, values["order_no"]):
        if case.closed_at is None and case.facts.get("fingerprint") == values["fingerprint"]:
            raise UnableToOpen(
                f"订单 {values['order_no']} 已有内容相同的售后单 {case.case_no}，请在该单中处理，不必重复提交。"
            )


async def _acknowledge(connection: AsyncConnection, leg: Leg, total: str) -> None:
    assert leg.case is not None
    assert leg.terms is not None
    promised = leg.terms.returns.on(leg.case.channel).stages["review"]
    due = promises.reckon(leg, "review", promised.limit)
    await notices.tell_customer(
        connection, leg, "NTC-01", "opened", {"due": f"在 {clocks.spoken_due(due)}", "total": total}
    )


async def _write_refusal(leg: Leg, request: Mapping[str, Any], reason: str) -> None:
    async with transaction() as connection:
        await cases.refuse(
            connection,
            at=clock.now(),
            operator=str(_field(request, "operator"))[:64].split(" ")[0],
            order_no=str(_field(request, "order_no"))[:64].replace("\x00", ""),
            reason=reason.replace("\x00", ""),
            run_id=leg.driver.run_id,
            data={},
        )
        if applied := await applications.read(connection, leg.driver.application):
            await applications.hand(connection, applied.id, leg.driver.run_id)


def _field(request: Any, name: str) -> Any:
    return request.get(name, "") if isinstance(request, Mapping) else ""


def _request(leg: Leg) -> Mapping[str, Any]:
    return standing(leg.history).request


# --- ending ---------------------------------------------------------------------------------------------------------


async def end(leg: Leg, stage: Stage, settle: Callable[[AsyncConnection], Awaitable[None]] | None = None) -> str:
    """
    End a case, once: nothing of it is owed or told by time any more; answers its number.

    `settle` does in the same transaction what the end means for its process.
    """
    assert leg.case is not None
    assert leg.terms is not None
    case_no = leg.case.case_no
    await gates.keep_unread(leg)
    if "closed" not in leg.entries:
        async with transaction() as connection:
            now = leg.now()
            await cases.lock(connection, case_no)
            await parks.end(connection, case_no, None, now)
            await cases.end_promise(connection, case_no, None, now)
            told_by_time = leg.terms.escalation.notices
            settled = [*told_by_time, *notices.QUESTION]
            reason = "售后单已结束，不用再通知"
            await notices.withdraw(connection, case_no, None, notices=settled, reason=reason, at=now)
            if settle is not None:
                await settle(connection)
            await leg.note(connection, "closed", kind="closed", data={"stage": stage.value})
            await plan_survey(connection, leg.case, terms=leg.terms, stage=stage, at=now)
            await cases.move(connection, case_no, stage=stage, closed_at=now)
    await desks.show(leg, stage=stage)
    return case_no


async def plan_survey(
    connection: AsyncConnection, case: cases.Case, *, terms: Terms, stage: Stage, at: datetime, is_solved: bool = True
) -> None:
    """
    Write down that the customer is asked how it went, or why not: one survey a closure (SVY-01, SVY-02, CMP-08, P-22).

    In the transaction that ends the case.
    """
    about = await cases.read(connection, str(case.facts.get("about", "")))
    answered = await surveys.of_case(connection, about.case_no) if about else None
    if await people.of_order(connection, case.order_no) is None or not rules.is_asked_about(
        process=Process(case.process),
        stage=stage,
        is_past=case.is_past,
        is_solved=is_solved,
        about=Process(about.process) if about else None,
        was_dissatisfied=answered is not None and answered["satisfied"] is False,
    ):
        return
    survey = terms.survey
    # two cases of one order that end at once must see each other
    await surveys.one_order_at_a_time(connection, case.order_no)
    no = rules.objection(
        is_opted_out=await people.is_opted_out(connection, case.order_no),
        asked_about=await surveys.last_of_order(connection, case.order_no, besides=case.case_no),
        at=at,
        survey=survey,
        calendars=terms.calendars,
        house=terms.house,
    )
    send_at = rules.until(at, survey.send_after, calendars=terms.calendars, house=terms.house)
    await surveys.plan(
        connection,
        case_no=case.case_no,
        order_no=case.order_no,
        rehearsal=case.rehearsal,
        state=(Surveyed.SKIPPED if no else Surveyed.WAITING).value,
        reason=no,
        terms=survey.kept(),
        ended_at=at,
        next_at=None if no else send_at,
    )


async def _end(leg: Leg, stage: Stage) -> str:
    """End a return: its units are settled or free again, and who must know is told."""

    async def settle(connection: AsyncConnection) -> None:
        assert leg.case is not None
        assert leg.terms is not None
        case_no = leg.case.case_no
        for receipt in standing(leg.history).receipts:
            # what has arrived and stayed is dealt with, paid or not: it cannot be asked for a second time
            if not receipt.is_sent_back and not receipt.is_lost:
                await ledger.settle(connection, case_no, wanted=receipt.kept)
        await ledger.release(connection, case_no)
        await work.drop(connection, case_no)
        if stage is Stage.CLOSED:
            await _complete(connection, leg)
        if stage is Stage.CANCELLED:
            await notices.tell_customer(connection, leg, "NTC-09", "cancelled-0", {"cause": _why_cancelled(leg)})
            await _call_off(connection, leg)
        told = [entry.entry for entry in leg.history if entry.kind == "decision"]
        if not leg.case.is_past and quality.is_sampled(case_no, percent=leg.terms.returns.quality_sample, decided=told):
            await leg.note(connection, "quality-0", kind="sample", rule="RET-16")
        await _tell_of_untaken(connection, leg)

    return await end(leg, stage, settle)


async def _tell_of_untaken(connection: AsyncConnection, leg: Leg) -> None:
    """Tell the warehouse of parcels that came and that nothing in the case was waiting for any more (RET-06)."""
    assert leg.case is not None
    assert leg.terms is not None
    owner = leg.terms.returns.stages["receipt"].owner
    while parcel := await cases.waiting(connection, leg.case.case_no, [Event.PARCEL_RECEIVED.value]):
        await cases.take(connection, parcel["id"], leg.now())
        number = parcel["data"].get("tracking_no") or "（无运单号）"
        reason = f"包裹 {number} 已到仓库，但本单已结束，没有办理，请单独存放并联系售后服务部。"
        late = await leg.note(
            connection, f"closed.late:{parcel['key']}", kind="late", actor=parcel["actor"], data={"reason": reason}
        )
        if late is not None:
            await notices.tell_department(connection, leg, late.entry, owner, reason)


def _why_cancelled(leg: Leg) -> str:
    """Why a case ended before its goods came: taken back, or nobody answered in time (RET-04, AMB-52, NUM-223, RET-17)."""
    if (taken_back := leg.entries.get("cancelled-0")) is not None and taken_back.actor == PREFECT:
        return "由店铺取消，如非您的要求请联系客服"
    lapsed = [told.entry.rpartition("-")[0] for told in leg.history if told.data.get("lapsed")]
    if not lapsed:
        return "按您的要求取消"
    return {
        "question": "未在期限内收到您的答复",
        "correction": "未在期限内收到补正材料",
        "pickup": "未在期限内收到寄回的商品",
    }[lapsed[-1]]


async def _call_off(connection: AsyncConnection, leg: Leg) -> None:
    """Tell logistics of a pick-up that was arranged for a case that is cancelled: nobody else can stop it (RET-17)."""
    assert leg.terms is not None
    pickup = standing(leg.history).pickup
    if pickup is not None and not pickup.get("lapsed"):
        parcel = f"（运单 {pickup['tracking_no']}）" if pickup.get("tracking_no") else ""
        text = f"商品已在途{parcel}：能截回的请联系承运商截回；到仓的按无主包裹登记，由物流与客户商定寄回。"
    elif "book-pickup-0.intent" in leg.entries:
        text = "取件已安排过：请联系承运商取消上门取件。"
    else:
        return
    owner = leg.terms.returns.stages["pickup"].owner
    await notices.tell_department(connection, leg, "cancelled-0", owner, f"本单已取消，{text}")


async def _complete(connection: AsyncConnection, leg: Leg) -> None:
    assert leg.case is not None
    assert leg.terms is not None
    paid = standing(leg.history).refunded
    await notices.tell_customer(connection, leg, "NTC-08", "closed", {"amount": f"{paid:.2f}"})
    if leg.case.is_past:
        return
    promised = leg.terms.returns.revisit
    zone = ZoneInfo(leg.terms.house.timezone)
    due = clocks.due(start_at=leg.now(), limit=promised.limit, calendars=leg.terms.calendars, house=leg.terms.house)
    last = (due.due_at.astimezone(zone) - timedelta(microseconds=1)).date()
    due_on = calling.within(last, earliest=leg.now().astimezone(zone).date(), terms=leg.terms)
    await visits.plan(
        connection,
        key=calling.key(VisitKind.RETURN, leg.case.case_no),
        order_no=leg.case.order_no,
        case_no=leg.case.case_no,
        rehearsal=leg.case.rehearsal,
        kind=VisitKind.RETURN.value,
        owner=promised.owner,
        due_on=due_on,
        rule=promised.rule,
        created_at=leg.now(),
    )
    await leg.note(connection, "visit-0", kind="visit", data={"due_on": due_on.isoformat()}, rule=promised.rule)
