"""
What may be shown of personal data, and what of it is taken out of free text (GEN-10).

Names and phone numbers on notices, summaries and lists are masked; free text is stored only after `scrub`.
Order and parcel numbers are long runs of digits too: a run is taken for personal data by its structure
(mobile prefix, region and birth date with check digit, card prefix with Luhn's digit) and by the word before it.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from datetime import date
from typing import Any

from aftersales.words import UNSEEN

STAR = "*"

# Two-character family names: the first character alone would be wrong, not more private.
COMPOUND_SURNAMES = frozenset(
    {"欧阳", "司马", "上官", "诸葛", "东方", "皇甫", "尉迟", "公孙", "慕容", "令狐", "司徒", "夏侯"}
)

_EMAIL = re.compile(
    r"(?<![A-Za-z0-9._%+-])[A-Za-z0-9._%+-]+\s?[@＠]\s?(?:[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?[.．])+[A-Za-z]{2,}"
)

_UNSEEN = re.compile(f"[{UNSEEN}]|(?<=[0-9０-９])[\u200c\u200d]+(?=[0-9０-９])")

# What stands between groups of digits when people write a number down.
_GAP = r"[ \u00a0\-‐‑–—－.·]?"

# 102 is no prefix of any network: the numbers of the sample shop, which belong to nobody, are masked like real ones.
_MOBILE = re.compile(
    rf"(?<!\d)(?P<code>(?:[+＋]|00)?86{_GAP})?"
    rf"(?P<number>1(?:[3-9]\d|02){_GAP}(?:\d{{4}}{_GAP}\d{{4}}|\d{{3}}{_GAP}\d{{5}})"  # 138 0000 1234, 138-000-01234
    rf"|1[3-9]\d\d{_GAP}\d{{3}}{_GAP}\d{{4}}"  # 1380 000 1234
    rf"|1{_GAP}[3-9](?:{_GAP}\d){{9}})"  # 1 3 8 0 0 …
    r"(?!\d)"
)
_LANDLINE = re.compile(
    rf"(?<!\d)[(（]?(?P<area>0(?:10|2\d|[3-9]\d\d))[)）]?{_GAP}(?P<number>[2-8]\d{{2,3}}{_GAP}\d{{4}})(?!\d)"
)
_ABROAD = re.compile(r"(?<!\d)[+＋][1-9]\d{0,2}(?:[ \-.()]{0,2}\d){7,13}(?!\d)")

# A run of 9 to 19 digits, also in groups; an ID number may end in X. Short ones count only after a word such as 账号.
_LONG_RUN = re.compile(rf"(?<![0-9A-Za-z])\d(?:{_GAP}\d){{8,18}}(?:{_GAP}[Xx])?(?![0-9A-Za-z])")
# Every two-digit region of the ID numbers (GB/T 2260).
_PROVINCES = frozenset(
    str(region)
    for region in (*range(11, 16), *range(21, 24), *range(31, 38), *range(41, 47), *range(50, 55), *range(61, 66))
) | {"71", "81", "82", "83", "91"}
_ID_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)

# The word before a run tells what it is; the nearest one counts.
_BEFORE = re.compile(
    r"(?P<private>卡号|银行卡|储蓄卡|信用卡|账号|帐号|账户|帐户|开户|身份证|证件|card|account)"
    r"|(?P<number>单号|订单|运单|快递|物流|取件码|流水号|order|tracking)",
    re.IGNORECASE,
)
_LOOK_BACK = 12


def masked_name(name: str) -> str:
    """
    Show the family name only: 王小明 → 王**; of other names the first letter of each word (GEN-10).
    """
    name = name.strip()
    if name.isascii():
        return " ".join(word[0] + STAR * 3 for word in name.split())
    kept = 2 if name[:2] in COMPOUND_SURNAMES and len(name) > 2 else 1
    return name[:kept] + STAR * max(len(name) - kept, 1 if name else 0)


def masked_phone(phone: str) -> str:
    """
    Show the first three and last four digits of a mobile number, the last two of a shorter one (GEN-10).
    """
    digits = _plain_digits(re.sub(r"\D", "", phone))
    if len(digits) > 11 and digits.startswith(("86", "0086")):
        digits = digits[-11:]
    if len(digits) >= 11:
        return digits[:3] + STAR * (len(digits) - 7) + digits[-4:]
    if len(digits) >= 7:
        return STAR * (len(digits) - 2) + digits[-2:]
    return STAR * len(phone.strip())


def masked_email(email: str) -> str:
    """
    Show the first character of the mailbox and the domain (GEN-10).
    """
    mailbox, at, domain = email.strip().replace("＠", "@").partition("@")
    if not at:
        return STAR * len(mailbox)
    return f"{mailbox[:1]}***@{domain.strip()}"


def scrub(text: str) -> str:
    """
    Take phone, email, ID and bank card numbers out of free text and leave the rest as it was (GEN-10).

    Order and parcel numbers stay; full-width digits become plain ones, and what nobody sees goes: it tears numbers apart.
    In doubt a run is masked: a number too many is a nuisance, a number too few a leak.
    """
    text = _plain_digits(_UNSEEN.sub("", text))
    text = _EMAIL.sub(lambda found: masked_email(found[0]), text)
    text = _LONG_RUN.sub(_long_run, text)
    text = _MOBILE.sub(lambda found: (found["code"] or "") + masked_phone(found["number"]), text)
    text = _LANDLINE.sub(lambda found: f"{found['area']}-{_hidden(found['number'], 0, 2)}", text)
    return _ABROAD.sub(lambda found: _hidden(found[0], 3, 2), text)


def is_clean(text: str) -> bool:
    """Tell whether a text names nobody, so that it may be shown as it was written."""
    return scrub(text) == _plain_digits(_UNSEEN.sub("", text))


# a long order number may look like a bank card; what is no number of ours is masked when it is turned away
NUMBERS = frozenset({"order_no", "sku", "case_no", "tracking_no", "reference"})


def scrub_all(value: Any, *, keep: Collection[str] = NUMBERS) -> Any:
    """Mask personal data in every text of an answer, however deep; the fields in `keep` stay as they are."""
    match value:
        case str():
            return scrub(value)
        case dict():
            return {key: inner if key in keep else scrub_all(inner, keep=keep) for key, inner in value.items()}
        case list() | tuple():
            return [scrub_all(inner, keep=keep) for inner in value]
    return value


def forget(text: str, value: Any) -> str:
    """Take out of a text what an answer said that would be masked if it stood alone."""
    match value:
        case str():
            return text.replace(value, scrub(value)) if value.strip() else text
        case dict():
            for inner in value.values():
                text = forget(text, inner)
        case list() | tuple():
            for inner in value:
                text = forget(text, inner)
    return text


def _long_run(found: re.Match[str]) -> str:
    run = re.sub(r"[^0-9Xx]", "", found[0])
    grouped = bool(re.search(r"\d\D\d", found[0]))
    says_private, says_number = _word_before(found.string, found.start())
    if grouped and re.fullmatch(r"\D*(?:\d{1,3}\D+)+\d{1,3}\D*", found[0]) and not _is_id(run):
        return found[0]  # a row of small figures (sizes, quantities), which `_MOBILE` still looks at
    if _is_id(run):
        # The check digit convinces beside any word; without it (a slip of the pen) the structure must do.
        return run[:3] + STAR * (len(run) - 3) if not says_number or _id_check(run) else found[0]
    if says_private:
        return STAR * (len(run) - 4) + run[-4:]
    if run[-1] in "Xx" or not 16 <= len(run) <= 19 or run[0] not in "34569":
        return found[0]
    by_fours = re.fullmatch(r"\d{4}(?:\D\d{4}){3}(?:\D\d{1,3})?", found[0])
    is_card = by_fours or _luhn(run) or run.startswith("62")
    if says_number:
        is_card = _luhn(run) and run.startswith("62")
    return STAR * (len(run) - 4) + run[-4:] if is_card else found[0]


def _word_before(text: str, start: int) -> tuple[bool, bool]:
    words = list(_BEFORE.finditer(text, max(0, start - _LOOK_BACK), start))
    if not words:
        return False, False
    return words[-1]["private"] is not None, words[-1]["number"] is not None


def _is_id(run: str) -> bool:
    """
    Tell whether a run is built like a Chinese ID number: region, then a date of birth.
    """
    if run[:2] not in _PROVINCES:
        return False
    if len(run) == 18 and run[6:8] in ("19", "20"):
        return _is_date(int(run[6:10]), int(run[10:12]), int(run[12:14]))
    if len(run) == 15 and run[-1] not in "Xx":
        return _is_date(1900 + int(run[6:8]), int(run[8:10]), int(run[10:12]))
    return False


def _is_date(year: int, month: int, day: int) -> bool:
    try:
        date(year, month, day)
    except ValueError:
        return False
    return True


def _id_check(run: str) -> bool:
    if len(run) == 15:
        return True  # the old form has no check digit
    total = sum(int(digit) * weight for digit, weight in zip(run, _ID_WEIGHTS, strict=False))
    return "10X98765432"[total % 11] == run[-1].upper()


def _luhn(run: str) -> bool:
    doubled = (int(digit) * (2 if place % 2 else 1) for place, digit in enumerate(reversed(run)))
    return sum(value - 9 if value > 9 else value for value in doubled) % 10 == 0


def _hidden(written: str, first: int, last: int) -> str:
    """
    Hide the digits of a number as it was written, but the first and last few.
    """
    count = sum(char.isdigit() for char in written)
    shown, place = [], 0
    for char in written:
        if not char.isdigit():
            shown.append(char)
            continue
        shown.append(char if place < first or place >= count - last else STAR)
        place += 1
    return "".join(shown)


def _plain_digits(text: str) -> str:
    """
    Full-width digits as plain ones.
    """
    if text.isascii():
        return text
    return "".join(str(int(char)) if char.isdecimal() else char for char in text)
