"""What shoppers asked, shown to staff: their pictures until they are deleted, and how well they were answered."""

from __future__ import annotations

import html
import io
import re
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.core.files.base import ContentFile
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone
from PIL import Image

from search.models import Query, query_storage
from search.reading import queries, ranking
from search.reading.refinement import Criteria, Refinement
from search.vision.matches import Match
from search.vision.pictures import Box
from search.writing import indexing, ledger
from tests import shop
from tests.drawing import photo

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("grid")]

QUERIES = reverse("admin:search_query_changelist")


def query(data: bytes | None = None, **fields: Any) -> Query:
    made = Query(
        width=240, height=320, fingerprint="grid", embedding=b"\0\0", colour=b"\0\0", colours_version=1,
        colours=[["red", 0.62]], **fields,
    )  # fmt: skip
    made.picture.save(f"{made.pk}.jpg", ContentFile(data or photo()), save=False)
    made.save()
    return made


def clerk(*codenames: str) -> Client:
    user = User.objects.create_user("clerk", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=codenames))
    client = Client()
    client.force_login(user)
    return client


def shown(client: Client, address: str = QUERIES, **parameters: Any) -> str:
    response = client.get(address, parameters)
    assert response.status_code == 200
    return response.content.decode()


def words(page: str) -> str:
    return html.unescape(re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page)))


def listed(client: Client, **parameters: str) -> set[Query]:
    return set(client.get(QUERIES, parameters).context["cl"].result_list)


def page_of(made: Query) -> str:
    return reverse("admin:search_query_change", args=[made.pk])


def thumbnail(made: Query) -> str:
    return reverse("admin:search_query_thumbnail", args=[made.pk])


def picture(made: Query) -> str:
    return reverse("admin:search_query_picture", args=[made.pk])


# What is noted ----------------------------------------------------------------------------------------------


def test_the_first_ranking_notes_how_well_a_query_was_answered() -> None:
    shop.product("a", photo())
    shop.product("b", photo("hat", "#2050b0"))
    indexing.reconcile()
    asked = queries.from_picture(photo())
    assert (asked.best, asked.best_match, asked.alike, asked.found) == (None, "", None, None)
    ranking.rank(asked)
    asked.refresh_from_db()
    assert asked.best == pytest.approx(1, abs=0.01)
    assert (asked.best_match, asked.alike, asked.found, asked.kind) == ("same_item", True, 2, "picture")


def test_later_rankings_change_nothing_and_write_nothing() -> None:
    shop.product("a", photo())
    indexing.reconcile()
    asked = queries.from_picture(photo())
    ranking.rank(asked)
    before = Query.objects.values().get()
    with CaptureQueriesContext(connection) as captured:
        ranking.rank(Query.objects.get(), Refinement(criteria=Criteria(in_stock=True)))
    assert not [query for query in captured.captured_queries if query["sql"].startswith("UPDATE")]
    assert Query.objects.values().get() == before


def test_a_box_says_nothing_of_the_whole_picture() -> None:
    shop.product("a", photo())
    indexing.reconcile()
    asked = queries.from_picture(photo())
    ranking.rank(asked, Refinement(box=Box(0.1, 0.1, 0.6, 0.6)))
    assert Query.objects.get().found is None


def test_an_empty_catalogue_has_no_best_score() -> None:
    ledger.ensure_live_version()
    asked = queries.from_picture(photo())
    ranking.rank(asked)
    asked.refresh_from_db()
    assert (asked.best, asked.best_match, asked.alike, asked.found) == (None, "", False, 0)


def test_searches_with_a_product_are_marked() -> None:
    made = shop.product("a", photo())
    indexing.reconcile()
    assert queries.from_product(made).kind == Query.Kind.PRODUCT


def test_forgetting_keeps_the_score_and_what_was_noted_meanwhile() -> None:
    made = query()
    other = Query.objects.get()
    made.note(7, 0.5, Match.SIMILAR, True)
    other.forget()
    made.refresh_from_db()
    assert (made.best, made.best_match, made.alike, made.found) == (0.5, "similar", True, 7)
    assert (bytes(made.embedding), made.colours, made.picture.name) == (b"", [], "")


# The list ---------------------------------------------------------------------------------------------------


def test_queries_are_listed_with_picture_answer_and_link(admin_client: Client) -> None:
    made = query(best=0.8125, best_match=Match.VERY_SIMILAR, alike=True, found=500)
    page = shown(admin_client)
    assert f'src="{thumbnail(made)}"' in page
    assert "own picture very similar 0.812 500+ Red 62%" in words(page)
    assert f'href="{made.get_absolute_url()}"' in page


def test_a_query_by_product_shows_the_product(admin_client: Client) -> None:
    image = shop.product("a", photo()).photos.get()
    made = query(photo=image, kind=Query.Kind.PRODUCT)
    Query.objects.filter(pk=made.pk).update(picture="")
    page = shown(admin_client)
    assert f'src="{image.thumbnail.url}"' in page
    assert thumbnail(made) not in page
    assert "not ranked" in words(page)


def test_a_query_that_is_gone_has_a_tile_that_says_so(admin_client: Client) -> None:
    made = query(best=0.4, best_match=Match.NONE, alike=False, found=3, expires=timezone.now() - timedelta(hours=1))
    for address in (QUERIES, page_of(made)):
        page = shown(admin_client, address)
        assert '<span class="index-deleted">deleted</span>' in page
        assert "no matches 0.400" in words(page)
        assert thumbnail(made) not in page
        assert picture(made) not in page
        assert made.get_absolute_url() not in page


def test_staff_find_what_was_not_answered(admin_client: Client) -> None:
    alike = query(alike=True, best_match=Match.SIMILAR, found=1)
    vain = query(alike=False, best_match=Match.NONE, found=1, kind=Query.Kind.PRODUCT)
    fresh = query()
    gone = query(alike=True, best_match=Match.SAME_ITEM, found=1)
    gone.forget()
    assert listed(admin_client, alike="no") == {vain}
    assert listed(admin_client, alike="yes") == {alike, gone}
    assert listed(admin_client, alike="unknown") == {fresh}
    assert listed(admin_client, best_match__exact="similar") == {alike}
    assert listed(admin_client, kind__exact="product") == {vain}
    assert listed(admin_client, kept="yes") == {alike, vain, fresh}
    assert listed(admin_client, kept="no") == {gone}
    assert listed(admin_client, alike="nonsense") == {alike, vain, fresh, gone}


def test_the_list_costs_the_same_queries_for_one_as_for_many(admin_client: Client) -> None:
    def cost() -> int:
        with CaptureQueriesContext(connection) as captured:
            assert admin_client.get(QUERIES).status_code == 200
        return len(captured)

    query(photo=shop.product("a", photo()).photos.get())
    few = cost()
    for number in range(4):
        query()
        query(photo=shop.product(f"more-{number}", photo(seed=number)).photos.get())
    assert cost() == few <= 8


def test_queries_are_hidden_from_staff_without_the_permission() -> None:
    made = query()
    stranger = clerk("view_product")
    for address in (QUERIES, page_of(made), thumbnail(made), picture(made)):
        assert stranger.get(address).status_code == 403


# Pictures ---------------------------------------------------------------------------------------------------


def test_a_picture_is_shown_small_and_whole_to_those_who_may_see_it() -> None:
    made = query(photo())
    viewer = clerk("view_query")
    small = viewer.get(thumbnail(made))
    assert small.headers["Content-Type"] == "image/jpeg"
    assert max(Image.open(io.BytesIO(small.content)).size) == 160
    whole = viewer.get(picture(made))
    assert b"".join(whole.streaming_content) == photo()  # type: ignore[attr-defined]


@pytest.mark.parametrize(("left", "kept"), [(timedelta(hours=2), 600), (timedelta(seconds=60), 60)])
def test_a_picture_is_cached_only_by_the_browser_until_it_expires(
    admin_client: Client, left: timedelta, kept: int
) -> None:
    made = query(expires=timezone.now() + left)
    for address in (thumbnail(made), picture(made)):
        response = admin_client.get(address)
        seconds = int(re.fullmatch(r"private, max-age=(\d+)", response.headers["Cache-Control"])[1])  # type: ignore[index]
        assert kept - 10 < seconds <= kept
        assert b"".join(response)  # read, which closes its file


def test_visitors_are_sent_to_log_in_before_any_picture() -> None:
    made = query()
    for address in (thumbnail(made), picture(made)):
        response = Client().get(address)
        assert response.status_code == 302
        assert "login" in response.headers["Location"]


def test_a_deleted_picture_is_not_found(admin_client: Client) -> None:
    forgotten, expired, lost = query(), query(expires=timezone.now()), query()
    forgotten.forget()
    query_storage().delete(lost.picture.name or "")
    damaged = query(b"\xff\xd8\xff\xe0 no picture")
    for made in (forgotten, expired, lost):
        assert admin_client.get(thumbnail(made)).status_code == 404
        assert admin_client.get(picture(made)).status_code == 404
    assert admin_client.get(thumbnail(damaged)).status_code == 404


# Deleting ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("where", ["list", "page"])
def test_deleting_a_query_forgets_its_picture_at_once(admin_client: Client, where: str) -> None:
    made = query(best=0.5, best_match=Match.SIMILAR, alike=True, found=3)
    name = made.picture.name or ""
    if where == "list":
        chosen = {"action": "delete_selected", "_selected_action": [str(made.pk)]}
        asked = admin_client.post(QUERIES, chosen).content.decode()
        admin_client.post(QUERIES, {**chosen, "post": "yes"})
    else:
        address = reverse("admin:search_query_delete", args=[made.pk])
        asked = shown(admin_client, address)
        admin_client.post(address, {"post": "yes"})
    assert "immediately and for good" in asked
    made.refresh_from_db()
    assert (made.gone, bytes(made.embedding), made.colours, made.best) == (True, b"", [], 0.5)
    assert not query_storage().exists(name)
    assert made in listed(admin_client)


def test_those_who_only_look_delete_nothing() -> None:
    made = query()
    viewer = clerk("view_query")
    assert viewer.post(reverse("admin:search_query_delete", args=[made.pk]), {"post": "yes"}).status_code == 403
    viewer.post(QUERIES, {"action": "delete_selected", "_selected_action": [str(made.pk)], "post": "yes"})
    made.refresh_from_db()
    assert not made.gone
