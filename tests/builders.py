"""Valid facts in one line each: a test states only what matters to it."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from aftersales import clock
from aftersales.terms import WAITING, Returns
from aftersales.words import Order, OrderLine, Shipping, Units, Wanted

HOUSE = ZoneInfo("Asia/Shanghai")

# the day everything was delivered unless a test says otherwise: noon in the house zone
DELIVERED_AT = datetime(2025, 3, 1, 4, tzinfo=UTC)
DELIVERED_ON = date(2025, 3, 1)


def today() -> date:
    """The shop's date of now: between its midnight and that of UTC there are eight hours."""
    return clock.now().astimezone(HOUSE).date()


def yuan(amount: str | int | Decimal) -> Decimal:
    """Two decimals, as money has."""
    return Decimal(amount).quantize(Decimal("0.01"))


def runs(*pairs: tuple[int, int]) -> tuple[Units, ...]:
    """Runs of units: `runs((0, 2), (5, 6))`."""
    return tuple(Units(first, end) for first, end in pairs)


def a_line(paid: str | int = "200.00", **changes: Any) -> OrderLine:
    """One line: a single piece of clothing, delivered, nothing taken."""
    facts: dict[str, Any] = {
        "line_no": 1,
        "sku": "TS-01",
        "name": "纯棉T恤",
        "category": "服装",
        "quantity": 1,
        "paid": yuan(paid),
        "delivered_at": DELIVERED_AT,
    }
    return OrderLine(**(facts | changes))


def an_order(*lines: OrderLine, freight: str | int = 0, insured: str | int = 0, **changes: Any) -> Order:
    """An order of these lines (one piece of clothing for 200.00 when none is named), paid in full."""
    lines = lines or (a_line(),)
    facts: dict[str, Any] = {
        "order_no": "SO-1",
        "channel": "官网",
        "ordered_at": datetime(2025, 2, 26, 4, tzinfo=UTC),
        "lines": lines,
        "freight": yuan(freight),
        "insured_freight": yuan(insured),
        "payment_route": "支付宝",
        "paid": sum((line.paid for line in lines), yuan(freight)),
    }
    return Order(**(facts | changes))


def all_of(order: Order) -> list[Wanted]:
    """Everything that was bought."""
    return [Wanted(line.line_no, runs((0, line.quantity))) for line in order.lines]


def some_of(*lines: tuple[int, int]) -> list[Wanted]:
    """The lowest units of lines: `some_of((1, 2))` is two of line 1."""
    return [Wanted(line_no, runs((0, quantity))) for line_no, quantity in lines]


def return_terms(**changes: Any) -> Returns:
    """The returns terms with the fees of the worked examples (requirements §4), and what a test changes."""
    promised = {"limit": "1 wd", "owner": "aftersales", "rule": "RET-00"}
    document: dict[str, Any] = {
        "stages": {stage.value: promised for stage in WAITING},
        "outer": promised,
        "revisit": promised,
        "refund_bound": "3 wd",
        "review_on_timeout": "escalate",
        "age_counts_from": "receipt",
        "free_until_day": 7,
        "freight_until_day": 30,
        "after_last_day": "manual",
        "pickup_freight": "12.00",
        "late_freight": "15.00",
        "late_freight_when_self_shipped": True,
        "storage_per_day": "1.00",
        "payment_routes": ["支付宝", "微信支付", "银行卡"],
        "choose_route": False,
        "selfship_grace": "7 wd",
        "question_reminder": "3 d",
        "selfship_freight_limit": "20.00",
        "second_approval_above": "500.00",
        "partial_refunds": 50,
        "refund_days": 365,
        "quality_sample": 5,
        "reasons": {
            "no_reason": {"label": "七天无理由", "fault": "customer"},
            "quality": {"label": "质量问题", "fault": "seller", "evidence": True},
        },
        "categories": {"服装": "standard", "食品": "unopened", "定制商品": "manual"},
    }
    return Returns.model_validate(document | changes)


def an_application(order: Order, **changes: Any) -> dict[str, Any]:
    """The arguments of `money.quote`: all of the order, no reason, on the day of delivery, picked up."""
    return {
        "order": order,
        "wanted": all_of(order),
        "reason": "no_reason",
        "asked_on": DELIVERED_ON,
        "shipping": Shipping.PICKUP,
        "terms": return_terms(),
        "zone": HOUSE,
    } | changes
