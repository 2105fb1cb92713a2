"""A second revisit, from a dissatisfied answer to a customer who is heard (SVY-05, FUP-04, FUP-12, AMB-40)."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from aftersales import clock
from aftersales.desk import leg as legs
from aftersales.rules import clocks, pages
from aftersales.store import cases
from aftersales.store.engine import transaction
from aftersales.words import Event, Stage
from tasks import audits, desks, escalation, gates, outside, revisits
from tasks import cases as opening
from tasks.cases import current_terms
from tests.stories.conftest import Shop, Telling
from tests.stories.on_the_way import put_forward
from tests.stories.test_returns import to_refund

ANSWERS = [("问题解决得满意吗", "不满意"), ("还想说的", "电话 13812345678 打不通")]


async def closed(shop: Shop, *, reviewer: str = "C08") -> Telling:
    """A return whose refund is paid."""
    await shop.order()
    telling = await to_refund(await shop.tell(shop.application()), reviewer=reviewer)
    return await telling.decide("refund", "A02", amount="188.00", reference="ALI-2026-0001")


async def opened(about: Telling) -> Telling:
    """The second revisit of a case, as its answer opens it, told up to its first gate."""
    async with transaction() as connection:
        case = await cases.read(connection, about.case_no)
        assert case is not None
        revisit_no = await revisits.open_revisit(
            connection, case, terms=current_terms(), answers=ANSWERS, at=clock.now()
        )
    return await Telling({}, uuid4(), story="revisit", case_no=revisit_no).again()


async def test_svy05_a_senior_agent_hears_who_was_dissatisfied(shop: Shop):
    about = await closed(shop)

    telling = await opened(about)
    assert telling.at == "revisit-0"
    assert (await telling.case()).stage is Stage.REVISIT
    [promise] = await telling.rows("promises", "started_at, due_at, owner, rule")
    assert (promise.due_at - promise.started_at, promise.owner, promise.rule) == (
        timedelta(hours=24), "customer_service", "SVY-05",
    )  # fmt: skip
    await telling.decide("revisit", "C02", result="satisfied", note="已说明，客户满意")

    assert telling.result == telling.case_no
    assert (await telling.case()).stage is Stage.CLOSED
    assert not await telling.rows("promises", "*", "and ended_at is null")
    told = (await about.journal())["revisit-0"]
    assert told.data["revisit_no"] == telling.case_no


async def told_at_once(telling: Telling) -> list[Any]:
    """What the department was told of a second revisit."""
    return await telling.rows("outbox", "entry, recipient, body, state, reason", "and notice = 'DESK' order by id")


async def test_ntc20_the_department_is_told_of_a_second_revisit_when_it_is_opened_once(shop: Shop):
    about = await closed(shop)

    telling = await opened(about)
    await opened(about)

    [told] = await told_at_once(telling)
    assert (told.entry, told.recipient, told.state) == ("revisit-0.opened", "department:customer_service", "queued")
    [promise] = await telling.rows("promises", "due_at")
    due = clocks.spoken(promise.due_at, house=current_terms().house)
    assert told.body == (
        f"售后单 {about.case_no} 的客户评价不满意，已建立二次回访 {telling.case_no}："
        f"请有“二次回访”权限的员工在 {due} 前给客户打电话。"
    )


async def test_p12_nobody_is_told_of_a_second_revisit_that_was_made_before_that_was_sent(shop: Shop):
    telling = await opened(await closed(shop))

    await telling.decide("revisit", "C02", result="unreached", note="无人接听")

    [told] = await told_at_once(telling)
    assert (told.state, told.reason) == ("withdrawn", "已办理，不用再通知")
    assert (await telling.journal())["revisit-0.opened.department:customer_service.withdrawn"].kind == "delivery"


async def test_amb40_who_stays_dissatisfied_goes_to_the_supervisor_once(shop: Shop):
    telling = await opened(await closed(shop))

    await telling.decide("revisit", "C02", result="dissatisfied", note="仍不认可", plan="赠券")
    assert telling.at == "supervisor-0"
    await telling.decide("supervisor", "C01", result="dissatisfied", note="不接受赠券", plan="书面致歉")

    assert telling.result == telling.case_no
    assert await decided(telling) == [("revisit-0", "C02"), ("supervisor-0", "C01")]


async def test_fup12_who_is_not_reached_three_times_is_called_no_more(shop: Shop):
    telling = await opened(await closed(shop))

    for tried in range(3):
        assert telling.at == f"revisit-{tried}"
        await telling.decide("revisit", "C02", result="unreached", note="无人接听")
        assert (await telling.again()).at == telling.at  # told again, it stands where it stood

    assert telling.result == telling.case_no
    assert (await telling.case()).stage is Stage.CLOSED


async def test_fup12_each_call_in_vain_gives_another_day(shop: Shop, monkeypatch: pytest.MonkeyPatch):
    telling = await opened(await closed(shop))
    put_forward(monkeypatch, hours=20)

    await telling.decide("revisit", "C02", result="unreached", note="无人接听")

    *_, second = await telling.rows("promises", "due_at", "order by id")
    assert timedelta(hours=23, minutes=59) < second.due_at - clock.now() <= timedelta(hours=24)


async def test_gen07_fewer_calls_from_today_on_take_none_from_who_is_being_called(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
):
    telling = await opened(await closed(shop))
    await telling.decide("revisit", "C02", result="unreached", note="无人接听")
    assert telling.at == "revisit-1"
    live = current_terms()
    changed = live.model_copy(update={"followup": live.followup.model_copy(update={"tries": 1})})
    monkeypatch.setattr(opening, "current_terms", lambda: changed)

    assert (await telling.again()).at == "revisit-1"
    await telling.decide("revisit", "C02", result="satisfied", note="已说明")

    assert (await decided(telling))[-1] == ("revisit-1", "C02")


async def test_gen07_how_often_somebody_is_called_stays_what_it_was(shop: Shop, monkeypatch: pytest.MonkeyPatch):
    telling = await opened(await closed(shop))
    await telling.decide("revisit", "C02", result="unreached", note="无人接听")
    await telling.decide("revisit", "C02", result="dissatisfied", note="仍不认可", plan="赠券")
    live = current_terms()
    other = live.model_copy(update={"followup": live.followup.model_copy(update={"tries": 1})})
    monkeypatch.setattr("tasks.cases.current_terms", lambda: other)

    await telling.again()

    assert (telling.at, (await telling.case()).stage) == ("supervisor-0", Stage.SUPERVISOR)


async def test_a_case_has_one_second_revisit(shop: Shop):
    about = await closed(shop)

    first, second = await opened(about), await opened(about)

    assert first.case_no == second.case_no
    assert first.case_no.startswith("HF-")


async def test_kpi41_who_worked_on_a_case_does_not_hear_its_customer_out(shop: Shop):
    telling = await opened(await closed(shop, reviewer="C02"))

    with pytest.raises(gates.Refused, match="C02 刘洋 办理过这次售后，不能登记自己的满意度，请换一位"):
        await telling.decide("revisit", "C02", result="satisfied", note="满意")
    await telling.decide("revisit", "C01", result="satisfied", note="满意")

    assert await decided(telling) == [("revisit-0", "C01")]


@pytest.mark.parametrize("others", [True, False], ids=["another supervisor is there", "nobody else may"])
async def test_amb40_the_supervisor_is_somebody_else_than_who_called_first(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, others: bool
):
    live = current_terms()
    staff = [
        person.model_copy(update={"rights": [*person.rights, "supervise"]}) if person.id == "C08" and others else person
        for person in live.staff_list.staff
    ]
    changed = live.model_copy(update={"staff_list": live.staff_list.model_copy(update={"staff": staff})})
    monkeypatch.setattr(opening, "current_terms", lambda: changed)
    telling = await opened(await closed(shop, reviewer="C02"))
    await telling.decide("revisit", "C01", result="dissatisfied", note="仍不认可", plan="赠券")

    heard = telling.decide("supervisor", "C01", result="satisfied", note="满意")
    if others:
        with pytest.raises(gates.Refused, match="C01 周敏 办理过这次售后"):
            await heard
    else:
        await heard
        assert (await decided(telling))[-1] == ("supervisor-0", "C01")


@pytest.mark.parametrize(
    ("operator", "answer", "sentence"),
    [
        pytest.param("C07", {"result": "satisfied", "note": "满意"}, "没有“二次回访”权限", id="no senior agent"),
        pytest.param("W03", {"result": "satisfied", "note": "满意"}, "不属于客户服务部", id="another department"),
        pytest.param("C02", {"result": "dissatisfied", "note": "不满"}, "新的处理方案：必填", id="no new plan"),
        pytest.param("C02", {"result": "satisfied"}, "客户怎么说：必填", id="nothing was said"),
        pytest.param("C02", {"note": "满意"}, "回访结果：必填", id="no result"),
    ],
)
async def test_what_is_no_answer_is_refused_and_changes_nothing(
    shop: Shop, operator: str, answer: dict[str, Any], sentence: str
):
    telling = await opened(await closed(shop))

    with pytest.raises(Exception, match=sentence):
        await telling.decide("revisit", operator, **answer)

    assert (await telling.again()).at == "revisit-0"


async def test_nothing_of_a_return_is_told_to_a_second_revisit(shop: Shop):
    telling = await opened(await closed(shop))

    with pytest.raises(gates.Refused, match="是二次回访单，不接收“已取消”"):
        await outside.signal(telling.case_no, Event.CASE_CANCELLED, actor="", data={"reason": "不要了"}, staff="C01")


async def test_gen10_what_the_customer_wrote_is_masked_where_staff_and_auditors_read_it(shop: Shop):
    telling = await opened(await closed(shop))

    begun = (await telling.journal())["begun"]

    assert "13812345678" not in str(begun.data)
    assert begun.data["answers"][0] == ["问题解决得满意吗", "不满意"]


async def test_esc10_a_second_revisit_that_is_late_reaches_the_department_then_its_head(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
):
    telling = await opened(await closed(shop))
    put_forward(monkeypatch, days=9)

    await escalation.look()

    told = {
        row.recipient: row.notice
        for row in await telling.rows("outbox", "recipient, notice", "and state = 'queued' and notice <> 'DESK'")
    }
    assert told == {"department:customer_service": "NTC-10", "staff:C01": "NTC-15"}


async def test_the_page_above_the_form_tells_what_the_customer_said(shop: Shop):
    about = await closed(shop)
    telling = await opened(about)
    shown: dict[str, str] = {}

    async def wait(self: Any, entry: str, schema: Any, summary: str, answered: Any) -> None:
        shown[entry] = summary
        raise legs.Waiting(self.case_no, entry)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("aftersales.desk.bare.Bare.wait", wait)
        await telling.again()

    page = shown["revisit-0"]
    assert f"## {telling.case_no} 待二次回访（客户服务部）" in page
    assert about.case_no in page.replace("\\", "")
    assert "问题解决得满意吗：不满意" in page
    assert "10212345678" not in page
    assert "138\\*\\*\\*\\*5678" in page


async def test_aud02_its_window_is_audited_like_any_other(shop: Shop):
    telling = await opened(await closed(shop))
    await telling.decide("revisit", "C02", result="satisfied", note="满意")

    entries = (await telling.journal()).values()
    words = desks.reader(current_terms())

    timeline = pages.timeline_page(telling.case_no, entries, words)
    assert "开始二次回访" in timeline
    assert "客户满意：满意" in timeline
    assert not (await audits.verify()).findings


async def decided(telling: Telling) -> list[tuple[str, str]]:
    """Who decided at which gate, in order."""
    entries = sorted((await telling.journal()).values(), key=lambda entry: entry.seq)
    return [(entry.entry, entry.actor) for entry in entries if entry.kind == "decision"]
