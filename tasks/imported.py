"""Returns of another system's file become cases, by the same code as an application and the same rules as a decision."""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from aftersales import clock
from aftersales.desk import leg as legs
from aftersales.desk.bare import Bare
from aftersales.desk.leg import Waiting
from aftersales.desk.locks import Locks
from aftersales.imports.mapping import Mapping as ImportMapping
from aftersales.imports.returns import Application, Back, Plan, plan
from aftersales.rules import authority
from aftersales.rules.standing import standing
from aftersales.store import cases as case_store
from aftersales.store import imported, journal
from aftersales.store.engine import transaction
from aftersales.words import ZERO, Right, Shipping, Stage, Unable
from tasks import cases, outside
from tasks.cases import Imported, current_terms

# cases opened and settled side by side; those of one order one after the other
AT_ONCE = 8

Story = Callable[[Any], Awaitable[Any]]


@dataclass
class Told:
    """What an import of returns did."""

    plan: Plan
    repeated: int = 0
    left: int = 0
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
    on_case: Callable[[], None] = lambda: None,
    on_plan: Callable[[int], None] = lambda cases: None,
) -> Told:
    """
    Open a case for each invoice and order, and carry it through its gates when it `settles`; each row counts once.

    Raises Unable when the operator may not apply, or the mapping does not say who passes the gates.
    """
    terms = current_terms()
    if no := authority.objection(operator=terms.staff().get(operator), named=operator, right=Right.APPLY):
        raise Unable(no)
    if mapping.returns is None:
        raise Unable(f"映射“{mapping.label}”没有写 returns（退货原因和各环节的经办人），不能导入退货，请补上。")
    if mapping.returns.reason not in terms.returns.reasons:
        raise Unable(f"映射“{mapping.label}”的退货原因 {mapping.returns.reason} 不在 config/returns.yaml 中，请改正。")
    async with transaction() as connection:
        known = await imported.known(connection, source)
        fresh = [row for row in rows if row.key not in known]
        sold = await imported.sold(connection, {(row.customer_no, row.sku) for row in fresh if row.customer_no})
    told = Told(plan(fresh, sold, mapping=mapping), repeated=len(rows) - len(fresh))
    async with transaction() as connection:
        told.left = await imported.leave(connection, source, told.plan.unplaced, clock.now())
    on_plan(len(told.plan.applications))
    of_order: defaultdict[str, list[Application]] = defaultdict(list)
    for application in told.plan.applications:
        of_order[application.order_no].append(application)
    locks = await Locks.open()
    room = asyncio.Semaphore(AT_ONCE)

    async def one_order(applications: list[Application]) -> None:
        async with room:
            for application in applications:
                await _one(application, mapping, locks, told, source, operator, story, settles=settles)
                on_case()

    try:
        await asyncio.gather(*(one_order(each) for each in of_order.values()))
    finally:
        await locks.close()
    return told


async def _one(
    application: Application,
    mapping: ImportMapping,
    locks: Locks,
    told: Told,
    source: str,
    operator: str,
    story: Story,
    *,
    settles: bool,
) -> None:
    assert mapping.returns is not None
    zone = ZoneInfo(current_terms().house.timezone)
    quantities: Counter[str] = Counter()
    for line_no, quantity in application.lines.items():
        quantities[application.skus[line_no]] += quantity
    request = {
        "operator": operator,
        "order_no": application.order_no,
        "items": [{"sku": sku, "quantity": quantity} for sku, quantity in sorted(quantities.items())],
        "reason": mapping.returns.reason,
        # how the goods came back nobody knows any more: not by a courier of ours
        "shipping": Shipping.SELF.value,
        "wish": "refund",
        "remark": f"导入自 {application.invoice}",
    }
    facts = Imported(
        source=source,
        invoice=application.invoice,
        rows=tuple(application.rows),
        asked_on=application.asked_at.astimezone(zone).date(),
        lines=dict(application.lines),
        is_past=settles,
    )
    driver = _Locking(locks)
    try:
        legs.begin(driver)
        case_no = await cases.open_return(request, imported=facts)
        if case_no is None:
            told.refused.append(f"{application.invoice} → {application.order_no}")
            return
        told.opened.append(case_no)
        gate = await _tell(driver, story)
        while settles and gate and (who := mapping.returns.settle.get(gate)):
            await outside.decide(case_no, gate, operator=who, answer=await _answer(case_no, gate, application))
            gate = await _tell(driver, story)
    except Unable as error:
        told.refused.append(f"{application.invoice} → {application.order_no}：{error}")
        return
    finally:
        await driver.free()
    if gate:
        told.waiting[gate] += 1
        return
    told.settled += 1
    async with transaction() as connection:
        refunded = standing((await journal.read(connection, case_no)).values()).refunded
    told.refunds += refunded


class _Locking(Bare):
    """A driver outside any run that holds its case's lock: the desk may be telling cases at the same time."""

    def __init__(self, locks: Locks) -> None:
        super().__init__()
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


async def _answer(case_no: str, gate: str, application: Application) -> dict[str, Any]:
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
            return {"carrier": "历史导入", "tracking_no": f"{application.invoice}-{case_no[-4:]}"}
        case Stage.RECEIPT:
            return {"items": items, "rest": "complete"}
        case Stage.INSPECTION:
            return {"items": items, "result": "pass"}
        case Stage.REFUND:
            return {"amount": drawn["amount"], "reference": f"{application.invoice}-{application.order_no}"}
    raise Unable(f"{case_no} 的{Stage(gate).label.removeprefix('待')}不能由导入代办，请从映射的 settle 中去掉 {gate}。")
