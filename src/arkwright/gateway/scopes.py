"""Which API a path of the data plane is, and whether a key may call it.

Law: a key with scopes calls what they name and nothing else: what has no line here is refused to it.
"""

from arkwright.basics.errors import Forbidden
from arkwright.domain.tenancy import Key, KeyScope

# An endpoint of the data plane is added by a line here, beside its line in the router.
API_OF: dict[str, KeyScope] = {
    "/v1/chat/completions": "chat",
    "/v1/completions": "completions",
    "/v1/embeddings": "embeddings",
    "/v1/models": "models",
    "/v1/messages": "chat",
    "/v1/messages/count_tokens": "chat",
    "/api/v3/chat/completions": "chat",
    "/api/v3/embeddings": "embeddings",
    "/compatible-mode/v1/chat/completions": "chat",
    "/compatible-mode/v1/completions": "completions",
    "/compatible-mode/v1/embeddings": "embeddings",
    "/compatible-mode/v1/models": "models",
    "/apps/anthropic/v1/messages": "chat",
    "/apps/anthropic/v1/messages/count_tokens": "chat",
}
CHAT = "/v1/chat/completions"
_ONE_MODEL = "/v1/models/"
_HEALTH = "/healthz"  # Of a model: whoever has a key may ask.


def check(key: Key, path: str) -> None:
    """Raises Forbidden for an API that the key's scopes do not name."""
    if not key.scopes or path == _HEALTH:
        return
    api = "models" if path.startswith(_ONE_MODEL) else API_OF.get(path)
    if api not in key.scopes:
        may = ", ".join(sorted(key.scopes))
        raise Forbidden(
            f"This API key may not call {path}: it is for {may} only. Use another key, or have an administrator widen"
            " this one.",
            code="insufficient_permissions",
        )
