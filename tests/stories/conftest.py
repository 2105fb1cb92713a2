"""A shop with orders, and somebody who tells stories without Prefect."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from decimal import Decimal
from importlib import import_module
from typing import Any
from uuid import UUID, uuid4

import pytest

from aftersales import clock
from aftersales.desk import leg as legs
from aftersales.desk.bare import Bare
from aftersales.store import cases, journal, orders
from aftersales.store.engine import transaction
from aftersales.words import Event


class Shop:
    """Orders on demand, stories told by plain calls, and a look into what they left behind."""

    async def order(self, order_no: str = "D1", *, age: int | None = 3, **changes: Any) -> str:
        """Sell a `家居` line of 1 at 200.00 (or `lines`), received `age` days ago; None: nobody knows when."""
        from aftersales.imports.sales import Sale, SoldLine

        now = clock.now()
        delivered_at = None if age is None else now - timedelta(days=age)
        lines = changes.pop("lines", [("SKU-1", "台灯", 1, "200.00")])
        sale = Sale(
            **{
                "order_no": order_no,
                "channel": "官方网站",
                "ordered_at": now - timedelta(days=(age or 0) + 3),
                "lines": tuple(
                    SoldLine(
                        line_no=line_no,
                        sku=sku,
                        name=name,
                        category=changes.get("category", "家居"),
                        quantity=quantity,
                        paid=Decimal(paid),
                        delivered_at=delivered_at,
                        is_gift=False,
                        warranty_months=12,
                        attributes={},
                    )
                    for line_no, (sku, name, quantity, paid) in enumerate(lines, 1)
                ),
                "customer_no": "U1",
                "name": "李小红",
                "phone": "10212345678",
                "email": "",
                "region": "浙江 杭州",
                "freight": Decimal("0.00"),
                "insured_freight": Decimal("0.00"),
                "payment_route": "支付宝",
                **{name: value for name, value in changes.items() if name != "category"},
            }
        )
        async with transaction() as connection:
            settled = await orders.insert(connection, [sale], source="test")
        assert settled.orders == 1
        return order_no

    def application(self, order_no: str = "D1", **changes: Any) -> dict[str, Any]:
        """A valid application for one SKU-1."""
        return {
            "operator": "C07",
            "order_no": order_no,
            "items": [{"sku": "SKU-1", "quantity": 1}],
            "reason": "no_reason",
            "shipping": "pickup",
            **changes,
        }

    async def tell(self, request: dict[str, Any], run_id: UUID | None = None) -> Telling:
        """Tell a return's story once, from its first line."""
        telling = Telling(request, run_id or uuid4())
        await telling.again()
        return telling


class Telling:
    """One run's worth of a story: `at` is the gate where it waits, `result` what it ended with."""

    def __init__(self, request: dict[str, Any], run_id: UUID, *, story: str = "returns", case_no: str = "") -> None:
        self.request = request
        self.run_id = run_id
        self.at = ""
        self.result: str | None = None
        self.story = story
        self.case_no = case_no

    async def again(self) -> Telling:
        """Tell the story again from its first line."""
        story = getattr(import_module(f"flows.{self.story}"), self.story)
        driver = Bare(self.run_id)
        driver.case_no = self.case_no or None
        legs.begin(driver)
        self.at, self.result = "", None
        try:
            self.result = await (story.fn(self.request) if self.story == "returns" else story.fn())
        except legs.Waiting as waiting:
            self.at = waiting.gate
        async with transaction() as connection:
            self.case_no = await cases.case_of_run(connection, self.run_id) or ""
        return self

    async def decide(self, gate: str, operator: str, **answer: Any) -> Telling:
        """Decide as a member of staff, then tell on."""
        from tasks import outside

        await outside.decide(self.case_no, gate, operator=operator, answer=answer)
        return await self.again()

    async def signal(self, event: Event, key: str = "", **data: Any) -> Telling:
        """Let the world tell something, then tell on."""
        from tasks import outside

        await outside.signal(self.case_no, event, actor="carrier", data=data, key=key)
        return await self.again()

    async def journal(self) -> dict[str, journal.Entry]:
        """What happened so far."""
        async with transaction() as connection:
            return await journal.read(connection, self.case_no)

    async def case(self) -> cases.Case:
        """Where the case stands."""
        async with transaction() as connection:
            found = await cases.read(connection, self.case_no)
        assert found is not None
        return found

    async def rows(self, table: str, columns: str = "*", where: str = "") -> list[Any]:
        """The case's rows of a table."""
        from sqlalchemy import text

        async with transaction() as connection:
            query = f"select {columns} from {table} where case_no = :c {where}"
            return list((await connection.execute(text(query), {"c": self.case_no})).all())


@pytest.fixture
async def shop(database: str) -> AsyncIterator[Shop]:
    """An empty shop on a fresh database."""
    yield Shop()


@pytest.fixture
def now() -> datetime:
    """The time."""
    return clock.now()
