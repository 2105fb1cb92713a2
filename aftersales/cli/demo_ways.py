"""
What `aftersales demo` plays: the ways of a return, who does what on which day, and how each must come out.

Data only. Amounts are reckoned by hand under the shipped terms; what a fee is taken from it is named, so that a shop
that has set its own fees is held to those. Ways change along with `flows/returns.py`: one here for each branch there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import time
from decimal import Decimal
from typing import Any

from aftersales.forms import Approval, Correction, Rest, Result, Review
from aftersales.store.sample import Item
from aftersales.words import ZERO, AgeBand, Event, Grade, Right, Shipping, Stage


@dataclass(frozen=True, slots=True)
class Apply:
    """A clerk fills in the form of the deployment 退货."""

    reason: str = "no_reason"
    shipping: Shipping = Shipping.PICKUP
    quantity: int = 1
    evidence: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Fill:
    """
    Somebody answers a gate, in its Resume form or by `aftersales decide`.

    What is prefilled stays as it is. `rows` stand in the place of the prefilled rows: each is the first of those with
    some columns changed.
    """

    gate: str
    answer: Mapping[str, Any] = field(default_factory=dict)
    rows: tuple[Mapping[str, Any], ...] = ()
    by_command: bool = False


@dataclass(frozen=True, slots=True)
class Tell:
    """Another system or a scanner tells an event, as `aftersales signal` does."""

    event: Event
    data: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Arrive:
    """The warehouse fills in the form of the deployment 到件登记."""

    quantity: int = 1
    rest: Rest = Rest.COMPLETE


@dataclass(frozen=True, slots=True)
class Cancel:
    """Customer service fills in the form of the deployment 取消售后单."""

    reason: str


@dataclass(frozen=True, slots=True)
class Act:
    """One thing that happens to a case: when, what, and the stage it leads to (None: not opened)."""

    day: int
    at: time
    says: str
    does: Apply | Fill | Tell | Arrive | Cancel
    to: Stage | None


@dataclass(frozen=True, slots=True)
class Refund:
    """What one receipt must pay: so much for the goods, less a fee of `config/returns.yaml`."""

    goods: Decimal
    fee: str = ""


@dataclass(frozen=True, slots=True)
class Way:
    """
    One case from its application to its end.

    `band` is the age of its order (None: nobody knows when it was received); `again` names the way whose order this
    one is about, in the place of an order of its own.
    """

    key: str
    story: str
    acts: tuple[Act, ...]
    ends: Stage | None
    item: Item | None = None
    band: AgeBand | None = AgeBand.A
    freight: Decimal = ZERO
    refunds: tuple[Refund, ...] = ()
    again: str = ""


# the right that each small form and each application asks for
RIGHTS: dict[type, Right] = {Apply: Right.APPLY, Arrive: Right.RECEIVE, Cancel: Right.CANCEL}

AFTERNOON, MORNING = time(15), time(9, 30)
START = AFTERNOON  # of the first day


def _on(day: int, at: time, says: str, does: Apply | Fill | Tell | Arrive | Cancel, to: Stage | None) -> Act:
    return Act(day, at, says, does, to)


def _apply(**wanted: Any) -> Act:
    return _on(0, START, "客服提交申请", Apply(**wanted), Stage.REVIEW)


def _approve(day: int = 1, *, to: Stage = Stage.PICKUP, by_command: bool = False) -> Act:
    return _on(day, MORNING, "客服审核通过", Fill("review", {"decision": Review.APPROVE}, by_command=by_command), to)


def _reject(reason: str, *missing: str) -> Act:
    answer = {"decision": Review.REJECT, "reason": reason, "missing": list(missing)}
    return _on(1, MORNING, "客服驳回", Fill("review", answer), Stage.CORRECTION)


def _picked_up(day: int = 2) -> Act:
    return _on(
        day,
        time(11),
        "承运商取件",
        Tell(Event.PARCEL_PICKED_UP, {"carrier": "顺丰", "tracking_no": "SF1020000001"}),
        Stage.RECEIPT,
    )


def _received(day: int = 4) -> Act:
    return _on(day, time(14), "仓库扫描入库", Tell(Event.PARCEL_RECEIVED), Stage.INSPECTION)


def _inspected(day: int = 5, *, to: Stage = Stage.REFUND) -> Act:
    return _on(day, time(10), "验收通过", Fill("inspection", {"result": Result.PASS}), to)


def _paid(day: int = 6, *, reference: str, to: Stage = Stage.CLOSED, by_command: bool = False) -> Act:
    return _on(day, time(16), "出纳确认退款", Fill("refund", {"reference": reference}, by_command=by_command), to)


def _yuan(text: str) -> Decimal:
    return Decimal(text)


WAYS: tuple[Way, ...] = (
    Way(
        "main",
        "七天无理由，上门取件",
        (
            _apply(),
            _approve(),
            _on(
                2,
                time(11),
                "物流登记取件",
                Fill("pickup", {"carrier": "顺丰", "tracking_no": "SF1020000000"}),
                Stage.RECEIPT,
            ),
            _on(4, time(14), "仓库填写到件登记", Arrive(), Stage.INSPECTION),
            _inspected(),
            _paid(reference="DEMO-0001"),
        ),
        Stage.CLOSED,
        item=Item("JJ-SJ-01", 1, _yuan("99.00")),  # 299.00 - 99.00
        refunds=(Refund(_yuan("200.00"), "pickup_freight"),),  # 188.00 (MON-02)
    ),
    Way(
        "quality",
        "质量问题有凭证，连发货运费全额退",
        (
            _apply(reason="quality", evidence=("右侧耳机无声，视频见链接 https://example.com/demo/1.mp4",)),
            _approve(by_command=True),
            _picked_up(),
            _received(),
            _inspected(),
            _paid(reference="DEMO-0002", by_command=True),
        ),
        Stage.CLOSED,
        item=Item("SM-EJ-03"),
        freight=_yuan("10.00"),
        refunds=(Refund(_yuan("409.00")),),  # 399.00 + 10.00 outbound freight (MON-14)
    ),
    Way(
        "corrected",
        "驳回后补正，第二轮通过（B 段）",
        (
            _apply(),
            _reject("看不清吊牌", "吊牌照片"),
            _on(
                2,
                time(11),
                "客户补交照片",
                Fill("correction", {"decision": Correction.RESUBMIT, "evidence": ["https://example.com/demo/2.jpg"]}),
                Stage.REVIEW,
            ),
            _approve(3),
            _picked_up(3),
            _received(5),
            _inspected(6),
            _paid(7, reference="DEMO-0003"),
        ),
        Stage.CLOSED,
        item=Item("XB-SB-03"),
        band=AgeBand.B,
        refunds=(Refund(_yuan("189.00"), "late_freight"),),  # 174.00 (MON-04)
    ),
    Way(
        "given up",
        "驳回后客户放弃",
        (
            _apply(),
            _reject("商品已拆封使用"),
            _on(
                2,
                time(11),
                "客户放弃申请",
                Fill("correction", {"decision": Correction.WITHDRAW}, by_command=True),
                Stage.REJECTED,
            ),
        ),
        Stage.REJECTED,
        item=Item("TS-XS-01"),
    ),
    Way(
        "self-shipped",
        "客户自行寄回，不收取件运费",
        (
            _apply(shipping=Shipping.SELF),
            _approve(),
            _on(
                2,
                time(11),
                "客户告知运单号",
                Fill("pickup", {"carrier": "圆通", "tracking_no": "YT1020000005"}, by_command=True),
                Stage.RECEIPT,
            ),
            _received(),
            _inspected(),
            _paid(reference="DEMO-0005"),
        ),
        Stage.CLOSED,
        item=Item("FZ-WY-05"),
        refunds=(Refund(_yuan("139.00")),),
    ),
    Way(
        "two parcels",
        "三件分两个包裹到货，退款两次",
        (
            _apply(quantity=3, reason="quality", evidence=("面料起球，照片见 https://example.com/demo/3.jpg",)),
            _approve(),
            _picked_up(),
            _on(
                4,
                time(14),
                "仓库收到两件",
                Fill("receipt", {"rest": Rest.COMING}, rows=({"quantity": 2},)),
                Stage.INSPECTION,
            ),
            _inspected(),
            _paid(reference="DEMO-0006-1", to=Stage.RECEIPT),
            _on(7, time(14), "仓库收到余下一件", Arrive(), Stage.INSPECTION),
            _inspected(8),
            _paid(9, reference="DEMO-0006-2"),
        ),
        Stage.CLOSED,
        item=Item("FZ-TX-01", 3),
        refunds=(Refund(_yuan("179.98")), Refund(_yuan("89.99"))),  # 3 × 89.99 (P-14)
    ),
    Way(
        "unknown date",
        "签收时间不明，售后经理批准",
        (
            _apply(),
            _approve(to=Stage.EXCEPTION),
            _on(
                2,
                time(11),
                "售后经理批准例外",
                Fill("exception", {"decision": Approval.APPROVE, "reason": "客户提供了签收截图"}),
                Stage.PICKUP,
            ),
            _picked_up(3),
            _received(5),
            _inspected(6),
            _paid(7, reference="DEMO-0007"),
        ),
        Stage.CLOSED,
        item=Item("JD-DF-02"),
        band=None,
        refunds=(Refund(_yuan("299.00"), "pickup_freight"),),  # 287.00: no age fee while the date is unknown (P-23)
    ),
    Way(
        "too old",
        "超过退货期（C 段），售后经理驳回",
        (
            _apply(quantity=2),
            _approve(to=Stage.EXCEPTION),
            _on(
                2,
                time(11),
                "售后经理驳回例外",
                Fill("exception", {"decision": Approval.REJECT, "reason": "已超过退货期"}, by_command=True),
                Stage.REJECTED,
            ),
        ),
        Stage.REJECTED,
        item=Item("JD-JS-05", 2),
        band=AgeBand.C,
    ),
    Way(
        "cancelled",
        "收货前客户取消",
        (
            _apply(),
            _approve(),
            _on(2, time(11), "客服填写取消售后单", Cancel("客户决定留下商品"), Stage.CANCELLED),
        ),
        Stage.CANCELLED,
        item=Item("FZ-LY-06"),
    ),
    Way(
        "other cause",
        "报质量问题，验收两件完好一件有瑕疵",
        (
            _apply(quantity=3, reason="quality", evidence=("三条浴巾都掉毛，照片见 https://example.com/demo/4.jpg",)),
            _approve(),
            _picked_up(),
            _received(),
            _on(
                5,
                time(10),
                "验收改判原因",
                Fill(
                    "inspection",
                    {"result": Result.PASS},
                    rows=(
                        {"quantity": 2, "grade": Grade.SELLABLE, "cause": "no_reason"},
                        {"quantity": 1, "grade": Grade.UNSELLABLE, "cause": "quality"},
                    ),
                ),
                Stage.REFUND,
            ),
            _paid(reference="DEMO-0010"),
        ),
        Stage.CLOSED,
        item=Item("JJ-SN-05", 3),
        refunds=(
            Refund(_yuan("149.70"), "pickup_freight"),
        ),  # 137.70: two came back for the customer's reason (MON-17)
    ),
    Way(
        "twice",
        "同一申请又提交一次",
        (_on(1, MORNING, "客服重复提交", Apply(), None),),
        None,
        again="main",
    ),
    Way(
        "not passed",
        "验收不通过，售后经理逾期后批准",
        (
            _apply(),
            _approve(),
            _picked_up(),
            _received(),
            _on(
                5,
                time(10),
                "验收不通过",
                Fill(
                    "inspection",
                    {"result": Result.FAIL, "reason": "外壳有划痕"},
                    rows=({"grade": Grade.UNSELLABLE},),
                ),
                Stage.EXCEPTION,
            ),
            _on(
                10,
                MORNING,
                "售后经理批准退款",
                Fill("exception", {"decision": Approval.APPROVE, "reason": "划痕轻微，同意退款"}),
                Stage.REFUND,
            ),
            _paid(11, reference="DEMO-0012"),
        ),
        Stage.CLOSED,
        item=Item("SM-JP-06"),
        refunds=(Refund(_yuan("269.00"), "pickup_freight"),),  # 257.00
    ),
)
