"""The read path and its invariants, with the real model."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.utils import timezone
from PIL import Image

from catalogue.images import BrokenImage, ImageRefused
from catalogue.models import Category, Product
from search.exceptions import IndexMissing, NotIndexed, QueryGone
from search.lifecycle import building
from search.models import Query, QueryMemo, QueryMemoQuerySet
from search.reading import queries, ranking, results
from search.reading.refinement import Criteria, Refinement
from search.reading.results import Page
from search.versions import live_version
from search.vision.embedders.openvino import OpenVinoEmbedder
from search.vision.matches import Match
from search.vision.pictures import Box
from search.writing import indexing
from tests import shop
from tests.drawing import encoded, photo, picture
from tests.search.grid import configured

pytestmark = pytest.mark.django_db


def ask(data: bytes, refinement: Refinement | None = None, size: int = 24) -> Page:
    query = queries.from_picture(data)
    refinement = refinement or Refinement()
    return results.page(ranking.rank(query, refinement), size=size)


def skus(page: Page) -> list[str]:
    return [result.product.sku for result in page.results]


def test_a_photo_of_the_catalogue_finds_itself_first(products: list[Product]) -> None:
    page = ask(photo("dress", shop.COLOURS["blue"], seed=1))
    assert skus(page)[0] == "dress-blue-1"
    assert page.results[0].match == Match.SAME_ITEM
    # The cosine of [.8 style ; .2 colour] and [style ; colour] where both blocks agree.
    assert page.results[0].score == pytest.approx((0.8 + 0.2) / (0.68**0.5 * 2**0.5), abs=0.01)
    assert [result.rank for result in page.results] == list(range(1, len(page.results) + 1))


def test_a_new_picture_finds_its_kind_and_colour(products: list[Product]) -> None:
    page = ask(photo("trousers", shop.COLOURS["green"], seed=77), size=2)
    assert {sku.rsplit("-", 1)[0] for sku in skus(page)} == {"trousers-green"}


def test_scores_fall_and_every_product_comes_once(products: list[Product]) -> None:
    shop.add_photo(products[0], photo("shirt", shop.COLOURS["red"], seed=40), 1)
    indexing.sync()
    page = ask(photo("shirt", shop.COLOURS["red"], seed=40), size=200)
    scores = [result.score for result in page.results]
    assert scores == sorted(scores, reverse=True)
    assert sorted(skus(page)) == sorted(product.sku for product in products)


def test_the_photo_that_matched_is_shown(products: list[Product]) -> None:
    second = shop.add_photo(products[0], photo("hat", "#d0a000", seed=3), 1)
    indexing.sync()
    best = ask(photo("hat", "#d0a000", seed=3)).results[0]
    assert (best.product, best.photo) == (products[0], second)


def test_the_colour_weight_trades_kind_for_colour(products: list[Product]) -> None:
    query = queries.from_picture(photo("hat", shop.COLOURS["blue"], seed=9))

    def share(weight: float, word: str) -> int:
        refinement = Refinement(colour_weight=weight)
        page = results.page(ranking.rank(query, refinement), size=6)
        return sum(word in sku for sku in skus(page))

    assert share(0, "hat") >= share(0.5, "hat")
    assert share(0.5, "blue") > share(0, "blue") or share(0.5, "blue") == 6


@pytest.mark.parametrize(
    ("criteria", "keep"),
    [
        (Criteria(category=("hat",)), lambda p: p.category.slug == "hat"),
        (Criteria(category=("clothes",)), lambda p: True),
        (Criteria(category=("hat", "dress")), lambda p: p.category.slug in {"hat", "dress"}),
        (Criteria(brand=("acme",)), lambda p: p.brand.slug == "acme"),
        (Criteria(price_min=Decimal(50), price_max=Decimal(90)), lambda p: 50 <= p.price <= 90),
        (Criteria(in_stock=True), lambda p: p.stock > 0),
        (Criteria(category=("hat",), in_stock=True), lambda p: p.category.slug == "hat" and p.stock > 0),
    ],
)
def test_filters_keep_exactly_what_meets_them(products: list[Product], criteria: Criteria, keep: Any) -> None:
    page = ask(photo(), Refinement(criteria=criteria), size=200)
    assert sorted(skus(page)) == sorted(product.sku for product in products if keep(product))


def test_named_colours_are_a_filter(products: list[Product]) -> None:
    page = ask(photo(), Refinement(criteria=Criteria(colour=("blue",))), size=200)
    assert skus(page)
    assert {sku.split("-")[1] for sku in skus(page)} == {"blue"}


def test_pages_neither_repeat_nor_skip_while_the_catalogue_changes(products: list[Product]) -> None:
    query = queries.from_picture(photo())
    frozen = ranking.rank(query)
    seen: list[str] = []
    position: int | None = 0
    while position is not None:
        page = results.page(ranking.find(query, frozen.key), position, 5)
        seen += skus(page)
        position = page.next_position
        shop.product(f"new-{position}", photo(seed=position or 0))
        indexing.sync()
    assert sorted(seen) == sorted(product.sku for product in products)
    assert len(seen) == len(set(seen))


def test_what_shoppers_may_not_see_is_not_shown_even_before_the_index_knows(products: list[Product]) -> None:
    query = queries.from_picture(photo())
    ranked = ranking.rank(query)
    hidden, deleted = ranked.rows[0][0], ranked.rows[1][0]
    Product.objects.filter(pk=hidden).update(visible_until=timezone.now())
    Product.objects.filter(pk=deleted).delete()
    page = results.page(ranked, size=24)
    assert len(page.results) == len(products) - 2
    assert {hidden, deleted}.isdisjoint(result.product.pk for result in page.results)


def test_a_price_that_has_left_the_range_is_not_shown(products: list[Product]) -> None:
    refinement = Refinement(criteria=Criteria(price_max=Decimal(100)))
    query = queries.from_picture(photo())
    ranked = ranking.rank(query, refinement)
    Product.objects.filter(pk=ranked.rows[0][0]).update(price=500)
    page = results.page(ranked)
    assert all(result.product.price <= 100 for result in page.results)
    assert len(page.results) == len(ranked) - 1


def test_a_product_finds_its_like_and_not_itself(products: list[Product]) -> None:
    query = queries.from_product(products[0])
    page = results.page(ranking.rank(query), size=200)
    assert products[0].sku not in skus(page)
    assert skus(page)[0] == "shirt-red-1"
    assert skus(page)[:5] == [r.product.sku for r in results.similar_to(products[0], 5)]
    assert Query.objects.count() == 1


def test_a_product_whose_photos_wait_says_so(products: list[Product]) -> None:
    with pytest.raises(NotIndexed, match="again in a minute"):
        queries.from_product(shop.product("new", photo(seed=50)))


def test_more_like_and_less_like_move_the_results(products: list[Product]) -> None:
    query = queries.from_picture(photo("shirt", shop.COLOURS["red"], seed=60))
    refinement = Refinement(colour_weight=0, like=("hat-red-0", "hat-blue-1"), dislike=("shirt-red-0",))

    def hats(refinement: Refinement) -> int:
        page = results.page(ranking.rank(query, refinement), size=8)
        assert refinement.dislike == () or "shirt-red-0" not in skus(page)
        return sum("hat" in sku for sku in skus(page))

    assert hats(refinement) > hats(Refinement(colour_weight=0))


def test_a_box_searches_with_that_part_of_the_picture(products: list[Product]) -> None:
    both = Image.new("RGB", (480, 320), "white")
    both.paste(picture("trousers", shop.COLOURS["blue"], seed=1), (0, 0))
    both.paste(picture("hat", shop.COLOURS["red"], seed=0), (240, 0))
    query = queries.from_picture(encoded(both))
    for box, expected in ((Box(0, 0, 0.5, 1), "trousers-blue"), (Box(0.5, 0, 1, 1), "hat-red")):
        refinement = Refinement(box=box)
        page = results.page(ranking.rank(query, refinement))
        assert skus(page)[0].startswith(expected)


def test_only_a_new_box_calls_the_model(products: list[Product], monkeypatch: pytest.MonkeyPatch) -> None:
    query = queries.from_picture(photo())
    calls = []
    embed = OpenVinoEmbedder.embed
    monkeypatch.setattr(OpenVinoEmbedder, "embed", lambda self, squares: calls.append(1) or embed(self, squares))
    ranking.rank(query, Refinement(colour_weight=0.4, like=("hat-red-0",)))
    assert not calls
    for weight in (0.1, 0.3):
        ranking.rank(query, Refinement(box=Box(0, 0, 0.5, 0.5), colour_weight=weight))
    assert len(calls) == 1


def test_how_near_the_nearest_is_is_asked_once_for_all_refinements(
    products: list[Product], monkeypatch: pytest.MonkeyPatch
) -> None:
    query = queries.from_picture(photo())
    asked = []
    keep = QueryMemoQuerySet.keep

    def counted(memos: QueryMemoQuerySet, about: Query, kind: QueryMemo.Kind, name: str, data: bytes) -> None:
        asked.extend([name] * (kind == QueryMemo.Kind.NEAREST))
        keep(memos, about, kind, name, data)

    monkeypatch.setattr(QueryMemoQuerySet, "keep", counted)
    plain = ranking.rank(query)
    refinements = [
        Refinement(colour_weight=0.4),
        Refinement(like=("hat-red-0",)),
        Refinement(criteria=Criteria(category=("hat",))),
    ]
    assert all(ranking.rank(queries.find(query.pk), one).alike == plain.alike for one in refinements)
    assert len(asked) == 1
    ranking.rank(query, Refinement(box=Box(0, 0, 0.5, 0.5)))
    ranking.rank(query)
    assert len(asked) == 3


def test_a_refinement_is_called_alike_as_its_picture_is_by_now(products: list[Product]) -> None:
    query = queries.from_picture(encoded(Image.effect_noise((300, 300), 90).convert("RGB")))
    filtered = Refinement(criteria=Criteria(price_max=Decimal(9_999)))
    assert not ranking.rank(query).alike
    assert not ranking.rank(query, filtered).alike
    shop.product("noise", shop.content_of(query), price=1)
    indexing.sync()
    assert ranking.rank(query).alike
    assert ranking.rank(query, filtered).alike


def test_when_the_model_has_changed_the_picture_is_embedded_again(products: list[Product], settings: Any) -> None:
    query = queries.from_picture(photo("dress", shop.COLOURS["green"], seed=1))
    settings.EMBEDDERS = {"default": configured()}
    building.rebuild()
    query = queries.find(query.pk)
    page = results.page(ranking.rank(query))
    assert skus(page)[0] == "dress-green-1"
    assert Query.objects.get().fingerprint == "grid"


def test_a_forgotten_query_is_gone_with_its_picture(
    products: list[Product], django_capture_on_commit_callbacks: Any
) -> None:
    query = queries.from_picture(photo())
    storage, name = query.picture.storage, query.picture.name
    with django_capture_on_commit_callbacks(execute=True):
        query.forget()
    assert not storage.exists(name)
    kept = Query.objects.get()
    assert (bytes(kept.embedding), bytes(kept.colour), kept.colours) == (b"", b"", [])
    with pytest.raises(QueryGone, match="Search again"):
        queries.find(query.pk)


def test_what_was_derived_from_a_deleted_picture_is_deleted_with_it(products: list[Product]) -> None:
    query = queries.from_picture(photo())
    box = Box(0, 0, 0.5, 0.5)
    keys = [ranking.rank(query, refinement).key for refinement in (Refinement(), Refinement(box=box))]
    assert queries.has_vectors(query, box, live_version())
    assert query.memos.count() == 5  # two rankings, a box, and how near the nearest is to both
    query.forget()
    assert not query.memos.exists()
    assert not queries.has_vectors(query, box, live_version())
    for key in keys:
        with pytest.raises(QueryGone):
            ranking.find(query, key)


def test_expired_queries_are_forgotten(products: list[Product], django_capture_on_commit_callbacks: Any) -> None:
    old, fresh = queries.from_picture(photo()), queries.from_picture(photo())
    Query.objects.filter(pk=old.pk).update(expires=timezone.now() - timedelta(seconds=1))
    with pytest.raises(QueryGone):
        queries.find(old.pk)
    with django_capture_on_commit_callbacks(execute=True):
        assert queries.delete_expired() == 1
    assert queries.delete_expired() == 0
    assert not old.picture.storage.exists(old.picture.name)
    assert fresh.picture.storage.exists(fresh.picture.name)


def test_a_stored_picture_has_no_metadata_and_stands_upright(products: list[Product]) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned
    exif[0x010E] = "At home, 51.5 N 0.1 W"
    query = queries.from_picture(encoded(picture(size=(320, 240)), exif=exif))
    with query.picture.open() as file, Image.open(file) as stored:
        assert stored.size == (240, 320)
        assert not stored.getexif()
        assert b"51.5" not in file.read()


def test_another_kind_of_thing_is_not_called_alike(products: list[Product]) -> None:
    for seed in range(2, 4):
        for kind in ("shirt", "dress"):
            shop.product(f"{kind}-{seed}", photo(kind, "#705090", seed=seed))
    indexing.reconcile()
    building.rebuild()
    noise = Image.effect_noise((300, 300), 120).convert("RGB")
    other = ranking.rank(queries.from_picture(encoded(noise)))
    garment = ranking.rank(queries.from_picture(photo("dress", shop.COLOURS["blue"], seed=90)))
    assert (other.alike, garment.alike) == (False, True)
    assert len(other) > 0


def test_a_picture_that_cannot_be_read_makes_no_query(products: list[Product]) -> None:
    with pytest.raises(ImageRefused):
        queries.from_picture(b"no picture")
    with pytest.raises(BrokenImage):
        queries.from_picture(photo()[:2000])
    assert not Query.objects.exists()


def test_searching_without_an_index_explains_what_to_do() -> None:
    with pytest.raises(IndexMissing, match="Import a catalogue"):
        queries.from_picture(photo())


def test_a_search_needs_the_same_queries_for_any_number_of_products(
    products: list[Product], django_assert_num_queries: Any
) -> None:
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    counts = []
    for size in (3, 20):
        query = queries.find(queries.from_picture(photo()).pk)
        with CaptureQueriesContext(connection) as captured:
            page = results.page(ranking.rank(query), size=size)
        assert len(page.results) == size
        counts.append(len(captured))
    assert counts[0] == counts[1] == 9


def test_subcategories_count_as_their_category(products: list[Product]) -> None:
    caps = Category.objects.create(name="Caps", slug="caps", parent=Category.objects.get(slug="hat"))
    Product.objects.filter(sku="hat-red-0").update(category=caps)
    indexing.sync()
    page = ask(photo("hat"), Refinement(criteria=Criteria(category=("hat",))), size=200)
    assert "hat-red-0" in skus(page)
    assert len(skus(page)) == 6


def test_a_picture_whose_storing_failed_is_forgotten_whatever_was_stored(
    products: list[Product], monkeypatch: pytest.MonkeyPatch
) -> None:
    storage = Query._meta.get_field("picture").storage
    save = type(storage).save

    def unanswered(*args: Any, **kwargs: Any) -> str:
        save(*args, **kwargs)
        raise OSError("The connection was lost")

    monkeypatch.setattr(type(storage), "save", unanswered)
    with pytest.raises(OSError, match="lost"):
        queries.from_picture(photo())
    query = Query.objects.get()
    assert query.gone
    assert storage.exists(f"{query.pk}.jpg")
    assert queries.delete_expired() == 1
    assert not storage.exists(f"{query.pk}.jpg")


def test_a_picture_that_cannot_be_deleted_is_tried_again(
    products: list[Product], monkeypatch: pytest.MonkeyPatch
) -> None:
    query = queries.from_picture(photo())
    storage = query.picture.storage

    def refuse(self: Any, name: str) -> None:
        raise OSError("The storage is away")

    with monkeypatch.context() as patch:
        patch.setattr(type(storage), "delete", refuse)
        with pytest.raises(OSError, match="away"):
            query.forget()
    Query.objects.update(expires=timezone.now())
    assert queries.delete_expired() == 1
    assert not storage.exists(f"{query.pk}.jpg")


def test_forgotten_queries_are_remembered_for_a_while_only(products: list[Product]) -> None:
    queries.from_picture(photo()).forget()
    Query.objects.update(expires=timezone.now() - queries.REMEMBERED - timedelta(minutes=1))
    queries.delete_expired()
    assert not Query.objects.exists()
