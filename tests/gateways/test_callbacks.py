"""What other systems tell us, over real HTTP: signed, read strictly, once each; every refusal is one sentence and no change."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import psycopg
import pytest

from aftersales import clock
from aftersales.serve import signatures
from aftersales.store import engine
from aftersales.words import Stage
from tests.conftest import copy_of, emptied, free_port
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


@pytest.fixture(scope="module")
def served(postgres: str, migrated: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Service]]:
    """A database, and a service that is connected to it: starting one takes seconds."""
    with copy_of(postgres, migrated) as url:
        running = Service(url, tmp_path_factory.mktemp("serve"))
        yield url, running
        running.stop()


@pytest.fixture
async def database(served: tuple[str, Service]) -> AsyncIterator[str]:
    """The service's database, empty again; this process is connected to it too."""
    emptied(served[0])
    engine.connect(served[0])
    yield engine.address(served[0]).render_as_string(hide_password=False)
    await engine.disconnect()


@pytest.fixture
def service(served: tuple[str, Service], database: str) -> Service:
    return served[1]


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


async def kept(case: Telling) -> tuple[list[Any], list[Any]]:
    """What was said and could not be used: the rows of the journal, and the notices to departments about them."""
    late = [entry for entry in (await case.journal()).values() if entry.kind == "late"]
    notices = await case.rows("outbox", "entry, recipient, body", "and notice = 'DESK' order by id")
    return late, [notice for notice in notices if any(notice.entry == entry.entry for entry in late)]


async def test_p15_a_second_payment_after_people_have_settled_it_is_kept_and_told(service: Service, owed: Telling):
    await owed.decide("refund", "A03", amount="188.00", reference="BY-HAND-1")
    told = sent(owed, reference="WX-9001")

    answers = [await service.send("payment", told) for _ in range(3)]

    assert [answer.status_code for answer in answers] == [200, 200, 200]
    (late,), (notice,) = await kept(owed)
    assert late.data["told"]["reference"] == "WX-9001" and late.actor == "payment"
    assert notice.recipient == "department:aftersales"
    assert "BY-HAND-1" in notice.body and "WX-9001" in notice.body and "可能付了两次" in notice.body
    assert [row.recipient for row in await owed.rows("outbox", "recipient", "and notice = 'STAFF'")] == ["staff:A03"]


async def test_p15_it_waits_in_the_inbox_when_people_settle_it(service: Service, owed: Telling):
    await service.send("payment", sent(owed, reference="WX-9001"))

    await owed.decide("refund", "A03", amount="188.00", reference="BY-HAND-1")

    (late,), (notice,) = await kept(owed)
    assert "WX-9001" in late.data["reason"] and notice.body == late.data["reason"]
    assert not await owed.rows("inbox", where="and taken_at is null")


async def test_the_payment_that_people_have_written_down_is_no_second_one(
    service: Service, owed: Telling, database: str
):
    await owed.decide("refund", "A03", amount="188.00", reference="WX-4200001")
    before = everything(database)

    answer = await service.send("payment", sent(owed))

    assert (answer.status_code, answer.json()["told"]) == (200, f"{owed.case_no} 的这一步已登记过，未重复登记。")
    assert everything(database) == before


async def test_a_refund_that_bounces_after_it_had_gone_is_kept_once_and_told(service: Service, owed: Telling):
    await service.send("payment", sent(owed))
    await owed.again()
    bounced = {
        "event_id": "evt_bounced",
        "event": "refund.failed",
        "key": f"{owed.case_no}/refund-0",
        "reason": "银行退票，户名不符",
    }

    answers = [await service.send("payment", bounced) for _ in range(3)]

    assert [answer.status_code for answer in answers] == [200, 200, 200]
    (late,), (notice,) = await kept(owed)
    assert late.entry == "refund-0.late:payment/evt_bounced"
    assert notice.recipient == "department:aftersales" and "银行退票，户名不符" in notice.body


async def test_a_refund_of_an_earlier_parcel_that_bounces_is_told_too(service: Service, shop: Shop):
    await shop.order(lines=[("SKU-1", "台灯", 2, "200.00")])
    case = await shop.tell(shop.application(items=[{"sku": "SKU-1", "quantity": 2}]))
    await case.decide("review", "C08", decision="approve")
    await case.decide("pickup", "L02", carrier="顺丰", tracking_no="SF100200300")
    rows = [{"line": "1", "quantity": 1, "grade": "sellable", "cause": "no_reason"}]
    for part, rest in (("0", "coming"), ("1", "complete")):
        await case.decide("receipt", "W02", items=[{"line": "1", "quantity": 1}], rest=rest)
        await case.decide("inspection", "W03", items=rows, result="pass")
        if part == "0":
            total = (await case.journal())["bill-0"].data["total"]
            await service.send("payment", sent(case, amount=total))
            await case.again()
    assert case.at == "refund-1"

    bounced = {"event_id": "e9", "event": "refund.failed", "key": f"{case.case_no}/refund-0", "reason": "银行退票"}
    await service.send("payment", bounced)
    await case.again()

    (late,), (notice,) = await kept(case)
    assert late.entry == "refund-0.late:payment/e9" and "银行退票" in notice.body
    assert case.at == "refund-1" and not [e for e in (await case.journal()).values() if e.kind == "failed"]


async def test_another_amount_than_was_due_is_kept_and_told_once(service: Service, owed: Telling):
    told = sent(owed, amount="180.00", reference="WX-1")

    answers = [await service.send("payment", told) for _ in range(3)]
    await owed.again()

    assert [answer.status_code for answer in answers] == [200, 200, 200]
    assert owed.at == "refund-0" and not await owed.rows("inbox")
    (late,), (notice,) = await kept(owed)
    assert late.data["told"] == {"key": f"{owed.case_no}/refund-0", "amount": "180.00", "reference": "WX-1"}
    assert notice.recipient == "department:aftersales"
    assert "退款金额应为 188.00 元" in notice.body and "WX-1" in notice.body


@pytest.mark.parametrize("reference", ["WX 4200001", "微信转账 4200001", "x" * 200, "W1", "WX\x00-1"])
async def test_a_reference_looks_as_the_provider_pleases(service: Service, owed: Telling, reference: str):
    assert (await service.send("payment", sent(owed, reference=reference))).status_code == 200

    await owed.again()

    assert (await owed.case()).stage is Stage.CLOSED
    assert (await owed.journal())["refund-0"].data["reference"] == reference.replace("\x00", "")


async def test_mon20_a_parcel_to_the_customer_that_is_lost_is_told_to_logistics(service: Service, shop: Shop):
    await shop.order()
    case = await shop.tell(shop.application())
    await case.decide("review", "C08", decision="approve")
    await case.decide("pickup", "L02", carrier="顺丰", tracking_no="SF100200300")
    await case.decide("receipt", "W02", items=[{"line": "1", "quantity": 1}], rest="complete")
    rows = [{"line": "1", "quantity": 1, "grade": "unsellable", "cause": "no_reason"}]
    await case.decide("inspection", "W03", items=rows, result="fail", reason="人为损坏", evidence=["photo-1"])
    await case.decide("resolution", "A01", decision="send_back", payer="customer", reason="人为损坏")
    assert case.at == "sendback-0"
    lost = {"event_id": "c9", "event": "lost", "key": f"{case.case_no}/send-back-0", "tracking_no": "SF900"}

    answers = [await service.send("carrier", lost) for _ in range(2)]

    assert [answer.status_code for answer in answers] == [200, 200]
    (late,), (notice,) = await kept(case)
    assert late.entry == "sendback-0.late:carrier/c9" and late.data["told"]["tracking_no"] == "SF900"
    assert notice.recipient == "department:logistics" and "SF900" in notice.body


async def test_two_pickups_of_one_case_are_told_to_logistics(service: Service, shop: Shop):
    await shop.order()
    case = await shop.tell(shop.application())
    await case.decide("review", "C08", decision="approve")
    await case.decide("pickup", "L02", carrier="顺丰", tracking_no="SF100200300")
    parcel = {"event": "picked_up", "key": f"{case.case_no}/book-pickup-0"}

    await service.send("carrier", {"event_id": "c1", "tracking_no": "SF100200300", **parcel})
    await service.send("carrier", {"event_id": "c2", "tracking_no": "SF777777777", **parcel})

    (late,), (notice,) = await kept(case)
    assert late.entry == "pickup-0.late:carrier/c2" and notice.recipient == "department:logistics"


async def test_a_pickup_told_in_small_letters_is_the_same_pickup(service: Service, shop: Shop):
    await shop.order()
    case = await shop.tell(shop.application())
    await case.decide("review", "C08", decision="approve")
    await case.decide("pickup", "L02", carrier="顺丰", tracking_no="SF100200300")
    parcel = {"event_id": "c1", "event": "picked_up", "key": f"{case.case_no}/book-pickup-0"}

    await service.send("carrier", {"tracking_no": "sf100200300", **parcel})

    assert await kept(case) == ([], [])


async def test_each_sender_signs_with_its_own_key_and_an_old_one_while_it_is_replaced(
    database: str, tmp_path: Path, owed: Telling
):
    service = Service(
        database.replace("+psycopg", ""),
        tmp_path,
        AFTERSALES_PAYMENT_CALLBACK_KEY="the-new-key-of-payment,the-old-key-of-payment",
    )
    try:
        told = sent(owed)
        statuses = [
            (await service.send("payment", told, key=key)).status_code
            for key in (KEY, "the-old-key-of-payment", "the-new-key-of-payment")
        ]
    finally:
        service.stop()

    assert statuses == [401, 200, 200], "the carrier's key must not pay anybody"


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
