"""Pages as a browser shows them."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
needs_browser = pytest.mark.skipif(BROWSER is None, reason="no Chromium is installed: apt-get install chromium")


def look(page: str, script: str, width: int, folder: Path) -> Any:
    """What a script in the loaded page makes of `found`: errors, what is too wide, and what the script adds.

    Fails where the console is written to.
    """
    watch = "<head><script>const errors = []; addEventListener('error', e => errors.push(e.message));</script>"
    ask = f"""
    <script>
    addEventListener("load", () => {{
      const wide = [...document.querySelectorAll("body *")].filter(e => !e.closest(".scroll, pre") &&
        e.getBoundingClientRect().right > document.documentElement.clientWidth + 1).map(e => e.tagName + "." + e.className);
      const broken = [...document.images].filter(i => !i.closest("details:not([open])") && !i.naturalWidth).length;
      const found = {{width: innerWidth, wide, broken, errors, title: document.title,
        scrolls: document.documentElement.scrollWidth > document.documentElement.clientWidth}};
      {script}
      parent.postMessage(JSON.stringify(found), "*");
    }});
    </script>"""
    looked_at = folder / "looked_at.html"
    looked_at.write_text(page.replace("<head>", watch, 1).replace("</body>", ask + "</body>"), encoding="utf-8")
    # In a frame, as the browser's own window is no narrower than 500 pixels.
    frame = folder / "frame.html"
    frame.write_text(
        f"""<body style="margin: 0"><textarea id="found"></textarea><script>
        addEventListener("message", event => {{ document.getElementById("found").textContent = event.data; }});
        </script><iframe src="{looked_at.name}" style="border: 0; width: {width}px; height: 2000px"></iframe></body>""",
        encoding="utf-8",
    )
    command = [str(BROWSER), "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={folder / 'profile'}"]
    command += ["--window-size=1300,2000", "--virtual-time-budget=20000", "--enable-logging=stderr", "--dump-dom"]
    done = subprocess.run([*command, frame.as_uri()], capture_output=True, text=True, timeout=120, check=True)
    assert "CONSOLE" not in done.stderr
    told = re.search(r"<textarea id=\"found\">(.*?)</textarea>", done.stdout, re.DOTALL)
    assert told is not None
    return json.loads(html.unescape(told[1]))


def assert_fits(found: Any, width: int) -> None:
    """Nothing wider than the page, no picture missing, no error."""
    assert found["width"] == width
    assert (found["errors"], found["wide"], found["broken"], found["scrolls"]) == ([], [], 0, False)
