"""
The shape of `config/followup.yaml`: whom we visit, how long after what, how often, and by when it is done (FUP).
"""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field, PlainSerializer

from aftersales.terms.values import Clock, Promised, Strict, Text, minutes, read_limit
from aftersales.words import Limit, Unit, VisitKind

# what somebody has to do, and by when: one visit, a second one of somebody dissatisfied, the word of a supervisor
STAGES = ("visit", "revisit", "supervisor")

# what a kind that only follows the promise of its own process has no distance of its own for
OWN = (VisitKind.RETURN,)

# clocks are put forward at midnight in some zones: an earlier hour would fall into the day before
EARLIEST = 60


def _days(value: Limit) -> Limit:
    """Refuse a distance that is none in days: a visit has a day, not an hour."""
    if value.unit not in (Unit.DAY, Unit.WORKING_DAY):
        raise ValueError(f"“{value}”的单位不对，请用 d（天）或 wd（工作日），如 7 d。")
    return value


def _night(value: str) -> str:
    """Refuse an hour at which it might still be the day before."""
    if minutes(value) < EARLIEST:
        raise ValueError(f'“{value}”太早，请写成 "01:00" 或更晚：有的时区在零点拨快时钟，会算成前一天。')
    return value


Days = Annotated[Limit, BeforeValidator(read_limit), AfterValidator(_days), PlainSerializer(str)]
Night = Annotated[Clock, AfterValidator(_night)]


class Kind(Strict):
    """A kind of visit: how long after what it is due, who owns it, after which processes; `months` where it returns."""

    is_on: bool
    after: Days | None = None
    months: int | None = Field(default=None, ge=1, le=12)
    owner: Text
    rule: Text
    processes: list[Text] = Field(default_factory=list)


class ChannelKind(Strict):
    """What differs for the customers of a channel (FUP-09); what is left out stays."""

    is_on: bool | None = None
    after: Days | None = None
    months: int | None = Field(default=None, ge=1, le=12)


class Followup(Strict):
    """`followup.yaml`: the visits of the nightly round, and by when what it draws up is done (FUP-01 to FUP-12)."""

    at: Night
    contacts_a_month: int = Field(ge=1)
    tries: int = Field(ge=1)
    too_late: Days
    kinds: dict[str, Kind]
    channels: dict[str, dict[str, ChannelKind]] = Field(default_factory=dict)
    stages: dict[str, Promised]

    def kind(self, kind: VisitKind, channel: str) -> Kind:
        """A kind for the customers of a channel: the shop's, with what the channel has of its own (FUP-09)."""
        shops = self.kinds[kind.value]
        own = self.channels.get(channel, {}).get(kind.value)
        if own is None:
            return shops
        differs = {name: value for name in ChannelKind.model_fields if (value := getattr(own, name)) is not None}
        return shops.model_copy(update=differs)

    def months(self) -> set[int]:
        """Every distance in months that some channel has for the visits in use (FUP-02, FUP-09)."""
        return {months for each in self._all(VisitKind.USE) if (months := each.months) is not None}

    def distances(self, kind: VisitKind) -> set[Limit]:
        """Every distance that some channel has for a kind."""
        return {after for each in self._all(kind) if (after := each.after) is not None}

    def _all(self, kind: VisitKind) -> list[Kind]:
        return [self.kind(kind, channel) for channel in ("", *self.channels)]
