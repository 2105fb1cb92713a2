"""
Signed links: what the shop hands to a customer, and what comes back from them (SVY-02, GEN-10).

A link says what it is for, what it is about and until when; whoever changes a letter of it holds nothing.
It is signed and not hidden: never put into it what its holder may not read.
The key is `AFTERSALES_LINK_KEY`, else one that the first process makes and keeps in `AFTERSALES_HOME`.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path

from itsdangerous import BadData, URLSafeSerializer

from aftersales.settings import Settings, settings
from aftersales.words import Unable, trouble

FILE = "link.key"
# longer than any of ours: what is longer is not even looked at
MOST_CHARACTERS = 400


class Unreadable(Unable):
    """A link that we did not sign, or that is over."""


class Over(Unreadable):
    """A link that we signed and whose time has passed."""


def sign(purpose: str, subject: str, expires_at: datetime) -> str:
    """Sign what a link is for and about; the answer can stand in an address."""
    return _serializer(purpose).dumps([subject, int(expires_at.timestamp())])


def read(purpose: str, token: str, *, at: datetime) -> str:
    """Read what a link is about. Raises Over when its time has passed, Unreadable when it is not ours for this purpose."""
    try:
        if len(token) > MOST_CHARACTERS:
            raise BadData("too long")
        subject, until = _serializer(purpose).loads(token)
        expires_at = datetime.fromtimestamp(until, UTC)
        if not isinstance(subject, str):
            raise TypeError
    except (BadData, TypeError, ValueError, OverflowError, OSError):
        raise Unreadable("链接不对或不完整，请从收到的消息里重新打开。") from None
    if at >= expires_at:
        raise Over("链接已过期。")
    return subject


def address(path: str) -> str:
    """The public address of a page, as it may stand in a message: `address("/survey/…")`."""
    return f"{settings().page_address}{path}"


def secret(purpose: str) -> bytes:
    """A secret of our own for one purpose, such as marks that nobody can turn back."""
    return hashlib.blake2b(purpose.encode(), key=_keys()[0].encode()[:64], digest_size=32).digest()


def _serializer(purpose: str) -> URLSafeSerializer:
    # the library signs with the last one and reads by all
    keys = [*reversed(_keys())]
    return URLSafeSerializer(
        keys, salt=f"aftersales.{purpose}", signer_kwargs={"key_derivation": "hmac", "digest_method": hashlib.sha256}
    )


def _keys() -> Sequence[str]:
    known = settings()
    return known.link_keys or (_kept(known.home),)


def prepare(known: Settings) -> None:
    """See that there is a key, so that nobody finds out at the first link. Raises Unable."""
    if not known.link_keys:
        _kept(known.home)


@lru_cache
def _kept(home: Path) -> str:
    """The key that is kept in the home; made by whoever comes first, readable by nobody else. Raises Unable."""
    file = home / FILE
    try:
        home.mkdir(parents=True, exist_ok=True)
        if not file.exists():
            handle, draft = tempfile.mkstemp(prefix=".link-", dir=home)  # with mode 0600
            with os.fdopen(handle, "w") as out:
                out.write(secrets.token_urlsafe(48) + "\n")
            try:
                os.link(draft, file)  # unlike a rename: whoever comes second keeps what is there
            except FileExistsError:
                pass
            finally:
                Path(draft).unlink()
        key = file.read_text().strip()
    except OSError as error:
        raise Unable(
            f"链接的密钥文件 {file} 用不了（{trouble(error)}），请检查权限，或设置 AFTERSALES_LINK_KEY。"
        ) from None
    if len(key) < 16:
        raise Unable(f"链接的密钥文件 {file} 不完整，请删除它后重新启动（已发出的链接随之失效）。")
    return key
