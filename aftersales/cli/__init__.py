"""
`aftersales …`: a thin face over the same steps that the flows use.

Every command answers with 0 done, 1 cannot (one sentence on stderr), 2 wrong use (one sentence on stderr).
Commands live in the modules of this package and are imported only when called, so that `due` starts without Prefect.
"""

from __future__ import annotations

import importlib
import sys

import click

from aftersales.words import Unable

# command → module:attribute; the order is the order of the help page
COMMANDS = {
    "up": "aftersales.cli.stack:up",
    "worker": "aftersales.cli.stack:worker",
    "prepare": "aftersales.cli.stack:prepare",
    "deploy": "aftersales.cli.stack:deploy",
    "demo": "aftersales.cli.demo:demo",
    "check": "aftersales.cli.terms:check",
    "due": "aftersales.cli.terms:due",
    "calendar": "aftersales.cli.terms:calendar",
    "quote": "aftersales.cli.quote:quote",
    "import": "aftersales.cli.orders:import_",
    "orders": "aftersales.cli.orders:orders",
    "sample": "aftersales.cli.orders:sample",
    "customer": "aftersales.cli.cases:customer",
    "case": "aftersales.cli.cases:case",
    "decide": "aftersales.cli.cases:decide",
    "signal": "aftersales.cli.cases:signal",
    "evidence": "aftersales.cli.cases:evidence",
    "audit": "aftersales.cli.cases:audit",
}


class Lazy(click.Group):
    """A group that imports a command's module only when the command is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module, attribute = COMMANDS[cmd_name].split(":")
        return getattr(importlib.import_module(module), attribute)


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
            return f"{name} 的值不对：{error.message.rstrip('.。')}{where}。"
        case click.exceptions.NoArgsIsHelpError():
            return f"缺少子命令{where}。"
        case click.UsageError() if error.message.startswith("No such command"):
            return f"没有命令 {error.message.split(chr(39))[1]}{where}。"
        case click.UsageError() if "unexpected extra argument" in error.message:
            return f"多余的参数 {error.message[error.message.find('(') + 1 : -1]}{where}。"
        case _:
            return f"{error.format_message().rstrip('.。')}{where}。"
