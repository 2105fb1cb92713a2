"""Who looks after an application that no member of staff typed: evenly, and the same one whoever asks (RET-01)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from aftersales.rules import assignment
from aftersales.words import Staff

NINE = datetime(2026, 11, 27, 9, tzinfo=UTC)
TEN = NINE + timedelta(hours=1)
YESTERDAY = NINE - timedelta(days=1)
TEAM = [Staff(name, name, "customer_service", "") for name in ("C01", "C02", "C07")]


@pytest.mark.parametrize(
    ("away", "given", "chosen"),
    [
        pytest.param([], {}, "C01", id="on the first day the lowest number begins"),
        pytest.param([], {"C01": (1, NINE)}, "C02", id="whoever was given none comes before whoever was given one"),
        pytest.param([], {"C01": (2, TEN), "C02": (1, NINE), "C07": (2, NINE)}, "C02", id="the fewest today come first"),
        pytest.param([], {"C01": (1, TEN), "C02": (1, NINE), "C07": (1, TEN)}, "C02", id="of equals, who has waited longest"),
        pytest.param([], {"C01": (0, NINE), "C02": (0, YESTERDAY), "C07": (0, NINE)}, "C02", id="yesterday's last one waits longest"),
        pytest.param([], {"C01": (0, YESTERDAY)}, "C02", id="whoever was never given one has waited longest"),
        pytest.param([], {"C01": (1, NINE), "C02": (1, NINE), "C07": (1, NINE)}, "C01", id="of those alike, the lowest number"),
        pytest.param(["C01"], {}, "C02", id="whoever is away is given none"),
        pytest.param(["C01", "C02"], {"C07": (9, TEN)}, "C07", id="the only one who is there is given every one"),
        pytest.param(["C01", "C02", "C07"], {"C01": (1, NINE)}, "C02", id="when all are away, those who stand in are told"),
    ],
)  # fmt: skip
def test_ret01_an_application_is_given_evenly(away, given, chosen):
    found = assignment.first_contact(staff=TEAM, away=away, given=given)

    assert found is not None
    assert found.id == chosen


def test_a_house_without_anybody_gives_it_to_nobody():
    assert assignment.first_contact(staff=[], away=[], given={}) is None
