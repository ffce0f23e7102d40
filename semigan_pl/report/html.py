"""What the pages share: one file that needs nothing else, and shows other people's words as they are."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import jinja2

from semigan_pl.atomic import write_bytes
from semigan_pl.report.tables import number


def write_page(path: Path, template: str, content: dict[str, Any]) -> Path:
    """Fills a template of this folder, writes the page whole or not at all, and returns its path."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,  # class names, paths and options come from other people's folders
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters["number"] = number
    page = environment.get_template(template).render(content)
    write_bytes(path, page.encode(errors="backslashreplace"))  # a file's name need not be valid Unicode
    return path


def address(content: bytes, kind: str = "png") -> str:
    """A picture as a data: address."""
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"
