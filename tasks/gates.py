"""
Gates: where a story waits for a person (`decide`) or for the world (`expect`).

A gate looks in the journal first; whoever wrote the answer first has decided (design §3).
What arrives by form, command or event goes through `accept`, so that all are held to the same rules.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from aftersales import forms
from aftersales.desk import leg as legs
from aftersales.desk.leg import FormAnswer, Leg
from aftersales.rules import authority, clocks, decisions, deliveries, ladders, masking, messages, offers, surveys
from aftersales.rules import standing as standings
from aftersales.store import boards, cases, journal, lists, orders, parks, records, work
from aftersales.store.engine import transaction
from aftersales.store.journal import Entry
from aftersales.terms import Terms
from aftersales.words import AWAITED, DESK, Event, Heard, Stage, Unable, matter
from tasks import desks, heard, late, money, notices, promises

# the step whose work-list item a gate's answer strikes off
WORK = {"pickup": "book-pickup", "sendback": "send-back", "refund": "refund", "reimbursement": "reimburse"}


@dataclass(frozen=True, slots=True)
class Answer:
    """What was decided at a gate: the form's values as codes, by whom, when."""

    data: Mapping[str, Any]
    actor: str
    at: datetime

    @property
    def rejected(self) -> bool:
        """True when the decision is a rejection."""
        return self.data.get("decision") == "reject"

    @property
    def withdrawn(self) -> bool:
        """True when the customer gave up."""
        return self.data.get("decision") == "withdraw"

    @property
    def failed(self) -> bool:
        """True when the goods did not pass the inspection."""
        return self.data.get("result") == "fail"

    @property
    def lost(self) -> bool:
        """True when a parcel is said to be lost, or the search for it has confirmed that."""
        return "lost" in (self.data.get("rest"), self.data.get("result"))

    @property
    def unreached(self) -> bool:
        """True when the customer could not be reached (FUP-12)."""
        return self.data.get("result") == Heard.UNREACHED

    @property
    def dissatisfied(self) -> bool:
        """True when the customer is still dissatisfied (AMB-40)."""
        return self.data.get("result") == Heard.DISSATISFIED

    @property
    def asks(self) -> bool:
        """True when the customer is asked something first, and the gate opens again after the answer."""
        return standings.asks(self.data)

    @property
    def unanswered(self) -> bool:
        """True when the customer did not answer, and the case goes on without: its goods are here."""
        return bool(self.data.get("unanswered"))

    @property
    def brings_nothing(self) -> bool:
        """True when the rest of the goods is not coming any more, and no parcel came with that."""
        return self.data.get("rest") == "none" and not self.data.get("items")

    @property
    def pays(self) -> bool:
        """True when money goes back for goods that did not pass."""
        return self.data.get("decision") in ("refund", "partial")

    @property
    def sends_back(self) -> bool:
        """True when goods that did not pass go back to the customer."""
        return self.data.get("decision") == "send_back"


# the way of an answer that no person gave: time did
LAPSE = "lapse"


class Cancelled(Exception):
    """The case was cancelled before its goods arrived, or nobody answered in time (RET-17, RET-04, AMB-52, NUM-223)."""


class AlreadyDecided(Unable):
    """Somebody else was first; the sentence says who and when."""


class Refused(Unable):
    """A decision breaks a rule; the sentence says which."""


async def decide(case: str, gate: str) -> Answer:
    """
    Wait for a person's decision at a gate (design §3).

    Raises Cancelled when the customer cancels before the goods have arrived.
    """
    return await _pass(case, gate, ())


async def expect(case: str, gate: str, *events: Event) -> Answer:
    """
    Wait for one of some events; staff may confirm it in the form instead.

    Raises Cancelled when the customer cancels before the goods have arrived.
    """
    return await _pass(case, gate, events)


async def wrong(
    connection: AsyncConnection,
    *,
    case: cases.Case,
    terms: Terms,
    promise: Mapping[str, Any],
    answer: Mapping[str, Any],
    operator: str,
    at: datetime,
    is_by_time: bool = False,
) -> str:
    """
    Say why an answer to an open gate cannot be taken now; empty when it can.

    `operator` is a staff id, empty for an event from outside; `is_by_time` means that nobody answered in time.
    """
    gate = promise["gate"]["gate"]
    context = {**promise["gate"]["context"], **await _at_answer(connection, gate, case, terms, at=at)}
    if operator and (no := objection(promise, operator, answer, terms, not_by=context.get("not_by", ()))):
        return no
    local = clocks.in_house(at, house=terms.house)
    if not is_by_time and (no := decisions.disagreement(gate=gate, answer=answer, context=context, at=local)):
        return no
    # a channel that says it has paid needed none
    if operator and context.get("needs_account") and not await records.has_account(connection, case.case_no):
        what = "补运费要转到客户的收款账户" if gate == Stage.REIMBURSEMENT else "不能原路退款"
        return (
            f"{case.case_no} {what}，请先登记收款账户（填“收款账户登记”表单，或用 aftersales case account），再来确认。"
        )
    return ""


async def accept(
    connection: AsyncConnection,
    *,
    case: cases.Case,
    terms: Terms,
    promise: Mapping[str, Any],
    answer: Mapping[str, Any],
    operator: str,
    via: str,
    at: datetime,
) -> Entry:
    """
    Take an answer to an open gate into the journal, if it breaks no rule and nobody was first.

    `promise` is the row of the gate; `operator` a staff id, empty for an event from outside; `via` tells the way.
    Raises forms.Misfilled, Refused, AlreadyDecided or heard.NotLeft.
    """
    gate, entry = promise["gate"]["gate"], promise["entry"]
    # the case first, then its promise: the order in which a case is ended, else the two wait for each other; before
    # anything is looked at, so that nothing which the answer must agree with changes meanwhile (RET-06)
    is_open = await cases.lock_gate(connection, case.case_no, entry)
    if no := await wrong(
        connection,
        case=case,
        terms=terms,
        promise=promise,
        answer=answer,
        operator=operator,
        at=at,
        is_by_time=via == LAPSE,
    ):
        raise Refused(no)
    if not is_open and await journal.find(connection, case.case_no, entry) is None:
        raise Refused(f"{case.case_no} 已结束这个环节，不再接收提交，请刷新后查看。")
    if gate == Stage.VISIT and await journal.find(connection, case.case_no, entry) is None:
        leg = Leg(driver=None, case=case, terms=terms)  # type: ignore[arg-type]  # nobody tells the story here
        answer = {**answer, **await heard.settle(connection, leg, entry=entry, answer=answer, operator=operator, at=at)}
    written = await journal.add(
        connection,
        case.case_no,
        entry,
        kind="decision",
        at=at,
        actor=operator or answer.get("actor", "system"),
        due_at=promise["due_at"],
        rule=promise["rule"],
        data={**answer, "via": via, **clocks.noted(promises.owed(promise, house=terms.house))},
    )
    if written is None:
        standing = await journal.find(connection, case.case_no, entry)
        assert standing is not None, "a name that is taken stands in the journal"
        raise AlreadyDecided(await told_late(case.case_no, gate, standing, terms))
    await cases.end_promise(connection, case.case_no, entry, at)
    if gate == Stage.VISIT:
        await heard.let_go(connection, case.case_no, promise, terms, at=at)
    elif promise["rungs"] or standings.asks(answer):
        told_by_time = terms.escalation.notices
        reason = promises.ASKED if standings.asks(answer) else deliveries.DONE
        await notices.withdraw(connection, case.case_no, entry, notices=told_by_time, reason=reason, at=at)
    if gate == Stage.PICKUP and promise["lapses_at"] is not None:
        reason = "客户逾期没有寄出" if via == LAPSE else "客户已寄出，不用再提醒"
        await notices.withdraw(connection, case.case_no, entry, notices=("NTC-04",), reason=reason, at=at)
    if gate == Stage.REVISIT:
        await notices.withdraw(
            connection, case.case_no, entry, notices=(DESK,), rung=notices.OPENED, reason=deliveries.DONE, at=at
        )
    if gate == standings.QUESTION:
        reason = "客户没有答复，已过期限" if via == LAPSE else "客户已答复，不用再通知"
        await notices.withdraw(connection, case.case_no, entry, notices=notices.QUESTION, reason=reason, at=at)
    if gate in WORK:
        begun = f"{WORK[gate]}-{entry.rpartition('-')[2]}"
        await work.finish(connection, f"{case.case_no}/{begun}", reference=answer.get("reference", ""), at=at)
        await parks.end(connection, case.case_no, begun, at)
        leg = Leg(driver=None, case=case, terms=terms)  # type: ignore[arg-type]  # nobody tells the story here
        await late.sweep(connection, leg, gate, written)
        if unasked := answer.get("unasked"):
            text = f"已人工登记退款 {answer['amount']} 元，但不知道支付渠道是否也退了（{unasked}），请向支付渠道核对 {case.case_no}/{entry}。"
            await notices.tell_department(connection, leg, f"{entry}.unasked", promise["owner"], text)
    return written


# where an answer says that money has gone
PAYING = (Stage.REFUND, Stage.REIMBURSEMENT)

# the gates whose answers must agree with what may have changed since their form was drawn
CHANGEABLE = ("review", "tracing", "refund", "reimbursement")
# where a customer is heard out about what others did
HEARING = (Stage.REVISIT, Stage.SUPERVISOR)


async def _at_answer(
    connection: AsyncConnection, gate: str, case: cases.Case, terms: Terms, *, at: datetime
) -> dict[str, Any]:
    """What an answer must agree with at its instant, beyond what its gate wrote down when it opened."""
    if gate in HEARING:
        able = [person.id for person in terms.who_may(authority.RIGHTS[gate], terms.promised(gate).owner)]
        return {"not_by": surveys.not_by(await _worked_on_it(connection, gate, case), able=able)}
    if gate == Stage.RESOLUTION:
        return {"due": await money.due(connection, case, terms, at=at)}
    if gate not in CHANGEABLE:
        return {}
    told = standings.standing((await journal.read(connection, case.case_no)).values())
    has_parcel = gate == "tracing" and await cases.waiting(connection, case.case_no, [Event.PARCEL_RECEIVED.value])
    return offers.at_answer(gate=gate, standing=told, terms=terms.returns, has_parcel=bool(has_parcel))


async def _worked_on_it(connection: AsyncConnection, gate: str, case: cases.Case) -> set[str]:
    """Whose work a customer speaks of: of the case that a second revisit is about; to a supervisor, of the first call too."""
    about = await cases.read(connection, case.facts["about"])
    assert about is not None, "a second revisit is about a case"
    worked = surveys.worked_on_it(about.operator, (await journal.read(connection, about.case_no)).values())
    if gate == Stage.SUPERVISOR:
        worked |= surveys.worked_on_it(case.operator, (await journal.read(connection, case.case_no)).values())
    return worked


def read_form(
    gate: str,
    answer: Mapping[str, Any],
    promise: Mapping[str, Any],
    *,
    options: Mapping[str, Mapping[str, str]] | None = None,
) -> tuple[dict[str, Any], str]:
    """
    Read a form's answer: its values as codes with personal data masked, and the operator.

    `options` replaces what the gate's drop-downs offer.

    Raises forms.Misfilled.
    """
    form = forms.GATES[gate]
    taken = forms.read(
        form, answer, options=options_of(promise) if options is None else options, ref=promise["gate"]["ref"]
    )
    values = taken.model_dump(mode="json", exclude={"gate", "operator"})
    for name in forms.free_text(form):
        values[name] = _masked(values[name])
    for item in values.get("items") or ():
        if "line" in item:
            item["line_no"] = item.pop("line")
    return values, taken.operator


def keepable(form_answer: FormAnswer) -> dict[str, Any]:
    """
    Give a submitted answer as it may be kept before it is read: as `read_form` would mask it (GEN-10).

    What its form does not know is masked too; it is refused when it is read.
    """
    form = next(form for gate, form in forms.GATES.items() if form_answer.key.startswith(f"{forms.key(gate)}-"))
    plain = {forms.wire(form, name) for name in form.model_fields.keys() - forms.free_text(form)}
    return {
        name: value if name in plain else masking.scrub_all(value, keep=())
        for name, value in form_answer.values.items()
    }


def options_of(promise: Mapping[str, Any]) -> dict[str, dict[str, str]]:
    """What the drop-downs of a gate offer; stored as pairs, since JSONB keeps no order of keys."""
    return {name: dict(pairs) for name, pairs in promise["gate"]["options"].items()}


async def ask_before_hand(case: cases.Case, promise: Mapping[str, Any], answer: Mapping[str, Any]) -> dict[str, Any]:
    """
    Find out, before people write a refund down as paid, that the provider has not taken it (P-15).

    Answers what to add to the answer. Raises Refused.
    """
    if promise["gate"]["gate"] != "refund":
        return {}
    no, unasked = await money.asked_before_hand(case, promise["entry"], answer.get("reference", ""))
    if no:
        raise Refused(no)
    return {"unasked": unasked} if unasked else {}


async def told_late(case_no: str, gate: str, standing: Entry, terms: Terms) -> str:
    """Tell a second decider who was first, and when."""
    if gate == Stage.VISIT:
        return f"{case_no} 已结束或正在登记另一位，您的提交未被采用；请刷新后再登记，没有回访的会列入下一张清单。"
    person = terms.staff().get(standing.actor)
    who = person.choice if person else desks.reader(terms).who(standing.actor)
    at = desks.reader(terms).time(standing.at)
    return f"{case_no} 的{matter(gate)}已由 {who} 于 {at} 完成，您的提交未被采用，无需再处理。"


# --- passing a gate -------------------------------------------------------------------------------------------------


async def _pass(case: str, gate: str, events: tuple[Event, ...]) -> Answer:
    leg = await legs.here()
    if "cancelled-0" in leg.entries:
        # also past a gate that was decided before the cancellation: nothing may be done for this case any more
        raise Cancelled
    entry = f"{forms.key(gate)}-{leg.round(f'gate {gate}')}"
    if decided := leg.entries.get(entry):
        await _tell_the_late(leg, gate, decided)
        return _answer(decided)

    await promises.ask(leg, gate, entry)
    if found := await _look(leg, gate, entry, events):
        return found
    return await _leave(leg, gate, entry)


def _answer(decided: Entry) -> Answer:
    """What an entry decides. Raises Cancelled for a gate that nobody answered in time."""
    if decided.data.get("lapsed"):
        raise Cancelled
    return Answer(decided.data, decided.actor, decided.at)


async def _look(leg: Leg, gate: str, entry: str, events: tuple[Event, ...]) -> Answer | None:
    """See whether a cancellation, an event or a form answers the gate. Raises Cancelled."""
    assert leg.case is not None
    async with transaction() as connection:
        told = await cases.told(connection, leg.case.case_no)
        promise = await cases.open_gate(connection, leg.case.case_no, gate)
    if Event.CASE_CANCELLED in told:
        await _heed_cancellation(leg)
    if promise is None or promise["entry"] != entry:
        promise = await promises.ask_again(leg, gate, entry)
    if promise is None:
        # decided by a command between this leg's reading of the journal and now
        return await _somebody_elses(leg, gate, entry)
    try:
        # a parcel that arrived without a case is looked for where parcels are received
        if (told & set(events) or Event.PARCEL_RECEIVED in events) and (
            taken := await _take_event(leg, events, promise)
        ):
            return taken
        if gate in offers.ARRIVED and Event.PARCEL_RECEIVED in told and (implied := await _imply(leg, gate, promise)):
            return implied
        return await _take_form(leg, gate, promise)
    except AlreadyDecided:
        return await _somebody_elses(leg, gate, entry)


async def _take_form(leg: Leg, gate: str, promise: Mapping[str, Any]) -> Answer | None:
    for opened, form_answer in await _submitted(leg, gate, promise["entry"]):
        via = _via(leg, form_answer)
        if f"{promise['entry']}.refused:{via}" in leg.entries:
            await leg.driver.forget(form_answer)
            continue
        try:
            values, operator = read_form(gate, form_answer.values, promise)
            assert leg.case is not None
            values |= await ask_before_hand(leg.case, promise, values)
            async with transaction() as connection:
                taken = await _accepted(connection, leg, promise, values, operator, via)
        except (forms.Misfilled, Refused) as error:
            async with transaction() as connection:
                await _refuse(connection, leg, promise, via, str(error), operator_named(form_answer) or "system")
            await leg.driver.forget(form_answer)
            continue
        except heard.NotLeft as error:
            async with transaction() as connection:
                await _note_late(connection, leg, f"{opened}.late:{via}", operator_named(form_answer), str(error))
            await leg.driver.forget(form_answer)
            continue
        await leg.driver.forget(form_answer)
        return taken
    return None


async def _submitted(leg: Leg, gate: str, entry: str) -> list[tuple[str, FormAnswer]]:
    """
    What was submitted in the forms of a gate, each with the round whose form it was, oldest first.

    Of a list of visits, what was submitted in an earlier round counts too: another visit was recorded there meanwhile.
    """
    if gate != Stage.VISIT:
        return [(entry, answer) for answer in await leg.driver.answers(entry)]
    rounds = [f"{gate}-{number}" for number in range(int(entry.rpartition("-")[2]) + 1)]
    return [
        (opened, answer)
        for opened in rounds
        for answer in await leg.driver.answers(opened)
        if _via(leg, answer) not in _used(leg)
    ]


def _used(leg: Leg) -> set[str]:
    """The ways of those answers that have decided something."""
    return {told.data.get("via", "") for told in leg.entries.values() if told.kind == "decision"}


async def _take_event(leg: Leg, events: tuple[Event, ...], promise: Mapping[str, Any]) -> Answer | None:
    """Let the oldest event that breaks no rule answer; it leaves the inbox in the transaction that says what it did."""
    assert leg.case is not None
    assert leg.terms is not None
    case_no = leg.case.case_no
    if Event.PARCEL_RECEIVED in events:
        await _adopt_orphan(leg)
    overtaken: AlreadyDecided | None = None
    while overtaken is None:
        async with transaction() as connection:
            row = await cases.waiting(connection, case_no, [event.value for event in events])
            if row is None:
                break
            via = f"event:{row['key']}"
            await cases.take(connection, row["id"], leg.now())
            if _is_traced(leg, row):
                name = f"{promise['entry']}.late:{via}"
                data = {"reason": "查件已有结果，先前的丢件消息不再采用。"}
                await leg.note(connection, name, kind="late", actor=row["actor"], data=data)
                continue
            try:
                context = promise["gate"]["context"]
                answer = offers.from_event(event=row["event"], data=row["data"], context=context)
                # a loss is told by those who watch the transport, at a gate of those who receive
                operator = operator_of(row, leg) if row["event"] != Event.PARCEL_LOST else ""
                answer = {**answer, "actor": row["actor"]}
                at = _happened_at(leg, row, promise)
                return await _accepted(connection, leg, promise, answer, operator, via, at=at)
            except (ValueError, Refused) as error:
                await _refuse(connection, leg, promise, via, str(error), row["actor"])
                if operator := operator_of(row, leg):
                    # it was kept when it was told, as nobody could see yet that it was wrong
                    text = f"{case_no} 的“{Event(row['event']).label}”未被采用：{error}"
                    await notices.tell_staff(connection, leg, via, operator, text)
                else:
                    # another system reads no refusals: whoever owns the stage must look at it
                    text = f"“{Event(row['event']).label}”的消息未被采用：{error}"
                    await notices.tell_department(connection, leg, via, promise["owner"], text)
            except AlreadyDecided as error:
                name = f"{promise['entry']}.late:{via}"
                await leg.note(connection, name, kind="late", actor=row["actor"], data={"reason": str(error)})
                overtaken = error
                decided = await journal.find(connection, case_no, promise["entry"])
                assert decided is not None, "somebody was first"
                no = messages.contradiction(
                    event=row["event"],
                    told=row["data"],
                    decided=decided.data,
                    by_staff=decided.actor in leg.terms.staff(),
                )
                if no:
                    await notices.tell_department(connection, leg, name, promise["owner"], no)
    if overtaken is not None:  # raised here, so that the event has left the inbox
        raise overtaken
    return None


def _is_traced(leg: Leg, row: Mapping[str, Any]) -> bool:
    """Whether an event tells a loss that logistics has looked into since (RET-06)."""
    traced_at = standings.standing(leg.history).traced_at
    return row["event"] == Event.PARCEL_LOST and traced_at is not None and row["received_at"] <= traced_at


def _happened_at(leg: Leg, row: Mapping[str, Any], promise: Mapping[str, Any]) -> datetime:
    """
    Say when an event counts: when it was told, but not before there was anything to answer (GEN-11).

    A parcel that arrived before anybody told of its pick-up was received when it arrived (RET-06).
    """
    since = promise["started_at"]
    if row["event"] == Event.PARCEL_RECEIVED:
        told = [e.at for e in leg.history if e.kind == "decision" and e.entry.rpartition("-")[0] != "pickup"]
        since = told[-1] if told else since
    # a parcel without a case is taken in by the wall clock, also one that a rehearsal adopts
    return min(leg.now(), max(row["received_at"], since))


async def _imply(leg: Leg, gate: str, promise: Mapping[str, Any]) -> Answer | None:
    """Let a parcel that has arrived answer: it was picked up, or found, whether anybody said so or not (RET-06)."""
    assert leg.case is not None
    async with transaction() as connection:
        arrived = await cases.waiting(connection, leg.case.case_no, [Event.PARCEL_RECEIVED.value])
        if arrived is None:
            return None
        answer = {**offers.ARRIVED[gate], "actor": arrived["actor"]}
        at = max(arrived["received_at"], promise["started_at"])
        return await _accepted(connection, leg, promise, answer, "", "implied", at=at)


def operator_of(row: Mapping[str, Any], leg: Leg) -> str:
    """The member of staff who told an event; empty when another system did."""
    assert leg.terms is not None
    return row["actor"] if row["actor"] in leg.terms.staff() else ""


async def _adopt_orphan(leg: Leg) -> None:
    """Take in the parcel that was picked up for this case and arrived before anybody knew its case (RET-06)."""
    assert leg.case is not None
    tracking_no = (standings.standing(leg.history).pickup or {}).get("tracking_no")
    if not tracking_no:
        return
    async with transaction() as connection:
        await cases.one_parcel_at_a_time(connection, tracking_no)
        parcel = await cases.orphan(connection, tracking_no)
        if parcel is None or not await cases.adopt(connection, parcel["id"], leg.case.case_no, parcel["data"]):
            return
    assert leg.terms is not None
    await desks.publish_parcels(leg, leg.terms)


async def _accepted(
    connection: AsyncConnection,
    leg: Leg,
    promise: Mapping[str, Any],
    values: Mapping[str, Any],
    operator: str,
    via: str,
    *,
    at: datetime | None = None,
) -> Answer:
    assert leg.case is not None
    assert leg.terms is not None
    written = await accept(
        connection,
        case=leg.case,
        terms=leg.terms,
        promise=promise,
        answer=values,
        operator=operator,
        via=via,
        at=at or leg.now(),
    )
    leg.entries[written.entry] = written
    return Answer(written.data, written.actor, written.at)


async def _somebody_elses(leg: Leg, gate: str, entry: str) -> Answer:
    """The answer of whoever was first, read anew; whoever was late is told."""
    assert leg.case is not None
    async with transaction() as connection:
        leg.entries = await journal.read(connection, leg.case.case_no)
    decided = leg.entries[entry]
    await _tell_the_late(leg, gate, decided)
    return _answer(decided)


async def _refuse(
    connection: AsyncConnection, leg: Leg, promise: Mapping[str, Any], via: str, reason: str, actor: str
) -> None:
    # a sentence names what was typed, whatever it was (GEN-10)
    data = {"reason": masking.scrub(reason), "gate": promise["gate"]["gate"]}
    await leg.note(connection, f"{promise['entry']}.refused:{via}", kind="refused", actor=actor, data=data)


async def _heed_cancellation(leg: Leg) -> None:
    """Cancel the case if the customer asked for it before the goods arrived; later it is too late (RET-17)."""
    assert leg.case is not None
    async with transaction() as connection:
        row = await cases.waiting(connection, leg.case.case_no, [Event.CASE_CANCELLED.value])
        parcel = await cases.waiting(connection, leg.case.case_no, [Event.PARCEL_RECEIVED.value])
    if row is None:
        return
    is_scanned = parcel is not None and parcel["id"] < row["id"]
    async with transaction() as connection:
        # what a command decided meanwhile counts: read anew, with nobody writing beside us
        await cases.lock(connection, leg.case.case_no)
        leg.entries = await journal.read(connection, leg.case.case_no)
        told = standings.standing(leg.history)
        reason = decisions.too_late_to_cancel(case_no=leg.case.case_no, standing=told, is_scanned=is_scanned)
        await cases.take(connection, row["id"], leg.now())
        if reason:
            await leg.note(
                connection,
                f"cancelled.refused:{row['key']}",
                kind="refused",
                actor=row["actor"],
                data={"reason": reason, "gate": "cancelled"},
            )
            return
        await leg.note(connection, "cancelled-0", kind="cancelled", actor=row["actor"], data=row["data"], rule="RET-17")
        # nobody decides any more, even if this leg is killed before the case has ended
        await cases.end_promise(connection, leg.case.case_no, None, leg.now())
    raise Cancelled


async def _tell_the_late(leg: Leg, gate: str, decided: Entry, *, is_over: bool = False) -> None:
    """
    Keep what came after the decision, and tell its operator who decided (prototype 2.7).

    What was submitted about another visit of a list is read by the next round, while there is one (`is_over`).
    """
    assert leg.case is not None
    assert leg.terms is not None
    for form_answer in await leg.driver.answers(decided.entry):
        via = _via(leg, form_answer)
        if gate == Stage.VISIT and not is_over and via not in _used(leg):
            continue
        if gate == Stage.VISIT and via in _used(leg):
            await leg.driver.forget(form_answer)
            continue
        if decided.data.get("via") != via and f"{decided.entry}.refused:{via}" not in leg.entries:
            async with transaction() as connection:
                await keep_late(connection, leg, gate, decided, via, operator_named(form_answer), form_answer.values)
        await leg.driver.forget(form_answer)


async def keep_late(
    connection: AsyncConnection,
    leg: Leg,
    gate: str,
    decided: Entry,
    via: str,
    operator: str,
    answer: Mapping[str, Any],
) -> str:
    """
    Keep an answer that came after the decision, and tell its operator; answers the sentence.

    Whoever names another payment than the one that is written down may have paid a second time: the department that
    owns the gate is told too (P-15).
    """
    assert leg.case is not None
    assert leg.terms is not None
    told = await told_late(leg.case.case_no, gate, decided, leg.terms)
    second = ""
    if gate in PAYING and (second := messages.second_payment(told=answer, decided=decided.data)):
        second = masking.scrub(second)
        told = f"{leg.case.case_no} {second}"
    entry = f"{decided.entry}.late:{via}"
    if await _note_late(connection, leg, entry, operator, told) and second:
        await notices.tell_department(connection, leg, entry, leg.terms.promised(gate).owner, told)
    return told


async def _note_late(connection: AsyncConnection, leg: Leg, entry: str, operator: str, told: str) -> bool:
    """Write down an answer that is not used, and tell its operator why; False when that was done before."""
    assert leg.terms is not None
    if await leg.note(connection, entry, kind="late", actor=operator or "system", data={"reason": told}) is None:
        return False
    if operator in leg.terms.staff():
        await notices.tell_staff(connection, leg, entry, operator, told)
    return True


async def keep_unread(leg: Leg) -> None:
    """Keep what was submitted at gates that a case has left behind, before the case ends: nobody reads it later."""
    assert leg.case is not None
    for asked in [each for each in leg.history if each.kind == "gate"]:
        entry = asked.entry.removesuffix(".asked")
        if decided := leg.entries.get(entry):
            await _tell_the_late(leg, asked.data["stage"], decided, is_over=True)
            continue
        for form_answer in await leg.driver.answers(entry):  # the case was cancelled meanwhile
            told = f"{leg.case.case_no} 已取消，您的提交未被采用，无需再处理。"
            async with transaction() as connection:
                name = f"{entry}.late:{_via(leg, form_answer)}"
                await _note_late(connection, leg, name, operator_named(form_answer), told)
            await leg.driver.forget(form_answer)


async def _leave(leg: Leg, gate: str, entry: str) -> Answer:
    """Show the case, open the form, leave; the answer of whoever decided between the last look and now."""
    assert leg.case is not None
    async with transaction() as connection:
        promise = await cases.open_gate(connection, leg.case.case_no, gate)
        order = await orders.show(connection, leg.case.order_no)
        owed = await boards.owed_by(connection, leg.case.case_no)
        visits = await lists.left(connection, leg.case.case_no) if gate == Stage.VISIT else []
        if promise is not None and gate == Stage.RESOLUTION:
            await money.reckon_anew(connection, leg)
    if promise is None:
        return await _somebody_elses(leg, gate, entry)
    shown = promise["gate"]
    urgency = ladders.most_urgent(owed, at=leg.now())
    summary = await desks.show(leg, stage=Stage(gate), promise=promise, order=order, urgency=urgency, visits=visits)
    # what is left of a list now, not what was when its gate opened
    offered = {"visit": {str(visit.id): visit.choice for visit in visits}} if visits else {}
    schema = forms.schema(
        forms.GATES[gate],
        options=options_of(promise) | offered,
        prefill=shown["prefill"],
        demands=shown.get("demands", ()),
        ref=shown["ref"],
    )
    events = [event.value for event in AWAITED[Stage(gate)]]
    case_no = leg.case.case_no

    async def answered() -> bool:
        async with transaction() as connection:
            return (
                await journal.find(connection, case_no, entry) is not None
                or await cases.waiting(connection, case_no, events) is not None
            )

    await leg.driver.wait(entry, schema, summary, answered)
    raise AssertionError("a driver never returns from waiting")


def objection(
    promise: Mapping[str, Any], operator: str, answer: Mapping[str, Any], terms: Terms, *, not_by: Collection[str]
) -> str:
    """Say why somebody may not decide at a gate: department, right, limit, who had a part in it; empty when they may."""
    gate, owner = promise["gate"]["gate"], promise["owner"]
    department = terms.house.departments.get(owner)
    return authority.objection(
        operator=terms.staff().get(operator),
        named=operator,
        right=authority.RIGHTS[gate],
        department=owner,
        department_name=department.name if department else owner,
        amount=Decimal(answer["amount"]) if answer.get("amount") else None,
        not_by=not_by,
    )


def operator_named(form_answer: FormAnswer) -> str:
    """The staff id that somebody chose in a form, or whatever stands in its place, masked."""
    return masking.scrub(str(form_answer.values.get("operator", "")).split(" ")[0])


def _via(leg: Leg, form_answer: FormAnswer) -> str:
    return f"form:{str(form_answer.run_id)[:8]}/{form_answer.key}"


def _masked(value: Any) -> Any:
    if isinstance(value, str):
        return masking.scrub(value)
    return [masking.scrub(text) for text in value]
