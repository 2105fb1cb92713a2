"""The building: every word, form, notice and term that one room names is known in the others."""

from __future__ import annotations

import ast
import importlib
import inspect
import re
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from enum import Enum
from functools import cache
from pathlib import Path
from string import Formatter
from typing import Any

import pytest
from prefect import Flow
from ruamel.yaml import YAML

from aftersales import forms, terms, words
from aftersales.desk import deployments, links
from aftersales.imports import orders as imported
from aftersales.rules import authority, pages
from aftersales.store import tables
from aftersales.store.journal import Entry
from aftersales.terms import followup as followup_terms
from aftersales.terms import survey as survey_terms
from aftersales.words import FOLLOWING_UP, Stage
from tasks import desks, reconcile

ROOT = Path(__file__).parents[2]
DEPLOYED = YAML(typ="safe").load((ROOT / "prefect.yaml").read_text())["deployments"]
GLOSSARY = (ROOT / "GLOSSARY.md").read_text()
HANDBOOK = (ROOT / "docs" / "handbook" / "returns.md").read_text()
FOLLOWUP = (ROOT / "docs" / "handbook" / "followup.md").read_text()
LIVE = terms.load(ROOT / "config")
LANGUAGES = ("zh", "en")

# terms that are read and checked, but that no rule looks at yet
NOT_ACTED_UPON_YET = {
    "team",
    "role",
    "review_on_timeout",
    "choose_route",
    "require_both",
}


def sources(*rooms: str) -> Iterator[tuple[Path, ast.Module]]:
    """Every Python file of some rooms, parsed."""
    for room in rooms:
        for path in sorted((ROOT / room).rglob("*.py")):
            yield path, ast.parse(path.read_text())


def calls(*rooms: str) -> Iterator[ast.Call]:
    """Every call in some rooms."""
    for _, tree in sources(*rooms):
        yield from (node for node in ast.walk(tree) if isinstance(node, ast.Call))


def named(call: ast.Call) -> str:
    """What a call calls, without its module."""
    return call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")


# --- stories --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("deployed", DEPLOYED, ids=lambda d: d["entrypoint"])
def test_every_entrypoint_loads_and_is_told_in_chinese(deployed: dict[str, Any]):
    module, _, name = deployed["entrypoint"].rpartition(".")

    flow = getattr(importlib.import_module(module), name)

    assert isinstance(flow, Flow)
    assert re.search(r"[\u4e00-\u9fff]", flow.fn.__doc__ or ""), "the UI shows the docstring to staff"
    full = f"{flow.name}/{deployed['name']}"
    is_filled_in, is_round = full in deployments.FORMS, bool(deployed.get("schedules"))
    opens_by_itself = full in deployments.STORIES.values() and not is_filled_in
    assert list(inspect.signature(flow.fn).parameters) == (["request"] if is_filled_in else [])
    assert [is_filled_in, is_round, opens_by_itself].count(True) == 1
    assert is_round == deployed["name"].endswith(links.ROUND)
    assert flow.flow_run_name == (deployed["name"] if is_round else None), "a story names its run by its case"
    offered = dict(links.links("", LIVE.house, deployments={deployed["name"]: "id"}))
    assert is_filled_in == (f"新建：{deployed['name']}" in offered), "only what people fill in is offered to them"


def test_every_form_and_every_story_is_deployed():
    names = {deployed["name"] for deployed in DEPLOYED if not deployed.get("schedules")}

    assert {name.partition("/")[2] for name in {*deployments.FORMS, *deployments.STORIES.values()}} == names


@pytest.mark.parametrize(
    "process",
    [path.stem for path in sorted((ROOT / "flows").glob("*.py")) if (ROOT / "config" / f"{path.stem}.yaml").exists()],
)
def test_a_process_has_its_word_in_every_room(process: str):
    assert (ROOT / "tests" / "stories" / f"test_{process}.py").exists()
    assert (ROOT / "docs" / "handbook" / f"{process}.md").exists()
    assert f"/{process}.py" in (ROOT / "config" / f"{process}.yaml").read_text().splitlines()[0]


# --- stages and gates -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("stage", terms.WAITING, ids=str)
def test_gen09_every_stage_has_an_owner_a_limit_and_a_heading_in_the_handbook(stage: Stage):
    promised = LIVE.returns.stages[stage.value]

    assert promised.owner in LIVE.house.departments
    assert re.fullmatch(r"[A-Z]+-\d+", promised.rule)
    assert f"\n### {stage.label}\n" in HANDBOOK
    told = HANDBOOK.partition(f"\n### {stage.label}\n")[2].partition("\n### ")[0]
    assert f"**谁**：{LIVE.house.departments[promised.owner].name}" in told
    assert promised.limit.words in told, "the handbook tells the limit of config/returns.yaml"


@pytest.mark.parametrize("gate", forms.GATES)
def test_every_gate_has_a_form_a_right_a_stage_a_promise_and_somebody_to_decide(gate: str):
    form, right, stage = forms.GATES[gate], authority.RIGHTS[gate], Stage(gate)

    assert form.name == gate
    assert stage in (*terms.WAITING, *FOLLOWING_UP)
    assert LIVE.who_may(right, LIVE.promised(gate).owner), "an empty drop-down would stop the case for ever"
    assert right.label in (FOLLOWUP if stage in FOLLOWING_UP else HANDBOOK)


def test_the_stories_know_exactly_the_gates_that_have_a_form():
    asked = {
        call.args[1].value
        for call in calls("flows")
        if named(call) in ("decide", "decided", "heard", "expect") and isinstance(call.args[1], ast.Constant)
    }

    stages = {stage.value for stage in (*terms.WAITING, *FOLLOWING_UP)}
    assert asked == set(forms.GATES) == stages == set(authority.RIGHTS)


@pytest.mark.parametrize("department", LIVE.house.departments)
def test_every_department_has_its_link_in_the_handbook(department: str):
    assert f"/v2/runs?tags={LIVE.house.departments[department].name}>" in HANDBOOK


@pytest.mark.parametrize("department", ["", *LIVE.house.departments])
def test_every_board_has_its_link_in_the_handbook(department: str):
    handbook = (ROOT / "docs" / "handbook" / "escalation.md").read_text()

    assert f"/v2/artifacts/key/{links.board(department)}>" in handbook


# --- notices --------------------------------------------------------------------------------------------------------


@cache
def told() -> dict[str, set[str]]:
    """Notice → the placeholders that the code gives; the case and order numbers always come along."""
    given: dict[str, set[str]] = {}
    for call in calls("tasks"):
        if named(call) == "tell_customer" and isinstance(call.args[2], ast.Constant):
            values = call.args[4]
            assert isinstance(values, ast.Dict), "placeholders are written where the notice is told"
            names = {str(key.value) for key in values.keys if isinstance(key, ast.Constant)}
            given.setdefault(str(call.args[2].value), {"case_no", "order_no"}).update(names)
    return given | {notice: set(words.LADDER_NOTICE) for notice in LIVE.escalation.notices}


@pytest.fixture(params=LANGUAGES, scope="module")
def notices(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> dict[str, terms.Notice]:
    """The notices as a house of this language has them."""
    config = tmp_path_factory.mktemp(request.param) / "config"
    shutil.copytree(ROOT / "config", config)
    house = config / "house.yaml"
    house.write_text(re.sub(r"(?m)^language: \w+", f"language: {request.param}", house.read_text()))
    return terms.load(config).notices


def test_every_notice_that_is_told_has_its_words_and_every_word_is_told(notices: dict[str, terms.Notice]):
    assert set(told()) == set(notices)


@pytest.mark.parametrize("notice", sorted(told()))
def test_a_notice_has_exactly_the_placeholders_that_the_code_gives(notice: str, notices: dict[str, terms.Notice]):
    words_ = notices[notice]
    asked = {name for _, name, _, _ in Formatter().parse(words_.subject + words_.body + words_.short) if name}

    # what is offered to every notice, or to all that time alone tells, need not be named by each
    offered = {"order_no"} | (words.LADDER_NOTICE if told()[notice] >= words.LADDER_NOTICE else set())
    assert told()[notice] == words.NOTICES.get(notice, words.LADDER_NOTICE), "what `aftersales check` allows"
    assert asked <= told()[notice]
    assert asked - offered == told()[notice] - offered
    subject, body = words_.render({name: f"«{name}»" for name in told()[notice]})
    assert "«case_no»" in subject + body
    assert not re.search(r"[{}]", subject + body)


def test_the_two_languages_name_the_same_notices():
    assert (
        len({tuple(sorted(p.name for p in (ROOT / "config" / "notices" / code).iterdir())) for code in LANGUAGES}) == 1
    )


# --- the journal ----------------------------------------------------------------------------------------------------


def kinds() -> set[str]:
    """Every kind of entry that the code writes into a journal."""
    return {reconcile.KIND} | {
        str(keyword.value.value)
        for call in calls("tasks", "aftersales/desk")
        if named(call) in ("note", "add", "_note")
        for keyword in call.keywords
        if keyword.arg == "kind" and isinstance(keyword.value, ast.Constant)
    }


def test_aud01_every_kind_of_journal_entry_is_told_in_chinese():
    tree = ast.parse(inspect.getsource(pages))
    spoken = {
        pattern.value.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Match)
        for case in node.cases
        for pattern in ast.walk(case.pattern)
        if isinstance(pattern, ast.MatchValue) and isinstance(pattern.value, ast.Constant)
    }

    assert {"opened", "decision", "bill", "closed"} <= kinds()
    assert kinds() <= spoken


@pytest.mark.parametrize("gate", forms.GATES)
def test_every_gate_is_told_in_chinese(gate: str):
    row = desks.reader(LIVE).told(entry(f"{gate}-0.refused:form", kind="refused", reason="说明"))

    assert gate not in row.what


@pytest.mark.parametrize("step", [str(c.args[0].value) for c in calls("tasks") if named(c) == "step" and c.args])
def test_every_step_is_told_in_chinese(step: str):
    row = desks.reader(LIVE).told(entry(f"{step}-0.intent", kind="intent"))

    assert step not in row.what


def entry(name: str, *, kind: str, **data: Any) -> Entry:
    """A journal row, reduced to what it says."""
    values: dict[str, Any] = dict.fromkeys(Entry.__dataclass_fields__)
    at = datetime(2025, 3, 6, tzinfo=UTC)
    return Entry(**{**values, "entry": name, "kind": kind, "at": at, "actor": "system", "data": data, "rule": ""})


# --- terms ----------------------------------------------------------------------------------------------------------


def keys() -> set[str]:
    """Every key that a file of `config/` may have, calendars and mappings of imports aside."""
    models = (
        terms.House, terms.Department, terms.Person, terms.StaffList, terms.Returns, terms.Promised,
        terms.Reason, terms.Notices, terms.Sending, terms.Escalation, terms.Reminder, terms.Rung,
        terms.SelfService, terms.Allowance, terms.Photos, terms.English,
        followup_terms.Followup, followup_terms.Kind, followup_terms.ChannelKind,
        survey_terms.Survey, survey_terms.Question,
    )  # fmt: skip
    return {name for model in models for name in model.model_fields}


def test_every_term_is_acted_upon_or_known_not_to_be():
    read = {
        node.attr
        for path, tree in sources("aftersales", "tasks", "flows")
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and path.parent.name != "terms"
    }
    inside = {
        "staff",
        "departments",
        "channels",
        "expires",
        "staff_list",
        "id",
        "name",
        "ladders",
    }  # read by methods of the terms

    # `role` and `team` are attributes of other things too
    assert keys() - inside - read <= NOT_ACTED_UPON_YET
    assert not (NOT_ACTED_UPON_YET - {"team", "role"}) & read, "acted upon: strike it off, here and in the docs"


@pytest.mark.parametrize("term", ["review_on_timeout", "choose_route"])
def test_the_documents_say_which_terms_are_not_acted_upon(term: str):
    assert re.search(rf"`{term}` \|[^\n]*尚未生效", GLOSSARY)
    assert term in (ROOT / "CHANGELOG.md").read_text()


# --- words ----------------------------------------------------------------------------------------------------------


def vocabulary() -> list[words.Named]:
    """Every member of every enum that people meet."""
    rooms = (words, importlib.import_module("aftersales.forms.returns"), imported)
    enums = {
        enum
        for room in rooms
        for _, enum in inspect.getmembers(room, inspect.isclass)
        if issubclass(enum, words.Named) and enum is not words.Named
    }
    return [member for enum in sorted(enums, key=lambda e: e.__name__) for member in enum]  # type: ignore[misc]


@pytest.mark.parametrize("member", vocabulary(), ids=lambda m: f"{type(m).__name__}.{m.name}")
def test_the_glossary_knows_every_word(member: Enum):
    assert f"| `{member.value}` | {member.label} |" in GLOSSARY  # type: ignore[attr-defined]


@pytest.mark.parametrize("table", sorted(tables.SQLModel.metadata.tables))
def test_the_glossary_knows_every_table(table: str):
    assert f"| `{table}` | " in GLOSSARY


@pytest.mark.parametrize("kind", sorted(kinds()))
def test_the_glossary_knows_every_kind_of_journal_entry(kind: str):
    assert f"| `{kind}` | " in GLOSSARY.partition("## Kinds of journal rows")[2]


@pytest.mark.parametrize("key", sorted(keys()))
def test_the_glossary_knows_every_key_of_the_configuration(key: str):
    assert f"`{key}`" in GLOSSARY.partition("## Configuration")[2].partition("## Tables")[0]


# --- time -----------------------------------------------------------------------------------------------------------


def test_nobody_takes_the_date_of_utc_or_of_the_machine_for_the_shops():
    """For eight hours of every day they differ: what is due today would be overdue, or due tomorrow."""
    rooms = ("aftersales", "bench", "flows", "tasks", "tests")
    taken = re.compile(r"\bnow\(\)(\.astimezone\(\))?\.date\(|date\.today\(")
    mine = Path(__file__)

    found = [str(path) for path, _ in sources(*rooms) if path != mine and taken.search(path.read_text())]

    assert not found, "ask for the date in the house's zone"
