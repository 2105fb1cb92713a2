"""
One shop for every door that bad input may come through, with a case at each gate; and the proof that nothing changed.

The rows of all doors share the shop, because none of them may change anything.
"""

from __future__ import annotations

import itertools
import json
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from sqlmodel import SQLModel

from aftersales.desk import leg as legs
from aftersales.desk.bare import Bare
from aftersales.desk.leg import FormAnswer, Waiting
from aftersales.gateways import http
from aftersales.gateways.http import HttpPayment
from aftersales.stack import schema
from aftersales.store import cases, engine, tables
from aftersales.store.engine import transaction
from tests.conftest import copy_of
from tests.gateways.provider import KEY
from tests.steps.conftest import aftersales, home
from tests.stories.conftest import Shop, Telling

__all__ = ["aftersales", "home"]

assert tables, "the tables are known to SQLModel once their module is imported"

# what a refusal may leave behind, and nothing else
REFUSED_APPLICATION = "refusals"
REFUSED_DECISION = "journal"

# every row of every table, with its table, as text
Books = Counter[tuple[str, str]]


class House:
    """The shop's database, and a case that waits at each gate."""

    def __init__(self, url: str, reader: psycopg.Connection) -> None:
        self.url = url
        self.at: dict[str, Telling] = {}
        self._reader = reader
        names = reader.execute("select tablename from pg_tables where schemaname = 'public'").fetchall()
        there = {name for (name,) in names if name != "alembic_version"}
        assert there == set(SQLModel.metadata.tables), "a table that no fingerprint would see"
        self._everything = " union all ".join(
            f"select '{name}', to_jsonb(t)::text from \"{name}\" t" for name in sorted(there)
        )

    def books(self) -> Books:
        """Every row of every table."""
        return Counter(self._reader.execute(self._everything, prepare=True).fetchall())

    def last_refusal(self) -> str:
        """The sentence of the last application that was refused."""
        (sentence,) = self._reader.execute("select reason from refusals order by id desc limit 1").fetchone() or ("",)
        return sentence


@contextmanager
def nothing_changes(house: House, besides: str = "", folder: Path | None = None) -> Iterator[None]:
    """
    See that a block leaves every row of every table, and every file of a folder, as it was.

    `besides` names the one row that a refusal leaves: in the table of refusals, or in the journal of its case.
    """
    before, files = house.books(), _files(folder)

    yield

    after = house.books()
    assert _files(folder) == files
    written, gone = rows(after - before), rows(before - after)
    if besides:
        (refusal,) = written.pop(besides)
    if besides == REFUSED_DECISION:
        assert refusal["kind"] == "refused"
        # the case knows the end of its journal
        (new,), (old,) = written.pop("cases"), gone.pop("cases")
        assert new == old | {"seq": refusal["seq"], "last_hash": refusal["hash"]}
    assert (written, gone) == ({}, {})


def rows(books: Books) -> dict[str, list[dict[str, Any]]]:
    """Rows by their table."""
    found: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for name, row in books.elements():
        found[name].append(json.loads(row))
    return found


def _files(folder: Path | None) -> dict[str, bytes]:
    if folder is None:
        return {}
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="session")
async def house(postgres: str, migrated: str) -> AsyncIterator[House]:
    """The shop, opened once."""
    with copy_of(postgres, migrated) as url:
        engine.connect(url)
        address = engine.address(url).render_as_string(hide_password=False)
        with psycopg.connect(schema.plain(address), autocommit=True) as reader:
            found = House(address, reader)
            with pytest.MonkeyPatch.context() as patch:
                found.at = await _cases(Shop(), patch)
            await engine.disconnect()
            yield found


@pytest.fixture
async def database(house: House) -> AsyncIterator[str]:
    """The shop's database instead of a fresh one; the process's engine is connected to it."""
    engine.connect(house.url)
    try:
        yield house.url
    finally:
        await engine.disconnect()


GOOD_ROW = {"line": "1", "quantity": 1, "grade": "sellable", "cause": "no_reason"}
# the main way, and what is answered there
WAY: dict[str, tuple[str, dict[str, Any]]] = {
    "review": ("C08", {"decision": "approve"}),
    "pickup": ("L02", {"carrier": "顺丰", "tracking_no": "SF100200300"}),
    "receipt": ("W02", {"items": [{"line": "1", "quantity": 1}], "rest": "complete"}),
    "inspection": ("W03", {"items": [GOOD_ROW], "result": "pass"}),
}
FAILED = {"items": [{**GOOD_ROW, "grade": "unsellable"}], "result": "fail", "reason": "有划痕"}
BACK = {"decision": "send_back", "payer": "customer", "reason": "人为损坏"}


async def _cases(shop: Shop, patch: pytest.MonkeyPatch) -> dict[str, Telling]:
    numbers = itertools.count(1)

    async def a_case(*, until: str, age: int = 3, price: str = "200.00", **changes: Any) -> Telling:
        order_no = await shop.order(f"D{next(numbers)}", age=age, lines=[("SKU-1", "台灯", 1, price)])
        telling = await shop.tell(shop.application(order_no, **changes))
        for gate, (operator, answer) in WAY.items():
            if telling.at == f"{until}-0":
                break
            assert telling.at == f"{gate}-0", f"{telling.at} on the way to {until}"
            await telling.decide(gate, operator, **answer)
        return telling

    await shop.order("FREE")
    found = {gate: await a_case(until=gate) for gate in (*WAY, "refund")}
    found["correction"] = await a_case(until="review")
    await found["correction"].decide("review", "C08", decision="reject", reason="看不清")
    found["question"] = await a_case(until="review")
    await found["question"].decide("review", "C08", decision="ask", question="吊牌照片")
    found["exception"] = await a_case(until="exception", age=40)
    found["tracing"] = await a_case(until="receipt")
    await found["tracing"].decide("receipt", "W02", items=[], rest="lost")
    found["resolution"], found["sendback"] = await a_case(until="inspection"), await a_case(until="inspection")
    for gate in ("resolution", "sendback"):
        await found[gate].decide("inspection", "W03", **FAILED)
    await found["sendback"].decide("resolution", "A01", **BACK)
    found["countersign"] = await a_case(until="countersign", price="900.00")
    sent = {"shipping": "self", "reason": "quality", "evidence": ["照片"]}
    found["reimbursement"] = await a_case(until="pickup", **sent)
    await _to_reimbursement(found["reimbursement"])
    patch.setattr(http, "payment_from", lambda settings: HttpPayment("http://127.0.0.1:9", KEY))
    found["release"] = await a_case(until="release")
    for gate, telling in found.items():
        assert telling.at == f"{gate}-0"
    return found


async def _to_reimbursement(case: Telling) -> None:
    await case.decide("pickup", "L02", carrier="顺丰", tracking_no="SF100200301", freight="18.00", voucher="V-1")
    await case.decide("receipt", "W02", **WAY["receipt"][1])
    await case.decide("inspection", "W03", items=[{**GOOD_ROW, "cause": "quality"}], result="pass")
    await case.decide("refund", "A03", amount="200.00", reference="ALI-1")


# --- how a form is sent ---------------------------------------------------------------------------------------------


class Filled(Bare):
    """A leg whose run has one form that somebody has submitted."""

    numbers = itertools.count(1)

    def __init__(self, run_id: UUID, entry: str, answer: Mapping[str, Any]) -> None:
        super().__init__(run_id)
        self.entry = entry
        self.answer = FormAnswer(self.run_id, f"{entry}-{next(self.numbers)}", answer)

    async def answers(self, entry: str) -> list[FormAnswer]:
        """The one form, at its gate."""
        return [self.answer] if entry == self.entry else []


@dataclass
class Sent:
    """Where a case stands after a form was sent, and the sentence of its refusal."""

    at: str
    refusals: list[str] = field(default_factory=list)


async def submit(case: Telling, gate: str, answer: Mapping[str, Any]) -> Sent:
    """Send a gate's form, as the UI does, and tell the story on."""
    from flows.returns import returns

    async with transaction() as connection:
        promise = await cases.open_gate(connection, case.case_no, gate)
    assert promise is not None
    known = await case.journal()
    legs.begin(Filled(case.run_id, promise["entry"], {"gate": promise["gate"]["ref"], **answer}))
    try:
        at = await returns.fn(case.request)
    except Waiting as waiting:
        at = waiting.gate
    new = [entry for name, entry in (await case.journal()).items() if name not in known]
    return Sent(at, [entry.data["reason"] for entry in new if entry.kind == "refused"])


async def enter(flow: Callable[..., Any], request: Any) -> str:
    """Send a deployment's form, as the UI does; answers what its run ends with."""
    legs.begin(Bare(uuid4()))
    return await flow(request)
