"""How a case looks on the desk: run name and tags, the page above a form, timeline and quote (design §2, GEN-13)."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import Any
from zoneinfo import ZoneInfo

from prefect.client.orchestration import PrefectClient
from sqlalchemy.ext.asyncio import AsyncConnection

from aftersales import clock
from aftersales import terms as rulebook
from aftersales.desk import runs
from aftersales.desk.leg import Leg
from aftersales.rules import clocks, masking, pages
from aftersales.rules import surveys as asking
from aftersales.rules.lists import Visit
from aftersales.rules.standing import standing
from aftersales.store import applications, cases, orders, surveys, work
from aftersales.store.engine import transaction
from aftersales.store.journal import Entry
from aftersales.terms import Terms
from aftersales.terms import survey as survey_terms
from aftersales.words import Process, Stage, Urgency, Way

REHEARSED = "演练"
PARKED = "等待外部系统"


# the work lists that people read
LISTS = ("pickup", "refund", "sendback")
# which work lists a case changes by coming to a stage
LISTS_OF = {
    Stage.PICKUP: ("pickup",),
    Stage.RECEIPT: ("pickup", "refund", "sendback"),
    Stage.REFUND: ("refund",),
    Stage.SENDBACK: ("sendback",),
    Stage.REIMBURSEMENT: ("refund", "sendback"),
    Stage.CLOSED: ("refund", "sendback"),
    Stage.CANCELLED: LISTS,
    Stage.REJECTED: LISTS,
}


async def publish_lists(client: PrefectClient) -> None:
    """Bring every work list to the desk, so that its address leads somewhere before the first case."""
    words = reader(rulebook.load())
    for kind in LISTS:
        await runs.publish(client, f"{kind}-list", functools.partial(_list, kind, words))
    await runs.publish(client, "parcel-list", functools.partial(parcels, words))


async def publish_parcels(leg: Leg, terms: Terms) -> None:
    """Bring the page of parcels without a case up to date (RET-06)."""
    await leg.driver.publish("parcel-list", functools.partial(parcels, reader(terms)))


async def publish_parcels_from_outside() -> None:
    """Bring the page of parcels without a case up to date from a command. Raises Unable without Prefect."""
    words = reader(rulebook.load())
    async with runs.from_outside() as client:
        await runs.publish(client, "parcel-list", functools.partial(parcels, words))


async def _list(kind: str, words: pages.Reader, connection: AsyncConnection) -> str:
    return pages.work_page(kind, await work.listed(connection, kind), words, clock.now())


async def parcels(words: pages.Reader, connection: AsyncConnection) -> str:
    """The page of parcels that arrived without a case (RET-06)."""
    return pages.parcel_page(await cases.orphans(connection), words, clock.now())


def department(text: str, terms: Terms) -> str:
    """The code of a department that somebody named by code or name; empty when there is none."""
    return next((code for code, each in terms.house.departments.items() if text in (code, each.name)), "")


def departments(terms: Terms) -> str:
    """Every department by code and name, for whoever named none."""
    return "、".join(f"{code}（{each.name}）" for code, each in terms.house.departments.items())


def reader(terms: Terms) -> pages.Reader:
    """What turns a journal's codes into words."""
    return pages.Reader(
        returns=terms.returns,
        staff=terms.staff(),
        departments={key: department.name for key, department in terms.house.departments.items()},
        zone=ZoneInfo(terms.house.timezone),
    )


async def _written(case_no: str, terms: Terms) -> list[tuple[str, str]]:
    """What a customer wrote in free text about a case: read when it is shown and kept nowhere else, masked (GEN-10)."""
    async with transaction() as connection:
        row = await surveys.of_case(connection, case_no)
    if row is None:
        return []
    asked = survey_terms.restore(row["terms"], live=terms.survey)
    return [(question, masking.scrub(said)) for question, said in asking.words(row["answers"], asked)]


async def show(
    leg: Leg,
    *,
    stage: Stage,
    promise: Mapping[str, Any] | None = None,
    order: orders.Shown | None = None,
    urgency: Urgency | None = None,
    visits: Sequence[Visit] = (),
) -> str:
    """
    Bring the run's name, tags and pages up to date; answers the page that stands above the gate's form.

    `promise` and `order` are of the gate where the case waits, `urgency` says how pressing the case is; without them it
    has ended. The customer of a second revisit is that of the order; a list of visits names those that are left.
    """
    case, terms = leg.case, leg.terms
    assert case is not None
    assert terms is not None
    words = reader(terms)
    history = leg.history
    process = Process(case.process)
    told = standing(history)
    owner = words.departments.get(promise["owner"], "") if promise else ""
    # the run's page shows three and counts the rest; the number stands in the name already
    agent = words.who(case.operator)
    tags = [
        *([urgency.label] if urgency else []),
        *([agent] if process is Process.VISITS else []),
        process.label,
        stage.label,
        *([owner] if owner else []),
        case.case_no,
    ]
    tags += [REHEARSED] if case.rehearsal else []
    tags += [PARKED] if leg.parked else []
    tags += [pages.SAMPLED] if "quality-0" in leg.entries else []
    shown = {f"{case.case_no.lower()}-timeline": pages.timeline_page(case.case_no, history, words)}
    if process is Process.RETURNS:
        shown[f"{case.case_no.lower()}-quote"] = pages.quote_page(case.case_no, told)
    if process is Process.VISITS:
        today = clocks.house_date(leg.now(), house=terms.house)
        shown[f"{case.case_no.lower()}-list"] = pages.visits_page(case.case_no, agent, visits, on=today)
    await leg.driver.show(name=f"{process.label} {case.case_no} {stage.label}", tags=tags, pages=shown)
    if case.rehearsal is None:
        for kind in LISTS_OF.get(stage, ()):
            # few cases send goods back; the others need not write a list that they never changed
            if kind == "sendback" and "sendback-0.asked" not in leg.entries:
                continue
            await leg.driver.publish(f"{kind}-list", functools.partial(_list, kind, words))
    if promise is None:
        if process is Process.REVISIT or _is_by_customer(history):
            await leg.driver.forget_pages()
        return ""
    refusals = [e for e in history if e.kind == "refused" and e.entry.startswith(f"{promise['entry']}.refused")]
    about: dict[str, Any] = {
        "case_no": case.case_no,
        "stage": stage,
        "due": clocks.marked(f"{clocks.spoken(promise['due_at'], house=terms.house)} 前", promise["provisional"]),
        "history": history,
        "refusal": refusals[-1].data["reason"] if refusals else "",
        "reader": words,
    }
    if process is Process.VISITS:
        return pages.visits_summary(**about, agent=agent, visits=visits, on=today)
    assert order is not None, "a case has its order"
    about |= {"owner": owner, "trace": clocks.explain(promise["trace"])}
    about["order"] = {
        "order_no": case.order_no,
        "channel": order.channel,
        "name": masking.masked_name(order.name),
        "phone": masking.masked_phone(order.phone),
        "payment_route": order.payment_route,
        "insured": f"{order.insured_freight:.2f} 元" if order.insured_freight else "无",
    }
    if process is Process.REVISIT:
        return pages.revisit_summary(**about, written=await _written(str(case.facts["about"]), terms))
    parked = leg.parked[-1] if leg.parked else ""
    return pages.summary(**about, standing=told, parked=parked, own_words=await _own_words(history))


async def _own_words(history: Sequence[Entry]) -> str:
    """What a customer who applied by themselves has written besides: kept in our table alone, read when it is shown (GEN-10)."""
    if not _is_by_customer(history):
        return ""
    async with transaction() as connection:
        known = await applications.read(connection, history[0].data["application"])
    return known.request.get("remark", "") if known else ""


def _is_by_customer(history: Sequence[Entry]) -> bool:
    return history[0].data.get("via") == Way.PAGE
