"""Who gets what nobody has taken: evenly, and the same one whoever asks (RET-01)."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime

from aftersales.words import Staff

NEVER = datetime.min.replace(tzinfo=UTC)


def first_contact(
    *, staff: Sequence[Staff], away: Collection[str], given: Mapping[str, tuple[int, datetime | None]]
) -> Staff | None:
    """
    Choose the first-contact owner of an application that no member of staff typed (RET-01, RET-02).

    `given` says how many each was given today and when the last one: who was given fewest comes first, then who has
    waited longest, then the lower number. When everybody is away it is one of them all the same: what they are told
    goes to whoever stands in (P-11). None when there is nobody.
    """
    here = [person for person in staff if person.id not in away] or list(staff)

    def turn(person: Staff) -> tuple[int, datetime, str]:
        count, last = given.get(person.id, (0, None))
        return count, last or NEVER, person.id

    return min(here, key=turn, default=None)


def fewest(there: Collection[str], loads: Mapping[str, int]) -> str:
    """Choose who has the fewest, then the lower number (FUP-10)."""
    return min(there, key=lambda each: (loads.get(each, 0), each))
