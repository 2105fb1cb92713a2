"""One unit, one case: the ledger against real PostgreSQL and real concurrent connections (P-14, P-19, P-20)."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from sqlalchemy import insert, text
from sqlalchemy.ext.asyncio import AsyncConnection

from aftersales.store import facts, journal, units
from aftersales.store.engine import engine, transaction
from aftersales.store.tables import CaseRow, OrderLineRow, OrderRow, TermsRow
from aftersales.words import Holder, Unable, Wanted
from tests.builders import DELIVERED_AT, runs, yuan

AT = datetime(2025, 3, 5, tzinfo=UTC)


async def sold(order_no: str, *quantities: int) -> None:
    """An order with lines of these quantities, 10.00 each unit."""
    async with transaction() as connection:
        paid = sum(quantities) * yuan(10) + yuan(8)
        order_id = await connection.scalar(
            insert(OrderRow.__table__)
            .values(
                order_no=order_no,
                channel="官网",
                ordered_at=AT,
                paid=paid,
                freight=yuan(8),
                insured_freight=yuan(0),
                payment_route="支付宝",
            )
            .returning(OrderRow.__table__.c.id)
        )
        await connection.execute(
            insert(OrderLineRow.__table__),
            [
                {
                    "order_id": order_id,
                    "line_no": number,
                    "sku": f"SKU-{number}",
                    "name": "袜子",
                    "category": "服装",
                    "quantity": quantity,
                    "paid": quantity * yuan(10),
                    "delivered_at": DELIVERED_AT,
                    "warranty_months": 12,
                }
                for number, quantity in enumerate(quantities, start=1)
            ],
        )


async def holding(case_no: str, *wanted: tuple[int, int], order_no: str = "SO-1", process: str = "returns"):
    """What a case got to hold, in a transaction of its own."""
    async with transaction() as connection:
        return await units.hold(connection, order_no=order_no, wanted=wanted, case_no=case_no, process=process)


async def taken(order_no: str = "SO-1") -> list[tuple]:
    """The runs that are taken, line by line."""
    async with transaction() as connection:
        order = await facts.load(connection, order_no)
    assert order
    return [line.taken for line in order.lines]


async def waiting_for_a_lock(connection: AsyncConnection, count: int) -> None:
    """Come back when so many sessions of this database wait for a lock."""
    async with asyncio.timeout(20):
        while True:
            waiting = await connection.scalar(
                text(
                    "select count(*) from pg_stat_activity"
                    " where datname = current_database() and wait_event_type = 'Lock'"
                )
            )
            if waiting >= count:
                return
            await connection.rollback()
            await asyncio.sleep(0.01)


# --- holding ----------------------------------------------------------------------------------------------------------


async def test_p20_the_second_case_is_offered_what_the_first_left(database):
    await sold("SO-1", 2)

    assert await holding("RT-1", (1, 1)) == [Wanted(1, runs((0, 1)))]
    assert await holding("RT-2", (1, 1)) == [Wanted(1, runs((1, 2)))]
    assert await taken() == [runs((0, 2))]


async def test_p20_what_is_gone_is_refused_with_the_name_of_the_first_case(database):
    await sold("SO-1", 3)
    await holding("RT-1", (1, 2))

    with pytest.raises(Unable) as refused:
        await holding("RT-2", (1, 2))

    assert str(refused.value) == (
        "订单 SO-1 第 1 行仅剩 1 件可退，售后单 RT-1 已占用 2 件，请改为不超过 1 件，或在该售后单中处理。"
    )
    assert await taken() == [runs((0, 2))]


async def test_a_refusal_on_one_line_holds_nothing_on_another(database):
    await sold("SO-1", 2, 1)
    await holding("RT-1", (2, 1))

    with pytest.raises(Unable, match="第 2 行仅剩 0 件可退，售后单 RT-1 已占用 1 件，请在该售后单中处理"):
        await holding("RT-2", (1, 1), (2, 1))

    assert await taken() == [runs(), runs((0, 1))]


@pytest.mark.parametrize(
    ("order_no", "wanted", "sentence"),
    [
        pytest.param("SO-9", [(1, 1)], "没有订单 SO-9，请核对订单号。", id="unknown order"),
        pytest.param("SO-1", [(3, 1)], "订单 SO-1 没有第 3 行，请核对行号。", id="unknown line"),
        pytest.param("SO-1", [], "订单 SO-1 的售后申请没有商品，请至少选择一件。", id="nothing asked"),
        pytest.param(
            "SO-1", [(1, 0)], "订单 SO-1 第 1 行共 2 件，可退 2 件，申请了 0 件，请填写 1 到 2 件。", id="none"
        ),
        pytest.param(
            "SO-1",
            [(1, 2), (1, 1)],
            "订单 SO-1 第 1 行共 2 件，可退 2 件，申请了 3 件，请填写 1 到 2 件。",
            id="a line named twice is added up",
        ),
    ],
)
async def test_what_cannot_be_held_is_refused_in_one_sentence(database, order_no, wanted, sentence):
    await sold("SO-1", 2)

    with pytest.raises(Unable) as refused:
        await holding("RT-1", *wanted, order_no=order_no)

    assert str(refused.value) == sentence


async def test_a_case_that_asks_again_gets_what_it_has(database):
    await sold("SO-1", 3)
    first = await holding("RT-1", (1, 2))

    again = await holding("RT-1", (1, 2))

    assert again == first
    assert await taken() == [runs((0, 2))]


async def test_74215_units_are_one_row(database):
    await sold("SO-1", 74_215)
    await holding("RT-1", (1, 74_215))

    async with transaction() as connection:
        assert await connection.scalar(text("select count(*) from units")) == 1


# --- two at the same instant ------------------------------------------------------------------------------------------


async def test_p20_two_requests_at_the_same_instant_cannot_both_take_the_unit(database):
    """The first has taken the unit and not yet committed; the second waits at the lock, and then sees the truth."""
    await sold("SO-1", 1)

    async with engine().connect() as watcher, engine().connect() as first:
        await units.hold(first, order_no="SO-1", wanted=[(1, 1)], case_no="RT-1", process="returns")
        second = asyncio.create_task(holding("RT-2", (1, 1)))
        await waiting_for_a_lock(watcher, 1)
        assert not second.done()
        await first.commit()
        with pytest.raises(Unable, match="售后单 RT-1 已占用 1 件"):
            await second

    assert await taken() == [runs((0, 1))]


async def test_p20_when_the_first_gives_up_the_second_gets_the_unit(database):
    await sold("SO-1", 1)

    async with engine().connect() as watcher, engine().connect() as first:
        await units.hold(first, order_no="SO-1", wanted=[(1, 1)], case_no="RT-1", process="returns")
        second = asyncio.create_task(holding("RT-2", (1, 1)))
        await waiting_for_a_lock(watcher, 1)
        await first.rollback()

        assert await second == [Wanted(1, runs((0, 1)))]


async def test_p20_twelve_at_once_over_two_lines_share_out_five_units_without_a_deadlock(database):
    await sold("SO-1", 5, 12)

    answers = await asyncio.gather(
        *(holding(f"RT-{number}", *([(1, 1), (2, 1)] if number % 2 else [(2, 1), (1, 1)])) for number in range(12)),
        return_exceptions=True,
    )

    got = [answer for answer in answers if isinstance(answer, list)]
    refused = [answer for answer in answers if isinstance(answer, Unable)]
    assert (len(got), len(refused)) == (5, 7)
    assert {answer[0].units for answer in got} == {runs((unit, unit + 1)) for unit in range(5)}
    assert await taken() == [runs((0, 5)), runs((0, 5))]


# --- settling and releasing -------------------------------------------------------------------------------------------


async def test_p19_a_unit_in_an_open_exchange_cannot_enter_a_return_until_the_exchange_is_cancelled(database):
    await sold("SO-1", 1)
    await holding("EX-1", (1, 1), process="exchanges")
    with pytest.raises(Unable, match="售后单 EX-1 已占用 1 件"):
        await holding("RT-1", (1, 1))

    async with transaction() as connection:
        await units.release(connection, "EX-1")

    assert await holding("RT-1", (1, 1)) == [Wanted(1, runs((0, 1)))]


async def test_p14_a_receipt_settles_its_units_and_the_case_still_holds_the_rest(database):
    await sold("SO-1", 5)
    await holding("RT-1", (1, 4))

    async with transaction() as connection:
        settled = await units.settle(connection, "RT-1", [Wanted(1, runs((1, 3)))])
        kept = await units.kept(connection, "RT-1")

    assert settled == [Wanted(1, runs((1, 3)))]
    assert [(k.state, k.wanted.units) for k in kept] == [("held", runs((0, 1), (3, 4))), ("settled", runs((1, 3)))]
    assert await taken() == [runs((0, 4))]


async def test_releasing_the_rest_leaves_what_is_settled(database):
    await sold("SO-1", 3)
    await holding("RT-1", (1, 3))

    async with transaction() as connection:
        await units.settle(connection, "RT-1", [Wanted(1, runs((0, 1)))])
        released = await units.release(connection, "RT-1")

    assert released == [Wanted(1, runs((1, 3)))]
    assert await taken() == [runs((0, 1))]
    async with transaction() as connection:
        order = await facts.load(connection, "SO-1")
    assert order and order.lines[0].holders == (Holder("RT-1", 1, is_settled=True),)


async def test_a_part_may_be_released(database):
    await sold("SO-1", 3, 2)
    await holding("RT-1", (1, 3), (2, 2))

    async with transaction() as connection:
        await units.release(connection, "RT-1", [Wanted(1, runs((0, 1))), Wanted(2, runs((1, 2)))])

    assert await taken() == [runs((1, 3)), runs((0, 1))]


async def test_settling_and_releasing_twice_changes_nothing(database):
    await sold("SO-1", 3)
    await holding("RT-1", (1, 3))

    for _ in range(2):
        async with transaction() as connection:
            await units.settle(connection, "RT-1", [Wanted(1, runs((0, 2)))])
            await units.release(connection, "RT-1", [Wanted(1, runs((2, 3)))])

    assert await taken() == [runs((0, 2))]


@pytest.mark.parametrize(
    ("move", "wanted"),
    [
        pytest.param(units.release, Wanted(1, runs((0, 1))), id="what is settled is never released"),
        pytest.param(units.settle, Wanted(1, runs((1, 2))), id="what is released is not settled"),
        pytest.param(units.settle, Wanted(1, runs((2, 3))), id="nor what another case holds"),
        pytest.param(units.settle, Wanted(7, runs((0, 1))), id="nor what is on no line of the case"),
    ],
)
async def test_units_that_the_case_does_not_hold_are_refused(database, move, wanted):
    await sold("SO-1", 3)
    await holding("RT-1", (1, 2))
    await holding("RT-2", (1, 1))
    async with transaction() as connection:
        await units.settle(connection, "RT-1", [Wanted(1, runs((0, 1)))])
        await units.release(connection, "RT-1", [Wanted(1, runs((1, 2)))])

    with pytest.raises(Unable, match=f"售后单 RT-1 没有占用第 {wanted.line_no} 行的这 1 件商品"):
        async with transaction() as connection:
            await move(connection, "RT-1", [wanted])


async def test_a_case_without_units_has_nothing_to_release(database):
    await sold("SO-1", 1)

    async with transaction() as connection:
        assert await units.release(connection, "RT-9") == []


# --- facts ------------------------------------------------------------------------------------------------------------


async def test_the_facts_of_an_order_count_the_bills_of_all_its_cases(database):
    await sold("SO-1", 2, 1)
    async with transaction() as connection:
        await connection.execute(insert(TermsRow.__table__).values(hash="h", document={}, stored_at=AT))
        await connection.execute(
            insert(CaseRow.__table__),
            [
                {
                    "case_no": case_no,
                    "process": "returns",
                    "order_no": order_no,
                    "stage": "refund",
                    "owner": "aftersales",
                    "opened_at": AT,
                    "operator": "C07",
                    "terms_hash": "h",
                    "seq": 0,
                }
                for case_no, order_no in [("RT-1", "SO-1"), ("RT-2", "SO-1"), ("RT-3", "SO-2")]
            ],
        )
        for case_no, entry, kind, total in [
            ("RT-1", "bill-0", "bill", "5.00"),
            ("RT-2", "bill-0", "bill", "2.50"),
            ("RT-2", "opened", "opened", "9.00"),
            ("RT-3", "bill-0", "bill", "7.00"),
        ]:
            await journal.add(connection, case_no, entry, kind=kind, at=AT, actor="system", data={"total": total})

        order = await facts.load(connection, "SO-1")

    assert order
    assert order.refunded == Decimal("7.50")
    assert order.paid == Decimal("38.00")
    assert [(line.line_no, line.quantity, line.paid) for line in order.lines] == [(1, 2, yuan(20)), (2, 1, yuan(10))]
    assert order.lines[0].delivered_at == DELIVERED_AT


async def test_an_order_that_does_not_exist_has_no_facts(database):
    async with transaction() as connection:
        assert await facts.load(connection, "SO-9") is None
