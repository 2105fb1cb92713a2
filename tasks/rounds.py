"""Rounds: scheduled walks over many cases. What a round has found stays to be read; an empty one leaves nothing."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from datetime import timedelta
from functools import partial

from prefect.client.orchestration import PrefectClient, get_client
from prefect.client.schemas.actions import ArtifactCreate
from prefect.client.schemas.filters import FlowRunFilter
from prefect.client.schemas.sorting import FlowRunSort
from prefect.context import FlowRunContext
from prefect.exceptions import ObjectNotFound

from aftersales import clock
from aftersales.desk import runs
from aftersales.desk.links import ROUND
from aftersales.store import installation
from aftersales.store.engine import transaction
from tasks import boards, escalation, figures, followup, sending, surveys
from tasks import reconcile as reconciling

# on every round's runs; and on those that found something, which are kept
FOUND = "有发现"
# how long the run of an empty round is kept, how many one round looks at, and where it remembers which were the last
KEPT = timedelta(days=1)
SWEPT = 50
SWEEP = "sweep"


async def reconcile() -> str:
    """Compare open cases with their runs, put right what is wrong, and leave a page about it (design §10)."""
    async with get_client() as client:
        told = await reconciling.look(client)
        await _sweep(client)
        if not told.findings:
            return f"核对了 {told.compared} 张售后单，没有发现问题"
        await _leave(client, "reconciliation", "对账巡检：发现和处理", told.page)
    return f"核对了 {told.compared} 张售后单，处理了 {len(told.findings)} 项"


async def escalate() -> str:
    """Tell whom time has made it necessary to tell, and leave a page about it (ESC-04 to ESC-09)."""
    async with get_client() as client:
        told, untagged = await _climb(client)
    wrong = f"，{len(told.failed)} 项出错，下一分钟再试" if told.failed else ""
    wrong += f"；{said}" if (said := not_tagged(untagged)) else ""
    if told.recounted:
        wrong = f"，按新的日历重算了 {len(told.recounted)} 个时限{wrong}"
    if not told.told:
        return f"没有到期的提醒，也没有超时{wrong}"
    return f"处理了 {len(told.told) - len(told.failed)} 项到期的提醒{wrong}"


async def escalate_from_outside() -> tuple[escalation.Round, list[str]]:
    """
    Do what the round does each minute, from a command; answers what was told, and which tags could not be set.

    Raises Unable when Prefect cannot be reached: then nothing was told.
    """
    async with runs.from_outside() as client:
        return await _climb(client)


def not_tagged(untagged: Sequence[str]) -> str:
    """Say which runs could not be tagged; empty when all were."""
    return f"{len(untagged)} 张单的标签没有更新，下一分钟再试，例如 {untagged[0]}" if untagged else ""


async def _climb(client: PrefectClient) -> tuple[escalation.Round, list[str]]:
    """
    Tell what is reached, but of no case whose form is on its way.

    Then the tags of runs and the boards tell the same: whoever is told must find it there.
    """
    told = await escalation.look(being_told=partial(reconciling.being_told, client))
    if told.told or told.recounted:
        await _leave(client, "escalation", "超时巡检：到了什么、通知了谁", told.page)
    await runs.show_anew(client, [each.case_no for each in told.recounted if each.was != each.due])
    untagged = await boards.tag(client)
    await boards.refresh(client, is_sure=bool(told.told or told.recounted))
    return told, untagged


async def send() -> str:
    """Send what a worker has left unsent, and leave a page about what did not arrive (P-11)."""
    told = await sending.send_what_is_due()
    if not told.found:
        return "没有待发的通知"
    if told.told:
        async with get_client() as client:
            await _leave(client, "notices", "通知巡检：没有送达的", told.page)
    return f"送达 {told.sent} 条，撤回 {told.withdrawn} 条，未送达 {len(told.told)} 条"


async def follow_up() -> str:
    """
    Draw up whom we visit on the day that begins, and leave a page about it (FUP-10).

    Then bring the page of figures up to date: with the day, visits have come to be late.
    """
    told = await followup.look()
    async with get_client() as client:
        if told.night.drawn or told.night.left or told.month.said:
            await _leave(client, "followup", "回访巡检：排了谁、谁没有排", told.page)
        await figures.refresh(client)
    return told.said


async def ask() -> str:
    """Send, remind of and end the surveys that a worker has left, and leave a page about it (SVY-01, SVY-07)."""
    found = await surveys.look_after_what_is_due()
    if not found.told:
        return "没有到时间的调查"
    async with get_client() as client:
        await _leave(client, "surveys", "调查巡检：发出、提醒和截止的", found.page)
    return "，".join(f"{name} {len(case_nos)} 份" for name, case_nos in found.told)


async def _leave(client: PrefectClient, key: str, description: str, page: str) -> None:
    """Leave a page about what this round has found, and keep its run."""
    context = FlowRunContext.get()
    if context is not None and context.flow_run is not None:
        await client.update_flow_run(context.flow_run.id, tags=[ROUND, FOUND])
        await client.create_artifact(
            ArtifactCreate(
                key=key, type="markdown", description=description, data=page, flow_run_id=context.flow_run.id
            )
        )


async def _sweep(client: PrefectClient) -> None:
    """
    Delete the runs of rounds that found nothing, a day later, from the oldest on.

    Prefect knows no filter for tags that a run does not have: each run is looked at once, and the kept ones stay behind.
    """
    until = clock.now() - KEPT
    async with transaction() as connection:
        last = await installation.lock(connection, SWEEP)
        old = FlowRunFilter.model_validate(
            {
                "tags": {"all_": [ROUND]},
                "state": {"type": {"any_": ["COMPLETED"]}},
                "start_time": {"before_": until, "after_": last and last["until"]},
            }
        )
        ended = await client.read_flow_runs(flow_run_filter=old, sort=FlowRunSort.START_TIME_ASC, limit=SWEPT)
        for run in ended:
            if FOUND not in run.tags:
                with suppress(ObjectNotFound):  # somebody has deleted it in the UI
                    await client.delete_flow_run(run.id)
        if len(ended) == SWEPT and ended[-1].start_time is not None:
            until = ended[-1].start_time
        await installation.keep(connection, SWEEP, {"until": until.isoformat()})
