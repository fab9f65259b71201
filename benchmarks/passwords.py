"""How many passwords one address can guess in an hour, on the production server.

    python -m benchmarks.passwords

Attackers at addresses of the loopback guess one account one after another, and many accounts from sixteen threads at
once. Prints how many guesses the server looked at, what all of them cost it, and who can still sign in.
"""

from __future__ import annotations

import re
import tempfile
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from pathlib import Path
from urllib.parse import urlencode

from benchmarks.attacks import Shop
from benchmarks.server import ALONE, Site

LOGIN = "/admin/login/"
NAME, PASSWORD = "shopkeeper", "a long one, for this alone"
THREADS = 16
ANSWERS = {HTTPStatus.OK: "wrong", HTTPStatus.FOUND: "signed in", HTTPStatus.TOO_MANY_REQUESTS: "refused"}
SUPERUSER = f"""
import django
django.setup()
from django.contrib.auth.models import User
User.objects.create_superuser({NAME!r}, "", {PASSWORD!r})
"""


def sign_in(shop: Shop, name: str, password: str, source: str) -> str:
    """What comes of signing in from this address of the loopback: "wrong", "signed in", "refused", or a status."""
    page = shop.request("GET", LOGIN, source=source)
    (token,) = re.findall(r'name="csrfmiddlewaretoken" value="(\w+)"', page.body.decode())
    form = {"csrfmiddlewaretoken": token, "username": name, "password": password}
    headers = {
        "Content-Type": "application/x-www-form-urlencoded",
        "Cookie": page.headers["Set-Cookie"].partition(";")[0],
    }
    status = shop.request("POST", LOGIN, urlencode(form).encode(), headers, source=source).status
    return ANSWERS.get(HTTPStatus(status), str(status))


def attack(shop: Shop, names: Iterable[str], source: str, threads: int = 1) -> Counter[str]:
    """Guess a wrong password of each name once; how often each answer came."""
    with ThreadPoolExecutor(threads) as pool:
        return Counter(pool.map(lambda name: sign_in(shop, name, "wrong", source), names))


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        site = Site(Path(folder) / "data", ALONE)
        site.data_dir.mkdir()
        site.prepare()
        site.run("-c", SUPERUSER)
        with site.serve(logs=Path(folder)) as server:
            shop = Shop(site, server)
            for title, names, source, threads in (
                ("One account, 40 guesses one after another", [NAME] * 40, "127.0.0.2", 1),
                ("200 accounts, from 16 threads", [f"clerk-{n}" for n in range(200)], "127.0.0.3", THREADS),
                ("One account, 100 guesses from 16 threads", [NAME] * 100, "127.0.0.4", THREADS),
            ):
                with shop.cost() as cost:
                    answers = attack(shop, names, source, threads)
                then = sign_in(shop, NAME, PASSWORD, source)
                print(f"{title}: {dict(answers)}, then the right password: {then}; {cost.processor_seconds:.1f} s")
            print(f"The right password from another address: {sign_in(shop, NAME, PASSWORD, '127.0.0.5')}")


if __name__ == "__main__":
    main()
