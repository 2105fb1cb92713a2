"""The run that tells a case: begun for a case that has none, or whose run is gone for good (design §3)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from prefect.client.orchestration import PrefectClient

from aftersales.desk import runs
from aftersales.desk.deployments import STORIES
from aftersales.store import cases, journal
from aftersales.store.cases import Case
from aftersales.store.engine import transaction
from aftersales.words import Process


async def begin(client: PrefectClient, case: Case, *, generation: int, deployment_id: UUID) -> None:
    """Start a run for a case, once a generation; the leg knows the case by its label."""
    label = Process(case.process).label
    run_id = await runs.start(
        client,
        deployment_id,
        await _asked(case),
        name=f"{label} {case.case_no} {case.stage.label}",
        tags=[label, case.case_no],
        labels={runs.CASE: case.case_no},
        key=f"{case.case_no}/{generation + 1}",
    )
    async with transaction() as connection:
        await cases.link_run(connection, run_id, case.case_no)


async def begin_from_outside(case_no: str) -> None:
    """
    Start the first run of a case that has just been opened without one.

    Raises Unable when Prefect cannot be reached: the reconciling round starts it then.
    """
    async with runs.from_outside() as client:
        async with transaction() as connection:
            case = await cases.read(connection, case_no)
        assert case is not None, "a case is opened before it is told"
        deployment = await client.read_deployment_by_name(STORIES[Process(case.process)])
        await begin(client, case, generation=0, deployment_id=deployment.id)


async def _asked(case: Case) -> Mapping[str, Any]:
    """The parameters of a case's run: what was applied for; the other stories begin with what our tables hold."""
    if case.process != Process.RETURNS:
        return {}
    async with transaction() as connection:
        told = await journal.find(connection, case.case_no, "opened")
    assert told is not None, "a return is opened with its application"
    asked = {name: told.data[name] for name in ("operator", "order_no", "reason", "shipping", "wish")}
    items = [{"sku": item["sku"], "quantity": item["quantity"]} for item in told.data["items"]]
    return {"request": {**asked, "items": items}}
