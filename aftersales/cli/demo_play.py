"""
Playing ways on a rehearsal's clock: the clock jumps to the next act, and to whatever falls due before it (design §5).

Everything is done as staff do it: the forms of the deployments, Resume forms, `decide`, `signal`. What came of it is
read from our database alone. `Desk` is what differs between a running stack and a test.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, time, timedelta
from decimal import Decimal
from typing import Any, Protocol
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from aftersales import clock, forms
from aftersales.cli.demo_ways import (
    MORNING,
    RIGHTS,
    START,
    Account,
    Act,
    Answer,
    Apply,
    Arrive,
    Cancel,
    Extend,
    Fill,
    Nights,
    Nothing,
    Tell,
    Way,
)
from aftersales.forms.base import wire
from aftersales.imports.sales import Sale
from aftersales.rules import authority, clocks, visits
from aftersales.rules.standing import standing
from aftersales.settings import settings
from aftersales.store import cases, journal, rehearsals, sample
from aftersales.store import lists as store
from aftersales.store.engine import transaction
from aftersales.store.rehearsals import Owed
from aftersales.terms import Returns
from aftersales.words import AgeBand, Named, Process, Right, Staff, Stage, Unable
from tasks import escalation, followup, lapses, outside, sending, surveys
from tasks import visits as lists
from tasks.cases import current_terms, terms_of

PATIENCE = 60.0

RETURN, ARRIVAL, CANCELLATION = "returns/退货", "arrivals/到件登记", "cancellation/取消售后单"
EXTENSION, ACCOUNT = "extension/延期", "account/收款账户登记"
# the gates of cases that the system opens after another one
FOLLOWING = {"revisit": Process.REVISIT, "supervisor": Process.REVISIT, "visit": Process.VISITS}
# a week, and the longest holidays
MOST_NIGHTS = 40


class Desk(Protocol):
    """Where staff submit what they decide."""

    async def submit(self, deployment: str, request: Mapping[str, Any]) -> UUID:
        """Send in the form of a deployment; answers the run."""

    async def form(self, run_id: UUID, promise: Mapping[str, Any]) -> Mapping[str, Any]:
        """The form that a gate shows, once it does."""

    async def resume(self, run_id: UUID, answer: Mapping[str, Any]) -> None:
        """Send in a gate's form."""

    async def wake(self, case_no: str) -> None:
        """Let a case look at what it was told."""

    async def run(self, case_no: str) -> UUID:
        """The run of a case that the system has opened, once it has one."""

    async def answer(self, token: str, given: Mapping[str, str]) -> None:
        """Answer a survey on the customer's page, by what its link holds."""


class Audience(Protocol):
    """Who watches."""

    async def moment(self, day: int, at: datetime, acts: Sequence[str]) -> None:
        """The clock has jumped: these acts are next."""

    def overdue(self, owed: Owed) -> None:
        """The clock stands where something fell due that is still open."""


@dataclass(frozen=True, slots=True)
class Followed:
    """A case that the system has opened after another one: what it is called, and its run."""

    label: str
    case_no: str
    run_id: UUID


@dataclass
class Played:
    """What came of a way: the case (none when it was not opened), how it ended, what was paid, what was late, what followed."""

    way: Way
    order_no: str
    run_id: UUID | None = None
    case_no: str = ""
    stage: Stage | None = None
    refusal: str = ""
    paid: list[Decimal] = field(default_factory=list)
    expected: list[Decimal] = field(default_factory=list)
    late: int = 0
    followed: list[Followed] = field(default_factory=list)

    @property
    def is_as_told(self) -> bool:
        """True when it came out as its way says."""
        return (self.stage, self.paid) == (self.way.ends, self.expected)

    @property
    def end(self) -> str:
        """How it ended, as people read it."""
        return self.stage.label if self.stage else "未受理"


async def play(
    ways: Sequence[Way], *, desk: Desk, audience: Audience, start_at: datetime | None = None, patience: float = PATIENCE
) -> list[Played]:
    """
    Play ways on a rehearsal of their own, from `start_at` (this afternoon) on; answers what came of each.

    A way that is alone has a rehearsal for itself, after the others.
    Raises Unable when a case does not come to where its way leads within `patience` seconds.
    """
    together = [way for way in ways if not way.is_alone]
    played: dict[str, Played] = {}
    for some in [*([together] if together else []), *([way] for way in ways if way.is_alone)]:
        for each in await _Play(some, desk, audience, start_at, patience).all():
            played[each.way.key] = each
    return [played[way.key] for way in ways]


class _Play:
    def __init__(
        self, ways: Sequence[Way], desk: Desk, audience: Audience, start_at: datetime | None, patience: float
    ) -> None:
        self.ways, self.desk, self.audience, self.patience = ways, desk, audience, patience
        self.terms = current_terms()
        today = clocks.in_house(start_at or clock.now(), house=self.terms.house).replace(tzinfo=None)
        self.first = today if start_at else datetime.combine(today.date(), START)
        self.rehearsal = ""
        # the day whose visits have been drawn up
        self.drawn_on = self.first.date()
        # of visits, in the order in which they were opened
        self.lists: list[str] = []
        self.cases: dict[str, Played] = {}

    async def all(self) -> list[Played]:
        await self._begin()
        moments: dict[tuple[int, Any], list[tuple[Way, Act]]] = defaultdict(list)
        for way in self.ways:
            for act in way.acts:
                moments[act.day, act.at].append((way, act))
        for day, at in sorted(moments):
            acts = moments[day, at]
            moment = self._moment(day, at)
            await self._jump(moment)
            await self.audience.moment(day, moment, list(dict.fromkeys(act.says for _, act in acts)))
            await _together([self._act(way, act) for way, act in acts])
            await self._send(moment)
        await self._end_lists()
        for played in self.cases.values():
            await self._look_at(played)
        return [self.cases[way.key] for way in self.ways]

    async def _begin(self) -> None:
        at = clocks.house_time(self.first, house=self.terms.house)
        async with transaction() as connection:
            self.rehearsal = await rehearsals.begin(connection, at=at, on=self.first.date())
            sales = {
                way.key: _sale(way, rehearsals.order_no(self.rehearsal, place), at, self.terms.returns)
                for place, way in enumerate(self.ways, 1)
                if way.item
            }
            await rehearsals.sell(connection, self.rehearsal, list(sales.values()))
        for way in self.ways:
            self.cases[way.key] = Played(way, sales[way.again or way.key].order_no)

    def _moment(self, day: int, at: Any) -> datetime:
        wall = self.first if day == 0 else datetime.combine(self.first.date() + timedelta(days=day), at)
        return clocks.house_time(wall, house=self.terms.house)

    async def _jump(self, to: datetime) -> None:
        """Put the clock forward, with a stop at each due time on the way, where what nobody answered lapses."""
        while True:
            async with transaction() as connection:
                due = await rehearsals.next_due(connection, self.rehearsal, until=to)
                here = due[0].due_at if due else to
                await rehearsals.jump(connection, self.rehearsal, here)
            for owed in due:
                if owed.is_late:
                    self.audience.overdue(owed)
            await self._follow_up(here)
            await escalation.look(rehearsal=self.rehearsal, at=here)
            await surveys.look(rehearsal=self.rehearsal, at=here)
            await self._send(here)
            told = await lapses.look(rehearsal=self.rehearsal, at=here)
            for case_no in told.ended:
                await self.desk.wake(case_no)
                await self._rest(case_no)
            for case_no in told.unanswered:
                await self.desk.wake(case_no)
            if not due:
                return

    async def _follow_up(self, at: datetime) -> None:
        """Draw up the visits of a day when it has come, and open its lists (FUP-10)."""
        on = clocks.house_date(at, house=self.terms.house)
        if on != self.drawn_on:
            told = await followup.look(rehearsal=self.rehearsal, at=at)
            self.lists += told.lists.opened
            self.drawn_on = on

    async def _end_lists(self) -> None:
        """End the lists that no way calls: their next day will not come, and they would stand overdue on the desk."""
        async with transaction() as connection:
            at = await rehearsals.now(connection, self.rehearsal)
            tomorrow = clocks.house_date(at, house=self.terms.house) + clocks.DAY
            # on days off none ends
            after = visits.working_day_from(tomorrow, terms=self.terms)
            left = await store.open_before(connection, after, rehearsal=self.rehearsal)
        for list_no in left:
            await self.desk.run(list_no)
        async with transaction() as connection:
            await lists.end_lists(connection, after, rehearsal=self.rehearsal, at=at)
        for list_no in left:
            await self.desk.wake(list_no)
            await self._over("收尾", list_no)

    async def _send(self, at: datetime) -> None:
        """Send what has been told, to where rehearsals are told; nowhere when there is no such place."""
        await sending.look(sending.known_channels(), rehearsal=self.rehearsal, at=at)

    async def _rest(self, case_no: str) -> None:
        """Wait until a case that time has answered has come to its end, before the clock goes on."""
        played = next(each for each in self.cases.values() if each.case_no == case_no)
        await self._until(played, played.way.ends)

    # --- acts -------------------------------------------------------------------------------------------------------

    async def _act(self, way: Way, act: Act) -> None:
        played = self.cases[way.key]
        match act.does:
            case Apply():
                await self._apply(played, act.does)
            case Fill():
                await self._fill(played, act.does)
            case Tell():
                key = f"demo/{played.case_no}/{act.does.event}/{act.day}"
                await outside.signal(played.case_no, act.does.event, actor="carrier", data=act.does.data, key=key)
                await self.desk.wake(played.case_no)
            case Arrive():
                request = {
                    "operator": self._somebody(Right.RECEIVE, played, self._owner("receipt")).choice,
                    **({"tracking_no": act.does.parcel} if act.does.parcel else {"case_no": played.case_no}),
                    "items": self._items(way, act.does.quantity),
                    "rest": act.does.rest.label,
                }
                await self.desk.submit(ARRIVAL, request)
            case Cancel():
                request = {
                    "operator": self._somebody(Right.CANCEL, played, self._owner("review")).choice,
                    "case_no": played.case_no,
                    "reason": act.does.reason,
                }
                await self.desk.submit(CANCELLATION, request)
            case Extend():
                request = {
                    "operator": self._somebody(Right.EXTEND, played, self._owner("review")).choice,
                    "case_no": played.case_no,
                    "until": (self.first.date() + timedelta(days=act.does.days)).isoformat(),
                    "reason": act.does.reason,
                }
                await self.desk.submit(EXTENSION, request)
            case Account():
                request = {
                    "operator": self._somebody(Right.APPLY, played, self._owner("review")).choice,
                    "case_no": played.case_no,
                    **asdict(act.does),
                }
                await self.desk.submit(ACCOUNT, request)
            case Answer():
                await self._answer(played, act.does)
            case Nights():
                await self._nights(played, act.does)
            case Nothing():
                pass
        await self._until(played, act.to)

    async def _apply(self, played: Played, does: Apply) -> None:
        request = {
            "operator": self._somebody(RIGHTS[Apply], played, self._owner("review")).choice,
            "order_no": played.order_no,
            "items": self._items(played.way, does.quantity),
            "reason": self._reason(does.reason),
            "shipping": does.shipping.label,
            "evidence": list(does.evidence),
        }
        played.run_id = await self.desk.submit(RETURN, request)

    async def _answer(self, played: Played, does: Answer) -> None:
        """Let the customer answer, and wait for the second revisit that follows."""
        async with transaction() as connection:
            body = await rehearsals.told(connection, played.case_no, "NTC-20")
        token = body.rpartition(surveys.PATH)[2]
        if not token:
            raise Unable(
                f"{played.case_no} 的满意度调查没有发出，演示无法继续；请看 config/survey.yaml 的 send_after。"
            )
        await self.desk.answer(token, does.given)
        async with transaction() as connection:
            opened = (await journal.read(connection, played.case_no)).get("revisit-0")
        if opened is not None:
            await self._follow(played, Process.REVISIT, opened.data["revisit_no"])

    async def _nights(self, played: Played, does: Nights) -> None:
        """Let the nights go by until the case's visit stands on a list; its agent calls in the morning (FUP-03, FUP-10)."""
        house = self.terms.house
        async with transaction() as connection:
            on = clocks.house_date(await rehearsals.now(connection, self.rehearsal), house=house)
        known = len(self.lists)
        for _ in range(MOST_NIGHTS):
            on += timedelta(days=1)
            night = clocks.house_time(datetime.combine(on, time.fromisoformat(self.terms.followup.at)), house=house)
            await self._jump(night)
            if len(self.lists) > known:
                break
        else:
            raise Unable(
                f"{played.case_no} 过了 {MOST_NIGHTS} 晚也没有排出回访，演示无法继续；"
                "请看 config/returns.yaml 的 revisit 和 config/followup.yaml。"
            )
        (list_no,) = self.lists[known:]
        await self._follow(played, Process.VISITS, list_no)
        morning = clocks.house_time(datetime.combine(on, MORNING), house=house)
        await self._jump(morning)
        await self.audience.moment((on - self.first.date()).days, morning, ["客服按回访清单联系客户"])
        await self._fill(played, Fill("visit", does.call))

    async def _follow(self, played: Played, process: Process, case_no: str) -> None:
        """Wait until a case that the system has opened stands at its first gate, before the clock goes on."""
        gate = next(gate for gate, of in FOLLOWING.items() if of is process)
        played.followed.append(Followed(process.label, case_no, await self.desk.run(case_no)))

        async def is_open(connection: AsyncConnection) -> bool:
            return await cases.open_gate(connection, case_no, gate) is not None

        await self._wait(played.way.story, case_no, is_open)

    async def _fill(self, played: Played, does: Fill) -> None:
        case_no, run_id = played.case_no, played.run_id
        if does.gate in FOLLOWING:
            label = FOLLOWING[does.gate].label
            case_no, run_id = next(
                ((each.case_no, each.run_id) for each in played.followed if each.label == label), ("", None)
            )
        async with transaction() as connection:
            promise = await cases.open_gate(connection, case_no, does.gate)
            case = await cases.read(connection, case_no)
            now = await rehearsals.now(connection, self.rehearsal)
        if "told_how" in does.answer:
            told_at = f"{clocks.in_house(now, house=self.terms.house):%Y-%m-%d %H:%M}"
            does = replace(does, answer={**does.answer, "told_at": told_at})
        if promise is None or case is None or run_id is None:
            raise Unable(f"{case_no or played.case_no} 没有停在{Stage(does.gate).label}，演示无法继续。")
        context = promise["gate"]["context"]
        operator = self._somebody(
            authority.RIGHTS[does.gate],
            played,
            promise["owner"],
            amount=Decimal(context["amount"]) if "amount" in context else None,
            not_by=[*context.get("not_by", ()), *(await self._worked(case) if does.gate in FOLLOWING else ())],
            rather=case.operator if does.gate == "visit" else "",
        )
        if does.by_command:
            answer = filled(promise["gate"]["prefill"], does, self._reason)
            await outside.decide(case_no, does.gate, operator=operator.id, answer=answer)
            await self.desk.wake(case_no)
            return
        drawn = await self.desk.form(run_id, promise)
        await self.desk.resume(run_id, submitted(drawn, does, operator.choice, self._reason))
        if does.gate in FOLLOWING:
            await self._over(played.way.story, case_no)

    def _somebody(
        self,
        right: Right,
        played: Played,
        department: str,
        *,
        amount: Decimal | None = None,
        not_by: Sequence[str] = (),
        rather: str = "",
    ) -> Staff:
        """Somebody who may do it, not always the same; whoever is named `rather` than another."""
        may = [
            person
            for person in self.terms.who_may(right, department)
            if person.id not in not_by
            and not authority.objection(operator=person, named=person.id, right=right, amount=amount)
        ]
        if not may:
            name = self.terms.house.departments[department].name
            raise Unable(f"{name}没有人能办理“{right.label}”，请在 config/staff.yaml 中给一位员工这个权限，再演示。")
        return next((each for each in may if each.id == rather), may[self.ways.index(played.way) % len(may)])

    async def _worked(self, case: cases.Case) -> set[str]:
        """Who worked on the case that a second revisit is about, and so does not call its customer again (P-22)."""
        if case.process != Process.REVISIT:
            return set()
        async with transaction() as connection:
            about = await cases.read(connection, str(case.facts["about"]))
            entries = await journal.read(connection, str(case.facts["about"]))
        return {about.operator if about else "", *(entry.actor for entry in entries.values())}

    def _owner(self, gate: str) -> str:
        return self.terms.returns.stages[gate].owner

    def _reason(self, code: str) -> str:
        reason = self.terms.returns.reasons.get(code)
        if reason is None:
            raise Unable(f"config/returns.yaml 的 reasons 中没有 {code}，演示要用到它，请补上后再演示。")
        return reason.label

    def _items(self, way: Way, quantity: int) -> list[dict[str, Any]]:
        item = (self.cases[way.again].way if way.again else way).item
        assert item is not None, "a way is about an order"
        return [{"sku": item.sku, "quantity": quantity}]

    # --- waiting and looking ----------------------------------------------------------------------------------------

    async def _until(self, played: Played, to: Stage | None) -> None:
        """Wait until the case stands where its way leads. Raises Unable."""
        loop = asyncio.get_running_loop()
        until = loop.time() + self.patience
        while True:
            await self._see(played)
            if played.stage is to and (to is not None or played.refusal):
                return
            is_stuck = played.refusal or (played.stage is not None and played.stage.is_over)
            if is_stuck or loop.time() > until:
                raise Unable(self._elsewhere(played, to, is_late=not is_stuck))
            await asyncio.sleep(0.1)

    async def _over(self, story: str, case_no: str) -> None:
        """Wait until a case that the system has opened has ended."""

        async def is_over(connection: AsyncConnection) -> bool:
            case = await cases.read(connection, case_no)
            return case is not None and case.stage.is_over

        await self._wait(story, case_no, is_over)

    async def _wait(self, story: str, case_no: str, is_there: Callable[[AsyncConnection], Awaitable[bool]]) -> None:
        """Wait until a case that the system has opened is where it must be. Raises Unable."""
        loop = asyncio.get_running_loop()
        until = loop.time() + self.patience
        while True:
            async with transaction() as connection:
                if await is_there(connection):
                    return
                case = await cases.read(connection, case_no)
            if loop.time() > until:
                raise Unable(
                    f"“{story}”等了 {self.patience:.0f} 秒，{case_no} 还是{case.stage.label if case else ''}，"
                    f"请确认工作进程在运行（日志在 {settings().home / 'logs' / 'worker.log'}），再重新演示。"
                )
            await asyncio.sleep(0.1)

    async def _see(self, played: Played) -> None:
        assert played.run_id is not None, "a case begins with its application"
        async with transaction() as connection:
            if not played.case_no:
                played.case_no = await cases.case_of_run(connection, played.run_id) or ""
            if played.case_no:
                case = await cases.read(connection, played.case_no)
                played.stage = case.stage if case else None
            else:
                played.refusal = await cases.refusal_of_run(connection, played.run_id) or ""

    def _elsewhere(self, played: Played, to: Stage | None, *, is_late: bool) -> str:
        expected = to.label if to else "未受理"
        who = played.case_no or f"订单 {played.order_no} 的申请"
        if is_late:
            where = f"现在{played.stage.label}" if played.stage else "还没有售后单"
            return (
                f"“{played.way.story}”等了 {self.patience:.0f} 秒也没有到“{expected}”（{who}，{where}），"
                f"请确认工作进程在运行（日志在 {settings().home / 'logs' / 'worker.log'}），再重新演示。"
            )
        ended = f"未受理：{played.refusal.rstrip('。')}" if played.refusal else played.end
        return f"“{played.way.story}”应到“{expected}”，{who}却{ended}；若改过 config/ 里的规则，请先改回再演示。"

    async def _look_at(self, played: Played) -> None:
        """Read what came of a case: payments and delays from its journal, fees from the terms it was opened under."""
        if not played.case_no:
            return
        async with transaction() as connection:
            case = await cases.read(connection, played.case_no)
            assert case is not None, "a case is never deleted"
            terms = await terms_of(connection, case)
            history = sorted((await journal.read(connection, case.case_no)).values(), key=lambda entry: entry.seq)
            promises = await cases.promises(connection, case.case_no)
        # nobody is late while it is the customer who is waited for
        customers = {promise["entry"] for promise in promises if promise["lapses_at"] is not None}
        returns = terms.returns.on(case.channel)
        played.paid = [Decimal(refund["amount"]) for refund in standing(history).refunds]
        played.expected = [
            refund.goods
            - (getattr(returns, refund.fee) if refund.fee else 0)
            - returns.storage_per_day * refund.stored_days
            for refund in played.way.refunds
        ]
        played.late = sum(
            1
            for entry in history
            if entry.kind == "decision"
            and entry.due_at
            and entry.entry not in customers
            and clocks.is_overdue(due_at=entry.due_at, at=entry.at)
        )


async def _together(acts: Sequence[Awaitable[None]]) -> None:
    """Let acts of the same moment happen side by side; what went wrong is told when all have ended."""
    for ended in await asyncio.gather(*acts, return_exceptions=True):
        if isinstance(ended, BaseException):
            raise ended


def filled(prefill: Mapping[str, Any], does: Fill, reason: Callable[[str], str]) -> dict[str, Any]:
    """Fill in a gate's form: what is prefilled, changed as the act says; rows keep their line."""
    answer = {**deepcopy(dict(prefill)), **{name: _shown(value) for name, value in does.answer.items()}}
    if does.rows:
        first = answer["items"][0]
        answer["items"] = [
            {**first, **{name: reason(value) if name == "cause" else _shown(value) for name, value in row.items()}}
            for row in does.rows
        ]
    return answer


def submitted(drawn: Mapping[str, Any], does: Fill, operator: str, reason: Callable[[str], str]) -> dict[str, Any]:
    """Fill in a form as it was drawn, as its page would send it: with its defaults, and with its names for fields."""
    form = forms.GATES[does.gate]
    names = {wire(form, name): name for name in form.model_fields}
    prefill = {names[sent]: field["default"] for sent, field in drawn["properties"].items() if "default" in field}
    answer = filled(prefill, does, reason) | {"operator": operator}
    if does.gate == "visit":
        # the list is of one customer
        answer["visit"] = drawn["properties"][wire(form, "visit")]["enum"][0]
    return {wire(form, name): value for name, value in answer.items()}


def _shown(value: Any) -> Any:
    return value.label if isinstance(value, Named) else value


def _sale(way: Way, order_no: str, now: datetime, returns: Returns) -> Sale:
    """Make up the order of a way: a guest's, so that no customer of the shop's gets a rehearsed order."""
    assert way.item is not None
    ages = {
        AgeBand.A: returns.free_until_day // 2,
        AgeBand.B: (returns.free_until_day + returns.freight_until_day + 1) // 2,
        AgeBand.C: returns.freight_until_day + 10,
    }
    made = sample.sale(
        order_no,
        [way.item],
        now=now,
        age=ages[way.band] if way.band else None,
        freight=way.freight,
        customer=None,
    )
    route = way.payment_route or next(iter(returns.payment_routes), "支付宝")
    return replace(made, channel=way.channel, payment_route=route)
