"""Reading `config/`: every mistake in every file at once, each one sentence with file, line and key (GEN-07)."""

from __future__ import annotations

from pathlib import Path
from string import Formatter
from typing import Any

from aftersales.terms import checks
from aftersales.terms.documents import Document, Mistake, Model, TermsError, fit, parse
from aftersales.terms.followup import Followup
from aftersales.terms.models import (
    Calendar,
    Escalation,
    House,
    Notice,
    Notices,
    Returns,
    SelfService,
    StaffList,
    Terms,
)
from aftersales.terms.survey import Survey
from aftersales.terms.values import Strict, nearest
from aftersales.words import LADDER_NOTICE, NOTICES

CONFIG = Path("config")

# file → its shape
FILES: dict[str, type[Strict]] = {
    "house": House,
    "staff": StaffList,
    "returns": Returns,
    "notices": Notices,
    "escalation": Escalation,
    "followup": Followup,
    "survey": Survey,
    "selfservice": SelfService,
}


def load(folder: Path = CONFIG) -> Terms:
    """
    Read the terms: the files of `FILES`, and `calendars/*.yaml`.

    Raises TermsError with every mistake of every file.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise TermsError([Mistake(str(folder), 0, "", "没有这个文件夹，请在项目的根目录运行，那里有 config/。")])
    files = {name: parse(folder / f"{name}.yaml") for name in FILES}
    years = [parse(path) for path in sorted((folder / "calendars").glob("*.y*ml"))]
    found: dict[str, Any] = {name: fit(model, files[name]) for name, model in FILES.items()}
    calendars = [fit(Calendar, year) for year in years]
    checks.agree(files, years)
    told: Notices | None = found.pop("notices")
    language = found["house"].language if found["house"] else "zh"
    notices = _notices(folder / "notices", language, told, files["notices"]) if told else {}

    if mistakes := [
        m for document in [*files.values(), *years] for m in sorted(document.mistakes, key=lambda mistake: mistake.line)
    ]:
        raise TermsError(mistakes)
    assert told is not None, "what did not fit has left a mistake"
    return Terms(
        staff_list=found.pop("staff"),
        calendars={c.year: c for c in calendars if c},
        notices=notices,
        sending=told.sending,
        **found,
    )


def _notices(folder: Path, language: str, told: Notices, document: Document) -> dict[str, Notice]:
    """
    Read the words of every notice: `zh/NTC-01.txt`; the first line is the subject, what follows `---` the short text.

    All languages are looked at, so that another choice of language finds no mistake.
    """
    for name in NOTICES:
        if name not in told.expires:
            document.wrong(
                ("expires",), f"缺少通知“{name}”，请补上一行 {name}: 24 h（多久以后不必再发；null 为总要发）。"
            )
    found = {}
    languages = (
        {language, *(each.name for each in folder.iterdir() if each.is_dir())} if folder.is_dir() else {language}
    )
    for each in sorted(languages):
        for name, expires in told.expires.items():
            words = _words(folder / each / f"{name}.txt", name, document)
            if words and each == language:
                found[name] = words.model_copy(update={"expires": expires})
    return found


def _words(path: Path, name: str, document: Document) -> Notice | None:
    """Read one template; what is wrong with it is noted at its line in `notices.yaml`."""
    try:
        subject, _, rest = path.read_text("utf-8").partition("\n")
    except (OSError, UnicodeDecodeError):
        document.wrong(("expires", name), f"读不到通知模板 {path}，请补上该文件（UTF-8，第一行为标题）。")
        return None
    body, line, short = rest.partition("\n---\n")
    if not subject.strip() or not body.strip() or (line and not short.strip()):
        document.wrong(
            ("expires", name),
            f"通知模板 {path} 不完整，第一行写标题，其后写正文；有短信文字的，写在单独一行 --- 之后。",
        )
        return None
    try:
        fields = [part[1:] for part in Formatter().parse(subject + rest) if part[1] is not None]
    except ValueError:
        document.wrong(("expires", name), f"通知模板 {path} 的花括号不成对，请写成 {{case_no}} 这样。")
        return None
    known = sorted(NOTICES.get(name, LADDER_NOTICE))
    for field_name, spec, conversion in fields:
        if field_name not in known or spec or conversion:
            near = nearest(f"{{{field_name}}}", [f"{{{each}}}" for each in known])
            document.wrong(("expires", name), f"通知模板 {path} 的 {{{field_name}}} 没有内容可填，{near}。")
            return None
    return Notice(subject=subject.strip(), body=body.strip(), short=short.strip())


def read(model: type[Model], path: Path) -> Model:
    """
    Read one file of `config/` that stands apart from the terms, such as a mapping of an import.

    Raises TermsError with every mistake in it.
    """
    document = parse(path)
    fitted = fit(model, document)
    if document.mistakes or fitted is None:
        raise TermsError(document.mistakes)
    return fitted
