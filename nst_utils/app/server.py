"""``nst studio``: the studio as an app, with a process for each visitor.

It is Voila, but for what becomes of the processes: a page that is loaded again finds its own, as it
was, and one that nobody looks at any more ends. Loaded when the app begins; torch is not.
"""

from __future__ import annotations

import logging
import re
import secrets
import socket
from functools import partial
from typing import Any, NamedTuple

from jupyter_server.auth.security import passwd
from jupyter_server.services.kernels.kernelmanager import AsyncMappingKernelManager
from tornado.ioloop import IOLoop, PeriodicCallback
from tornado.iostream import StreamClosedError
from tornado.web import authenticated
from voila.app import Voila
from voila.shutdown_kernel_handler import VoilaShutdownKernelHandler
from voila.tornado.handler import TornadoVoilaHandler

from nst_utils.app.visitors import Visit, Visitors
from nst_utils.support.messages import tell
from nst_utils.support.paths import studio_notebook

DIED = 3.0  # seconds after which what Jupyter has begun again is ended
SWEEP = 2000  # milliseconds between two looks at who is still there
UPLOAD = 100 * 2**20  # bytes of a message: a picture of that size can be uploaded
_KERNEL = re.compile(r'"kernelId": "([\w-]+)"')

# All that a page loads is of this server. Voila's asks a network of others for the icons of Font
# Awesome, which the studio does not have: without a way out it would wait for them.
_OWN = (
    "default-src 'self' 'unsafe-inline' 'unsafe-eval' data: blob:; connect-src 'self' ws: wss:; "
    "frame-ancestors 'self'"
)

FULL = """<!DOCTYPE html><html lang="en"><head><meta charset="utf-8">
<title>The studio is full</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="refresh" content="20"><meta name="color-scheme" content="light dark"></head>
<body style="font: 18px/1.5 sans-serif; max-width: 32em; margin: 15vh auto; padding: 0 1em">
<main><h1>The studio is full</h1><p>{} at once is all that this machine has room for. This page
tries again by itself every 20 seconds, and opens as soon as somebody leaves.</p></main></body>
</html>
"""


class Serving(NamedTuple):
    """How the app is served; ``port`` is free, ``token`` and ``password`` are empty for none."""

    address: str
    port: int
    token: str
    password: str
    visitors: int
    opens_browser: bool


class _Kernels:
    """Voila's processes, as :class:`Visitors` asks for them."""

    def __init__(self, manager: AsyncMappingKernelManager) -> None:
        self._manager = manager

    def is_there(self, kernel: str) -> bool:
        return kernel in self._manager

    def connections(self, kernel: str) -> int:
        return int(self._manager._kernel_connections.get(kernel, 0))

    async def end(self, kernel: str) -> None:
        await self._manager.shutdown_kernel(kernel, now=True)


class Page(TornadoVoilaHandler):
    """The page of a visitor: the one that was there before, or a new one with a new process."""

    @authenticated
    async def get(self, path: str | None = None) -> None:
        visitors: Visitors = self.settings["nst_visitors"]
        if path:
            return await super().get(path)
        visitor = self._visitor()
        if self.get_argument("new", None) is not None:
            await visitors.leave(visitor)
            return self.redirect(self.base_url)
        visit = visitors.find(visitor)
        if visit is not None:
            await visit.ready.wait()
            if visit.page:
                self.set_header("Content-Type", "text/html")
                self.set_header("Cache-Control", "no-store")
                self.write("".join(visit.page))
                return None
        visit = await visitors.enter(visitor)
        if visit is None:
            number = f"{visitors.most} visitor{'s' if visitors.most != 1 else ''}"
            self.set_status(503)
            self.write(FULL.format(number))
            return None
        try:
            await self._fill(visit)
        except BaseException:
            visit.page = []
            await visitors.leave(visitor)
            raise
        finally:
            visit.ready.set()
        return None

    async def _fill(self, visit: Visit) -> None:
        """Write the page while it is made, and keep it; also for who does not wait for its end."""
        is_here = True
        async for part in self.get_generator():
            visit.page.append(part)
            if not visit.kernel and (found := _KERNEL.search(part)):
                visit.kernel = found[1]
                self.kernel_manager.add_restart_callback(found[1], partial(self._died, visit))
            try:
                if is_here:
                    self.write(part)
                    await self.flush()
            except StreamClosedError:
                is_here = False

    def _died(self, visit: Visit) -> None:
        """The process has ended by itself, as where memory ran out. The one that Jupyter begins in
        its place knows nothing of the page, which says so once that has ended, too."""
        visitors: Visitors = self.settings["nst_visitors"]
        IOLoop.current().call_later(DIED, partial(visitors.forget, visit))

    def _visitor(self) -> str:
        """Who it is, by a cookie that nobody else can guess; a new one where there is none."""
        name = f"nst-studio-{self.settings['nst_port']}"  # browsers share cookies among ports
        known = self.get_secure_cookie(name)
        visitor = known.decode() if known else secrets.token_hex(16)
        if not known:
            self.set_secure_cookie(name, visitor, expires_days=None, httponly=True, samesite="Lax")
        return visitor


class Leaving(VoilaShutdownKernelHandler):
    """A page is closed or loaded again. Its process stays for a moment, so that it is found again.

    Browsers send this with the page's end, when Voila's page has no XSRF cookie to show, and it was
    refused. It needs none: a kernel's id is known to its own page alone, and one that somebody is
    connected to is not ended.
    """

    def check_xsrf_cookie(self) -> None:
        pass

    @authenticated
    async def post(self, kernel_id: str) -> None:
        self.settings["nst_visitors"].is_left(kernel_id)
        self.set_status(204)
        self.finish()


class StudioServer(Voila):
    """Voila with those two handlers, which looks now and then who is still there."""

    visitors_at_once = 1

    def init_settings(self) -> dict[str, Any]:
        settings = dict(super().init_settings())
        self._visitors = Visitors(_Kernels(self.kernel_manager), self.visitors_at_once)
        settings["headers"] = {"Content-Security-Policy": _OWN, **settings.get("headers", {})}
        return settings | {"nst_visitors": self._visitors, "nst_port": self.port}

    def init_handlers(self) -> list[Any]:
        ours = {TornadoVoilaHandler: Page, VoilaShutdownKernelHandler: Leaving}
        handlers = super().init_handlers()
        return [(where, ours.get(what, what), *more) for where, what, *more in handlers]

    def listen(self) -> None:
        """Until it is ended."""
        PeriodicCallback(self._visitors.sweep, SWEEP).start()
        IOLoop.current().add_callback(self._announce)
        super().listen()

    def _announce(self) -> None:
        token = f"?token={self.token}" if self.token else ""
        anywhere = self.ip in ("0.0.0.0", "::", "")
        places = [self._url("127.0.0.1" if anywhere else self.ip) + token]
        if anywhere:
            places.append(self._url(socket.gethostname()) + token)
        tell(f"The studio is at {' and, for others, at '.join(places)} (Ctrl-C ends it)")


def serve(how: Serving) -> None:
    """Until Ctrl-C or SIGTERM."""
    # As on a command line, so that it counts for more than a file with settings of Voila.
    settings = {
        "Voila.ip": how.address,
        "Voila.port": how.port,
        "Voila.port_retries": 0,
        "Voila.open_browser": how.opens_browser,
        "Voila.log_level": logging.ERROR,
        "Voila.token": how.token,
    }
    if how.password:
        settings["PasswordIdentityProvider.hashed_password"] = passwd(how.password)
    arguments = [f"--{name}={value}" for name, value in settings.items()]
    server = StudioServer()
    server.visitors_at_once = how.visitors
    server.initialize([*arguments, str(studio_notebook())])
    server.tornado_settings = {"websocket_max_message_size": UPLOAD, **server.tornado_settings}
    server.start()
