"""The documents: what they link to exists, the commands they quote can be typed, the numbers they name are known."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

import click
import pytest

from aftersales import forms
from aftersales.cli import COMMANDS, root
from aftersales.settings import Settings
from aftersales.words import Stage

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
README = (ROOT / "README.md").read_text()
# pictures of rehearsals, whose orders are made up
MADE_UP = ("progress-", "survey-", "revisit", "visit")
RULE = re.compile(r"\b(?:ORG|GEN|POL|RET|RFD|CMP|FUP|SVY|NTC|AUD|NUM|MON|AMB|KPI|SLF|ESC|P)-[0-9]{2,3}\b")


def name(path: Path) -> str:
    """A file as people name it."""
    return str(path.relative_to(ROOT))


def prose(page: Path) -> str:
    """A page without its blocks of code."""
    return re.sub(r"(?ms)^```.*?^```$", "", page.read_text())


def links(page: Path) -> Iterator[tuple[str, bool]]:
    """Where a page's links and images (True) lead to, inside the project."""
    for image, target in re.findall(r"(!?)\[[^\]]*\]\(([^)\s]+)\)", prose(page)):
        if not re.match(r"[a-z]+:", target):
            yield unquote(target), bool(image)


def anchors(page: Path) -> set[str]:
    """The anchors that GitHub makes of a page's headings."""
    headings = re.findall(r"(?m)^#+ (.+)$", prose(page))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def quoted(page: Path) -> Iterator[str]:
    """The commands of ours that a page quotes, in its text and in its blocks of code."""
    text = page.read_text()
    lines = [line for block in re.findall(r"(?ms)^```sh\n(.*?)^```$", text) for line in block.splitlines()]
    for words in [*lines, *re.findall(r"`([^`\n]+)`", prose(page))]:
        command = words.split(" #")[0].strip()
        if re.match(r"(\.venv/bin/)?aftersales [a-z]", command) and "…" not in command:
            yield command


def commands(group: click.Group, path: str) -> Iterator[tuple[str, click.Command]]:
    """A group and everything below it, with what is typed for it."""
    yield path, group
    for word in group.list_commands(click.Context(group)):
        command = group.get_command(click.Context(group), word)
        assert command is not None
        if isinstance(command, click.Group):
            yield from commands(command, f"{path} {word}")
        else:
            yield f"{path} {word}", command


def test_no_help_page_has_words_of_click():
    for path, command in commands(root, "aftersales"):
        told = command.get_help(click.Context(command, info_name=path, help_option_names=["-h", "--help"]))
        assert told.startswith(f"用法：{path} "), told
        assert "显示这段说明。" in told, told
        for english in ("Usage", "Options", "Commands:", "Show this", "[required", "[default", "[OPTIONS]", "COMMAND"):
            assert english not in told, (path, english)


@pytest.mark.parametrize("gate", forms.GATES)
def test_the_page_of_commands_tells_how_to_decide_at_every_gate(gate: str):
    page = (ROOT / "docs/handbook/commands.md").read_text()

    assert f"**{Stage(gate).label.removeprefix('待')}**" in page


def test_the_handbook_names_every_field_that_an_error_may_name():
    page = (ROOT / "docs/handbook/returns.md").read_text().partition("### 英文项目名")[2].partition("\n## ")[0]
    named = set(re.findall(r"`([a-z_]+)`", page))

    assert {field for form in forms.GATES.values() for field in form.model_fields} <= named


COMMANDS_QUOTED = sorted({(name(page), command) for page in PAGES for command in quoted(page)})


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_link_leads_somewhere(page: Path):
    for target, is_image in links(page):
        path, _, anchor = target.partition("#")
        found = (page.parent / path).resolve() if path else page
        assert found.exists(), f"{name(page)} shows or links to {target}"
        assert not is_image or found.suffix == ".png"
        assert not anchor or anchor in anchors(found), f"{name(page)} links to {target}"


def exceptions() -> list[str]:
    """The first column of the handbook's table of exceptions."""
    handbook = (ROOT / "docs" / "handbook" / "returns.md").read_text()
    table = handbook.partition("\n## 出了例外怎么办\n")[2].partition("\n## ")[0]
    return re.findall(r"(?m)^\| ([^|]+?) \|", table)[2:]


@pytest.mark.parametrize("exception", exceptions())
def test_every_exception_of_the_handbook_has_a_story_of_that_name(exception: str):
    stories = (ROOT / "tests" / "stories" / "test_branches.py").read_text()

    assert f'"""{exception}' in stories


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_picture_of_real_data_names_its_source(page: Path):
    for picture, below in re.findall(r"(?m)^!\[[^\n]*/([\w-]+)\.png\)\n\n?([^\n]*)", page.read_text()):
        if not picture.startswith(MADE_UP):
            assert "Data: UCI Online Retail, CC BY 4.0" in below, picture


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_file_that_a_page_names_exists(page: Path):
    for path in re.findall(
        r"`((?:aftersales|flows|tasks|config|tests|docs|migrations|bench)/[\w./-]*[\w/])`", page.read_text()
    ):
        assert (ROOT / path).exists() or "trade_in" in path, f"{name(page)} names {path}"


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_recipe_that_a_page_names_is_in_the_makefile(page: Path):
    recipes = set(re.findall(r"(?m)^([a-z-]+):", (ROOT / "Makefile").read_text()))

    assert set(re.findall(r"(?m)(?:`|^)make ([a-z-]+)", page.read_text())) <= recipes


# --- commands -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", [name for name, (_, told) in COMMANDS.items() if told])
def test_the_readme_knows_every_command(command: str):
    assert re.search(rf"(?m)^\| `aftersales {command}\b[^|]*` \| ", README)


@pytest.mark.parametrize("command", [name for name, (_, told) in COMMANDS.items() if told])
def test_every_command_explains_itself(command: str):
    found = root.get_command(click.Context(root), command)

    assert found is not None
    with click.Context(found, info_name=command) as ctx:
        assert re.search(r"[\u4e00-\u9fff]", found.get_help(ctx))


@pytest.mark.parametrize(("page", "command"), COMMANDS_QUOTED)
def test_every_command_that_a_page_quotes_can_be_typed(page: str, command: str):
    words = shlex.split(command)[1:]
    found: click.Command = root
    while isinstance(found, click.Group) and words:
        part = found.get_command(click.Context(found), words[0])
        assert part is not None, f"{page} quotes {command}"
        found, words = part, words[1:]
    if not words:
        return  # a command by its name

    # reads every option and argument as the command would, and runs nothing
    found.make_context(found.name or "", words)


# --- names that must be known ---------------------------------------------------------------------------------------


def test_the_readme_tells_every_environment_variable():
    variables = {
        str(field.validation_alias or f"AFTERSALES_{key.upper()}") for key, field in Settings.model_fields.items()
    }

    assert set(re.findall(r"(?m)^\| `([A-Z_]+)` \|", README)) == variables


def test_every_rule_that_is_cited_can_be_looked_up():
    known = set(re.findall(r"(?m)^\| ([A-Z]+-\d+) \|", (ROOT / "docs" / "rules.md").read_text()))
    rooms = ("aftersales", "flows", "tasks", "config", "tests", "docs", "migrations")
    cited = {
        (rule, name(path))
        for room in rooms
        for path in (ROOT / room).rglob("*")
        if path.suffix in (".py", ".yaml", ".md", ".csv")
        for rule in RULE.findall(path.read_text())
    }

    assert {(rule, where) for rule, where in cited if rule not in known and not rule.endswith("-00")} == set()


@pytest.mark.parametrize(
    ("document", "pattern"),
    [
        pytest.param("design", r"design §(\d+)", id="design §"),
        pytest.param("prefect", r"prefect\.md §(\d+)", id="prefect.md §"),
    ],
)
def test_every_section_that_a_comment_points_to_exists(document: str, pattern: str):
    headings = set(re.findall(r"(?m)^## (\d+)\.", (ROOT / "docs" / f"{document}.md").read_text()))
    pointed = {
        section
        for room in ("aftersales", "flows", "tasks", "tests", "config")
        for path in (ROOT / room).rglob("*.py")
        for section in re.findall(pattern, path.read_text())
    }

    assert pointed <= headings


def test_every_finding_and_trap_that_a_comment_points_to_exists():
    known = set(re.findall(r"(?m)^\| ([\d.]+) \|", (ROOT / "docs" / "prefect.md").read_text()))
    pointed = {
        number
        for room in ("aftersales", "flows", "tasks", "tests")
        for path in (ROOT / room).rglob("*.py")
        for number in re.findall(r"(?:prototype(?:\.md)? |[ _]traps?[ _])(\d+(?:\.\d+)?)", path.read_text())
    }

    assert pointed
    assert pointed <= known


def test_every_function_that_the_house_walk_names_exists():
    walk = (ROOT / "docs" / "house-walk.md").read_text()
    source = "\n".join(
        path.read_text() for room in ("aftersales", "flows", "tasks") for path in (ROOT / room).rglob("*.py")
    )
    named = {words for words in re.findall(r"`([\w.]+)(?:\([^`]*\))?`", walk) if re.search(r"[a-z]\w+\.\w+$", words)}
    functions = {words for words in named if not words.endswith((".py", ".json", ".yaml", ".md"))}

    assert len(functions) > 30
    missing = {
        words
        for words in functions
        if not re.search(rf"(?m)^\s*(?:async )?(?:def|class) {words.rpartition('.')[2]}\b", source)
    }
    assert missing == set()
