"""Who asks OpenSearch, over what, and what is said where it does not let the site in."""

from __future__ import annotations

import base64
import datetime as dt
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from django.core.exceptions import ImproperlyConfigured

from search.exceptions import IndexMissing, IndexUnavailable, VectorIndexError
from search.indexes import InvalidIndex, indexes
from search.indexes.opensearch.backend import OpenSearchBackend
from search.indexes.opensearch.index import OpenSearchIndex
from search.models import IndexVersion
from tests.search.indexes.recorded import Recorder, recorded


@pytest.fixture
def server() -> Iterator[Recorder]:
    with recorded() as recorder:
        yield recorder


def index(url: str, **options) -> OpenSearchIndex:
    backend = OpenSearchBackend("opensearch", hosts=[url], prefix="shop", **options)
    return backend.open(IndexVersion(pk=3, width=8))


def basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def test_no_credentials_are_sent_if_none_are_configured(server: Recorder) -> None:
    assert index(server.url).count() == 7
    [request] = server.requests
    assert (request.method, request.path) == ("POST", "/shop-3/_count")
    assert "authorization" not in request.headers


def test_requests_are_not_written_to_the_log(server: Recorder, caplog: pytest.LogCaptureFixture) -> None:
    index(server.url).count()
    assert caplog.records == []


def test_credentials_are_sent_with_each_request(server: Recorder) -> None:
    shop = index(server.url, username="shop", password="s@fe:word")
    shop.count()
    shop.count()
    assert [request.headers["authorization"] for request in server.requests] == [basic("shop", "s@fe:word")] * 2


def test_a_user_may_be_in_the_address_and_behind_a_path(server: Recorder) -> None:
    address = server.url.replace("http://", "http://shop:s%40fe@") + "/search"
    assert index(address, username="other", password="other").count() == 7
    assert server.requests[0].headers["authorization"] == basic("shop", "s@fe")
    assert server.requests[0].path == "/search/shop-3/_count"


def test_requests_are_signed_for_a_region(server: Recorder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "token")
    index(server.url, region="eu-central-1").count()
    headers = server.requests[0].headers
    scheme, _, rest = headers["authorization"].partition(" ")
    assert scheme == "AWS4-HMAC-SHA256"
    assert "/eu-central-1/es/aws4_request" in rest
    assert "Credential=AKIDEXAMPLE/" in rest
    assert headers["x-amz-security-token"] == "token"
    assert len(headers["x-amz-content-sha256"]) == 64
    assert "secret" not in str(headers)


def test_without_credentials_of_amazon_it_says_what_to_give(
    server: Recorder, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    with pytest.raises(IndexUnavailable, match="AWS_ACCESS_KEY_ID"):
        index(server.url, region="eu-central-1").count()
    assert server.requests == []


@pytest.mark.parametrize("status", [401, 403])
def test_denied_access_is_explained(server: Recorder, status: int) -> None:
    server.status, server.answer = status, {"message": "User: arn:aws:iam::1:user/x is not authorized"}
    with pytest.raises(IndexUnavailable, match="OPENSEARCH_USER"):
        index(server.url).count()


def test_what_is_no_opensearch_is_said_to_be_none(server: Recorder) -> None:
    server.answer = b"<html>Welcome</html>"
    with pytest.raises(IndexUnavailable, match="OPENSEARCH_URL"):
        index(server.url).count()


@pytest.mark.parametrize("status", [400, 404, 409, 500, 502, 503, 504, 429])
def test_an_answer_of_any_form_ends_in_an_error_of_the_index(server: Recorder, status: int) -> None:
    for answer in (b"", b"Bad Gateway", {"error": "broken"}, {"error": {"type": "odd"}}, {"message": "odd"}):
        server.status, server.answer = status, answer
        with pytest.raises(VectorIndexError) as met:
            index(server.url).count()
        assert met.value.permanent is isinstance(met.value, IndexMissing)


def test_a_part_of_an_answer_is_none(server: Recorder) -> None:
    server.answer = {"count": 3, "_shards": {"total": 2, "successful": 1, "failed": 1}}
    with pytest.raises(IndexUnavailable, match="nodes"):
        index(server.url).count()


def test_a_server_that_is_away_says_so_without_naming_it(caplog: pytest.LogCaptureFixture) -> None:
    with recorded() as recorder:
        url = recorder.url
    with pytest.raises(IndexUnavailable, match="does not answer") as met:
        index(url.replace("http://", "http://shop:secret@")).count()
    assert "localhost" not in str(met.value)
    assert "localhost" in caplog.text
    assert "secret" not in caplog.text


# TLS --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for localhost that nobody but itself vouches for, with its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "localhost.pem"
    path.write_bytes(
        made.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return path


@pytest.fixture
def secure_server(certificate: Path) -> Iterator[Recorder]:
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate)
    with recorded(tls) as recorder:
        yield recorder


def test_a_certificate_that_nobody_vouches_for_is_not_trusted(secure_server: Recorder) -> None:
    with pytest.raises(IndexUnavailable, match="OPENSEARCH_CA_FILE"):
        index(secure_server.url).count()
    assert secure_server.requests == []


def test_the_authority_of_a_certificate_may_be_named(secure_server: Recorder, certificate: Path) -> None:
    assert index(secure_server.url, ca_file=certificate).count() == 7


def test_a_certificate_of_another_host_is_not_trusted(secure_server: Recorder, certificate: Path) -> None:
    with pytest.raises(IndexUnavailable, match="certificate"):
        index(secure_server.url.replace("localhost", "127.0.0.1"), ca_file=certificate).count()


# Options ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"hosts": ["https://abc.eu-central-1.aoss.amazonaws.com"]}, "serverless collection"),
        ({"hosts": []}, "at least one"),
        ({"hosts": ["search.example:9200"]}, "https://search.example:9200"),
        ({"hosts": ["https://shop:secret@"]}, "https://search.example:9200"),
        ({"prefix": "Shop"}, "small letters"),
        ({"engine": "nmslib"}, "lucene or faiss"),
        ({"space": "hamming"}, "cosine or l2"),
        ({"region": "eu-central-1", "username": "shop"}, "not both"),
    ],
)
def test_wrong_options_are_refused_with_a_sentence(settings, options, sentence: str) -> None:
    settings.VECTOR_INDEXES = {
        "opensearch": {
            "BACKEND": "search.indexes.opensearch.backend.OpenSearchBackend",
            "OPTIONS": {"hosts": ["http://search.example"], **options},
        }
    }
    with pytest.raises(InvalidIndex, match=sentence) as refused:
        indexes["opensearch"]
    assert "secret" not in str(refused.value)
    assert isinstance(refused.value, ImproperlyConfigured)
