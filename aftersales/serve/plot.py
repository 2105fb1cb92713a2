"""The plot of follow-up: satisfaction, response and visits in time, week by week, as SVG without scripts or foreign fonts."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any
from xml.etree import ElementTree

import pygal
from pygal.style import Style

from aftersales.rules.figures import TITLE, Figures

NO_DATA = "还没有数据"
NAMES = "按时完成率（%，实线）", "调查回复率（%，虚线）", "平均分（5 分制，右轴，点线）"
# a reader's own fonts: any system that shows Chinese has one of them, and nothing is fetched
FONTS = (
    'system-ui, -apple-system, "PingFang SC", "Microsoft YaHei", "Noto Sans CJK SC", "Noto Sans SC",'
    ' "WenQuanYi Micro Hei", sans-serif'
)
# apart in brightness too, and each with its own dashes: not everybody tells colors apart
LINES = (("#0b5394", "1, 0"), ("#b45309", "12, 6"), ("#166534", "3, 5"))
# how many weeks find room for their names
SIDE_BY_SIDE = 14
SVG = "{http://www.w3.org/2000/svg}"


def draw(figures: Figures) -> bytes:
    """Draw the figures of a period."""
    visits, answers, stars = zip(
        *((line.kept.completion, line.tally.response_rate, line.tally.csat) for line in figures.weeks), strict=True
    )
    described = _told(figures)
    chart = pygal.Line(
        title=f"{TITLE}（{figures.since} 至 {figures.until}，按周）",
        width=960,
        height=520,
        js=(),
        style=_style(),
        x_labels=[line.name[5:] for line in figures.weeks],
        x_title="周（从周一起）",
        range=(0, 100),
        secondary_range=(1, 5),
        y_labels=[0, 25, 50, 75, 100],
        legend_at_bottom=True,
        legend_at_bottom_columns=3,
        dots_size=4,
        # the weeks of a year do not find room side by side
        x_labels_major_every=1 + len(figures.weeks) // SIDE_BY_SIDE,
        show_minor_x_labels=False,
        truncate_legend=-1,
        truncate_label=-1,
        no_data_text=NO_DATA,
    )
    chart.add_xml_filter(lambda root: _accessible(root, described))
    for name, values, (_, dashes), is_stars in zip(NAMES, (visits, answers, stars), LINES, (0, 0, 1), strict=True):
        chart.add(
            name,
            [None if each is None else float(each) for each in values],
            secondary=bool(is_stars),
            stroke_style={"width": 3, "dasharray": dashes, "linecap": "round"},
            allow_interruptions=True,
        )
    return chart.render()


def _style() -> Style:
    sizes = {f"{part}_font_size": 14 for part in ("label", "major_label", "legend", "tooltip", "value", "value_label")}
    return Style(
        font_family=FONTS,
        background="#ffffff",
        plot_background="#ffffff",
        foreground="#1f2937",
        foreground_strong="#111827",
        foreground_subtle="#4b5563",
        colors=tuple(color for color, _ in LINES),
        title_font_size=18,
        no_data_font_size=32,
        opacity="1",
        stroke_opacity="1",
        stroke_width="3",
        guide_stroke_color="#d1d5db",
        major_guide_stroke_color="#d1d5db",
        transition="0s",
        **sizes,
    )


def _told(figures: Figures) -> str:
    """What the plot shows, in words."""
    values: Sequence[tuple[str, Decimal | None]] = tuple(
        zip(
            NAMES,
            (figures.total.kept.completion, figures.total.tally.response_rate, figures.total.tally.csat),
            strict=True,
        )
    )
    told = [f"{name} {value}" for name, value in values if value is not None]
    return f"{figures.since} 至 {figures.until} 合计：{'，'.join(told)}。" if told else f"{NO_DATA}。"


def _accessible(root: Any, described: str) -> Any:
    """Give the plot a name and a description that screen readers tell, and take out what is a script."""
    for parent in list(root.iter()):
        for child in list(parent):
            if child.tag in ("script", f"{SVG}script"):
                parent.remove(child)
    for name in ("title", "desc"):
        for child in root.findall(name) + root.findall(f"{SVG}{name}"):
            root.remove(child)
    for place, (name, text) in enumerate((("title", TITLE), ("desc", described))):
        element = ElementTree.Element(name, id=f"plot-{name}")
        element.text = text
        root.insert(place, element)
    root.set("role", "img")
    root.set("lang", "zh-CN")
    root.set("aria-labelledby", "plot-title plot-desc")
    return root
