"""`aftersales keys`: a fresh secret for a shop system, as its file wants it."""

from __future__ import annotations

import json
import secrets

import click

from aftersales.cli.common import Word


@click.command()
@click.argument("name", type=Word(), metavar="密钥编号")
@click.argument("rights", nargs=-1, required=True, type=Word(), metavar="权限…")
@click.option("--as", "operator", type=Word(), metavar="工号", help="以哪位员工的身份办理；只有 apply 的可以不写。")
def keys(name: str, rights: tuple[str, ...], operator: str | None) -> None:
    """
    生成一把店铺系统的密钥，写成密钥文件的一段；什么也不保存。

    例：aftersales keys wms receive inspect --as W02
    """
    from aftersales import terms
    from aftersales.serve.keys import SECRETS, read
    from aftersales.settings import settings
    from aftersales.words import Right, Unable

    path = settings().api_keys_file or settings().home / SECRETS.name
    told = {"secrets": [secrets.token_urlsafe(32)], "rights": list(rights), "staff": operator or ""}
    # what the service would refuse is refused here, in the words of this command
    people = terms.load().staff()
    if operator and operator not in people:
        raise Unable(f"没有员工“{operator}”，名单在 config/staff.yaml。")
    if not operator and set(rights) != {Right.APPLY.value}:
        raise Unable("这些权限要以一位员工的身份办理，请加 --as 工号，如 --as W02；只有 apply 可以不写。")
    key = read(name, told, where=str(path), staff=people)
    click.echo(f"{name}:")
    click.echo(f"  secrets: {json.dumps(key.secrets)}")
    click.echo(f"  rights: [{', '.join(rights)}]")
    if key.staff:
        click.echo(f"  staff: {key.staff}")
    click.echo(f"请把以上几行写进 {path}，运行 chmod 600 {path}，重新启动；对方用同一把密钥签名。", err=True)
