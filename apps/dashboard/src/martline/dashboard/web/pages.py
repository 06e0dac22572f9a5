"""The pages as HTML, made from the last known state of the servers."""

import gzip
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.resources import files
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from markupsafe import Markup

from martline.dashboard.charts.svg import draw
from martline.dashboard.pages.figure import Figure
from martline.dashboard.pages.formats import Formats
from martline.dashboard.pages.pipeline import PipelinePage
from martline.dashboard.pages.shop import ShopPage
from martline.dashboard.pages.texts import LANGUAGES, Texts
from martline.dashboard.pages.view import View
from martline.dashboard.reading.elsewhere import Elsewhere
from martline.dashboard.reading.shop import Shop
from martline.dashboard.reading.watcher import Known
from martline.dashboard.web.cache import Cache

WIDE, HALF, NARROW = 1070, 500, 320
"""The widths of charts in pixels. The style sheet shows the one that fits."""
KEPT_PAGES = 200
KEPT_STATES = 20
KEPT_FIGURES = 600
FROM_NOTHING = ("shop-init", "shop-generate", "replicate", "build-marts")
STATIC_TYPES = {"css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}


@dataclass(frozen=True)
class Page:
    """A page, ready to be sent."""

    html: bytes
    status: int = 200

    @property
    def mark(self) -> str:
        """The page's ETag."""
        return f'"{hashlib.sha256(self.html).hexdigest()[:24]}"'


@dataclass(frozen=True)
class Packed:
    """A page with its ETag, compressed for browsers that support it."""

    page: Page
    mark: str
    packed: bytes


class Pages:
    """Makes the pages.

    Charts and pages of the shop are kept until the marts' next build, pages of the pipeline for a second.
    """

    def __init__(self, *, with_login: bool) -> None:
        self._pages: Cache[Packed] = Cache(KEPT_PAGES)
        self._states: Cache[Packed] = Cache(KEPT_STATES)
        self._pictures: Cache[list[tuple[int, Markup]]] = Cache(KEPT_FIGURES)
        self._with_login = with_login
        folder = files("martline.dashboard.pages").joinpath("static")
        self.static = {file.name: file.read_bytes() for file in folder.iterdir()}
        self.static_packed = {name: _gzip(content) for name, content in self.static.items()}
        self._templates = Environment(
            loader=PackageLoader("martline.dashboard.pages"),
            autoescape=select_autoescape(default=True),
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._templates.globals |= {"static": self._address_of_static, "languages": LANGUAGES}

    def warm(self, shop: Shop) -> None:
        """Draw the charts that a reader sees first."""
        for language in LANGUAGES:
            self._figures(ShopPage(shop, View("/", language)))

    def shop(self, known: Known, view: View) -> Packed:
        """The page *The shop*."""
        if known.shop is None or known.read_at is None:
            return self._packed(self._waiting(known, view))
        shop, now = known.shop, datetime.now(UTC)
        if not shop.versions:
            return self._packed(self._nothing(view, known.failure))
        built_at = min(version.built_at for version in shop.versions.values())
        # Ages on the page are whole minutes, so the page can be kept for a minute.
        minute = int(now.timestamp()) // 60
        key = (tuple(shop.versions.items()), view, minute, known.failure)

        def make() -> Packed:
            page = ShopPage(shop, view)
            return self._packed(
                self._render(
                    "shop.html",
                    view,
                    page=page,
                    figures=self._figures(page),
                    built_at=built_at,
                    built_age=(now - built_at).total_seconds(),
                    **_age(known, now),
                )
            )

        return self._pages.get(key, make)

    def pipeline(self, known: Known, elsewhere: Elsewhere, view: View) -> Packed:
        """The page *The pipeline*."""
        if known.shop is None or known.pipeline is None:
            return self._packed(self._waiting(known, view))
        pipeline, shop = known.pipeline, known.shop
        now = datetime.now(UTC)
        told = [(server.at, server.failure) for server in elsewhere.all().values()]
        # Ages on the page are seconds, so readers within the same second share a page.
        key = (int(now.timestamp()), view, known.read_at, known.failure, tuple(told))

        def make() -> Packed:
            page = PipelinePage(pipeline, shop, elsewhere, view, now)
            return self._packed(self._render("pipeline.html", view, page=page, **_age(known, now)))

        return self._states.get(key, make)

    def wrong(self, view: View, key: str, status: int) -> Packed:
        """The page for an address with a wrong value."""
        t = Texts(view.language)
        page = self._plain(view, t("wrong.title"), t(key), status=status, back=True)
        return self._packed(page)

    def login(self, view: View, *, is_wrong: bool) -> Packed:
        """The form that asks for the password."""
        page = self._render("login.html", view, pages=False, is_wrong=is_wrong)
        return self._packed(Page(page.html, 401 if is_wrong else 200))

    def _waiting(self, known: Known, view: View) -> Page:
        t = Texts(view.language)
        return self._plain(
            view, t("waiting.title"), t("waiting.text"), status=503, failure=known.failure, pages=True
        )

    def _nothing(self, view: View, failure: str | None) -> Page:
        t = Texts(view.language)
        return self._plain(
            view, t("nothing.title"), t("nothing.text"), commands=FROM_NOTHING, failure=failure, pages=True
        )

    def _plain(
        self,
        view: View,
        title: str,
        text: str,
        *,
        status: int = 200,
        commands: Sequence[str] = (),
        failure: str | None = None,
        back: bool = False,
        pages: bool = False,
    ) -> Page:
        page = self._render(
            "nothing.html",
            view,
            pages=pages,
            title=title,
            text=text,
            commands=commands,
            failure=failure,
            back=back,
        )
        return Page(page.html, status)

    def _figures(self, page: ShopPage) -> list[tuple[Figure, list[tuple[int, Markup]]]]:
        return [(figure, self._drawn(page, figure)) for figure in page.figures()]

    def _drawn(self, page: ShopPage, figure: Figure) -> list[tuple[int, Markup]]:
        if not figure.table.rows:
            return []
        language = page.view.language
        widths = (WIDE, HALF, NARROW) if figure.is_wide else (HALF, NARROW)

        def make() -> list[tuple[int, Markup]]:
            return [
                (
                    width,
                    Markup(  # noqa: S704 - Vega escapes the texts
                        draw(
                            figure.draw(width),
                            name=f"{figure.name}-{width}",
                            title=f"{figure.title}. {figure.unit}",
                            language=language,
                        )
                    ),
                )
                for width in widths
            ]

        # The key has the shown rows and not the filters, so filters without an effect share one picture.
        key = (figure.name, language, figure.unit, tuple(figure.table.rows))
        return self._pictures.get(key, make)

    def _render(self, template: str, view: View, *, pages: bool = True, **values: Any) -> Page:
        html = self._templates.get_template(template).render(
            view=view,
            t=Texts(view.language),
            f=Formats(view.language),
            pages=pages,
            with_login=self._with_login,
            **values,
        )
        return Page(html.encode())

    def _packed(self, page: Page) -> Packed:
        return Packed(page, page.mark, _gzip(page.html))

    def _address_of_static(self, name: str) -> str:
        """The address with a hash of the content, so that browsers may keep the file for good."""
        return f"/static/{name}?{hashlib.sha256(self.static[name]).hexdigest()[:12]}"


def _gzip(content: bytes) -> bytes:
    return gzip.compress(content, compresslevel=6, mtime=0)


def _age(known: Known, now: datetime) -> dict[str, Any]:
    seconds = (now - known.read_at).total_seconds() if known.read_at else None
    return {"failure": known.failure, "known_age": seconds}
