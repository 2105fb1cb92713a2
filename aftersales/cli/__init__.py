"""
`aftersales …`: a thin face over the same steps that the flows use.

Every command answers with 0 done, 1 cannot (one sentence on stderr), 2 wrong use (one sentence on stderr).
Commands live in the modules of this package and are imported only when called, so that `due` starts without Prefect.
"""

from __future__ import annotations

import importlib
import sys

import click

from aftersales.cli import helping
from aftersales.words import Unable

helping.speak_chinese()

# command → where it lives, and its line on the help page (none: not for people); in the order of the help page
COMMANDS: dict[str, tuple[str, str]] = {
    "up": ("aftersales.cli.stack:up", "启动全部服务（make run 就是它）"),
    "worker": ("aftersales.cli.stack:worker", "只启动工作进程"),
    "serve": ("aftersales.cli.stack:serve", "只启动回调服务（支付渠道、承运商、店铺系统）"),
    "page": ("aftersales.cli.stack:page", "只启动顾客自助页面（查进度、申请退货）"),
    "keys": ("aftersales.cli.keys:keys", "生成店铺系统接口的密钥"),
    "prepare": ("aftersales.cli.stack:prepare", ""),
    "deploy": ("aftersales.cli.stack:deploy", ""),
    "demo": ("aftersales.cli.demo:demo", "在运行中的服务上演示各种退货"),
    "check": ("aftersales.cli.terms:check", "检查 config/ 中的规则文件"),
    "due": ("aftersales.cli.terms:due", '计算截止时间：aftersales due "2025-03-07 10:00" "3 wd"'),
    "calendar": ("aftersales.cli.terms:calendar", "生成一年的工作日历"),
    "quote": ("aftersales.cli.quote:quote", "测算一次退货应退多少"),
    "import": ("aftersales.cli.orders:import_", "导入订单"),
    "orders": ("aftersales.cli.orders:orders", "查看订单"),
    "sample": ("aftersales.cli.orders:sample", "装载示例店铺"),
    "customer": ("aftersales.cli.cases:customer", "查看客户联系方式（需权限，留痕），登记客户的静默时段"),
    "case": ("aftersales.cli.cases:case", "查看售后单，登记联系方式和收款账户"),
    "decide": ("aftersales.cli.cases:decide", "在某个环节作决定"),
    "signal": ("aftersales.cli.cases:signal", "告知售后单一件事：已取件、已收货、已退款、已取消"),
    "parcel": ("aftersales.cli.cases:parcel", "无主包裹：寄回或另行处理以后销账"),
    "evidence": ("aftersales.cli.cases:evidence", "补充凭证"),
    "visit": ("aftersales.cli.visits:visit", "回访：查看清单、登记结果、反馈记录、完成率"),
    "desk": ("aftersales.cli.desk:desk", "核对售后单和 Prefect 的运行；数据库丢失后重建"),
    "extend": ("aftersales.cli.extend:extend", "不可抗力：把一个地区受影响的售后单一起延期"),
    "escalate": ("aftersales.cli.escalate:escalate", "查看到期和超时的环节，通知该知道的人"),
    "followup": ("aftersales.cli.followup:followup", "排出当天的回访；试排某一天，看谁没有排和为什么"),
    "notify": ("aftersales.cli.notify:notify", "通知：试发、查看待发、立即发送"),
    "away": ("aftersales.cli.notify:away", "登记谁哪几天不在，由谁代收通知"),
    "survey": ("aftersales.cli.survey:survey", "满意度调查：查看、登记电话里的评价、统计"),
    "figures": ("aftersales.cli.figures:figures", "数字：回访完成率、满意度、回复率，按周、小组、客服；并更新页面"),
    "audit": ("aftersales.cli.audit:audit", "核查：一张单的经过、有没有被改动、退款、时限"),
}


class Lazy(click.Group):
    """A group that imports a command's module only when the command is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module, attribute = COMMANDS[cmd_name][0].split(":")
        return getattr(importlib.import_module(module), attribute)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("命令"):
            formatter.write_dl([(name, told) for name, (_, told) in COMMANDS.items() if told])


@click.group(cls=Lazy, context_settings={"help_option_names": ["-h", "--help"]}, invoke_without_command=True)
@click.pass_context
def root(ctx: click.Context) -> None:
    """aftersales：电商售后流程。"""
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())


def main() -> None:
    """Run the command line and leave with its exit code."""
    try:
        code = root.main(standalone_mode=False, prog_name="aftersales")
        sys.exit(code if isinstance(code, int) else 0)
    except Unable as error:
        click.echo(str(error), err=True)
        sys.exit(1)
    except click.exceptions.Exit as error:
        sys.exit(error.exit_code)
    except click.Abort:
        click.echo("已中断。", err=True)
        sys.exit(130)
    except click.ClickException as error:
        click.echo(wrong_use(error), err=True)
        sys.exit(2)


def wrong_use(error: click.ClickException) -> str:
    """Say in Chinese what was wrong with how a command was called."""
    ctx = getattr(error, "ctx", None)
    where = f"（查看用法：{ctx.command_path} --help）" if ctx else ""
    match error:
        case click.NoSuchOption():
            return f"没有选项 {error.option_name}{where}。"
        case click.MissingParameter():
            param = error.param
            kind = "参数" if isinstance(param, click.Argument) else "选项"
            name = "/".join(param.opts) if param and kind == "选项" else (param.human_readable_name if param else "")
            return f"缺少{kind} {name}{where}。"
        case click.BadParameter():
            param = error.param
            name = (
                ""
                if param is None
                else (param.opts[0] if isinstance(param, click.Option) else param.human_readable_name)
            )
            says = error.message.rstrip(".。")
            if param is not None and isinstance(param.type, click.Choice):
                says = f"可选：{'、'.join(map(str, param.type.choices))}"
            return f"{name + ' 的值不对：' if name else ''}{says}{where}。"
        case click.exceptions.NoArgsIsHelpError():
            return f"缺少子命令{where}。"
        case click.UsageError() if error.message.startswith("No such command"):
            return f"没有命令 {error.message.split(chr(39))[1]}{where}。"
        case click.UsageError() if "unexpected extra argument" in error.message:
            return f"多余的参数 {error.message[error.message.find('(') + 1 : -1]}{where}。"
        case _:
            return f"{error.format_message().rstrip('.。')}{where}。"
