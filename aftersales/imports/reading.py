"""
A file of rows: plain or gzip, UTF-8 or GBK, one record per line.

What makes the whole file unreadable is one sentence (`Unable`); what spoils one row is told beside that row.
"""

from __future__ import annotations

import codecs
import csv
import gzip
import io
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from aftersales.words import Unable, trouble

CHUNK = 1 << 20
LOST = "\ufffd"  # what a broken character becomes


@dataclass(frozen=True, slots=True)
class File:
    """A file that has been looked at: how it is packed and written."""

    path: Path
    encoding: str
    packed: bool


@dataclass(slots=True)
class Record:
    """One row: its line in the file, its cells, and what is wrong with its form."""

    line: int
    cells: list[str]
    problem: str = ""


def look(path: Path) -> File:
    """
    Find out how a file is packed and written. Raises Unable when it is no text table.
    """
    if not path.exists():
        raise Unable(f"没有文件 {path}，请核对路径。")
    if not path.is_file():
        raise Unable(f"{path} 不是普通文件（读取要过两遍，不能用文件夹或管道），请先存成 CSV 文件。")
    try:
        with path.open("rb") as opened:
            head = opened.read(4)
    except OSError as error:
        raise Unable(f"读不了文件 {path}（{trouble(error)}），请检查读取权限。") from None
    if head.startswith((b"PK\x03\x04", b"\xd0\xcf\x11\xe0")):
        raise Unable(f"{path} 是 Excel 或压缩包文件，请在 Excel 中另存为“CSV UTF-8（逗号分隔）”后再导入。")
    packed = head.startswith(b"\x1f\x8b")
    return File(path, _encoding(path, packed), packed)


def records(file: File) -> Iterator[Record]:
    """
    Give every row of the file, the header first. Lines without any character are no rows.

    A record never runs over the end of its line: an open quote spoils one row and not the rest of the file.
    """
    with _opened(file.path, file.packed) as raw:
        text = io.TextIOWrapper(raw, encoding=file.encoding, errors="replace", newline="")
        lines = _Lines(text, file.path)
        reader = csv.reader(lines)
        while True:
            lines.asked = False
            try:
                cells = next(reader)
            except StopIteration:
                return
            except _OpenQuote:
                cells = _roughly(lines.current)
                yield Record(lines.number, cells, "引号没有成对，或单元格里有换行；请补上引号或去掉换行")
                continue
            except csv.Error:
                yield Record(lines.number, _roughly(lines.current[:2000]), "有单元格长得不合理；请检查引号和内容")
                continue
            if cells:
                yield Record(lines.number, cells)


class _OpenQuote(Exception):
    """The CSV reader asks for another line because a quote is still open."""


class _Lines:
    """
    The lines of a text, one for each record; asked for a second one within a record, it raises `_OpenQuote`.
    """

    def __init__(self, text: io.TextIOWrapper, path: Path) -> None:
        self.text = text
        self.path = path
        self.number = 0
        self.current = ""
        self.asked = False

    def __iter__(self) -> _Lines:
        return self

    def __next__(self) -> str:
        if self.asked:
            raise _OpenQuote
        self.asked = True
        try:
            self.current = self.text.readline()
        except (EOFError, zlib.error, gzip.BadGzipFile):
            raise _broken(self.path) from None
        if not self.current:
            raise StopIteration
        self.number += 1
        return self.current


def _roughly(line: str) -> list[str]:
    """
    Read a spoilt line as far as it goes, so that it can at least be told which order it belongs to.
    """
    try:
        return next(csv.reader([line]), [])
    except csv.Error:
        return line.split(",")


def _opened(path: Path, packed: bool) -> BinaryIO:
    return gzip.open(path, "rb") if packed else path.open("rb")  # type: ignore[return-value]


def _broken(path: Path) -> Unable:
    return Unable(f"压缩文件 {path} 不完整或已损坏，请重新取得这个文件。")


def _chunks(path: Path, packed: bool) -> Iterator[bytes]:
    with _opened(path, packed) as raw:
        try:
            while chunk := raw.read(CHUNK):
                yield chunk
        except (EOFError, zlib.error, gzip.BadGzipFile):
            raise _broken(path) from None


def _encoding(path: Path, packed: bool) -> str:
    first = next(_chunks(path, packed), b"")
    if not first:
        raise Unable(f"文件 {path} 是空的，请重新导出；第一行应是表头。")
    if first.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise Unable(f"文件 {path} 是 UTF-16 编码，请另存为“CSV UTF-8（逗号分隔）”后再导入。")
    if _decodes(path, packed, "utf-8"):
        return "utf-8-sig"
    # A few broken characters in a UTF-8 file spoil their rows; read as GBK they would spoil every Chinese word.
    if first.startswith(codecs.BOM_UTF8) or _is_mostly_utf8(path, packed):
        return "utf-8-sig"
    if _decodes(path, packed, "gb18030"):
        return "gb18030"
    raise Unable(f"文件 {path} 既不是 UTF-8 也不是 GBK 编码，请另存为“CSV UTF-8（逗号分隔）”后再导入。")


def _decodes(path: Path, packed: bool, encoding: str) -> bool:
    decoder = codecs.getincrementaldecoder(encoding)()
    try:
        for chunk in _chunks(path, packed):
            decoder.decode(chunk)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return True


def _is_mostly_utf8(path: Path, packed: bool) -> bool:
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    lost = read = 0
    for chunk in _chunks(path, packed):
        text = decoder.decode(chunk)
        broken = text.count(LOST)
        lost += broken
        read += len(text) - len(text.encode("ascii", "ignore")) - broken
    return read > lost
