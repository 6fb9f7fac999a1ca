"""``python -m dgbench.cli``."""

from dgbench.cli import main

main()
