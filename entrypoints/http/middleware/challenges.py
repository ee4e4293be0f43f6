"""What a caller who is not let in is told by header, after RFC 6750."""

from domain.access.credentials import CredentialRefused
from domain.access.principal import ScopeMissing
from domain.errors import Forbidden, Unauthorized

_REALM = b'Bearer realm="pglambda"'


def challenge(error: Unauthorized | Forbidden) -> tuple[bytes, bytes]:
    """Return the header; one that came without a credential is told no error, as it made none."""
    value = _REALM
    if isinstance(error, CredentialRefused):
        value += b', error="invalid_token"'
    elif isinstance(error, ScopeMissing):
        value += b', error="insufficient_scope", scope="%s"' % error.needed[0].encode()
    return b"www-authenticate", value
