"""
Writes a year's calendar file from chinesecalendar, which follows the State Council's yearly notice (GEN-02, AMB-11).

The file is what counts, not the library: a person may correct it, and a case is counted by what the file says.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from importlib.metadata import version

from aftersales.words import Unable

# chinesecalendar's Chinese names leave out the 节 that people say and print
NAMES = {"清明": "清明节", "端午": "端午节", "中秋": "中秋节"}


def known_years() -> range:
    """Tell which years chinesecalendar knows."""
    from chinese_calendar.constants import holidays

    return range(min(holidays).year, max(holidays).year + 1)


def written(year: int) -> str:
    """
    Write the calendar file of a year: days off with their names, and make-up workdays with what they make up for.

    Raises Unable for a year that chinesecalendar does not know.
    """
    from chinese_calendar.constants import Holiday, holidays, workdays

    known = known_years()
    if year not in known:
        raise Unable(
            f"chinesecalendar {version('chinesecalendar')} 没有 {year} 年的放假安排（只有 {known[0]}–{known[-1]} 年），"
            f"请在放假通知公布后升级它再试，或照 config/calendars/{known[-1]}.yaml 的样子手写 {year}.yaml。"
        )

    def table(key: str, days: Mapping[date, str], note: str = "") -> list[str]:
        chosen = {on: Holiday(english).chinese for on, english in sorted(days.items()) if on.year == year}
        if not chosen:
            return [f"{key}: {{}}{note}"]
        return [f"{key}:{note}", *(f"  {on}: {NAMES.get(name, name)}" for on, name in chosen.items())]

    return "\n".join(
        [
            f"# config/calendars/{year}.yaml — days off and make-up workdays of {year}.",
            f"# Written by `aftersales calendar {year} --write`; correct it by hand where the official notice differs.",
            f"year: {year}",
            "",
            *table("days_off", holidays),
            "",
            *table(
                "makeup_workdays", workdays, "   # 调休上班: count only with makeup_days_count in house.yaml (AMB-11)"
            ),
            "",
        ]
    )
