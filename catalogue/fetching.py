"""Downloads a picture from its web address.

Anyone may give an address, so it must not lead to a server that only this machine can reach: `connections` checks
each connection. The whole download has a deadline, since a server may send one byte at a time, and limits of bytes
and of processor time. `images` finds out whether the bytes are a picture.
"""

from __future__ import annotations

import socket
from concurrent.futures import Future
from http import HTTPStatus
from threading import Thread
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urljoin, urlsplit

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
"""For the whole download: name look-up, connections, redirects and the picture."""

MAX_REDIRECTS = 3
MAX_ADDRESS_LENGTH = 2_000
"""Characters of an address. Checked first: parsing host names takes quadratic time."""

MAX_HOST_LENGTH = 253
"""Characters of a host's name (RFC 1035, as written with dots)."""

MAX_READS = 50_000
"""Reads of one picture: 10 MB in pieces of 200 bytes. Small pieces take Python as long as large ones."""

PORTS = frozenset({80, 443})
"""Allowed ports below 1024; others belong to mail and the like."""

TRIES = 3
"""Attempts of `fetch_patiently`."""
PAUSE = 1.0
"""Seconds before its second attempt; twice as long before the third."""

_CHUNK = 65_536
#: object stores use these if no type was set
_UNTYPED = frozenset({"", "application/octet-stream", "binary/octet-stream"})
_WORTH_ANOTHER_TRY = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS})


E = TypeVar("E", bound=BaseException)


class FetchRefused(ImageRefused):
    """No picture can be downloaded from an address. `permanent` says whether trying again is pointless."""

    code = "not_fetched"
    permanent = True


class AddressRefused(FetchRefused):
    """Not an address, or one that is not allowed."""

    code = "address_refused"


class NotPublic(AddressRefused):
    """An address without a public web site: its name is unknown, or it is in a private network.

    The message, status and delay are the same for both. Otherwise strangers could learn the names of this network.
    """


class RemoteRefused(FetchRefused):
    """The other site answers, but not with a usable picture."""

    code = "remote_refused"


class RemoteUnavailable(FetchRefused):
    """The other site does not answer, or reports an error of its own."""

    code = "remote_unavailable"
    permanent = False


class RemoteSlow(RemoteUnavailable):
    """The other site did not answer within `SECONDS`."""

    code = "remote_slow"


def is_address(text: str) -> bool:
    """Whether a text is a web address rather than a name."""
    return text.lower().startswith(("http://", "https://"))


def fetch(address: str) -> bytes:
    """The bytes of the picture at an address, at most `IMAGE_MAX_BYTES`.

    Raises `FetchRefused`: `AddressRefused`, `RemoteRefused`, `RemoteUnavailable` or `RemoteSlow`.
    """
    address = checked(address)
    from catalogue.connections import Guard

    guard = Guard(SECONDS)
    language = translation.get_language()
    answer: Future[bytes] = Future()

    def work() -> None:
        try:
            with translation.override(language):  # threads do not inherit it
                answer.set_result(_follow(address, guard))
        except BaseException as error:
            answer.set_exception(error)

    # In a thread, since a name look-up cannot be interrupted: the thread is left behind and its connection cut.
    Thread(target=work, name="fetch", daemon=True).start()
    try:
        return answer.result(guard.seconds_left)
    except TimeoutError:
        raise _slow() from None
    finally:
        guard.cut()


def fetch_patiently(address: str) -> bytes:
    """Like `fetch`, with more attempts after pauses if the error is temporary."""
    return retrying(_is_temporary, attempts=TRIES, first_pause=PAUSE)(fetch, address)


def _is_temporary(error: BaseException) -> bool:
    return isinstance(error, FetchRefused) and not error.permanent


def checked(address: str) -> str:
    """Validate an address by its text; returns it without its fragment. Raises `AddressRefused`."""
    if len(address) > MAX_ADDRESS_LENGTH:
        raise _invalid_address()
    address = address.strip()
    try:
        parts = urlsplit(address)
        host, port = parts.hostname or "", parts.port
        if len(host) <= MAX_HOST_LENGTH:
            host.encode("idna")
    except ValueError:  # brackets, a port that is no number, a label that is too long
        raise _invalid_address() from None
    if parts.scheme not in {"http", "https"}:
        raise AddressRefused(_("Only addresses that begin with https:// or http:// can be fetched."))
    odd = any(character.isspace() or character == "\\" or not character.isprintable() for character in address)
    if not 0 < len(host) <= MAX_HOST_LENGTH or odd:
        raise _invalid_address()
    if "@" in parts.netloc:
        raise AddressRefused(_("Addresses with a user name or password cannot be used. Remove them."))
    if port is not None and port < 1024 and port not in PORTS:  # noqa: PLR2004 - privileged ports
        raise AddressRefused(_("Port %(port)d cannot be used. Enter the address of a web site.") % {"port": port})
    return parts._replace(fragment="").geturl()


def _invalid_address() -> AddressRefused:
    return AddressRefused(
        _("This is not the address of a picture. Copy the whole address, as in https://shop.example/dress.jpg.")
    )


def _not_public() -> NotPublic:
    """For a private address or an unknown name, also after a redirect."""
    return NotPublic(_("This address does not lead to a public web site. Check it, or upload the picture."))


def _slow() -> RemoteSlow:
    return RemoteSlow(
        _("The picture did not arrive within %(seconds)d seconds. Try again, or upload the picture.")
        % {"seconds": SECONDS}
    )


def _unavailable() -> RemoteUnavailable:
    return RemoteUnavailable(_("The picture's web site does not answer. Try again later, or upload the picture."))


def _too_large() -> RemoteRefused:
    limit = number_format(settings.IMAGE_MAX_BYTES / 1_000_000, 1).rstrip("0").rstrip(".,")
    return RemoteRefused(
        _("The picture at this address is larger than %(limit)s MB. Use a smaller one.") % {"limit": limit}
    )


def _follow(address: str, guard: Guard) -> bytes:
    """Request an address and follow its redirects."""
    from requests import RequestException, Timeout
    from urllib3.exceptions import HTTPError
    from urllib3.exceptions import TimeoutError as Silent

    from catalogue.connections import opened

    try:
        with opened(guard) as session:
            for _redirect in range(MAX_REDIRECTS + 1):
                with session.get(address, stream=True, timeout=guard.seconds_left) as response:
                    onward = session.get_redirect_target(response)
                    if onward is None:
                        return _body(response, guard)
                    if len(onward) > MAX_ADDRESS_LENGTH:
                        raise _invalid_address()
                    address = checked(urljoin(address, onward))
    except FetchRefused:
        raise
    except (RequestException, HTTPError, OSError, ValueError) as error:
        if guard.full:
            raise _too_large() from error
        raise _refusal(error, slow=isinstance(error, (Timeout, Silent)) or guard.over) from error
    raise RemoteRefused(
        _("This address redirects more than %(count)d times. Use the final address.") % {"count": MAX_REDIRECTS}
    )


def _refusal(error: Exception, *, slow: bool) -> FetchRefused:
    """The error that explains a failed connection."""
    from requests.exceptions import InvalidURL
    from requests_hardened.ip_filter import InvalidIPAddress

    if _cause(error, InvalidIPAddress):
        return _not_public()
    if slow:
        return _slow()
    if isinstance(error, (InvalidURL, UnicodeError)):
        return _invalid_address()
    if lookup := _cause(error, socket.gaierror):
        refused = _not_public()
        # Unavailable name servers may answer later.
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
        raise RemoteRefused(_("There is nothing at this address. Check it, or upload the picture."))
    if status != HTTPStatus.OK:
        raise RemoteRefused(
            _("The picture's web site refuses to send it (HTTP status %(status)d). Upload the picture.")
            % {"status": status}
        )
    kind = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if not (kind.startswith("image/") or kind in _UNTYPED):
        raise RemoteRefused(_("This address does not lead to a picture. Use the address of the picture itself."))
    most = settings.IMAGE_MAX_BYTES
    length = response.headers.get("Content-Length", "")
    if length.isdecimal() and int(length) > most:
        raise _too_large()
    data = bytearray()
    # Nothing is decompressed, so few bytes cannot become many.
    for _read in range(MAX_READS):
        chunk = _read_available(response.raw)
        data += chunk
        if not chunk:
            return bytes(data)
        if len(data) > most:
            raise _too_large()
        if guard.over:
            break
    raise _slow()


def _read_available(raw: Any) -> bytes:
    """The bytes that have arrived, without waiting for a full chunk."""
    return bytes(raw.read1(_CHUNK, decode_content=False))
