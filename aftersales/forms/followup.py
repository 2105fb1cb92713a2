"""The forms of following up: what a senior agent, then a supervisor, heard from a dissatisfied customer."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field

from aftersales.forms.base import GateForm, Needs
from aftersales.forms.fields import Choice, Text
from aftersales.words import Heard

Note = Annotated[str, Text(least=2)]
Plan = Annotated[str, Text()]


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


GATES: tuple[type[GateForm], ...] = (RevisitForm, SupervisorForm)
"""The forms of its gates."""
