"""``python -m cimbo``."""

from cimbo.cli import main

main()
