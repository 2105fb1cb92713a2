"""`aftersales notify`, `away` and `audit notices`: channels are tried out, people stand in, and it can be read who was told."""

from __future__ import annotations

import csv
import io
import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from aftersales import clock
from aftersales.store import outbox
from aftersales.store.engine import transaction
from tasks import escalation, sending
from tests.gateways.receivers import Receiver
from tests.stories.conftest import Shop
from tests.stories.notifying import LIVE, known
from tests.stories.test_escalation import at_refund, time
from tests.stories.test_rehearsal import rehearse

__all__ = ["time"]


@pytest.fixture
def channels(monkeypatch: pytest.MonkeyPatch, receiver: Receiver) -> Receiver:
    """The after-sales department and its head, each at an address of their own."""
    both = known(departments={"aftersales": [receiver.url("a")]}, staff={"A01": [receiver.url("head")]})
    monkeypatch.setattr(sending, "_known", both)
    monkeypatch.setattr(sending, "_has_begun", False)
    return receiver


# --- notify ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("whom", ["aftersales", "售后服务部", "A01", "A02"])
async def test_a_test_message_really_arrives(aftersales: Any, channels: Receiver, whom: str):
    told = await aftersales("notify", "test", whom)

    assert told.code == 0 and "已送达" in told.out
    (text,) = channels.texts()
    assert "这是一条试验消息" in text and ("（致许诺）" in text) == (whom == "A02")


async def test_a_test_message_that_fails_says_why_and_ends_with_1(aftersales: Any, channels: Receiver):
    channels.answers["/a"] = (200, b'{"errcode": 0}')
    channels.answers["/a"] = (404, b"")

    told = await aftersales("notify", "test", "aftersales")

    assert told.code == 1 and "HTTP 404" in told.out and "1 个渠道中有 1 个没有送达" in told.err
    assert channels.base not in told.out + told.err, "the address is a secret"


async def test_addresses_of_one_kind_are_told_apart(aftersales: Any, channels: Receiver, monkeypatch: Any):
    two = known(departments={"aftersales": [channels.url("a"), channels.url("b")]})
    monkeypatch.setattr(sending, "_known", two)
    channels.answers["/b"] = (404, b"")

    told = await aftersales("notify", "test", "aftersales")

    lines = told.out.splitlines()
    assert any("json 1" in line and "已送达" in line for line in lines)
    assert any("json 2" in line and "HTTP 404" in line for line in lines)


@pytest.mark.parametrize(
    ("whom", "sentence"),
    [
        pytest.param(
            "sales", "没有部门或员工“sales”，部门可写：customer_service（客户服务部）", id="nobody of that name"
        ),
        pytest.param("logistics", "物流与配送部还没有通知渠道，请写进 ", id="a department without channel"),
    ],
)
async def test_a_test_message_to_nobody(aftersales: Any, channels: Receiver, whom: str, sentence: str):
    told = await aftersales("notify", "test", whom)

    assert told.code == 1 and told.err.startswith(sentence) and channels.received == []


async def test_what_waits_is_listed_with_its_reason_and_can_be_sent_now(
    shop: Shop,
    time: Any,
    aftersales: Any,
    channels: Receiver,
):
    telling = await at_refund(shop, time)
    await escalation.look(at=time("2025-03-20 09:00"))
    channels.answers["/a"] = (500, b"")
    await sending.look(sending.known_channels())

    waiting = json.loads((await aftersales("notify", "list", "--json")).out)
    (mine,) = [row for row in waiting["notices"] if row["to"] == "售后服务部"]
    assert (mine["case_no"], mine["tries"], mine["reason"]) == (telling.case_no, 1, "对方回复 HTTP 500")
    assert mine["next"] == "3月20日（周四）09:01"
    shown = await aftersales("notify", "list")
    assert waiting["total"] == 1 and "对方回复 HTTP 500" in shown.out and telling.case_no in shown.out
    assert "试过" in shown.out and "1 次" in shown.out

    channels.answers.clear()
    time("2025-03-20 09:01")
    sent = await aftersales("notify", "send")
    assert "送达 1 条" in sent.out and len(channels.texts("a")) == 2


async def test_what_is_being_sent_and_what_is_not_begun_say_so(
    shop: Shop, time: Any, aftersales: Any, channels: Receiver
):
    telling = await at_refund(shop, time)
    await escalation.look(at=time("2025-03-20 09:00"))
    before = json.loads((await aftersales("notify", "list", "--json")).out)["notices"]
    (breach,) = await telling.rows("outbox", "id", "and entry = 'refund-0.breach'")
    async with transaction() as connection:
        await outbox.keep(
            connection, breach.id, "mark", channel="json", told="department:aftersales", state="sending", tries=2
        )

    meanwhile = json.loads((await aftersales("notify", "list", "--json")).out)["notices"]

    assert {row["reason"] for row in before} == {"等待发送"}
    (mine,) = [row for row in meanwhile if row["id"] == breach.id]
    assert (mine["tries"], mine["reason"]) == (2, "正在发送")


@pytest.mark.parametrize("limit", ["0", "1001", "x"])
async def test_no_such_number_of_notices(aftersales: Any, limit: str):
    left = await aftersales("notify", "list", "--limit", limit)

    assert left.code == 2 and f"“{limit}”应写成 1 到 1000 的整数" in left.err and "range" not in left.err


# --- away -----------------------------------------------------------------------------------------------------------


async def absences(on: date) -> dict[str, str]:
    """Who is away on a day."""
    async with transaction() as connection:
        return await outbox.absences(connection, on)


async def test_an_absence_counts_on_both_its_days_and_is_there_once(shop: Shop, time: Any, aftersales: Any):
    words = ("away", "L01", "2025-03-14", "2025-03-16", "--stand-in", "L02")

    told = await aftersales(*words)
    again = await aftersales(*words)

    assert told.out == "已登记：L01 赵强 2025-03-14 至 2025-03-16 不在，通知由 L02 孙磊 代收。\n"
    assert "已登记过" in again.out
    assert [bool(await absences(date(2025, 3, day))) for day in (13, 14, 16, 17)] == [False, True, True, False]
    listed = json.loads((await aftersales("away", "--json")).out)
    assert [(row["staff"], row["stand_in"]) for row in listed] == [("L01 赵强", "L02 孙磊")]

    back = await aftersales("away", "L01", "--back")
    assert "已取消 L01 赵强 登记的 1 段" in back.out and await absences(date(2025, 3, 14)) == {}
    assert "没有登记谁不在" in (await aftersales("away")).out


async def test_of_what_is_said_of_a_day_the_last_word_counts(shop: Shop, time: Any, aftersales: Any):
    """L02 stands in, then the next level, then L02 again."""
    days = ("away", "L01", "2025-03-14", "2025-03-16")
    first = await aftersales(*days, "--stand-in", "L02")
    second = await aftersales(*days)
    assert await absences(date(2025, 3, 15)) == {"L01": ""}
    third = await aftersales(*days, "--stand-in", "L02")

    assert [told.out.removeprefix("已登记：L01 赵强 2025-03-14 至 2025-03-16 不在，通知") for told in (first, second, third)] == [
        "由 L02 孙磊 代收。\n",
        "由上一级代收。原登记的 2025-03-14 至 2025-03-16 由 L02 孙磊 代收，由这次取代。\n",
        "由 L02 孙磊 代收。原登记的 2025-03-14 至 2025-03-16 由上一级代收，由这次取代。\n",
    ]  # fmt: skip
    assert await absences(date(2025, 3, 15)) == {"L01": "L02"}
    assert len(json.loads((await aftersales("away", "--json")).out)) == 1


async def test_an_absence_that_overlaps_another_says_which_one_counts(shop: Shop, time: Any, aftersales: Any):
    await aftersales("away", "L01", "2025-03-14", "2025-03-18", "--stand-in", "L02")

    within = await aftersales("away", "L01", "2025-03-15", "2025-03-16", "--stand-in", "L02")
    overlap = await aftersales("away", "L01", "2025-03-17", "2025-03-20", "--stand-in", "C01")

    assert "2025-03-15 至 2025-03-16 已登记过" in within.out
    assert "原登记的 2025-03-14 至 2025-03-18 由 L02 孙磊 代收，重叠的日子以这次为准。" in overlap.out
    counts = [(await absences(date(2025, 3, day))).get("L01") for day in (14, 16, 17, 18, 20, 21)]
    assert counts == ["L02", "L02", "C01", "C01", "C01", None]
    again = await aftersales("away", "L01", "2025-03-14", "2025-03-18", "--stand-in", "L02")
    assert "重叠的日子以这次为准" in again.out and await absences(date(2025, 3, 18)) == {"L01": "L02"}


async def test_above_the_manager_there_is_only_the_department(shop: Shop, time: Any, aftersales: Any):
    manager = await aftersales("away", LIVE.house.aftersales_manager, "2025-03-14", "2025-03-14")
    listed = json.loads((await aftersales("away", "--json")).out)

    assert manager.out.endswith("2025-03-14 不在，通知由售后服务部代收。\n")
    assert [row["stand_in"] for row in listed] == ["售后服务部"]


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        pytest.param(["X1", "2025-03-14", "2025-03-16"], 1, "员工名单中没有“X1”", id="nobody of that id"),
        pytest.param(
            ["L01", "2025-03-16", "2025-03-14"], 1, "结束日期 2025-03-14 早于开始日期", id="the wrong way round"
        ),
        pytest.param(["L01", "2025-03-10", "2025-03-12"], 1, "2025-03-12 已经过去", id="in the past"),
        pytest.param(
            ["L01", "2025-03-14", "2025-03-16", "--stand-in", "L01"], 1, "L01 赵强 不能代理自己", id="oneself"
        ),
        pytest.param(
            ["L01", "2025-03-14", "2025-03-16", "--stand-in", "X1"], 1, "员工名单中没有“X1”", id="no stand-in"
        ),
        pytest.param(["L01", "明天", "2025-03-16"], 2, "[开始日期] 的值不对：“明天”不是日期", id="no date"),
        pytest.param(["L01", "2025-03-14"], 2, "请写上开始日期和结束日期", id="no end"),
        pytest.param(["L01", "2025-03-14", "2025-03-16", "--back"], 2, "--back 取消全部登记", id="back with dates"),
        pytest.param(
            ["L01", "--back", "--stand-in", "L02"], 2, "--back 取消全部登记，不写 --stand-in", id="back with a stand-in"
        ),
        pytest.param(["--back"], 2, "请写上工号", id="nobody is back"),
    ],
)
async def test_an_absence_is_told_wrongly(
    shop: Shop,
    time: Any,
    aftersales: Any,
    words: list[str],
    code: int,
    sentence: str,
):
    left = await aftersales("away", *words)

    assert left.code == code and left.err.startswith(sentence)
    assert await absences(date(2025, 3, 14)) == {}


# --- audit ----------------------------------------------------------------------------------------------------------


async def test_aud04_who_was_told_when_by_which_channel_with_what_outcome(
    shop: Shop,
    time: Any,
    aftersales: Any,
    channels: Receiver,
    tmp_path: Path,
):
    telling = await at_refund(shop, time)
    await aftersales("away", "A01", "2025-03-21", "2025-03-21", "--stand-in", "A04")
    await escalation.look(at=time("2025-03-20 09:00"))
    await sending.look(sending.known_channels())
    await escalation.look(at=time("2025-03-21 09:00"))
    await sending.look(sending.known_channels())

    shown = json.loads((await aftersales("audit", "notices", "--case", telling.case_no, "--format", "json")).out)
    by_entry = {(row["entry"], row["to"]): row for row in shown}
    breach, head = by_entry["refund-0.breach", "售后服务部"], by_entry["refund-0.head", "A01 何静"]
    assert (breach["reached"], breach["channel"], breach["outcome"], breach["tries"]) == (
        "2025-03-20 00:00:00", "json", "已送达", "1",
    )  # fmt: skip
    assert (head["told"], head["reason"]) == ("A04 罗成", "A01 何静不在，由A04 罗成代收")
    assert by_entry["refund-0.bound", "客户"]["outcome"] == "待发"
    assert {row["outcome"] for row in shown if row["to"] == "客户"} == {"待发", "撤回"}

    file = tmp_path / "notices.csv"
    await aftersales("audit", "notices", "--department", "售后服务部", "--format", "csv", "--out", str(file))
    rows = list(csv.DictReader(io.StringIO(file.read_text("utf-8-sig"))))
    assert {row["应通知"] for row in rows} == {"售后服务部", "A01 何静"}
    table = await aftersales("audit", "notices", "--from", "2025-03-21", "--to", "2025-03-21")
    assert "超时升级" in table.out and "退款超时" not in table.out


async def test_aud04_a_rehearsals_notices_are_told_of_its_case_alone(shop: Shop, aftersales: Any):
    (played,), _ = await rehearse("main")

    of_all = ("audit", "notices", "--from", "2025-01-01", "--to", "2099-12-31")
    none = await aftersales(*of_all)
    assert (none.code, none.out) == (0, "这段时间没有记录。\n"), none.err
    of_it = ("audit", "notices", "--case", str(played.case_no), "--format", "json")
    assert json.loads((await aftersales(*of_it)).out) != []


async def test_aud04_what_went_into_a_digest_is_told_with_it(
    shop: Shop,
    time: Any,
    aftersales: Any,
    channels: Receiver,
):
    async with transaction() as connection:
        for number in range(12):
            await outbox.put(
                connection, case_no=None, entry=f"x{number}", notice="DESK", recipient="department:aftersales",
                language="zh", subject=f"提醒 {number}", body="", data={}, created_at=clock.now(), expires_at=None,
            )  # fmt: skip
    await sending.look(sending.known_channels())

    words = ("audit", "notices", "--department", "aftersales", "--format", "json")
    rows = json.loads((await aftersales(*words)).out)

    assert len(rows) == 12 and {row["outcome"] for row in rows} == {"已送达"} and len({r["digest"] for r in rows}) == 1


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        pytest.param([], 2, "请写 --case、--department 或 --from 和 --to", id="nothing said"),
        pytest.param(["--case", "RT-20250101-0001"], 1, "没有售后单 RT-20250101-0001", id="no such case"),
        pytest.param(["--department", "sales"], 1, "没有部门“sales”", id="no such department"),
        pytest.param(
            ["--from", "2025-03-02", "--to", "2025-03-01"], 2, "--from 2025-03-02 晚于", id="the wrong way round"
        ),
    ],
)
async def test_an_audit_of_notices_is_asked_wrongly(
    shop: Shop, aftersales: Any, words: list[str], code: int, sentence: str
):
    left = await aftersales("audit", "notices", *words)

    assert left.code == code and left.err.startswith(sentence)
