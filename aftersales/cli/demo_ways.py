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

from aftersales.forms import (
    Approval,
    Correction,
    Parcel,
    Payer,
    Resolution,
    Rest,
    Result,
    Review,
    TellWay,
    Traced,
)
from aftersales.store.sample import Item
from aftersales.words import ZERO, AgeBand, Event, Grade, Heard, Outcome, Right, Shipping, Stage


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
    """The warehouse fills in the form of the deployment 到件登记; `parcel` is one whose case nobody knows."""

    quantity: int = 1
    rest: Rest = Rest.COMPLETE
    parcel: str = ""


@dataclass(frozen=True, slots=True)
class Cancel:
    """Customer service fills in the form of the deployment 取消售后单."""

    reason: str


@dataclass(frozen=True, slots=True)
class Extend:
    """A team lead fills in the form of the deployment 延期: so many days after the first."""

    reason: str
    days: int


@dataclass(frozen=True, slots=True)
class Account:
    """Customer service fills in the form of the deployment 收款账户登记."""

    holder: str
    bank: str
    number: str


@dataclass(frozen=True, slots=True)
class Answer:
    """The customer answers the survey about the case on their page, by the link that they were sent: by question."""

    given: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Nights:
    """Every night's follow-up round, until the case's own visit stands on an agent's list; its answer is `call`."""

    call: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Nothing:
    """Nobody does anything: time answers."""


Deed = Apply | Fill | Tell | Arrive | Cancel | Extend | Account | Answer | Nights | Nothing


@dataclass(frozen=True, slots=True)
class Act:
    """One thing that happens to a case: when, what, and the stage it leads to (None: not opened)."""

    day: int
    at: time
    says: str
    does: Deed
    to: Stage | None


@dataclass(frozen=True, slots=True)
class Refund:
    """What one receipt must pay: so much for the goods, less a fee of `config/returns.yaml`, and days of storage."""

    goods: Decimal
    fee: str = ""
    stored_days: int = 0


@dataclass(frozen=True, slots=True)
class Way:
    """
    One case from its application to its end.

    `band` is the age of its order (None: nobody knows when it was received); `again` names the way whose order this
    one is about, in the place of an order of its own. `is_alone`: on a clock of its own, for its nights are its own.
    """

    key: str
    story: str
    acts: tuple[Act, ...]
    ends: Stage | None
    item: Item | None = None
    band: AgeBand | None = AgeBand.A
    freight: Decimal = ZERO
    channel: str = "官方网站"
    payment_route: str = ""
    refunds: tuple[Refund, ...] = ()
    again: str = ""
    is_alone: bool = False


# the right that each small form and each application asks for
RIGHTS: dict[type, Right] = {
    Apply: Right.APPLY,
    Arrive: Right.RECEIVE,
    Cancel: Right.CANCEL,
    Extend: Right.EXTEND,
    Account: Right.APPLY,
}

AFTERNOON, MORNING = time(15), time(9, 30)
START = AFTERNOON  # of the first day


def _on(day: int, at: time, says: str, does: Deed, to: Stage | None) -> Act:
    return Act(day, at, says, does, to)


def _apply(**wanted: Any) -> Act:
    return _on(0, START, "客服提交申请", Apply(**wanted), Stage.REVIEW)


def _approve(day: int = 1, *, to: Stage = Stage.PICKUP, by_command: bool = False) -> Act:
    return _on(day, MORNING, "客服审核通过", Fill("review", {"decision": Review.APPROVE}, by_command=by_command), to)


def _reject(reason: str, *missing: str) -> Act:
    answer = {"decision": Review.REJECT, "reason": reason, "missing": list(missing)}
    return _on(1, MORNING, "客服驳回", Fill("review", answer), Stage.CORRECTION)


def _asked(gate: str, answer: Mapping[str, Any], day: int, says: str) -> Act:
    return _on(day, time(10), says, Fill(gate, answer), Stage.QUESTION)


def _answered(answer: str, day: int, at: time, to: Stage) -> Act:
    return _on(day, at, "客户答复", Fill("question", {"answer": answer}, by_command=True), to)


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


def _failed(reason: str, **row: Any) -> Act:
    answer = {"result": Result.FAIL, "reason": reason, "evidence": ["https://example.com/demo/inspection.jpg"]}
    rows = ({"grade": Grade.UNSELLABLE, **row},)
    return _on(5, time(10), "验收不通过", Fill("inspection", answer, rows=rows), Stage.RESOLUTION)


def _decided(answer: Mapping[str, Any], to: Stage, *, says: str) -> Act:
    return _on(6, MORNING, says, Fill("resolution", answer), to)


def _allowed(reason: str, *, day: int = 2, to: Stage = Stage.PICKUP) -> Act:
    answer = {"decision": Approval.APPROVE, "reason": reason}
    return _on(day, time(11), "售后经理批准例外", Fill("exception", answer), to)


def _sent(tracking_no: str, *, day: int = 2, to: Stage = Stage.RECEIPT, **more: str) -> Act:
    answer = {"carrier": "圆通", "tracking_no": tracking_no, **more}
    return _on(day, time(11), "客户告知运单号", Fill("pickup", answer, by_command=True), to)


def _paid(day: int = 6, *, reference: str, to: Stage = Stage.CLOSED, by_command: bool = False, **told: Any) -> Act:
    answer = {"reference": reference, **told}
    return _on(day, time(16), "出纳确认退款", Fill("refund", answer, by_command=by_command), to)


# the customer was told, just then, of a deduction that the application did not speak of (MON-17)
TOLD: dict[str, Any] = {"told_how": TellWay.PHONE}


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
            _sent("YT1020000005"),
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
            _allowed("客户提供了签收截图"),
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
            _paid(reference="DEMO-0010", **TOLD),
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
            _failed("外壳有划痕"),
            _on(
                10,
                MORNING,
                "售后经理决定退款",
                Fill("resolution", {"decision": Resolution.REFUND, "reason": "划痕轻微，同意退款"}),
                Stage.REFUND,
            ),
            _paid(11, reference="DEMO-0012"),
        ),
        Stage.CLOSED,
        item=Item("SM-JP-06"),
        refunds=(Refund(_yuan("269.00"), "pickup_freight"),),  # 257.00
    ),
    # --- what the handbook's exception column says ------------------------------------------------------------------
    Way(
        "sent back",
        "验收不通过，寄回客户（客户承担运费）",
        (
            _apply(),
            _approve(),
            _picked_up(),
            _received(),
            _failed("已使用，有明显磨损"),
            _decided(
                {"decision": Resolution.SEND_BACK, "payer": Payer.CUSTOMER, "reason": "人为损坏，不符合退货条件"},
                Stage.SENDBACK,
                says="售后经理决定寄回",
            ),
            _on(
                8,
                time(11),
                "物流登记寄回",
                Fill("sendback", {"carrier": "顺丰", "tracking_no": "SF1020000013"}),
                Stage.REJECTED,
            ),
        ),
        Stage.REJECTED,
        item=Item("XB-SB-03"),
    ),
    Way(
        "partial",
        "验收不通过，部分退款",
        (
            _apply(),
            _approve(),
            _picked_up(),
            _received(),
            _failed("缺少配件"),
            _decided(
                {"decision": Resolution.PARTIAL, "amount": "150.00", "reason": "缺配件，按七折左右退款"},
                Stage.REFUND,
                says="售后经理决定部分退款",
            ),
            _paid(7, reference="DEMO-0014", **TOLD),
        ),
        Stage.CLOSED,
        item=Item("XB-SB-03"),
        refunds=(Refund(_yuan("150.00")),),
    ),
    Way(
        "complaint",
        "验收不通过，转投诉",
        (
            _apply(),
            _approve(),
            _picked_up(),
            _received(),
            _failed("寄回的不是所购商品", grade=Grade.WRONG),
            _decided(
                {"decision": Resolution.COMPLAINT, "reason": "客户不认可验收结果"},
                Stage.REJECTED,
                says="售后经理转投诉",
            ),
        ),
        Stage.REJECTED,
        item=Item("TS-XS-01"),
    ),
    Way(
        "old but allowed",
        "超过退货期（C 段），售后经理批准，收运费和仓储费",
        (
            _apply(),
            _approve(to=Stage.EXCEPTION),
            _allowed("老客户，同意退货"),
            _picked_up(3),
            _received(5),
            _inspected(6),
            _paid(7, reference="DEMO-0016"),
        ),
        Stage.CLOSED,
        item=Item("JD-JS-05"),
        band=AgeBand.C,
        # 89.00 - 12.00 pick-up - 1 day of storage between receipt and inspection (MON-05)
        refunds=(Refund(_yuan("89.00"), "pickup_freight", stored_days=1),),
    ),
    Way(
        "late and self-shipped",
        "B 段自行寄回，扣逾期退货运费补偿",
        (
            _apply(shipping=Shipping.SELF),
            _approve(),
            _sent("YT1020000017"),
            _received(),
            _inspected(),
            _paid(reference="DEMO-0017"),
        ),
        Stage.CLOSED,
        item=Item("FZ-WY-05"),
        band=AgeBand.B,
        refunds=(Refund(_yuan("139.00"), "late_freight"),),  # MON-04, AMB-18
    ),
    Way(
        "late quality",
        "B 段质量问题有凭证，不收费用",
        (
            _apply(reason="quality", evidence=("充不进电，视频见 https://example.com/demo/5.mp4",)),
            _approve(),
            _picked_up(),
            _received(),
            _inspected(),
            _paid(reference="DEMO-0018"),
        ),
        Stage.CLOSED,
        item=Item("SM-EJ-03"),
        band=AgeBand.B,
        refunds=(Refund(_yuan("399.00")),),  # AMB-19
    ),
    Way(
        "made to order",
        "定制商品须人工决定，售后经理批准",
        (
            _apply(),
            _approve(to=Stage.EXCEPTION),
            _allowed("刻字有误，同意退货"),
            _picked_up(3),
            _received(5),
            _inspected(6),
            _paid(7, reference="DEMO-0019"),
        ),
        Stage.CLOSED,
        item=Item("DZ-BZ-01"),
        refunds=(Refund(_yuan("139.00"), "pickup_freight"),),  # POL-06
    ),
    Way(
        "channel",
        "社交电商渠道无理由期更长，第 10 天仍免费",
        (
            _apply(),
            _approve(),
            _picked_up(),
            _received(),
            _inspected(),
            _paid(reference="DEMO-0020"),
        ),
        Stage.CLOSED,
        item=Item("XB-SB-03"),
        band=AgeBand.B,
        channel="社交电商",
        refunds=(Refund(_yuan("189.00"), "pickup_freight"),),  # POL-07: A by the channel's rule, so MON-02
    ),
    Way(
        "never sent",
        "自行寄回的商品一直没寄，提醒后自动结案",
        (
            _apply(shipping=Shipping.SELF),
            _approve(),
            _on(22, MORNING, "客户始终没有寄出", Nothing(), Stage.CANCELLED),
        ),
        Stage.CANCELLED,
        item=Item("FZ-WY-05"),
    ),
    Way(
        "never corrected",
        "驳回后七天无人补正，自动结案",
        (
            _apply(),
            _reject("看不清吊牌", "吊牌照片"),
            _on(12, MORNING, "客户始终没有补正", Nothing(), Stage.CANCELLED),
        ),
        Stage.CANCELLED,
        item=Item("TS-XS-01"),
    ),
    Way(
        "asked",
        "审核和验收各请客户补充一次，暂停计时，答复后接着办",
        (
            _apply(),
            _asked("review", {"decision": Review.ASK, "question": "请补拍吊牌照片"}, 1, "客服请客户补充照片"),
            _answered("照片已发到客服邮箱", 2, MORNING, Stage.REVIEW),
            _on(2, time(11), "客服审核通过", Fill("review", {"decision": Review.APPROVE}), Stage.PICKUP),
            _picked_up(3),
            _received(5),
            _asked("inspection", {"result": Result.ASK, "question": "鞋盒没有寄回，是否还在"}, 6, "仓库请客户说明"),
            _answered("鞋盒已扔掉", 7, time(11), Stage.INSPECTION),
            _on(7, AFTERNOON, "验收通过", Fill("inspection", {"result": Result.PASS}), Stage.REFUND),
            _paid(8, reference="DEMO-0038"),
        ),
        Stage.CLOSED,
        item=Item("XB-SB-03"),
        refunds=(Refund(_yuan("189.00"), "pickup_freight"),),  # 177.00 (NUM-223)
    ),
    Way(
        "never answered",
        "审核请客户补充，七天没有答复，自动结案",
        (
            _apply(),
            _asked("review", {"decision": Review.ASK, "question": "请补拍吊牌照片"}, 1, "客服请客户补充照片"),
            _on(12, MORNING, "客户始终没有答复", Nothing(), Stage.CANCELLED),
        ),
        Stage.CANCELLED,
        item=Item("TS-XS-01"),
    ),
    Way(
        "lost",
        "包裹丢失，查件确认后退款",
        (
            _apply(),
            _approve(),
            _picked_up(),
            _on(6, time(14), "仓库登记包裹丢失", Fill("receipt", {"items": [], "rest": Parcel.LOST}), Stage.TRACING),
            _on(
                8,
                MORNING,
                "物流确认丢失",
                Fill("tracing", {"result": Traced.LOST, "note": "承运商确认丢件并赔付"}),
                Stage.EXCEPTION,
            ),
            _allowed("承运商丢件，退款给客户", day=9, to=Stage.REFUND),
            _paid(10, reference="DEMO-0023"),
        ),
        Stage.CLOSED,
        item=Item("XB-SB-03"),
        refunds=(Refund(_yuan("189.00")),),  # nobody brought them: no freight (RET-06)
    ),
    Way(
        "found again",
        "包裹丢失后找到，照常验收退款",
        (
            _apply(),
            _approve(),
            _picked_up(),
            _on(6, time(14), "承运商通知丢件", Tell(Event.PARCEL_LOST), Stage.TRACING),
            _on(
                7,
                MORNING,
                "物流找到包裹",
                Fill("tracing", {"result": Traced.FOUND, "note": "错发到外地分拨中心，已转回"}),
                Stage.RECEIPT,
            ),
            _received(9),
            _inspected(10),
            _paid(11, reference="DEMO-0024"),
        ),
        Stage.CLOSED,
        item=Item("XB-SB-03"),
        refunds=(Refund(_yuan("189.00"), "pickup_freight"),),
    ),
    Way(
        "short",
        "少件：申请三件，只到两件，其余不再寄来",
        (
            _apply(quantity=3),
            _approve(),
            _picked_up(),
            _on(
                4,
                time(14),
                "仓库收到两件",
                Fill("receipt", {"rest": Parcel.NONE}, rows=({"quantity": 2},)),
                Stage.INSPECTION,
            ),
            _inspected(),
            _paid(reference="DEMO-0025"),
        ),
        Stage.CLOSED,
        item=Item("FZ-TX-01", 3),
        refunds=(Refund(_yuan("179.98"), "pickup_freight"),),
    ),
    Way(
        "nobody's parcel",
        "包裹先到、没有单号，客户告知运单号后匹配",
        (
            _apply(shipping=Shipping.SELF),
            _approve(),
            _on(2, MORNING, "仓库登记无主包裹", Arrive(parcel="YT1020000026"), Stage.PICKUP),
            _sent("YT1020000026", day=3, to=Stage.INSPECTION),
            _inspected(4),
            _paid(5, reference="DEMO-0026"),
        ),
        Stage.CLOSED,
        item=Item("FZ-WY-05"),
        refunds=(Refund(_yuan("139.00")),),
    ),
    Way(
        "dear",
        "退款超过限额，由第二人复核",
        (
            _apply(quantity=3),
            _approve(),
            _picked_up(),
            _received(),
            _inspected(to=Stage.COUNTERSIGN),
            _on(5, time(15), "售后主管复核", Fill("countersign", {"decision": Approval.APPROVE}), Stage.REFUND),
            _paid(reference="DEMO-0027"),
        ),
        Stage.CLOSED,
        item=Item("XB-SB-03", 3),
        refunds=(Refund(_yuan("567.00"), "pickup_freight"),),  # 555.00 is above 500.00 (RFD-02)
    ),
    Way(
        "storm",
        "暴雨停运，组长延期取件",
        (
            _apply(),
            _approve(),
            _on(3, MORNING, "组长登记延期", Extend("暴雨，快递停运", days=12), Stage.PICKUP),
            _picked_up(11),
            _received(13),
            _inspected(14),
            _paid(15, reference="DEMO-0028"),
        ),
        Stage.CLOSED,
        item=Item("XB-SB-03"),
        refunds=(Refund(_yuan("189.00"), "pickup_freight"),),  # GEN-08
    ),
    Way(
        "freight paid back",
        "自行寄回的质量问题，补偿客户垫付的运费",
        (
            _apply(shipping=Shipping.SELF, reason="quality", evidence=("开线，照片见 https://example.com/demo/6.jpg",)),
            _approve(),
            _sent("YT1020000029", freight="18.00", voucher="快递发票 0029"),
            _received(),
            _inspected(),
            _paid(reference="DEMO-0029", to=Stage.REIMBURSEMENT),
            _on(
                7,
                time(11),
                "客服登记收款账户",
                Account("李小红", "招商银行杭州分行", "6225 8801 2345 6789"),
                Stage.REIMBURSEMENT,
            ),
            _on(7, time(16), "出纳补付运费", Fill("reimbursement", {"reference": "DEMO-0029-F"}), Stage.CLOSED),
        ),
        Stage.CLOSED,
        item=Item("FZ-WY-05"),
        refunds=(Refund(_yuan("139.00")),),  # and 18.00 by a payment of its own (MON-18)
    ),
    Way(
        "route gone",
        "原支付渠道不能退款，登记账户后人工转账",
        (
            _apply(),
            _approve(),
            _picked_up(),
            _received(),
            _inspected(),
            _on(
                5,
                time(15),
                "客服登记收款账户",
                Account("李小红", "招商银行杭州分行", "6225 8801 2345 6789"),
                Stage.REFUND,
            ),
            _paid(reference="DEMO-0030"),
        ),
        Stage.CLOSED,
        item=Item("XB-SB-03"),
        payment_route="货到付款",
        refunds=(Refund(_yuan("189.00"), "pickup_freight"),),  # MON-08
    ),
    Way(
        "very late quality",
        "C 段质量问题，售后经理同意退货，不收费用",
        (
            _apply(reason="quality", evidence=("电池鼓包，照片见 https://example.com/demo/7.jpg",)),
            _approve(to=Stage.EXCEPTION),
            _allowed("电池鼓包，退货更安全"),
            _picked_up(3),
            _received(5),
            _inspected(6),
            _paid(7, reference="DEMO-0031"),
        ),
        Stage.CLOSED,
        item=Item("SM-EJ-03"),
        band=AgeBand.C,
        refunds=(Refund(_yuan("399.00")),),  # AMB-19: neither freight nor storage
    ),
    Way(
        "fresh",
        "生鲜未拆封可以无理由退，验收时核对",
        (
            _apply(),
            _approve(),
            _picked_up(),
            _received(),
            _inspected(),
            _paid(reference="DEMO-0032"),
        ),
        Stage.CLOSED,
        item=Item("SX-CL-01"),
        refunds=(Refund(_yuan("199.00"), "pickup_freight"),),  # POL-06
    ),
    Way(
        "sent back by us",
        "已拆封不能退，寄回客户（店铺承担运费）",
        (
            _apply(),
            _approve(),
            _picked_up(),
            _received(),
            _failed("已拆封"),
            _decided(
                {
                    "decision": Resolution.SEND_BACK,
                    "payer": Payer.SELLER,
                    "reason": "已拆封不能退，客服未事先说明，运费由店铺承担",
                },
                Stage.SENDBACK,
                says="售后经理决定寄回",
            ),
            _on(8, time(11), "承运商揽收寄回件", Tell(Event.PARCEL_SENT_BACK, {"carrier": "顺丰"}), Stage.REJECTED),
        ),
        Stage.REJECTED,
        item=Item("MZ-JH-02"),  # POL-06, MON-20
    ),
    Way(
        "loss not paid",
        "称包裹丢失，查明没有寄出，售后经理驳回",
        (
            _apply(),
            _approve(),
            _picked_up(),
            _on(6, time(14), "仓库登记包裹丢失", Fill("receipt", {"items": [], "rest": Parcel.LOST}), Stage.TRACING),
            _on(
                8,
                MORNING,
                "物流确认丢失",
                Fill("tracing", {"result": Traced.LOST, "note": "承运商称揽收的是空袋"}),
                Stage.EXCEPTION,
            ),
            _on(
                9,
                time(11),
                "售后经理驳回例外",
                Fill("exception", {"decision": Approval.REJECT, "reason": "承运商证明客户没有交出商品"}),
                Stage.REJECTED,
            ),
        ),
        Stage.REJECTED,
        item=Item("XB-SB-03"),
    ),
    Way(
        "dear and refused",
        "复核驳回，售后经理改为部分退款",
        (
            _apply(quantity=3),
            _approve(),
            _picked_up(),
            _received(),
            _inspected(to=Stage.COUNTERSIGN),
            _on(
                5,
                time(15),
                "复核驳回",
                Fill("countersign", {"decision": Approval.REJECT, "reason": "一件有划痕，应少退"}),
                Stage.RESOLUTION,
            ),
            _decided(
                {"decision": Resolution.PARTIAL, "amount": "450.00", "reason": "一件有划痕，按质量折价"},
                Stage.REFUND,
                says="售后经理决定部分退款",
            ),
            _paid(7, reference="DEMO-0035", **TOLD),
        ),
        Stage.CLOSED,
        item=Item("XB-SB-03", 3),
        refunds=(Refund(_yuan("450.00")),),  # the bill of 555.00 is void (RFD-02)
    ),
    Way(
        "slow",
        "收货后迟迟没有退款，整单时限超时",
        (
            _apply(),
            _approve(),
            _picked_up(),
            _received(),
            _inspected(),
            _paid(18, reference="DEMO-0036"),
        ),
        Stage.CLOSED,
        item=Item("TS-XS-01"),
        refunds=(Refund(_yuan("128.00"), "pickup_freight"),),  # RET-10
    ),
    Way(
        "nothing left",
        "报质量问题，验收完好，扣运费后应退 0.00 元",
        (
            _apply(reason="quality", evidence=("断墨，照片见 https://example.com/demo/8.jpg",)),
            _approve(),
            _picked_up(),
            _received(),
            _on(
                5,
                time(10),
                "验收改判原因",
                Fill("inspection", {"result": Result.PASS}, rows=({"cause": "no_reason"},)),
                Stage.RELEASE,
            ),
            _on(6, time(16), "出纳登记已告知客户", Fill("release", TOLD), Stage.CLOSED),
        ),
        Stage.CLOSED,
        item=Item("TS-GB-04", 1, _yuan("11.90")),  # 8.00 is less than the pick-up (MON-14, MON-17)
    ),
    Way(
        "the rest never came",
        "三件先到两件，其余始终没有寄来",
        (
            _apply(quantity=3),
            _approve(),
            _picked_up(),
            _on(
                4,
                time(14),
                "仓库收到两件",
                Fill("receipt", {"rest": Parcel.COMING}, rows=({"quantity": 2},)),
                Stage.INSPECTION,
            ),
            _inspected(),
            _paid(reference="DEMO-0037", to=Stage.RECEIPT),
            _on(
                13,
                time(14),
                "仓库登记其余不再寄来",
                Fill("receipt", {"items": [], "rest": Parcel.NONE}),
                Stage.CLOSED,
            ),
        ),
        Stage.CLOSED,
        item=Item("FZ-TX-01", 3),
        refunds=(Refund(_yuan("179.98"), "pickup_freight"),),  # P-14
    ),
    Way(
        "dissatisfied",
        "满意度不满意转二次回访，一周后列入回访清单",
        (
            _apply(),
            _approve(),
            _picked_up(),
            _received(),
            _inspected(),
            _paid(reference="DEMO-0041"),
            _on(
                6,
                time(16, 30),
                "客户在自助页面评价不满意",
                Answer({"solved": "no", "overall": "2", "comment": "等了好几天才退款"}),
                Stage.CLOSED,
            ),
            _on(
                7,
                time(10),
                "资深客服二次回访",
                Fill("revisit", {"result": Heard.SATISFIED, "note": "已说明到账时间并致歉，客户接受"}),
                Stage.CLOSED,
            ),
            _on(
                7,
                time(10, 30),
                "每天凌晨的回访巡检",
                Nights({"outcome": Outcome.REACHED, "note": "退款已到账，没有其他问题"}),
                Stage.CLOSED,
            ),
        ),
        Stage.CLOSED,
        item=Item("FZ-WY-05"),
        refunds=(Refund(_yuan("139.00"), "pickup_freight"),),  # 127.00 (SVY-05, FUP-03, FUP-10)
        is_alone=True,
    ),
)
