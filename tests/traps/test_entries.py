"""The runs that open nothing, and the small deployments beside the story (design §3)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

import pytest
from prefect.client.schemas.filters import ArtifactFilter
from prefect.states import Scheduled
from sqlalchemy import text

from aftersales.cli import extend
from aftersales.desk import runs
from aftersales.store import installation, journal
from aftersales.store.engine import transaction
from aftersales.words import Event, Right, Stage, Unable
from tasks import desks, extensions, outside
from tasks.cases import current_terms
from tests import builders
from tests.traps.conftest import ARRIVALS, CANCELLATION, EXTENSION, RETURNS, Desk, Run


async def test_an_unknown_parameter_fails_with_a_sentence(staffed: Desk):
    """Prefect takes a parameter that the flow does not have; the run ends Failed and says what there is."""
    await staffed.order("D1")

    run = await staffed.start(RETURNS, staffed.request("D1"), enforce=False, requests={})

    ended = await run.ends("Failed")
    assert ended.state is not None
    assert ended.state.message == "参数 requests 不存在，可用的参数：request。"
    assert await run.case_no() == ""


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        pytest.param(lambda valid: {"order_no": valid["order_no"]}, "必填", id="fields missing"),
        pytest.param(lambda valid: "退货", "没有内容", id="no form at all"),
        pytest.param(lambda valid: None, "没有内容", id="nothing"),
        pytest.param(lambda valid: valid | {"order_no": "D9"}, "没有订单 D9", id="no such order"),
        pytest.param(lambda valid: valid | {"operator": "W03"}, "没有“提交申请”权限", id="an operator who may not"),
        pytest.param(
            lambda valid: valid | {"items": [{"sku": "SKU-1", "quantity": 5}]}, "SKU-1", id="more than was bought"
        ),
    ],
)
async def test_an_application_that_cannot_be_opened_is_turned_away_once(
    staffed: Desk, spoil: Callable[[dict[str, Any]], Any], says: str
):
    """Past the schema: the run ends Completed as 未受理 with the sentence, and telling it again adds nothing."""
    await staffed.order("D1")
    run = await staffed.start(RETURNS, spoil(staffed.request("D1")), enforce=False)

    ended = await run.ends()
    assert ended.name.startswith("退货 未受理")
    assert ended.tags == ["退货", "未受理"]
    [reason] = await refusals(run)
    assert says in reason
    assert reason in await artifacts(run)

    await staffed.client.set_flow_run_state(run.run_id, Scheduled(), force=True)
    await run.until(lambda found: bool(found.state and found.state.is_completed()), "the end")
    assert await run.legs() == 2
    assert await refusals(run) == [reason]


async def test_acopy_of_an_opened_application_is_turned_away(staffed: Desk):
    """*Copy to new run* sends the same application again: it is told the number of the first case."""
    first = await staffed.apply()
    await first.at("review-0-1")

    copy = await staffed.start(RETURNS, (await first.seen()).parameters["request"])

    assert (await copy.ends()).name == "退货 未受理 D1"
    [reason] = await refusals(copy)
    assert await first.case_no() in reason
    assert len(await first.rows("units")) == 1


async def test_an_arrival_moves_the_case_that_waits_for_it(staffed: Desk):
    """到件登记 for a case at its receipt: the case goes on to the inspection by itself."""
    run = await (await staffed.apply()).along("review", "pickup")
    await run.at("receipt-0-1")
    case_no = await run.case_no()

    arrival = await staffed.start(
        ARRIVALS,
        {
            "operator": "W02 郑凯",
            "case_no": case_no,
            "tracking_no": "SF100200300",
            "items": [{"sku": "SKU-1", "quantity": 1}],
            "rest": "全部到齐",
        },
    )

    ended = await arrival.ends()
    assert (ended.name, ended.tags) == (f"到件登记 {case_no}", ["到件登记", case_no])
    await run.at("inspection-0-1")
    assert (await run.journal())["receipt-0"].actor == "W02"


async def test_an_arrival_without_a_case_is_kept(staffed: Desk):
    """到件登记 with a parcel number alone: it is kept in the inbox, to be matched later (RET-06)."""
    arrival = await staffed.start(
        ARRIVALS,
        {
            "operator": "W02 郑凯",
            "tracking_no": "SF100200300",
            "items": [{"sku": "SKU-1", "quantity": 1}],
            "rest": "全部到齐",
        },
    )

    assert (await arrival.ends()).name == "到件登记 无主包裹"
    async with transaction() as connection:
        kept = (await connection.execute(text("select case_no, data from inbox"))).all()
    assert [(row.case_no, row.data["tracking_no"]) for row in kept] == [(None, "SF100200300")]


async def test_ret06_a_command_takes_a_matched_parcel_off_the_page(staffed: Desk):
    """What `aftersales signal` does: no leg tells of it, so the command writes the page itself."""
    run = await (await staffed.apply()).at("review-0-1")
    parcel = {"operator": "W02 郑凯", "tracking_no": "SF100200300", "items": [{"sku": "SKU-1", "quantity": 1}]}
    await (await staffed.start(ARRIVALS, parcel | {"rest": "全部到齐"})).ends()
    before = await parcel_page(run)
    data = {"tracking_no": "SF100200300"}

    await outside.signal(await run.case_no(), Event.PARCEL_RECEIVED, actor="warehouse", data=data)
    await desks.publish_parcels_from_outside()

    assert "SF100200300" in before
    assert "SF100200300" not in await parcel_page(run)


async def test_a_cancellation_ends_the_case_that_waits(staffed: Desk):
    """取消售后单 while the review is open: the case is cancelled and its units are free (RET-17)."""
    run = await staffed.apply()
    await run.at("review-0-1")

    entered = await staffed.start(
        CANCELLATION, {"operator": "C07 王小明", "case_no": await run.case_no(), "reason": "客户不退了"}
    )

    await entered.ends()
    await run.ends()
    assert (await run.case()).stage is Stage.CANCELLED
    assert {row.state for row in await run.rows("units")} == {"released"}


async def test_an_entry_for_a_case_that_is_over_says_so(staffed: Desk):
    """取消售后单 for a number nobody knows: the run ends Completed, named 未受理."""
    entered = await staffed.start(
        CANCELLATION, {"operator": "C07 王小明", "case_no": "RT-20200101-0001", "reason": "客户不退了"}
    )

    assert (await entered.ends()).name == "取消售后单 未受理"


async def test_an_entry_does_not_fail_because_its_case_is_busy(staffed: Desk, monkeypatch: pytest.MonkeyPatch):
    """A leg that outlasts the waker's patience looks into the inbox itself; what was entered is entered."""
    run = await (await staffed.apply()).along("review", "pickup")
    await run.at("receipt-0-1")

    async def busy(client: object, case_no: str, *, anew: bool = False) -> bool:
        raise Unable(f"{case_no} 正在处理中，请稍后再试。")

    monkeypatch.setattr(runs, "wake", busy)
    entered = await staffed.start(
        CANCELLATION, {"operator": "C07 王小明", "case_no": await run.case_no(), "reason": "客户不退了"}
    )

    await entered.ends()
    assert [row.event for row in await run.rows("inbox")] == ["case.cancelled"]


async def refusals(run: Run) -> list[str]:
    """The sentences of the journal of refusals about a run."""
    async with transaction() as connection:
        found = await connection.execute(text("select reason from refusals where run_id = :r"), {"r": run.run_id})
    return list(found.scalars())


async def parcel_page(run: Run) -> str:
    """What the page of parcels without a case says."""
    async with transaction() as connection:
        known = await installation.lock(connection, "page:parcel-list")
    assert known is not None
    found = await run.client.read_artifacts(
        artifact_filter=ArtifactFilter.model_validate({"id": {"any_": [known["id"]]}})
    )
    return str(found[0].data)


async def artifacts(run: Run) -> str:
    """Everything that a run's pages say."""
    found = await run.client.read_artifacts(
        artifact_filter=ArtifactFilter.model_validate({"flow_run_id": {"any_": [run.run_id]}})
    )
    return "\n".join(str(artifact.data) for artifact in found)


async def test_gen08_an_extension_shows_on_the_form_that_stands_open(staffed: Desk):
    """The open form is drawn anew with the new last day, and still takes its answer."""
    run = await staffed.apply()
    await run.at("review-0-1")
    before = await run.page()
    until = builders.today() + timedelta(days=20)

    moved = await staffed.start(EXTENSION, extension(await run.case_no(), until=until))
    await moved.ends()
    await run.at("review-0-2")

    day = f"{until.month}月{until.day}日"
    assert day not in before and day in await run.page()
    await run.fill("review-0")
    await run.at("pickup-0-1")


async def test_gen08_a_region_that_was_extended_shows_on_the_forms_that_stand_open(
    staffed: Desk, monkeypatch: pytest.MonkeyPatch
):
    """As `aftersales extend` does, once every case has its new date."""
    run = await staffed.apply()
    await run.at("review-0-1")
    today = builders.today()
    force = extensions.force_majeure(
        regions=["浙江"], since=today, until=today, to=today + timedelta(days=20), reason="台风，快递停运"
    )
    told = await extensions.extend_region(force, operator="C02")
    monkeypatch.setenv("PREFECT_API_URL", str(staffed.client.api_url))

    assert await extend._show_anew([each.case_no for each in told.extended]) == ""

    await run.at("review-0-2")
    assert "台风，快递停运" in await run.page()
    assert (await run.submit())[0] == "ACCEPT"
    await run.at("pickup-0-1")


async def test_gen08_an_extension_that_is_refused_stands_in_the_journal_with_its_reason(staffed: Desk):
    run = await staffed.apply()
    await run.at("review-0-1")
    number = await run.case_no()

    turned_away = await (await staffed.start(EXTENSION, extension(number, "C07 王小明"), enforce=False)).ends()

    (refused,) = await run.rows("journal", "kind = 'refused'")
    assert turned_away.name == "延期 未受理"
    assert (refused.actor, refused.data["gate"]) == ("C07", "extended") and refused.data["reason"]
    page = await audit_of(number)
    assert f"延期的提交未被接受 {refused.data['reason']}" in page


def extension(case_no: str, operator: str = "", until: date | None = None) -> dict[str, Any]:
    """An extension as its form sends it, by the first who may."""
    return {
        "operator": operator or current_terms().who_may(Right.EXTEND)[0].choice,
        "case_no": case_no,
        "until": (until or builders.today() + timedelta(days=20)).isoformat(),
        "reason": "台风停运",
    }


async def audit_of(case_no: str) -> str:
    """A case's journal as people read it."""
    async with transaction() as connection:
        entries = await journal.read(connection, case_no)
    reader = desks.reader(current_terms())
    rows = [reader.told(entry) for entry in entries.values()]
    return "\n".join(f"{row.what} {row.result}" for row in rows)
