"""``nst studio``: what can be said of it before Voila is loaded, and what the studios are told."""

from __future__ import annotations

import argparse
import getpass
import ipaddress
import os
import secrets
import socket
import sys
from importlib.util import find_spec

from nst_utils.app.limits import Limits
from nst_utils.cli.converters import whole
from nst_utils.support.messages import say
from nst_utils.support.paths import studio_notebook

PASSWORD = "NST_STUDIO_PASSWORD"
PORT, PORTS = 8866, 20  # the first that is tried, and how many are
VISITORS = 4
LARGEST_FOR_OTHERS = 1024  # pixels: a larger picture takes gigabytes, and hours of a core


def add_studio_options(sub: argparse.ArgumentParser) -> None:
    group = sub.add_argument_group("where")
    group.add_argument("--address", default="127.0.0.1", help="to listen at (this machine alone)")
    group.add_argument(
        "--port", type=whole(1, 65535), help=f"(the first that is free, from {PORT})"
    )
    group.add_argument(
        "--password",
        action="store_true",
        help=f"ask for one now, and then of each visitor; or it is in {PASSWORD}",
    )
    group.add_argument("--no-browser", action="store_true", help="only say where it is")
    group = sub.add_argument_group("for whom")
    group.add_argument(
        "--visitors",
        type=whole(1, 1000),
        default=VISITORS,
        help=f"how many at once, each with a process of its own; others wait ({VISITORS})",
    )
    group.add_argument(
        "--threads",
        type=whole(1, 1024),
        help="of each visitor's process (all; where others can come in, the processor cores are "
        "shared out)",
    )
    group.add_argument(
        "--max-size",
        type=whole(32),
        metavar="PIXELS",
        help=f"no larger picture (no limit; where others can come in, {LARGEST_FOR_OTHERS})",
    )
    group.add_argument("--max-steps", type=whole(1), help="no longer run (no limit)")


def studio_command(args: argparse.Namespace) -> int:
    """Serve the studio until it is ended."""
    if find_spec("voila") is None:
        raise ValueError("the studio as an app needs Voila: pip install voila")
    studio_notebook()
    port = _free_port(args.address, args.port)
    is_alone = _is_loopback(args.address)
    password = _password(args.password)
    threads = args.threads or (None if is_alone else max(1, _cores() // args.visitors))
    if threads is not None:
        os.environ["OMP_NUM_THREADS"] = str(threads)
    size = args.max_size or (None if is_alone else LARGEST_FOR_OTHERS)
    os.environ.update(Limits(size, args.max_steps, is_served=True).environment)
    from nst_utils.app.server import Serving, serve

    if not is_alone and not password:
        say("others can reach this address, so the link below has a token; or see --password")
    token = "" if is_alone or password else secrets.token_urlsafe(16)
    browser = not args.no_browser
    serve(Serving(args.address, port, token, password, args.visitors, browser))
    return 0


def _free_port(address: str, wanted: int | None) -> int:
    """The wanted one or the first that is free; ``ValueError`` where there is none."""
    ports = [wanted] if wanted else range(PORT, PORT + PORTS)
    error: OSError | None = None
    for port in ports:
        try:
            family, _, _, _, where = socket.getaddrinfo(address, port, type=socket.SOCK_STREAM)[0]
        except OSError as reason:
            raise ValueError(
                f"--address {address} is no address ({reason.strerror}); this machine alone is "
                "127.0.0.1, all networks 0.0.0.0"
            ) from None
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            if os.name == "posix":  # or a port that was just given up would not be free
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(where)
                return port
            except OSError as reason:
                error = reason
    assert error is not None
    place = f"port {wanted}" if wanted else f"each of the ports {PORT} to {PORT + PORTS - 1}"
    raise ValueError(
        f"{place} is not free at {address} ({error.strerror}); name another with --port"
    )


def _is_loopback(address: str) -> bool:
    found = {each[4][0] for each in socket.getaddrinfo(address, None)}
    return all(ipaddress.ip_address(str(each).partition("%")[0]).is_loopback for each in found)


def _password(asks: bool) -> str:
    given = os.environ.pop(PASSWORD, "")  # the studios need not know it
    if given or not asks:
        return given
    if not sys.stdin.isatty():
        raise ValueError(f"nobody can be asked for a password here; put it into {PASSWORD}")
    password = getpass.getpass("Password for visitors: ")
    if not password:
        raise ValueError("an empty password is none; start again and type one")
    return password


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
