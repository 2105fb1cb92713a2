"""The shipped calendars agree, day by day, with what chinesecalendar answers when it is asked (GEN-02, AMB-11)."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import chinese_calendar
import pytest

from aftersales import calendars, terms
from aftersales.rules import clocks

FOUND = terms.load(Path(__file__).parents[2] / "config")


@pytest.mark.parametrize("year", calendars.known_years())
def test_a_year_agrees_day_by_day(year):
    makeup_days_count = FOUND.house.model_copy(update={"makeup_days_count": True})
    days = [date(year, 1, 1) + timedelta(days=n) for n in range(366)]

    differing = [
        on
        for on in days
        if on.year == year
        and chinese_calendar.is_workday(on)
        == bool(clocks.why_off(on, calendars=FOUND.calendars, house=makeup_days_count))
    ]

    assert differing == []


@pytest.mark.parametrize("year", calendars.known_years())
def test_the_names_are_chinese(year):
    calendar = FOUND.calendars[year]

    names = {*calendar.days_off.values(), *calendar.makeup_workdays.values()}

    assert {"元旦", "春节", "劳动节", "国庆节"} <= names
    assert all(name.endswith(("节", "元旦", "纪念日")) for name in names)
