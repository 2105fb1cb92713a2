"""
Reconciliation: open cases against their runs on the desk (design §10).

Somebody may cancel or delete a run in the UI, a defect may fail it, Prefect's database may be lost: the case itself
stands in our database, and gets a live run again. Each case is a matter of its own, under its own lock.
"""

from __future__ import annotations

import itertools
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from prefect.client.orchestration import PrefectClient
from prefect.client.schemas import OrchestrationResult
from prefect.client.schemas.filters import DeploymentFilter, FlowFilter, FlowRunFilter
from prefect.client.schemas.objects import FlowRun, State, StateType
from prefect.client.schemas.responses import SetStateStatus
from prefect.client.schemas.sorting import FlowRunSort
from prefect.states import Cancelled, Scheduled

from aftersales import clock
from aftersales.desk import runs
from aftersales.desk.deployments import STORIES
from aftersales.desk.leg import Leg
from aftersales.desk.links import ROUND
from aftersales.desk.locks import Locks
from aftersales.desk.runs import PAGE, from_outside
from aftersales.store import applications, cases, desk, installation, journal, outbox
from aftersales.store import units as ledger
from aftersales.store.engine import transaction
from aftersales.store.journal import Entry
from aftersales.words import PREFECT, Event, Process, Unable
from tasks import boards, desks, figures, gates, intake, lapses, notices, outside, tellers, visits
from tasks.cases import current_terms
from tasks.steps import FIRST_REST, LONGEST_REST

# cases compared in one round; the next one goes on behind them
AT_ONCE = 1000
# how long a run may stand in the queue behind a younger one that was told, before something must be wrong with it
LATE = timedelta(minutes=3)
# how often an application that never became a case is told again by itself: for about six hours
MOST_TRIES = 12
# how far back it is looked for applications whose run was lost: the rounds come every minute
LOST_WITHIN = timedelta(days=2)
CURSOR = "reconciliation"
KIND = "reconciled"


@dataclass(frozen=True, slots=True)
class Finding:
    """What was wrong with one case, and what was done about it (`failed`: why nothing could be)."""

    case_no: str
    found: str
    done: str = ""
    failed: str = ""
    # the case was given a new run
    is_rebuilt: bool = False


@dataclass
class Round:
    """What one look has found."""

    compared: int = 0
    findings: list[Finding] = field(default_factory=list)

    @property
    def page(self) -> str:
        """The findings as a page that people read."""
        rows = [
            f"| {each.case_no} | {each.found} | {each.done or f'未能处理：{each.failed}'} |" for each in self.findings
        ]
        return "\n".join(
            [
                "# 对账巡检",
                "",
                f"核对了 {self.compared} 张未完成的售后单。",
                "",
                "| 售后单 | 发现 | 处理 |",
                "| --- | --- | --- |",
                *rows,
            ]
        )


async def look(client: PrefectClient, *, everything: bool = False, dry_run: bool = False) -> Round:
    """
    Compare open cases with their runs and put right what is wrong; then answer the gates that have lapsed.

    One round compares a part of the cases, the next one goes on behind it; `everything` compares all of them, for
    somebody who waits for it: no case rests then before it is tried again. What was submitted and not read yet is
    copied to our side, so that Prefect's database alone holds no decision.
    `dry_run` only says what would be done. Safe to call twice, late, or from two places at once.
    """
    told = Round()
    locks = await Locks.open()
    try:
        after = "" if everything else await _cursor()
        queue = await _queue(client)
        while True:
            async with transaction() as connection:
                rows = await desk.open_cases(connection, processes=list(STORIES), after=after, limit=AT_ONCE)
            found = await _runs(client, [run_id for _, run_id, _ in rows if run_id])
            for case_no, run_id, generation in rows:
                run = found.get(run_id) if run_id else None
                if not dry_run and (failed := await _keep_answers(client, locks, case_no, run)):
                    told.findings.append(failed)
                if wrong := _wrong(run, queue):
                    mending = _Mending(case_no, run, generation, wrong, queue, rests=not everything)
                    told.findings.append(await _mend(client, locks, mending, dry_run=dry_run))
            told.findings = [finding for finding in told.findings if finding.found]
            told.compared += len(rows)
            after = rows[-1][0] if len(rows) == AT_ONCE else ""
            if not everything or not after:
                break
        if not everything and not dry_run:
            await _keep_cursor(after)
        told.findings += await _unopened(client, locks, rests=not everything, dry_run=dry_run)
        told.findings += await _unhanded(client, dry_run=dry_run)
        told.findings += await _free_holds(dry_run=dry_run)
    finally:
        await locks.close()
    if not dry_run:
        told.findings += await _lapses(client)
        told.findings += await _struck_off()
    return told


async def look_from_outside(*, dry_run: bool = False) -> Round:
    """
    Compare every open case from a command, and bring the work lists and the boards back to the desk.

    Raises Unable when Prefect cannot be reached.
    """
    async with from_outside() as client:
        told = await look(client, everything=True, dry_run=dry_run)
        if not dry_run:
            await desks.publish_lists(client)
            await boards.refresh(client, anew=True)
            await figures.refresh(client, anew=True)
        return told


async def being_told(client: PrefectClient, case_nos: Collection[str]) -> set[str]:
    """Pick those of some cases whose run waits to be told or is being told: something was submitted just now."""
    async with transaction() as connection:
        tellers = await desk.newest_runs(connection, case_nos)
    found = await _runs(client, list(tellers))
    under_way = (StateType.SCHEDULED, StateType.PENDING, StateType.RUNNING)
    return {tellers[run.id] for run in found.values() if run.state is not None and run.state.type in under_way}


async def _runs(client: PrefectClient, run_ids: list[UUID]) -> Mapping[UUID, FlowRun]:
    found: dict[UUID, FlowRun] = {}
    for start in range(0, len(run_ids), PAGE):
        part = FlowRunFilter.model_validate({"id": {"any_": run_ids[start : start + PAGE]}})
        found |= {run.id: run for run in await client.read_flow_runs(flow_run_filter=part, limit=PAGE)}
    return found


async def _queue(client: PrefectClient) -> datetime | None:
    """
    How far the queue has been told: when the youngest round that was told stood due. None: no round was told yet.

    The oldest is handed out first, so without a worker, or in a burst, nothing that waits is late.
    """
    rounds = FlowRunFilter.model_validate({"tags": {"all_": [ROUND]}, "start_time": {"is_null_": False}})
    youngest = await client.read_flow_runs(flow_run_filter=rounds, sort=FlowRunSort.EXPECTED_START_TIME_DESC, limit=1)
    return youngest[0].expected_start_time if youngest else None


def _wrong(run: FlowRun | None, queue: datetime | None) -> str:
    """Say what is wrong with the run of an open case; empty when nothing is."""
    if run is None:
        return "运行不见了"
    state = run.state
    match state.type if state else None:
        case None | StateType.FAILED | StateType.CRASHED:
            return "运行出错停下了"
        case StateType.CANCELLED | StateType.CANCELLING:
            return "运行被取消"
        case StateType.COMPLETED:
            return "运行已结束，售后单还没有"
        case StateType.SCHEDULED:
            since = state.state_details.scheduled_time or state.timestamp  # type: ignore[union-attr]
            if since - clock.now() > LATE:  # nothing of ours is put off: somebody did it in the UI
                return "运行被改到以后"
            return "排队太久，没有轮到" if queue is not None and queue - since > LATE else ""
    return ""


async def _keep_answers(client: PrefectClient, locks: Locks, case_no: str, run: FlowRun | None) -> Finding | None:
    """
    Copy what was submitted for a case and no leg has read yet, masked; a finding when that failed.

    Under the case's lock, else a leg could read and delete an answer while it is copied.
    """
    if run is None or run.state is None or run.state.is_paused():
        return None
    try:
        if not await locks.take(case_no):  # a leg is reading them
            return None
        try:
            answers = await runs.submitted(client, run.id)
            async with transaction() as connection:
                case = await cases.read(connection, case_no)
                for answer in answers:
                    await desk.keep_answer(
                        connection,
                        case_no,
                        answer.run_id,
                        answer.key,
                        operator=gates.operator_named(answer),
                        values=gates.keepable(answer),
                        at=clock.now(case),
                    )
        finally:
            await locks.free(case_no)
    except Exception as error:  # one bad item stops nothing
        return Finding(case_no, "已提交的表单没有抄存", failed=str(error) or type(error).__name__)
    return None


@dataclass(frozen=True, slots=True)
class _Mending:
    """What is wrong with one case, as the look has seen it."""

    case_no: str
    run: FlowRun | None
    generation: int
    wrong: str
    queue: datetime | None
    rests: bool


async def _mend(client: PrefectClient, locks: Locks, seen: _Mending, *, dry_run: bool) -> Finding:
    """Put one case right under its lock; an empty finding when it is being told, or rests before another try."""
    case_no, run, wrong = seen.case_no, seen.run, seen.wrong
    if dry_run:
        return Finding(case_no, wrong, "（仅查看，未处理）")
    nothing = Finding(case_no, "")
    try:
        if not await locks.take(case_no):
            return nothing
        try:
            # somebody may have been faster between the look and the lock
            async with transaction() as connection:
                case = await cases.read(connection, case_no)
                newest = await cases.run_of_case(connection, case_no)
            if run is not None:
                run = (await _runs(client, [run.id])).get(run.id)
            if (
                case is None
                or case.closed_at
                or newest != (run.id if run else newest)
                or _wrong(run, seen.queue) != wrong
            ):
                return nothing
            return await _revive(client, case, run, seen) or nothing
        finally:
            await locks.free(case_no)
    except Exception as error:  # one bad item stops nothing
        return Finding(case_no, wrong, failed=str(error) or type(error).__name__)


async def _revive(client: PrefectClient, case: cases.Case, run: FlowRun | None, seen: _Mending) -> Finding | None:
    """Give a case a live run again: the one it had, or a new one when that or its deployment is gone."""
    async with transaction() as connection:
        entries = await journal.read(connection, case.case_no)
    tries = _in_vain(entries.values())
    if seen.rests and tries and clock.now() < _tried_at(tries[-1]) + _rest(len(tries)):
        return None
    state = run.state if run else None
    deployment = await client.read_deployment_by_name(STORIES[Process(case.process)])
    # no worker can tell a run whose deployment was deleted, also when one of the same name was deployed since
    is_lost = run is not None and run.deployment_id != deployment.id
    done = "已重新建立运行" if run is None or is_lost else "已恢复运行"
    if run is not None and state is not None and state.type in (StateType.CANCELLED, StateType.CANCELLING):
        done = await _cancelled(case, run, state)
    is_rebuilt = run is None or is_lost or not await _scheduled(client, run)
    if is_rebuilt:
        await tellers.begin(client, case, generation=seen.generation, deployment_id=deployment.id)
        if run is not None and state is not None and is_lost and not state.is_final():
            # only now: cancelled before the new run has its row, it would cancel the case
            await client.set_flow_run_state(run.id, Cancelled(), force=True)
    if run is None and not seen.generation and case.process != Process.RETURNS:
        # opened beside another case while Prefect was away, or a moment ago: nothing has gone wrong with it
        return None
    # an import opens cases that no run has ever told: nothing has gone wrong with them either
    is_new = run is None and seen.generation <= 1 and "imported" in case.facts
    await _tell(case, run, seen, done, is_first=not tries and not is_new)
    return Finding(case.case_no, seen.wrong, done, is_rebuilt=is_rebuilt)


def _rest(tries: int) -> timedelta:
    """How long to wait after so many tries in vain."""
    return min(LONGEST_REST, FIRST_REST * 2 ** min(tries - 1, 10))


def _tried_at(entry: Entry) -> datetime:
    """When it was tried, by the clock on the wall: a rehearsal's own stands still."""
    return datetime.fromisoformat(entry.data["tried_at"]) if "tried_at" in entry.data else entry.at


def _in_vain(entries: Collection[Entry]) -> list[Entry]:
    """How often a case was given a live run since it last got on."""
    tries: list[Entry] = []
    for entry in sorted(entries, key=lambda entry: entry.seq):
        if entry.kind == KIND:
            tries.append(entry)
        elif entry.kind in ("gate", "decision", "cancelled"):
            tries.clear()
    return tries


async def _cancelled(case: cases.Case, run: FlowRun, state: State) -> str:
    """Take a cancellation on the desk for one of the case while its goods are not here (RET-17)."""
    reason = "运行在 Prefect 界面中被取消"
    key = f"{case.case_no}/{Event.CASE_CANCELLED.value}/{run.id}/{state.id}"
    try:
        await outside.signal(case.case_no, Event.CASE_CANCELLED, actor=PREFECT, data={"reason": reason}, key=key)
    except Unable:
        if case.process != Process.RETURNS:
            return "这种单不能取消，已恢复运行"
        return "商品已收货或已确认丢失，不能取消，已恢复运行"
    return "售后单按取消办理"


async def _scheduled(client: PrefectClient, run: FlowRun) -> bool:
    """Schedule a run that has ended once more; False when Prefect does not let it go on."""
    if run.state is not None and run.state.type is StateType.CANCELLING:
        await client.set_flow_run_state(run.id, Cancelled())
    answer: OrchestrationResult[Any] = await client.set_flow_run_state(run.id, Scheduled(name="Recovering"))
    return answer.status is SetStateStatus.ACCEPT


async def _tell(case: cases.Case, run: FlowRun | None, seen: _Mending, done: str, *, is_first: bool) -> None:
    """Write down what was found and done, and tell the department that has the case, once until it gets on."""
    state_id = str(run.state.id)[:8] if run and run.state else "gone"
    entry = f"run.{str(run.id)[:8] if run else seen.generation}/{state_id}"
    now = clock.now(case)
    leg = Leg(driver=None, case=case, terms=current_terms())  # type: ignore[arg-type]  # nobody tells the story here
    async with transaction() as connection:
        await journal.add(
            connection,
            case.case_no,
            entry,
            kind=KIND,
            at=now,
            actor="system",
            data={"found": seen.wrong, "done": done, "tried_at": clock.now().isoformat()},
        )
        if is_first:
            text = f"{seen.wrong}：{done}。请打开这张单看一看；售后单请勿使用 Cancel、Delete。"
            await notices.tell_department(connection, leg, entry, case.owner, text)


async def _unopened(client: PrefectClient, locks: Locks, *, rests: bool, dry_run: bool) -> list[Finding]:
    """Tell applications again whose run has ended badly before they became a case, or were refused."""
    flow, _, deployment = STORIES[Process.RETURNS].partition("/")
    findings = []
    for start in itertools.count(step=PAGE):
        part = await client.read_flow_runs(
            flow_filter=FlowFilter.model_validate({"name": {"any_": [flow]}}),
            deployment_filter=DeploymentFilter.model_validate({"name": {"any_": [deployment]}}),
            flow_run_filter=FlowRunFilter.model_validate({"state": {"type": {"any_": ["FAILED", "CRASHED"]}}}),
            sort=FlowRunSort.EXPECTED_START_TIME_ASC,
            limit=PAGE,
            offset=start,
        )
        async with transaction() as connection:
            told = await desk.tellers(connection, [run.id for run in part])
        findings += [
            await _tell_again(client, locks, run, rests=rests, dry_run=dry_run)
            for run in part
            # a run that was made for a case is a matter of that case
            if run.id not in told and runs.CASE not in (run.labels or {})
        ]
        if len(part) < PAGE:
            break
    return [finding for finding in findings if finding.found]


async def _tell_again(client: PrefectClient, locks: Locks, run: FlowRun, *, rests: bool, dry_run: bool) -> Finding:
    """Schedule an application's run once more under its lock; an empty finding while it rests or is being told."""
    asked = run.parameters.get("request")
    order_no = str(asked.get("order_no", ""))[:64] if isinstance(asked, Mapping) else ""
    name, wrong = f"未立案 {str(run.id)[:8]}", f"订单 {order_no} 的退货申请运行出错，还没有售后单"
    if dry_run:
        return Finding(name, wrong, "（仅查看，未处理）")
    nothing = Finding(name, "")
    try:
        if not await locks.take(str(run.id)):
            return nothing
        try:
            states = await client.read_flow_run_states(run.id)
            ended = sorted(state.timestamp for state in states if state.type in (StateType.FAILED, StateType.CRASHED))
            # the first time at once; what fails for hours (its parameters may be wrong) is left to those who were told
            if rests and len(ended) > MOST_TRIES:
                return nothing
            if rests and len(ended) > 1 and clock.now() < ended[-1] + _rest(len(ended) - 1):
                return nothing
            if not await _scheduled(client, run):
                return nothing
            terms, entry = current_terms(), f"run.{run.id}"
            async with transaction() as connection:
                if not await outbox.was_told(connection, entry):
                    owner = terms.returns.stages["review"].owner
                    text = (
                        f"{wrong}，已重新运行。请稍后查看：成功后会有售后单号，不成功请把运行“{run.name}”告诉维护人员。"
                    )
                    await notices.tell_without_case(
                        connection, entry, owner, text, language=terms.house.language, at=clock.now()
                    )
            return Finding(name, wrong, "已重新运行")
        finally:
            await locks.free(str(run.id))
    except Exception as error:  # one bad item stops nothing
        return Finding(name, wrong, failed=str(error) or type(error).__name__)


async def _unhanded(client: PrefectClient, *, dry_run: bool) -> list[Finding]:
    """Hand over again what the customer's page or a shop system sent and whose run is gone before it was told."""
    now = clock.now()
    async with transaction() as connection:
        waiting = await applications.in_hand(connection, since=now - LOST_WITHIN, until=now - LATE, limit=PAGE)
    found = await _runs(client, [known.run_id for known in waiting if known.run_id])
    findings = []
    for known in (known for known in waiting if known.run_id not in found):
        name, wrong = f"未立案 {str(known.id)[:8]}", "申请的运行不见了，还没有售后单"
        try:
            if not dry_run:
                await intake.hand_over(client, known)
            findings.append(Finding(name, wrong, "（仅查看，未处理）" if dry_run else "已重新建立运行"))
        except Exception as error:  # one bad item stops nothing
            findings.append(Finding(name, wrong, failed=str(error) or type(error).__name__))
    return findings


async def _free_holds(*, dry_run: bool) -> list[Finding]:
    """Give back what ended cases still hold."""
    findings = []
    async with transaction() as connection:
        ended = await desk.held_by_the_ended(connection)
    for case_no in ended:
        if not dry_run:
            async with transaction() as connection:
                await ledger.release(connection, case_no)
        findings.append(Finding(case_no, "已结束的售后单还占着商品", "已释放"))
    return findings


async def _lapses(client: PrefectClient) -> list[Finding]:
    async def is_asleep(case_no: str) -> bool:
        # a form that somebody has sent stands in Prefect until the case is told: its run is not suspended any more
        async with transaction() as connection:
            run_id = await cases.run_of_case(connection, case_no)
        run = (await _runs(client, [run_id])).get(run_id) if run_id else None
        return run is not None and run.state is not None and run.state.type is StateType.PAUSED

    told = await lapses.look(is_asleep=is_asleep)
    return [
        *(Finding(case_no, "到期无人办理", "按规则自动结案") for case_no in told.ended),
        *(Finding(case_no, "客户没有答复，商品已收到", "恢复计时，按现有情况办理") for case_no in told.unanswered),
        *(Finding(case_no, "客户还没有寄出或答复", "已提醒客户") for case_no in told.reminded),
        *(Finding(text.partition("：")[0], "到期处理出错", failed=text.partition("：")[2]) for text in told.failed),
    ]


async def _struck_off() -> list[Finding]:
    """Take off their lists whom nobody is to call any longer (FUP-11)."""
    try:
        struck = await visits.strike_off()
    except Exception as error:  # the next round tries again; what this one has found is told
        return [Finding("回访清单", "不该再打的回访没有移出", failed=str(error) or type(error).__name__)]
    return [
        Finding(list_no, f"{left.due.order_no or left.due.key}：{left.why.label}", "已移出清单")
        for list_no, left in struck
    ]


async def _cursor() -> str:
    async with transaction() as connection:
        return ((await installation.lock(connection, CURSOR)) or {}).get("after", "")


async def _keep_cursor(after: str) -> None:
    async with transaction() as connection:
        await installation.keep(connection, CURSOR, {"after": after})
