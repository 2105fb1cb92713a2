"""
The small forms beside the stories: what staff enter that belongs to no open gate (design §3).

The run's id is the key of what it tells, so that a run told twice enters it once; its page says what became of it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from aftersales import forms
from aftersales.desk import leg as legs
from aftersales.rules import masking
from aftersales.words import Event, Unable
from tasks import desks, extensions, outside, records
from tasks.cases import current_terms


async def arrival(request: Mapping[str, Any]) -> str:
    """Take a parcel in, for its case or without one (RET-06)."""

    told = await _enter("到件登记", request, arrived)
    leg = await legs.here()
    await desks.publish_parcels(leg, current_terms())
    return told


async def arrived(request: Any, key: str) -> tuple[str, str]:
    """Take a parcel in by its form, once a key; answers its case (empty: none) and a sentence. Raises Unable."""
    form = forms.read(forms.ArrivalForm, request)
    data = form.model_dump(mode="json", exclude={"operator", "case_no"}, exclude_none=True)
    if not form.case_no:
        return await outside.parcel_without_case(staff=form.operator, data=data, key=key)
    told = await outside.signal(form.case_no, Event.PARCEL_RECEIVED, actor="", data=data, key=key, staff=form.operator)
    return form.case_no, told


async def extension(request: Mapping[str, Any]) -> str:
    """Take a new last day in (GEN-08, AMB-51)."""

    async def enter(masked: Any, key: str) -> tuple[str, str]:
        form = forms.read(forms.ExtensionForm, masked)
        told = await extensions.extend(
            form.case_no, operator=form.operator, until=form.until, reason=form.reason, key=key
        )
        return form.case_no, told

    # the form that stands open names the old last day
    return await _enter("延期", request, enter, anew=True)


async def account(request: Mapping[str, Any]) -> str:
    """Take in the account for a manual transfer; the run keeps nothing of it (MON-08, GEN-10)."""
    leg = await legs.here()
    given = dict(request) if isinstance(request, Mapping) else {}
    # before anything else: what Prefect shows of this run must not name the account
    hidden = {name: given[name] for name in ("operator", "case_no") if name in given}
    await leg.driver.hide(hidden)

    async def enter(_: Any, key: str) -> tuple[str, str]:
        form = forms.read(forms.AccountEntryForm, given)
        answer = form.model_dump(mode="json", exclude={"operator", "case_no"})
        await records.record(form.case_no, records.ACCOUNT, operator=form.operator, answer=answer)
        return form.case_no, f"{form.case_no} 的收款账户已登记。"

    return await _enter("收款账户登记", hidden, enter)


async def cancellation(request: Mapping[str, Any]) -> str:
    """Take a cancellation in (RET-17)."""

    async def enter(masked: Any, key: str) -> tuple[str, str]:
        form = forms.read(forms.CancelForm, masked)
        data = {"reason": form.reason}
        told = await outside.signal(
            form.case_no, Event.CASE_CANCELLED, actor="", data=data, key=key, staff=form.operator
        )
        return form.case_no, told

    return await _enter("取消售后单", request, enter)


async def _enter(
    title: str, request: Any, enter: Callable[[Any, str], Awaitable[tuple[str, str]]], *, anew: bool = False
) -> str:
    leg = await legs.here()
    if (masked := masking.scrub_all(request)) != request:
        await leg.driver.hide(masked)
    try:
        case_no, told = await enter(masked, f"run/{leg.driver.run_id}")
        tags = [title] + ([case_no] if case_no else ["无主包裹"])
        name = f"{title} {case_no or '无主包裹'}"
    except Unable as error:
        told = masking.forget(masking.scrub(str(error)), masked)
        if (hidden := masking.scrub_all(masked, keep=())) != masked:
            await leg.driver.hide(hidden)
        case_no, tags, name = "", [title, "未受理"], f"{title} 未受理"
    await leg.driver.show(name=name, tags=tags, pages={f"entry-{str(leg.driver.run_id)[:13]}": f"# {name}\n\n{told}"})
    if case_no:
        await leg.driver.wake(case_no, anew=anew)
    return told
