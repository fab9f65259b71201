"""A picture's bytes from its address on the web.

Whoever gives an address makes this machine ask for it, so an address must not lead to what only this machine can
reach: `connections` checks where each connection goes. The whole answer has a deadline, since a server may send one
byte now and then, and limits of bytes and of processor time, which hold for what is no picture too. Whether it is a
picture is found out by `images`.
"""

from __future__ import annotations

import socket
from concurrent.futures import Future
from http import HTTPStatus
from threading import Thread
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import SplitResult, urljoin, urlsplit

from django.conf import settings
from django.utils import translation
from django.utils.formats import number_format
from django.utils.translation import gettext as _

from catalogue.images import ImageRefused
from resilience.retries import retrying

if TYPE_CHECKING:
    from requests import Response

    from catalogue.connections import Guard

SECONDS = 10.0
"""That everything may take: names, connections, redirects and the picture."""

MOST_REDIRECTS = 3
LONGEST = 2_000
"""Characters of an address. Counted before anything else: what reads names takes quadratic time."""

LONGEST_NAME = 253
"""Characters of a host's name (RFC 1035, as written with dots)."""

MOST_READS = 50_000
"""Pieces that a picture may come in: 10 MB in pieces of 200 bytes. Each takes Python as long, however small it is."""

PORTS = frozenset({80, 443})
"""Those below 1024 that pages are served at; behind the others are mail and the like."""

TRIES = 3
"""Of `fetch_patiently`."""
PAUSE = 1.0
"""Seconds before its second try; twice as long before the third."""

_CHUNK = 65_536
#: what stores of objects say of one that nobody has told the type of
_UNTYPED = frozenset({"", "application/octet-stream", "binary/octet-stream"})
_WORTH_ANOTHER_TRY = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS})


E = TypeVar("E", bound=BaseException)


class FetchRefused(ImageRefused):
    """No picture comes of an address. `permanent` says whether another try would end in the same way."""

    code = "not_fetched"
    permanent = True


class AddressRefused(FetchRefused):
    """An address that is none, or that nothing is fetched from."""

    code = "address_refused"


class NotPublic(AddressRefused):
    """An address that leads to no public web site: nobody has its name, or it is of a private network.

    Which of the two is not said, by no word, status or delay: whoever asks would learn the names of the network that
    this machine is in.
    """


class RemoteRefused(FetchRefused):
    """The other site answers, and not with a picture that can be taken."""

    code = "remote_refused"


class RemoteUnavailable(FetchRefused):
    """The other site does not answer, or with an error of its own."""

    code = "remote_unavailable"
    permanent = False


class RemoteSlow(RemoteUnavailable):
    """The other site has not answered in `SECONDS`."""

    code = "remote_slow"


def is_address(text: str) -> bool:
    """Whether a text is meant as an address on the web rather than as a name."""
    return text.lower().startswith(("http://", "https://"))


def fetch(address: str) -> bytes:
    """The bytes at an address, which say that they are a picture: `IMAGE_MAX_BYTES` at the most.

    Raises `FetchRefused`: `AddressRefused`, `RemoteRefused`, `RemoteUnavailable` or `RemoteSlow`.
    """
    address = checked(address)
    from catalogue.connections import Guard

    guard = Guard(SECONDS)
    language = translation.get_language()
    answer: Future[bytes] = Future()

    def work() -> None:
        try:
            with translation.override(language):  # a thread has none
                answer.set_result(_follow(address, guard))
        except BaseException as error:
            answer.set_exception(error)

    # In a thread, since nothing else ends waiting for a name: it is left behind, and its connection is cut.
    Thread(target=work, name="fetch", daemon=True).start()
    try:
        return answer.result(guard.seconds_left)
    except TimeoutError:
        raise _slow() from None
    finally:
        guard.cut()


def fetch_patiently(address: str) -> bytes:
    """The same for work that can wait: with other tries, after pauses, where they may help."""
    return retrying(_is_temporary, attempts=TRIES, first_pause=PAUSE)(fetch, address)


def _is_temporary(error: BaseException) -> bool:
    return isinstance(error, FetchRefused) and not error.permanent


def checked(address: str) -> str:
    """An address that may be asked, as far as its text tells. Raises `AddressRefused`."""
    if len(address) > LONGEST:
        raise _no_address()
    address = address.strip()
    try:
        parts = urlsplit(address)
        host, port = parts.hostname or "", parts.port
        if len(host) <= LONGEST_NAME:
            host.encode("idna")
    except ValueError:  # brackets, a port that is no number, a label that is too long
        raise _no_address() from None
    if parts.scheme not in {"http", "https"}:
        raise AddressRefused(_("Only addresses that begin with https:// or http:// can be fetched."))
    odd = any(character.isspace() or character == "\\" or not character.isprintable() for character in address)
    if not 0 < len(host) <= LONGEST_NAME or odd:
        raise _no_address()
    if "@" in parts.netloc:
        raise AddressRefused(_("Nothing is fetched with a name or a password in the address. Take them out."))
    if port is not None and port < 1024 and port not in PORTS:  # noqa: PLR2004 - a border of the internet's own
        raise AddressRefused(
            _("Nothing is fetched from port %(port)d. Give an address of a web site.") % {"port": port}
        )
    return _without_fragment(parts)


def _without_fragment(parts: SplitResult) -> str:
    return parts._replace(fragment="").geturl()


def _no_address() -> AddressRefused:
    return AddressRefused(
        _("This is not the address of a picture. Copy it whole, as in https://shop.example/dress.jpg.")
    )


def _not_public() -> NotPublic:
    """For an address, or one that it leads to, that is not on the public internet, or whose name nobody has."""
    return NotPublic(_("This address does not lead to a public web site. Check it, or send the picture itself."))


def _slow() -> RemoteSlow:
    return RemoteSlow(
        _("The picture did not come within %(seconds)d seconds. Try again, or send the picture itself.")
        % {"seconds": SECONDS}
    )


def _unavailable() -> RemoteUnavailable:
    return RemoteUnavailable(
        _("The site of this picture does not answer. Try again later, or send the picture itself.")
    )


def _too_large() -> RemoteRefused:
    limit = number_format(settings.IMAGE_MAX_BYTES / 1_000_000, 1).rstrip("0").rstrip(".,")
    return RemoteRefused(
        _("The picture at this address is larger than %(limit)s MB. Give the address of a smaller one.")
        % {"limit": limit}
    )


def _follow(address: str, guard: Guard) -> bytes:
    """Ask an address and those it leads on to."""
    from requests import RequestException, Timeout
    from urllib3.exceptions import HTTPError
    from urllib3.exceptions import TimeoutError as Silent

    from catalogue.connections import opened

    try:
        with opened(guard) as session:
            for _redirect in range(MOST_REDIRECTS + 1):
                with session.get(address, stream=True, timeout=guard.seconds_left) as response:
                    onward = session.get_redirect_target(response)
                    if onward is None:
                        return _body(response, guard)
                    if len(onward) > LONGEST:
                        raise _no_address()
                    address = checked(urljoin(address, onward))
    except FetchRefused:
        raise
    except (RequestException, HTTPError, OSError, ValueError) as error:
        if guard.full:
            raise _too_large() from error
        raise _explained(error, slow=isinstance(error, (Timeout, Silent)) or guard.over) from error
    raise RemoteRefused(
        _("This address leads on more than %(count)d times. Give the one that it ends at.")
        % {"count": MOST_REDIRECTS}
    )


def _explained(error: Exception, *, slow: bool) -> FetchRefused:
    """What a failed connection means for whoever gave the address."""
    from requests.exceptions import InvalidURL
    from requests_hardened.ip_filter import InvalidIPAddress

    if _cause(error, InvalidIPAddress):
        return _not_public()
    if slow:
        return _slow()
    if isinstance(error, (InvalidURL, UnicodeError)):
        return _no_address()
    if lookup := _cause(error, socket.gaierror):
        refused = _not_public()
        # Name servers that are away may have an answer later.
        refused.permanent = lookup.errno != socket.EAI_AGAIN
        return refused
    return _unavailable()


def _cause(error: BaseException | None, kind: type[E]) -> E | None:
    """The first error of this kind among an error and its causes."""
    while error is not None and not isinstance(error, kind):
        error = error.__cause__ or error.__context__
    return error


def _body(response: Response, guard: Guard) -> bytes:
    status = response.status_code
    if status in _WORTH_ANOTHER_TRY or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        raise _unavailable()
    if status in {HTTPStatus.NOT_FOUND, HTTPStatus.GONE}:
        raise RemoteRefused(_("There is nothing at this address. Check it, or send the picture itself."))
    if status != HTTPStatus.OK:
        raise RemoteRefused(
            _("The site of this picture does not give it out (HTTP status %(status)d). Send the picture itself.")
            % {"status": status}
        )
    kind = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if not (kind.startswith("image/") or kind in _UNTYPED):
        raise RemoteRefused(
            _("There is no picture at this address but something else. Give the address of the picture itself.")
        )
    most = settings.IMAGE_MAX_BYTES
    length = response.headers.get("Content-Length", "")
    if length.isdecimal() and int(length) > most:
        raise _too_large()
    data = bytearray()
    # As it is sent: nothing is unpacked, so that few bytes cannot become many.
    for _read in range(MOST_READS):
        chunk = _more(response.raw)
        data += chunk
        if not chunk:
            return bytes(data)
        if len(data) > most:
            raise _too_large()
        if guard.over:
            break
    raise _slow()


def _more(raw: Any) -> bytes:
    """What has come meanwhile; it does not wait until there is much."""
    return bytes(raw.read1(_CHUNK, decode_content=False))
