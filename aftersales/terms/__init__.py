"""
The shape of `config/*.yaml`, and the only code that reads it (GEN-07).

Strict models: unknown keys, bare numbers and wrong units fail.
`load` finds every mistake in every file at once; each is one sentence with file, line, key and what to write instead.
A case keeps the terms it was opened under, found again by the hash of their content (`fingerprint`).
"""

from aftersales.terms.documents import Mistake, TermsError
from aftersales.terms.followup import Followup
from aftersales.terms.judging import dump, fingerprint, restore
from aftersales.terms.models import (
    CLIMBING,
    WAITING,
    Allowance,
    Calendar,
    ChannelRules,
    Department,
    English,
    Escalation,
    House,
    Notice,
    Notices,
    Person,
    Photos,
    Reason,
    Reminder,
    Returns,
    Rung,
    SelfService,
    Sending,
    StaffList,
    Terms,
)
from aftersales.terms.reading import CONFIG, FILES, load, read
from aftersales.terms.survey import Survey
from aftersales.terms.values import Promised, Strict, Text, minutes, opening_hours, quiet_hours

__all__ = [
    "CLIMBING",
    "CONFIG",
    "FILES",
    "WAITING",
    "Allowance",
    "Calendar",
    "ChannelRules",
    "Department",
    "English",
    "Escalation",
    "Followup",
    "House",
    "Mistake",
    "Notice",
    "Notices",
    "Person",
    "Photos",
    "Promised",
    "Reason",
    "Reminder",
    "Returns",
    "Rung",
    "SelfService",
    "Sending",
    "StaffList",
    "Strict",
    "Survey",
    "Terms",
    "TermsError",
    "Text",
    "dump",
    "fingerprint",
    "load",
    "minutes",
    "opening_hours",
    "quiet_hours",
    "read",
    "restore",
]
