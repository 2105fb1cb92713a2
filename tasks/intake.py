"""
Applications that no member of staff typed: the customer's page and shop systems hand them in (RET-01).

Each is written down first, under the key of its sender, and then handed to Prefect as a run of the deployment that
staff use; what the run makes of it is the story's matter. So the same application is one, however often it is sent.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

from prefect.client.orchestration import PrefectClient
from prefect.exceptions import ObjectNotFound
from sqlalchemy.ext.asyncio import AsyncConnection

from aftersales import clock, forms
from aftersales.desk import runs
from aftersales.desk.deployments import STORIES
from aftersales.rules import assignment, authority, clocks, masking
from aftersales.store import applications, outbox
from aftersales.store.engine import transaction
from aftersales.terms import Terms
from aftersales.words import Applied, Process, Right, Unable, Way
from tasks import outside
from tasks.cases import current_terms

# Prefect's client would try for minutes; whoever waits for an answer may send it again
PATIENCE = 20.0


class Unavailable(Unable):
    """Nothing can be taken in at the moment; the same application may be sent again."""


class KeyTaken(Unable):
    """Another application was sent under this key before."""


@dataclass(frozen=True, slots=True)
class Standing:
    """What became of an application: its case once it was opened, the sentence once it was turned away."""

    state: Applied
    case_no: str = ""
    sentence: str = ""


@dataclass(frozen=True, slots=True)
class Application:
    """An application that was taken in, its first-contact owner, and whether it was the first of its key."""

    id: str
    operator: str
    is_new: bool


async def apply(request: Mapping[str, Any], *, via: str, key: str, operator: str = "") -> Application:
    """
    Take an application in and start its run (RET-01); the same one (way and key) once.

    `request` is a `forms.ReturnRequest` without its operator, who is chosen evenly among those of customer service who
    are there, unless `operator` names the first-contact owner. Safe to call again with the same key after any failure.
    Raises forms.Misfilled, KeyTaken, Unavailable, or Unable when the operator may not apply.
    """
    terms = current_terms()
    if operator:
        person = terms.staff().get(operator)
        if no := authority.objection(operator=person, named=operator, right=Right.APPLY):
            raise Unable(no)
    values = _read(request, terms)
    fingerprint = _fingerprint(values, operator)
    async with transaction() as connection:
        known = await applications.find(connection, via=via, key=key)
    is_new = known is None
    if known is None:
        known = await _keep(values, fingerprint, terms, via=Way(via), key=key, operator=operator)
    if known.fingerprint != fingerprint:
        raise KeyTaken("同一个编号先前提交过另一份申请，请换一个新的编号提交，或按原来的内容重发。")
    if _standing(known).state is Applied.TAKING:
        await _hand_over(known)
    return Application(str(known.id), known.operator, is_new)


async def standing(application_id: str | UUID) -> Standing:
    """Tell what became of an application. Raises outside.UnableToFind."""
    async with transaction() as connection:
        known = await applications.read(connection, application_id)
    if known is None:
        raise outside.UnableToFind("没有这份申请，请核对申请编号。")
    return _standing(known)


def _standing(known: applications.Kept) -> Standing:
    if known.case_no:
        return Standing(Applied.OPENED, known.case_no)
    if known.refusal:
        return Standing(Applied.REFUSED, sentence=known.refusal)
    return Standing(Applied.TAKING)


def _read(request: Mapping[str, Any], terms: Terms) -> dict[str, Any]:
    """The application in codes, personal data masked (GEN-10). Raises forms.Misfilled."""
    reasons = {code: reason.label for code, reason in terms.returns.reasons.items()}
    # the operator is not the sender's to fill in; a form without one would not be read
    asked = {**masking.scrub_all(dict(request)), "operator": "-"}
    taken = forms.read(forms.ReturnRequest, asked, options={"reason": reasons})
    return taken.model_dump(mode="json", exclude={"operator"})


def _fingerprint(values: Mapping[str, Any], operator: str) -> str:
    text = json.dumps([values, operator], sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


async def _keep(
    values: Mapping[str, Any], fingerprint: str, terms: Terms, *, via: Way, key: str, operator: str
) -> applications.Kept:
    """Write an application down with its first-contact owner, unless somebody was faster. Raises Unable."""
    async with transaction() as connection:
        await applications.one_at_a_time(connection)
        if await applications.find(connection, via=via.value, key=key) is None:
            await applications.keep(
                connection,
                id=uuid4(),
                via=via.value,
                key=key,
                fingerprint=fingerprint,
                request=dict(values),
                order_no=values["order_no"],
                operator=operator or await _first_contact(connection, terms),
                is_assigned=not operator,
                created_at=clock.now(),
            )
        known = await applications.find(connection, via=via.value, key=key)
    assert known is not None, "it was written just now"
    return known


async def _first_contact(connection: AsyncConnection, terms: Terms) -> str:
    """Choose who looks after an application, evenly over the day. Raises Unable."""
    department = terms.returns.stages["review"].owner
    staff = terms.who_may(Right.APPLY, department)
    today = clocks.house_date(clock.now(), house=terms.house)
    away = await outbox.absences(connection, today)
    began_at = clocks.span(today, today, house=terms.house)[0]
    given = await applications.given(connection, [person.id for person in staff], began_at)
    chosen = assignment.first_contact(staff=staff, away=away, given=given)
    if chosen is None:
        name = terms.house.departments[department].name
        raise Unable(f"{name}没有人有“{Right.APPLY.label}”权限，暂时不能受理申请，请联系店铺。")
    return chosen.id


async def _hand_over(known: applications.Kept) -> None:
    """Start the run of an application, once. Raises Unavailable; then it may be handed over again."""
    try:
        async with asyncio.timeout(PATIENCE), runs.from_outside() as client:
            await hand_over(client, known)
    except (runs.Unreachable, ObjectNotFound, TimeoutError) as error:
        raise Unavailable("系统暂时不可用，这份申请还没有受理，请稍后重试。") from error


async def hand_over(client: PrefectClient, known: applications.Kept) -> None:
    """Start the run of an application, once: Prefect knows its key as long as it has the run."""
    deployment = await client.read_deployment_by_name(STORIES[Process.RETURNS])
    run_id = await runs.start(
        client,
        deployment.id,
        {"request": {"operator": known.operator, **known.request}},
        name=f"{Process.RETURNS.label} {Way(known.via).label}申请",
        tags=[Process.RETURNS.label],
        labels={runs.APPLICATION: str(known.id)},
        key=f"application/{known.id}",
    )
    async with transaction() as connection:
        await applications.hand(connection, known.id, run_id)
