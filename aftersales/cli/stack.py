"""`aftersales up` and what it starts: `prepare`, `deploy`, `worker`."""

from __future__ import annotations

import asyncio
import importlib
import importlib.util
import os
from typing import Any

import click

from aftersales.settings import settings
from aftersales.words import Unable


@click.command()
def up() -> None:
    """启动全部服务：数据库、Prefect 服务、工作进程、回调服务、顾客自助页面；按 Ctrl-C 停止。"""
    from rich.console import Console

    from aftersales import terms
    from aftersales.gateways import channels
    from aftersales.serve import keys
    from aftersales.stack import up as stack

    found = terms.load()  # every mistake at once, before anything starts
    house = found.house
    keys.load(settings(), staff=found.staff())
    console = Console(highlight=False, soft_wrap=True)
    known = settings()
    if known.page_url.startswith("https://") and not known.trusted_proxies:
        console.print(
            "请注意：设置了 AFTERSALES_PAGE_URL，没有设置 AFTERSALES_PAGE_PROXIES，所有顾客会被当成同一个访客限制查询次数；"
            "请填上代理服务器的地址，见 docs/handbook/page.md。"
        )
    for warning in channels.warnings(channels.load(settings(), house=house, staff=found.staff()), house):
        console.print(warning)
    console.print("正在启动（第一次需要一两分钟）……")
    stack.run(settings(), say=console.print, welcome=lambda found: _welcome(console, found, house))
    console.print("已全部停止，数据都已保存。")


def _welcome(console: Any, stack: Any, house: Any) -> None:
    from rich.text import Text

    from aftersales.desk import links
    from aftersales.stack import deploy

    console.rule("已就绪，请用浏览器打开")
    found, pages = deploy.known(stack.database_url), deploy.pages(stack.database_url)
    for label, url in links.links(stack.ui_url, house, deployments=found, pages=pages):
        console.print(Text.assemble("  ", (label, "bold"), "\n    ", (url, f"link {url}")))
    console.print(Text.assemble("  ", ("顾客自助页面", "bold"), "\n    ", (stack.page_url, f"link {stack.page_url}")))
    if stack.auth:
        console.print("  登录：页面会询问密码，请输入 AFTERSALES_AUTH 的值（用户名:密码）。")
    console.rule()
    console.print("另开一个终端运行 make demo 可以看一遍演示；在这里按 Ctrl-C 停止全部服务。")


@click.command()
def worker() -> None:
    """启动工作进程（up 会启动一个；也可以在别的机器上再启动）。"""
    from aftersales.cli import database

    # Prefect reads its settings when it is imported, so the worker is imported after the desk was found
    os.environ["AFTERSALES_DATABASE_URL"] = database.located().database_url
    settings.cache_clear()
    sending = importlib.import_module("tasks.sending")
    sending.known_channels()  # a mistake in them is told before anything is taken in hand
    surveys = importlib.import_module("tasks.surveys")
    chores = {sending.send_what_is_due: sending.SECONDS, surveys.look_after_what_is_due: surveys.SECONDS}
    importlib.import_module("aftersales.desk.worker").run(chores)


@click.command()
def serve() -> None:
    """启动回调服务：接收支付渠道、承运商和店铺系统发来的（up 会启动一个），只在本机监听。"""
    from aftersales import terms
    from aftersales.cli import database
    from aftersales.serve import keys

    if not settings().database_url:  # a case is told without Prefect too: its worker wakes the run
        desk = database.located()
        os.environ["AFTERSALES_DATABASE_URL"] = desk.database_url
        if desk.auth:  # whoever needs a login for the desk needs it for the plot
            os.environ["AFTERSALES_AUTH"] = desk.auth
        settings.cache_clear()
    found = settings()
    shops = keys.load(found, staff=terms.load().staff())
    app = importlib.import_module("aftersales.serve.app")
    app.run(keys=found.callback_keys, shops=shops, port=found.callbacks_port, auth=found.auth)


@click.command()
def page() -> None:
    """启动顾客自助页面：查询售后进度、申请退货（up 会启动一个），只在本机监听。"""
    from aftersales.cli import database

    if not settings().database_url:
        os.environ["AFTERSALES_DATABASE_URL"] = database.located().database_url
        settings.cache_clear()
    found = settings()
    importlib.import_module("aftersales.page.app").run(port=found.customers_port, proxies=found.trusted_proxies)


@click.command(hidden=True)
@click.option("--sample", is_flag=True, help="空店铺装入示例数据。")
def prepare(sample: bool) -> None:
    """建库、升级表结构（由 up 调用）。"""
    from aftersales.stack import prepare as stack

    ours, prefects = settings().database_url, settings().prefect_database_url
    if not ours or not prefects:
        raise Unable(
            "prepare 由 aftersales up 调用；单独运行请先设置 AFTERSALES_DATABASE_URL 和 AFTERSALES_PREFECT_DATABASE_URL。"
        )
    stack.databases(ours=ours, prefects=prefects)
    if sample and stack.wants_sample(ours):
        asyncio.run(_load_sample(ours))


async def _load_sample(url: str) -> None:
    from aftersales import clock
    from aftersales.stack import prepare as stack
    from aftersales.store import engine, sample

    engine.connect(url)
    try:
        async with engine.transaction() as connection:
            loaded = await sample.load(connection, now=clock.now())
            await connection.execute(stack.sample_mark())
        click.echo(f"空店铺：已装入示例数据（{loaded}）。")
    finally:
        await engine.disconnect()


@click.command(hidden=True)
@click.option("--if-changed", is_flag=True, help="没有变化时什么也不做。")
def deploy(if_changed: bool) -> None:
    """把 prefect.yaml 里的流程部署到 Prefect（由 up 调用）。"""
    from aftersales.cli import database
    from aftersales.stack import deploy as stack

    found = database.located()
    where = {"database_url": found.database_url, "api_url": found.api_url, "auth": found.auth}
    if if_changed and not stack.is_needed(**where):
        click.echo("没有变化，不需要重新部署。")
        return
    from aftersales.desk import deployments
    from aftersales.store import engine
    from tasks import boards, desks, figures

    async def refine(client: Any) -> None:
        await deployments.refine(client)
        engine.connect(found.database_url)
        try:
            await desks.publish_lists(client)
            await boards.refresh(client, anew=True)
            await figures.refresh(client, anew=True)
        finally:
            await engine.disconnect()

    for name, key in stack.run(**where, refine=refine).items():
        click.echo(f"{name} {key}")
