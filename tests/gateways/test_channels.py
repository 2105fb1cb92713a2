"""Where notices go: addresses are read without being told, robots are sent what they take, and refusals are seen."""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from aftersales.forms.records import EMAIL
from aftersales.gateways import channels
from aftersales.gateways.channels import Address, Channels
from aftersales.settings import Settings
from aftersales.terms import load
from aftersales.words import Unable
from tests.gateways.receivers import Drip, Mailbox, Receiver, dripping

LIVE = load()
TOKEN = "5ecre7t0ken5ecre7t0ken5ecre7t0ken0123456789abcdef0123456789abcdef"


def read(text: str = "", **more: Any) -> Channels:
    """Channels as the environment gives them."""
    found = Settings(channels=text, **{"home": Path("/nonexistent"), **more})
    return channels.load(found, house=LIVE.house, staff=LIVE.staff())


async def send(url: str, subject: str = "已超时", body: str = "请尽快办理") -> channels.Outcome:
    """Send one message to an address."""
    address = Address(channels.mark(url), url.partition(":")[0], url)
    return await Channels().send(address, subject, body, key="notice-1")


# --- reading --------------------------------------------------------------------------------------------------------


def test_addresses_of_departments_staff_customers_and_rehearsals_are_read():
    found = read(
        f"""
        departments:
          logistics: ["dingtalk://{TOKEN}/", "mailto://127.0.0.1:25?from=a@b.cn&to=l@b.cn"]
        staff: {{A01: "json://127.0.0.1/a"}}
        customers: {{email: "mailtos://u:p@smtp.b.cn?from=a@b.cn"}}
        rehearsal: ["json://127.0.0.1/r"]
        """
    )

    assert [a.channel for a in found.departments["logistics"]] == ["dingtalk", "mailto"]
    assert found.staff["A01"][0].url == "json://127.0.0.1/a" and len(found.rehearsal) == 1
    assert found.reach_customers and set(found.without(LIVE.house)) == set(LIVE.house.departments) - {"logistics"}
    assert TOKEN not in repr(found) and ":p@" not in repr(found)


def test_without_anything_set_everything_waits_and_the_start_says_so():
    (warning,) = channels.warnings(read(), LIVE.house)

    assert "还没有设置通知渠道" in warning


def test_a_department_without_channel_is_named_at_the_start():
    found = read(json.dumps({"departments": {"logistics": ["json://127.0.0.1/a"]}}))

    departments, customers = channels.warnings(found, LIVE.house)
    assert "仓储部" in departments and "物流与配送部" not in departments and "客户" in customers


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604])
def test_a_file_that_others_can_read_is_refused(tmp_path: Path, mode: int):
    file = tmp_path / "channels.yaml"
    file.write_text(f"departments: {{logistics: ['dingtalk://{TOKEN}/']}}")
    file.chmod(mode)

    with pytest.raises(Unable, match="别的用户也能读，请先运行 chmod 600"):
        read(channels_file=file)

    file.chmod(0o600)
    assert list(read(channels_file=file).departments) == ["logistics"]
    assert list(read(home=tmp_path).departments) == ["logistics"], "at home it needs no variable"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        pytest.param("a: [", "不是 YAML 或 JSON", id="no YAML"),
        pytest.param("[]", "应当是一张表", id="no table"),
        pytest.param("department: {}", "没有这一项：department，可写：departments", id="a wrong key"),
        pytest.param("departments: []", "departments 应当是一张表", id="a list for a table"),
        pytest.param(
            "departments: {sales: ['json://a']}", "没有部门“sales”，可写：customer_service", id="no department"
        ),
        pytest.param(f"departments: {{'dingtalk://{TOKEN}': x}}", "没有部门“（不是代码）”", id="an address for a code"),
        pytest.param("staff: {C99: ['json://a']}", "没有员工编号“C99”", id="nobody of that id"),
        pytest.param(f"departments: {{logistics: [{TOKEN}]}}", "第 1 个地址不是 Apprise 地址", id="a token alone"),
        pytest.param("departments: {logistics: ['json://a', 5]}", "第 2 个地址不是 Apprise 地址", id="a number"),
        pytest.param("departments: {logistics: {a: b}}", "第 1 个地址不是 Apprise 地址", id="a table for a list"),
        pytest.param(f"departments: {{logistics: ['nonsense://{TOKEN}']}}", "Apprise 不认识", id="no such service"),
        pytest.param(f"departments: {{logistics: ['json://[{TOKEN}/a']}}", "Apprise 不认识", id="a host that is none"),
        pytest.param("departments: {logistics: ['wecombot://']}", "Apprise 不认识", id="a service without its key"),
        pytest.param(
            "departments: {logistics: ['mailto://h:25?from=a@b.cn&to=c@d.cn,e@f.cn']}", "有几个收件人", id="two at once"
        ),
        pytest.param("customers: {phone: x}", "customers 没有这一项：phone", id="customers have mail alone here"),
        pytest.param("customers: {email: 'json://a'}", "应当是发信的邮箱", id="mail that is none"),
        pytest.param("customers: {email: 'mailto://h?to=a@b.cn'}", "不写收件人", id="mail to somebody"),
        pytest.param("customers: {email: 'mailto://h?bcc=a@b.cn'}", "不写收件人", id="mail to somebody in secret"),
        pytest.param(
            "customers: {email: 'mailtos://u:p@h/archive@b.cn?from=a@b.cn'}", "写着收件人，请删去", id="mail to a path"
        ),
    ],
)
def test_what_cannot_be_read_is_one_sentence_that_quotes_no_address(text: str, says: str):
    with pytest.raises(Unable) as refused:
        read(text)

    sentence = str(refused.value)
    assert says in sentence and "\n" not in sentence and sentence.endswith("。")
    assert TOKEN not in sentence and "环境变量 AFTERSALES_CHANNELS" in sentence


COPIES = ["&cc=", "&bcc=", "&Bcc=", "&CC=", "&%63c=", "& cc=", "&cc =", ";cc=", "&b%63c="]


@pytest.mark.parametrize("copy", COPIES)
def test_a_copy_is_a_second_recipient_however_it_is_written(copy: str):
    url = f"mailtos://u:p@h.cn?from=a@b.cn&to=c@d.cn{copy}boss@shop.example"

    for document in ({"departments": {"logistics": [url]}}, {"staff": {"A01": url}}, {"rehearsal": [url]}):
        with pytest.raises(Unable, match="第 1 个地址里有几个收件人（抄送也算）"):
            read(json.dumps(document))


@pytest.mark.parametrize("named", [*COPIES, "&to=", "&To=", ";to=", "&%74o="])
def test_customers_mail_has_no_recipient_of_its_own_however_it_is_written(named: str):
    url = f"mailtos://u:p@h.cn?from=a@b.cn{named}boss@shop.example"

    with pytest.raises(Unable, match=r"customers\.email 写着收件人，请删去") as refused:
        read(json.dumps({"customers": {"email": url}}))

    assert "boss" not in str(refused.value)


@pytest.mark.parametrize("to", ["?to=nobody", "?to=li+shop+cn@example.com", "/nobody", "?from=a@b.cn&to=a%20b"])
def test_mail_to_nobody_is_refused_at_once(to: str):
    with pytest.raises(Unable, match="第 1 个地址里没有 Apprise 认得的收件人"):
        read(json.dumps({"staff": {"A01": f"mailtos://u:p@h.cn{to}"}}))


def test_what_a_service_takes_at_once_is_counted_one_by_one():
    """Apprise counts a batch as one."""
    with pytest.raises(Unable, match="有几个收件人"):
        read("staff: {A01: 'mailgun://u@h.cn/0123456789-0123456789-0123456789/a@b.cn/c@d.cn?batch=yes'}")


def test_mail_without_a_recipient_goes_to_its_sender_and_robots_name_none():
    found = read("staff: {A01: ['mailtos://u:p@h.cn', 'dingtalk://token/', 'dingtalk://token/13800000000']}")

    assert len(found.staff["A01"]) == 3


def test_a_robot_named_by_its_web_address_is_the_same_robot():
    found = read("departments: {logistics: ['https://qyapi.weixin.qq.com/cgi-bin/webhook/send?key=0123456789']}")

    (address,) = found.departments["logistics"]
    assert (address.channel, address.per_minute, address.most_bytes) == ("wecombot", 20, 2048)


# --- robots ---------------------------------------------------------------------------------------------------------

ROBOTS = {
    "dingtalk": ("dingtalk", "NotifyDingTalk", "http://{base}/robot/send?access_token={{token}}"),
    "wecombot": ("wecombot", "NotifyWeComBot", "http://{base}/webhook/send?key={{key}}"),
    "feishu": ("feishu", "NotifyFeishu", "http://{base}/bot/v2/hook/{{token}}/"),
}


@pytest.fixture(params=ROBOTS)
def robot(request: pytest.FixtureRequest, receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> str:
    """A robot's address; its service's fixed one is pointed to the receiver."""
    import importlib

    module, name, url = ROBOTS[request.param]
    plugin = getattr(importlib.import_module(f"apprise.plugins.{module}"), name)
    monkeypatch.setattr(plugin, "notify_url", url.format(base=receiver.base))
    return f"{request.param}://{TOKEN}/"


async def test_a_robot_is_sent_what_it_takes(robot: str, receiver: Receiver):
    receiver.answers = dict.fromkeys(
        ("/robot/send", "/webhook/send", f"/bot/v2/hook/{TOKEN}/"), (200, b'{"errcode":0}')
    )

    assert (await send(robot)).outcome == "done"

    (told,) = receiver.received
    assert TOKEN in told.path and told.headers["Content-Type"].startswith("application/json")
    if robot.startswith("feishu"):
        assert told.body["msg_type"] == "text" and set(told.body["content"]) == {"text"}
    else:
        assert told.body["msgtype"] == "text" and told.body["text"]["content"]
    assert told.text.splitlines() == ["已超时", "请尽快办理"]


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        pytest.param((200, b'{"errcode": 310000, "errmsg": "keywords not in content"}'), "错误码 310000", id="keyword"),
        pytest.param((200, b'{"errcode": 45009, "errmsg": "api freq out of limit"}'), "错误码 45009", id="too many"),
        pytest.param(
            (200, b'{"code": 19001, "msg": "param invalid: incoming webhook access token invalid"}'),
            "19001",
            id="token",
        ),
        pytest.param((200, b"<html>"), "看不懂", id="a page"),
        pytest.param((500, b"{}"), "HTTP 500", id="an error"),
    ],
)
async def test_a_robot_that_refuses_with_http_200_has_not_been_told(
    robot: str, receiver: Receiver, answer: tuple[int, bytes], reason: str
):
    """Apprise 1.13 looks at the status alone and would call it sent."""
    receiver.answers = dict.fromkeys(("/robot/send", "/webhook/send", f"/bot/v2/hook/{TOKEN}/"), answer)

    outcome = await send(robot)

    assert outcome.outcome == "failed" and reason in outcome.reason and TOKEN not in outcome.reason


async def test_dingtalk_shows_what_it_is_sent_though_its_address_asks_for_markdown(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
):
    from apprise.plugins import dingtalk

    monkeypatch.setattr(
        dingtalk.NotifyDingTalk, "notify_url", f"http://{receiver.base}/robot/send?access_token={{token}}"
    )

    assert (await send(f"dingtalk://{TOKEN}/?format=markdown", body="[点这里](http://e.example)")).outcome == "done"

    assert receiver.received[0].body["msgtype"] == "text"
    assert receiver.texts() == ["已超时\r\n[点这里](http://e.example)"]


async def test_dingtalk_signs_with_its_secret(receiver: Receiver, monkeypatch: pytest.MonkeyPatch):
    from apprise.plugins import dingtalk

    monkeypatch.setattr(
        dingtalk.NotifyDingTalk, "notify_url", f"http://{receiver.base}/robot/send?access_token={{token}}"
    )

    assert (await send(f"dingtalk://SEC0123456789@{TOKEN}/")).outcome == "done"

    assert "sign=" in receiver.received[0].path and "timestamp=" in receiver.received[0].path


async def test_what_is_too_long_for_a_robot_is_cut_within_its_bytes(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
):
    from apprise.plugins import wecombot

    monkeypatch.setattr(wecombot.NotifyWeComBot, "notify_url", f"http://{receiver.base}/webhook/send?key={{key}}")

    await send("wecombot://0123456789", body="一二三四五六七八九十\n" * 300)

    (told,) = receiver.texts()
    assert 1_500 < len(told.encode()) <= 2048 and told.endswith("（太长，其余请在系统中查看）")


# --- mail, outages, secrets -----------------------------------------------------------------------------------------


async def test_a_page_is_shown_in_mail_with_its_text_beside_it_and_elsewhere_the_text_alone(
    mailbox: Mailbox, receiver: Receiver
):
    page = "<p>请办理</p><table><tr><th>事项</th></tr><tr><td>A &lt; B</td></tr></table>"

    for url in (f"mailto://127.0.0.1:{mailbox.port}?from=a@shop.example&to=l@shop.example", receiver.url("robot")):
        (address,) = read(json.dumps({"departments": {"logistics": [url]}})).departments["logistics"]
        assert (await channels.Channels().send(address, "两项提醒", "1. A < B", page=page, key="k")).outcome == "done"

    ((_, mail),) = mailbox.received
    assert page in mail.get_body(("html",)).get_content()
    assert "A < B" in mail.get_body(("plain",)).get_content() and "<td>" not in mail.get_body(("plain",)).get_content()
    assert receiver.texts() == ["两项提醒\n1. A < B"]


async def test_mail_arrives_in_chinese(mailbox: Mailbox):
    outcome = await send(f"mailto://127.0.0.1:{mailbox.port}?from=a@shop.example&to=l@shop.example")

    assert outcome.outcome == "done"
    ((to, mail),) = mailbox.received
    assert to == ["l@shop.example"] and str(mail["Subject"]) == "已超时"
    assert "请尽快办理" in mail.get_body(("plain", "html")).get_content()


@pytest.mark.parametrize("more", ["", "&format=html", "&Format=markdown"])
async def test_mail_is_plain_text_and_keeps_its_lines(mailbox: Mailbox, more: str):
    """What a customer typed, an order number or a reason, is told as it is and is no markup."""
    typed = '订单 <img src="//e.example/p.png"> & *其他*\n第二行 A < B'

    await send(f"mailto://127.0.0.1:{mailbox.port}?from=a@shop.example&to=l@shop.example{more}", body=typed)

    ((_, mail),) = mailbox.received
    assert mail.get_content_type() == "text/plain" and not mail.is_multipart()
    assert mail.get_content().splitlines() == typed.splitlines()


@pytest.mark.parametrize(
    "url",
    [
        pytest.param("tgram://123456789:abcdefg_hijklmnop/12315544/", id="HTML else"),
        pytest.param("rocket://user:pass@localhost/#a", id="Markdown else"),
        pytest.param("dingtalk://token/?format=markdown", id="Markdown as the address asks"),
    ],
)
def test_no_channel_reads_a_notice_as_markup(url: str):
    assert channels._plugin(url).notify_format == "text"


async def test_mail_that_is_refused_has_failed(mailbox: Mailbox):
    mailbox.refused.add("gone@shop.example")

    outcome = await send(f"mailto://127.0.0.1:{mailbox.port}?from=a@shop.example&to=gone@shop.example")

    assert outcome.outcome == "failed" and "gone" not in outcome.reason


async def test_nobody_there_is_a_failure_in_words_of_ours():
    outcome = await send(f"json://user:{TOKEN}@127.0.0.1:9/x")

    assert (outcome.outcome, outcome.reason) == ("failed", "连接失败或被拒绝")


async def test_no_address_comes_into_any_log(receiver: Receiver, caplog: pytest.LogCaptureFixture, capfd: Any):
    receiver.answers["/x"] = (500, TOKEN.encode())
    with caplog.at_level(logging.DEBUG):
        await send(f"json://user:{TOKEN}@{receiver.base}/x")
        await send(f"dingtalk://{TOKEN}/")

    assert TOKEN not in caplog.text + "".join(capfd.readouterr())


async def test_two_sends_at_once_are_each_told_their_own_reason(receiver: Receiver):
    receiver.answers |= {"/a": (500, b""), "/b": (403, b"")}
    receiver.delay = 0.1

    first, second, third = await asyncio.gather(*(send(receiver.url(name)) for name in "abc"))

    assert "500" in first.reason and "403" in second.reason and third.outcome == "done"


async def test_a_host_that_never_ends_its_answer_takes_no_other_along_and_is_left_alone(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
):
    """Each read of it ends in time, so that no time-out of the connection ever comes."""
    assert (await send(receiver.url("first"))).outcome == "done"  # Apprise is loaded by now
    monkeypatch.setattr(channels, "LONGEST_SEND", 2.0)
    with dripping() as drip:
        hung = await asyncio.gather(*(send(drip.url()) for _ in range(channels.AT_ONCE)))
        assert {(each.outcome, each.reason) for each in hung} == {("unknown", channels.SILENT)}

        assert [(await send(receiver.url(name))).outcome for name in "abc"] == ["done"] * 3
        refused = await send(drip.url("other"))
        assert (refused.outcome, refused.reason) == ("failed", channels.STUCK)
        assert drip.asked == channels.AT_ONCE, "it was not asked again, so that nothing can have arrived"

    async with asyncio.timeout(20):
        while (await send(drip.url())).reason == channels.STUCK:  # noqa: ASYNC110 - its threads end by themselves
            await asyncio.sleep(0.05)
    assert (await send(drip.url())).reason == "连接失败或被拒绝", "once its connections are gone it is asked again"


ENDS = """
import asyncio, sys
from aftersales.gateways import channels

channels.LONGEST_SEND = 2.0
address = channels.Address("mark", "json", sys.argv[1])
print(asyncio.run(channels.Channels().send(address, "已超时", "请尽快办理", key="notice-1")).outcome)
"""


def test_a_command_ends_though_a_send_of_it_never_does(drip: Drip):
    told = subprocess.run(
        [sys.executable, "-c", ENDS, drip.url()], check=False, capture_output=True, text=True, timeout=20
    )

    assert (told.returncode, told.stdout, told.stderr) == (0, "unknown\n", "")


def test_an_address_is_named_by_a_mark_that_does_not_tell_it():
    assert channels.mark("a") == hashlib.sha256(b"a").hexdigest()[:16]


# --- customers ------------------------------------------------------------------------------------------------------

MAILS = Channels(email="mailto://127.0.0.1:25?from=a@shop.example")


@pytest.mark.parametrize("mail", ["li.xiaohong@example.com", "a+b@mail.qq.com", "_a-b@x-y.cn", f"{'a' * 64}@x.com"])
def test_a_customers_mail_goes_to_exactly_this_address(mail: str):
    assert_goes_to(mail)


def assert_goes_to(mail: str) -> None:
    """A customer's mail has this recipient and no other, open or in secret."""
    (address,), lack = MAILS.of_customer({"email": mail})
    plugin = channels._plugin(address.url, address.to)

    assert [to for _, to in plugin.targets] == [mail] and not plugin.cc and not plugin.bcc and lack == ""


def made_up(count: int) -> list[str]:
    """Addresses that fit, the same every time; more than one `+` is what Apprise itself cannot read."""
    dice, found = random.Random(7), ["li+shop+cn@example.com"]
    while len(found) < count:
        local, host = ("".join(dice.choices(letters, k=dice.randint(1, 9))) for letters in ("aZ1_-.+", "aZ1-."))
        mail = f"{local}@{host}.{dice.choice(['cn', 'com', 'museum'])}"
        found += [mail] if EMAIL.fits(mail) else []
    return found


def test_every_mail_that_may_be_registered_goes_to_exactly_this_address():
    for mail in made_up(150):
        assert_goes_to(mail)


async def test_mail_to_every_address_that_may_be_registered_arrives_there(mailbox: Mailbox):
    known = Channels(email=f"mailto://127.0.0.1:{mailbox.port}?from=a@shop.example")
    mails = made_up(20)

    for mail in mails:
        (address,), _ = known.of_customer({"email": mail})
        assert (await known.send(address, "您的申请", "已收到", key="notice-1")).outcome == "done"

    assert [to for to, _ in mailbox.received] == [[mail] for mail in mails]
    assert [str(mail["To"]) for _, mail in mailbox.received] == mails


@pytest.mark.parametrize(
    "mail",
    [
        pytest.param("a@x.com,b@x.com", id="two with a comma"),
        pytest.param("a@x.com;b@x.com", id="two with a semicolon"),
        pytest.param("a@x.com b@x.com", id="two with a blank"),
        pytest.param("evil@x.com?bcc=b@x.com", id="a second one in secret"),
        pytest.param("evil@x.com?bcc=b.com", id="what would be cut off"),
        pytest.param("a%2Cb@x.com", id="a comma that is read twice"),
        pytest.param("a@x.xn--fiqs8s", id="what would go to somebody else"),
        pytest.param("notanemail", id="none at all"),
    ],
)
def test_what_is_not_one_address_is_no_channel_and_says_so(mail: str):
    assert MAILS.of_customer({"email": mail}) == ((), channels.NOT_ONE)
    assert Channels().of_customer({"email": mail}) == ((), "")
