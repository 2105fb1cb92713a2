"""The terms that a case keeps: what it is judged by, under the hash of its content (GEN-07)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

from aftersales.terms.models import House, Returns, Terms

# who works here and in which language we speak does not change how a case is judged
NOT_JUDGING = {"language", "departments", "aftersales_manager"}


# of the round's own rules a case keeps only what its story asks for
KEPT_OF_FOLLOWUP = ("tries",)


def dump(terms: Terms) -> dict[str, Any]:
    """
    Give the part of the terms that a case is judged by, as JSON: the house's rules, `returns.yaml`, the tries of
    `followup.yaml` (GEN-07).

    Staff, departments and language are left out: a case opened last week is decided by today's people.
    Calendars are left out too: when a year's data arrives, provisional due times are counted again.
    """
    return {
        "house": terms.house.model_dump(mode="json", exclude=NOT_JUDGING),
        "returns": terms.returns.model_dump(mode="json"),
        # how often a second revisit calls again decides how its story goes on (FUP-12)
        "followup": {name: getattr(terms.followup, name) for name in KEPT_OF_FOLLOWUP},
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
    left out, so that a release that adds or drops a term does not brick the cases opened before it.
    """
    house = live.house.model_dump(mode="json")
    returns = live.returns.model_dump(mode="json")
    stored = {k: v for k, v in document["returns"].items() if k in returns}
    stored["stages"] = returns["stages"] | {k: v for k, v in stored["stages"].items() if k in returns["stages"]}
    return Terms(
        house=House.model_validate(house | {k: v for k, v in document["house"].items() if k in house}),
        staff_list=live.staff_list,
        returns=Returns.model_validate(returns | stored),
        calendars=live.calendars,
        notices=live.notices,
        sending=live.sending,
        escalation=live.escalation,
        followup=live.followup.model_copy(
            update={k: v for k, v in document.get("followup", {}).items() if k in KEPT_OF_FOLLOWUP}
        ),
        survey=live.survey,
        selfservice=live.selfservice,
    )
