"""
Who may see an order: whoever knows its number and its phone (SLF-01, AMB-47).

People write numbers in many ways; what counts is which digits they mean.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import re
import unicodedata

from aftersales.words import UNSEEN

# longer than any number that an order or a phone has: what is longer is not looked for
MOST_ORDER_NO = 64
MOST_PHONE = 40


def plain_order_no(text: str) -> str:
    """An order number as it is stored: without blanks around it, full-width signs as plain ones; empty: none can be so."""
    plain = _plain(text).strip()
    return plain if 0 < len(plain) <= MOST_ORDER_NO and plain.isprintable() else ""


def plain_phone(text: str) -> str:
    """
    The digits of a phone number without the code of China; empty when it is none.

    `+86 138-0000-1234`, `0086 13800001234` and `１３８００００１２３４` are one number.
    """
    plain = _plain(text)
    if len(plain) > MOST_PHONE or re.search(r"[^0-9+\s().\-‐‑–—－·/]", plain):
        return ""
    digits = re.sub(r"[^0-9]", "", plain)
    if found := re.fullmatch(r"(?:00)?86(1[0-9]{10})", digits):
        return found[1]
    return digits if 5 <= len(digits) <= 20 else ""


def is_match(*, given: str, known: str) -> bool:
    """
    Say whether a phone is an order's, in a time that tells nothing of where they differ (AMB-47).

    An order without a phone, or one that there is not, matches nobody; as much is done for it.
    """
    mine, theirs = plain_phone(given), plain_phone(known)
    is_same = hmac.compare_digest(_mark(mine), _mark(theirs))
    return is_same and bool(mine) and bool(theirs)


def neighborhood(address: str) -> str:
    """Whom an address stands for when tries are counted: of IPv6 its /64, for one visitor has all of that."""
    try:
        known = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return ""
    if known.version == 4:
        return str(known)
    return str(known.ipv4_mapped or ipaddress.ip_network((known, 64), strict=False))


def _mark(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()


def _plain(text: str) -> str:
    return re.sub(f"[{UNSEEN}]", "", unicodedata.normalize("NFKC", text))
