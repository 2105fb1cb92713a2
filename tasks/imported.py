"""Returns of another system's file become cases, by the same code as an application and the same rules as a decision."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from aftersales import clock
from aftersales.desk import leg as legs
from aftersales.desk.bare import Bare
from aftersales.desk.leg import Waiting
from aftersales.desk.locks import Locks
from aftersales.imports.mapping import Mapping as ImportMapping
from aftersales.imports.returns import Application, Back, Bad, Plan, plan
from aftersales.rules import authority
from aftersales.rules.standing import standing
from aftersales.store import cases as case_store
from aftersales.store import imported, journal
from aftersales.store.engine import transaction
from aftersales.store.imported import Left
from aftersales.words import ZERO, Right, Shipping, Stage, Unable
from tasks import cases, outside
from tasks.cases import Imported, current_terms

# cases opened and settled side by side; those of one order one after the other
AT_ONCE = 8

log = logging.getLogger("aftersales.imports")

Story = Callable[[Any], Awaitable[Any]]


@dataclass
class Told:
    """What an import of returns did."""

    plan: Plan
    repeated: int = 0
    # rows that a person must look at and did not know of
    left: int = 0
    carried_on: int = 0
    opened: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    settled: int = 0
    refunds: Decimal = ZERO
    waiting: Counter[str] = field(default_factory=Counter)

    @property
    def difference(self) -> Decimal:
        """What the file's own amounts are above our refunds, for the rows that were filled."""
        return self.plan.amount - self.refunds


async def take_in(
    rows: Sequence[Back],
    mapping: ImportMapping,
    *,
    source: str,
    operator: str,
    story: Story,
    settles: bool,
    bad: Sequence[Bad] = (),
    on_case: Callable[[], None] = lambda: None,
    on_plan: Callable[[int], None] = lambda cases: None,
) -> Told:
    """
    Open a case for each invoice and order, and carry it through its gates when it `settles`; each row counts once.

    What an earlier import left undone is done first: cases between two gates, rows of which a part was placed, rows
    that found no order then. `bad` are rows that cannot be read: they go to a person with those that find none.
    Raises Unable when the operator may not apply, the mapping does not say who passes the gates, or another import of
    the same source is under way.
    """
    terms = current_terms()
    if no := authority.objection(operator=terms.staff().get(operator), named=operator, right=Right.APPLY):
        raise Unable(no)
    if mapping.returns is None:
        raise Unable(f"映射“{mapping.label}”没有写 returns（退货原因和各环节的经办人），不能导入退货，请补上。")
    if mapping.returns.reason not in terms.returns.reasons:
        raise Unable(f"映射“{mapping.label}”的退货原因 {mapping.returns.reason} 不在 config/returns.yaml 中，请改正。")
    locks = await Locks.open()
    if not await locks.take(source):
        await locks.close()
        raise Unable("另一个退货导入正在进行，请等它结束后再试。")
    try:
        return await _Import(mapping, source, operator, story, settles, locks).take_in(
            rows, bad, on_plan=on_plan, on_case=on_case
        )
    finally:
        await locks.close()


class _Import:
    """One import of one file: it holds the source, so that no other reckons with the same rows beside it."""

    def __init__(
        self, mapping: ImportMapping, source: str, operator: str, story: Story, settles: bool, locks: Locks
    ) -> None:
        assert mapping.returns is not None
        self._said = mapping.returns
        self._mapping, self._source, self._operator = mapping, source, operator
        self._story, self._settles, self._locks = story, settles, locks
        self._zone = ZoneInfo(current_terms().house.timezone)

    async def take_in(
        self,
        rows: Sequence[Back],
        bad: Sequence[Bad],
        *,
        on_plan: Callable[[int], None],
        on_case: Callable[[], None],
    ) -> Told:
        async with transaction() as connection:
            placed = await imported.placed(connection, self._source)
            dealt_with = await imported.dealt_with(connection, self._source)
            # a row of which an earlier import, killed or refused, has placed a part: the rest of it
            rest = [
                replace(row, quantity=row.quantity - placed.get(row.key, 0))
                for row in rows
                if row.key not in dealt_with
            ]
            fresh = [row for row in rest if row.quantity > 0]
            sold = await imported.sold(connection, {(row.customer_no, row.sku) for row in fresh if row.customer_no})
            unfinished = await imported.unfinished(connection, self._source) if self._settles else []
        told = Told(plan(fresh, sold, mapping=self._mapping), repeated=len(rows) - len(fresh))
        left = [
            *(_left(each.row, each.reason) for each in told.plan.unplaced),
            *(_left_bad(row) for row in bad),
        ]
        async with transaction() as connection:
            told.left = await imported.leave(connection, self._source, left, clock.now())
        on_plan(len(told.plan.applications))
        of_order: defaultdict[str, list[Application]] = defaultdict(list)
        for application in told.plan.applications:
            of_order[application.order_no].append(application)
        by_key = {row.key: row for row in fresh}
        room = asyncio.Semaphore(AT_ONCE)

        async def one_order(applications: list[Application]) -> None:
            async with room:
                for application in applications:
                    await self._open(application, told, by_key)
                    on_case()

        for case in unfinished:
            if case["stage"] == Stage.OPENED or case["stage"] in self._said.settle:
                await self._carry_on(case, told)
        async with asyncio.TaskGroup() as group:  # which leaves none behind when one breaks
            for each in of_order.values():
                group.create_task(one_order(each))
        return told

    async def _open(self, application: Application, told: Told, by_key: Mapping[str, Back]) -> None:
        """Open a case; what cannot be opened goes to a person, and stops nothing."""
        quantities: Counter[str] = Counter()
        for line_no, quantity in application.lines.items():
            quantities[application.skus[line_no]] += quantity
        request = {
            "operator": self._operator,
            "order_no": application.order_no,
            "items": [{"sku": sku, "quantity": quantity} for sku, quantity in sorted(quantities.items())],
            "reason": self._said.reason,
            # how the goods came back nobody knows any more: not by a courier of ours
            "shipping": Shipping.SELF.value,
            "wish": "refund",
            "remark": f"导入自 {application.invoice}",
        }
        facts = Imported(
            source=self._source,
            invoice=application.invoice,
            rows=application.rows,
            asked_on=application.asked_at.astimezone(self._zone).date(),
            lines=dict(application.lines),
            is_past=self._settles,
        )
        name = f"{application.invoice} → {application.order_no}"
        driver = _Locking(self._locks)
        try:
            legs.begin(driver)
            case_no = await cases.open_return(request, imported=facts)
            if case_no is not None:
                told.opened.append(case_no)
                refunded = await self._settle(driver, case_no, application.invoice, application.order_no, told)
                told.refunds += refunded  # not across the await: others add to it meanwhile
                return
            async with transaction() as connection:
                reason = await case_store.refusal_of_run(connection, driver.run_id) or "申请未受理"
                left = [_left(by_key[key], f"没有开立售后单：{reason}") for key in application.rows]
                told.left += await imported.leave(connection, self._source, left, clock.now())
            told.refused.append(f"{name}：{reason}")
        except Exception as error:
            told.refused.append(f"{name}：{_why(error)}")
        finally:
            await driver.free()

    async def _carry_on(self, case: Mapping[str, Any], told: Told) -> None:
        """Settle a case that an import was killed over."""
        case_no = case["case_no"]
        async with transaction() as connection:
            run_id = await case_store.run_of_case(connection, case_no)
        driver = _Locking(self._locks, run_id)
        try:
            await driver.secure(case_no)
            await self._settle(driver, case_no, case["invoice"], case["order_no"], told)
            told.carried_on += 1
        except Exception as error:
            told.refused.append(f"{case_no}：{_why(error)}")
        finally:
            await driver.free()

    async def _settle(self, driver: Bare, case_no: str, invoice: str, order_no: str, told: Told) -> Decimal:
        """Tell a case to its next gate, and past all gates when it is settled; answers what it refunded."""
        gate = await _tell(driver, self._story)
        while self._settles and gate and (who := self._said.settle.get(gate)):
            answer = await _answer(case_no, gate, invoice, order_no)
            await outside.decide(case_no, gate, operator=who, answer=answer)
            gate = await _tell(driver, self._story)
        if gate:
            told.waiting[gate] += 1
            return ZERO
        told.settled += 1
        async with transaction() as connection:
            return standing((await journal.read(connection, case_no)).values()).refunded


def _left(row: Back, reason: str) -> Left:
    """A row for a person; no customer's name or number: the invoice leads to them (GEN-10)."""
    told = {
        "line": row.line,
        "invoice": row.invoice,
        "sku": row.sku,
        "quantity": row.quantity,
        "amount": f"{row.amount:.2f}",
        "asked_at": row.asked_at.isoformat(),
    }
    return Left(row.key, reason, told)


def _left_bad(row: Bad) -> Left:
    told = {"line": row.line, "invoice": row.order_no, "sku": "", "quantity": "", "amount": "", "asked_at": ""}
    return Left(row.key, f"有误：{row.reason}", told)


def _why(error: Exception) -> str:
    """What went wrong with one case; of a fault of ours the log tells more."""
    if isinstance(error, Unable):
        return str(error)
    log.error("A case of an import ended badly", exc_info=error)
    return f"程序出错（{type(error).__name__}），请把日志交给技术同事，解决后再导入一次"


class _Locking(Bare):
    """A driver outside any run that holds its case's lock: the desk may be telling cases at the same time."""

    def __init__(self, locks: Locks, run_id: UUID | None = None) -> None:
        super().__init__(run_id)
        self._locks = locks

    async def secure(self, case_no: str) -> None:
        """Hold the case from its first moment."""
        if not await self._locks.take(case_no):
            raise Unable(f"{case_no} 正在处理中，请稍后再导入。")
        await super().secure(case_no)

    async def free(self) -> None:
        """Let go of the case."""
        if self.case_no is not None:
            await self._locks.free(self.case_no)


async def _tell(driver: Bare, story: Story) -> str:
    """Tell a case's story once more; answers the gate where it waits, empty at its end."""
    legs.begin(driver)
    try:
        await story(None)
    except Waiting as waiting:
        return waiting.gate.rpartition("-")[0]
    return ""


async def _answer(case_no: str, gate: str, invoice: str, order_no: str) -> dict[str, Any]:
    """What the past has answered at a gate: everything came, was as it was said to be, and was paid."""
    async with transaction() as connection:
        promise = await case_store.open_gate(connection, case_no, gate)
    assert promise is not None, "the story waits at this gate"
    drawn: Mapping[str, Any] = promise["gate"]["prefill"]
    items = [{**item, "line": str(item["line"])} for item in drawn.get("items", ())]
    match Stage(gate):
        case Stage.REVIEW:
            # whatever proof there was, the past has looked at it
            return {"decision": "approve", "remark": "历史导入"}
        case Stage.COUNTERSIGN:
            return {"decision": "approve"}
        case Stage.PICKUP:
            return {"carrier": "历史导入", "tracking_no": f"{invoice}-{case_no[-4:]}"}
        case Stage.RECEIPT:
            return {"items": items, "rest": "complete"}
        case Stage.INSPECTION:
            return {"items": items, "result": "pass"}
        case Stage.REFUND:
            return {"amount": drawn["amount"], "reference": f"{invoice}-{order_no}"}
    raise Unable(f"{case_no} 的{Stage(gate).label.removeprefix('待')}不能由导入代办，请从映射的 settle 中去掉 {gate}。")
