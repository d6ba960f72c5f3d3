"""The command that shows and clears the kernels kept on disk."""

from __future__ import annotations

from typing import Annotated

from gbreg.cli.options import Option
from gbreg.cli.screen import say


def cache(
    clear: Annotated[bool, Option("--clear", help="Remove them: they are compiled again when needed.")] = False,
) -> None:
    """Say where compiled kernels are kept between processes, and how many there are.

    GBREG_CACHE_DIR names another folder; empty, none is kept.
    """
    from gbreg._kernels import cache as kept

    folder = kept.directory()
    if folder is None:
        say("No compiled kernels are kept: GBREG_CACHE_DIR is empty.")
        return
    if folder.exists() and kept.usable_directory() is None:
        say(
            f"Compiled kernels are not kept in {folder}: it belongs to another user, or others may write to it (chmod go-w)."
        )
        return
    count, n_bytes = kept.clear() if clear else kept.size()
    what = f"{count} compiled kernel{'' if count == 1 else 's'} ({n_bytes / 1e6:.1f} MB)"
    say(f"{'Removed' if clear else 'Kept:'} {what} in {folder}")
