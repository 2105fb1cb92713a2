"""Boards, and the tags of runs whose case is late or soon will be: what departments see at a glance (ESC-04, ESC-05)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

from prefect.client.orchestration import PrefectClient
from prefect.exceptions import ObjectNotFound

from aftersales import clock
from aftersales.desk import links, runs
from aftersales.desk.locks import Locks
from aftersales.rules import boards as rules
from aftersales.rules import ladders
from aftersales.store import boards, cases, installation
from aftersales.store.engine import transaction
from aftersales.words import Urgency
from tasks import desks
from tasks.cases import current_terms

# under what name the installation remembers its last look
LOOK = "boards"
# how long a look that found nothing written is believed without another
BELIEVED = timedelta(minutes=10)
# the most runs that one round tags; the next one goes on
AT_ONCE = 200


async def refresh(client: PrefectClient, *, is_sure: bool = False, anew: bool = False) -> int:
    """
    Bring the boards up to date; answers how many were written.

    Nothing is read when nothing was written since the last look, unless something is sure to have changed (`is_sure`);
    of what was read, only a board that says something new is written, or each of them (`anew`), so that those come
    back that somebody has deleted.
    """
    at = clock.now()
    async with transaction() as connection:
        last = await installation.lock(connection, LOOK)
        # before anything is read: what is written meanwhile is found by the next look
        writes = await boards.writes(connection)
        if last is not None and not (is_sure or anew):
            is_believed = at - datetime.fromisoformat(last["at"]) < BELIEVED
            if is_believed and last["writes"] == writes:
                return 0
        terms = current_terms()
        reader = desks.reader(terms)
        groups = await boards.groups(connection, at=at)
        owners = {group.owner for group in groups}
        pages = rules.boards(
            groups=groups,
            owed=await boards.nearest(connection, owners=owners, most=rules.MOST),
            terms=terms,
            reader=reader,
            at=at,
        )
        written = [
            await runs.renew(
                connection,
                client,
                links.board(department),
                says=page,
                text=rules.dated(page, at=at, reader=reader),
                anew=anew,
            )
            for department, page in pages.items()
        ]
        await installation.keep(connection, LOOK, {"at": at.isoformat(), "writes": writes})
    return sum(written)


async def tag(client: PrefectClient) -> list[str]:
    """
    Let the tags of runs tell how pressing their case is now; answers what went wrong, to be tried again.

    Only those that a rung or an extension has changed are looked at: a leg tags its run by itself. Under the case's
    lock, and only while its run sleeps, so that a leg that sets all tags is never overtaken.
    """
    async with transaction() as connection:
        asked = await boards.untagged(connection, limit=AT_ONCE)
    if not asked:
        return []
    failed = []
    locks = await Locks.open()
    try:
        for case_no, run_id in asked:
            if not await locks.take(case_no):  # it is being told, and shows it by itself
                continue
            try:
                await _tag(client, case_no, run_id)
            except Exception as error:  # one bad item stops nothing
                failed.append(f"{case_no}：{str(error) or type(error).__name__}")
            finally:
                await locks.free(case_no)
    finally:
        await locks.close()
    return failed


async def _tag(client: PrefectClient, case_no: str, run_id: UUID) -> None:
    async with transaction() as connection:
        case = await cases.read(connection, case_no)
        owed = await boards.owed_by(connection, case_no)
    try:
        run = await client.read_flow_run(run_id)
    except ObjectNotFound:
        run = None  # the case gets another, whose leg tags it
    if run is not None:
        if run.state is None or not run.state.is_paused():
            return
        urgency = ladders.most_urgent(owed, at=clock.now(case))
        if (tags := tagged(run.tags, urgency)) != run.tags:
            await client.update_flow_run(run_id, tags=tags)
    async with transaction() as connection:
        await boards.tagged(connection, owed)


def tagged(tags: Sequence[str], urgency: Urgency | None) -> list[str]:
    """A run's tags with how pressing its case is, which stands first: the run list shows three and counts the rest."""
    others = [tag for tag in tags if tag not in {each.label for each in Urgency}]
    return [urgency.label, *others] if urgency else others
