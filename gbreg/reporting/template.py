"""Pages from the templates: one look, one script, no network."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from gbreg._files import write_text
from gbreg.compare import number, versions


def check_installed() -> None:
    """`ImportError` where a page cannot be made."""
    try:
        import jinja2  # noqa: F401
        import matplotlib  # noqa: F401
    except ImportError as error:
        raise ImportError("reports need jinja2 and matplotlib: pip install 'gbreg[report]'") from error


def write_html(path: str | Path, template: str, title: str, values: Mapping[str, Any]) -> Path:
    """Fill one of the templates, with the time and the versions that all show, and write it at once or not at all."""
    import jinja2

    page = jinja2.Environment(
        loader=jinja2.PackageLoader("gbreg.reporting", "templates"), autoescape=True, trim_blocks=True, lstrip_blocks=True
    ).get_template(template)
    made = f"{datetime.now().astimezone():%Y-%m-%d %H:%M %Z}"
    write_text(path, page.render({"title": title, "made": made, "versions": versions(), "number": number} | dict(values)))
    return Path(path)
