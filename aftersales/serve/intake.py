"""
What shop systems send and ask: applications, scans, decisions, and where a case stands (`docs/openapi/intake.yaml`).

No rule stands here: an application goes the way of one that staff type, a scan that of 到件登记 and `aftersales signal`,
a decision that of `aftersales decide`. A key says who calls, what they may do, and as which member of staff.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
import secrets
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, ConfigDict, Field

from aftersales import clock
from aftersales.rules import authority, clocks, masking
from aftersales.rules.standing import standing
from aftersales.serve import reading, signatures
from aftersales.serve.keys import SECRETS, Key
from aftersales.serve.once import Turns, once
from aftersales.serve.reading import TurnedAway
from aftersales.store import cases, journal, orders
from aftersales.store.engine import transaction
from aftersales.words import AWAITED, Applied, Event, Right, Way
from tasks import desks, entries, intake, outside, visits

KEY = "X-Aftersales-Key"
ONCE = "Idempotency-Key"
REPEATED = "Idempotency-Replayed"
# stands for the secret of a key that there is not
NOBODYS = secrets.token_hex(32)
NO_KEYS = f"还没有设置接口密钥，不能使用接口，请按 {SECRETS.page} 设置后重新启动。"
# how long an application's sender waits to hear its case number: two seconds
LOOKS, LOOK_EVERY = 20, 0.1
# as a scanner calls it → the event
SCANS = {"picked_up": Event.PARCEL_PICKED_UP, "received": Event.PARCEL_RECEIVED}


class _Said(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", hide_input_in_errors=True)


class Application(_Said):
    """An application: which names it has; what may stand in them, the form of the application says (RET-01)."""

    order_no: str
    items: list[dict[str, Any]]
    reason: str
    shipping: str
    wish: str = ""
    evidence: list[str] = Field(default_factory=list)
    remark: str = ""
    operator: str = ""


class Scan(_Said):
    """What became of a parcel: which names it has; what may stand in them, the forms and events say (RET-05, RET-06)."""

    event: Literal["picked_up", "received"]
    case_no: str = ""
    carrier: str = ""
    tracking_no: str = ""
    items: list[dict[str, Any]] = Field(default_factory=list)
    rest: str = ""
    freight: str = ""
    voucher: str = ""
    remark: str = ""


@dataclass(frozen=True, slots=True)
class Call:
    """A request that was signed by a key."""

    key: Key
    body: bytes
    # its sender's own number, empty when it only asks
    number: str
    said: bytes

    @property
    def name(self) -> str:
        """What the call is known by in our books, without its sender's own words."""
        return f"api/{self.key.name}/{hashlib.sha256(self.number.encode()).hexdigest()[:16]}"


def routes(*, keys: Mapping[str, Key], wake: Callable[[str], None], show_parcels: Callable[[], None]) -> APIRouter:
    """The addresses of the interface; `wake` and `show_parcels` do behind the answer what an answer need not wait for."""
    router = APIRouter(prefix="/v1")
    turns = Turns()

    async def act(
        request: Request, right: Right | None, do: Callable[[Call], Awaitable[tuple[int, dict[str, Any]]]]
    ) -> Response:
        call = await admitted(request, keys)
        if right is not None:
            _allow(call, right)
        if not re.fullmatch(r"[A-Za-z0-9_.:-]{1,100}", call.number):
            raise TurnedAway(
                422, f"请在请求头 {ONCE} 中写这次请求自己的编号（1～100 位字母、数字或 _ . : -），重发时写同一个。"
            )

        async def answered() -> tuple[int, str]:
            status, content = await do(call)
            return status, json.dumps(content, ensure_ascii=False)

        given = await once(turns, client=call.key.name, key=call.number, said=call.said, do=answered)
        headers = {REPEATED: "true"} if given.is_repeated else None
        return Response(given.content, given.status, headers, media_type="application/json")

    @router.post("/applications")
    async def apply(request: Request) -> Response:
        """Take an application in; its case is opened behind the answer."""

        async def do(call: Call) -> tuple[int, dict[str, Any]]:
            told = reading.read(Application, call.body)
            asked = _counted(told.model_dump(exclude={"operator"}, exclude_unset=True))
            number = f"{_own(call)}{call.number}"
            taken = await intake.apply(asked, via=Way.API.value, key=number, operator=told.operator)
            return 202, await _soon(taken.id)

        return await act(request, Right.APPLY, do)

    @router.get("/applications/{application_id}")
    async def applied(request: Request, application_id: str) -> JSONResponse:
        """Tell what became of an application."""
        call = await admitted(request, keys)
        return JSONResponse(_applied(application_id, await intake.standing(application_id, of=_own(call))))

    @router.post("/scans")
    async def scan(request: Request) -> Response:
        """Tell a case that its parcel was picked up or has arrived, or take one in whose case nobody knows."""

        async def do(call: Call) -> tuple[int, dict[str, Any]]:
            told = reading.read(Scan, call.body)
            event = SCANS[told.event]
            _allow(call, outside.EVENT_RIGHTS[event])
            data = masking.scrub_all(_counted(told.model_dump(exclude={"event", "case_no"}, exclude_unset=True)))
            if event is Event.PARCEL_RECEIVED:
                asked = {**data, "case_no": told.case_no, "operator": call.key.staff}
                case_no, sentence = await entries.arrived(asked, call.name)
                show_parcels()
            else:
                case_no = _case_no(told.case_no)
                # without a parcel's number nobody could tell two tellings apart
                number = "" if told.tracking_no else call.name
                sentence = await outside.signal(
                    case_no, event, actor="carrier", data=data, key=number, staff=call.key.staff
                )
            if case_no and await _awaits(case_no, event):
                wake(case_no)
            return 200, {"case_no": case_no, "told": sentence}

        return await act(request, None, do)

    @router.post("/cases/{case_no}/decisions/{gate}")
    async def decide(request: Request, case_no: str, gate: str) -> Response:
        """Decide where a case waits for somebody."""
        right = authority.RIGHTS.get(gate)

        async def do(call: Call) -> tuple[int, dict[str, Any]]:
            if right is None:
                raise outside.no_gate(reading.quoted(gate))
            answer = reading.parse(call.body)
            if not isinstance(answer, dict):
                raise reading.Unreadable("“内容”的值不对，请按接口文档填写。")
            if more := [name for name in ("gate", "operator") if name in answer]:
                raise reading.Unreadable(f"多了“{more[0]}”，它由地址和密钥决定，请去掉。")
            number = _case_no(case_no)
            decided = await visits.decide(number, gate, operator=call.key.staff, answer=answer, via=call.name)
            wake(number)
            async with transaction() as connection:
                _, terms = await outside.found(connection, number)
            row = desks.reader(terms).told(decided)
            return 200, {
                "case_no": number,
                "gate": gate,
                "decided_by": decided.actor,
                "decided_at": clocks.in_house(decided.at, house=terms.house).isoformat(timespec="seconds"),
                "told": f"已登记：{number} {row.what}{f'：{row.result}' if row.result else ''}。",
            }

        return await act(request, right, do)

    @router.get("/cases/{case_no}")
    async def case(request: Request, case_no: str) -> JSONResponse:
        """Tell where a case stands."""
        call = await admitted(request, keys)
        number = _case_no(case_no)
        # who acts as a member of staff reads what staff read; who only applies, what became of it
        if not call.key.staff and not await intake.applied_for(number, of=_own(call)):
            raise outside.no_case(number)
        return JSONResponse(await _seen(number))

    return router


async def admitted(request: Request, keys: Mapping[str, Key]) -> Call:
    """Read a request and see who signed it. Raises TurnedAway."""
    if not keys:
        raise TurnedAway(503, NO_KEYS)
    body = await reading.body(request)
    name, number = request.headers.get(KEY, ""), request.headers.get(ONCE, "")
    path = request.scope.get("raw_path", b"") + (b"?" if request.url.query else b"") + request.scope["query_string"]
    to = signatures.target(request.method, path.decode("latin-1"), number)
    key = keys.get(name)
    no = signatures.objection(
        request.headers.get(signatures.HEADER, ""),
        body,
        # whoever guesses names of keys is told the same, as late, whatever they sign with
        keys=key.secrets if key else (NOBODYS,),
        at=clock.now(),
        to=to,
        look_at=signatures.REQUEST,
    )
    if no or key is None:
        raise TurnedAway(401, no if name else f"缺少请求头 {KEY}，请写上密钥编号，并用这把密钥签名。")
    return Call(key, body, number, to.encode() + body)


def _own(call: Call) -> str:
    """How the numbers of a key's own applications begin."""
    return f"{call.key.name}/"


def _allow(call: Call, right: Right) -> None:
    if no := call.key.objection(right):
        raise TurnedAway(403, no)


def _counted(said: dict[str, Any]) -> dict[str, Any]:
    """What was said, without quantities that are words: the form reads those too, for a command line has nothing else."""
    rows = [{**row, "quantity": None} if isinstance(row.get("quantity"), str) else row for row in said.get("items", ())]
    return said | ({"items": rows} if "items" in said else {})


def _case_no(text: str) -> str:
    """A case number as it is stored. Raises outside.UnableToFind for what cannot be one."""
    if not re.fullmatch(r"[A-Za-z]{2,4}(-[A-Za-z0-9]{1,12}){1,3}", text):
        raise outside.UnableToFind("没有这个售后单，请填写售后单号，如 RT-20261122-0007。")
    return text.upper()


async def _awaits(case_no: str, event: Event) -> bool:
    async with transaction() as connection:
        found, _ = await outside.found(connection, case_no)
    return event in AWAITED.get(found.stage, ())


async def _soon(application_id: str) -> dict[str, Any]:
    """What becomes of an application within a moment."""
    for _ in range(LOOKS):
        told = await intake.standing(application_id)
        if told.state is not Applied.TAKING:
            break
        await asyncio.sleep(LOOK_EVERY)
    return _applied(application_id, told)


def _applied(application_id: str, told: intake.Standing) -> dict[str, Any]:
    sentence = {
        Applied.TAKING: "申请已收到，正在受理，请稍后查询。",
        Applied.OPENED: f"申请已受理，售后单号 {told.case_no}。",
        Applied.REFUSED: told.sentence,
    }[told.state]
    return {
        "application_id": application_id,
        "state": told.state.value,
        "case_no": told.case_no,
        "told": sentence,
    }


async def _seen(case_no: str) -> dict[str, Any]:
    """Where a case stands, contacts masked (GEN-10, GEN-13)."""
    async with transaction() as connection:
        found, terms = await outside.found(connection, case_no)
        promises = await cases.promises(connection, case_no)
        history = (await journal.read(connection, case_no)).values()
        order = await orders.show(connection, found.order_no)
    house, now = terms.house, clock.now(found)

    def when(at: Any) -> str | None:
        return None if at is None else clocks.in_house(at, house=house).isoformat(timespec="seconds")

    asked = [each for each in promises if each["ended_at"] is None and each["gate"].get("gate")]
    due_at = asked[-1]["due_at"] if asked else None
    is_provisional = bool(asked and asked[-1]["provisional"])
    customer = {} if order is None else {"name": order.name, "phone": order.phone, "email": order.email}
    masks = {"name": masking.masked_name, "phone": masking.masked_phone, "email": masking.masked_email}
    return {
        "case_no": found.case_no,
        "order_no": found.order_no,
        "stage": found.stage.value,
        "stage_label": found.stage.label,
        "department": "" if found.stage.is_over else found.owner,
        "opened_at": when(found.opened_at),
        "closed_at": when(found.closed_at),
        "due_at": when(due_at),
        "due": "" if due_at is None else clocks.marked(f"{clocks.spoken(due_at, house=house)} 前", is_provisional),
        "is_overdue": due_at is not None and not is_provisional and clocks.is_overdue(due_at=due_at, at=now),
        "is_provisional": is_provisional,
        "refunded": f"{standing(history).refunded:.2f}",
        "customer": {name: masks[name](text) for name, text in customer.items()},
        "is_rehearsal": found.rehearsal is not None,
    }
