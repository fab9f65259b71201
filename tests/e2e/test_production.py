"""S3, the model's endpoint, OpenSearch, Redis, PostgreSQL, web server and workers, together."""

from __future__ import annotations

import base64
import json
import re
import threading
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests

from tests.drawing import photo
from tests.e2e.stack import PREFIX, Stack, eventually, photos

ALIAS = "lookalike"
"""The alias of the live version's index in the cluster."""
ADD = "/admin/catalogue/product/add/"


def test_every_part_is_the_one_of_production(production: Stack) -> None:
    answer = requests.get(production.url("/readyz"), timeout=60).json()
    assert answer["ready"], answer
    assert set(answer["parts"].values()) == {"ok"}
    status = json.loads(production.site.run("manage.py", "index_status", "--json"))
    assert "resnet50" in json.dumps(status)
    kept = production.s3().list_objects_v2(Bucket=production.bucket)["Contents"]
    assert sum(not entry["Key"].startswith(f"{PREFIX}/") for entry in kept) >= 2 * len(photos())


def test_the_photos_of_the_bucket_are_the_vectors_of_the_index(production: Stack) -> None:
    assert _documents(production) >= len(photos())
    found = production.opensearch(f"/{ALIAS}/_mapping")
    assert any(
        field.get("type") == "knn_vector" for field in next(iter(found.values()))["mappings"]["properties"].values()
    )


def test_a_shopper_finds_a_photo_s_product_by_the_page_without_scripts(production: Stack) -> None:
    path, data = next(iter(photos().items()))
    session = requests.Session()
    home = session.get(production.url("/"), timeout=60)
    assert home.status_code == 200
    form = re.search(r'<form[^>]*enctype="multipart/form-data"[^>]*>', home.text)
    assert form
    action = re.search(r'action="([^"]+)"', form[0])
    assert action
    answer = session.post(
        production.url(action[1]),
        {"csrfmiddlewaretoken": session.cookies.get("csrftoken", "")},
        files={"image": ("query.jpg", data, "image/jpeg")},
        timeout=60,
    )
    assert answer.status_code == 200, answer.text
    assert "/search/" in answer.url
    (first,) = re.findall(r'<img[^>]+src="([^"]+)"', answer.text)[:1] or [""]
    assert first
    assert Path(path).stem.split("-")[0].title() in answer.text


def test_photos_come_from_the_bucket_by_signed_addresses_alone(production: Stack) -> None:
    result = production.search(next(iter(photos().values())), k=1)["results"][0]
    for name in ("image", "thumbnail"):
        address = result[name]
        assert address.startswith(production.variables["AWS_S3_ENDPOINT_URL"])
        assert "X-Amz-Signature" in address
        answer = requests.get(address, timeout=60)
        assert answer.status_code == 200
        assert answer.headers["Content-Type"].startswith("image/")
    assert "max-age" in requests.get(result["thumbnail"], timeout=60).headers["Cache-Control"]


@pytest.mark.parametrize("path", sorted(photos())[::5])
def test_a_photo_finds_its_own_product_first(production: Stack, path: str) -> None:
    assert production.best(photos()[path]) == path


def test_the_sample_s_client_gets_photos_of_k_products(production: Stack) -> None:
    body = {"base64img": base64.b64encode(next(iter(photos().values()))).decode(), "k": 3}
    answer = requests.post(production.url("/postImage"), json=body, timeout=60)
    assert answer.status_code == 200, answer.text
    assert set(answer.json()) == {"images"}
    images = answer.json()["images"]
    assert len(images) == 3
    assert all(requests.get(image, timeout=60).headers["Content-Type"].startswith("image/") for image in images)


def test_the_sample_s_client_asks_with_an_address(production: Stack, tmp_path: Path) -> None:
    (tmp_path / "query.jpg").write_bytes(next(iter(photos().values())))
    handler = partial(SimpleHTTPRequestHandler, directory=str(tmp_path))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as pages:
        threading.Thread(target=pages.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{pages.server_port}/query.jpg"
        answer = requests.post(production.url("/postURL"), json={"url": address, "k": 3}, timeout=60)
        pages.shutdown()
    assert answer.status_code == 200, answer.text
    assert len(answer.json()["images"]) == 3


def test_what_staff_save_is_found_and_what_they_delete_is_not(production: Stack) -> None:
    new = photo("dress", "#d0a020", seed=77)
    session = production.staff()
    production.post(
        session,
        production.url(ADD),
        {
            "sku": "e2e-dress", "title": "Dress of today", "currency": "EUR", "attributes": "{}",
            "photos-TOTAL_FORMS": "0", "photos-INITIAL_FORMS": "0", "_continue": "Save",
        },
        new_photos=("dress.jpg", new, "image/jpeg"),
    )  # fmt: skip
    eventually(lambda: production.best(new) == "e2e-dress")
    listed = session.get(production.url("/admin/catalogue/product/?q=e2e-dress"), timeout=60).text
    address = re.search(r"/admin/catalogue/product/(\d+)/change/", listed)
    assert address
    production.post(session, production.url(f"/admin/catalogue/product/{address[1]}/delete/"), {"post": "yes"})
    assert production.best(new) != "e2e-dress"
    eventually(lambda: _documents(production) == len(photos()))


def test_searches_are_answered_all_through_a_rebuild(production: Stack) -> None:
    path, data = sorted(photos().items())[3]
    before = json.loads(production.site.run("manage.py", "index_status", "--json"))
    stop = threading.Event()

    def ask() -> list[str]:
        found = []
        while not stop.is_set():
            found.append(production.best(data))
        return found

    with ThreadPoolExecutor(2) as pool:
        asked = [pool.submit(ask) for _ in range(2)]
        try:
            production.site.run("manage.py", "rebuild_index")
        finally:
            stop.set()
        answers = [answer for one in asked for answer in one.result()]
    assert answers
    assert set(answers) == {path}
    after = json.loads(production.site.run("manage.py", "index_status", "--json"))
    assert before != after


def _documents(production: Stack) -> int:
    return int(production.opensearch(f"/{ALIAS}/_count")["count"])


def test_no_address_of_a_photo_leads_elsewhere_than_to_the_bucket(production: Stack) -> None:
    page = requests.get(production.url("/products/"), timeout=60).text
    hosts = {urlsplit(address).netloc for address in re.findall(r'<img[^>]+src="(http[^"]+)"', page)}
    assert hosts == {urlsplit(production.variables["AWS_S3_ENDPOINT_URL"]).netloc}
