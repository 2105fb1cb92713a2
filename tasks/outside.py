"""
What reaches a case from outside its run: a decision by command, an event by command, form or scanner.

Each is committed first and wakes the run second, so that a lost wake-up loses nothing (design §3).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from uuid import uuid4

from sqlalchemy.ext.asyncio import AsyncConnection

from aftersales import clock, forms
from aftersales.desk.leg import Leg
from aftersales.forms.fields import MONEY, Text
from aftersales.forms.returns import PARCEL, PARCEL_RULE, REFERENCE, TOLD_AT
from aftersales.rules import authority, decisions, masking, messages, offers, pages
from aftersales.rules.standing import standing
from aftersales.store import cases, journal
from aftersales.store.engine import transaction
from aftersales.store.journal import Entry
from aftersales.terms import Terms
from aftersales.words import AWAITED, Event, Process, Right, Stage, Unable
from tasks import desks, gates, notices
from tasks.cases import current_terms, terms_of

# the right that telling an event asks for
EVENT_RIGHTS = {
    Event.PARCEL_PICKED_UP: Right.PICKUP,
    Event.PARCEL_RECEIVED: Right.RECEIVE,
    Event.PARCEL_LOST: Right.PICKUP,
    Event.PARCEL_SENT_BACK: Right.PICKUP,
    Event.REFUND_SENT: Right.REFUND,
    Event.REFUND_FAILED: Right.REFUND,
    Event.FREIGHT_REIMBURSED: Right.REFUND,
    Event.CASE_CANCELLED: Right.CANCEL,
}
# what each event may say
EVENT_WORDS = {
    Event.PARCEL_PICKED_UP: {
        "carrier": "承运商",
        "tracking_no": "运单号",
        "freight": "承运凭证金额",
        "voucher": "承运凭证",
        "key": "业务键",
    },
    Event.PARCEL_SENT_BACK: {
        "carrier": "承运商",
        "tracking_no": "运单号",
        "freight": "运费",
        "voucher": "承运凭证",
        "key": "业务键",
    },
    Event.PARCEL_LOST: {"carrier": "承运商", "tracking_no": "运单号", "remark": "备注", "key": "业务键"},
    Event.PARCEL_RECEIVED: {
        "carrier": "承运商",
        "tracking_no": "运单号",
        "items": "实收商品",
        "rest": "是否到齐",
        "freight": "客户垫付运费",
        "voucher": "运费凭证",
        "remark": "备注",
    },
    Event.REFUND_SENT: {
        "amount": "退款金额",
        "reference": "交易流水号",
        "told_how": "已告知客户（方式）",
        "told_at": "已告知客户（时间）",
        "key": "业务键",
    },
    Event.REFUND_FAILED: {"reason": "失败原因", "key": "业务键"},
    Event.FREIGHT_REIMBURSED: {"amount": "补运费金额", "reference": "交易流水号", "key": "业务键"},
    Event.CASE_CANCELLED: {"reason": "取消理由"},
}
# the gate that each event answers
GATE_OF = {
    Event.PARCEL_PICKED_UP: "pickup",
    Event.PARCEL_RECEIVED: "receipt",
    Event.PARCEL_LOST: "receipt",
    Event.PARCEL_SENT_BACK: "sendback",
    Event.REFUND_SENT: "refund",
    Event.FREIGHT_REIMBURSED: "reimbursement",
}
# what says that money has gone: it counts for one payment, the one that is open
PAID = (Event.REFUND_SENT, Event.FREIGHT_REIMBURSED)
# what some of it must look like, in a form's field and here alike
SHAPES = {
    "tracking_no": (PARCEL, PARCEL_RULE),
    "reference": (REFERENCE.shape, REFERENCE.rule_),
    "amount": (MONEY, "最多两位小数的金额，如 19.99"),
    "freight": (MONEY, "最多两位小数的金额，如 19.99"),
    "told_at": (TOLD_AT.shape, TOLD_AT.rule_),
}


class UnableToFind(Unable):
    """There is no such case."""


class NotYet(Unable):
    """It is not this gate's turn."""


async def found(connection: AsyncConnection, case_no: str) -> tuple[cases.Case, Terms]:
    """A case and its terms. Raises UnableToFind."""
    case = await cases.read(connection, case_no)
    if case is None:
        raise no_case(case_no)
    return case, await terms_of(connection, case)


COMMAND = "command"


async def decide(case_no: str, gate: str, *, operator: str, answer: Mapping[str, Any], via: str = COMMAND) -> Entry:
    """
    Decide at an open gate from outside the UI, held to the same rules as the form.

    `via` tells the way. One that names the sender's own number counts once: told again, it answers the first decision.
    Raises Unable: no such case or gate, misfilled, not allowed (the journal keeps the refusal), or somebody was first.
    """
    if via != COMMAND and (known := await decided_before(case_no, gate, via)):
        return known
    try:
        return await _decide(case_no, gate, operator, answer, via)
    except gates.Refused as error:
        await keep_refusal(case_no, gate, operator, str(error))
        raise
    except gates.AlreadyDecided as error:
        raise gates.AlreadyDecided(await _keep_second(case_no, gate, operator, answer) or str(error)) from None


async def decided_before(case_no: str, gate: str, via: str) -> Entry | None:
    """The decision at a gate that came this way already."""
    async with transaction() as connection:
        decided = await _decisions(connection, case_no, gate)
    return next((each for each in decided if each.data.get("via") == via), None)


async def _keep_second(case_no: str, gate: str, operator: str, answer: Mapping[str, Any]) -> str:
    """Keep that a payment was named which is not the one that is written down; empty when there is none (P-15)."""
    async with transaction() as connection:
        case, terms = await found(connection, case_no)
        decided = await _decided(connection, case_no, gate)
        if gate not in gates.PAYING or decided is None:
            return ""
        if not messages.second_payment(told=answer, decided=decided.data):
            return ""
        via = f"command/{masking.scrub(str(answer['reference']))}"
        leg = Leg(driver=None, case=case, terms=terms)  # type: ignore[arg-type]  # nobody tells the story here
        return await gates.keep_late(connection, leg, gate, decided, via, masking.scrub(operator), answer)


async def _decide(case_no: str, gate: str, operator: str, answer: Mapping[str, Any], via: str) -> Entry:
    more = await _asked_before_hand(case_no, gate, answer)
    async with transaction() as connection:
        case, terms = await found(connection, case_no)
        promise = await cases.open_gate(connection, case_no, gate)
        if promise is None:
            raise await _not_open(connection, case, gate, terms)
        person = terms.staff().get(operator)
        # said by `accept` too, but a form's own drop-down would answer first, and less clearly
        if person is None:
            raise gates.Refused(f"经办人“{operator}”不在员工名单中，请用员工编号，如 C07。")
        filled = {**answer, "gate": promise["gate"]["ref"], "operator": operator}
        offered = {name: choices for name, choices in gates.options_of(promise).items() if name != "operator"}
        values, _ = gates.read_form(gate, filled, promise, options=offered)
        return await gates.accept(
            connection,
            case=case,
            terms=terms,
            promise=promise,
            answer=values | more,
            operator=operator,
            via=via,
            at=clock.now(case),
        )


async def _asked_before_hand(case_no: str, gate: str, answer: Mapping[str, Any]) -> dict[str, Any]:
    """Ask the provider outside of any transaction: it may take its time (P-15). Raises gates.Refused."""
    if gate != "refund":
        return {}
    async with transaction() as connection:
        case = await cases.read(connection, case_no)
        promise = await cases.open_gate(connection, case_no, gate)
    if case is None or promise is None:
        return {}
    return await gates.ask_before_hand(case, promise, answer)


async def signal(
    case_no: str, event: Event, *, actor: str, data: Mapping[str, Any], key: str = "", staff: str = ""
) -> str:
    """
    Tell a case an event: into the inbox, once a key; answers a sentence that says what became of it.

    `staff` is the member of staff who tells it, empty for another system. What the case can already see to be wrong
    is refused at once (the journal keeps the refusal); what it does not wait for yet is kept until it does.
    Raises Unable.
    """
    try:
        return await _signal(case_no, event, staff or actor, data, key, staff)
    except gates.Refused as error:
        await keep_refusal(case_no, event.value, staff or actor, str(error))
        raise


async def _signal(case_no: str, event: Event, actor: str, data: Mapping[str, Any], key: str, staff: str) -> str:
    more = await _asked_before_hand(case_no, GATE_OF.get(event, ""), data) if staff else {}
    async with transaction() as connection:
        # nobody decides between the look and the row: whoever is second hears of the first (RET-06)
        await cases.lock(connection, case_no)
        case, terms = await found(connection, case_no)
        if staff:
            no = authority.objection(operator=terms.staff().get(staff), named=staff, right=EVENT_RIGHTS[event])
            if no:
                raise gates.Refused(no)
        values = checked(event, data)
        if case.process != Process.RETURNS:
            about = case.facts.get("about", "")
            instead = f"请改填它所关联的售后单 {about}" if about else "请改填退货的售后单号"
            raise gates.Refused(f"{case_no} 是{Process(case.process).label}单，不接收“{event.label}”，{instead}。")
        if case.stage.is_over:
            is_parcel = event is Event.PARCEL_RECEIVED
            elsewhere = "；单号无误的，请在“到件登记”里只填运单号，登记为无主包裹" if is_parcel else ""
            no = f"{case_no} {case.stage.label}，不再接收“{event.label}”，请核对售后单号{elsewhere}。"
            raise gates.Refused(no)
        if event in PAID:
            values |= await _of_the_open_gate(connection, case, event, values) | more
        orphan = await _orphan(connection, event, values)
        values = {**orphan["data"], **values} if orphan else values
        await _refuse_what_is_wrong(connection, case, event, values, staff=staff, terms=terms)
        if event in PAID and await cases.waiting_about(connection, case_no, values["key"]):
            return f"{case_no} 的“{event.label}”已登记过，未重复登记。"
        told = await _match(connection, case, orphan, values)
        is_new = bool(told) or await cases.receive(
            connection,
            key=key or _key(case_no, event, values),
            case_no=case_no,
            event=event.value,
            actor=actor,
            data=values,
            at=clock.now(case),
        )
        if is_new and event is Event.PARCEL_RECEIVED and await _tell_of_found(connection, case, terms, values):
            told = told or f"{case_no} 已登记“{event.label}”。"
            return f"{told}这个包裹已确认丢失、正在办理退款，已提醒售后服务部处理。"
    if told:
        return told
    if not is_new:
        return f"{case_no} 的“{event.label}”已登记过，未重复登记。"
    if event in AWAITED[case.stage]:
        return f"{case_no} 已登记“{event.label}”。"
    return f"{case_no} 已登记“{event.label}”，现在{case.stage.label}，到相应环节时自动采用。"


async def _tell_of_found(
    connection: AsyncConnection, case: cases.Case, terms: Terms, values: Mapping[str, Any]
) -> bool:
    """Tell whoever pays for a lost parcel that one has turned up after all (RET-06); False when none is being paid."""
    told = standing((await journal.read(connection, case.case_no)).values())
    if not told.is_lost or told.expects_more:
        return False
    number = values.get("tracking_no", "")
    leg = Leg(driver=None, case=case, terms=terms)  # type: ignore[arg-type]  # nobody tells the story here
    text = f"已确认丢失的包裹到了仓库（运单 {number or '无'}）。退款还没有付的，请先不要付，与仓库核对后再办理。"
    owner = terms.returns.stages["exception"].owner
    await notices.tell_department(connection, leg, f"found-again:{number}", owner, text)
    return True


async def _of_the_open_gate(
    connection: AsyncConnection, case: cases.Case, event: Event, values: Mapping[str, Any]
) -> dict[str, Any]:
    """Say which payment is meant: the one that the case waits for now, never one to come. Raises gates.Refused."""
    promise = await cases.open_gate(connection, case.case_no, GATE_OF[event])
    if promise is None:
        stage = Stage(GATE_OF[event]).label
        raise gates.Refused(f"{case.case_no} 现在{case.stage.label}，不能登记“{event.label}”，请到{stage}时再登记。")
    return {"key": values.get("key") or promise["gate"]["context"]["key"]}


async def _orphan(connection: AsyncConnection, event: Event, values: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Find the parcel that an event speaks of among those that wait without a case (RET-06)."""
    # as `checked` will have it
    number = str(values.get("tracking_no") or "").upper()
    return await cases.orphan(connection, number) if number and event is Event.PARCEL_RECEIVED else None


async def _match(
    connection: AsyncConnection, case: cases.Case, orphan: Mapping[str, Any] | None, values: Mapping[str, Any]
) -> str:
    """Give a parcel that arrived without a case to its case: it was received when it was, not when it was matched."""
    if orphan is None or not await cases.adopt(connection, orphan["id"], case.case_no, values):
        return ""
    return f"{case.case_no} 已与先前登记的无主包裹 {values['tracking_no']} 匹配，按当时的收货时间计时。"


async def is_unmatched(connection: AsyncConnection, event: Event, data: Mapping[str, Any]) -> bool:
    """Whether an event speaks of a parcel that waits without a case, so that telling it changes their page (RET-06)."""
    return await _orphan(connection, event, data) is not None


def _key(case_no: str, event: Event, values: Mapping[str, Any]) -> str:
    """What makes an event count once: the parcel it speaks of; without a number nobody can tell two tellings apart."""
    return f"{case_no}/{event.value}/{values.get('tracking_no') or uuid4()}"


async def keep_refusal(case_no: str, what: str, actor: str, reason: str) -> None:
    """Write a refused command into the case's journal: every refusal is a row (design §3)."""
    async with transaction() as connection:
        case = await cases.read(connection, case_no)
        if case is not None:
            await journal.add(
                connection,
                case_no,
                f"{what}.refused:command/{uuid4()}",
                kind="refused",
                at=clock.now(case),
                # a staff id that is none may be anything that somebody typed (GEN-10)
                actor=masking.scrub(actor),
                data={"reason": masking.scrub(reason), "gate": what},
            )


async def parcel_without_case(*, staff: str, data: Mapping[str, Any], key: str) -> tuple[str, str]:
    """
    Take in a parcel whose case nobody named: the case that was told its number, else it waits to be matched (RET-06).

    Answers the case, empty when there is none, and a sentence. Raises Unable.
    """
    right = EVENT_RIGHTS[Event.PARCEL_RECEIVED]
    if no := authority.objection(operator=current_terms().staff().get(staff), named=staff, right=right):
        raise gates.Refused(no)
    values = checked(Event.PARCEL_RECEIVED, data)
    tracking_no = values.get("tracking_no", "")
    async with transaction() as connection:
        # a case that is told this number looks for the parcel after this row is there, or is found here
        await cases.one_parcel_at_a_time(connection, tracking_no)
        case_no = await cases.sent_as(connection, tracking_no)
        if not case_no:
            is_listed = await cases.orphan(connection, tracking_no) is not None
            is_new = not is_listed and await cases.receive(
                connection,
                key=key,
                case_no=None,
                event=Event.PARCEL_RECEIVED.value,
                actor=staff,
                # whether everything is here nobody can say of a case that nobody knows: its rule completes it
                data=values if values.get("rest") == forms.Rest.NONE.value else {**values, "rest": ""},
                at=clock.now(),
            )
    if case_no:
        told = await signal(case_no, Event.PARCEL_RECEIVED, actor="", data=values, key=key, staff=staff)
        return case_no, f"运单 {tracking_no} 属于 {case_no}：{told}"
    if not is_new:
        return "", f"无主包裹 {tracking_no} 已登记过，未重复登记；先找到售后单的，请填写售后单号和同一运单号。"
    return "", (
        f"已登记无主包裹 {tracking_no}。客户告知该运单号时自动匹配；先找到售后单的，请再登记一次并填写售后单号和同一运单号。"
    )


async def end_parcel(tracking_no: str, *, staff: str, note: str) -> str:
    """
    Take a parcel off the list of those without a case, with what became of it; its row stays (RET-06, RET-17).

    Answers what to tell. Raises Unable: not on the list, not allowed, or misfilled.
    """
    terms = current_terms()
    right = EVENT_RIGHTS[Event.PARCEL_RECEIVED]
    if no := authority.objection(operator=terms.staff().get(staff), named=staff, right=right):
        raise gates.Refused(no)
    number = checked(Event.PARCEL_RECEIVED, {"tracking_no": tracking_no})["tracking_no"]
    try:
        became = masking.scrub(Text(least=2).read(note))
    except ValueError as error:
        raise Unable(f"处理结果：{error}。") from None
    async with transaction() as connection:
        if not await cases.end_parcel(connection, number, became=became, actor=staff, at=clock.now()):
            raise UnableToFind(_not_listed(await cases.parcel(connection, number), number, desks.reader(terms)))
    return f"无主包裹 {number} 已销账：{became}。"


def _not_listed(parcel: Mapping[str, Any] | None, number: str, reader: pages.Reader) -> str:
    """Say where a parcel is that is not on the list of those without a case."""
    if parcel is None:
        return f"没有登记过运单 {number} 的包裹，请对照无主包裹清单核对运单号。"
    if parcel["case_no"]:
        return f"运单 {number} 已登记到 {parcel['case_no']}，不在无主包裹清单上，请在售后单里办理。"
    data = parcel["data"]
    ended = f"已由 {reader.who(data['ended_by'])} 于 {reader.time(parcel['taken_at'])} 销账"
    return f"无主包裹 {number} {ended}：{data['became']}。"


async def _decisions(connection: AsyncConnection, case_no: str, gate: str) -> list[Entry]:
    """The decisions at a gate, in order."""
    entries = (await journal.read(connection, case_no)).values()
    return [each for each in entries if each.kind == "decision" and each.entry.rpartition("-")[0] == gate]


async def _decided(connection: AsyncConnection, case_no: str, gate: str) -> Entry | None:
    """Find the last decision at a gate."""
    return next(reversed(await _decisions(connection, case_no, gate)), None)


async def _not_open(connection: AsyncConnection, case: cases.Case, gate: str, terms: Terms) -> Unable:
    """Say why a gate cannot be decided now: there is none of that name, it was decided, or it is another's turn."""
    if gate not in forms.GATES:
        return no_gate(gate)
    if decided := await _decided(connection, case.case_no, gate):
        return gates.AlreadyDecided(await gates.told_late(case.case_no, gate, decided, terms))
    return NotYet(f"{case.case_no} 现在{case.stage.label}，还不能办理{Stage(gate).label.removeprefix('待')}。")


def no_case(case_no: str) -> Unable:
    """What to say of a case that there is not."""
    return UnableToFind(f"没有售后单 {case_no}，请核对单号（可用 aftersales case list 查看）。")


def no_gate(name: str) -> Unable:
    """What to say of a gate that there is not."""
    names = "、".join(f"{name}（{Stage(name).label.removeprefix('待')}）" for name in forms.GATES)
    return UnableToFind(f"没有“{name}”这个环节，可以填写：{names}。")


def checked(event: Event, data: Mapping[str, Any], *, by_staff: bool = True) -> dict[str, Any]:
    """
    Check what an event says; free text is masked, a parcel's number in capitals as scanners read it. Raises Unable.

    Another system's numbers look as they please: nobody there could write them anew.
    """
    words = EVENT_WORDS[event]
    if unknown := set(data) - set(words):
        allowed = "、".join(f"{name}（{title}）" for name, title in words.items())
        raise Unable(f"“{event.label}”没有“{'、'.join(sorted(unknown))}”这一项，可以填写：{allowed}。")
    if "items" in data and not data["items"]:
        raise Unable("实收商品不能为空；全部到齐时不写这一项，否则写成 商品编码:数量。")
    values = dict(data)
    for name, value in values.items():
        if name == "items":
            values[name] = _goods(value)
            continue
        if not isinstance(value, str) or "\x00" in value or len(value) > 500:
            raise Unable(f"{words[name]}要写成文字，不能含空字符，且最多 500 字。")
        if name in ("carrier", "remark", "reason", "voucher"):
            values[name] = masking.scrub(value)
        if name == "tracking_no":
            values[name] = value.upper()
        if name == "rest":
            values[name] = _rest(value)
        if name == "told_how" and value:
            try:
                values[name] = forms.TellWay.read(value).value
            except ValueError as error:
                raise Unable(f"{words[name]}：{error}") from None
        if by_staff and name in SHAPES and value and not re.fullmatch(SHAPES[name][0], value):
            raise Unable(f"{words[name]}没有填对，请写{SHAPES[name][1]}。")
    return values


def _goods(items: Any) -> list[dict[str, Any]]:
    """Quantities by SKU, as a parcel's event tells them. Raises Unable."""
    try:
        goods = [{"sku": str(item["sku"]), "quantity": item["quantity"]} for item in items]
    except (TypeError, KeyError, IndexError):
        raise Unable("实收商品要写成商品编码和件数的列表。") from None
    for item in goods:
        count = item["quantity"]
        if isinstance(count, bool) or not isinstance(count, int) or not 1 <= count <= 999_999:
            raise Unable("实收商品的件数要写成 1 或以上的整数。")
    return goods


def _rest(text: str) -> str:
    try:
        return forms.Rest.read(text).value if text else ""
    except ValueError as error:
        raise Unable(f"是否到齐：{error}") from None


async def _refuse_what_is_wrong(
    connection: AsyncConnection, case: cases.Case, event: Event, values: Mapping[str, Any], *, staff: str, terms: Terms
) -> None:
    if event is Event.CASE_CANCELLED:
        entries = await journal.read(connection, case.case_no)
        is_scanned = await cases.waiting(connection, case.case_no, [Event.PARCEL_RECEIVED.value]) is not None
        told = standing(entries.values())
        if no := decisions.too_late_to_cancel(case_no=case.case_no, standing=told, is_scanned=is_scanned):
            raise gates.Refused(no)
        return
    gate = GATE_OF.get(event)
    if gate is None:
        return
    promise = await cases.open_gate(connection, case.case_no, gate)
    if promise is None:
        return
    if event is Event.PARCEL_RECEIVED and await cases.waiting(connection, case.case_no, [event.value]):
        # the gate is that parcel's: what is left for this one is known when it has been read
        return
    try:
        answer = offers.from_event(event=event, data=values, context=promise["gate"]["context"])
    except ValueError as error:
        raise gates.Refused(str(error)) from error
    # whoever may tell a loss need not be of those who receive
    operator = "" if event is Event.PARCEL_LOST else staff
    if no := await gates.wrong(
        connection, case=case, terms=terms, promise=promise, answer=answer, operator=operator, at=clock.now(case)
    ):
        raise gates.Refused(no)
