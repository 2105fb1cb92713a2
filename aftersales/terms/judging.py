"""The terms that a case keeps: what it is judged by, under the hash of its content (GEN-07)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

from aftersales.terms.followup import Followup
from aftersales.terms.models import House, Returns, Terms

# who works here and in which language we speak does not change how a case is judged
NOT_JUDGING = {"language", "departments", "aftersales_manager"}
# when the night's round runs and whom it leaves out is decided night by night, not in a case
OF_THE_ROUND = {"at", "contacts_a_month", "too_late"}


def dump(terms: Terms) -> dict[str, Any]:
    """
    Give the part of the terms that a case is judged by, as JSON: the house's rules, returns and visits (GEN-07).

    Staff, departments and language are left out: a case opened last week is decided by today's people.
    Calendars are left out too: when a year's data arrives, provisional due times are counted again.
    """
    return {
        "house": terms.house.model_dump(mode="json", exclude=NOT_JUDGING),
        "returns": terms.returns.model_dump(mode="json"),
        "followup": terms.followup.model_dump(mode="json", exclude=OF_THE_ROUND),
    }


def fingerprint(terms: Terms) -> str:
    """Tell the version of the terms: the SHA-256 of what `dump` gives, as canonical JSON (GEN-07)."""
    return sha256(
        json.dumps(dump(terms), sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode()
    ).hexdigest()


def restore(document: Mapping[str, Any], *, live: Terms) -> Terms:
    """
    Read stored terms again: the rules of then, with the people, language and calendars of now (GEN-07).

    A key or stage that did not exist when the document was stored has today's value, one that no longer exists is
    left out, so that a release that adds or drops a term does not brick the cases opened before it; documents of old
    releases hold nothing of `followup.yaml`.
    """
    house = live.house.model_dump(mode="json")
    return Terms(
        house=House.model_validate(house | {k: v for k, v in document["house"].items() if k in house}),
        staff_list=live.staff_list,
        returns=Returns.model_validate(_of_then(live.returns, document["returns"])),
        calendars=live.calendars,
        notices=live.notices,
        sending=live.sending,
        escalation=live.escalation,
        followup=Followup.model_validate(_of_then(live.followup, document.get("followup", {}))),
        survey=live.survey,
        selfservice=live.selfservice,
    )


def _of_then(live: Returns | Followup, stored: Mapping[str, Any]) -> dict[str, Any]:
    """Lay what was stored over today's terms, stage by stage."""
    today = live.model_dump(mode="json")
    then = {key: value for key, value in stored.items() if key in today}
    stages = {name: stage for name, stage in then.pop("stages", {}).items() if name in today["stages"]}
    return today | then | {"stages": today["stages"] | stages}
