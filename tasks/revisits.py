"""Second revisits: opened by a dissatisfied answer, told by `flows/revisit.py` (SVY-05, FUP-04, AMB-40)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from zoneinfo import ZoneInfo

from sqlalchemy.ext.asyncio import AsyncConnection

from aftersales.desk import leg as legs
from aftersales.desk.leg import Leg
from aftersales.rules import clocks, masking
from aftersales.rules.deliveries import CUSTOMER
from aftersales.store import cases, journal
from aftersales.store.cases import Case
from aftersales.terms import Terms
from aftersales.words import Process, Right, Stage
from tasks import cases as opening
from tasks import notices, promises

_BY_HAND = "二次回访由系统在客户评价不满意时自动建立，不用手动新建；要查看已有的，请在运行列表按标签“二次回访”筛选。"


async def open_revisit(
    connection: AsyncConnection,
    about: Case,
    *,
    terms: Terms,
    answers: Sequence[tuple[str, str]],
    at: datetime,
    actor: str = CUSTOMER,
) -> str:
    """
    Open the second revisit of a dissatisfied customer, once a case; answers its number (SVY-05, FUP-04).

    `answers` are what was asked and what they said, as people read it; personal data in it is masked. `actor` is who
    wrote that down: the customer on their page, or the agent who asked them by phone. Whoever is to
    call is told at once (NTC-20). The run is started by `tellers.begin_from_outside` after the commit, else by the
    reconciling round.
    """
    await cases.lock(connection, about.case_no)
    if known := await journal.find(connection, about.case_no, "revisit-0"):
        return known.data["revisit_no"]
    promised = terms.promised("revisit")
    on = at.astimezone(ZoneInfo(terms.house.timezone)).date()
    revisit_no = await cases.next_number(connection, prefix="HF-X" if about.rehearsal else "HF", on=on)
    await cases.open_case(
        connection,
        case_no=revisit_no,
        process=Process.REVISIT,
        order_no=about.order_no,
        channel=about.channel,
        stage=Stage.OPENED.value,
        owner=promised.owner,
        opened_at=at,
        operator=about.operator,
        terms_hash=about.terms_hash,
        rehearsal=about.rehearsal,
        facts={"about": about.case_no},
    )
    said = [[asked, masking.scrub(answer)] for asked, answer in answers]
    await journal.add(
        connection,
        revisit_no,
        "begun",
        kind="begun",
        at=at,
        actor=actor,
        data={"about": about.case_no, "answers": said},
        rule=promised.rule,
    )
    await journal.add(
        connection,
        about.case_no,
        "revisit-0",
        kind="revisit",
        at=at,
        actor="system",
        data={"revisit_no": revisit_no},
        rule=promised.rule,
    )
    await _tell(connection, revisit_no, about, terms)
    return revisit_no


async def _tell(connection: AsyncConnection, revisit_no: str, about: Case, terms: Terms) -> None:
    """Tell the department whose senior agents call that there is somebody to call (NTC-20)."""
    leg = Leg(driver=None)  # type: ignore[arg-type]  # nobody tells the story here
    await leg.load(connection, revisit_no, terms)
    promised = terms.promised("revisit")
    due = promises.reckon(leg, "revisit", promised.limit)
    text = (
        f"{Process(about.process).names(about.case_no)} 的客户评价不满意，已建立二次回访 {revisit_no}："
        f"请有“{Right.REVISIT.label}”权限的员工在 {clocks.spoken_due(due)}给客户打电话。"
    )
    await notices.tell_department(connection, leg, f"revisit-0.{notices.OPENED}", promised.owner, text)


async def begin() -> str | None:
    """Find the case that this run tells; None, and a page that says so, for a run that somebody started by hand."""
    return await opening.begin(Process.REVISIT, _BY_HAND)


async def tries_again(case: str, gate: str) -> bool:
    """Whether a customer who was not reached is called once more (FUP-12, NUM-211)."""
    leg = await legs.here()
    assert leg.terms is not None
    # by this telling, not by the journal: the story is told again over what came later
    return leg.rounds[f"gate {gate}"] < leg.terms.followup.tries


async def close(case: str) -> str:
    """End a second revisit; what was heard stands in its history."""
    leg = await legs.here()
    return await opening.end(leg, Stage.CLOSED)
