"""The process behind ``gui``: a socket of this machine only, and a link with a token that opens it."""

from __future__ import annotations

import contextlib
import socket
import webbrowser

import uvicorn

from tomobayes.model import BadInput, Problem
from tomobayes.web.access import Access
from tomobayes.web.app import application
from tomobayes.web.parameters import Gui

__all__ = ["serve"]

HOST, FIRST_PORT, TRIES = "127.0.0.1", 8765, 50


def serve(parameters: Gui) -> None:
    """Answer until interrupted. Jobs that were started go on without it."""
    if not parameters.project.is_dir():
        problem = Problem(parameters.project, "", "there is no such folder", remedy="give the folder of a project, or create it first")
        raise BadInput(problem)
    with _listening(parameters.port) as listener:
        port = listener.getsockname()[1]
        access = Access(f"tomobayes_{port}")
        link = f"http://{HOST}:{port}/?token={access.token}"
        print(f"Open this link (it works once): {link}")
        print(f"From another machine, first: ssh -L {port}:{HOST}:{port} {socket.gethostname()}", flush=True)
        if parameters.browser:
            webbrowser.open(link)
        config = uvicorn.Config(application(parameters.project, access), log_level="warning", access_log=False)
        with contextlib.suppress(KeyboardInterrupt):
            uvicorn.Server(config).run(sockets=[listener])


def _listening(port: int | None) -> socket.socket:
    """A socket bound to a port, or to the first free one of many."""
    ports = range(FIRST_PORT, FIRST_PORT + TRIES) if port is None else [port]
    for candidate in ports:
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((HOST, candidate))
        except OSError:
            listener.close()
            continue
        listener.listen()
        return listener
    raise BadInput(Problem(None, "--port", f"port {ports[0]} is taken", remedy="give another one, or leave it out"))
