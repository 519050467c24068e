"""Pieces of a self-contained HTML page: style, sections, tables, pictures; nothing from outside."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

STYLE = """
:root { color-scheme: light dark;
  --paper: #fdfcfa; --card: #ffffff; --ink: #23211f; --muted: #77706a; --rule: #e8e3db;
  --accent: #1f5fa6; --good: #2f8f83; --warning: #b8860b; --bad: #c4432b; --mark: #f3eee5; }
@media (prefers-color-scheme: dark) { :root {
  --paper: #171615; --card: #201f1d; --ink: #ece8e1; --muted: #a39c92; --rule: #35322e;
  --accent: #7db0e6; --good: #5cc0b2; --warning: #dcb04a; --bad: #ef8a73; --mark: #2a2825; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink);
  font: 16px/1.6 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", sans-serif; }
main { max-width: 1200px; margin: 0 auto; padding: 72px 40px 96px; }
h1 { font-size: 40px; line-height: 1.15; letter-spacing: -.02em; margin: 0 0 12px; }
h2 { font-size: 23px; letter-spacing: -.01em; margin: 72px 0 8px; }
p { margin: 0 0 16px; max-width: 68ch; }
.lead { font-size: 18px; color: var(--muted); }
.quiet { color: var(--muted); font-size: 14px; }
.facts { display: grid; grid-template-columns: repeat(auto-fit, minmax(190px, 1fr)); gap: 16px;
  margin: 40px 0 0; }
.fact { border-top: 2px solid var(--ink); padding: 12px 0 0; }
.fact b { display: block; font-size: 30px; line-height: 1.2; letter-spacing: -.02em;
  font-weight: 600; font-variant-numeric: tabular-nums; }
.fact span { display: block; font-size: 14px; color: var(--muted); }
ul.findings { list-style: none; margin: 20px 0 0; padding: 0; }
ul.findings li { padding: 10px 0 10px 28px; border-bottom: 1px solid var(--rule);
  position: relative; max-width: 82ch; }
ul.findings li::before { content: ""; position: absolute; left: 4px; top: 18px; width: 10px;
  height: 10px; border-radius: 50%; background: var(--good); }
ul.findings li.warning::before { background: var(--warning); border-radius: 2px; }
ul.findings li.bad::before { background: var(--bad); border-radius: 2px;
  transform: rotate(45deg); }
.scroll { overflow-x: auto; margin: 20px 0 28px; }
table { border-collapse: collapse; font-size: 13.5px; font-variant-numeric: tabular-nums;
  min-width: 100%; }
caption { text-align: left; color: var(--muted); padding: 0 0 8px; font-size: 14px; }
th { font-weight: 500; color: var(--muted); text-align: right; padding: 6px 0 6px 14px;
  border-bottom: 1px solid var(--ink); white-space: nowrap; }
td { text-align: right; padding: 7px 0 7px 14px; border-bottom: 1px solid var(--rule);
  white-space: nowrap; }
th.text, td.text { text-align: left; }
th:first-child, td:first-child { padding-left: 8px; }
tr.model td { background: var(--mark); font-weight: 600; }
tr.seed td { color: var(--muted); }
td small { color: var(--muted); font-weight: 400; font-size: 11.5px; }
th:last-child, td:last-child { padding-right: 8px; }
figure { margin: 24px 0 32px; }
figure img { display: block; max-width: 100%; height: auto; border-radius: 10px;
  background: #fdfcfa; padding: 12px; border: 1px solid var(--rule); }
figcaption { color: var(--muted); font-size: 14px; margin: 10px 0 0; max-width: 78ch; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: 6px 28px; font-size: 15px; }
dt { color: var(--muted); } dd { margin: 0; overflow-wrap: anywhere; }
pre { background: var(--mark); border-radius: 10px; padding: 16px 20px; overflow-x: auto;
  font: 13px/1.55 ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; }
details { margin: 16px 0; } summary { cursor: pointer; color: var(--accent); }
footer { margin: 96px 0 0; padding: 16px 0 0; border-top: 1px solid var(--rule);
  color: var(--muted); font-size: 14px; }
"""


def document(title: str, parts: Sequence[str]) -> str:
    """Put parts together into a whole page."""
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{text(title)}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<main>\n"
        + "\n".join(part for part in parts if part)
        + "\n</main>\n</body>\n</html>\n"
    )


def text(value: Any) -> str:
    """Escape anything for HTML."""
    return html.escape(str(value), quote=True)


def section(title: str, *parts: str) -> str:
    """A heading and what is under it; nothing where there is nothing."""
    body = "\n".join(part for part in parts if part)
    return f"<section>\n<h2>{text(title)}</h2>\n{body}\n</section>" if body else ""


def paragraph(words: str, kind: str = "") -> str:
    """One paragraph."""
    return f'<p class="{kind}">{text(words)}</p>' if kind else f"<p>{text(words)}</p>"


def facts(pairs: Sequence[tuple[str, str]]) -> str:
    """Large figures, each over a line that says what it is."""
    cells = "".join(
        f'<div class="fact"><b>{text(v)}</b><span>{text(k)}</span></div>' for v, k in pairs
    )
    return f'<div class="facts">{cells}</div>' if pairs else ""


def definitions(pairs: Sequence[tuple[str, Any]]) -> str:
    """Names and what they are."""
    rows = "".join(f"<dt>{text(name)}</dt><dd>{text(value)}</dd>" for name, value in pairs)
    return f"<dl>{rows}</dl>" if pairs else ""


def table(
    caption: str,
    heads: Sequence[tuple[str, bool]],
    rows: Sequence[tuple[str, Sequence[str]]],
) -> str:
    """A table.

    Args:
        caption: a line over it.
        heads: heading of each column, and whether it holds words.
        rows: class of each row (``model``, ``seed`` or none) and its cells.
    """
    words = ['class="text"' if is_text else "" for _, is_text in heads]
    top = "".join(f"<th {w}>{text(h)}</th>" for (h, _), w in zip(heads, words, strict=True))
    body = "".join(
        f'<tr class="{kind}">'
        + "".join(f"<td {w}>{_cell(c)}</td>" for c, w in zip(cells, words, strict=True))
        + "</tr>"
        for kind, cells in rows
    )
    return (
        f'<div class="scroll"><table><caption>{text(caption)}</caption>'
        f"<thead><tr>{top}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def _cell(value: str) -> str:
    """A cell; what follows its first figure is set small."""
    main, _, rest = text(value).partition(" ")
    return f"{main} <small>{rest}</small>" if rest[:1] in ("±", "(") else text(value)


def picture(source: Figure | Path, caption: str) -> str:
    """A figure or an image file, within the page."""
    if isinstance(source, Figure):
        held = io.BytesIO()
        source.savefig(held, format="png")
        data, kind = held.getvalue(), "png"
    else:
        data, kind = source.read_bytes(), source.suffix.removeprefix(".")
    code = base64.b64encode(data).decode()
    return (
        f'<figure><img alt="{text(caption)}" src="data:image/{kind};base64,{code}">'
        f"<figcaption>{text(caption)}</figcaption></figure>"
    )


def details(summary: str, content: str) -> str:
    """Something long, folded."""
    return f"<details><summary>{text(summary)}</summary>\n<pre>{text(content)}</pre>\n</details>"
