"""
The shape of `config/*.yaml`, and the only code that reads it (GEN-07).

Strict models: unknown keys, bare numbers and wrong units fail.
A case keeps the terms it was opened under, found again by the hash of their content.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer

from aftersales.words import Fault, Limit, Right, Staff

CONFIG = Path("config")


class Strict(BaseModel):
    """A table of the terms: unknown keys are refused, values are never coerced, nothing changes after reading."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


LimitText = Annotated[
    Limit, BeforeValidator(lambda v: Limit.parse(v) if isinstance(v, str) else v), PlainSerializer(str)
]
Amount = Annotated[
    Decimal, BeforeValidator(lambda v: Decimal(v) if isinstance(v, str) else v), PlainSerializer(lambda v: f"{v:.2f}")
]


class Promised(Strict):
    """How long something may take, who owns it, and the rule that says so."""

    limit: LimitText
    owner: str
    rule: str


class Department(Strict):
    """A department: its Chinese name and the staff id of its head."""

    name: str
    head: str


class House(Strict):
    """The house: language, time, departments (GEN-01 to GEN-05)."""

    language: Literal["zh", "en"]
    timezone: str
    currency: str
    wd_deadline: Literal["end_of_day", "same_time"]
    makeup_days_count: bool
    service_hours: str
    departments: dict[str, Department]
    aftersales_manager: str


class Person(Strict):
    """One line of `staff.yaml`."""

    id: str
    name: str
    department: str
    team: str = ""
    role: str
    rights: list[str]
    refund_limit: Amount | None = None


class StaffList(Strict):
    """`staff.yaml`."""

    staff: list[Person]


class Reason(Strict):
    """A reason a customer may give: its Chinese label, whose fault it is, whether evidence is asked for."""

    label: str
    fault: Literal["seller", "customer"]
    evidence: bool = False


class Returns(Strict):
    """`returns.yaml`: windows, owners, fees, reasons and switches of a return (POL, RET, MON, AMB)."""

    stages: dict[str, Promised]
    outer: Promised
    revisit: Promised
    refund_bound: LimitText
    review_on_timeout: Literal["escalate", "auto_approve"]
    age_counts_from: Literal["receipt", "purchase"]
    free_until_day: int = Field(ge=0)
    freight_until_day: int = Field(ge=0)
    after_last_day: Literal["manual", "refuse", "charge"]
    pickup_freight: Amount
    late_freight: Amount
    late_freight_when_self_shipped: bool
    storage_per_day: Amount
    payment_routes: list[str]
    choose_route: bool
    selfship_grace: LimitText
    reasons: dict[str, Reason]
    categories: dict[str, Literal["standard", "unopened", "manual"]]

    def fault(self, reason: str) -> Fault:
        """Whose fault a reason is."""
        return Fault(self.reasons[reason].fault)


class Calendar(Strict):
    """A year's days off with their names, and the weekend days that are worked instead (GEN-02, AMB-11)."""

    year: int
    days_off: dict[date, str]
    makeup_workdays: dict[date, str]


class Terms(Strict):
    """Everything a case is judged by."""

    house: House
    staff_list: StaffList
    returns: Returns
    calendars: dict[int, Calendar]

    def staff(self) -> Mapping[str, Staff]:
        """Everybody by staff id."""
        return {
            p.id: Staff(
                p.id, p.name, p.department, p.role, p.team, frozenset(Right(r) for r in p.rights), p.refund_limit
            )
            for p in self.staff_list.staff
        }

    def who_may(self, right: Right, department: str | None = None) -> list[Staff]:
        """Those who have a right, in a department when one is named."""
        return [s for s in self.staff().values() if right in s.rights and department in (None, s.department)]
