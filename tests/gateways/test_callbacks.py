"""What other systems tell us, over real HTTP: signed, read strictly, once each; every refusal is one sentence and no change."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import psycopg
import pytest

from aftersales import clock
from aftersales.serve import signatures
from aftersales.words import Stage
from tests.conftest import free_port
from tests.stories.conftest import Shop, Telling

KEY = "a-secret-agreed-upon"


class Service:
    """`aftersales serve` in a process of its own, and a sender that signs."""

    def __init__(self, database_url: str, home: Path, **environment: str) -> None:
        self.port = free_port()
        self.log = home / "serve.log"
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                [Path(sys.executable).with_name("aftersales"), "serve"],
                env={
                    **{k: v for k, v in os.environ.items() if not k.startswith(("PREFECT_", "AFTERSALES_"))},
                    "AFTERSALES_DATABASE_URL": database_url,
                    "AFTERSALES_HOME": str(home),
                    "AFTERSALES_SERVE_PORT": str(self.port),
                    "AFTERSALES_CALLBACK_KEY": KEY,
                    **environment,
                },
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        self.client = httpx.AsyncClient(base_url=f"http://127.0.0.1:{self.port}", trust_env=False, timeout=30)
        until = time.monotonic() + 180
        while True:
            try:
                httpx.get(f"http://127.0.0.1:{self.port}/health", trust_env=False)
                break
            except httpx.TransportError:
                assert self._process.poll() is None and time.monotonic() < until, self.log.read_text()
                time.sleep(0.1)

    async def send(
        self,
        sender: str,
        body: bytes | dict[str, Any],
        *,
        key: str = KEY,
        late: timedelta = timedelta(),
        **headers: str,
    ) -> httpx.Response:
        """Send a callback, signed unless a header says otherwise."""
        raw = body if isinstance(body, bytes) else json.dumps(body, ensure_ascii=False).encode()
        signature = signatures.sign(raw, key=key, at=clock.now() - late)
        return await self.client.post(
            f"/callbacks/{sender}", content=raw, headers={signatures.HEADER: signature, **headers}
        )

    def stop(self) -> None:
        """End it."""
        self._process.terminate()
        self._process.wait(10)


@pytest.fixture
def service(database: str, tmp_path: Path) -> Iterator[Service]:
    running = Service(database.replace("+psycopg", ""), tmp_path)
    yield running
    running.stop()


@pytest.fixture
async def owed(shop: Shop) -> Telling:
    """A case whose refund is under way."""
    return await at_refund(shop)


async def at_refund(shop: Shop) -> Telling:
    await shop.order()
    telling = await shop.tell(shop.application())
    await telling.decide("review", "C08", decision="approve")
    await telling.decide("pickup", "L02", carrier="顺丰", tracking_no="SF100200300")
    await telling.decide("receipt", "W02", items=[{"line": "1", "quantity": 1}], rest="complete")
    rows = [{"line": "1", "quantity": 1, "grade": "sellable", "cause": "no_reason"}]
    await telling.decide("inspection", "W03", items=rows, result="pass")
    assert telling.at == "refund-0"
    return telling


def sent(case: Telling, **changes: Any) -> dict[str, Any]:
    """A refund that went through."""
    return {
        "event_id": f"evt_{uuid4().hex}",
        "event": "refund.succeeded",
        "key": f"{case.case_no}/refund-0",
        "amount": "188.00",
        "reference": "WX-4200001",
        **changes,
    }


def everything(database: str) -> dict[str, list[str]]:
    """Every row of every table."""
    with psycopg.connect(database.replace("+psycopg", "")) as connection:
        tables = connection.execute("select tablename from pg_tables where schemaname = 'public'").fetchall()
        return {name: sorted(map(str, connection.execute(f'select * from "{name}"'))) for (name,) in tables}


async def test_a_refund_that_went_through_closes_the_case(service: Service, owed: Telling):
    answer = await service.send("payment", sent(owed))

    assert answer.status_code == 200
    assert answer.json() == {"case_no": owed.case_no, "told": f"{owed.case_no} 已登记“已退款”。"}
    await owed.again()
    assert (await owed.case()).stage is Stage.CLOSED
    decided = (await owed.journal())["refund-0"]
    assert decided.actor == "payment" and decided.data["reference"] == "WX-4200001"


async def test_accepted_twice_counts_once(service: Service, owed: Telling):
    told = sent(owed)

    answers = [await service.send("payment", told), await service.send("payment", told)]
    await owed.again()
    answers.append(await service.send("payment", told))

    assert [answer.status_code for answer in answers] == [200, 200, 200]
    assert len(await owed.rows("inbox")) == 1
    assert len(await owed.rows("outbox", where="and notice = 'NTC-07'")) == 1


async def test_ten_at_the_same_instant_count_once(service: Service, owed: Telling):
    told = sent(owed)

    answers = await asyncio.gather(*(service.send("payment", told) for _ in range(10)))

    assert {answer.status_code for answer in answers} == {200}
    assert len(await owed.rows("inbox")) == 1


async def test_p16_a_refund_that_failed_is_sent_again_under_the_same_key(service: Service, owed: Telling):
    failed = {
        "event_id": "evt_failed",
        "event": "refund.failed",
        "key": f"{owed.case_no}/refund-0",
        "reason": "银行退回",
    }

    assert (await service.send("payment", failed)).status_code == 200
    await owed.again()

    assert owed.at == "refund-0"
    journal = await owed.journal()
    assert [entry.data["reason"] for entry in journal.values() if entry.kind == "failed"] == ["银行退回"]
    assert (await owed.rows("parks", where="and ended_at is null"))[0].entry == "refund-0"


async def test_a_parcel_is_picked_up_delivered_and_lost(service: Service, shop: Shop):
    await shop.order()
    case = await shop.tell(shop.application())
    await case.decide("review", "C08", decision="approve")
    parcel = {"key": f"{case.case_no}/book-pickup-0", "carrier": "顺丰", "tracking_no": "SF100200300"}

    up = await service.send("carrier", {"event_id": "c1", "event": "picked_up", "freight": "13.50", **parcel})
    await case.again()
    delivered = await service.send("carrier", {"event_id": "c2", "event": "delivered", **parcel})
    await case.again()

    assert (up.status_code, delivered.status_code) == (200, 200)
    assert case.at == "receipt-0", "delivered is not received: the warehouse counts what came"
    assert (await case.journal())["pickup-0"].data["freight"] == "13.50"
    assert (await service.send("carrier", {"event_id": "c3", "event": "lost", **parcel})).status_code == 200
    await case.again()
    assert case.at == "tracing-0"


async def test_what_comes_after_people_have_settled_it_changes_nothing(service: Service, owed: Telling, database: str):
    await owed.decide("refund", "A03", amount="188.00", reference="BY-HAND-1")
    assert (await owed.case()).stage is Stage.CLOSED
    before = everything(database)

    answer = await service.send("payment", sent(owed))

    assert (answer.status_code, answer.json()["told"]) == (200, f"{owed.case_no} 的这一步已登记过，未重复登记。")
    assert everything(database) == before


async def test_another_amount_than_was_due_is_refused_and_kept(service: Service, owed: Telling):
    answer = await service.send("payment", sent(owed, amount="180.00"))

    assert answer.status_code == 409
    assert answer.json() == {"error": "退款金额应为 188.00 元，填写的是 180.00 元，请按应退金额付款后再确认。"}
    assert len(await owed.rows("inbox")) == 0
    assert [e.data["reason"] for e in (await owed.journal()).values() if e.kind == "refused"] == [
        answer.json()["error"]
    ]


async def test_other_methods_and_pages_do_not_exist(service: Service):
    for path, status in (("/callbacks/payment", 405), ("/docs", 404), ("/openapi.json", 404), ("/", 404)):
        answer = await service.client.get(path)
        assert answer.status_code == status and list(answer.json()) == ["error"]


async def test_without_a_secret_it_says_so(database: str, tmp_path: Path, owed: Telling):
    service = Service(database.replace("+psycopg", ""), tmp_path, AFTERSALES_CALLBACK_KEY="")
    try:
        answer = await service.send("payment", sent(owed))
    finally:
        service.stop()

    assert answer.status_code == 503
    assert answer.json() == {"error": "还没有设置 AFTERSALES_CALLBACK_KEY，不能接收回调，请设置后重新启动。"}


async def test_with_the_database_down_the_sender_is_asked_to_send_again(tmp_path: Path):
    service = Service(f"postgresql://nobody@127.0.0.1:{free_port()}/gone", tmp_path)
    try:
        answer = await service.send("payment", {"event_id": "e1", "event": "refund.failed", "key": "RT-1/refund-0"})
    finally:
        service.stop()

    assert answer.status_code == 503
    assert answer.json() == {"error": "数据库暂时连不上，这条消息没有登记，请稍后重发。"}
