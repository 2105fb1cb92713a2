"""A return, from application to refund, as the handbook's page tells it (RET-01 to RET-13)."""

from __future__ import annotations

from typing import Any

from aftersales.words import Event, Stage


async def inspected(telling: Any, quantity: int = 1, **changes: Any) -> Any:
    row = {"line": "第1行", "quantity": str(quantity), "grade": "sellable", "cause": "no_reason", **changes}
    return await telling.decide("inspection", "W03", items=[row], result="pass")


async def to_refund(telling: Any, *, reviewer: str = "C08") -> Any:
    await telling.decide("review", reviewer, decision="approve")
    await telling.decide("pickup", "L02", carrier="顺丰", tracking_no="SF100200300")
    await telling.signal(Event.PARCEL_RECEIVED, tracking_no="SF100200300")
    return await inspected(telling)


async def test_the_main_way_ends_with_one_refund(shop):
    await shop.order()

    telling = await shop.tell(shop.application())
    assert telling.at == "review-0"
    await telling.decide("review", "C08", decision="approve")
    assert telling.at == "pickup-0"
    await telling.signal(Event.PARCEL_PICKED_UP, carrier="顺丰", tracking_no="SF100200300")
    assert telling.at == "receipt-0"
    await telling.signal(Event.PARCEL_RECEIVED, tracking_no="SF100200300")
    assert telling.at == "inspection-0"
    await inspected(telling)
    assert telling.at == "refund-0"
    await telling.decide("refund", "A02", amount="188.00", reference="ALI-2026-0001")

    assert telling.result == telling.case_no
    assert (await telling.case()).stage is Stage.CLOSED
    refunds = await telling.rows("work", "key, amount, state, reference", "and kind = 'refund'")
    assert [tuple(map(str, row)) for row in refunds] == [
        (f"{telling.case_no}/refund-0", "188.00", "done", "ALI-2026-0001")
    ]
    notices = {row.notice for row in await telling.rows("outbox")}
    assert notices == {"NTC-01", "NTC-02", "NTC-04", "NTC-05", "NTC-07", "NTC-08"}
    assert [row.kind for row in await telling.rows("visits")] == ["return"]
    assert [row.state for row in await telling.rows("units")] == ["settled"]
    assert not await telling.rows("promises", "*", "and ended_at is null")


async def test_a_refund_is_never_paid_twice(shop):
    await shop.order()
    telling = await to_refund(await shop.tell(shop.application()))

    for _ in range(3):
        await telling.again()
    await telling.decide("refund", "A02", amount="188.00", reference="ALI-2026-0001")
    await telling.again()

    assert len(await telling.rows("work", "*", "and kind = 'refund'")) == 1
    assert len(await telling.rows("outbox", "*", "and notice = 'NTC-07'")) == 1


async def test_told_again_after_each_of_its_gates_a_story_does_nothing_twice(shop, database):
    """The replay test: every row that a telling leaves is there once, however often the story is told (design §2)."""
    await shop.order(lines=[("SKU-1", "台灯", 3, "269.97")])
    ways = [
        lambda t: t.decide("review", "C08", decision="reject", reason="照片不清楚", missing=["照片"]),
        lambda t: t.decide("correction", "C07", decision="resubmit", evidence=["https://p.example/1.jpg"]),
        lambda t: t.decide("review", "C08", decision="approve"),
        lambda t: t.signal(Event.PARCEL_PICKED_UP, carrier="顺丰", tracking_no="SF1001"),
        lambda t: t.signal(Event.PARCEL_RECEIVED, items=[{"sku": "SKU-1", "quantity": 2}], tracking_no="SF1001"),
        lambda t: inspected(t, 2),
        lambda t: t.decide("refund", "A03", amount="167.98", reference="ALI-0001"),
        lambda t: t.signal(Event.PARCEL_RECEIVED, items=[{"sku": "SKU-1", "quantity": 1}], tracking_no="SF1002"),
        lambda t: inspected(t, 1),
        lambda t: t.decide("refund", "A03", amount="89.99", reference="ALI-0002"),
    ]
    telling = await shop.tell(shop.application(items=[{"sku": "SKU-1", "quantity": 3}]))

    for way in ways:
        await way(telling)
        before = await everything(telling)
        await telling.again()
        await telling.again()
        assert await everything(telling) == before

    assert (await telling.case()).stage is Stage.CLOSED


async def everything(telling: Any) -> dict[str, list[Any]]:
    """Every row that a case has left anywhere."""
    tables = ("journal", "promises", "outbox", "inbox", "units", "work", "visits", "evidence", "cases")
    return {table: sorted(map(str, await telling.rows(table))) for table in tables}


async def test_p14_what_arrived_is_paid_and_the_rest_stays_open(shop):
    """P-14: requested 3 at 89.99, received 2: refund 179.98, the case stays open for 1."""
    await shop.order(lines=[("SKU-1", "台灯", 3, "269.97")])
    telling = await shop.tell(
        shop.application(
            items=[{"sku": "SKU-1", "quantity": 3}], reason="quality", evidence=["https://p.example/crack.jpg"]
        )
    )
    await telling.decide("review", "C08", decision="approve")
    await telling.signal(Event.PARCEL_PICKED_UP)

    await telling.decide("receipt", "W02", items=[{"line": "第1行", "quantity": "2"}], rest="coming")
    await inspected(telling, 2, cause="quality")
    assert telling.at == "refund-0"
    await telling.decide("refund", "A03", amount="179.98", reference="ALI-0001")

    assert telling.at == "receipt-1"
    assert (await telling.case()).stage is Stage.RECEIPT
    await telling.decide("receipt", "W02", items=[{"line": "第1行", "quantity": "1"}], rest="complete")
    await inspected(telling, 1, cause="quality")
    await telling.decide("refund", "A03", amount="89.99", reference="ALI-0002")
    assert (await telling.case()).stage is Stage.CLOSED
    assert [str(row.key)[-8:] for row in await telling.rows("work", "key", "and kind = 'refund' order by key")] == [
        "refund-0",
        "refund-1",
    ]


async def test_the_rest_that_will_not_come_ends_the_case_and_frees_its_units(shop):
    await shop.order(lines=[("SKU-1", "台灯", 3, "269.97")])
    telling = await shop.tell(shop.application(items=[{"sku": "SKU-1", "quantity": 3}]))
    await telling.decide("review", "C08", decision="approve")
    await telling.signal(Event.PARCEL_PICKED_UP)

    await telling.decide("receipt", "W02", items=[{"line": "第1行", "quantity": "2"}], rest="none")
    await inspected(telling, 2)
    await telling.decide("refund", "A03", amount="167.98", reference="ALI-0001")

    assert (await telling.case()).stage is Stage.CLOSED
    states = sorted((row.state, row.first_unit, row.end_unit) for row in await telling.rows("units"))
    assert states == [("released", 2, 3), ("settled", 0, 2)]


async def test_ret04_a_rejected_application_is_corrected_and_reviewed_in_a_new_round(shop):
    await shop.order(lines=[("SKU-1", "台灯", 3, "269.97")])
    telling = await shop.tell(shop.application())

    await telling.decide("review", "C08", decision="reject", reason="数量不对", missing=["照片"])
    assert telling.at == "correction-0"
    await telling.decide(
        "correction", "C07", decision="resubmit", items=[{"sku": "SKU-1", "quantity": "2"}], evidence=["附图一"]
    )

    assert telling.at == "review-1"
    told = [row for row in await telling.rows("outbox") if row.notice == "NTC-03"]
    assert "数量不对" in told[0].body
    assert "照片" in told[0].body
    held = [row for row in await telling.rows("units") if row.state == "held"]
    assert [(row.first_unit, row.end_unit) for row in held] == [(0, 2)]
    # RET-04: the resubmission starts a new 24 hours; the first promise has ended
    promises = await telling.rows("promises", "entry, ended_at", "order by id")
    assert [(row.entry, row.ended_at is None) for row in promises] == [
        ("review-0", False),
        ("correction-0", False),
        ("review-1", True),
    ]


async def test_a_correction_that_cannot_be_held_changes_nothing_and_says_so(shop):
    await shop.order()
    telling = await shop.tell(shop.application())
    await telling.decide("review", "C08", decision="reject", reason="请核对数量")

    await telling.decide("correction", "C07", decision="resubmit", items=[{"sku": "SKU-1", "quantity": "9"}])

    assert telling.at == "review-1"
    refused = [entry for entry in (await telling.journal()).values() if entry.kind == "refused"]
    assert "补正内容未采用" in refused[0].data["reason"]
    held = [row for row in await telling.rows("units") if row.state == "held"]
    assert [(row.first_unit, row.end_unit) for row in held] == [(0, 1)]


async def test_an_application_given_up_frees_its_units(shop):
    await shop.order()
    telling = await shop.tell(shop.application())
    await telling.decide("review", "C08", decision="reject", reason="超出范围")

    await telling.decide("correction", "C07", decision="withdraw")

    assert (await telling.case()).stage is Stage.REJECTED
    assert {row.state for row in await telling.rows("units")} == {"released"}


async def test_p23_an_unknown_delivery_date_goes_to_the_manager(shop):
    await shop.order(age=None)
    telling = await shop.tell(shop.application())
    quote = (await telling.journal())["opened"].data["quote"]
    assert quote["age_band"] is None

    await telling.decide("review", "C08", decision="approve")
    assert telling.at == "exception-0"
    await telling.decide("exception", "A01", decision="approve", reason="客户提供了签收截图")

    assert telling.at == "pickup-0"


async def test_band_c_rejected_by_the_manager_ends_the_case(shop):
    await shop.order(age=40)
    telling = await shop.tell(shop.application())
    await telling.decide("review", "C08", decision="approve")

    await telling.decide("exception", "A01", decision="reject", reason="超过三十天")

    assert (await telling.case()).stage is Stage.REJECTED
    assert [row.notice for row in await telling.rows("outbox", "*", "order by id")] == ["NTC-01", "NTC-03"]


async def test_a_self_shipped_return_books_no_pickup_and_charges_none(shop):
    await shop.order()
    telling = await shop.tell(shop.application(shipping="self"))
    await telling.decide("review", "C08", decision="approve")
    assert not await telling.rows("work")

    await telling.decide("pickup", "L02", carrier="圆通", tracking_no="YT100200300")
    await telling.signal(Event.PARCEL_RECEIVED)
    await inspected(telling)
    await telling.decide("refund", "A03", amount="200.00", reference="ALI-0001")

    assert (await telling.case()).stage is Stage.CLOSED


async def test_mon17_the_cause_as_found_overrides_the_cause_as_claimed(shop):
    """Claimed a quality fault (200.00), found none: the customer's pick-up freight is deducted (188.00)."""
    await shop.order()
    telling = await shop.tell(shop.application(reason="quality", evidence=["照片"]))
    await telling.decide("review", "C08", decision="approve")
    await telling.signal(Event.PARCEL_PICKED_UP)
    await telling.signal(Event.PARCEL_RECEIVED)

    await inspected(telling, cause="no_reason")

    bill = (await telling.journal())["bill-0"].data
    assert bill["total"] == "188.00"
    assert [line["rule"] for line in bill["lines"]] == ["MON-14", "MON-02"]


async def test_mon02_the_carriers_voucher_replaces_the_term(shop):
    await shop.order()
    telling = await shop.tell(shop.application())
    await telling.decide("review", "C08", decision="approve")

    await telling.decide("pickup", "L02", carrier="顺丰", tracking_no="SF1000", freight="18.50", voucher="V-1")
    await telling.signal(Event.PARCEL_RECEIVED)
    await inspected(telling)

    assert (await telling.journal())["bill-0"].data["total"] == "181.50"


async def test_goods_that_did_not_pass_are_decided_by_the_manager(shop):
    await shop.order()
    telling = await shop.tell(shop.application())
    await telling.decide("review", "C08", decision="approve")
    await telling.signal(Event.PARCEL_PICKED_UP)
    await telling.signal(Event.PARCEL_RECEIVED)
    row = {"line": "第1行", "quantity": "1", "grade": "unsellable", "cause": "no_reason"}

    await telling.decide("inspection", "W03", items=[row], result="fail", reason="人为损坏")
    assert telling.at == "resolution-0"
    await telling.decide("resolution", "A01", decision="send_back", payer="customer", reason="人为损坏，不予退款")
    assert telling.at == "sendback-0"
    await telling.signal(Event.PARCEL_SENT_BACK, carrier="顺丰", tracking_no="SF9001")

    assert (await telling.case()).stage is Stage.REJECTED
    assert not await telling.rows("work", "*", "and kind = 'refund'")


async def test_ret17_cancelled_before_the_goods_arrived(shop):
    await shop.order()
    telling = await shop.tell(shop.application())
    await telling.decide("review", "C08", decision="approve")

    await telling.signal(Event.CASE_CANCELLED, reason="客户不退了")
    await telling.again()

    assert (await telling.case()).stage is Stage.CANCELLED
    assert {row.state for row in await telling.rows("units")} == {"released"}
    assert {row.state for row in await telling.rows("work")} == {"dropped"}
    assert "NTC-09" in {row.notice for row in await telling.rows("outbox")}
    assert not await telling.rows("promises", "*", "and ended_at is null")


async def test_gen07_a_case_keeps_the_terms_it_was_opened_under(shop, monkeypatch):
    from aftersales import terms as rulebook
    from tasks import cases

    await shop.order()
    telling = await shop.tell(shop.application())
    dearer = rulebook.load()
    returns = dearer.returns.model_copy(update={"pickup_freight": dearer.returns.pickup_freight * 10})
    changed = dearer.model_copy(update={"returns": returns})
    monkeypatch.setattr(cases, "current_terms", lambda: changed)

    await to_refund(telling)

    assert (await telling.journal())["bill-0"].data["total"] == "188.00"


async def test_a_zero_bill_asks_no_cashier(shop):
    await shop.order(lines=[("SKU-1", "贴纸", 1, "8.00")])
    telling = await shop.tell(shop.application())

    await to_refund(telling)

    assert (await telling.case()).stage is Stage.CLOSED
    assert (await telling.journal())["bill-0"].data["lines"][-1]["label"] == "不低于零"


async def test_mon17_a_changed_cause_is_told_with_every_line(shop):
    await shop.order()
    telling = await shop.tell(shop.application(reason="quality", evidence=["照片"]))
    await telling.decide("review", "C08", decision="approve")
    await telling.signal(Event.PARCEL_PICKED_UP)
    await telling.signal(Event.PARCEL_RECEIVED)

    await inspected(telling, cause="no_reason")

    told = next(row.body for row in await telling.rows("outbox") if row.notice == "NTC-05")
    assert "七天无理由（申请时为质量问题）" in told
    assert "上门取件运费 -12.00 元" in told


async def test_a_first_parcel_that_pays_nothing_does_not_shift_the_next_refund(shop):
    """Two stickers for 20.00 at 12.00 pick-up: the first parcel pays 0.00, the second 8.00."""
    await shop.order(lines=[("SKU-1", "贴纸", 2, "20.00")])
    telling = await shop.tell(shop.application(items=[{"sku": "SKU-1", "quantity": 2}]))
    await telling.decide("review", "C08", decision="approve")
    await telling.signal(Event.PARCEL_PICKED_UP)
    await telling.decide("receipt", "W02", items=[{"line": "第1行", "quantity": "1"}], rest="coming")
    await inspected(telling)
    await telling.decide("receipt", "W02", items=[{"line": "第1行", "quantity": "1"}], rest="complete")

    await inspected(telling)

    assert telling.at == "refund-0"
    assert [str(row.amount) for row in await telling.rows("work", "amount", "and kind = 'refund'")] == ["8.00"]


async def test_more_than_can_go_back_is_decided_by_the_manager(shop):
    """Paid 200.00 for the line, but the order says 150.00 in all: the cap asks a person (MON-14)."""
    from sqlalchemy import text

    from aftersales.store.engine import transaction

    await shop.order()
    async with transaction() as connection:
        await connection.execute(text("update orders set paid = 150.00"))
    telling = await shop.tell(shop.application(reason="quality", evidence=["照片"]))
    await telling.decide("review", "C08", decision="approve")
    assert telling.at == "exception-0"
    await telling.decide("exception", "A01", decision="approve", reason="差额不另付")
    await telling.signal(Event.PARCEL_PICKED_UP)
    await telling.signal(Event.PARCEL_RECEIVED)
    await inspected(telling, cause="quality")

    assert (await telling.journal())["bill-0"].data["total"] == "150.00"


async def test_ret17_a_parcel_scanned_before_the_cancellation_is_not_cancelled(shop):
    import pytest

    from tasks import gates, outside

    await shop.order()
    telling = await shop.tell(shop.application())
    await telling.decide("review", "C08", decision="approve")
    await outside.signal(telling.case_no, Event.PARCEL_RECEIVED, actor="carrier", data={})

    with pytest.raises(gates.Refused, match="已收货"):
        await outside.signal(telling.case_no, Event.CASE_CANCELLED, actor="customer", data={"reason": "不退了"})

    await telling.again()
    assert telling.at == "inspection-0"


async def test_a_scan_of_the_parcel_that_the_form_booked_in_is_no_second_parcel(shop):
    import pytest

    from tasks import gates

    await shop.order(lines=[("SKU-1", "台灯", 3, "269.97")])
    telling = await shop.tell(shop.application(items=[{"sku": "SKU-1", "quantity": 3}]))
    await telling.decide("review", "C08", decision="approve")
    await telling.decide("pickup", "L02", carrier="顺丰", tracking_no="SF100200300")
    await telling.decide("receipt", "W02", items=[{"line": "第1行", "quantity": "2"}], rest="coming")
    await inspected(telling, 2)
    await telling.decide("refund", "A03", amount="167.98", reference="ALI-0001")
    assert telling.at == "receipt-1"

    with pytest.raises(gates.Refused, match="写明"):
        await telling.signal(Event.PARCEL_RECEIVED)
    with pytest.raises(gates.Refused, match="登记两次"):
        await telling.signal(Event.PARCEL_RECEIVED, items=[{"sku": "SKU-1", "quantity": 1}], tracking_no="SF100200300")

    assert (await telling.again()).at == "receipt-1"


async def test_a_window_runs_from_its_event_not_from_when_a_worker_came_to_it(shop, monkeypatch):
    """GEN-11: the worker was down for three days between the scan and the receipt."""
    from datetime import timedelta

    from aftersales import clock
    from tasks import outside

    await shop.order()
    telling = await shop.tell(shop.application())
    await telling.decide("review", "C08", decision="approve")
    await telling.signal(Event.PARCEL_PICKED_UP)
    scanned_at = clock.now()
    await outside.signal(telling.case_no, Event.PARCEL_RECEIVED, actor="carrier", data={})
    real = clock.now
    monkeypatch.setattr(clock, "now", lambda case=None: real(case) + timedelta(days=3))

    await telling.again()

    receipt = (await telling.journal())["receipt-0"]
    promise = (await telling.rows("promises", "*", "and stage = 'inspection'"))[0]
    assert abs(receipt.at - scanned_at) < timedelta(minutes=1)
    assert promise.started_at == receipt.at


async def test_a_case_that_was_cancelled_takes_no_decision_even_before_it_has_ended(shop, monkeypatch):
    import pytest

    from aftersales.words import Unable
    from tasks import cases, outside

    await shop.order()
    telling = await shop.tell(shop.application())

    async def killed(case: str) -> str:
        raise KeyboardInterrupt

    monkeypatch.setattr(cases, "cancel", killed)
    with pytest.raises(KeyboardInterrupt):
        await telling.signal(Event.CASE_CANCELLED, reason="不退了")
    with pytest.raises(Unable):
        await outside.decide(telling.case_no, "review", operator="C08", answer={"decision": "approve"})
    monkeypatch.undo()

    await telling.again()
    assert (await telling.case()).stage is Stage.CANCELLED


async def test_rights_hold_for_events_too(shop):
    """A right alone is not enough: limit and four eyes hold whether the cashier decides or signals (design §3)."""
    import pytest

    from tasks import gates, outside

    await shop.order(lines=[("SKU-1", "电脑", 1, "9000.00")])
    telling = await to_refund(await shop.tell(shop.application()))
    await telling.decide("countersign", "A04", decision="approve")

    with pytest.raises(gates.Refused, match="限额"):
        await outside.signal(telling.case_no, Event.REFUND_SENT, actor="", staff="A02", data={"reference": "ALI-0001"})

    await telling.again()
    assert telling.at == "refund-0"
    refused = [entry for entry in (await telling.journal()).values() if entry.kind == "refused"]
    assert "限额" in refused[0].data["reason"]


async def test_a_cancellation_and_a_receipt_at_once_never_both_count(shop):
    """Whoever writes first wins; the units are released or inspected, never both (RET-17)."""
    import asyncio

    from aftersales.words import Unable
    from tasks import outside

    for number in range(6):
        await shop.order(f"D{number}")
        telling = await shop.tell(shop.application(f"D{number}"))
        await telling.decide("review", "C08", decision="approve")
        await telling.signal(Event.PARCEL_PICKED_UP)
        await outside.signal(telling.case_no, Event.CASE_CANCELLED, actor="customer", data={"reason": "不退了"})

        async def book_in(case_no: str = telling.case_no) -> bool:
            answer = {"items": [{"line": "第1行", "quantity": "1"}], "rest": "complete"}
            try:
                await outside.decide(case_no, "receipt", operator="W02", answer=answer)
            except Unable:
                return False
            return True

        _, is_booked = await asyncio.gather(telling.again(), book_in())
        await telling.again()

        entries = await telling.journal()
        assert ("cancelled-0" in entries) is not is_booked
        assert ("receipt-0" in entries) is is_booked
