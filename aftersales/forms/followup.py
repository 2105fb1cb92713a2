"""The forms of following up: what came of a visit, and what a dissatisfied customer said when they were called again."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field

from aftersales.forms.base import GateForm, Needs
from aftersales.forms.fields import Choice, Text, VisitOption
from aftersales.words import Effect, Feedback, Heard, Outcome

Note = Annotated[str, Text(least=2)]
Plan = Annotated[str, Text()]


class VisitForm(GateForm, name="visit", title="回访登记"):
    """What came of one visit of the list, in the columns of the feedback log (FUP-12, FUP-13)."""

    needs: ClassVar[tuple[Needs, ...]] = (
        Needs("outcome", Outcome.REACHED, "note"),
        Needs("outcome", Outcome.PROBLEM, "note"),
        Needs("outcome", Outcome.PROBLEM, "feedback"),
    )

    visit: Annotated[str, VisitOption()] = Field(title="回访对象", description="一次登记一位，登记后表单再次打开")
    outcome: Annotated[Outcome, Choice(Outcome)] = Field(
        title="回访结果", description="“发现问题”会另立一张投诉单；“不再回访”以后也不再联系这位客户"
    )
    note: Annotated[str, Text()] = Field(
        default="", title="主要问题", description="客户怎么说；请勿填写姓名、电话、账号"
    )
    feedback: Annotated[Feedback | None, Choice(Feedback, unchanged="未填")] = Field(default=None, title="反馈类型")
    measure: Plan = Field(default="", title="处理措施", description="当场做了什么，或答应客户什么")
    effect: Annotated[Effect | None, Choice(Effect, unchanged="未评估")] = Field(default=None, title="效果评估")


class RevisitForm(GateForm, name="revisit", title="二次回访"):
    """What a senior agent heard from a customer who was dissatisfied (SVY-05, FUP-04)."""

    needs: ClassVar[tuple[Needs, ...]] = (Needs("result", Heard.DISSATISFIED, "plan"),)

    result: Annotated[Heard, Choice(Heard)] = Field(title="回访结果")
    note: Note = Field(title="客户怎么说", description="请勿填写姓名、电话、账号")
    plan: Plan = Field(default="", title="新的处理方案", description="仍不满意的交给主管，请写上建议怎么办")


class SupervisorForm(GateForm, name="supervisor", title="主管回访"):
    """What a supervisor heard from a customer whom the second revisit did not satisfy (AMB-40)."""

    needs: ClassVar[tuple[Needs, ...]] = (Needs("result", Heard.DISSATISFIED, "plan"),)

    result: Annotated[Heard, Choice(Heard)] = Field(title="回访结果")
    note: Note = Field(title="客户怎么说", description="请勿填写姓名、电话、账号")
    plan: Plan = Field(default="", title="最终处理意见", description="仍不满意的到此为止，请写上怎么答复客户")


GATES: tuple[type[GateForm], ...] = (VisitForm, RevisitForm, SupervisorForm)
"""The forms of its gates."""
