"""The desk of a running stack, used as its pages use it: deployments started, forms read and sent, over Prefect's API."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

import httpx
from prefect.client.orchestration import PrefectClient, get_client
from prefect.client.schemas.responses import SetStateStatus
from prefect.exceptions import ObjectNotFound

from aftersales.desk import runs
from aftersales.words import Unable

PATIENCE = 60.0


class Prefect:
    """The desk of the stack that Prefect's client in this process points to."""

    def __init__(self, client: PrefectClient, *, patience: float = PATIENCE) -> None:
        self._client = client
        self._patience = patience
        self._deployments: dict[str, UUID] = {}

    async def submit(self, deployment: str, request: Mapping[str, Any]) -> UUID:
        """Start a deployment, as its form's page does. Raises Unable when there is none, or it refuses the form."""
        title = deployment.rpartition("/")[2]
        try:
            if deployment not in self._deployments:
                self._deployments[deployment] = (await self._client.read_deployment_by_name(deployment)).id
            run = await self._client.create_flow_run_from_deployment(
                self._deployments[deployment], parameters={"request": dict(request)}, name=f"{title} 新申请"
            )
        except ObjectNotFound:
            raise Unable(f"Prefect 里没有“{title}”这个流程，请停止后重新运行 make run，让它部署一次。") from None
        except httpx.HTTPStatusError as error:
            raise Unable(
                f"“{title}”的表单没有被接受（{_reason(error.response)}），请重新运行 make run 再演示。"
            ) from None
        return run.id

    async def form(self, run_id: UUID, promise: Mapping[str, Any]) -> Mapping[str, Any]:
        """Wait until the run shows the form of this gate, and read it. Raises Unable when it does not come."""
        ref = promise["gate"]["ref"]
        loop = asyncio.get_running_loop()
        until = loop.time() + self._patience
        while True:
            run = await self._client.read_flow_run(run_id)
            key = (run.state.state_details.pause_key or "") if run.state and run.state.is_paused() else ""
            if key.rpartition("-")[0] == promise["entry"]:
                name = f"suspended-{key}-schema"
                rows = await self._client.filter_flow_run_input(run_id, key_prefix=name, limit=1, exclude_keys=set())
                if rows:
                    return rows[0].decoded_value
            is_over = run.state is not None and run.state.is_final()
            if is_over or loop.time() > until:
                state = run.state.name if run.state else ""
                raise Unable(
                    f"{ref} 的表单没有打开（运行“{run.name}”的状态是 {state}），请在界面中查看这次运行的日志后再演示。"
                )
            await asyncio.sleep(0.1)

    async def resume(self, run_id: UUID, answer: Mapping[str, Any]) -> None:
        """Send a gate's form in, as *Resume* does. Raises Unable when the server refuses it."""
        sent = await self._client.resume_flow_run(run_id, run_input=dict(answer))
        if sent.status is not SetStateStatus.ACCEPT:
            why = getattr(sent.details, "reason", None) or sent.status
            raise Unable(f"{answer.get('gate')} 的表单没有被接受（{why}），请在界面中查看这张售后单后再演示。")

    async def wake(self, case_no: str) -> None:
        """Wake a case's run, as `decide` and `signal` do; a case that is being told goes on by itself."""
        await runs.wake(self._client, case_no)

    async def finish(self, run_ids: list[UUID]) -> None:
        """Wait until these runs have ended well. Raises Unable when one has not."""
        loop = asyncio.get_running_loop()
        until = loop.time() + self._patience
        for run_id in run_ids:
            while True:
                run = await self._client.read_flow_run(run_id)
                if run.state is not None and run.state.is_completed():
                    break
                if (run.state is not None and run.state.is_final()) or loop.time() > until:
                    state = run.state.name if run.state else ""
                    raise Unable(f"运行“{run.name}”没有正常结束（状态 {state}），请在界面中查看它的日志。")
                await asyncio.sleep(0.1)


@asynccontextmanager
async def opened() -> AsyncIterator[Prefect]:
    """The desk, for the time of the block. Raises Unable when Prefect does not answer."""
    try:
        async with get_client() as client:
            yield Prefect(client)
    except (httpx.HTTPError, OSError) as error:
        raise Unable(
            f"连不上 Prefect（{type(error).__name__}），请看运行 make run 的窗口是否正常，再重新演示。"
        ) from error


def _reason(response: httpx.Response) -> str:
    try:
        detail = response.json().get("detail") or response.json().get("exception_message")
    except ValueError:
        detail = ""
    return str(detail or response.status_code)
