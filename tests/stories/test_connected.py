"""Returns of a shop that has connected a payment provider and a carrier: a real HTTP process, well behaved and not."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text

from aftersales import clock
from aftersales.desk import leg as legs
from aftersales.desk.bare import Bare
from aftersales.gateways import http
from aftersales.gateways.http import HttpCarrier, HttpPayment
from aftersales.store import cases, journal
from aftersales.store.engine import transaction
from aftersales.words import Event, Stage
from tasks import gates, outside, records
from tests.gateways.provider import KEY, Running
from tests.stories.conftest import Shop, Telling


@pytest.fixture
def provider(other_side: Running, monkeypatch: pytest.MonkeyPatch) -> Running:
    """The other side, connected; nobody waits between two tries."""
    running = other_side
    monkeypatch.setattr(http, "payment_from", lambda settings: HttpPayment(running.url, KEY))
    monkeypatch.setattr(http, "carrier_from", lambda settings: HttpCarrier(running.url, KEY))
    call = Bare.call

    async def at_once(self: Bare, name: str, retries: int, delays: list[float], body: Any) -> Any:
        return await call(self, name, retries, [0.0 for _ in delays], body)

    monkeypatch.setattr(Bare, "call", at_once)
    return running


async def to_release(shop: Shop) -> Telling:
    """A case whose bill is settled, and whose payment the cashier must let go."""
    await shop.order()
    telling = await shop.tell(shop.application())
    await telling.decide("review", "C08", decision="approve")
    await telling.decide("pickup", "L02", carrier="顺丰", tracking_no="SF100200300")
    await telling.decide("receipt", "W02", items=[{"line": "1", "quantity": 1}], rest="complete")
    rows = [{"line": "1", "quantity": 1, "grade": "sellable", "cause": "no_reason"}]
    await telling.decide("inspection", "W03", items=rows, result="pass")
    assert telling.at == "release-0"
    return telling


async def to_release_of(case: Telling, line: str) -> Telling:
    """The same for a line of an order of several."""
    await case.decide("review", "C08", decision="approve")
    await case.decide("pickup", "L02", carrier="顺丰", tracking_no=f"SF10020030{line}")
    await case.decide("receipt", "W02", items=[{"line": line, "quantity": 1}], rest="complete")
    rows = [{"line": line, "quantity": 1, "grade": "sellable", "cause": "no_reason"}]
    await case.decide("inspection", "W03", items=rows, result="pass")
    return case


async def limited(case: Telling, *, refunds: int) -> None:
    """Let the provider of a case's terms take only so many refunds of an order."""
    async with transaction() as connection:
        await connection.execute(
            text(
                "insert into terms (hash, document, stored_at) select 'limited-' || cast(:n as text),"
                " jsonb_set(document, '{returns,partial_refunds}', to_jsonb(cast(:n as int))), stored_at"
                " from terms where hash = (select terms_hash from cases where case_no = :c) on conflict do nothing"
            ),
            {"n": refunds, "c": case.case_no},
        )
        await connection.execute(
            text("update cases set terms_hash = 'limited-' || cast(:n as text) where case_no = :c"),
            {"n": refunds, "c": case.case_no},
        )


async def later(telling: Telling, minutes: int = 1) -> Telling:
    """Tell again when the rest of a parked step is over."""
    async with transaction() as connection:
        await connection.execute(
            text("update parks set retry_at = retry_at - make_interval(mins => :m)"), {"m": minutes}
        )
    return await telling.again()


async def test_the_cashier_lets_the_money_go_and_the_case_closes_by_itself(shop: Shop, provider: Running):
    case = await to_release(shop)
    assert provider.bookings[f"{case.case_no}/refund-0"] == 0, "nothing is sent before somebody has let it go"

    await case.decide("release", "A03", amount="188.00")

    assert (await case.case()).stage is Stage.CLOSED
    assert provider.bookings == {f"{case.case_no}/book-pickup-0": 1, f"{case.case_no}/refund-0": 1}
    assert (await case.journal())["refund-0"].data["reference"] == "REF-0002"


async def test_what_was_only_accepted_waits_for_the_callback(shop: Shop, provider: Running):
    case = await to_release(shop)
    provider.behave("accepted", f"{case.case_no}/refund-0")
    await case.decide("release", "A03", amount="188.00")
    assert case.at == "refund-0"

    await case.signal(Event.REFUND_SENT, amount="188.00", reference="WX-1")

    assert (await case.case()).stage is Stage.CLOSED


@pytest.mark.parametrize("how", ["drop", "garbage", "truncated", "wrong_types", "other_key"])
async def test_p15_booked_behind_our_back_is_asked_about_and_paid_once(shop: Shop, provider: Running, how: str):
    """P-15: after a time-out ask first, then pay."""
    case = await to_release(shop)
    key = f"{case.case_no}/refund-0"
    provider.behave(how, key, times=1)

    await case.decide("release", "A03", amount="188.00")

    assert provider.bookings[key] == 1
    asked = [seen["method"] for seen in provider.seen if seen["key"] == key]
    assert asked == ["POST", "GET"], "asked about, not sent again"
    assert "refund-0.outcome" in await case.journal()


async def test_p15_an_other_side_that_is_down_parks_the_step_and_people_are_told_once(shop: Shop, provider: Running):
    case = await to_release(shop)
    key = f"{case.case_no}/refund-0"
    provider.behave("error", key)

    await case.decide("release", "A03", amount="188.00")
    for minutes in (1, 2, 4):
        await later(case, minutes)

    assert case.at == "refund-0", "the form stays open"
    (park,) = await case.rows("parks", "tries, owner, reason, ended_at")
    assert (park.tries, park.owner, park.reason, park.ended_at) == (4, "aftersales", "支付渠道回复了 HTTP 500", None)
    assert len(await case.rows("outbox", where="and recipient = 'department:aftersales'")) == 1
    provider.behave("done", key)
    await later(case, 8)
    assert (await case.case()).stage is Stage.CLOSED
    assert provider.bookings[key] == 1
    assert (await case.rows("parks", "ended_at"))[0].ended_at is not None


async def test_a_parked_step_rests_until_its_time(shop: Shop, provider: Running):
    case = await to_release(shop)
    provider.behave("error", f"{case.case_no}/refund-0")
    await case.decide("release", "A03", amount="188.00")
    seen = len(provider.seen)

    await case.again()
    assert len(provider.seen) == seen


async def test_while_the_other_side_is_silent_the_next_case_tries_once(shop: Shop, provider: Running):
    """Each case that waits out four tries holds a place of the worker for more than a minute: twenty stop the desk."""
    case = await to_release(shop)
    provider.behave("error", "*")
    await case.decide("release", "A03", amount="188.00")

    await shop.order("D2")
    another = await to_release_of(await shop.tell(shop.application("D2")), "1")
    await another.decide("release", "A03", amount="188.00")

    calls = [seen["key"] for seen in provider.seen]
    assert [calls.count(f"{each.case_no}/refund-0") for each in (case, another)] == [4, 1]
    assert another.at == "refund-0"


async def test_what_people_settled_by_hand_is_never_sent_again(shop: Shop, provider: Running):
    case = await to_release(shop)
    key = f"{case.case_no}/refund-0"
    provider.behave("drop_before", key)
    await case.decide("release", "A03", amount="188.00")

    await case.decide("refund", "A03", amount="188.00", reference="BY-HAND-1")
    provider.behave("done", key)
    await later(case, 60)

    assert (await case.case()).stage is Stage.CLOSED
    assert provider.bookings[key] == 0


async def unknown(shop: Shop, provider: Running, how: str = "garbage") -> tuple[Telling, str]:
    """A refund that was booked while nobody could ask: parked, its result unknown."""
    case = await to_release(shop)
    key = f"{case.case_no}/refund-0"
    provider.behave(how, key, times=1)
    provider.behave("error", "*")
    await case.decide("release", "A03", amount="188.00")
    assert case.at == "refund-0" and "refund-0.outcome" not in await case.journal()
    return case, key


async def test_p15_nobody_pays_by_hand_what_the_provider_has_booked(shop: Shop, provider: Running):
    case, key = await unknown(shop, provider)
    assert provider.bookings[key] == 1
    provider.behave("settle", key)

    with pytest.raises(gates.Refused, match="请勿另行付款") as refused:
        await case.decide("refund", "A03", amount="188.00", reference="BY-HAND-1")
    await case.again()

    assert "REF-0002" in str(refused.value)
    assert (await case.journal())["refund-0"].data["reference"] == "REF-0002", "it is asked about at once"
    assert (await case.case()).stage is Stage.CLOSED


async def test_p15_nor_by_an_event_that_staff_tell(shop: Shop, provider: Running):
    case, _ = await unknown(shop, provider)
    provider.behave("", "*")

    with pytest.raises(gates.Refused, match="请勿另行付款"):
        await outside.signal(case.case_no, Event.REFUND_SENT, actor="", data={"reference": "BY-HAND-1"}, staff="A03")

    assert not await case.rows("inbox")


async def test_p15_what_the_provider_has_booked_may_be_written_down_as_such(shop: Shop, provider: Running):
    case, _ = await unknown(shop, provider)
    provider.behave("", "*")

    await case.decide("refund", "A03", amount="188.00", reference="REF-0002")

    assert (await case.case()).stage is Stage.CLOSED


async def test_p15_while_the_provider_is_silent_people_may_pay_and_are_told_to_look(shop: Shop, provider: Running):
    case, key = await unknown(shop, provider)

    await case.decide("refund", "A03", amount="188.00", reference="BY-HAND-1")

    assert (await case.case()).stage is Stage.CLOSED
    bodies = [row.body for row in await case.rows("outbox", "body", "and entry = 'refund-0.unasked'")]
    assert len(bodies) == 1 and key in bodies[0] and "HTTP 500" in bodies[0]


async def test_p15_a_hand_that_is_faster_than_the_call_under_way_is_told_of_it(
    shop: Shop, provider: Running, monkeypatch: pytest.MonkeyPatch
):
    case = await to_release(shop)
    provider.behave("error", f"{case.case_no}/refund-0")
    await case.decide("release", "A03", amount="188.00")
    provider.behave("", f"{case.case_no}/refund-0")
    send = HttpPayment.refund

    async def overtaken(self: HttpPayment, key: str, **what: Any) -> Any:
        await outside.decide(
            case.case_no, "refund", operator="A03", answer={"amount": "188.00", "reference": "BY-HAND-1"}
        )
        return await send(self, key, **what)

    monkeypatch.setattr(HttpPayment, "refund", overtaken)
    await later(case)

    (late,) = [entry for entry in (await case.journal()).values() if entry.kind == "late"]
    assert "BY-HAND-1" in late.data["reason"] and "可能付了两次" in late.data["reason"]
    assert not await case.rows("inbox", where="and taken_at is null")


async def test_p15_what_was_accepted_and_never_told_of_again_is_asked_about(shop: Shop, provider: Running):
    case = await to_release(shop)
    key = f"{case.case_no}/refund-0"
    provider.behave("accepted", key)
    await case.decide("release", "A03", amount="188.00")
    seen = len(provider.seen)
    await later(case, 23 * 60)
    assert len(provider.seen) == seen, "it has a day"

    await later(case, 60)
    await later(case, 24 * 60)
    assert case.at == "refund-0" and [each["method"] for each in provider.seen[seen:]] == ["GET", "GET"]
    told = await case.rows("outbox", "body", "and entry = 'refund-0.silent'")
    assert len(told) == 1 and key in told[0].body
    provider.behave("settle", key)
    await later(case, 24 * 60)

    assert (await case.case()).stage is Stage.CLOSED
    assert provider.bookings[key] == 1


async def test_p16_what_was_accepted_and_has_failed_unheard_is_sent_again(shop: Shop, provider: Running):
    case = await to_release(shop)
    key = f"{case.case_no}/refund-0"
    provider.behave("accepted", key, times=1)
    await case.decide("release", "A03", amount="188.00")
    provider.behave("bounce", key, times=1)

    await later(case, 24 * 60)

    assert [entry.data["reason"] for entry in (await case.journal()).values() if entry.kind == "failed"] == ["银行退回"]
    assert (await case.case()).stage is Stage.CLOSED
    assert (await case.journal())["refund-0"].data["reference"] == "REF-0003"


async def test_p16_the_limit_of_an_order_holds_for_all_its_cases(shop: Shop, provider: Running):
    """P-16: two bills that both saw room for one refund; the provider takes only one."""
    await shop.order(lines=[("SKU-1", "台灯", 1, "200.00"), ("SKU-2", "台灯", 1, "200.00")])
    both = []
    for sku in ("SKU-1", "SKU-2"):
        case = await shop.tell(shop.application(items=[{"sku": sku, "quantity": 1}]))
        await limited(case, refunds=1)
        both.append(await to_release_of(case, line="1" if sku == "SKU-1" else "2"))
    assert [(await case.journal())["bill-0"].data["paid_by"] for case in both] == ["provider", "provider"]

    for case in both:
        await case.decide("release", "A03", amount=(await case.journal())["bill-0"].data["total"])

    first, second = both
    assert [provider.bookings[f"{case.case_no}/refund-0"] for case in both] == [1, 0]
    assert (await first.case()).stage is Stage.CLOSED and second.at == "refund-0"
    (item,) = await second.rows("work", "route", "and kind = 'refund'")
    assert item.route == "人工转账"
    assert "最多 1 次" in (await second.journal())["refund-0.outcome"].data["reason"]


async def test_p16_an_order_that_has_grown_too_old_since_its_bill_is_transferred(
    shop: Shop, provider: Running, monkeypatch: pytest.MonkeyPatch
):
    case = await to_release(shop)
    now = clock.now()
    monkeypatch.setattr(clock, "now", lambda case=None: now + timedelta(days=500))

    await case.decide("release", "A03", amount="188.00")

    assert provider.bookings[f"{case.case_no}/refund-0"] == 0
    assert [row.route for row in await case.rows("work", "route", "and kind = 'refund'")] == ["人工转账"]


async def test_another_failure_of_a_parked_step_is_told_too(shop: Shop, provider: Running):
    case = await to_release(shop)
    key = f"{case.case_no}/refund-0"
    provider.behave("error", key)
    await case.decide("release", "A03", amount="188.00")
    await later(case)

    await outside.signal(
        case.case_no, Event.REFUND_FAILED, actor="payment", data={"reason": "银行退票", "key": key}, key="payment/e1"
    )
    await case.again()

    told = await case.rows("outbox", "body", "and recipient = 'department:aftersales' order by id")
    assert len(told) == 2 and "HTTP 500" in told[0].body and "银行退票" in told[1].body
    parked = [entry.entry for entry in (await case.journal()).values() if entry.kind == "parked"]
    assert parked == ["refund-0.parked-0", "refund-0.parked-1", "refund-0.parked-2"]


@pytest.mark.parametrize("how", ["error", "refused"])
async def test_ntc04_no_pickup_is_promised_that_is_not_booked(shop: Shop, provider: Running, how: str):
    provider.behave(how)
    await shop.order()
    case = await shop.tell(shop.application())
    await case.decide("review", "C08", decision="approve")

    (told,) = await case.rows("outbox", "subject, body", "and notice = 'NTC-04'")
    assert "正在安排上门取件" in told.subject and "承运商将在" not in told.body

    provider.behave("", "*")
    await later(case)
    subjects = [row.subject for row in await case.rows("outbox", "subject", "and notice = 'NTC-04' order by id")]
    assert len(subjects) == (2 if how == "error" else 1)
    assert how == "refused" or "上门取件已安排" in subjects[1]


async def test_p16_one_that_failed_is_sent_again_under_the_same_key(shop: Shop, provider: Running):
    case = await to_release(shop)
    key = f"{case.case_no}/refund-0"
    provider.behave("failed", key, times=5)
    await case.decide("release", "A03", amount="188.00")

    provider.behave("done", key)
    await later(case)

    assert (await case.case()).stage is Stage.CLOSED
    assert provider.bookings[key] == 1


async def test_mon08_what_the_provider_refuses_goes_to_the_cashiers_list(shop: Shop, provider: Running):
    case = await to_release(shop)
    provider.behave("refused", f"{case.case_no}/refund-0")
    await case.decide("release", "A03", amount="188.00")

    (item,) = await case.rows("work", "kind, route, amount", "and kind = 'refund'")
    assert (item.route, f"{item.amount:.2f}") == ("人工转账", "188.00")
    assert case.at == "refund-0"


async def test_a_pickup_that_the_carrier_refuses_is_arranged_by_hand(shop: Shop, provider: Running):
    provider.behave("refused")
    await shop.order()
    case = await shop.tell(shop.application())
    await case.decide("review", "C08", decision="approve")

    assert case.at == "pickup-0"
    assert [row.kind for row in await case.rows("work", "kind")] == ["pickup"]


async def test_gen10_the_carrier_is_told_whom_to_visit_and_nobody_else_is(shop: Shop, provider: Running):
    await shop.order()
    case = await shop.tell(shop.application())
    await case.decide("review", "C08", decision="approve")

    assert provider.seen[0]["body"]["contact"]["phone"] == "10212345678"
    assert "10212345678" not in str(await case.rows("journal"))


async def test_a_case_of_two_parcels_is_paid_under_two_keys(shop: Shop, provider: Running):
    """P-16: two refunds that were meant are both paid."""
    await shop.order(lines=[("SKU-1", "台灯", 2, "200.00")])
    case = await shop.tell(shop.application(items=[{"sku": "SKU-1", "quantity": 2}]))
    await case.decide("review", "C08", decision="approve")
    await case.decide("pickup", "L02", carrier="顺丰", tracking_no="SF100200300")
    rows = [{"line": "1", "quantity": 1, "grade": "sellable", "cause": "no_reason"}]
    for part, rest in (("0", "coming"), ("1", "complete")):
        await case.decide("receipt", "W02", items=[{"line": "1", "quantity": 1}], rest=rest)
        await case.decide("inspection", "W03", items=rows, result="pass")
        amount = (await case.journal())[f"bill-{part}"].data["total"]
        await case.decide("release", "A03", amount=amount)

    assert (await case.case()).stage is Stage.CLOSED
    assert [n for key, n in sorted(provider.bookings.items()) if "/refund-" in key] == [1, 1]


@pytest.mark.parametrize(
    ("sale", "refunds", "why"),
    [
        pytest.param({}, 49, "", id="the 50th refund of an order"),
        pytest.param({}, 50, "订单已退款 50 次，支付渠道最多 50 次，请登记收款账户后人工转账", id="the 51st"),
        pytest.param({"bought": 365}, 0, "", id="365 days after the purchase"),
        pytest.param(
            {"bought": 366}, 0, "下单已超过 365 天，支付渠道不再原路退款，请登记收款账户后人工转账", id="a day later"
        ),
    ],
)
async def test_p16_what_the_provider_would_not_take_is_refused_before_sending_and_another_way_is_named(
    shop: Shop, provider: Running, sale: dict[str, int], refunds: int, why: str
):
    """P-16: the 51st partial refund of an order, and one after a year, are never sent; the page says what to do."""
    bought = {"ordered_at": clock.now() - timedelta(days=sale["bought"])} if sale else {}
    await shop.order(**bought)
    await paid_before(refunds)
    case = await shop.tell(shop.application())
    await case.decide("review", "C08", decision="approve")
    await case.decide("pickup", "L02", carrier="顺丰", tracking_no="SF100200300")
    await case.decide("receipt", "W02", items=[{"line": "1", "quantity": 1}], rest="complete")
    pages: list[str] = []
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Bare, "wait", looking_at(pages))
        rows = [{"line": "1", "quantity": 1, "grade": "sellable", "cause": "no_reason"}]
        await case.decide("inspection", "W03", items=rows, result="pass")

    if not why:
        assert (case.at, "人工转账" in pages[-1]) == ("release-0", False)
        return
    assert case.at == "refund-0"
    assert why in pages[-1]
    assert not [seen for seen in provider.seen if "/refund-" in str(seen["key"])]
    with pytest.raises(gates.Refused, match="请先登记收款账户"):
        await case.decide("refund", "A03", amount="188.00", reference="BANK-0001")
    account = {"holder": "李小红", "bank": "招商银行", "number": "6225880123456789"}
    await records.record(case.case_no, records.ACCOUNT, operator="C01", answer=account)
    await case.decide("refund", "A03", amount="188.00", reference="BANK-0001")
    assert (await case.case()).stage is Stage.CLOSED
    assert provider.bookings == {f"{case.case_no}/book-pickup-0": 1}


async def paid_before(refunds: int) -> None:
    """An earlier case of the order, of which so many refunds went by the original route."""
    async with transaction() as connection:
        now = clock.now()
        await cases.keep_terms(connection, "h", {}, now)
        await cases.open_case(
            connection,
            case_no="RT-EARLIER",
            process="returns",
            order_no="D1",
            stage="closed",
            owner="aftersales",
            opened_at=now,
            closed_at=now,
            operator="C07",
            terms_hash="h",
            facts={},
        )
        for number in range(refunds):
            entry = f"refund-{number}.sending"
            await journal.add(
                connection, "RT-EARLIER", entry, kind="sending", at=now, actor="system", data={"reason": ""}
            )


def looking_at(pages: list[str]) -> Any:
    """What stands above the form, as the desk would show it."""

    async def wait(self: Bare, entry: str, schema: Any, summary: str, answered: Any) -> None:
        pages.append(summary)
        raise legs.Waiting("", entry)

    return wait


def test_the_distance_between_tries_is_bounded():
    from tasks import steps

    assert (timedelta(minutes=1), timedelta(hours=1)) == (steps.FIRST_REST, steps.LONGEST_REST)


async def test_mon08_what_the_provider_refuses_at_a_later_try_asks_for_the_account_too(shop: Shop, provider: Running):
    case = await to_release(shop)
    key = f"{case.case_no}/refund-0"
    provider.behave("error", key)
    await case.decide("release", "A03", amount="188.00")
    assert case.at == "refund-0"
    provider.behave("refused", key)
    await later(case, 5)

    with pytest.raises(gates.Refused, match="请先登记收款账户"):
        await case.decide("refund", "A03", amount="188.00", reference="HAND-1")

    assert case.at == "refund-0"
