"""The desk of a running stack, used as its pages use it: deployments started, forms read and sent, over Prefect's API."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

import httpx
from prefect.client.orchestration import PrefectClient, get_client
from prefect.client.schemas.responses import SetStateStatus
from prefect.exceptions import ObjectNotFound

from aftersales.desk import runs
from aftersales.store import cases
from aftersales.store.engine import transaction
from aftersales.words import Unable
from tasks import surveys

PATIENCE = 60.0
_TOKEN = re.compile(r'name="token" value="([^"]+)"')


class Prefect:
    """The desk of the stack that Prefect's client in this process points to."""

    def __init__(self, client: PrefectClient, *, page_url: str = "", patience: float = PATIENCE) -> None:
        self._client = client
        self._page_url = page_url
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

    async def run(self, case_no: str) -> UUID:
        """Wait until a case that the system has opened has its run. Raises Unable when it does not come."""
        loop = asyncio.get_running_loop()
        until = loop.time() + 2 * self._patience  # Prefect may not have heard: then the round of each minute starts it
        while True:
            async with transaction() as connection:
                run_id = await cases.run_of_case(connection, case_no)
            if run_id is not None:
                return run_id
            if loop.time() > until:
                raise Unable(f"{case_no} 的运行没有开始，请看运行 make run 的窗口是否正常，再重新演示。")
            await asyncio.sleep(0.1)

    async def answer(self, token: str, given: Mapping[str, str]) -> None:
        """Answer a survey on the customer's page over HTTP; without it, or behind another key, as the page itself does."""
        address = f"{self._page_url}{surveys.PATH}{token}"
        try:
            async with httpx.AsyncClient() as browser:
                form = _TOKEN.search((await browser.get(address)).text) if self._page_url else None
                if form is not None:
                    fields = {f"q-{code}": value for code, value in given.items()}
                    sent = await browser.post(address, data={"token": form[1], **fields})
                    if not sent.is_redirect:
                        raise Unable(f"自助页面没有接受评价（HTTP {sent.status_code}），请看 page.log，再重新演示。")
                    return
        except httpx.HTTPError:
            pass  # the page does not run here
        await surveys.answer(token, given)

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
async def opened(*, page_url: str = "") -> AsyncIterator[Prefect]:
    """The desk, for the time of the block. Raises Unable when Prefect does not answer."""
    try:
        async with get_client() as client:
            yield Prefect(client, page_url=page_url)
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
