"""`aftersales keys`: a fresh secret for a shop system, as its file wants it."""

from __future__ import annotations

import json
import secrets

import click

from aftersales.cli.common import Word, json_text


@click.command()
@click.argument("name", type=Word(), metavar="密钥编号")
@click.argument("rights", nargs=-1, required=True, type=Word(), metavar="权限…")
@click.option("--as", "operator", type=Word(), metavar="工号", help="以哪位员工的身份办理；只有 apply 的可以不写。")
def keys(name: str, rights: tuple[str, ...], operator: str | None) -> None:
    """
    生成一把店铺系统的密钥，写成密钥文件的一段；什么也不保存。

    例：aftersales keys wms receive inspect --as W02
    """
    from pydantic import SecretStr

    from aftersales import terms
    from aftersales.serve.keys import SECRETS, load
    from aftersales.settings import settings

    told = {"secrets": [secrets.token_urlsafe(32)], "rights": list(rights)}
    if operator:
        told["staff"] = operator  # type: ignore[assignment]
    found = settings().model_copy(update={"api_keys": SecretStr(json.dumps({name: told}))})
    load(found, staff=terms.load().staff())  # what the service would refuse is refused here
    click.echo(f"{name}:")
    for field, value in told.items():
        click.echo(f"  {field}: {json_text(value) if isinstance(value, str) else json.dumps(value)}")
    where = settings().api_keys_file or settings().home / SECRETS.name
    click.echo(f"请把以上几行写进 {where}（chmod 600），重新启动；对方用同一把密钥签名。", err=True)
