"""Who may decide what (design §3): department, right, limit, and never both approving and paying."""

from __future__ import annotations

from collections.abc import Collection
from decimal import Decimal

from aftersales.words import Right, Staff

# the right that each gate asks for
RIGHTS = {
    "review": Right.REVIEW,
    "question": Right.APPLY,
    "correction": Right.APPLY,
    "exception": Right.APPROVE_EXCEPTION,
    "pickup": Right.PICKUP,
    "receipt": Right.RECEIVE,
    "tracing": Right.PICKUP,
    "inspection": Right.INSPECT,
    "resolution": Right.APPROVE_EXCEPTION,
    "sendback": Right.PICKUP,
    "countersign": Right.COUNTERSIGN,
    "release": Right.REFUND,
    "refund": Right.REFUND,
    "reimbursement": Right.REFUND,
    "visit": Right.VISIT,
    "revisit": Right.REVISIT,
    "supervisor": Right.SUPERVISE,
}
# rights to say how satisfied a customer is with what others did
HEARING = (Right.VISIT, Right.REVISIT, Right.SUPERVISE)


def objection(
    *,
    operator: Staff | None,
    named: str,
    right: Right,
    department: str = "",
    department_name: str = "",
    amount: Decimal | None = None,
    not_by: Collection[str] = (),
) -> str:
    """
    Say why somebody may not do this; an empty text when they may.

    `named` is who the form names; `not_by` are those who approved the case and so must not pay it, or who worked on it
    and so must not tell how satisfied its customer is.
    """
    if operator is None:
        return f"经办人“{named}”不在员工名单中，请用员工编号，如 C07。"
    if department and operator.department != department:
        return f"经办人 {operator.choice} 不属于{department_name}，请由{department_name}的员工处理。"
    if right not in operator.rights:
        return f"经办人 {operator.choice} 没有“{right.label}”权限，请换有权限的员工处理。"
    if operator.id in not_by and right in HEARING:
        return f"经办人 {operator.choice} 办理过这次售后，不能登记自己的满意度，请换一位没有办理过、有“{right.label}”权限的员工。"
    if operator.id in not_by and right is Right.COUNTERSIGN:
        return f"经办人 {operator.choice} 已审批过本单，复核须由另一个人办理，请换一位有“{right.label}”权限的员工。"
    if operator.id in not_by:
        return f"经办人 {operator.choice} 已审批过本单，审批与付款须由不同的人办理，请换一位有退款权限的员工。"
    if amount is not None and operator.refund_limit is not None and amount > operator.refund_limit:
        return (
            f"退款 {amount:.2f} 元超出经办人 {operator.choice} 的限额 {operator.refund_limit:.2f} 元，"
            "请由限额更高的员工确认。"
        )
    return ""
