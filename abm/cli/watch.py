"""The verb watch: a dashboard in the browser, in which a run goes on and can be changed."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import threading
from typing import TYPE_CHECKING

from abm.cli.common import add_scenario, complain, load
from abm.cli.stopping import Stopped

if TYPE_CHECKING:
    Verbs = argparse._SubParsersAction[argparse.ArgumentParser]


def add_verbs(verbs: Verbs) -> None:
    """`watch` with its options."""
    verb = verbs.add_parser(
        "watch", help="a run in the browser: watch it, change it, play it again"
    )
    add_scenario(verb)
    verb.add_argument("--strategy", metavar="NAME", help="takes the place of the scenario's own")
    verb.add_argument(
        "--host",
        metavar="ADDRESS",
        default="127.0.0.1",
        help="address to listen on (default 127.0.0.1: from this machine alone)",
    )
    verb.add_argument(
        "--port",
        metavar="N",
        type=int,
        help="port to listen on (default: the first free from 8050)",
    )
    verb.add_argument(
        "--no-browser", action="store_true", help="print the address and open no browser"
    )
    verb.set_defaults(verb=_watch)


def _watch(options: argparse.Namespace) -> int:
    changes = {} if options.strategy is None else {"strategy": options.strategy}
    scenario = load(options.scenario, options, **changes)
    from abm.scenario.code import refuse_untrusted

    refuse_untrusted(scenario.code)

    from abm.watch.server import Server, check_dash, warning_of

    check_dash()
    from abm.watch.session import Session

    server = Server(Session(scenario), options.host, options.port)
    if warning := warning_of(options.host):
        complain(f"warning: {warning}")
    server.start()
    try:
        print(f"{scenario.name} is at {server.address}", flush=True)
        print("Ctrl-C ends it.", flush=True)
        if not options.no_browser and _has_screen():
            import webbrowser

            webbrowser.open(server.address)
        threading.Event().wait()
    except Stopped as stop:
        if stop.number != signal.SIGINT:
            raise
        # Nobody has any other way of ending it.
        stop.heeded = True
    finally:
        server.close()
    return 0


def _has_screen() -> bool:
    """Whether a browser has a window to open in; one of text would take the terminal."""
    if sys.platform in ("win32", "darwin"):
        return True
    return any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY"))
