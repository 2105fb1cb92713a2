"""What staff record beside a case's story: another contact, and the account for a manual transfer (GEN-10)."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field

from aftersales.forms.base import Form, Needs
from aftersales.forms.fields import Code, StaffOption, Text
from aftersales.forms.returns import CASE_NO

# exactly one recipient, and all of it: what else an address may hold, something on its way splits or cuts off
EMAIL = Code(
    r"(?=[^@]{1,64}@)[A-Za-z0-9_-]+(?:[.+][A-Za-z0-9_-]+)*@"
    r"(?:[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?\.)+[A-Za-z]{2,}",
    "邮箱地址，如 a@b.cn",
    most=254,
    optional=True,
)


class ContactForm(Form, title="联系人"):
    """Whom to reach about a case, where it is not the order's own contact."""

    needs: ClassVar[tuple[Needs, ...]] = (Needs("phone", "", "email"),)

    name: Annotated[str, Text(most=40, least=1)] = Field(title="姓名")
    phone: Annotated[
        str, Code(r"\+?[0-9](?:[ -]?[0-9]){5,17}", "6～18 位电话号码，可带 + 和短横线", most=30, optional=True)
    ] = Field(default="", title="电话")
    email: Annotated[str, EMAIL] = Field(default="", title="邮箱")


Holder = Annotated[str, Text(most=60, least=1)]
Bank = Annotated[str, Text(most=60, least=2)]
Number = Annotated[str, Code(r"[A-Za-z0-9@._+-](?:[ -]?[A-Za-z0-9@._+-]){3,39}", "4～40 位账号", most=60)]


class AccountForm(Form, title="收款账户"):
    """Where a manual transfer goes when the original route is closed (MON-08)."""

    holder: Holder = Field(title="户名")
    bank: Bank = Field(title="开户行或支付平台")
    number: Number = Field(title="账号")


class AccountEntryForm(Form, title="收款账户登记"):
    """The same at the desk, for a case that is named (MON-08)."""

    operator: Annotated[str, StaffOption()] = Field(title="操作人", description="请选择您本人")
    case_no: Annotated[str, Code(CASE_NO.shape, CASE_NO.rule_, most=48, upper=True)] = Field(title="售后单号")
    holder: Holder = Field(title="户名")
    bank: Bank = Field(title="开户行或支付平台")
    number: Number = Field(title="账号")
