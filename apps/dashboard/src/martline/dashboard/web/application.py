"""The addresses that the server answers to."""

from urllib.parse import parse_qs

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import MutableHeaders
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from martline.dashboard.pages.shop import ShopPage
from martline.dashboard.pages.texts import preferred
from martline.dashboard.pages.view import View, WrongAddress
from martline.dashboard.reading.elsewhere import Sources
from martline.dashboard.reading.watcher import Watcher
from martline.dashboard.web.pages import STATIC_TYPES, Packed, Pages
from martline.dashboard.web.security import COOKIE, HEADERS, LOOPBACK_NAMES, SESSION_SECONDS, Door

OPEN_TO_ALL = ("/login", "/health", "/static/")
LONGEST_FORM = 4096
FOR_GOOD = "public, max-age=31536000, immutable"


def application(watcher: Watcher, sources: Sources, pages: Pages, door: Door | None) -> Starlette:
    """The application. Without a door it answers only requests for this machine's own names."""
    answers = _Answers(watcher, sources, pages, door)
    routes = [
        Route("/", answers.shop),
        Route("/pipeline", answers.pipeline),
        Route("/shop/{figure}.csv", answers.csv),
        Route("/static/{name}", answers.static),
        Route("/health", answers.health),
        Route("/login", answers.login, methods=["GET", "POST"]),
        Route("/logout", answers.logout, methods=["POST"]),
    ]
    return Starlette(
        routes=routes,
        middleware=[Middleware(_Headers), Middleware(_Guard, door=door)],
        exception_handlers={404: answers.not_found, WrongAddress: answers.wrong_address},
    )


class _Answers:
    """The answers of all addresses."""

    def __init__(self, watcher: Watcher, sources: Sources, pages: Pages, door: Door | None) -> None:
        self._watcher = watcher
        self._sources = sources
        self._pages = pages
        self._door = door

    def shop(self, request: Request) -> Response:
        return _answer(request, self._pages.shop(self._watcher.known, _view(request)))

    def pipeline(self, request: Request) -> Response:
        return _answer(request, self._pages.pipeline(self._watcher.known, self._sources.told(), _view(request)))

    def csv(self, request: Request) -> Response:
        view = _view(request)
        shop = self._watcher.known.shop
        figure = ShopPage(shop, view).figure(request.path_params["figure"]) if shop else None
        if figure is None:
            return _answer(request, self._pages.wrong(view, "wrong.page", 404))
        headers = {
            "Content-Disposition": f'attachment; filename="{figure.name}.csv"',
            "Cache-Control": "no-cache",
        }
        return Response(figure.table.csv(), media_type="text/csv; charset=utf-8", headers=headers)

    async def static(self, request: Request) -> Response:
        name = request.path_params["name"]
        content = self._pages.static.get(name)
        if content is None:
            return Response(status_code=404)
        kind = STATIC_TYPES[name.rpartition(".")[2]]
        headers = {"Cache-Control": FOR_GOOD, "Vary": "Accept-Encoding"}
        if _takes_packed(request):
            content = self._pages.static_packed[name]
            headers["Content-Encoding"] = "gzip"
        return Response(content, media_type=kind, headers=headers)

    async def health(self, _request: Request) -> Response:
        return Response("ok\n", media_type="text/plain")

    async def login(self, request: Request) -> Response:
        view = _view(request)
        if self._door is None:
            return RedirectResponse(view.address("/"), 303)
        if request.method == "GET":
            return _answer(request, self._pages.login(view, is_wrong=False))
        form = parse_qs((await _body(request)).decode(errors="replace"))
        token = await run_in_threadpool(self._door.open, form.get("password", [""])[0])
        if token is None:
            return _answer(request, self._pages.login(view, is_wrong=True))
        response = RedirectResponse(view.address("/"), 303)
        is_secure = request.url.scheme == "https"
        response.set_cookie(
            COOKIE, token, max_age=SESSION_SECONDS, httponly=True, samesite="strict", secure=is_secure
        )
        return response

    async def logout(self, request: Request) -> Response:
        if self._door is not None:
            self._door.close(request.cookies)
        response = RedirectResponse("/login", 303)
        response.delete_cookie(COOKIE)
        return response

    def not_found(self, request: Request, _error: Exception) -> Response:
        return self._wrong(request, "wrong.page", 404)

    def wrong_address(self, request: Request, error: Exception) -> Response:
        return self._wrong(request, str(error), 400)

    def _wrong(self, request: Request, key: str, status: int) -> Response:
        view = View("/", preferred(request.headers.get("accept-language", "")))
        return _answer(request, self._pages.wrong(view, key, status))


class _Headers:
    """Adds the headers that tell browsers what they may do to each answer."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers[name] = value
            await send(message)

        await self._app(scope, receive, send_with_headers)


class _Guard:
    """Requires a login; without one, answers only requests for this machine's own names.

    That keeps out other sites that make their own name point to this machine (DNS rebinding).
    """

    def __init__(self, app: ASGIApp, door: Door | None) -> None:
        self._app = app
        self._door = door

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        refusal = self._refusal(Request(scope))
        await (refusal or self._app)(scope, receive, send)

    def _refusal(self, request: Request) -> Response | None:
        path = request.url.path
        if self._door is None:
            if request.url.hostname in LOOPBACK_NAMES:
                return None
            return Response("Ask for this machine as localhost\n", 421, media_type="text/plain")
        if path.startswith(OPEN_TO_ALL) or self._door.knows(request.cookies):
            return None
        return RedirectResponse("/login", 303)


def _view(request: Request) -> View:
    return View.of(request.url.path, request.query_params, request.headers.get("accept-language", ""))


def _answer(request: Request, made: Packed) -> Response:
    headers = {
        "Cache-Control": "private, no-cache",
        "ETag": made.mark,
        "Vary": "Accept-Encoding, Accept-Language, Cookie",
    }
    if made.page.status == 200 and request.headers.get("if-none-match") == made.mark:
        return Response(status_code=304, headers=headers)
    content = made.page.html
    if _takes_packed(request):
        content = made.packed
        headers["Content-Encoding"] = "gzip"
    return Response(content, made.page.status, headers, media_type="text/html; charset=utf-8")


def _takes_packed(request: Request) -> bool:
    return "gzip" in request.headers.get("accept-encoding", "")


async def _body(request: Request) -> bytes:
    """The form that was sent, up to its allowed size."""
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > LONGEST_FORM:
            return b""
    return body
