"""The forms of a return (退货): its application, its gates, and the two small deployments beside it."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, ClassVar

from pydantic import Field

from aftersales.forms.base import Form, GateForm, Needs, Row
from aftersales.forms.fields import Choice, Code, Count, LineOption, Money, Option, Rows, StaffOption, Text, Texts
from aftersales.words import Grade, Named, Shipping

CASE_NO = Code(
    r"[A-Za-z]{2,4}(-[A-Za-z0-9]{1,12}){1,3}", "售后单号，如 RT-20261122-0007", most=48, optional=True, upper=True
)
PARCEL = r"[A-Za-z0-9-]{4,40}"
PARCEL_RULE = "4～40 位字母、数字或短横线"
REFERENCE = Code(r"[A-Za-z0-9_./:#-]{4,64}", "4～64 位字母、数字或 - _ . / : #")
TOLD_AT = Code(r"[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}", "年-月-日 时:分，如 2026-11-24 15:30", optional=True)


class Wish(Named):
    """What the customer wants of a return."""

    REFUND = "refund", "退货退款"


class Review(Named):
    """The reviewer's decision (RET-03, RET-04); asking the customer is none yet (NUM-223)."""

    APPROVE = "approve", "通过"
    REJECT = "reject", "驳回"
    ASK = "ask", "请客户补充"


class Approval(Named):
    """The manager's decision about an exception (POL-04)."""

    APPROVE = "approve", "批准"
    REJECT = "reject", "驳回"


class Correction(Named):
    """What becomes of a rejected application (RET-04)."""

    RESUBMIT = "resubmit", "补正重提"
    WITHDRAW = "withdraw", "放弃申请"


class Rest(Named):
    """Whether more is on its way (P-14)."""

    COMPLETE = "complete", "全部到齐"
    COMING = "coming", "其余还会寄来"
    NONE = "none", "其余不再寄来"


class Parcel(Named):
    """Whether a parcel is whole, and what becomes of the rest (P-14, RET-06)."""

    COMPLETE = Rest.COMPLETE.value, Rest.COMPLETE.label
    COMING = Rest.COMING.value, Rest.COMING.label
    NONE = Rest.NONE.value, Rest.NONE.label
    LOST = "lost", "包裹丢失"


class Traced(Named):
    """What logistics found out about a lost parcel (RET-06)."""

    FOUND = "found", "已找到"
    LOST = "lost", "确认丢失"


class Resolution(Named):
    """What the manager decides about goods that did not pass (RET-08)."""

    REFUND = "refund", "按规则退款"
    PARTIAL = "partial", "部分退款"
    SEND_BACK = "send_back", "寄回客户"
    COMPLAINT = "complaint", "转投诉"


class Payer(Named):
    """Who pays for sending goods back to the customer (MON-20)."""

    CUSTOMER = "customer", "客户承担"
    SELLER = "seller", "店铺承担"


class TellWay(Named):
    """How a customer was told of a deduction before it was made (MON-17)."""

    PHONE = "phone", "电话"
    SMS = "sms", "短信"
    CHAT = "chat", "在线客服"
    EMAIL = "email", "邮件"


class Result(Named):
    """What the inspection says (RET-07, RET-08); asking the customer is no result yet (NUM-223)."""

    PASS = "pass", "通过"
    FAIL = "fail", "不通过"
    ASK = "ask", "请客户补充"


class RequestItem(Row):
    """Goods by their number, as the customer names them."""

    sku: Annotated[str, Code(r"\S(.{0,62}\S)?", "商品编码（SKU），最多 64 字")] = Field(title="商品编码")
    quantity: Annotated[int, Count()] = Field(title="数量")


class ReceiptItem(Row):
    """Units of one line that arrived."""

    line: Annotated[int, LineOption("选择订单行，如 第1行")] = Field(title="订单行")
    quantity: Annotated[int, Count()] = Field(title="实收数量")


class LostItem(Row):
    """Units of one line that were in a parcel that is lost."""

    line: Annotated[int, LineOption("选择订单行，如 第1行")] = Field(title="订单行")
    quantity: Annotated[int, Count()] = Field(title="丢失数量")


class InspectionItem(Row):
    """Units of one line in the state they were found in."""

    line: Annotated[int, LineOption("选择订单行，如 第1行")] = Field(title="订单行")
    quantity: Annotated[int, Count()] = Field(title="数量")
    grade: Annotated[Grade, Choice(Grade)] = Field(title="等级")
    cause: Annotated[str, Option("选择退货原因")] = Field(
        title="实际原因", description="已按客户所述填好，与实物不符时请改"
    )


Operator = Annotated[str, StaffOption()]
Evidence = Annotated[tuple[str, ...], Texts(Text(least=1))]
Remark = Annotated[str, Text()]


class ReturnRequest(Form, title="退货申请"):
    """An application (RET-01). It asks for no contact data: contacts come from the order (GEN-10)."""

    operator: Operator = Field(title="操作人", description="请选择您本人；您将是本单的首问责任人")
    order_no: Annotated[str, Code(r"\S(.{0,62}\S)?", "订单号，最多 64 字")] = Field(title="订单号")
    items: Annotated[tuple[RequestItem, ...], Rows(least=1)] = Field(title="退货商品", description="每种商品一行")
    reason: Annotated[str, Option("选择退货原因")] = Field(title="退货原因")
    shipping: Annotated[Shipping, Choice(Shipping)] = Field(title="寄回方式")
    wish: Annotated[Wish, Choice(Wish)] = Field(default=Wish.REFUND, title="客户期望")
    evidence: Evidence = Field(default=(), title="凭证", description="照片链接或说明；请勿填写电话、账号")
    remark: Remark = Field(default="", title="备注", description="请勿填写姓名、电话、账号")


Question = Annotated[str, Text()]
Freight = Annotated[Decimal | None, Money(optional=True)]
Voucher = Annotated[str, Text(most=200)]


class ReviewForm(GateForm, name="review", title="审核"):
    """The review of an application (RET-03, RET-04)."""

    needs: ClassVar[tuple[Needs, ...]] = (
        Needs("decision", Review.REJECT, "reason"),
        Needs("decision", Review.ASK, "question"),
    )

    decision: Annotated[Review, Choice(Review)] = Field(title="审核结果")
    reason: Annotated[str, Text()] = Field(default="", title="驳回理由", description="会告知客户")
    missing: Annotated[tuple[str, ...], Texts(Text(most=100, least=1))] = Field(
        default=(), title="缺少的材料", description="驳回时列出要客户补交的材料，会告知客户"
    )
    question: Question = Field(
        default="", title="请客户补充什么", description="会告知客户；审核暂停计时，客户答复后接着审核"
    )
    remark: Remark = Field(
        default="", title="备注", description="仅内部可见；该有凭证而没有、仍要通过的，须在此写明依据"
    )

    @property
    def rejected(self) -> bool:
        """True when the application was rejected."""
        return self.decision is Review.REJECT


class QuestionForm(GateForm, name="question", title="客户答复"):
    """What the customer answered to a question (NUM-223)."""

    answer: Annotated[str, Text(least=1)] = Field(
        title="客户的答复", description="客户怎样说的，一句即可；请勿填写姓名、电话、账号"
    )
    evidence: Evidence = Field(default=(), title="补充凭证", description="照片链接或说明，加在原有凭证之后")


class CorrectionForm(GateForm, name="correction", title="补正"):
    """The answer to a rejection: corrected, or given up (RET-04)."""

    decision: Annotated[Correction, Choice(Correction)] = Field(title="客户决定")
    items: Annotated[tuple[RequestItem, ...], Rows()] = Field(
        default=(), title="退货商品", description="不填则不变；填写后以此为准"
    )
    reason: Annotated[str, Option("选择退货原因", unchanged="不变")] = Field(default="", title="退货原因")
    shipping: Annotated[Shipping | None, Choice(Shipping, unchanged="不变")] = Field(default=None, title="寄回方式")
    evidence: Evidence = Field(default=(), title="补充凭证", description="照片链接或说明，加在原有凭证之后")
    remark: Remark = Field(default="", title="备注", description="请勿填写姓名、电话、账号")

    @property
    def withdrawn(self) -> bool:
        """True when the customer gave up."""
        return self.decision is Correction.WITHDRAW


class ExceptionForm(GateForm, name="exception", title="例外审批"):
    """The manager's decision where no rule decides (POL-04, AMB-17, P-23)."""

    decision: Annotated[Approval, Choice(Approval)] = Field(title="审批结果")
    reason: Annotated[str, Text(least=2)] = Field(title="审批理由", description="批准和驳回都要说明")

    @property
    def rejected(self) -> bool:
        """True when the exception was refused."""
        return self.decision is Approval.REJECT


class PickupForm(GateForm, name="pickup", title="取件"):
    """The goods are on their way (RET-05, MON-02)."""

    carrier: Annotated[str, Text(most=40, least=1)] = Field(title="承运商")
    tracking_no: Annotated[str, Code(PARCEL, PARCEL_RULE, most=40, upper=True)] = Field(title="运单号")
    freight: Annotated[Decimal | None, Money(optional=True)] = Field(
        default=None, title="承运凭证金额", description="尚无凭证时不填"
    )
    voucher: Annotated[str, Text(most=200)] = Field(default="", title="承运凭证", description="凭证号或链接")


class ReceiptForm(GateForm, name="receipt", title="收货"):
    """What arrived at the warehouse, also in part (RET-06, P-14)."""

    items: Annotated[tuple[ReceiptItem, ...], Rows()] = Field(
        default=(), title="实收商品", description="每个订单行一行，只填本次收到的；丢失、其余都不再寄来时全部删除"
    )
    rest: Annotated[Parcel, Choice(Parcel)] = Field(
        title="是否到齐", description="少件时请说明其余商品还来不来；承运商称已丢件时选“包裹丢失”"
    )
    foreign: Annotated[str, Text(most=200)] = Field(
        default="", title="非本单物品", description="包裹里不属于本单的东西；没有则不填"
    )
    freight: Freight = Field(
        default=None, title="客户垫付运费", description="自行寄回的，包裹里有运费凭证时填；取件时已填的不用再填"
    )
    voucher: Voucher = Field(default="", title="运费凭证", description="凭证号或链接")
    remark: Remark = Field(default="", title="备注")


class TracingForm(GateForm, name="tracing", title="查件"):
    """What became of a parcel that was said to be lost (RET-06)."""

    result: Annotated[Traced, Choice(Traced)] = Field(title="查件结果")
    items: Annotated[tuple[LostItem, ...], Rows()] = Field(
        default=(), title="丢失商品", description="确认丢失时，只留这个包裹里的；不填就是没到的全部"
    )
    note: Annotated[str, Text(least=2)] = Field(
        title="查件说明", description="承运商的答复、工单号等；请勿填写电话、账号"
    )


class ResolutionForm(GateForm, name="resolution", title="处理决定"):
    """The manager's decision about goods that did not pass the inspection (RET-08, MON-20)."""

    needs: ClassVar[tuple[Needs, ...]] = (
        Needs("decision", Resolution.PARTIAL, "amount"),
        Needs("decision", Resolution.SEND_BACK, "payer"),
    )

    decision: Annotated[Resolution, Choice(Resolution)] = Field(title="处理方式")
    amount: Annotated[Decimal | None, Money(optional=True)] = Field(
        default=None, title="部分退款金额", description="小于提交时的应退金额；其他处理方式不填"
    )
    payer: Annotated[Payer | None, Choice(Payer, unchanged="不适用")] = Field(
        default=None,
        title="寄回运费由谁承担",
        description="有卖家原因的必须由店铺承担；没有的由客户承担，店铺自愿承担也可以，请在决定理由里写明",
    )
    reason: Annotated[str, Text(least=2)] = Field(title="决定理由", description="会告知客户")


class SendbackForm(GateForm, name="sendback", title="寄回客户"):
    """The goods are on their way back to the customer (MON-20)."""

    carrier: Annotated[str, Text(most=40, least=1)] = Field(title="承运商")
    tracking_no: Annotated[str, Code(PARCEL, PARCEL_RULE, most=40, upper=True)] = Field(title="运单号")
    freight: Annotated[Decimal | None, Money(optional=True)] = Field(
        default=None, title="运费", description="到付或尚无凭证时不填"
    )
    voucher: Annotated[str, Text(most=200)] = Field(default="", title="承运凭证", description="凭证号或链接")


class CountersignForm(GateForm, name="countersign", title="复核"):
    """The second person's decision about a refund above the limit (RFD-02)."""

    needs: ClassVar[tuple[Needs, ...]] = (Needs("decision", Approval.REJECT, "reason"),)

    decision: Annotated[Approval, Choice(Approval)] = Field(title="复核结果")
    reason: Annotated[str, Text()] = Field(default="", title="驳回理由", description="驳回后由售后经理另作决定")


class InspectionForm(GateForm, name="inspection", title="验收"):
    """The state of what arrived, by line and quantity (RET-07, RET-08)."""

    needs: ClassVar[tuple[Needs, ...]] = (
        Needs("result", Result.FAIL, "reason"),
        Needs("result", Result.ASK, "question"),
    )

    items: Annotated[tuple[InspectionItem, ...], Rows(least=1)] = Field(
        default=(), title="验收明细", description="同一订单行等级或原因不同时分行填写；请客户补充时不用改"
    )
    result: Annotated[Result, Choice(Result)] = Field(title="验收结论")
    reason: Annotated[str, Text()] = Field(default="", title="不通过原因", description="会告知客户")
    question: Question = Field(
        default="", title="请客户补充什么", description="会告知客户；验收暂停计时，客户答复后接着验收"
    )
    evidence: Evidence = Field(default=(), title="验收凭证", description="照片链接或说明")
    remark: Remark = Field(default="", title="备注")

    @property
    def failed(self) -> bool:
        """True when the goods did not pass."""
        return self.result is Result.FAIL


ToldHow = Annotated[TellWay | None, Choice(TellWay, unchanged="不需要告知")]
ToldAt = Annotated[str, TOLD_AT]
Reference = Annotated[str, REFERENCE]


class ReleaseForm(GateForm, name="release", title="放款"):
    """The cashier lets the payment provider send the money back (RET-09, MON-17)."""

    amount: Annotated[Decimal, Money()] = Field(title="退款金额")
    told_how: ToldHow = Field(default=None, title="已告知客户（方式）", description="扣款原因与申请不同时须先告知")
    told_at: ToldAt = Field(default="", title="已告知客户（时间）")
    remark: Remark = Field(default="", title="备注")


class RefundForm(GateForm, name="refund", title="退款确认"):
    """The cashier's confirmation that the money has gone back (RET-09, MON-07, MON-17)."""

    amount: Annotated[Decimal, Money()] = Field(title="退款金额")
    reference: Reference = Field(title="交易流水号", description="支付平台或银行给出的流水号")
    told_how: ToldHow = Field(default=None, title="已告知客户（方式）", description="扣款原因与申请不同时须先告知")
    told_at: ToldAt = Field(default="", title="已告知客户（时间）")
    remark: Remark = Field(default="", title="备注")


class ReimbursementForm(GateForm, name="reimbursement", title="补运费"):
    """The cashier's confirmation that a self-shipper's freight was paid back (MON-18)."""

    amount: Annotated[Decimal, Money()] = Field(title="补运费金额")
    reference: Reference = Field(title="交易流水号", description="支付平台或银行给出的流水号")
    remark: Remark = Field(default="", title="备注")


class ArrivalForm(Form, title="到件登记"):
    """A parcel that arrived, also in part, also without a case (RET-06)."""

    needs: ClassVar[tuple[Needs, ...]] = (Needs("case_no", "", "tracking_no"),)

    operator: Operator = Field(title="操作人", description="请选择您本人")
    case_no: Annotated[str, CASE_NO] = Field(default="", title="售后单号", description="包裹上没有单号时不填")
    carrier: Annotated[str, Text(most=40)] = Field(default="", title="承运商")
    tracking_no: Annotated[str, Code(PARCEL, PARCEL_RULE, most=40, optional=True, upper=True)] = Field(
        default="", title="运单号"
    )
    items: Annotated[tuple[RequestItem, ...], Rows(least=1)] = Field(title="实收商品", description="每种商品一行")
    rest: Annotated[Rest, Choice(Rest)] = Field(title="是否到齐", description="少件时请说明其余商品还来不来")
    freight: Freight = Field(default=None, title="客户垫付运费", description="自行寄回的，包裹里有运费凭证时填")
    voucher: Voucher = Field(default="", title="运费凭证", description="凭证号或链接")
    remark: Remark = Field(default="", title="备注", description="请勿填写姓名、电话、账号")


class CancelForm(Form, title="取消售后单"):
    """The customer takes the application back (RET-17)."""

    operator: Operator = Field(title="操作人", description="请选择您本人")
    case_no: Annotated[str, Code(CASE_NO.shape, CASE_NO.rule_, most=48, upper=True)] = Field(title="售后单号")
    reason: Annotated[str, Text(least=2)] = Field(title="取消理由")


class ExtensionForm(Form, title="延期"):
    """A new last day for what a case waits for, through force majeure (GEN-08, AMB-51)."""

    operator: Operator = Field(title="操作人", description="请选择您本人；组长及以上")
    case_no: Annotated[str, Code(CASE_NO.shape, CASE_NO.rule_, most=48, upper=True)] = Field(title="售后单号")
    until: Annotated[str, Code(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", "日期，如 2026-12-01")] = Field(
        title="延期到", description="这一天 24:00 前办完；须晚于现在的截止时间"
    )
    reason: Annotated[str, Text(least=2)] = Field(title="延期原因", description="会告知客户，如：暴雨，快递停运")


GATES: tuple[type[GateForm], ...] = (
    ReviewForm,
    QuestionForm,
    CorrectionForm,
    ExceptionForm,
    PickupForm,
    ReceiptForm,
    TracingForm,
    InspectionForm,
    ResolutionForm,
    SendbackForm,
    CountersignForm,
    ReleaseForm,
    RefundForm,
    ReimbursementForm,
)
"""The forms of its gates."""
