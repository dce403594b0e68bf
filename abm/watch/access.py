"""Who may see the page: whoever has the token, from an address that is this machine's own."""

from __future__ import annotations

import ipaddress
import secrets
import socket
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from flask import Flask

LOCAL_NAMES = ("localhost", "127.0.0.1", "::1")
# Nothing is fetched from anywhere else, whatever a library or a name in a scenario would like.
POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline'; "
    "style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; worker-src 'self' blob:; "
    "connect-src 'self'; object-src 'none'; base-uri 'self'; form-action 'self'; "
    "frame-ancestors 'none'"
)


def is_local(host: str) -> bool:
    """Whether an address or name can be reached from this machine alone."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def host_allowed(header: str, bound: str) -> bool:
    """Whether a Host header names this machine: else a page elsewhere has had its name rebound.

    bound: what the server listens on. Beyond the loopback an address, or the machine's own name.
    """
    name = header.rsplit(":", 1)[0] if not header.endswith("]") else header
    name = name.strip("[]").lower()
    if name in LOCAL_NAMES or name == bound.lower():
        return True
    if is_local(bound):
        return False
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return name in (socket.gethostname().lower(), socket.getfqdn().lower())
    return True


def guard(server: Flask, token: str, bound: str, port: int) -> None:
    """Let nobody in without the token, on any route.

    It comes as `?token=` once, and is a cookie from then on that no other site's page can use.
    Anything else is answered by 403.
    """
    from flask import abort, redirect, request

    # Cookies are shared by all ports of a machine.
    cookie = f"evenfall-{port}"

    def same(given: str | None) -> bool:
        return given is not None and secrets.compare_digest(given.encode(), token.encode())

    @server.before_request
    def let_in() -> Any:
        if not host_allowed(request.host, bound):
            abort(403)
        if same(request.args.get("token")) and request.method == "GET":
            answer = redirect(request.path)
            answer.set_cookie(cookie, token, httponly=True, samesite="Strict", path="/")
            return answer
        if not same(request.cookies.get(cookie)):
            abort(403)
        return None

    @server.after_request
    def harden(answer: Any) -> Any:
        answer.headers["Content-Security-Policy"] = POLICY
        answer.headers["X-Content-Type-Options"] = "nosniff"
        answer.headers["Referrer-Policy"] = "no-referrer"
        answer.headers["Cache-Control"] = "no-store"
        return answer
