"""
What staff record beside a case's story: evidence, another contact, an account; and looks at a full contact.

The journal says that something was recorded and by whom; personal data stays in tables of its own (GEN-10).
"""

from __future__ import annotations

import hashlib
import io
import os
import re
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any, BinaryIO

from sqlalchemy.ext.asyncio import AsyncConnection

from aftersales import clock, forms
from aftersales import terms as rulebook
from aftersales.forms.fields import clean, seen
from aftersales.forms.records import AccountForm, ContactForm
from aftersales.rules import authority, clocks, masking
from aftersales.rules.standing import evidence_label
from aftersales.settings import settings
from aftersales.store import cases, journal, orders, people, records
from aftersales.store.engine import transaction
from aftersales.store.journal import Entry
from aftersales.terms import Terms
from aftersales.words import Process, Right, Staff, Stage, Unable, trouble
from tasks import desks, heard, questions, visits
from tasks.cases import current_terms, plan_survey
from tasks.outside import found

MOST_BYTES = 20 * 1024 * 1024
MOST_CHARACTERS = 500  # as in a form's field
CHUNK = 1024 * 1024

# what may be recorded of whom, and the word for it
CONTACT = "contact"
ACCOUNT = "account"
FORMS: dict[str, type[forms.Form]] = {CONTACT: ContactForm, ACCOUNT: AccountForm}


@dataclass(frozen=True, slots=True)
class Kept:
    """
    What became of a piece of evidence: `label` as people read it, not new when the case had it already.

    `answers` means that it is the customer's answer to a question that was open (NUM-223).
    """

    label: str
    is_new: bool
    is_masked: bool
    answers: bool = False


@dataclass(frozen=True, slots=True)
class Piece:
    """A piece of evidence in a case's history."""

    at: datetime
    actor: str
    label: str
    file: str


@dataclass(frozen=True, slots=True)
class Contact:
    """An order's customer in full, and what was recorded for its cases; `looks` counts who has looked so far."""

    order: orders.Shown
    recorded: list[Mapping[str, Any]]
    looks: int


# --- evidence -------------------------------------------------------------------------------------------------------


async def add_file(case_no: str, path: Path, *, operator: str) -> Kept:
    """
    Keep a file as evidence under its SHA-256, the same file once a case (POL-08).

    Raises Unable: no such case or person, the case is over, or the file cannot be taken.
    """
    async with transaction() as connection:
        await _may_add(connection, case_no, operator)
    reference = store_file(path, settings().home / "files")
    return await _keep(case_no, reference, _file_name(path), operator, is_masked=False)


async def add_text(case_no: str, text: str, *, operator: str) -> Kept:
    """
    Keep a link or a note as evidence, personal data taken out of it (POL-08, GEN-10).

    Raises Unable: no such case or person, the case is over, or a text that cannot be kept.
    """
    text = _clean(text, "凭证说明")
    reference = masking.scrub(text)
    return await _keep(case_no, reference, "", operator, is_masked=reference != text)


async def evidence(case_no: str) -> list[Piece]:
    """All evidence of a case over all rounds, each piece once: from forms, from the inspection, added later (POL-08)."""
    async with transaction() as connection:
        await found(connection, case_no)
        entries = await journal.read(connection, case_no)
    pieces: dict[str, Piece] = {}
    for entry in entries.values():
        if entry.kind == "evidence":
            label = evidence_label(entry.data)
            file = entry.data["reference"] if entry.data.get("name") else ""
            pieces.setdefault(label, Piece(entry.at, entry.actor, label, file))
            continue
        given = entry.data.get("evidence") if entry.kind in ("opened", "amended", "decision") else None
        for label in given or ():
            pieces.setdefault(label, Piece(entry.at, entry.actor, label, _file_of(label)))
    return list(pieces.values())


def _file_of(label: str) -> str:
    """The stored file that a label names, as of a photo that came with an application; empty when it names none."""
    named = re.search(r"（文件 ([0-9a-f]{12})）$", label)
    found = sorted((settings().home / "files").glob(f"{named[1]}*")) if named else []
    return found[0].name if len(found) == 1 else ""


def store_file(path: Path, folder: Path) -> str:
    """
    Copy a file into a folder under its SHA-256 and answer that; readable by nobody else, there already costs nothing.

    Raises Unable with one sentence for a file that cannot be taken.
    """
    if path.is_dir():
        raise Unable(f"{path} 是文件夹，请指定其中的一个文件。")
    if path.exists() and not path.is_file():
        raise Unable(f"{path} 不是普通文件，请指定照片或文档。")
    try:
        source = path.open("rb")
    except OSError as error:
        raise Unable(f"读不了文件 {path}（{trouble(error)}），请检查路径和权限。") from None
    with source:
        return _stored(source, folder, name=f"文件 {path}")


def store_photo(photo: bytes, folder: Path) -> str:
    """Keep a customer's photo in a folder under its SHA-256 and answer that (POL-08). Raises Unable."""
    return _stored(io.BytesIO(photo), folder, name="照片")


def photo_label(reference: str, number: int) -> str:
    """A photo as the application names it: whoever looks for the file finds it by these letters."""
    return evidence_label({"name": f"照片 {number}", "reference": reference})


def _stored(source: BinaryIO, folder: Path, *, name: str) -> str:
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        # made with mode 0600; the name only becomes the real one when everything is written
        handle, copy = tempfile.mkstemp(prefix=".incoming-", dir=folder)
    except OSError as error:
        raise Unable(f"凭证目录 {folder} 写不进去（{trouble(error)}），请检查磁盘空间和权限。") from None
    try:
        with os.fdopen(handle, "wb") as out:
            reference = _copy(source, out, name)
            out.flush()
            os.fsync(out.fileno())
        os.replace(copy, folder / reference)
    except OSError as error:
        raise Unable(f"{name} 存不下来（{trouble(error)}），请检查磁盘空间和权限。") from None
    finally:
        Path(copy).unlink(missing_ok=True)
    return reference


def _copy(source: BinaryIO, out: BinaryIO, name: str) -> str:
    digest, size = hashlib.sha256(), 0
    while chunk := source.read(CHUNK):
        size += len(chunk)
        if size > MOST_BYTES:
            raise Unable(f"{name} 超过 {MOST_BYTES // 1024 // 1024} MB，请压缩后再登记，或登记它的链接。")
        digest.update(chunk)
        out.write(chunk)
    if not size:
        raise Unable(f"{name} 是空的，请核对文件。")
    return digest.hexdigest()


def _file_name(path: Path) -> str:
    """A file's name without personal data, control characters or bytes that are no text; never empty."""
    name = path.name.encode(errors="replace").decode(errors="replace")
    return masking.scrub("".join(c if c.isprintable() else " " for c in name).strip())[:100] or "文件"


async def _keep(case_no: str, reference: str, name: str, operator: str, *, is_masked: bool) -> Kept:
    data = {"reference": reference, "name": name}
    async with transaction() as connection:
        case, terms, person = await _may_add(connection, case_no, operator)
        now = clock.now(case)
        answers = False
        # the case first, as whoever decides has it: else the two wait for each other
        await cases.lock(connection, case_no)
        is_new = await records.add_evidence(
            connection, case_no=case_no, reference=reference, name=name, actor=person.id, at=now
        )
        if is_new:
            await _note(connection, case, "evidence", kind="evidence", actor=person.id, data=data)
            answers = await questions.take_evidence(connection, case, terms, person, evidence_label(data))
    return Kept(evidence_label(data), is_new, is_masked, answers)


async def _may_add(connection: AsyncConnection, case_no: str, operator: str) -> tuple[cases.Case, Terms, Staff]:
    case, terms = await found(connection, case_no)
    person = _person(terms, operator)
    if case.stage.is_over:
        raise Unable(f"{case_no} {case.stage.label}，结案后不再接收凭证；如需继续处理，请重新提交申请并附上凭证。")
    return case, terms, person


# --- contacts and accounts ------------------------------------------------------------------------------------------


async def record(case_no: str, kind: str, *, operator: str, answer: Mapping[str, Any]) -> Entry:
    """
    Keep another contact, or the account for a manual transfer, of a case; a new one takes the old one's place (MON-08).

    The journal learns only that it was done. Raises Unable: no such case or person, misfilled, not allowed, too late.
    """
    values = forms.read(FORMS[kind], answer).model_dump(mode="json")
    async with transaction() as connection:
        case, terms = await found(connection, case_no)
        person = _of_customer_service(terms, operator)
        if kind == ACCOUNT and case.stage.is_over:
            raise Unable(f"{case_no} {case.stage.label}，不会再付款，收款账户未登记。")
        now = clock.now(case)
        await records.keep_contact(connection, case_no=case_no, kind=kind, data=values, actor=person.id, at=now)
        return await _note(connection, case, kind, kind="contact", actor=person.id, data={"kind": kind})


def masked(kind: str, data: Mapping[str, str]) -> str:
    """A contact or account as anybody may see it (GEN-10)."""
    if kind == CONTACT:
        parts = (
            masking.masked_name(data["name"]),
            masking.masked_phone(data.get("phone", "")),
            masking.masked_email(data.get("email", "")),
        )
    else:
        number = data["number"]
        hidden = masking.masked_email(number) if "@" in number else masking.STAR * 4 + number[-4:]
        parts = (masking.masked_name(data["holder"]), data["bank"], hidden)
    return "  ".join(part for part in parts if part)


async def look(order_no: str, *, operator: str, reason: str) -> Contact:
    """
    Show an order's full contact to those with the right, and write down who looked (GEN-10).

    The trace is committed before anything is shown; every open case of the order has it in its journal too.
    Raises Unable: no such order or person, or not allowed.
    """
    terms = current_terms()
    person = _person(terms, operator)
    if no := authority.objection(operator=person, named=operator, right=Right.VIEW_CONTACT):
        raise Unable(no)
    reason = masking.scrub(_clean(reason, "查看理由")) if reason.strip() else ""
    async with transaction() as connection:
        order = await orders.show(connection, order_no)
        if order is None:
            raise Unable(f"没有订单 {order_no}，请核对订单号。")
        of_order = sorted(await cases.of_order(connection, order_no), key=lambda case: case.case_no)
        for case in of_order:
            if not case.stage.is_over:
                data = {"order_no": order_no, "reason": reason}
                await _note(connection, case, "access", kind="access", actor=person.id, data=data)
        looks = await records.add_look(connection, order_no=order_no, actor=person.id, reason=reason, at=clock.now())
        recorded = await records.contacts(connection, [case.case_no for case in of_order])
    return Contact(order, recorded, looks)


async def quiet(order_no: str, hours: str, *, operator: str) -> str:
    """
    Write down when an order's customer wants to hear nothing (`20:00-10:00`; empty: as all customers); a sentence (P-10).

    Raises Unable: no such order or person, a guest's order, not allowed, or no such hours.
    """
    terms = current_terms()
    person = _person(terms, operator)
    if no := authority.objection(operator=person, named=operator, right=Right.APPLY):
        raise Unable(no)
    if hours:
        try:
            begins, ends = rulebook.quiet_hours(hours, none="不再单独设的写 --default")
        except ValueError as error:
            raise Unable(str(error)) from None
        hours = f"{begins // 60:02}:{begins % 60:02}-{ends // 60:02}:{ends % 60:02}"
    async with transaction() as connection:
        if await orders.show(connection, order_no) is None:
            raise Unable(f"没有订单 {order_no}，请核对订单号。")
        if not await records.keep_quiet(connection, order_no, hours):
            raise Unable(f"订单 {order_no} 是散客下的，没有客户资料，不能登记静默时段。")
    if hours:
        return f"已登记：订单 {order_no} 的客户在 {hours} 不发通知，到结束时再发。"
    return f"已取消：订单 {order_no} 的客户按全体客户的静默时段。"


async def calls(order_no: str, *, operator: str, is_out: bool | None = None, until: date | None = None) -> str:
    """
    Write down what an order's customer wishes of visits: none any more, some again, in use up to a day; a sentence.

    FUP-02, FUP-11. `is_out` and `until` are not both given. Raises Unable: no such order or person, a guest's order
    with a day, not allowed, or a day that is past.
    """
    terms = current_terms()
    _of_customer_service(terms, operator)
    if until is not None and until < clocks.house_date(clock.now(), house=terms.house):
        raise Unable(f"{until} 已经过去，请写今天或以后的日期；以后都不回访的用 --stop。")
    async with transaction() as connection:
        name = await people.of_order(connection, order_no)
        if name is None:
            raise Unable(f"没有订单 {order_no}，请核对订单号。")
        if until is not None:
            if not await people.wish_visits_until(connection, name, until):
                raise Unable(f"订单 {order_no} 是散客下的，没有使用回访，不用登记到哪一天；都不回访的用 --stop。")
            return f"已登记：订单 {order_no} 的客户，使用回访做到 {until} 为止。"
        if is_out:
            dropped = await heard.opt_out(connection, name, at=clock.now())
        else:
            await people.opt_out(connection, name, is_out=False)
            await people.wish_visits_until(connection, name, None)
    if not is_out:
        return f"已登记：订单 {order_no} 的客户照常回访和调查，已取消的不恢复。"
    # an agent may be at the list: it must not offer this customer any longer
    dropped += sum(left.due.person == name for _, left in await visits.strike_off())
    return f"已登记：不再回访和调查订单 {order_no} 的客户，取消已排的回访 {dropped} 次。"


# --- complaints -----------------------------------------------------------------------------------------------------


async def end_complaint(complaint_no: str, *, operator: str, note: str, is_solved: bool) -> str:
    """
    Close a complaint with what was done about it; its customer is asked how it went, and the round plans its visit.

    CMP-08, SVY-02, FUP-06, FUP-07.

    Answers what to tell. Raises Unable: no complaint, closed before, not allowed, or a note that cannot be kept.
    """
    note = masking.scrub(_clean(note, "办理结果"))
    async with transaction() as connection:
        await cases.lock(connection, complaint_no)
        case, terms = await found(connection, complaint_no)
        if case.process != Process.COMPLAINT:
            raise Unable(f"{complaint_no} 不是投诉单，不能用这个命令办结，请在它的待办里办理。")
        _of_customer_service(terms, operator)
        if case.closed_at is not None:
            ended = desks.reader(terms).time(case.closed_at)
            raise Unable(f"{complaint_no} 已于 {ended} 办结，不用再登记。")
        now = clock.now(case)
        await journal.add(
            connection,
            complaint_no,
            "closed",
            kind="closed",
            at=now,
            actor=operator,
            data={"stage": Stage.CLOSED.value, "note": note, "solved": is_solved},
            rule="CMP-08",
        )
        await cases.move(connection, complaint_no, stage=Stage.CLOSED, closed_at=now, facts={"solved": is_solved})
        await plan_survey(connection, case, terms=terms, stage=Stage.CLOSED, at=now, is_solved=is_solved)
    return f"{complaint_no} 已办结（{'已解决' if is_solved else '未解决'}），之后的回访由每天凌晨的回访巡检排出。"


# --- common ---------------------------------------------------------------------------------------------------------


async def _note(
    connection: AsyncConnection, case: cases.Case, stem: str, *, kind: str, actor: str, data: Mapping[str, Any]
) -> Entry:
    """Write the next entry of a kind that may come any number of times: `evidence-0`, `evidence-1` …"""
    known = await journal.read(connection, case.case_no)
    number = sum(1 for name in known if name.rpartition("-")[0] == stem)
    while True:
        written = await journal.add(
            connection, case.case_no, f"{stem}-{number}", kind=kind, at=clock.now(case), actor=actor, data=data
        )
        if written is not None:
            return written
        number += 1  # somebody else wrote one between our reading and the lock


def _person(terms: Terms, operator: str) -> Staff:
    person = terms.staff().get(operator)
    if person is None:
        raise Unable(f"经办人“{operator}”不在员工名单中，请用员工编号，如 C07。")
    return person


def _of_customer_service(terms: Terms, operator: str) -> Staff:
    """Somebody who applies or reviews in the department that owns the review. Raises Unable."""
    person = _person(terms, operator)
    owner = terms.returns.stages["review"].owner
    objections = [
        authority.objection(
            operator=person,
            named=operator,
            right=right,
            department=owner,
            department_name=terms.house.departments[owner].name,
        )
        for right in (Right.APPLY, Right.REVIEW)
    ]
    if all(objections):
        raise Unable(objections[0])
    return person


def _clean(text: str, what: str) -> str:
    """A text that can be kept. Raises Unable."""
    try:
        text = seen(clean(text))
    except ValueError as error:
        raise Unable(f"{what}{error}。") from None
    if not text:
        raise Unable(f"{what}没有内容，请填写后再登记。")
    if len(text) > MOST_CHARACTERS:
        raise Unable(f"{what}超过 {MOST_CHARACTERS} 字，请写短一些，或作为文件登记。")
    return text
