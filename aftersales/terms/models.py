"""The shape of each file of `config/` that has none of its own, and of all of them together (GEN-07)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Literal

from pydantic import Field

from aftersales.terms.followup import Followup
from aftersales.terms.survey import Survey
from aftersales.terms.values import (
    Amount,
    Clock,
    Code,
    Currency,
    LimitText,
    Promised,
    QuietHours,
    RightText,
    ServiceHours,
    StaffId,
    Strict,
    Text,
    WallLimit,
    ZoneName,
)
from aftersales.words import FOLLOWING_UP, Fault, Right, Staff, Stage

# the stages of a return that wait for somebody: each needs a promise
WAITING = tuple(
    stage for stage in Stage if not stage.is_over and stage is not Stage.OPENED and stage not in FOLLOWING_UP
)

# what has a ladder of notices: those stages, and the limit of the whole return
CLIMBING = (*(stage.value for stage in WAITING), "outer")


class Department(Strict):
    """A department: its Chinese name and the staff id of its head."""

    name: Text
    head: Text


class House(Strict):
    """The house: language, time, departments (GEN-01 to GEN-05)."""

    language: Literal["zh", "en"]
    timezone: ZoneName
    currency: Currency
    wd_deadline: Literal["end_of_day", "same_time"]
    makeup_days_count: bool
    service_hours: ServiceHours
    departments: dict[Code, Department]
    aftersales_manager: Text


class Person(Strict):
    """One line of `staff.yaml`."""

    id: StaffId
    name: Text
    department: Text
    team: str = ""
    role: Text
    rights: list[RightText]
    refund_limit: Amount | None = None


class StaffList(Strict):
    """`staff.yaml`."""

    staff: list[Person]


class Reason(Strict):
    """A reason a customer may give: its Chinese label, whose fault it is, whether evidence is asked for."""

    label: Text
    fault: Literal["seller", "customer"]
    evidence: bool = False


class ChannelRules(Strict):
    """What a channel's own platform rules put in the place of the shop's (POL-07); what is left out stays the shop's."""

    free_until_day: int | None = Field(default=None, ge=0)
    freight_until_day: int | None = Field(default=None, ge=0)
    after_last_day: Literal["manual", "refuse", "charge"] | None = None
    pickup_freight: Amount | None = None
    late_freight: Amount | None = None
    storage_per_day: Amount | None = None
    review: LimitText | None = None


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
    selfship_freight_limit: Amount
    second_approval_above: Amount | None
    payment_routes: list[Text]
    choose_route: bool
    partial_refunds: int = Field(ge=0)
    refund_days: int = Field(ge=0)
    selfship_grace: LimitText
    question_reminder: LimitText
    quality_sample: int = Field(ge=0, le=100)
    reasons: dict[Code, Reason]
    categories: dict[str, Literal["standard", "unopened", "manual"]]
    channels: dict[str, ChannelRules] = Field(default_factory=dict)

    def on(self, channel: str) -> Returns:
        """The terms of a channel: the shop's, with what the channel's platform rules replace (POL-07)."""
        rules = self.channels.get(channel)
        if rules is None:
            return self
        # the values themselves: a dump would give amounts and limits as text
        own = {name: value for name in ChannelRules.model_fields if (value := getattr(rules, name)) is not None}
        if limit := own.pop("review", None):
            own["stages"] = {**self.stages, "review": self.stages["review"].model_copy(update={"limit": limit})}
        return self.model_copy(update=own)

    def fault(self, reason: str) -> Fault:
        """Whose fault a reason is."""
        return Fault(self.reasons[reason].fault)


class Calendar(Strict):
    """A year's days off with their names, and the weekend days that are worked instead (GEN-02, AMB-11)."""

    year: int
    days_off: dict[date, Text]
    makeup_workdays: dict[date, Text]


class Sending(Strict):
    """How notices are sent: what failed is tried again, each time after twice as long, until it is given up."""

    retry_after: WallLimit
    retry_at_most: WallLimit
    give_up_after: WallLimit
    digest_above: int = Field(ge=1)
    # by department, or `customer`; staff keep the hours of their department
    quiet: dict[str, QuietHours | None]


class Notices(Strict):
    """`notices.yaml`: how notices are sent, and after how long one is no longer worth sending (NUM-224); null: never."""

    sending: Sending
    expires: dict[str, LimitText | None]


class Notice(Strict):
    """A notice in one language: subject, body, a shorter text for SMS, and after how long it is not worth sending."""

    subject: str
    body: str
    short: str = ""
    expires: LimitText | None = None

    def render(self, values: Mapping[str, str]) -> tuple[str, str]:
        """Fill in the placeholders. Raises KeyError for one that is not given."""
        return self.subject.format_map(values), self.body.format_map(values)

    def render_short(self, values: Mapping[str, str]) -> str:
        """Fill in the placeholders of the text for SMS; empty when the body is short enough."""
        return self.short.format_map(values)


class Reminder(Strict):
    """When whoever has something is reminded of it: in per cent of a window of time, or at an hour of its last day."""

    notice: Text
    rule: Text
    of_hours: int = Field(ge=1, le=99)
    on_last_day: Clock


class Rung(Strict):
    """
    One rung of a ladder: when it is reached, who is told, and by which notice.

    So long `after` the window has passed, or `at` the time that the customer was told (AMB-13); else when it passes.
    """

    name: Code
    after: LimitText | None = None
    at: Literal["refund_bound"] | None = None
    rule: Text
    notice: Text
    tell: list[Literal["owner", "head", "manager", "customer"]] = Field(min_length=1)


class Provisional(Strict):
    """What the after-sales manager is told in the place of a rung that needs a year without calendar (P-05)."""

    notice: Text
    rule: Text


class Escalation(Strict):
    """`escalation.yaml`: who is told before and after a window passes (ESC-04, ESC-05, ESC-08, ESC-09)."""

    reminder: Reminder
    provisional: Provisional
    ladders: dict[Code, list[Rung]]
    returns: dict[str, str | None]
    followup: dict[str, str | None]

    @property
    def notices(self) -> set[str]:
        """Every notice that time alone tells."""
        alone = {self.reminder.notice, self.provisional.notice}
        return alone | {rung.notice for rungs in self.ladders.values() for rung in rungs}

    def ladder(self, stage: str) -> list[Rung] | None:
        """The rungs of a stage; None where nobody of the house is late."""
        name = self.returns.get(stage) or self.followup.get(stage)
        return self.ladders[name] if name else None


class Allowance(Strict):
    """How often somebody may do something in so long."""

    at_most: int = Field(ge=1)
    within: WallLimit


class Photos(Strict):
    """What a customer may hand in as photos: how many, how large, and how large we keep them."""

    at_most: int = Field(ge=1, le=20)
    megabytes: int = Field(ge=1, le=20)
    megapixels: int = Field(ge=1, le=100)
    longest_side: int = Field(ge=400, le=8000)


class English(Strict):
    """What the English page calls the words of `returns.yaml`; what is not named is shown as it is there."""

    reasons: dict[Code, Text] = Field(default_factory=dict)
    payment_routes: dict[str, Text] = Field(default_factory=dict)


class SelfService(Strict):
    """`selfservice.yaml`: what a customer may see and do on their page (SLF-01 to SLF-03, AMB-47)."""

    require_both: bool
    session: WallLimit
    searches_per_address: Allowance
    searches_per_order: Allowance
    searches_per_order_in_all: Allowance
    applications_per_order: Allowance
    photos: Photos
    english: English


class Terms(Strict):
    """Everything a case is judged by, and what is told about it."""

    house: House
    staff_list: StaffList
    returns: Returns
    calendars: dict[int, Calendar]
    notices: dict[str, Notice] = Field(default_factory=dict)
    sending: Sending
    escalation: Escalation
    followup: Followup
    survey: Survey
    selfservice: SelfService

    def promised(self, gate: str, *, channel: str = "") -> Promised:
        """What is promised at a gate, by the rules of a channel where it has some of its own (POL-07)."""
        return self.followup.stages.get(gate) or self.returns.on(channel).stages[gate]

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
