"""When a notice may leave, who gets it while somebody is away, and when it is tried again (P-10, P-11, NTC-10)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from aftersales.rules import clocks, deliveries, ladders
from aftersales.rules.deliveries import Item, Whom
from aftersales.terms import load

LIVE = load()
HOUSE, STAFF = LIVE.house, LIVE.staff()
SENDING = LIVE.sending.model_copy(
    update={
        "quiet": {"customer": "21:00-08:00", "logistics": "22:00-08:00", "warehouse": "12:00-13:30", "technical": None}
    }
)


def at(wall: str) -> datetime:
    """A time of the house."""
    return clocks.house_time(datetime.fromisoformat(wall), house=HOUSE)


@pytest.mark.parametrize(
    ("recipient", "moment", "leaves"),
    [
        pytest.param("department:logistics", "2026-03-14 00:10", "2026-03-14 08:00", id="P-10 a breach after midnight"),
        pytest.param("department:logistics", "2026-03-13 22:00", "2026-03-14 08:00", id="the first quiet minute"),
        pytest.param("department:logistics", "2026-03-13 21:59", None, id="a minute before"),
        pytest.param("department:logistics", "2026-03-14 07:59", "2026-03-14 08:00", id="the last quiet minute"),
        pytest.param("department:logistics", "2026-03-14 08:00", None, id="the opening itself"),
        pytest.param("department:logistics", "2026-02-28 23:00", "2026-03-01 08:00", id="P-28 over the month's end"),
        pytest.param("department:warehouse", "2026-03-13 12:30", "2026-03-13 13:30", id="hours within a day"),
        pytest.param("department:warehouse", "2026-03-13 13:30", None, id="after hours within a day"),
        pytest.param("department:technical", "2026-03-13 03:00", None, id="a department without quiet hours"),
        pytest.param("department:aftersales", "2026-03-13 03:00", None, id="a department that is not named"),
        pytest.param("staff:L01", "2026-03-13 23:00", "2026-03-14 08:00", id="staff keep their department's hours"),
        pytest.param("staff:gone", "2026-03-13 23:00", None, id="somebody who left"),
        pytest.param("customer", "2026-03-13 21:00", "2026-03-14 08:00", id="a customer in the evening"),
    ],
)
def test_p10_what_falls_into_quiet_hours_leaves_at_their_end(recipient: str, moment: str, leaves: str | None):
    found = deliveries.quiet_until(recipient, at(moment), house=HOUSE, sending=SENDING, staff=STAFF)

    assert found == (leaves and at(leaves))


@pytest.mark.parametrize(
    ("moment", "leaves"),
    [
        pytest.param("2026-03-13 20:00", "2026-03-14 10:00", id="an hour before the others'"),
        pytest.param("2026-03-14 09:59", "2026-03-14 10:00", id="two hours after the others'"),
        pytest.param("2026-03-14 10:00", None, id="its end"),
    ],
)
def test_p10_a_customers_own_hours_stand_in_the_place_of_the_common_ones(moment: str, leaves: str | None):
    found = deliveries.quiet_until("customer", at(moment), house=HOUSE, sending=SENDING, staff=STAFF, own="20:00-10:00")

    assert found == (leaves and at(leaves))


@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/New_York"])
def test_p01_quiet_hours_end_by_the_wall_clock_also_on_the_nights_it_is_put(zone: str):
    house = HOUSE.model_copy(update={"timezone": zone})
    for night in ("2026-03-08", "2026-03-29", "2026-10-25", "2026-11-01"):
        moment = clocks.house_time(datetime.fromisoformat(f"{night} 00:30"), house=house)
        found = deliveries.quiet_until("department:logistics", moment, house=house, sending=SENDING, staff=STAFF)
        assert found is not None and clocks.in_house(found, house=house).strftime("%H:%M") == "08:00"


@pytest.mark.parametrize(
    ("minute", "leaves"),
    [
        pytest.param("05:29", "05:30", id="before the first end"),
        pytest.param("05:30", None, id="at the first end"),
        pytest.param("06:00", "06:30", id="when the clock has been put back"),
        pytest.param("06:29", "06:30", id="before the second end"),
        pytest.param("06:30", None, id="at the second end"),
    ],
)
def test_p01_quiet_hours_whose_end_comes_twice_end_after_every_moment_within(minute: str, leaves: str | None):
    house = HOUSE.model_copy(update={"timezone": "America/New_York"})
    sending = SENDING.model_copy(update={"quiet": {"logistics": "21:00-01:30"}})
    moment = datetime.fromisoformat(f"2025-11-02T{minute}Z")

    found = deliveries.quiet_until("department:logistics", moment, house=house, sending=sending, staff=STAFF)

    assert (found and found.astimezone(UTC)) == (leaves and datetime.fromisoformat(f"2025-11-02T{leaves}Z"))


@pytest.mark.parametrize(
    ("recipient", "away", "expected"),
    [
        pytest.param("staff:L02", {}, Whom("staff:L02"), id="nobody is away"),
        pytest.param("staff:L02", {"L02": "W02"}, Whom("staff:W02", "L02 孙磊不在，由W02 郑凯代收"), id="the stand-in"),
        pytest.param(
            "staff:L02", {"L02": ""}, Whom("staff:L01", "L02 孙磊不在，由L01 赵强代收"), id="no stand-in: the head"
        ),
        pytest.param(
            "staff:L02",
            {"L02": "W02", "W02": ""},
            Whom("staff:L01", "L02 孙磊不在，由L01 赵强代收"),
            id="stand-in away too",
        ),
        pytest.param(
            "staff:L01", {"L01": ""}, Whom("staff:A01", "L01 赵强不在，由A01 何静代收"), id="the head: the manager"
        ),
        pytest.param(
            "staff:L01",
            {"L01": "L02", "L02": "L01"},
            Whom("staff:A01", "L01 赵强不在，由A01 何静代收"),
            id="two who stand in for each other",
        ),
        pytest.param(
            "staff:A01",
            {"A01": ""},
            Whom("department:aftersales", "A01 何静不在，发给售后服务部"),
            id="the manager: the department",
        ),
        pytest.param(
            "staff:L02",
            {"L02": "", "L01": "", "A01": ""},
            Whom("department:logistics", "L02 孙磊不在，发给物流与配送部"),
            id="P-11 all are away: the department",
        ),
        pytest.param(
            "department:logistics", {"L01": ""}, Whom("department:logistics"), id="a department is never away"
        ),
        pytest.param("customer", {"L01": ""}, Whom("customer"), id="nor is a customer"),
    ],
)
def test_p11_whoever_stands_in_gets_it_and_it_is_said(recipient: str, away: dict[str, str], expected: Whom):
    assert deliveries.whom(recipient, away=away, house=HOUSE, staff=STAFF) == expected


@pytest.mark.parametrize(
    ("recipient", "above"),
    [
        pytest.param("department:logistics", "staff:L01", id="a department: its head"),
        pytest.param("staff:L02", "staff:L01", id="staff: the head"),
        pytest.param("staff:L01", "staff:A01", id="the head: the manager"),
        pytest.param("staff:A01", "", id="above the manager there is nobody"),
        pytest.param("customer", "department:customer_service", id="a customer: whoever speaks with customers"),
    ],
)
def test_p11_what_reaches_nobody_is_told_to_the_next_level(recipient: str, above: str):
    assert deliveries.above(recipient, house=HOUSE, staff=STAFF, owner="customer_service") == above


def test_the_distance_doubles_up_to_its_bound_and_ends_with_the_last_try():
    first = now = at("2026-03-13 10:00")
    waits, tries = [], 1
    while (again := deliveries.try_again_at(now, tries=tries, first_at=first, sending=LIVE.sending)) is not None:
        waits.append((again - now) // timedelta(minutes=1))
        now, tries = again, tries + 1

    assert waits == [1, 2, 4, 8, 16, 32, 60, 60, 60, 60, 57]
    assert now == first + timedelta(hours=6)


def test_what_a_resting_address_keeps_waiting_is_looked_at_ever_less_often():
    first = now = at("2026-03-13 10:00")
    looks = 0
    while (again := deliveries.rested_at(now, first_at=first, sending=LIVE.sending)) is not None:
        assert again > now
        now, looks = again, looks + 1

    assert now == first + timedelta(hours=6) and looks <= 13


def test_a_digest_names_each_and_is_bounded():
    subject, body = deliveries.digest([Item(f"已超时：RT-{n}") for n in range(60)])

    assert subject == "60 项提醒"
    assert body.splitlines()[0] == "1. 已超时：RT-0" and body.splitlines()[-1] == "…… 另有 10 项，请在看板中查看。"


LATE_ITEM = Item(
    "超时升级：RT-1 退款",
    due="3月19日（周三）24:00",
    late="已超时 4 天",
    missed="3月20日（周四）24:00 通知部门负责人",
    link="https://desk.example.com/1?a=1&b=2",
)
TYPED_ITEM = Item("RT-2 提醒", text="客户写道：\n<b>急</b> & 快")


def test_p13_a_digest_tells_by_when_how_late_and_what_was_missed():
    _, body = deliveries.digest([LATE_ITEM, TYPED_ITEM])

    assert body.splitlines() == [
        "1. 超时升级：RT-1 退款，截止 3月19日（周三）24:00，已超时 4 天",
        "   此前没有及时发出的：3月20日（周四）24:00 通知部门负责人",
        "   https://desk.example.com/1?a=1&b=2",
        "2. RT-2 提醒",
        "   客户写道： <b>急</b> & 快",
    ]


def test_p13_a_digest_is_a_table_where_one_is_shown_and_what_people_typed_is_no_markup():
    page = deliveries.digest_page([LATE_ITEM, TYPED_ITEM], above="请办理 <1>", below="通知编号：7")

    assert page.startswith("<p>请办理 &lt;1&gt;</p>\n<table") and page.endswith("<p>通知编号：7</p>")
    assert (
        '<td>1</td><td><a href="https://desk.example.com/1?a=1&amp;b=2">超时升级：RT-1 退款</a></td>'
        "<td>3月19日（周三）24:00</td><td>已超时 4 天</td><td>3月20日（周四）24:00 通知部门负责人</td>"
    ) in page
    assert "<td>RT-2 提醒<br>客户写道： &lt;b&gt;急&lt;/b&gt; &amp; 快</td>" in page
    many = deliveries.digest_page([TYPED_ITEM] * 60, above="", below="")
    assert many.count("<tr>") == 51 and "<p>…… 另有 10 项，请在看板中查看。</p>" in many


def test_a_text_that_is_long_is_cut_in_a_digest():
    assert len(Item("", text="长" * 999).line) < 210


@pytest.mark.parametrize("most", [100, 2048])
def test_a_long_text_is_cut_within_the_bytes_of_a_channel(most: int):
    cut = deliveries.fitted("\n".join(["一二三四五六七八九十"] * 200), most)

    assert len(cut.encode()) <= most and cut.endswith("（太长，其余请在系统中查看）")
    assert deliveries.fitted("短", most) == "短"


def test_p11_above_two_heads_who_work_in_each_others_department_stands_the_manager():
    departments = {
        **HOUSE.departments,
        "logistics": HOUSE.departments["logistics"].model_copy(update={"head": "W01"}),
        "warehouse": HOUSE.departments["warehouse"].model_copy(update={"head": "L01"}),
    }
    crossed = HOUSE.model_copy(update={"departments": departments})

    assert deliveries.above("staff:W01", house=crossed, staff=STAFF, owner="customer_service") == "staff:A01"
    away = {"W01": "", "L01": ""}
    assert deliveries.whom("staff:W01", away=away, house=crossed, staff=STAFF).recipient == "staff:A01"


OPEN, LATE, ENDED = (
    {"ended_at": ended, "due_at": at(due)}
    for ended, due in (
        (None, "2026-03-14 00:00"),
        (None, "2026-03-13 00:00"),
        (at("2026-03-13 09:00"), "2026-03-13 00:00"),
    )
)


@pytest.mark.parametrize(
    ("notice", "entry", "promise", "why"),
    [
        pytest.param("NTC-10", "refund-0.breach", LATE, "", id="a breach that lasts"),
        pytest.param("NTC-10", "refund-0.breach", ENDED, deliveries.DONE, id="P-12 done in between"),
        pytest.param("NTC-10", "refund-0.breach", OPEN, deliveries.MOVED, id="GEN-08 more time in between"),
        pytest.param("NTC-10", "refund-0.breach", None, deliveries.DONE, id="a promise that there is not"),
        pytest.param("ESC-05", "refund-0.reminder", OPEN, "", id="ESC-05 a reminder in time"),
        pytest.param("ESC-05", "refund-0.reminder", LATE, ladders.OVERTAKEN, id="ESC-05 a reminder that was overtaken"),
        pytest.param(
            "NTC-15", "refund-0.head.undelivered", ENDED, deliveries.DONE, id="what did not arrive, and is done"
        ),
        pytest.param("NTC-04", "pickup-0.reminder-1", ENDED, deliveries.DONE, id="AMB-52 the goods were sent"),
        pytest.param("NTC-04", "pickup-0.reminder", LATE, "", id="AMB-52 the goods were not sent"),
        pytest.param("NTC-07", "refunded-0", None, "", id="what was done stays true"),
    ],
)
def test_p12_what_has_lost_its_point_is_not_told(notice: str, entry: str, promise: object, why: str):
    found = deliveries.pointless(notice, entry, promise, at=at("2026-03-13 10:00"), escalation=LIVE.escalation)

    assert found == why
