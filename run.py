"""Evenfall from a checkout: `python run.py VERB ...`; without a verb, the paper's study."""

from abm.cli import script

if __name__ == "__main__":
    script()
