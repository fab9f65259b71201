"""A shop's life from its first migration on: what is asked of it, in this order.

Started by `playing` in a process of its own, which has the site's own settings and real parts: `python -m
tests.replay.scenario FOLDER` leaves a record of each area in the folder.
"""

from __future__ import annotations

import base64
import csv
import http.server
import os
import sys
import threading
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import django

from tests.drawing import COLOURS, encoded, photo, picture
from tests.replay import records
from tests.replay.site import Site

RED, BLUE, GREEN = COLOURS["red"], COLOURS["blue"], COLOURS["green"]
TABLE = ["sku", "title", "category", "brand", "price", "stock", "attribute:fit", "photos", "alt"]
ROWS = [
    [
        "T-1",
        "Red shirt",
        "Tops > Shirts",
        "Acme",
        "10.00",
        "3",
        "slim",
        "shirt-red.jpg|shirt-red-2.jpg",
        "Front|Back",
    ],
    ["T-2", "Blue shirt", "Tops > Shirts", "Acme", "20.00", "0", "slim", "shirt-blue.jpg", ""],
    ["T-3", "Green shirt", "Tops > Shirts", "Globex", "30.50", "", "wide", "shirt-green.jpg", ""],
    ["T-4", "Red dress", "Dresses", "Globex", "40.00", "1", "", "dress-red.jpg", ""],
    ["T/5", "Blue hat", "Accessories > Hats", "", "", "5", "", "hat-blue.jpg", ""],
    ["T-6", "Broken photo", "Dresses", "", "1", "1", "", "broken.jpg", ""],
    ["T-7", "Wrong price", "Dresses", "", "1.234", "1", "", "shirt-red.jpg", ""],
    ["T-1", "Twice", "Dresses", "", "1", "1", "", "shirt-red.jpg", ""],
    ["T-8", "No file", "Dresses", "", "1", "-1", "", "none.jpg", ""],
]


def play(site: Site) -> None:
    empty(site)
    stock(site)
    with pictures_on_the_web(site.folder) as address:
        api(site, address)
        sample(site, address)
    rankings(site)
    shop(site)
    back_office(site)
    upkeep(site)


def empty(site: Site) -> None:
    """What commands say before there is anything."""
    for words in (
        ["migrate", "--verbosity", "0"], ["createcachetable"], ["check"], ["check", "--deploy"],
        ["sync_index"], ["index_status"], ["audit_index"], ["evaluate"], ["rebuild_index"],
        ["rebuild_index", "--cancel"],
        ["rebuild_index", "--cancel", "--rollback"], ["rebuild_index", "--model", "none"],
        ["work", "--pause", "soon"], ["no_such_command"],
    ):  # fmt: skip
        site.manage(*words)
    for command in ("import_catalogue", "load_demo", "sync_index", "rebuild_index", "audit_index", "index_status",
                    "evaluate", "work", "make_renditions", "remove_metadata", "remove_orphan_files"):  # fmt: skip
        site.manage(command, "--help")


def stock(site: Site) -> None:
    """Products from tables, folders, a zip and the demo; good ones and bad ones."""
    folder = site.folder / "stock"
    (folder / "photos" / "hats").mkdir(parents=True)
    for name, data in {
        "shirt-red": photo("shirt", RED), "shirt-red-2": photo("shirt", RED, seed=1),
        "shirt-blue": photo("shirt", BLUE), "shirt-green": photo("shirt", GREEN),
        "dress-red": photo("dress", RED), "hat-blue": photo("hat", BLUE), "broken": photo()[:900],
    }.items():  # fmt: skip
        (folder / f"{name}.jpg").write_bytes(data)
    for seed in range(2):
        (folder / "photos" / "hats" / f"sun_hat {seed}.jpg").write_bytes(photo("hat", GREEN, seed=seed))
    (folder / "photos" / "notes.txt").write_text("No picture.")
    with zipfile.ZipFile(folder / "zipped.zip", "w") as archive:
        archive.writestr("trousers/wide.jpg", photo("trousers", BLUE))
        archive.writestr("trousers/tall.png", encoded(picture("trousers", RED), "PNG"))
    table(folder / "table.csv", TABLE, ROWS)
    table(folder / "unknown.csv", ["sku", "colour"], [["T-1", "red"]])
    (folder / "lines.jsonl").write_text('{"sku": "T-3", "price": 31.5}\n{"sku": "T-4", "stock": []}\nno JSON\n')

    site.manage("load_demo", "--products", "20", "--json", note=False)  # its summary holds times
    site.manage("load_demo", "--if-empty")
    rejects = folder / "rejects.csv"
    for words in (
        ["table.csv", "--dry-run"], ["table.csv", "--rejects", str(rejects)],
        ["photos", "--rejects", str(folder / "folder.csv")],
        ["zipped.zip"], ["zipped.zip", "--max-expanded", "10"],
        ["lines.jsonl", "--rejects", str(folder / "lines.csv")],
        ["unknown.csv"], ["none.csv"], ["table.csv", "--format", "zip"], ["table.csv", "--batch", "0"],
    ):  # fmt: skip
        site.manage("import_catalogue", str(folder / words[0]), *words[1:])
    site.note("commands", "rejects.csv", rejects.read_text(encoding="utf-8"))
    refresh(site)


def refresh(site: Site) -> None:
    """Let OpenSearch, which otherwise does so each second, show what was written: an audit begins with that."""
    site.manage("audit_index", note=False)


def table(path: Path, header: list[str], rows: list[list[str]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([header, *rows])


def api(site: Site, address: str) -> None:
    """The catalogue's and the search's addresses, and what they refuse."""
    for path in (
        "?k=2", "?k=0", "?k=many", "?cursor=none", "?colour=red", "T-1/", "T/5/", "NONE/", "T-1/similar/?k=3",
        "T-1/similar/?k=2&category=shirts&in_stock=1", "T-1/similar/?colour_weight=0.9", "T-1/similar/?brand=none",
        "NONE/similar/", "T-1/similar/?box=0,0,1,1&k=1", "T-1/similar/?size=2",
    ):  # fmt: skip
        site.api("GET", f"/api/v1/products/{path}")
    following = site.api("GET", "/api/v1/products/?k=3", title="products, first page")["next"]
    site.api("GET", following, title="products, second page")
    for method, path in (
        ("POST", "/api/v1/products/"), ("DELETE", "/api/v1/products/T-1/"), ("OPTIONS", "/api/v1/search/"),
        ("GET", "/api/v1/search/"), ("GET", "/api/none/"), ("HEAD", "/api/v1/products/T-1/"),
    ):  # fmt: skip
        site.api(method, path)
    site.api("GET", "/api/v1/products/T-1/", title="no JSON is accepted", HTTP_ACCEPT="text/csv")
    site.api("GET", "/api/v1/products/T-1/", title="in Japanese", HTTP_ACCEPT_LANGUAGE="ja")
    site.api("GET", "/api/v1/products/NONE/", title="an error in Japanese", HTTP_ACCEPT_LANGUAGE="ja")

    search = "/api/v1/search/"
    shirt = photo("shirt", RED, seed=9)
    asked = site.api("POST", search, {"image": shirt, "k": 2}, title="search with a file")
    site.api("POST", search, {"image_base64": base64.b64encode(shirt).decode(), "k": 1}, title="search with base64")
    data_url = "data:image/jpeg;base64," + base64.b64encode(shirt).decode()
    site.api("POST", search, {"image_base64": data_url, "k": 1}, title="search with a data: address")
    site.api("POST", search, {"image_url": f"{address}/shirt.jpg", "k": 1}, title="search with an address")
    for body in (
        {"product": "T-4", "k": 2}, {"product": "NONE"}, {"product": "T-4", "like": ["NONE"]}, {},
        {"product": "T-4", "k": 201}, {"product": "T-4", "image_base64": "aaaa"}, {"image_base64": "no base64!"},
        {"image_base64": ""}, {"product": "T-4", "box": [0, 0, 1]}, {"product": "T-4", "box": [0.5, 0, 0.4, 1]},
        {"product": "T-4", "colour_weight": 0.6}, {"product": "T-4", "filters": {"colour": ["mauve"]}},
        {"product": "T-4", "filters": {"price_min": 5, "price_max": 1}}, {"product": "T-4", "filters": {"size": 1}},
        {"product": "T-4", "size": 1}, {"query": "00000000-0000-4000-8000-000000000000"}, {"query": "none"}, [1],
    ):  # fmt: skip
        site.api("POST", search, body)
    for url in ("http://10.0.0.1/a.jpg", "file:///etc/passwd", "ftp://example.com/a.jpg", "http://user@example.com/",
                "no address"):  # fmt: skip
        site.api("POST", search, {"image_url": url})
    for path in ("none.jpg", "text.jpg", "fault.jpg"):
        site.api("POST", search, {"image_url": f"{address}/{path}"}, title=f"search with the address of {path}")
    for title, data in {
        "an empty file": b"", "text as a picture": b"No picture at all. " * 20, "a truncated JPEG": shirt[:2000],
        "a small picture": encoded(picture(size=(20, 20))), "too many bytes": shirt + bytes(10_000_000),
        "a picture of too many pixels": encoded(picture(size=(40, 40)), "GIF")[:6] + b"\xff\xff\xff\xff"
        + encoded(picture(size=(40, 40)), "GIF")[10:],
    }.items():  # fmt: skip
        site.api("POST", search, {"image": data}, title=f"search with {title}")
    site.api("POST", search, "{", title="search with half of JSON")
    site.api("POST", search, '{"product": "T-4", "k": NaN}', title="search with NaN")
    site.api("POST", search, '{"filters": ' + "[" * 50 + "]" * 50 + "}", title="search with deep JSON")
    site.api("POST", search, "product: T-4", title="search with YAML", content_type="application/yaml")

    one = f"{search}{asked['id']}/"
    site.api("GET", f"{one}?k=2&colour_weight=0", title="a search refined")
    following = site.api("GET", f"{one}?k=2", title="a search again")["next"]
    site.api("GET", following, title="a search's second page")
    for query in ("k=0", "box=1,2", "box=0,0,1,2", "cursor=none", "cursor=abc.1", "like=NONE", "category=none",
                  "colour_weight=2", "size=1", "price_min=x", "in_stock=maybe", "k=1&box=0,0,.5,.5"):  # fmt: skip
        site.api("GET", f"{one}?{query}", title=f"a search with {query}")
    site.api("DELETE", one, title="a search is forgotten")
    site.api("GET", one, title="a forgotten search")
    too_often(site)


def too_often(site: Site) -> None:
    """One client searches until it is refused."""
    client = {"REMOTE_ADDR": "203.0.113.9"}
    for _ in range(200):
        response = site.ask("POST", "/api/v1/search/", {"product": "T-1", "k": 1}, **client)
        if response.status_code != 201:
            break
    site.api("POST", "/api/v1/search/", {"product": "T-1", "k": 1}, title="too many searches", **client)
    site.page("/search/", {"product": "T-1"}, title="too many searches", **client)


def sample(site: Site, address: str) -> None:
    """The two addresses of Amazon's sample."""
    shirt = base64.b64encode(photo("shirt", BLUE, seed=9)).decode()
    site.api("POST", "/postImage", {"base64img": shirt, "k": 2}, title="postImage")
    site.api("POST", "/postImage", {"base64img": shirt}, title="postImage as text", content_type="text/plain")
    site.api("POST", "/postURL", {"url": f"{address}/shirt.jpg", "k": 2}, title="postURL")
    for path, body in (
        ("/postImage", {}), ("/postImage", {"base64img": "!"}), ("/postImage", {"base64img": "aaaa", "k": 0}),
        ("/postURL", {"url": "http://10.0.0.1/"}), ("/postURL", {"url": 5}), ("/postURL", []),
    ):  # fmt: skip
        site.api("POST", path, body)
    site.api("GET", "/postImage")
    site.api("OPTIONS", "/postURL")


def rankings(site: Site) -> None:
    """What is found, in which order."""
    search = "/api/v1/search/"
    photos = {f"a {name} {kind}": photo(kind, colour, seed=7)
              for kind, name, colour in (("shirt", "red", RED), ("trousers", "blue", BLUE), ("dress", "green", GREEN),
                                         ("hat", "red", RED))}  # fmt: skip
    for title, data in photos.items():
        asked = site.found(title, "POST", search, {"image": data, "k": 40})
        for query in ("colour_weight=0", "colour_weight=0.5", "box=0.2,0.2,0.7,0.6", "category=tops",
                      "colour=red&colour=blue", "price_min=20&price_max=60", "in_stock=1", "like=T-4&like=DEMO-0003",
                      "dislike=T-1", "brand=acme&colour_weight=0.3&box=0.1,0.1,0.9,0.9"):  # fmt: skip
            site.found(f"{title}, {query}", "GET", f"{search}{asked['id']}/?k=12&{query}")
    for sku in ("T-1", "T-4", "T/5", "DEMO-0001", "DEMO-0007", "DEMO-0012"):
        site.found(f"product {sku}", "POST", search, {"product": sku, "k": 12})
        answer = site.ask("GET", f"/api/v1/products/{sku}/similar/?k=12").json()
        lines = [f"{result['score']:.6f} {result['match']} {result['sku']}" for result in answer["results"]]
        site.note("rankings", f"similar to {sku}", "\n".join(lines))
    site.found("product T-1, a box", "POST", search, {"product": "T-1", "k": 8, "box": [0, 0, 0.5, 1]})


def shop(site: Site) -> None:
    """The pages for shoppers, in both languages."""
    for path in (
        "/", "/products/", "/products/?page=2", "/products/?page=99", "/products/?sort=price", "/products/?sort=none",
        "/products/?category=tops&in_stock=1&price_max=50", "/products/?price_min=9&price_max=1", "/categories/tops/",
        "/categories/none/", "/products/T-1/", "/products/T/5/", "/products/DEMO-0005/",
        "/products/NONE/", "/search/",
        "/about/", "/privacy/", "/search/00000000-0000-4000-8000-000000000000/", "/none/", "/media/none.jpg",
        "/robots.txt", "/api/docs/", "/ja/", "/ja/products/", "/ja/products/?price_min=9&price_max=1", "/ja/none/",
        "/ja/products/T-1/", "/ja/categories/tops/", "/ja/search/", "/ja/about/", "/ja/privacy/",
    ):  # fmt: skip
        site.page(path)
    shirt = photo("shirt", GREEN, seed=5)
    for lead in ("", "/ja"):
        found = site.page(f"{lead}/search/", {"image": upload(shirt)}, title=f"{lead}/search/ with a picture")
        results = found.redirect_chain[-1][0].partition("?")[0]
        for query in ("box=0,0,.5,1", "category=dresses&in_stock=1", "colour_weight=0.5&like=T-4&dislike=T-2",
                      "shown=48&start=24", "box=1", "colour=mauve", "price_min=30&price_max=10"):  # fmt: skip
            if not lead or query.endswith(("=1", "=mauve", "=10")):
                site.page(f"{results}?{query}", title=f"{lead}/search/…/?{query}")
        site.page(f"{results}?colour=red", title=f"{lead or 'en'}: a part of the page", HTTP_X_PART="1")
        for title, data in {
            "no picture": {}, "an empty file": {"image": upload(b"")}, "text": {"image": upload(b"text" * 50)},
            "half a picture": {"image": upload(shirt[:1500])}, "a private address": {"image_url": "http://10.0.0.1/"},
            "an unknown product": {"product": "NONE"}, "a product": {"product": "T-4"},
        }.items():  # fmt: skip
            site.page(f"{lead}/search/", data, title=f"{lead}/search/ with {title}")
        script = {"HTTP_ACCEPT": "application/json"}
        site.page(
            f"{lead}/search/",
            {"image": upload(b"text" * 50)},
            title=f"{lead or 'en'}: a script asks with text",
            **script,
        )
        site.page(f"{results}forget/", {}, title=f"{lead or 'en'}: a picture is deleted")
        site.page(results, title=f"{lead or 'en'}: a deleted search")


def upload(data: bytes) -> object:
    from django.core.files.uploadedfile import SimpleUploadedFile

    return SimpleUploadedFile("photo.jpg", data, "image/jpeg")


def back_office(site: Site) -> None:
    """The admin's pages, as a superuser."""
    os.environ["DJANGO_SUPERUSER_PASSWORD"] = "a long password of Ada's"
    site.manage("createsuperuser", "--no-input", "--username", "ada", "--email", "ada@example.com")
    for title, word in {"with a wrong password": "wrong", "": os.environ["DJANGO_SUPERUSER_PASSWORD"]}.items():
        site.page("/admin/login/", {"username": "ada", "password": word}, staff=True,
                  title=f"admin, sign in {title}".strip())  # fmt: skip
    version = "/admin/search/indexversion/"
    for path in (
        "/admin/", "/admin/catalogue/product/", "/admin/catalogue/product/?q=shirt",
        "/admin/catalogue/product/1/change/",
        "/admin/catalogue/product/add/", "/admin/catalogue/product/import/", "/admin/catalogue/product/export/",
        "/admin/catalogue/product/1/delete/", "/admin/catalogue/productimage/",
        "/admin/catalogue/productimage/1/similar/",
        "/admin/catalogue/productimage/1/similar/?colour_weight=0", "/admin/catalogue/productimage/33/similar/",
        "/admin/catalogue/productimage/999/similar/", "/admin/catalogue/productimage/1/change/",
        "/admin/catalogue/category/", "/admin/catalogue/brand/", "/admin/search/query/", version, f"{version}index/",
        f"{version}index/numbers/", f"{version}index/rebuild/",
        f"{version}index/rollback/", f"{version}index/discard/",
        "/admin/search/indexentry/", "/admin/auth/user/", "/admin/none/",
    ):  # fmt: skip
        site.page(path, staff=True)
    for path in ("/admin/", f"{version}index/", "/admin/catalogue/productimage/1/similar/"):
        site.page(f"/ja{path}", staff=True)
    for data in ({"ask": "sync"}, {"ask": "rebuild"}, {"ask": "none"}, {"cancel": "1"}, {"discard": "1"}):
        site.page(f"{version}index/do/", data, staff=True, title=f"index, {data}")
    site.page("/admin/catalogue/product/add/", {"sku": "", "title": "", "price": "-1"}, staff=True,
              title="admin, a wrong product")  # fmt: skip
    site.page("/admin/catalogue/product/load-demo/", {}, staff=True, title="admin, the demo in a shop with products")
    site.page("/admin/", title="admin, a stranger")


def upkeep(site: Site) -> None:
    """What operators do with the index of a shop, and what is removed."""
    for words in (
        ["sync_index"], ["sync_index", "--json"], ["index_status"], ["audit_index"], ["audit_index", "--json"],
        ["rebuild_index"], ["rebuild_index", "--rollback"], ["audit_index", "--repair"],
        ["evaluate", "--sample", "0"], ["evaluate", "--folds", "1"], ["make_renditions"],
        ["make_renditions", "--all"],
        ["remove_metadata"], ["remove_orphan_files", "--dry-run"], ["load_demo", "--remove"],
    ):  # fmt: skip
        title = " ".join(words)
        if title in site.records["commands"]:
            words.append("--verbosity=1")  # the same once more, of a shop with products
        site.manage(*words)
    site.manage("sync_index", "--verbosity=2")
    refresh(site)
    site.manage("index_status", "--json")


class _Pictures(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        answers = {
            "/shirt.jpg": (200, "image/jpeg", photo("shirt", BLUE, seed=8)),
            "/text.jpg": (200, "text/plain", b"No picture."),
            "/fault.jpg": (500, "text/plain", b"It broke."),
        }
        status, kind, body = answers.get(self.path, (404, "text/plain", b"None."))
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        pass


@contextmanager
def pictures_on_the_web(folder: Path) -> Iterator[str]:
    """The address of a site that has a picture, on this machine."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Pictures)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def main(folder: Path) -> None:
    django.setup()
    site = Site(folder)
    play(site)
    for area, sections in site.records.items():
        records.write(folder / f"{area}.txt", sections)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
