"""The settings, by the environment that they are read from."""

from __future__ import annotations

import json
import os
import re
import runpy
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from django.conf import global_settings
from django.core.exceptions import ImproperlyConfigured
from django.core.management import call_command
from django.core.management.base import SystemCheckError
from django.test import override_settings

from tests.interpreter import ROOT, python
from visualsearch.environment import Environment


def environment(data_dir: Path, variables: Mapping[str, str]) -> dict[str, str]:
    """These variables and no others that settings look at."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "SYSTEMROOT") if name in os.environ}
    return kept | {"DATA_DIR": str(data_dir), "DJANGO_SETTINGS_MODULE": "visualsearch.settings"} | variables


def start(code: str, data_dir: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run code in a fresh process, which reads the settings as a start does."""
    return python("-c", code, environment=environment(data_dir, variables))


def settings(data_dir: Path, *names: str, **variables: str) -> Any:
    """The values of these settings, as JSON would have them."""
    with mock.patch.dict(os.environ, environment(data_dir, variables), clear=True):
        module = vars(global_settings) | runpy.run_path(str(ROOT / "visualsearch" / "settings.py"))
    return json.loads(json.dumps([module[name] for name in names], default=str))


def test_every_setting_has_a_default(tmp_path: Path) -> None:
    databases, debug, hosts, storages = settings(tmp_path, "DATABASES", "DEBUG", "ALLOWED_HOSTS", "STORAGES")
    assert databases["default"]["NAME"] == str(tmp_path / "db.sqlite3")
    assert databases["default"]["OPTIONS"]["transaction_mode"] == "IMMEDIATE"
    assert debug is False
    assert hosts == ["localhost", "127.0.0.1", "[::1]"]
    assert storages["queries"]["OPTIONS"]["location"] == str(tmp_path / "queries")


def test_an_empty_variable_counts_as_not_set(tmp_path: Path) -> None:
    empty = dict.fromkeys(["DATABASE_URL", "ALLOWED_HOSTS", "DEBUG", "TIME_ZONE", "QUERY_LIFETIME_HOURS"], "")
    names = ("ALLOWED_HOSTS", "DEBUG", "TIME_ZONE", "QUERY_LIFETIME_HOURS", "DATABASES")
    assert settings(tmp_path, *names, **empty) == settings(tmp_path, *names)


def test_a_data_folder_may_have_spaces_and_signs_in_its_name(tmp_path: Path) -> None:
    folder = tmp_path / "my shop? 100% ü"
    code = "import django; django.setup()\nfrom django.db import connection; connection.ensure_connection()"
    assert start(code, folder).returncode == 0
    assert (folder / "db.sqlite3").exists()


def test_the_key_is_made_once_and_only_its_owner_may_read_it(tmp_path: Path) -> None:
    (first,) = settings(tmp_path, "SECRET_KEY")
    assert len(first) >= 50
    assert settings(tmp_path, "SECRET_KEY") == [first]
    assert (tmp_path / "secret_key").stat().st_mode & 0o077 == 0
    assert settings(tmp_path, "SECRET_KEY", SECRET_KEY="from the environment") == ["from the environment"]


def test_processes_that_start_at_once_agree_on_the_key(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "from visualsearch.settings import SECRET_KEY; print(SECRET_KEY)"]
    environment = os.environ | {"DATA_DIR": str(tmp_path)}
    starts = [
        subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE)  # noqa: S603
        for _ in range(3)
    ]
    keys = {process.communicate(timeout=60)[0] for process in starts}
    assert len(keys) == 1
    assert len(keys.pop().strip()) >= 50
    assert not list(tmp_path.glob("tmp*"))


def test_https_makes_cookies_and_redirects_secure(tmp_path: Path) -> None:
    names = ("SESSION_COOKIE_SECURE", "CSRF_COOKIE_SECURE", "SECURE_SSL_REDIRECT", "SECURE_HSTS_SECONDS")
    assert settings(tmp_path, *names, HTTPS="yes", NUM_PROXIES="1") == [True, True, True, 31_536_000]
    assert settings(tmp_path, *names) == [False, False, False, 0]


def test_only_counted_proxies_may_forward_the_https_scheme(tmp_path: Path) -> None:
    name = "SECURE_PROXY_SSL_HEADER"
    assert settings(tmp_path, name, HTTPS="yes", NUM_PROXIES="1") == [["HTTP_X_FORWARDED_PROTO", "https"]]
    assert settings(tmp_path, name, NUM_PROXIES="1") == [None]
    with pytest.raises(ImproperlyConfigured, match="NUM_PROXIES is 0: set NUM_PROXIES to the number of proxies"):
        settings(tmp_path, HTTPS="yes")


# The model --------------------------------------------------------------------------------------------------


def embedders(data_dir: Path, **variables: str) -> dict[str, tuple[str, dict[str, Any]]]:
    """Each alias with the name of its backend and its options, without the folder of compiled models."""
    [found] = settings(data_dir, "EMBEDDERS", **variables)
    for config in found.values():
        config["OPTIONS"].pop("cache_dir", None)
    return {alias: (config["BACKEND"].rpartition(".")[2], config["OPTIONS"]) for alias, config in found.items()}


IN_PROCESS = ("OpenVinoEmbedder", {"variant": "lite0"})


def test_the_model_is_in_process_where_nothing_says_otherwise(tmp_path: Path) -> None:
    assert embedders(tmp_path) == {"default": IN_PROCESS}
    assert embedders(tmp_path, SAGEMAKER_ENDPOINT_NAME=" ", EMBEDDER_PACKAGE="") == {"default": IN_PROCESS}


def test_another_variant_keeps_the_installed_one_for_its_index(tmp_path: Path) -> None:
    found = embedders(tmp_path, EMBEDDER_VARIANT="lite1")
    assert found == {"default": ("OpenVinoEmbedder", {"variant": "lite1"}), "efficientnet-lite0": IN_PROCESS}


def test_an_endpoint_is_the_model_beside_the_one_in_process(tmp_path: Path) -> None:
    found = embedders(
        tmp_path,
        SAGEMAKER_ENDPOINT_NAME="shop-model",
        SAGEMAKER_REQUEST_BYTES="4194304",
        SAGEMAKER_CONCURRENCY="8",
        SAGEMAKER_TIMEOUT="20",
    )
    options = {"endpoint": "shop-model", "request_bytes": 4_194_304, "concurrency": 8, "query_timeout": 20}
    assert found == {"default": ("SageMakerEmbedder", options), "efficientnet-lite0": IN_PROCESS}
    [_backend, defaults] = embedders(tmp_path, SAGEMAKER_ENDPOINT_NAME="shop-model")["default"]
    assert defaults == {"endpoint": "shop-model", "request_bytes": 6_291_456, "concurrency": 4, "query_timeout": 10}


def test_a_package_is_the_model_beside_the_one_in_process(tmp_path: Path) -> None:
    (tmp_path / "model.tar.gz").touch()
    found = embedders(tmp_path, EMBEDDER_PACKAGE=str(tmp_path / "model.tar.gz"))
    options = {"package": str(tmp_path / "model.tar.gz")}
    assert found == {"default": ("OpenVinoEmbedder", options), "efficientnet-lite0": IN_PROCESS}


def test_photos_and_pictures_go_to_a_bucket_where_one_is_named(tmp_path: Path) -> None:
    storages, style = settings(
        tmp_path,
        "STORAGES",
        "AWS_S3_ADDRESSING_STYLE",
        AWS_STORAGE_BUCKET_NAME="shop",
        AWS_S3_ENDPOINT_URL="http://127.0.0.1:9000",
        AWS_CLOUDFRONT_DOMAIN="d111.cloudfront.net",
    )
    assert storages["default"]["OPTIONS"] == {
        "bucket_name": "shop",
        "location": "media",
        "querystring_expire": 86_400,
        "cloudfront_domain": "d111.cloudfront.net",
        "public_endpoint_url": None,
    }
    assert storages["queries"]["OPTIONS"] == {"bucket_name": "shop", "location": "queries"}
    assert style == "path"


def test_an_endpoint_and_a_package_at_once_stop_the_start(tmp_path: Path) -> None:
    both = {"SAGEMAKER_ENDPOINT_NAME": "shop-model", "EMBEDDER_PACKAGE": str(tmp_path)}
    with pytest.raises(ImproperlyConfigured, match="both name a model: set one"):
        settings(tmp_path, **both)


def test_a_wrong_name_of_an_endpoint_fails_the_check(tmp_path: Path) -> None:
    (found,) = settings(tmp_path, "EMBEDDERS", SAGEMAKER_ENDPOINT_NAME="https://shop.example")
    with override_settings(EMBEDDERS=found), pytest.raises(SystemCheckError, match="is not an endpoint name"):
        call_command("check")


def test_the_index_is_in_memory_where_nothing_says_otherwise(tmp_path: Path) -> None:
    alias, configured = settings(tmp_path, "VECTOR_INDEX", "VECTOR_INDEXES")
    assert alias == "default"
    assert list(configured) == ["default"]


def test_opensearch_takes_new_indexes_beside_the_one_in_memory(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").touch()
    alias, configured = settings(
        tmp_path,
        "VECTOR_INDEX",
        "VECTOR_INDEXES",
        OPENSEARCH_URL="https://one.example:9200, https://two.example:9200",
        OPENSEARCH_USER="shop",
        OPENSEARCH_PASSWORD="secret",
        OPENSEARCH_CA_FILE=str(tmp_path / "ca.pem"),
        OPENSEARCH_PREFIX="shop",
        OPENSEARCH_ENGINE="faiss",
        OPENSEARCH_SPACE="l2",
        OPENSEARCH_SEARCH_WIDTH="256",
        OPENSEARCH_SHARDS="3",
        OPENSEARCH_REPLICAS="2",
        OPENSEARCH_TIMEOUT="5",
    )
    assert alias == "opensearch"
    assert configured["default"]["BACKEND"].endswith(".EmbeddedBackend")
    assert configured["opensearch"]["OPTIONS"] == {
        "hosts": ["https://one.example:9200", "https://two.example:9200"],
        "username": "shop",
        "password": "secret",
        "ca_file": str(tmp_path / "ca.pem"),
        "region": "",
        "prefix": "shop",
        "engine": "faiss",
        "space": "l2",
        "m": 16,
        "ef_construction": 128,
        "width": 256,
        "shards": 3,
        "replicas": 2,
        "timeout": 5,
    }


@pytest.mark.parametrize(
    ("variables", "sentence"),
    [
        ({"OPENSEARCH_URL": "https://abc.eu-central-1.aoss.amazonaws.com"}, "serverless collection"),
        ({"OPENSEARCH_URL": "http://a:b@search.example", "OPENSEARCH_AWS_REGION": "eu-central-1"}, "not both"),
        ({"OPENSEARCH_URL": "http://search.example", "OPENSEARCH_PREFIX": "Shop"}, "small letters"),
    ],
)
def test_an_opensearch_that_cannot_be_used_fails_the_check(
    tmp_path: Path, variables: dict[str, str], sentence: str
) -> None:
    (found,) = settings(tmp_path, "VECTOR_INDEXES", **variables)
    with override_settings(VECTOR_INDEXES=found), pytest.raises(SystemCheckError, match=sentence):
        call_command("check")


def test_checks_load_no_client_of_opensearch(tmp_path: Path) -> None:
    code = (
        "import sys, django; django.setup()\n"
        "from django.core.management import call_command; call_command('check')\n"
        "print('opensearchpy' in sys.modules)"
    )
    done = start(code, tmp_path, OPENSEARCH_URL="http://search.example:9200")
    assert done.stdout.split()[-1] == "False", done.stderr


@pytest.mark.parametrize(
    ("name", "value", "hint"),
    [
        ("AWS_S3_ENDPOINT_URL", "s3.example:9000", "https://"),
        ("ALLOWED_HOSTS", "https://shop.example", "shop.example"),
        ("CORS_ORIGINS", "https://shop.example/", "https://shop.example"),
        ("CSRF_TRUSTED_ORIGINS", "shop.example", "https://shop.example"),
        ("DATABASE_URL", "shop.sqlite3", "sqlite:////"),
        ("DEBUG", "maybe", "true or false"),
        ("DEFAULT_CURRENCY", "euro", "EUR"),
        ("EMBEDDER_PACKAGE", "/no/such/model.tar.gz", "no such file"),
        ("EMBEDDER_VARIANT", "lite9", "lite0, lite1, lite2"),
        ("FETCH_PRIVATE_ADDRESSES", "10.1.2.3/16", "10.1.0.0/16"),
        ("HTTPS", "2", "true or false"),
        ("IMAGE_MAX_BYTES", "10MB", "whole number"),
        ("IMAGE_MAX_PIXELS", "-1", "at least"),
        ("IMAGE_MIN_SIDE", "0", "at least 1"),
        ("LOG_LEVEL", "LOUD", "INFO"),
        ("NUM_PROXIES", "-1", "at least 0"),
        ("NUM_PROXIES", "11", "at most 10"),
        ("OPENSEARCH_URL", "search.example:9200", "https://user:password@host:9200"),
        ("QUERY_LIFETIME_HOURS", "0", "at least 1"),
        ("SEARCH_RATE", "lots", "60/min"),
        ("TIME_ZONE", "Mars/Base", "Europe/Paris"),
    ],
)
def test_an_invalid_value_stops_the_start_and_names_its_variable(
    tmp_path: Path, name: str, value: str, hint: str
) -> None:
    with pytest.raises(ImproperlyConfigured, match=f"The environment variable .*{name} .*{re.escape(hint)}"):
        settings(tmp_path, **{name: value})


def test_a_data_folder_that_cannot_be_made_stops_the_start(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    done = start("import django; django.setup()", tmp_path / "file" / "folder")
    assert done.returncode != 0
    assert "The environment variable DATA_DIR means the folder" in done.stderr.splitlines()[-1]


# Environment, by value --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "engine", "name"),
    [
        ("postgresql://shop:s%40fe@db.example:5433/shop", "postgresql", "shop"),
        ("postgres://db.example/shop", "postgresql", "shop"),
        ("sqlite:////srv/shop/db.sqlite3", "sqlite3", "/srv/shop/db.sqlite3"),
    ],
)
def test_a_database_is_read_from_its_address(url: str, engine: str, name: str) -> None:
    config = Environment({"DATABASE_URL": url}).database("DATABASE_URL")
    assert config["ENGINE"] == f"django.db.backends.{engine}"
    assert config["NAME"] == name


def test_a_password_may_hold_signs_that_are_escaped() -> None:
    config = Environment({"DATABASE_URL": "postgresql://shop:s%40fe%2F%3A@db/shop"}).database("DATABASE_URL")
    assert config["PASSWORD"] == "s@fe/:"


@pytest.mark.parametrize(
    ("method", "url"),
    [
        ("database", "db.sqlite3"),
        ("database", "mysql://shop:secret@db/shop"),
        ("database", "postgresql://shop:secret@db:port/shop"),
        ("database", "postgresql://shop:secret@db"),
        ("urls", "http://one.example,ftp://shop:secret@search.example"),
        ("urls", "http://one.example,https://shop:secret@"),
        ("urls", "http://one.example,https://shop:secret@search.example:port"),
        ("redis", "redis.shop.example:6379"),
        ("redis", "http://:secret@db"),
        ("redis", "redis://"),
        ("redis", "redis://:secret@db:port/0"),
        ("redis", "redis://:secret@db/shop"),
    ],
)
def test_an_invalid_url_is_refused_without_its_password(method: str, url: str) -> None:
    with pytest.raises(ImproperlyConfigured, match="SERVER_URL") as refused:
        getattr(Environment({"SERVER_URL": url}), method)("SERVER_URL")
    assert "secret" not in str(refused.value)


def test_redis_is_the_broker_and_the_cache_with_keys_of_its_own(tmp_path: Path) -> None:
    url = "rediss://:secret@redis.shop.example:6380/2"
    broker, caches = settings(tmp_path, "REDIS_URL", "CACHES", REDIS_URL=url)
    assert broker == url
    assert caches["default"]["LOCATION"] == url
    assert caches["default"]["KEY_PREFIX"]
    broker, caches = settings(tmp_path, "REDIS_URL", "CACHES")
    assert broker == ""
    assert caches["default"]["BACKEND"].endswith("DatabaseCache")


def test_postgresql_has_a_pool_whose_connections_are_tried(tmp_path: Path) -> None:
    url = "postgresql://shop@db/shop"
    (databases,) = settings(tmp_path, "DATABASES", DATABASE_URL=url, DATABASE_POOL_SIZE="30")
    assert databases["default"]["OPTIONS"]["pool"]["max_size"] == 30
    assert databases["default"]["CONN_HEALTH_CHECKS"]


@pytest.mark.parametrize("rate", ["60/min", "1/s", "1000/day", "5/hour", "5/h"])
def test_rates_are_those_that_the_throttle_reads(rate: str) -> None:
    from search.web.throttling import parse_rate

    assert Environment({"R": rate}).rate("R", "1/s") == rate
    count, seconds = parse_rate(rate)
    assert count == int(rate.partition("/")[0])
    assert seconds in {1, 60, 3_600, 86_400}


@pytest.mark.parametrize("rate", ["60", "60/", "0/min", "-1/min", "1.5/min", "60/fortnight", "60 / min", "/min"])
def test_other_rates_are_refused(rate: str) -> None:
    with pytest.raises(ImproperlyConfigured, match="60/min"):
        Environment({"R": rate}).rate("R", "1/s")


@pytest.mark.parametrize(
    ("value", "truth"), [("1", True), ("TRUE", True), ("on", True), ("0", False), ("No", False), ("", True)]
)
def test_booleans_have_several_spellings(value: str, truth: bool) -> None:
    assert Environment({"T": value}).truth("T", default=True) is truth


def test_a_list_may_have_spaces_and_a_last_comma() -> None:
    environment = Environment({"ALLOWED_HOSTS": " shop.example, .example.org,[::1], "})
    assert environment.hosts("ALLOWED_HOSTS") == ["shop.example", ".example.org", "[::1]"]


@pytest.mark.parametrize("host", ["http://shop.example", "shop.example:8000", "shop.example/path", "a b"])
def test_a_host_is_a_name_alone(host: str) -> None:
    with pytest.raises(ImproperlyConfigured, match="ALLOWED_HOSTS"):
        Environment({"ALLOWED_HOSTS": host}).hosts("ALLOWED_HOSTS")


def test_a_number_has_bounds_at_both_ends() -> None:
    assert Environment({"PORT": "8001"}).number("PORT", 8000, minimum=1, maximum=65_535) == 8001
    with pytest.raises(ImproperlyConfigured, match="at most 65535"):
        Environment({"PORT": "70000"}).number("PORT", 8000, minimum=1, maximum=65_535)


def test_a_folder_is_made_and_tried(tmp_path: Path) -> None:
    made = Environment({"DATA_DIR": str(tmp_path / "a" / "b")}).folder("DATA_DIR", tmp_path)
    assert made.is_dir()
    assert list(made.iterdir()) == []


@pytest.mark.parametrize("subdomains", ["", "true"])
def test_with_https_the_checks_of_a_deployment_find_nothing(tmp_path: Path, subdomains: str) -> None:
    code = (
        "import django; django.setup()\nfrom django.core.management import call_command\n"
        "call_command('check', deploy=True, fail_level='WARNING')"
    )
    done = start(code, tmp_path, HTTPS="true", NUM_PROXIES="1", HSTS_SUBDOMAINS=subdomains)
    assert done.returncode == 0, done.stderr
    (sent,) = settings(
        tmp_path, "SECURE_HSTS_INCLUDE_SUBDOMAINS", HTTPS="true", NUM_PROXIES="1", HSTS_SUBDOMAINS=subdomains
    )
    assert sent is bool(subdomains)
