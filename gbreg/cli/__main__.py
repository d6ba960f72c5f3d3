"""``python -m gbreg.cli``."""

from gbreg.cli import main

main()
