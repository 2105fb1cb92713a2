"""
Channels: where notices go, through Apprise and an SMS gateway (NTC-01 to NTC-15, P-11).

Addresses are secrets: they come from a file that only its owner can read, or from the environment; nothing else of our
code holds one. Whatever is written down names an address by a mark of its content, and tells an error in words of ours:
what a library says of an error may quote the address.
"""

from __future__ import annotations

import asyncio
import functools
import hashlib
import json
import logging
import re
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

from aftersales.forms.records import EMAIL as MAIL
from aftersales.gateways import Outcome
from aftersales.gateways.http import HttpMessages
from aftersales.gateways.secret_files import SecretFile, shown
from aftersales.rules import deliveries
from aftersales.settings import Settings
from aftersales.terms import House
from aftersales.words import Staff, Unable

SECRETS = SecretFile("渠道文件", "channels.yaml", "AFTERSALES_CHANNELS", "docs/handbook/notices.md", quoted="地址")
SMS = "sms"
EMAIL = "email"
# what one address may be sent in a minute, where its makers say so: DingTalk, WeCom 20, Feishu 100
PER_MINUTE = {"dingtalk": 20, "wecombot": 20, "feishu": 100, "lark": 100}
# the most that one message may hold there, in bytes of UTF-8; of mail and our own contract nobody says
MOST_BYTES = {"wecombot": 2048, "dingtalk": 20_000, "feishu": 20_000, "lark": 20_000, SMS: 1_000}
# a send ends within this, with an answer or without
LONGEST_SEND = 30.0
# notices on their way at once; more would not be faster in one process
AT_ONCE = 8
# sends to one host that were given up and go on in their threads; while there are so many, it gets no more
MOST_ABANDONED = 2
# it may have arrived
SILENT = "没有在规定时间内回复"
# it was not sent, so it has not arrived
STUCK = "对方没有结束之前的回复，这次没有发出"
# kept before an import looked at it
NOT_ONE = "登记的邮箱不是一个邮箱地址"
_WAITS = "cto=5&rto=15&retry=0"
# whatever the address or the service would have: what people typed stands in a notice, and is no markup
_PLAIN = "format=text"
_MARKUP = "format=html"
_SCHEMA = re.compile(r"[a-z][a-z0-9+.-]{1,20}://", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Address:
    """One address of one recipient. `mark` names it without telling it; `url` is a secret."""

    mark: str
    channel: str
    url: str = field(repr=False)
    # of mail to a customer the recipient, whom `url` does not name
    to: str = field(default="", repr=False)

    @property
    def host(self) -> str:
        """Who is spoken to there: a server, or of a robot its token; a secret too."""
        return re.split("[/?]", self.url.partition("://")[2], maxsplit=1)[0].rpartition("@")[2]

    @property
    def per_minute(self) -> int | None:
        """How many messages it takes in a minute; None: as many as there are."""
        return PER_MINUTE.get(self.channel)

    @property
    def most_bytes(self) -> int:
        """How long a message may be."""
        return MOST_BYTES.get(self.channel, 1_000_000)


@dataclass(frozen=True, slots=True)
class Channels:
    """Who is reached where. Empty: everything waits."""

    departments: Mapping[str, tuple[Address, ...]] = field(default_factory=dict)
    staff: Mapping[str, tuple[Address, ...]] = field(default_factory=dict)
    rehearsal: tuple[Address, ...] = ()
    email: str = field(default="", repr=False)
    sms: HttpMessages | None = None

    @property
    def reach_customers(self) -> bool:
        """Whether any channel leads to customers."""
        return bool(self.email or self.sms)

    def of(self, recipient: str, staff: Mapping[str, Staff]) -> tuple[tuple[Address, ...], str]:
        """
        The addresses of a department or a member of staff, and how the message is addressed there.

        Whoever has no address of their own is called by name at their department's.
        """
        kind, _, code = recipient.partition(":")
        if kind == "department":
            return self.departments.get(code, ()), ""
        if own := self.staff.get(code):
            return own, ""
        person = staff.get(code)
        if person is None:
            return (), ""
        return self.departments.get(person.department, ()), f"（致{person.name}）"

    def of_customer(self, contact: Mapping[str, str]) -> tuple[tuple[Address, ...], str]:
        """
        The addresses of a customer, the first to be tried first: the later ones stand in for it (RET-11).

        And what they lack; empty when they have all that they could have.
        """
        found = []
        if self.sms and (phone := contact.get("phone")):
            found.append(Address(SMS, SMS, phone))
        mail = contact.get("email", "")
        is_one = MAIL.fits(mail)
        if self.email and is_one:
            found.append(Address(EMAIL, "mailto", self.email, mail))
        return tuple(found), NOT_ONE if self.email and mail and not is_one else ""

    def without(self, house: House) -> list[str]:
        """The departments that nobody reaches."""
        return [code for code in house.departments if code not in self.departments]

    async def send(
        self, address: Address, subject: str, body: str, *, key: str, page: str = "", again: bool = False
    ) -> Outcome:
        """
        Send one message to one address; where tables are shown, which is in mail alone, its `page` in place of its body.

        `key` is the notice's own, for channels that know it again; `again` says that it was tried before.
        """
        if address.channel == SMS:
            assert self.sms is not None
            return await _by_sms(self.sms, address, deliveries.fitted(body, address.most_bytes), key, again)
        if page and address.channel == "mailto":
            return await _by_apprise(address, subject, page, is_page=True)
        return await _by_apprise(address, subject, deliveries.fitted(body, address.most_bytes - len(subject.encode())))


def warnings(known: Channels, house: House) -> list[str]:
    """What is worth knowing before the start: whom nobody reaches; their notices wait."""
    if not known.departments and not known.staff and not known.reach_customers:
        return ["提示：还没有设置通知渠道，通知只写入待发、不会发出（设置方法见 docs/handbook/notices.md）。"]
    found = []
    if names := [house.departments[code].name for code in known.without(house)]:
        found.append(
            f"提示：{'、'.join(names)}没有通知渠道，发给他们的通知先留在待发里（见 docs/handbook/notices.md）。"
        )
    if not known.reach_customers:
        found.append("提示：没有设置客户的短信或邮件渠道，发给客户的通知先留在待发里（见 docs/handbook/notices.md）。")
    return found


# --- reading them ---------------------------------------------------------------------------------------------------


def load(settings: Settings, *, house: House, staff: Mapping[str, Staff]) -> Channels:
    """
    Read the channels: AFTERSALES_CHANNELS (JSON), else the file AFTERSALES_CHANNELS_FILE, else `channels.yaml` at home.

    Raises Unable with one sentence, which never quotes an address.
    """
    text, where = SECRETS.read(settings.channels, settings.channels_file, settings.home)
    sms = None
    if settings.sms_url:
        sms = HttpMessages(settings.sms_url, settings.sms_key.get_secret_value())
    if not text.strip():
        return Channels(sms=sms)
    return _read(text, where, house, staff, sms)


def _read(text: str, where: str, house: House, staff: Mapping[str, Staff], sms: HttpMessages | None) -> Channels:
    data = SECRETS.parse(text, where)
    known: dict[str, Any] = {"departments": dict, "staff": dict, "customers": dict, "rehearsal": list}
    table = SECRETS.table(data, where, tuple(known))
    departments = _groups(table, "departments", where, house.departments, "部门", "departments 下写部门代码")
    people = _groups(table, "staff", where, staff, "员工编号", "staff 下写员工编号")
    customers = SECRETS.table(table.get("customers") or {}, f"{where} 的 customers", (EMAIL,))
    rehearsal = _addresses(table.get("rehearsal") or [], f"{where} 的 rehearsal")
    email = customers.get(EMAIL) or ""
    if email:
        _check_mail(email, f"{where} 的 customers.email")
    return Channels(departments, people, rehearsal, email, sms)


def _groups(
    table: Mapping[str, Any], key: str, where: str, known: Mapping[str, Any], what: str, hint: str
) -> dict[str, tuple[Address, ...]]:
    value = {} if table.get(key) is None else table[key]
    if not isinstance(value, dict):
        raise Unable(f"{where} 的 {key} 应当是一张表：{hint}，其后写地址的列表。")
    for code in value:
        if str(code) not in known:
            raise Unable(f"{where} 的 {key} 没有{what}“{shown(code)}”，可写：{'、'.join(known)}。")
    return {
        str(code): found
        for code, urls in value.items()
        if (found := _addresses(urls or [], f"{where} 的 {key}.{code}"))
    }


def _addresses(urls: Any, where: str) -> tuple[Address, ...]:
    """Read a list of addresses. Raises Unable, naming the place by its number."""
    found: list[Address] = []
    for place, url in enumerate([urls] if isinstance(urls, str) else urls if isinstance(urls, list) else [None], 1):
        here = f"{where} 的第 {place} 个地址"
        if not isinstance(url, str) or not _SCHEMA.match(url):
            raise Unable(f"{here}不是 Apprise 地址，请写成 dingtalk://…、wecombot://…、mailto://…、json://… 这样。")
        plugin = _plugin(url)
        if plugin is None:
            raise Unable(
                f"{here} Apprise 不认识，请对照 Apprise 的写法检查，如 dingtalk://令牌/、mailtos://用户:密码@主机。"
            )
        _check_one(plugin, here)
        address = Address(mark(url), _channel(plugin), url)
        if address.mark not in [each.mark for each in found]:
            found.append(address)
    return tuple(found)


def _check_one(plugin: Any, here: str) -> None:
    """See that an address is one recipient. Raises Unable."""
    to, copies = _recipients(plugin)
    if _is_mail(plugin) and not to:
        raise Unable(f"{here}里没有 Apprise 认得的收件人，请写成 mailtos://用户:密码@主机?to=收件地址 这样。")
    # of several whom a service takes at once, Apprise counts one
    if max(len(plugin), len(to)) + len(copies) > 1:
        raise Unable(f"{here}里有几个收件人（抄送也算），送到与否要分别记录，请一个收件人写一个地址。")


def _check_mail(url: Any, where: str) -> None:
    """See that customers' mail names nobody yet: whoever it named would get every customer's mail. Raises Unable."""
    shape = "写成 mailtos://用户:密码@主机?from=发件地址"
    if not isinstance(url, str) or not re.match(r"mailtos?://", url):
        raise Unable(f"{where} 应当是发信的邮箱，{shape}，不写收件人。")
    plugin = _plugin(url)
    if plugin is None:
        raise Unable(f"{where} Apprise 不认识，请{shape}，不写收件人。")
    to, copies = _recipients(plugin)
    # where no recipient is written, Apprise takes the sender
    if copies or [mail for _, mail in to] != [plugin.from_addr[1]]:
        raise Unable(f"{where} 写着收件人，请删去（抄送也是），{shape}。")


def _recipients(plugin: Any) -> tuple[list[Any], list[Any]]:
    """To whom an address leads and who gets a copy, as Apprise has read it: one thing may be written in many ways."""
    to, cc, bcc = (getattr(plugin, name, None) for name in ("targets", "cc", "bcc"))
    # a few services keep a table of settings under that name
    return list(to) if isinstance(to, list | tuple | set) else [], [*(cc or ()), *(bcc or ())]


def _is_mail(plugin: Any) -> bool:
    """Whether a service sends mail: those know secret copies."""
    return hasattr(plugin, "bcc")


def _channel(plugin: Any) -> str:
    """Name a service by its class: its own web address leads to it too."""
    name = plugin.protocol or plugin.secure_protocol
    return name if isinstance(name, str) else name[0]


def mark(url: str) -> str:
    """Name an address without telling it: the same one always by the same mark."""
    return hashlib.sha256(url.encode()).hexdigest()[:16]


# --- Apprise --------------------------------------------------------------------------------------------------------

# what one send was told by the other side; each send runs in a thread, and so in a context, of its own
_told: ContextVar[list[str] | None] = ContextVar("aftersales_told", default=None)


def _plugin(url: str, to: str = "", *, is_page: bool = False) -> Any:
    """Apprise's own object for an address, None when it knows none such; of mail `to` is its one recipient."""
    import apprise

    _quiet()
    _listen()
    told = f"{url}{'&' if '?' in url else '?'}{_WAITS}&{_MARKUP if is_page else _PLAIN}"  # what is said last counts
    plugin: Any = apprise.Apprise.instantiate(told, suppress_exceptions=True)
    if plugin is not None and to:
        plugin.targets = [(False, to)]  # Apprise reads no address with two `+`, and might read one as several
    return plugin


@functools.cache
def _quiet() -> None:
    """Keep what Apprise and what it calls log out of every log: it quotes addresses. Why a send failed is heard here."""
    log = logging.getLogger("apprise")
    log.addFilter(_Ear())
    log.setLevel(logging.DEBUG)  # a time-out is told there alone
    for name in ("urllib3.connectionpool", "urllib3.connection", "urllib3.util.retry"):
        logging.getLogger(name).addFilter(lambda record: _told.get() is None)


class _Ear(logging.Filter):
    """Hears why a send failed, and lets nothing through."""

    def filter(self, record: logging.LogRecord) -> bool:
        told = _told.get()
        if told is not None and (record.levelno >= logging.WARNING or "timed out" in record.getMessage()):
            told.append(record.getMessage())
        return False


@functools.cache
def _listen() -> None:
    """
    Read what the robots of DingTalk, WeCom and Feishu answer: they refuse with HTTP 200 and a code in the body.

    Apprise 1.13 looks at the status alone and calls such a message sent.
    """
    from apprise.plugins import dingtalk, feishu, lark, wecombot

    module: Any
    for module in (dingtalk, wecombot, feishu, lark):
        module.requests = _Attentive(module.requests)


class _Attentive:
    """`requests`, whose `post` reads a robot's answer."""

    def __init__(self, requests: Any) -> None:
        self._requests = requests

    def __getattr__(self, name: str) -> Any:
        return getattr(self._requests, name)

    def post(self, *args: Any, **kwargs: Any) -> Any:
        """Send it; a refusal is an error that Apprise understands."""
        answer = self._requests.post(*args, **kwargs)
        if answer.status_code == self._requests.codes.ok and (refusal := _refusal(answer.content)):
            told = _told.get()
            if told is not None:
                told.append(refusal)
            raise self._requests.RequestException("refused")
        return answer


def _refusal(content: bytes) -> str:
    """What a robot's answer says against a message; empty when it took it."""
    try:
        said = json.loads(content)
    except ValueError:
        return "robot=unreadable"
    if not isinstance(said, dict):
        return "robot=unreadable"
    code = next((said[name] for name in ("errcode", "code", "StatusCode") if name in said), None)
    return "" if code == 0 else f"robot={code}"


async def _by_apprise(address: Address, subject: str, body: str, *, is_page: bool = False) -> Outcome:
    """Send through Apprise, one address at a time: of many targets it gives one verdict (P-11)."""
    told: list[str] = []

    def send() -> bool | None:
        from apprise import NotifyFormat

        _told.set(told)
        plugin = _plugin(address.url, address.to, is_page=is_page)
        if plugin is None:
            return None
        written = NotifyFormat.HTML if is_page else NotifyFormat.TEXT
        return bool(plugin.notify(body=body, title=subject, body_format=written))

    if _is_stuck(address.host):
        return Outcome("failed", reason=STUCK)
    sending = _in_thread(send)
    try:
        async with asyncio.timeout(LONGEST_SEND):
            is_sent = await asyncio.wrap_future(sending)
    except TimeoutError:
        return Outcome("unknown", reason=SILENT)
    except Exception as error:  # whatever a plugin raises: its text may quote the address
        return Outcome("failed", reason=f"渠道出错（{type(error).__name__}）")
    finally:
        if not sending.done():
            _abandoned.setdefault(address.host, []).append(sending)
    if is_sent is None:
        return Outcome("failed", reason="地址不能用了，请检查渠道文件")
    if is_sent:
        return Outcome("done")
    why = _why(told)
    return Outcome("unknown" if why == SILENT else "failed", reason=why)


def _in_thread(work: Callable[[], bool | None]) -> Future[bool | None]:
    """
    Run a send in a thread of its own, which the end of the process does not wait for.

    Apprise bounds each read and not the whole: who drips a byte now and then is listened to for days, and no thread can
    be ended from outside. Threads of a pool would all be lost to one such host, and be joined at the end.
    """
    outcome: Future[bool | None] = Future()
    outcome.set_running_or_notify_cancel()  # whoever gives it up cancels nothing: it is done when its thread is

    def run() -> None:
        try:
            outcome.set_result(work())
        except BaseException as error:
            outcome.set_exception(error)

    threading.Thread(target=run, name="channel", daemon=True).start()
    return outcome


# what nobody waits for any more although its thread still listens, by host
_abandoned: dict[str, list[Future[bool | None]]] = {}


def _is_stuck(host: str) -> bool:
    """Whether a host keeps so many threads of given-up sends that it gets no more of them."""
    still = [each for each in _abandoned.pop(host, []) if not each.done()]
    if still:
        _abandoned[host] = still
    return len(still) >= MOST_ABANDONED


def _why(told: Sequence[str]) -> str:
    """Say why a send failed: the codes of what was said, never its words."""
    said = " ".join(told)
    if found := re.search(r"robot=(\w+)", said):
        return "机器人的回复看不懂" if found[1] == "unreadable" else f"机器人拒收（错误码 {found[1]}）"
    if found := re.search(r"error=(\d{3})", said):
        return f"对方回复 HTTP {found[1]}"
    if "timed out" in said and "connect timeout" not in said:
        return SILENT
    return "连接失败或被拒绝"


async def _by_sms(gateway: HttpMessages, address: Address, text: str, key: str, again: bool) -> Outcome:
    """Send by SMS; what was tried before is asked about first, so that nobody gets a message twice (P-15)."""
    known = await gateway.ask(key) if again else None
    if known is None or known.outcome == "failed":
        return await gateway.text(key, to=address.url, text=text)
    return known
