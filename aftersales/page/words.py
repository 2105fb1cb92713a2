"""
Every word of the customer's page, in both languages side by side: (Chinese, English).

A key that is missing fails where it is shown, so the tests show all of them. Names of goods, and what the shop has
written to a customer, are shown as they are.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from starlette.requests import Request

from aftersales.rules import clocks, surveys
from aftersales.terms import Terms

LANGUAGES = ("zh", "en")
# how each is named in HTML, and to whoever wants to change to it
CODES = {"zh": "zh-CN", "en": "en"}
NAMES = {"zh": "中文", "en": "English"}

WORDS: dict[str, tuple[str, str]] = {
    # the frame
    "site": ("售后自助服务", "After-sales service"),
    "skip": ("跳到正文", "Skip to content"),
    "language": ("语言", "Language"),
    "back": ("返回查询", "Back to the search"),
    "rehearsed": ("演练", "Rehearsal"),
    "rehearsed.told": ("这是演练，使用演练的时间。", "This is a rehearsal on a clock of its own."),
    "errors": ("请更正以下内容", "Please correct the following"),
    # the search
    "search": ("查询售后进度", "Track your return"),
    "search.how": (
        "请填写订单号和下单时留的手机号，两项都相符才能查询。",
        "Enter your order number and the phone number you ordered with. Both must match.",
    ),
    "order_no": ("订单号", "Order number"),
    "order_no.where": ("在订单详情或确认短信里。", "You find it in your order details or confirmation message."),
    "phone": ("手机号", "Phone number"),
    "phone.where": ("下单时填写的收货手机号。", "The number given for the delivery."),
    "search.go": ("查询", "Search"),
    "search.unmatched": (
        "没有找到相符的订单，请核对订单号和手机号；仍然查不到，请联系店铺客服。",
        "We found no order with this number and phone. Please check both, or contact the shop.",
    ),
    "search.order_no.none": ("请填写订单号，最多 64 个字。", "Enter your order number, 64 characters at most."),
    "search.phone.none": ("请填写手机号，如 138 0000 1234。", "Enter your phone number, for example 138 0000 1234."),
    "stale": ("页面停留太久，请再提交一次。", "This page was open for too long. Please submit it again."),
    "ended": (
        "为保护您的信息，查询已结束，请重新填写。",
        "To protect your data the search has ended. Please fill it in again.",
    ),
    "too_often": ("操作太频繁，请在 {minutes} 分钟后再试。", "Too many tries. Please try again in {minutes} min."),
    # an order
    "order": ("订单 {order_no}", "Order {order_no}"),
    "leave": ("结束查询", "End this search"),
    "refresh": ("刷新进度", "Refresh"),
    "apply": ("申请退货", "Request a return"),
    "no_cases": ("这张订单还没有售后单。", "There are no returns for this order yet."),
    "no_goods": ("这张订单的商品都已申请退货或退回。", "All items of this order are being returned or were returned."),
    "case": ("售后单 {case_no}", "Return {case_no}"),
    "case.complaint": ("投诉 {case_no}", "Complaint {case_no}"),
    "opened_on": ("申请时间", "Requested"),
    "goods": ("商品", "Items"),
    "reason": ("原因", "Reason"),
    "status": ("当前进度", "Status"),
    "steps": ("各个环节", "Step by step"),
    "parcel": ("运单号", "Tracking number"),
    "refund": ("退款金额", "Refund"),
    "refund.expected": ("预计退款", "Expected refund"),
    "refund.subject": ("以验收结果为准", "subject to inspection"),
    "route": ("退款方式", "Refunded to"),
    "route.account": ("登记的收款账户", "the account you gave us"),
    "route.original": ("原付款方式", "your original payment method"),
    "said": ("店铺说明", "The shop's note"),
    "said.question": ("店铺的问题", "The shop asks"),
    "state.done": ("已完成", "done"),
    "state.now": ("进行中", "in progress"),
    "state.ahead": ("未开始", "to come"),
    "due.ours": ("我们会在 {due} 前完成。", "We will do this before {due}."),
    "due.receipt": ("预计在 {due} 前送到我们的仓库。", "We expect them before {due}."),
    "due.receipt.late": (
        "原定 {due} 前送到，还没有收到，我们正在查找。",
        "We expected them before {due} and have not got them. We are looking into it.",
    ),
    "due.yours": ("请在 {due} 前完成。", "Please do this before {due}."),
    "due.ours.late": (
        "原定 {due} 前完成，已经超时，我们正在加紧处理，抱歉让您久等。",
        "This was due before {due} and is late. We are sorry and working on it.",
    ),
    "due.yours.late": ("期限是 {due} 前，已经过了，请尽快。", "This was due before {due}. Please do it soon."),
    "due.provisional": ("（暂定）", " (provisional)"),
    "due.soon": ("正在安排。", "We are arranging this."),
    # what was done
    "step.registered": ("已登记，客服会联系您", "Registered; customer service will contact you"),
    "step.opened": ("提交退货申请", "Return requested"),
    "step.approved": ("申请已通过审核", "Request approved"),
    "step.rejected": ("申请未通过审核", "Request not approved"),
    "step.excepted": ("特殊情况已获批准", "Exception granted"),
    "step.resubmitted": ("补正后重新提交", "Corrected and submitted again"),
    "step.withdrawn": ("放弃申请", "Request withdrawn"),
    "step.asked": ("请您补充情况", "We asked you a question"),
    "step.answered": ("收到您的答复", "Your answer arrived"),
    "step.unanswered": ("没有收到答复，按现有情况继续", "No answer came; we went on with what we have"),
    "step.lapsed": ("期限内没有收到答复或商品", "Nothing arrived within the time limit"),
    "step.picked_up": ("商品已取走", "Items picked up"),
    "step.sent": ("商品已寄出", "Items sent"),
    "step.received": ("仓库收到商品 {count} 件", "Items received: {count}"),
    "step.nothing_more": ("其余商品不再寄来", "The remaining items will not be sent"),
    "step.missing": ("包裹可能丢失，正在查找", "The parcel may be lost; we are looking for it"),
    "step.found": ("包裹已找到", "The parcel was found"),
    "step.lost": ("确认包裹丢失", "The parcel is lost"),
    "step.passed": ("验收通过", "Inspection passed"),
    "step.failed": ("验收未通过", "Inspection not passed"),
    "step.granted": ("决定按规则退款", "Decision: refund by the rules"),
    "step.granted_part": ("决定部分退款 {amount}", "Decision: partial refund of {amount}"),
    "step.sending_back": ("决定将商品寄回给您", "Decision: the items go back to you"),
    "step.complaint": ("转为投诉处理", "Handled as a complaint"),
    "step.returned": ("商品已寄回给您", "Items sent back to you"),
    "step.billed": ("应退金额 {amount}", "Refund due: {amount}"),
    "step.refunded": ("已退款 {amount}", "Refunded: {amount}"),
    "step.reimbursed": ("已补运费 {amount}", "Postage paid back: {amount}"),
    "step.ended.closed": ("售后完成", "Return completed"),
    "step.ended.rejected": ("售后结束", "Return ended"),
    "step.ended.cancelled": ("售后单已取消", "Return cancelled"),
    "payer.customer": ("运费由您承担", "You pay the postage"),
    "payer.seller": ("运费由店铺承担", "The shop pays the postage"),
    # what is owed
    "owed.registered": ("客服处理中", "With customer service"),
    "owed.opened": ("申请已收到", "Request received"),
    "owed.review": ("审核申请", "We review your request"),
    "owed.question": ("等待您的答复，请联系客服", "We wait for your answer; please contact customer service"),
    "owed.correction": ("等待您补正材料，请联系客服", "Please correct your request with customer service"),
    "owed.exception": ("特殊情况审批", "A manager decides on your case"),
    "owed.pickup": ("上门取件", "The carrier picks up the items"),
    "owed.pickup.self": ("请寄回商品，并把运单号告诉客服", "Please send the items and tell us the tracking number"),
    "owed.receipt": ("商品寄回途中", "The items are on their way to us"),
    "owed.tracing": ("查找包裹", "We are looking for the parcel"),
    "owed.inspection": ("验收商品", "We inspect the items"),
    "owed.resolution": ("决定如何处理", "A manager decides what happens"),
    "owed.sendback": ("将商品寄回给您", "We send the items back to you"),
    "owed.countersign": ("复核退款", "We check the refund"),
    "owed.release": ("安排退款", "We prepare the refund"),
    "owed.refund": ("退款", "We refund the money"),
    "owed.reimbursement": ("补付运费", "We pay back the postage"),
    # the way
    "way.review": ("审核", "Review"),
    "way.pickup": ("取件", "Pick-up"),
    "way.pickup.self": ("寄回", "Sending"),
    "way.receipt": ("收货", "Receipt"),
    "way.inspection": ("验收", "Inspection"),
    "way.refund": ("退款", "Refund"),
    # how it ended
    "result.closed": ("已完成", "Completed"),
    "result.rejected": ("已结束，没有退款", "Ended without a refund"),
    "result.cancelled": ("已取消", "Cancelled"),
    "result.sent_back": ("已结束，商品已寄回", "Ended; the items were sent back"),
    "result.complaint": ("已转为投诉处理", "Handled as a complaint"),
    "result.handled": ("已处理", "Dealt with"),
    # applications
    "applied": ("退货申请", "Return requests"),
    "applied.taking": ("受理中，稍后刷新可以看到售后单号。", "Being processed. Refresh in a moment for its number."),
    "applied.refused": ("未受理", "Not accepted"),
    "applied.ask": ("请联系店铺客服。", "Please contact the shop's customer service."),
    # applying
    "apply.title": ("申请退货", "Request a return"),
    "apply.goods": ("退哪些商品", "Which items"),
    "apply.count": ("{name}（最多 {free} 件）", "{name} (up to {free})"),
    "apply.reason": ("退货原因", "Reason"),
    "apply.reason.photos": ("（请附照片）", "(please add photos)"),
    "apply.shipping": ("怎样寄回", "How it comes back"),
    "apply.shipping.pickup": ("上门取件", "Pick-up at your door"),
    "apply.shipping.self": ("自行寄回", "I send it myself"),
    "apply.remark": ("备注（可不填）", "Note (optional)"),
    "apply.remark.how": (
        "最多 500 字。请勿填写姓名、电话、账号。",
        "500 characters at most. Please give no names, phone or account numbers.",
    ),
    "apply.photos": ("照片（注明“请附照片”的原因必须有，其余可不填）", "Photos (needed for reasons marked so, else optional)"),
    "apply.photos.how": (
        "最多 {at_most} 张，每张不超过 {megabytes} MB，JPEG、PNG 或 WebP。我们会去掉照片里的位置等信息。",
        "Up to {at_most}, {megabytes} MB each, as JPEG, PNG or WebP. We remove the place and device from them.",
    ),
    "apply.photos.kept": ("已收到照片 {count} 张，不用再选。", "Photos received: {count}. No need to choose them again."),
    "apply.go": ("提交申请", "Send request"),
    "apply.twice": (
        "这份申请已经提交过。要另外申请，请重新打开申请页面。",
        "This request was sent before. For another one please open the form anew.",
    ),
    "apply.unavailable": (
        "暂时不能受理，您填写的内容都在，请稍后再提交。",
        "We cannot take requests right now. What you filled in is still here; please try again later.",
    ),
    "apply.unable": ("申请没有提交成功，请联系店铺客服。", "Your request was not sent. Please contact the shop."),
    "wrong.goods.none": ("请至少选一件商品。", "Choose at least one item."),
    "wrong.goods.too_many": ("件数不对，请按每种商品可退的件数选择。", "Check the numbers: not more than can be returned."),
    "wrong.reason.none": ("请选择退货原因。", "Choose a reason."),
    "wrong.shipping.none": ("请选择怎样寄回。", "Choose how it comes back."),
    "wrong.remark.too_long": ("备注最多 500 字，请写短一些。", "The note is too long; 500 characters at most."),
    "wrong.remark.unwritable": ("备注里有无法保存的字符，请重新填写。", "The note has characters we cannot keep."),
    "wrong.photos.needed": ("这个原因需要照片，请至少选一张。", "This reason needs a photo; choose at least one."),
    "wrong.photos.too_many": ("照片太多，请少选几张。", "Too many photos; choose fewer."),
    "wrong.photos.too_large": ("有照片太大，请选小一些的。", "A photo is too large; choose a smaller one."),
    "wrong.photos.not_a_photo": (
        "有文件不是可用的照片，请选 JPEG、PNG 或 WebP。",
        "A file is no usable photo; choose JPEG, PNG or WebP.",
    ),
    # a survey
    "survey.title": ("请评价我们的服务", "How did we do?"),
    "survey.about.returns": ("售后单 {case_no}", "Return {case_no}"),
    "survey.about.complaint": ("投诉 {case_no}", "Complaint {case_no}"),
    "survey.about.survey": ("订单 {order_no}", "Order {order_no}"),
    "survey.how": ("大约需要三分钟，只能提交一次。", "It takes about three minutes and can be sent once."),
    "survey.needed": ("（必答）", "(required)"),
    "survey.optional": ("（可不填）", "(optional)"),
    "survey.stars": (" 星", " of 5 stars"),
    "survey.yes": ("是", "Yes"),
    "survey.no": ("否", "No"),
    "survey.points": ("评分 {worst} 最差，{best} 最好。", "{worst} is worst, {best} is best."),
    "survey.nps": (
        "{worst} 分为完全不会推荐，{best} 分为一定会推荐。",
        "{worst}: I would not recommend you at all; {best}: I surely would.",
    ),
    "survey.wrong.missing": (surveys.WRONG["missing"], "“{label}” is not answered yet. Please choose an answer."),
    "survey.wrong.unknown": (surveys.WRONG["unknown"], "There is no question “{label}”."),
    "survey.wrong.not_offered": (
        surveys.WRONG["not_offered"],
        "The answer to “{label}” is none of those offered. Please choose one of {known}.",
    ),
    "survey.wrong.too_long": (
        surveys.WRONG["too_long"],
        f"“{{label}}” is longer than {surveys.MOST_CHARACTERS} characters. Please shorten it.",
    ),
    "survey.wrong.unreadable": (
        surveys.WRONG["unreadable"],
        "“{label}” contains characters that cannot be stored. Please remove them.",
    ),
    "survey.go": ("提交评价", "Send"),
    "survey.answered": ("已经收到您的评价，感谢您的反馈！", "We have received your answers. Thank you!"),
    "survey.expired": (
        "评价的时间已经结束，不能再填了。有事请联系店铺客服。",
        "The time for answers is over. If there is anything else, please contact the shop.",
    ),
    "survey.skipped": (
        "这次服务不用评价。有事请联系店铺客服。",
        "There is nothing to answer. If there is anything else, please contact the shop.",
    ),
    "survey.unreadable": (
        "链接不对或不完整，请从收到的消息里重新打开。",
        "This link is wrong or incomplete. Please open it again from the message you got.",
    ),
    # plain pages
    "plain.400": ("请求不对，请从首页重新开始。", "This request is not right. Please start again."),
    "plain.403": (
        "不能确认这个请求来自本页面，请打开浏览器的 Cookie，从首页重新开始。",
        "We could not tell that this came from our page. Please allow cookies and start again.",
    ),
    "plain.404": ("没有这个页面，请从首页开始。", "There is no such page. Please start again."),
    "plain.405": ("这个页面不接受这种请求，请从首页开始。", "This page does not take such requests. Please start again."),
    "plain.408": ("内容没有收完整，请检查网络后再试。", "Not everything arrived. Please check your connection and try again."),
    "plain.413": ("提交的内容太大，请少选或选小一些的照片。", "What you sent is too large. Please choose fewer or smaller photos."),
    "plain.429": ("操作太频繁，请稍后再试。", "Too many tries. Please try again later."),
    "plain.500": ("出了意外，请稍后再试；仍然不行，请联系店铺客服。", "Something went wrong. Please try again later or contact the shop."),
    "plain.503": ("系统暂时不可用，请稍后再试。", "The service is not available right now. Please try again later."),
    "plain.title": ("打不开这个页面", "This page cannot be opened"),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Words:
    """One language: words by key, and times, amounts and terms as its readers write them."""

    language: str
    terms: Terms

    def __call__(self, key: str, **values: Any) -> str:
        """A word, filled in. Raises KeyError for one that there is not."""
        text = WORDS[key][LANGUAGES.index(self.language)]
        return text.format_map(values) if values else text

    @property
    def code(self) -> str:
        """The language as HTML names it."""
        return CODES[self.language]

    def at(self, at: datetime) -> str:
        """An instant: `3月12日（周三）15:04`; with the year, for returns are old sometimes."""
        local = clocks.in_house(at, house=self.terms.house)
        if self.language == "en":
            return f"{clocks.english_day(local.date())}, {local:%H:%M}"
        return f"{local.year}年{clocks.spoken_day(local.date())}{local:%H:%M}"

    def due(self, due_at: datetime, *, provisional: bool, now: datetime) -> str:
        """The end of something: `3月12日（周三）24:00` (GEN-04)."""
        house = self.terms.house
        if self.language == "en":
            text = clocks.spoken_in_english(due_at, house=house)
        else:
            text = clocks.spoken(due_at, house=house, beside=clocks.house_date(now, house=house))
        return text + (self("due.provisional") if provisional else "")

    def money(self, amount: Decimal | str) -> str:
        """An amount with its currency."""
        number = f"{Decimal(amount):.2f}"
        currency = self.terms.house.currency
        if self.language == "en" or currency != "CNY":
            return f"{currency} {number}"
        return f"{number} 元"

    def reason(self, code: str) -> tuple[str, str]:
        """A reason and the language in which it is named (GEN-10 asks for no more than its name)."""
        known = self.terms.returns.reasons.get(code)
        english = self.terms.selfservice.english.reasons.get(code, "")
        return self._either(known.label if known else "", english)

    def route(self, name: str) -> tuple[str, str]:
        """A way of paying and the language in which it is named."""
        return self._either(name, self.terms.selfservice.english.payment_routes.get(name, ""))

    def minutes(self, wait: timedelta) -> int:
        """For how long to wait, in whole minutes."""
        return max(1, -(-int(wait.total_seconds()) // 60))

    def step(self, what: str, facts: Mapping[str, str]) -> str:
        """What was done, with what belongs to it."""
        given = {name: self.money(value) if name == "amount" else value for name, value in facts.items()}
        return WORDS[f"step.{what}"][LANGUAGES.index(self.language)].format_map(given)

    def wrong(self, wrong: surveys.Wrong) -> str:
        """What is wrong with an answer."""
        names = {spoken: self(f"survey.{code}") for code, spoken in surveys.SPOKEN.items()}
        known = (", " if self.language == "en" else "、").join(names.get(each, each) for each in wrong.known)
        return self(f"survey.wrong.{wrong.what}", label=wrong.label[self.language], known=known)

    def _either(self, chinese: str, english: str) -> tuple[str, str]:
        if self.language == "en" and english:
            return english, CODES["en"]
        return chinese, CODES["zh"]


def chosen(request: Request, cookie: str, *, customers: str = "", house: str = "zh") -> str:
    """
    The language of an answer: the one asked for, the one chosen before, the browser's, the customer's, the house's.
    """
    browsers = _browsers(request.headers.get("accept-language", ""))
    for each in (request.query_params.get("lang", ""), request.cookies.get(cookie, ""), browsers, customers, house):
        if each in LANGUAGES:
            return each
    return LANGUAGES[0]


def _browsers(header: str) -> str:
    """Which of ours a browser likes best; empty when none."""
    best, liked = "", 0.0
    for part in header[:400].split(","):
        name, _, quality = part.strip().partition(";")
        try:
            weight = float(quality.strip().removeprefix("q=")) if quality else 1.0
        except ValueError:
            continue
        language = name.strip().lower().partition("-")[0]
        if language in LANGUAGES and weight > liked:
            best, liked = language, weight
    return best
