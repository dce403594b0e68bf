"""Evenfall from a checkout: `python run.py VERB ...`; without a verb, the paper's study."""

import sys

from abm.cli import main

if __name__ == "__main__":
    sys.exit(main())
