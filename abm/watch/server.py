"""The server of the page: a port of its own, a token in the address."""

from __future__ import annotations

import importlib.util
import logging
import secrets
import socket
import threading

from abm.errors import InputError, Problem, needs
from abm.watch.access import guard, is_local
from abm.watch.session import Session

FIRST_PORT, PORTS_TRIED = 8050, 50


class Server:
    """Serves a session to whoever has its address; `start` begins, `close` ends it.

    host: what to listen on. port: None for the first free one from `FIRST_PORT` on. Raises
    InputError where Dash is not there, the port is taken or the host is none of this machine's.
    """

    def __init__(self, session: Session, host: str = "127.0.0.1", port: int | None = None) -> None:
        check_dash()
        from werkzeug.serving import make_server

        from abm.watch.page import make_app

        self.session, self.host = session, host
        self.token = secrets.token_urlsafe(18)
        bound = bind(host, port)
        self.port = int(bound.getsockname()[1])
        app = make_app(session)
        guard(app.server, self.token, host, self.port)
        # It says every request, and that it is not for the world: it is not.
        logging.getLogger("werkzeug").setLevel(logging.ERROR)
        self._server = make_server(host, self.port, app.server, threaded=True, fd=bound.fileno())
        self._bound = bound
        self._thread = threading.Thread(
            target=self._server.serve_forever, name="evenfall-server", daemon=True
        )

    @property
    def address(self) -> str:
        """What to open in a browser."""
        name = "127.0.0.1" if self.host in ("", "0.0.0.0", "::") else self.host
        name = f"[{name}]" if ":" in name else name
        return f"http://{name}:{self.port}/?token={self.token}"

    def start(self) -> None:
        """Begin to serve, and to walk, in threads of their own."""
        self.session.start()
        self._thread.start()

    def close(self) -> None:
        """Serve nobody any more, and stand still."""
        if self._thread.is_alive():
            self._server.shutdown()
            self._thread.join(timeout=5.0)
        self._server.server_close()
        self._bound.close()
        self.session.close()


def check_dash() -> None:
    """Raise InputError where Dash is not there."""
    if importlib.util.find_spec("dash") is None:
        raise InputError([Problem("watch", "", needs("dash", "watch"))])


def bind(host: str, port: int | None) -> socket.socket:
    """A socket that listens; of no port in particular the first that is free. Raises InputError."""
    if port is not None and not 0 <= port <= 65535:
        raise InputError([Problem("--port", str(port), "a whole number from 0 to 65535")])
    ports = [port] if port is not None else [*range(FIRST_PORT, FIRST_PORT + PORTS_TRIED), 0]
    try:
        family, *_, place = socket.getaddrinfo(host, ports[0], type=socket.SOCK_STREAM)[0]
    except OSError:
        said = "an address or name of this machine, such as 127.0.0.1 or 0.0.0.0"
        raise InputError([Problem("--host", host, said)]) from None
    why: OSError | None = None
    for one in ports:
        listening = socket.socket(family, socket.SOCK_STREAM)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind((place[0], one, *place[2:]))
            listening.listen(64)
        except OSError as error:
            listening.close()
            why = error
        else:
            return listening
    raise InputError([_refused(host, port, why)])


def _refused(host: str, port: int | None, why: OSError | None) -> Problem:
    import errno

    if why is not None and why.errno == errno.EADDRINUSE:
        said = "taken by another program; leave it out for the next free one"
        return Problem("--port", str(port), said)
    if why is not None and why.errno == errno.EADDRNOTAVAIL:
        return Problem("--host", host, "an address of this machine, such as 127.0.0.1 or 0.0.0.0")
    said = f"cannot be used: {why.strerror if why is not None else 'no reason given'}"
    return Problem("--port", str(port), said)


def warning_of(host: str) -> str:
    """What to be warned of where others can reach the page, "" where they cannot."""
    if is_local(host):
        return ""
    return (
        f"others can reach {host}: whoever has the address with its token sees this run and can "
        "change it, and what is sent is not encrypted"
    )
