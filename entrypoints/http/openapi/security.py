"""Who may call: the schemes, and the scopes of which an operation needs one."""

from entrypoints.http.middleware.authentication import SCOPES
from entrypoints.http.openapi.components import Components, Json
from entrypoints.http.route import Access

_SCHEMES: Json = {
    "token": {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "JWT",
        "description": "A signed token (RFC 7519): sub is the owner, scope has the scopes, exp is required.",
    },
    "apiKey": {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "pgl_...",
        "description": "An API key, sent like a token; `pglambda keys create` makes one.",
    },
}


def needed_scopes(access: Access) -> tuple[str, ...]:
    """Return the scopes of which one is needed; none where every known caller, or everybody, may ask."""
    return tuple(sorted(SCOPES.get(access, ())))


def requirements(access: Access, components: Components) -> list[Json]:
    """Return what of a caller must be shown: one of these."""
    if access is Access.OPEN:
        return []
    for name, scheme in _SCHEMES.items():
        components.put("securitySchemes", name, scheme)
    alternatives = [[scope] for scope in needed_scopes(access)] or [[]]
    shown = [{name: scopes} for name in _SCHEMES for scopes in alternatives]
    return [{}, *shown] if access is Access.DETAIL else shown
