"""The Japanese translation is whole, fits its sources, and is what pages and the API show."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from html import unescape
from pathlib import Path
from typing import Any

import polib
import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.template import Context, Template
from django.template.loader import get_template
from django.test import Client
from django.urls import clear_url_caches
from django.utils.translation import override

from catalogue.models import Product
from catalogue.templatetags.money import money
from search.models import Query
from search.reading import queries
from search.vision import colours
from search.vision.matches import Match
from search.writing import indexing
from tests import shop
from tests.drawing import photo
from tests.test_architecture import APPS

ROOT = Path(__file__).resolve().parent.parent
MESSAGES = ROOT / "locale/ja/LC_MESSAGES/django.po"
BLUE_DRESS = photo("dress", shop.COLOURS["blue"], seed=9)

#: What stands for something else, and what the markup of a page is made of.
MARKS = re.compile(r"%\(\w+\)[sd]|%[sd]|%%|\{\w*\}|</?\w+[^>]*>")
ENTRIES = list(polib.pofile(str(MESSAGES)))


def named(entry: polib.POEntry) -> str:
    return f"{entry.msgctxt or ''} {entry.msgid}".strip()[:60]


def texts(entry: polib.POEntry) -> list[str]:
    return list(entry.msgstr_plural.values()) if entry.msgid_plural else [entry.msgstr]


# The file ---------------------------------------------------------------------------------------------------


def test_every_message_is_translated_and_none_is_a_guess() -> None:
    assert [named(entry) for entry in ENTRIES if entry.obsolete or entry.fuzzy or not all(texts(entry))] == []


def test_japanese_has_one_form_for_any_number() -> None:
    assert "nplurals=1; plural=0" in polib.pofile(str(MESSAGES)).metadata["Plural-Forms"]
    assert [named(entry) for entry in ENTRIES if entry.msgid_plural and set(entry.msgstr_plural) != {0}] == []


def test_translations_keep_placeholders_and_markup() -> None:
    """In any order. The form for many is what a translation of both stands for."""
    wrong = [
        named(entry)
        for entry in ENTRIES
        for text in texts(entry)
        if sorted(MARKS.findall(entry.msgid_plural or entry.msgid)) != sorted(MARKS.findall(text))
    ]
    assert wrong == []


def test_translations_begin_and_end_with_the_same_space() -> None:
    def ends(text: str) -> tuple[str, str]:
        return text[: len(text) - len(text.lstrip())], text[len(text.rstrip()) :]

    # What stands between the members of a list is a sign of its own.
    entries = [entry for entry in ENTRIES if entry.msgctxt != "list"]
    wrong = [named(entry) for entry in entries for text in texts(entry) if ends(entry.msgid) != ends(text)]
    assert wrong == []


def test_the_compiled_file_is_that_of_the_text() -> None:
    def known(file: Any) -> dict[tuple[str | None, str], list[str]]:
        return {(entry.msgctxt, entry.msgid): texts(entry) for entry in file}

    assert known(polib.mofile(str(MESSAGES.with_suffix(".mo")))) == known(ENTRIES), "Run “make messages”."


def test_what_is_written_on_a_card_begins_its_longer_name() -> None:
    found = {(entry.msgctxt, entry.msgid): entry.msgstr for entry in ENTRIES}
    for short, long in (
        (("of such products", "More"), "More like this"),
        (("of such products", "Less"), "Less like this"),
        ((None, "Similar"), "Similar products"),
        ((None, "Liked"), "Liked: undo"),
    ):
        assert found[None, long].startswith(found[short])


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project's sources, to collect messages from."""
    if not (shutil.which("xgettext") and shutil.which("msgmerge")):
        sentence = "Messages are compared with the sources by GNU gettext. Run “make gettext”."
        if os.environ.get("CI", "").lower() in {"", "0", "false"}:
            pytest.skip(sentence)
        pytest.fail(sentence, pytrace=False)
    folder = tmp_path_factory.mktemp("sources")
    for name in (*APPS, "modelarchive", "templates", "locale", "static"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__", "node_modules"))
    shutil.copy(ROOT / "manage.py", folder)
    return folder


def test_the_file_holds_every_message_of_the_sources_and_no_other(sources: Path) -> None:
    environment = {"PATH": os.environ["PATH"], "DATA_DIR": str(sources / "data")}
    subprocess.run(
        [sys.executable, "manage.py", "makemessages", "--locale", "ja", "--verbosity", "0"],
        cwd=sources,
        env=environment,
        check=True,
    )
    collected = polib.pofile(str(sources / MESSAGES.relative_to(ROOT)))
    there = {(entry.msgctxt, entry.msgid, entry.msgid_plural) for entry in collected if not entry.obsolete}
    kept = {(entry.msgctxt, entry.msgid, entry.msgid_plural) for entry in ENTRIES}
    assert (there - kept, kept - there) == (set(), set()), "Run “make messages” and translate what is new."


# The pages --------------------------------------------------------------------------------------------------


@pytest.fixture
def products(db: None) -> list[Product]:
    made = shop.fill()
    indexing.reconcile()
    return made


@pytest.fixture
def query(products: list[Product]) -> Query:
    return queries.from_picture(BLUE_DRESS)


def english() -> Iterator[str]:
    """Phrases of the sources, of two words or more, as they would stand in a page."""
    for entry in ENTRIES:
        for message in filter(None, (entry.msgid, entry.msgid_plural)):
            for part in MARKS.split(message):
                phrase = " ".join(part.split()).strip(" .,:;?!…")
                if re.search(r"[A-Za-z]{2,} [A-Za-z]{2,}", phrase):
                    yield phrase


ENGLISH = sorted(set(english()))


#: Where words stand that are heard, or shown by a script.
ATTRIBUTES = r"aria-label|title|alt|placeholder|content|label|help|said|data-[\w-]+"


def shown(answer: Any) -> str:
    """What a page says to those who look and to those who listen."""
    page = re.sub(r"(?s)<(script|style|code)\b.*?</\1>", " ", answer.content.decode())
    words = re.findall(
        r"""(?:aria-label|title|alt|placeholder|content|label|help|said|data-[\w-]+)=["']([^"']*)["']""", page
    )
    return " ".join(unescape(" ".join([re.sub(r"<[^>]+>", " ", page), *words])).split())


def left_in_english(answer: Any) -> list[str]:
    text = shown(answer)
    return [phrase for phrase in ENGLISH if re.search(rf"(?<![A-Za-z]){re.escape(phrase)}(?![A-Za-z])", text)]


@pytest.mark.parametrize(
    ("address", "status"),
    [
        ("/ja/", 200),
        ("/ja/products/", 200),
        ("/ja/products/?in_stock=true&price_min=20&brand=acme&sort=price_up", 200),
        ("/ja/products/?price_min=x&sort=no", 400),
        ("/ja/products/?price_min=99999", 200),
        ("/ja/products/shirt-red-0/", 200),
        ("/ja/search/", 200),
        ("/ja/about/", 200),
        ("/ja/privacy/", 200),
        ("/ja/nothing/here/", 404),
    ],
)
def test_the_shop_speaks_japanese(client: Client, products: list[Product], address: str, status: int) -> None:
    answer = client.get(address)
    assert answer.status_code == status
    assert '<html lang="ja">' in answer.content.decode()
    assert left_in_english(answer) == []


@pytest.mark.parametrize(
    ("parameters", "status"),
    [
        ("", 200),
        ("?box=.1&box=.1&box=.9&box=.9&colour=blue&in_stock=true&price_max=90&like=dress-blue-0", 200),
        ("?dislike=dress-red-0&price_min=5", 200),
        ("?price_min=99999", 200),
        ("?box=1&box=1&box=0&box=0&colour_weight=9&colour=none", 400),
    ],
)
def test_results_are_summarized_in_japanese(client: Client, query: Query, parameters: str, status: int) -> None:
    answer = client.get(f"/ja/search/{query.pk}/{parameters}")
    assert answer.status_code == status
    assert left_in_english(answer) == []


def test_sentences_of_a_summary_follow_each_other_without_a_space(client: Client, query: Query) -> None:
    text = shown(client.get(f"/ja/search/{query.pk}/"))
    assert re.search(r"\d+点の商品を似ている順に表示しています。", text)
    assert "。 うち" not in text


def test_errors_of_asking_are_japanese(client: Client, products: list[Product], settings: Any) -> None:
    assert left_in_english(client.post("/ja/search/")) == []
    wrong = client.post("/ja/search/", {"image": SimpleUploadedFile("a.jpg", b"no picture")})
    assert wrong.status_code == 415
    assert left_in_english(wrong) == []
    gone = queries.from_picture(BLUE_DRESS)
    gone.forget()
    answer = client.get(f"/ja/search/{gone.pk}/")
    assert answer.status_code == 410
    assert left_in_english(answer) == []


@pytest.mark.parametrize(
    "address",
    [
        "",
        "catalogue/product/",
        "catalogue/product/add/",
        "catalogue/product/import/",
        "catalogue/product/export/",
        "catalogue/category/",
        "catalogue/productimage/",
        "search/indexversion/",
        "search/indexversion/index/",
        "search/indexversion/index/rebuild/",
        "search/indexentry/",
        "search/query/",
        "auth/user/",
        "auth/user/add/",
        "auth/group/add/",
    ],
)
def test_the_back_office_speaks_japanese(admin_client: Client, query: Query, address: str) -> None:
    answer = admin_client.get(f"/ja/admin/{address}")
    assert answer.status_code == 200
    assert left_in_english(answer) == []


def test_the_admin_login_speaks_japanese(client: Client, db: None) -> None:
    answer = client.get("/ja/admin/login/")
    assert "ログイン" in shown(answer)
    assert left_in_english(answer) == []


def test_permissions_and_roles_are_named_in_japanese(admin_client: Client, admin_user: Any) -> None:
    text = shown(admin_client.get(f"/ja/admin/auth/user/{admin_user.pk}/change/"))
    assert "カタログ編集者" in text
    assert "商品 | 変更" in text
    assert "Can change" not in text


def test_the_error_page_speaks_both_languages() -> None:
    page = get_template("500.html").render()
    assert "Something went wrong" in page
    assert "エラーが発生しました" in page


# Numbers and words ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("amount", "currency", "written"),
    [("4900", "JPY", "¥4,900"), ("1049", "EUR", "€1,049.00"), ("49", "CHF", "49.00\N{NO-BREAK SPACE}CHF")],
)
def test_prices_are_grouped_in_both_languages(amount: str, currency: str, written: str) -> None:
    for language in ("en", "ja"):
        with override(language):
            assert money(Decimal(amount), currency) == written


def test_figures_and_dates_are_written_as_japanese_has_them() -> None:

    page = Template(
        "{% load humanize %}{{ number|intcomma }} {{ share|floatformat:2 }} {{ moment|date:'DATETIME_FORMAT' }}"
    )
    context = Context({"number": 12345, "share": 0.5, "moment": datetime(2026, 1, 31, 9, 5, tzinfo=UTC)})
    with override("ja"):
        assert page.render(context) == "12,345 0.50 2026年1月31日 9:05"


def test_colours_and_matches_have_japanese_names() -> None:
    with override("ja"):
        assert colours.label("navy") == "ネイビー"
        words = [str(match.label) for match in Match]
    assert words == ["同じ商品", "とてもよく似ている", "似ている", "やや似ている", "似ていない"]


# Addresses --------------------------------------------------------------------------------------------------


def links(page: str, code: str) -> list[str]:
    """Where a page says that it is in another language: in its head, and in its header."""
    tags = re.findall(rf'<(?:link|a)[^>]*hreflang="{code}"[^>]*>', page)
    return [unescape(re.search(r'href="([^"]*)"', tag)[1]) for tag in tags]  # type: ignore[index]


def test_the_language_link_leads_to_the_same_page(client: Client, products: list[Product]) -> None:
    page = client.get("/products/?brand=acme&sort=price_up&q=a%26b").content.decode()
    assert links(page, "ja")[-1] == "/ja/products/?brand=acme&sort=price_up&q=a%26b"
    back = client.get(links(page, "ja")[-1]).content.decode()
    assert links(back, "en")[-1] == "/products/?brand=acme&sort=price_up&q=a%26b"
    # What search engines are told is the same page without the cut.
    assert links(page, "ja")[0] == "http://testserver/ja/products/"


def test_a_missing_page_links_to_the_other_language_s_home_page(client: Client, db: None) -> None:
    assert links(client.get("/nothing/here/").content.decode(), "ja") == ["/ja/"]
    assert links(client.get("/ja/nothing/here/").content.decode(), "en") == ["/"]


@pytest.fixture
def japanese_shop(db: None, settings: Any) -> Iterator[None]:
    settings.LANGUAGE_CODE = "ja"
    clear_url_caches()
    yield
    clear_url_caches()


def test_a_japanese_shop_has_its_english_pages_below_en(client: Client, japanese_shop: None) -> None:
    with override("ja"):
        page = client.get("/products/").content.decode()
        assert '<html lang="ja">' in page
        assert "すべての商品" in page
        assert links(page, "en") == ["http://testserver/en/products/", "/en/products/"]
        assert links(page, "x-default") == ["http://testserver/products/"]
        assert '<html lang="en">' in client.get("/en/products/").content.decode()


def test_the_api_answers_in_the_language_that_is_asked_for(client: Client, db: None) -> None:
    japanese = client.get("/api/nothing", headers={"Accept-Language": "ja,en;q=0.5"})
    assert japanese.json()["detail"].startswith("このURLには何もありません。")
    assert japanese["Content-Language"] == "ja"
    assert "Accept-Language" in japanese["Vary"]
    assert client.get("/api/nothing", headers={"Accept-Language": "en"}).json()["detail"].startswith("There is")
    refused = client.post("/api/v1/search/", {}, "application/json", headers={"Accept-Language": "ja"})
    assert refused.status_code == 400
    assert not re.search(r"[A-Za-z]{3,} [A-Za-z]{3,}", refused.json()["detail"])
