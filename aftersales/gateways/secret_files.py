"""
Files of secrets: read only when nobody but their owner can, and told about without quoting what stands in them.

A secret file is YAML or JSON; the same text may stand in an environment variable instead.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from aftersales.words import Unable, trouble


@dataclass(frozen=True, slots=True)
class SecretFile:
    """One kind of secret file: what it is called, the variables that stand for it, and the page that shows one."""

    what: str
    name: str
    variable: str
    page: str
    # what in it must stand in quotation marks
    quoted: str

    def read(self, text: SecretStr, path: Path | None, home: Path) -> tuple[str, str]:
        """
        Read the text and where it stands: the variable's, else the file's it names, else the one at home.

        Raises Unable.
        """
        if given := text.get_secret_value():
            return given, f"环境变量 {self.variable}"
        found = path or home / self.name
        return self._read(found, is_needed=path is not None), str(found)

    def _read(self, path: Path, *, is_needed: bool) -> str:
        try:
            mode = os.stat(path).st_mode
            if not stat.S_ISREG(mode):
                raise Unable(f"{path} 不是文件，请写成一个{self.what}，样子见 {self.page}。")
            if mode & 0o077:
                raise Unable(f"{path} 里有密钥，别的用户也能读，请先运行 chmod 600 {path}。")
            return path.read_text("utf-8-sig")
        except FileNotFoundError:
            if not is_needed:
                return ""
            raise Unable(
                f"{self.variable}_FILE 指的 {path} 不存在，请建立它（样子见 {self.page}）或不设置它。"
            ) from None
        except UnicodeDecodeError:
            raise Unable(f"{path} 不是 UTF-8 编码的文本，请另存为 UTF-8。") from None
        except OSError as error:
            raise Unable(f"{path} 读不出来（{trouble(error)}），请检查读取权限。") from None

    def parse(self, text: str, where: str) -> Any:
        """Read YAML or JSON. Raises Unable."""
        from ruamel.yaml import YAML
        from ruamel.yaml.error import YAMLError

        try:
            return YAML(typ="safe").load(text)
        except (YAMLError, ValueError, RecursionError):
            raise Unable(
                f"{where} 不是 YAML 或 JSON，请检查缩进和半角冒号，{self.quoted}要加引号，样子见 {self.page}。"
            ) from None

    def table(self, value: Any, where: str, known: Sequence[str]) -> dict[str, Any]:
        """Check that something is a table of known names. Raises Unable."""
        if not isinstance(value, dict):
            raise Unable(f"{where} 应当是一张表，可写 {'、'.join(known)}，样子见 {self.page}。")
        for key in value:
            if key not in known:
                raise Unable(f"{where} 没有这一项：{shown(key)}，可写：{'、'.join(known)}。")
        return value


def shown(key: Any) -> str:
    """A key as it was typed; a secret put into its place is not quoted."""
    text = str(key)
    return text if re.fullmatch(r"[\w.-]{1,30}", text) else "（不是代码）"
