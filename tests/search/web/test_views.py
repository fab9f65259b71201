"""The pages of search as shoppers meet them."""

from __future__ import annotations

import re
from datetime import timedelta
from html import unescape
from typing import Any
from urllib.parse import urlencode
from uuid import uuid4

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db.models import Value
from django.db.models.functions import Concat
from django.test import Client
from django.utils import timezone
from PIL import Image

from benchmarks.hostile import tiff_flat
from catalogue import images
from catalogue.models import Product
from search.models import IndexVersion, Query
from search.reading import queries, ranking
from search.reading.refinement import MOST_WISHES
from search.writing import indexing
from tests import shop
from tests.cost import processor_time
from tests.drawing import encoded, photo, picture

pytestmark = pytest.mark.django_db

BLUE_DRESS = photo("dress", shop.COLOURS["blue"], seed=9)


@pytest.fixture
def query(products: list[Product]) -> Query:
    return queries.from_picture(BLUE_DRESS)


def upload(client: Client, data: bytes = BLUE_DRESS) -> Any:
    return client.post("/search/", {"image": SimpleUploadedFile("photo.jpg", data)})


def page(client: Client, address: str, status: int = 200) -> str:
    response = client.get(address)
    assert response.status_code == status
    return str(response.content.decode())


def titles(shown: str) -> list[str]:
    return re.findall(r'card__title">([^<]+)<', shown)


def links(shown: str, words: str) -> list[str]:
    return [unescape(address) for address in re.findall(rf'<a [^>]*?href="([^"]+)"[^>]*>{words}', shown)]


def without(shown: str) -> list[str]:
    """The addresses that take a choice away."""
    return [unescape(address) for address in re.findall(r'<a href="([^"]+)"[^>]*aria-label="Remove', shown)]


# Asking -----------------------------------------------------------------------------------------------------


def test_a_picture_leads_to_its_results_at_their_own_address(client: Client, products: list[Product]) -> None:
    response = upload(client)
    assert response.status_code == 303
    assert response["Location"] == Query.objects.get().get_absolute_url()
    shown = page(client, response["Location"])
    assert titles(shown)[0].startswith("Product dress-blue")
    assert len(titles(shown)) == 24


def test_the_link_works_for_anyone_who_has_it(client: Client, query: Query) -> None:
    assert titles(page(Client(), query.get_absolute_url())) == titles(page(client, query.get_absolute_url()))


@pytest.mark.parametrize("accepts", ["text/html", "application/json"])
def test_an_address_that_is_too_long_is_answered_and_not_cut(client: Client, accepts: str) -> None:
    assert "maxlength" not in page(client, "/search/")
    address = "https://pictures.example/dress.jpg?" + 2_465 * "x"
    response = client.post("/search/", {"image_url": address}, headers={"accept": accepts})
    assert response.status_code == 422
    assert "This is not the address of a picture. Copy the whole address" in response.content.decode()
    assert accepts == "application/json" or address in response.content.decode()


def test_a_product_can_be_searched_with(client: Client, products: list[Product]) -> None:
    response = client.post("/search/", {"product": "hat-red-0"})
    assert response.status_code == 303
    shown = page(client, response["Location"])
    assert "Similar products" in shown
    assert titles(shown)[0].startswith("Product hat-red")
    assert "Product hat-red-0" not in titles(shown)
    assert "Delete my picture" not in shown


@pytest.mark.parametrize("accept", ["text/html", "application/json"])
def test_a_busy_decoder_asks_to_come_again(
    client: Client, products: list[Product], monkeypatch: pytest.MonkeyPatch, accept: str
) -> None:
    monkeypatch.setattr(images, "REQUEST_WAIT", 0.01)
    large = tiff_flat(4_000)
    with images.reading(large, short_side=224), images.reading(large, short_side=224):
        files = {"image": SimpleUploadedFile("photo.tif", large)}
        response = client.post("/search/", files, headers={"Accept": accept})

    assert response.status_code == 503
    assert 0 < int(response["Retry-After"]) < 60
    assert b"Try again in a moment." in response.content


@pytest.mark.usefixtures("no_nul")
@pytest.mark.parametrize("sku", ["unknown", "a\0b"])
def test_a_product_that_there_is_not_is_404(client: Client, products: list[Product], sku: str) -> None:
    assert client.post("/search/", {"product": sku}).status_code == 404


def test_an_unknown_product_is_answered_in_json_for_the_script(client: Client, products: list[Product]) -> None:
    response = client.post("/search/", {"product": "unknown"}, headers={"Accept": "application/json"})
    assert response.status_code == 404
    assert response.json() == {"error": "There is no product with the SKU unknown."}


def test_a_form_without_its_token_is_refused_as_its_sender_reads_it() -> None:
    client = Client(enforce_csrf_checks=True)
    response = client.post("/search/", {"product": "a"}, headers={"Accept": "application/json"})
    assert response.status_code == 403
    assert "Reload it" in response.json()["error"]
    response = client.post("/search/", {"product": "a"}, headers={"Accept": "text/html"})
    assert response.status_code == 403
    assert "This page was open for too long" in response.content.decode()


@pytest.mark.parametrize(
    ("data", "status", "words"),
    [
        (b"", 400, "empty"),
        (b"just words", 415, "not a picture"),
        (BLUE_DRESS[:2000], 422, "damaged"),
        (encoded(Image.new("RGB", (20, 400))), 422, "Choose a larger one"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused_beside_the_control(
    client: Client, products: list[Product], data: bytes, status: int, words: str
) -> None:
    response = upload(client, data)
    assert response.status_code == status
    shown = response.content.decode()
    assert words in re.findall(r'role="alert"[^>]*>([^<]+)<', shown)[0]
    assert 'aria-invalid="true" autofocus' in shown
    assert 'aria-describedby="picture-error' in shown
    assert not Query.objects.exists()


def test_a_part_of_a_long_strip_can_be_searched_with(client: Client, products: list[Product]) -> None:
    strip = encoded(Image.new("RGB", (32, 2_600), "navy"))  # stored 16 pixels wide
    asked = queries.from_picture(strip)

    page(client, f"{asked.get_absolute_url()}?box=0,0,0.02,0.02")


def test_a_stored_picture_that_is_refused_by_now_is_answered_with_a_sentence(
    client: Client, query: Query, settings: Any
) -> None:
    settings.IMAGE_MAX_PIXELS = 10_000

    shown = page(client, f"{query.get_absolute_url()}?box=0,0,0.5,0.5", status=422)

    assert "Make it smaller" in shown


def test_a_file_that_is_too_large_is_refused_before_it_is_read(client: Client, settings: Any) -> None:
    settings.IMAGE_MAX_BYTES = 1_000
    response = upload(client)
    assert response.status_code == 413
    assert "Make it smaller" in response.content.decode()


@pytest.mark.parametrize(("data", "status"), [(BLUE_DRESS, 201), (b"just words", 415), (b"", 400)])
def test_the_pages_script_is_answered_in_json(
    client: Client, products: list[Product], data: bytes, status: int
) -> None:
    file = {"image": SimpleUploadedFile("photo.jpg", data)}
    response = client.post("/search/", file, headers={"Accept": "application/json"})
    assert response.status_code == status
    if status == 201:
        assert response.json() == {"location": Query.objects.get().get_absolute_url()}
    else:
        assert response.json()["error"].endswith(".")


def test_the_pages_script_learns_what_is_wrong(client: Client, products: list[Product], settings: Any) -> None:
    asked = {"Accept": "application/json"}
    assert "Choose a picture" in client.post("/search/", headers=asked).json()["error"]
    settings.SEARCH_RATE = "1/min"
    client.post("/search/", headers=asked)
    assert "Try again in" in client.post("/search/", headers=asked).json()["error"]
    IndexVersion.objects.all().delete()
    settings.SEARCH_RATE = "60/min"
    response = client.post("/search/", {"product": "hat-red-0"}, headers=asked)
    assert (response.status_code, response["Retry-After"]) == (503, "30")
    assert "having a break" not in response.json()["error"]


@pytest.mark.parametrize("address", ["/about/", "/privacy/", "/ja/about/", "/ja/privacy/"])
def test_pages_say_what_search_is_and_what_becomes_of_a_picture(client: Client, address: str) -> None:
    assert "<h1>" in page(client, address)


def test_a_search_without_a_picture_asks_for_one(client: Client) -> None:
    response = client.post("/search/")
    assert response.status_code == 400
    assert "Choose a picture first" in response.content.decode()


def test_the_form_has_an_address_of_its_own(client: Client) -> None:
    assert 'name="image"' in page(client, "/search/")


def test_a_product_that_nobody_may_see_cannot_be_searched_with(client: Client, products: list[Product]) -> None:
    Product.objects.filter(sku="hat-red-0").update(visible_until=timezone.now())
    assert client.post("/search/", {"product": "hat-red-0"}).status_code == 404
    assert client.post("/search/", {"product": "nothing"}).status_code == 404


def test_a_product_that_search_does_not_know_yet_says_so(client: Client, products: list[Product]) -> None:
    shop.product("fresh", photo(seed=70))
    response = client.post("/search/", {"product": "fresh"})
    assert response.status_code == 422
    assert "Try again in a minute" in response.content.decode()


def test_too_many_searches_are_slowed_down(client: Client, products: list[Product], settings: Any) -> None:
    settings.SEARCH_RATE = "1/min"
    assert upload(client).status_code == 303
    response = upload(client)
    assert response.status_code == 429
    assert 0 < int(response["Retry-After"]) <= 60
    assert "Try again in" in response.content.decode()


def test_only_a_new_box_counts_as_a_search(client: Client, query: Query, settings: Any) -> None:
    settings.SEARCH_RATE = "1/min"
    address = f"{query.get_absolute_url()}?box=0,0,0.5,0.5"
    page(client, address)
    page(client, f"{address}&colour_weight=0.4&category=hat")
    page(client, f"{query.get_absolute_url()}?box=0,0,0.6,0.6", 429)


def test_search_that_cannot_answer_says_so_and_no_more(client: Client) -> None:
    response = upload(client)  # there is no index
    assert response.status_code == 503
    assert response["Retry-After"] == "30"
    assert "Try again in a minute" in response.content.decode()
    assert "manage.py" not in response.content.decode()


# What was found ---------------------------------------------------------------------------------------------


def test_results_are_private_and_left_out_of_search_engines(client: Client, query: Query) -> None:
    response = client.get(query.get_absolute_url())
    assert "private" in response["Cache-Control"]
    assert response["X-Robots-Tag"] == "noindex"
    assert '<meta name="robots" content="noindex">' in response.content.decode()


def test_results_say_how_alike_they_are_and_until_when_they_are_kept(client: Client, query: Query) -> None:
    shown = page(client, query.get_absolute_url())
    assert "24 products, the most similar first." in shown
    assert 'card__match--very_similar">Very similar<' in shown or 'card__match--same_item">Same item<' in shown
    assert "it works until" in shown


def test_each_result_shows_the_photo_that_matched(client: Client, products: list[Product]) -> None:
    added = shop.add_photo(products[0], BLUE_DRESS, 1)
    indexing.reconcile()
    shown = page(client, queries.from_picture(BLUE_DRESS).get_absolute_url())
    first = shown.split('class="card"')[1]
    assert products[0].title in first
    assert added.thumbnail.url in first


def test_nothing_alike_is_said_first_and_the_closest_are_folded_away(client: Client, query: Query) -> None:
    # A bound that nothing reaches stands for a catalogue of another kind of thing.
    bounds = '{"same_item": 1, "very_similar": 1, "similar": 1, "loosely_similar": 1, "photos": 24}'
    IndexVersion.objects.update(calibration_json=bounds)
    shown = page(client, query.get_absolute_url())
    assert "Nothing in the shop looks like this picture" in shown
    fold = shown.index("Show the closest")
    assert shown.index("Nothing in the shop") < fold < shown.index('card__title"')


def test_filters_narrow_the_results(client: Client, query: Query) -> None:
    address = query.get_absolute_url()
    shown = page(client, f"{address}?category=hat&brand=acme&price_min=&in_stock=true")
    assert titles(shown)
    assert all(title.startswith("Product hat") and title.endswith("1") for title in titles(shown))
    assert re.search(r'value="hat" checked', shown)
    assert re.search(r'value="acme" checked', shown)
    assert re.search(r'name="in_stock" value="true" checked', shown)


def test_several_values_of_a_filter_admit_each(client: Client, query: Query) -> None:
    shown = page(client, f"{query.get_absolute_url()}?category=hat&category=shirt")
    assert {title.split("-")[0] for title in titles(shown)} == {"Product hat", "Product shirt"}


def test_filters_that_nothing_meets_can_be_taken_away(client: Client, query: Query) -> None:
    shown = page(client, f"{query.get_absolute_url()}?price_min=9999")
    assert "No products match" in shown
    assert without(shown) == [query.get_absolute_url()]
    assert 'aria-label="Remove: From 9,999"' in shown


def test_the_slider_shapes_the_results(client: Client, query: Query) -> None:
    plain, coloured = (page(client, f"{query.get_absolute_url()}?colour_weight={weight}") for weight in ("0", "0.5"))
    assert titles(plain) != titles(coloured)
    assert re.search(r'type="range"[^>]*value="0.5"', coloured)


def test_a_box_may_come_in_one_parameter_or_from_four_fields(client: Client, query: Query) -> None:
    address = query.get_absolute_url()
    joined = page(client, f"{address}?box=0.1,0.2,0.6,0.7")
    assert 'x="0.1" y="0.2" width="0.5"' in joined
    apart = page(client, f"{address}?box=0.1&box=0.2&box=0.6&box=0.7")
    assert titles(apart) == titles(joined)
    assert titles(page(client, f"{address}?box=&box=&box=&box=")) == titles(page(client, address))


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ("box=0.1,0.2", "A box is four numbers"),
        ("box=0.5&box=0.5&box=0.1&box=0.1", "left edge of a box"),
        ("colour_weight=2", "less than or equal to 0.5"),
        ("colour_weight=nan", "Enter a number"),
        ("price_min=x", "Enter a number"),
        ("price_min=9&price_max=3", "above the maximum"),
        ("category=nothing", "Unknown value: nothing"),
        ("colour=beautiful", "Unknown value: beautiful"),
    ],
)
def test_a_choice_that_cannot_be_used_is_named_in_place(
    client: Client, query: Query, parameters: str, words: str
) -> None:
    shown = unescape(page(client, f"{query.get_absolute_url()}?{parameters}", 400))
    assert words in re.findall(r'<p class="error" id="[a-z_]+-error">([^<]+)<', shown)[0]
    assert 'role="alert"' in shown
    assert titles(shown) == []


def test_wishes_are_in_the_address_and_can_be_taken_back(client: Client, query: Query) -> None:
    address = query.get_absolute_url()
    liked = links(page(client, address), "More")[0]
    sku = liked.split("like=")[1]
    shown = page(client, liked)
    assert f"More like Product {sku}" in shown
    assert without(shown) == [address]
    assert links(shown, "Liked") == [address]
    disliked = page(client, f"{address}?dislike={sku}")
    assert f"Less like Product {sku}" in disliked
    assert f"Product {sku}" not in titles(disliked)
    assert f'name="dislike" value="{sku}"' in disliked  # the form keeps it


def test_show_more_adds_to_what_is_shown_while_the_catalogue_changes(client: Client, query: Query) -> None:
    for number in range(6):
        shop.product(f"more-{number}", photo("hat", seed=100 + number))
    indexing.reconcile()
    first = page(client, f"{query.get_absolute_url()}?colour_weight=0.3")
    following = links(first, "Show more")[0]
    assert following.endswith("#p25")
    shop.product("late", BLUE_DRESS)
    indexing.reconcile()
    second = page(client, following)
    assert titles(second)[:24] == titles(first)
    assert len(set(titles(second))) == 30
    assert 'id="p25"' in second
    assert not links(second, "Show more")
    assert titles(page(client, f"{query.get_absolute_url()}?colour_weight=0.3"))[0] == "Product late"


@pytest.mark.parametrize("key", ["0123456789abcdef", "x", "../..", ""])
def test_an_expired_list_is_ranked_again(client: Client, query: Query, key: str) -> None:
    shown = page(client, f"{query.get_absolute_url()}?in_stock=true&list={key}&shown=48")
    assert titles(shown) == titles(page(client, f"{query.get_absolute_url()}?in_stock=true"))


@pytest.mark.parametrize("number", ["0", "-5", "x", "9" * 40, "١٢", ""])
def test_a_number_of_products_that_makes_no_sense_shows_a_pageful(client: Client, query: Query, number: str) -> None:
    assert len(titles(page(client, f"{query.get_absolute_url()}?shown={number}"))) == 24


def test_a_list_is_kept_for_its_own_search_alone(client: Client, query: Query) -> None:
    key = ranking.rank(query).key
    other = queries.from_picture(photo("hat"))
    assert titles(page(client, f"{other.get_absolute_url()}?list={key}")) == titles(
        page(client, other.get_absolute_url())
    )


def test_filters_say_how_many_products_each_would_leave(client: Client, query: Query) -> None:
    shown = page(client, f"{query.get_absolute_url()}?brand=acme")
    counts = dict(
        re.findall(r'value="([a-z]+)"[^>]*>.*?choice__count"><span class="hidden">\(</span>(\d+)', shown, re.DOTALL)
    )
    # Categories as narrowed by the brand, the ones above with those below them; brands as if none were chosen.
    assert counts["clothes"] == "12"
    assert counts["hat"] == "3"
    assert counts["acme"] == counts["globex"] == "12"
    for slug in ("hat", "clothes"):
        assert len(titles(page(client, f"{query.get_absolute_url()}?brand=acme&category={slug}"))) == int(
            counts[slug]
        )


def test_the_pages_script_gets_the_part_that_a_refinement_changes(client: Client, query: Query) -> None:
    address = f"{query.get_absolute_url()}?category=hat&like=hat-red-0&colour_weight=0.4&box=0,0,0.5,0.75"
    whole = client.get(address)
    part = client.get(address, headers={"X-Part": "found"})
    assert "X-Part" in part["Vary"]
    assert "X-Part" in whole["Vary"]
    shown = part.content.decode()
    assert "<html" not in shown
    assert len(shown) < len(whole.content) * 0.8
    assert titles(shown) == titles(whole.content.decode())
    assert 'data-weight="0.4" data-box="0,0,0.5,0.75"' in shown
    assert 'name="like" value="hat-red-0"' in shown
    assert re.search(r'value="hat" checked', shown)
    assert client.get(f"{address}&price_min=x", headers={"X-Part": "found"}).status_code == 400


def test_each_choice_can_be_taken_away_by_itself(client: Client, query: Query) -> None:
    address = query.get_absolute_url()
    shown = page(client, f"{address}?category=hat&price_max=500&in_stock=true&box=0.1,0.1,0.9,0.9")
    assert set(without(shown)) == {
        f"{address}?category=hat&price_max=500&in_stock=true",
        f"{address}?price_max=500&in_stock=true&box=0.1%2C0.1%2C0.9%2C0.9",
        f"{address}?category=hat&in_stock=true&box=0.1%2C0.1%2C0.9%2C0.9",
        f"{address}?category=hat&price_max=500&box=0.1%2C0.1%2C0.9%2C0.9",
    }
    assert links(shown, "Start over") == [address]


def test_an_unknown_search_is_not_found(client: Client) -> None:
    page(client, f"/search/{uuid4()}/", 404)
    page(client, f"/search/{uuid4()}/picture.jpg", 404)


def test_results_cost_the_same_queries_however_many_there_are(
    client: Client, query: Query, django_assert_max_num_queries: Any
) -> None:
    address = f"{query.get_absolute_url()}?category=clothes&like=hat-red-0"
    page(client, address)  # the index is loaded
    with django_assert_max_num_queries(22) as few:
        page(client, f"{address}&price_max=50")
    with django_assert_max_num_queries(len(few)):
        assert len(titles(page(client, address))) == 24


@pytest.fixture
def many(db: None, grid: Any) -> list[Product]:
    """A hundred and twenty products with long SKUs."""
    made = shop.fill(10)
    Product.objects.update(sku=Concat("sku", Value("-" + 30 * "x")))
    indexing.reconcile()
    return made


def test_more_than_a_page_holds_is_on_a_page_of_its_own(client: Client, many: list[Product]) -> None:
    query = queries.from_picture(BLUE_DRESS)
    first = page(client, f"{query.get_absolute_url()}?in_stock=&shown=500")
    assert len(titles(first)) == 96
    assert "data-more" not in first
    second = page(client, links(first, "Show more")[0])
    assert len(titles(second)) == 24
    assert not links(second, "Show more")
    assert len({*titles(first), *titles(second)}) == 120


def test_a_later_page_adds_to_itself(client: Client, many: list[Product]) -> None:
    query = queries.from_picture(BLUE_DRESS)
    shown = page(client, f"{query.get_absolute_url()}?start=48")
    assert len(titles(shown)) == 24
    assert "data-more" in shown
    more = page(client, links(shown, "Show more")[0])
    assert titles(more)[:24] == titles(shown)
    assert len(titles(more)) == 48


@pytest.mark.parametrize("start", ["24", "999", "-1", "x", "9" * 40])
def test_a_place_beyond_the_list_is_its_beginning(client: Client, query: Query, start: str) -> None:
    address = query.get_absolute_url()
    assert titles(page(client, f"{address}?start={start}")) == titles(page(client, address))


@pytest.mark.parametrize("wish", ["like", "dislike"])
def test_links_of_the_page_leave_out_products_that_nobody_may_see(client: Client, query: Query, wish: str) -> None:
    Product.objects.filter(sku="hat-red-0").update(visible_until=timezone.now())
    for sku in ("hat-red-0", "unknown"):
        address = f"{query.get_absolute_url()}?like=hat-blue-0&{wish}={sku}"
        shown = client.get(address, headers={"X-Part": "found"}).content.decode()
        assert "like=hat-blue-0" in shown
        assert f"like={sku}" not in shown


def test_the_costliest_page_of_results_costs_little(client: Client, many: list[Product]) -> None:
    query = queries.from_picture(BLUE_DRESS)
    skus = list(Product.objects.values_list("sku", flat=True))
    wishes = {"like": skus[:MOST_WISHES], "dislike": skus[MOST_WISHES : 2 * MOST_WISHES], "shown": 500}
    address = f"{query.get_absolute_url()}?{urlencode(wishes, doseq=True)}"
    page(client, address)  # the index and the templates are loaded
    with processor_time() as spent:
        shown = page(client, address)
    assert len(titles(shown)) >= 70
    assert len(shown.encode()) < 1_000_000
    assert spent.seconds < 1  # a sixth here


# The picture ------------------------------------------------------------------------------------------------


def test_anyone_with_the_link_sees_the_picture_and_no_proxy_caches_it(client: Client, query: Query) -> None:
    shown = page(client, query.get_absolute_url())
    address = f"{query.get_absolute_url()}picture.jpg"
    assert f'src="{address}" width="240" height="320"' in shown
    response: Any = client.get(address)
    assert b"".join(response.streaming_content).startswith(b"\xff\xd8")
    assert response["Content-Type"] == "image/jpeg"
    assert set(response["Cache-Control"].split(", ")) == {"private", "no-cache", "no-store"}
    assert response["X-Robots-Tag"] == "noindex"
    assert response["Referrer-Policy"] == "same-origin"
    query.forget()
    assert client.get(address).status_code == 410


def test_a_search_with_a_product_shows_the_shops_own_photo(client: Client, products: list[Product]) -> None:
    query = queries.from_product(products[0])
    assert query.photo is not None
    assert query.photo.thumbnail.url in page(client, query.get_absolute_url()).split("data-found")[0]
    page(client, f"{query.get_absolute_url()}picture.jpg", 404)


def test_a_shopper_deletes_the_picture_at_once(
    client: Client, query: Query, django_capture_on_commit_callbacks: Any
) -> None:
    name, address = query.picture.name, query.get_absolute_url()
    with django_capture_on_commit_callbacks(execute=True):
        response = client.post(f"{address}forget/", follow=True)
    assert response.redirect_chain == [("/", 302)]
    assert "Your picture was deleted." in response.content.decode()
    assert not query.picture.storage.exists(str(name))
    for gone in (address, f"{address}picture.jpg"):
        shown = page(client, gone, 410)
        assert 'name="image"' in shown
    assert client.post(f"{address}forget/").status_code == 410


def test_a_picture_is_not_deleted_by_a_link(client: Client, query: Query) -> None:
    assert client.get(f"{query.get_absolute_url()}forget/").status_code == 405
    page(client, query.get_absolute_url())


def test_an_expired_search_is_gone(client: Client, query: Query) -> None:
    Query.objects.update(expires=timezone.now() - timedelta(seconds=1))
    assert "has expired" in page(client, query.get_absolute_url(), 410)


def test_a_picture_whose_file_is_lost_is_gone(client: Client, query: Query) -> None:
    query.picture.storage.delete(str(query.picture.name))
    page(client, f"{query.get_absolute_url()}picture.jpg", 410)


def test_a_photo_with_a_location_is_shown_without_it(client: Client, products: list[Product]) -> None:
    exif = Image.Exif()
    exif[0x010F] = "Camera of mine"
    location = upload(client, encoded(picture(), exif=exif))["Location"]
    response: Any = client.get(f"{location}picture.jpg")
    assert b"Camera of mine" not in b"".join(response.streaming_content)
