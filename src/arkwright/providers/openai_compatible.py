"""Any service that speaks OpenAI's API: a base URL, a key and a few facts about how it differs.

Pure: checks what an operator wrote and says what the gateway must know; speaks to nobody. The URL is the operator's
own, so it may be private; it may not carry credentials, which would end up in logs.
"""

from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

import msgspec

from arkwright.basics.errors import InvalidInput
from arkwright.domain.catalog import Traits

URL_LENGTH_MAX = 2000
_Seconds = Annotated[float, msgspec.Meta(ge=0, le=86_400)]


class Options(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """How this account differs from the letter of OpenAI's API; the defaults are OpenAI's own behaviour."""

    on_disconnect: Literal["drain", "stop"] = "drain"
    counts_choices: bool = True
    enforces_tool_choice: bool = True
    legacy_logprobs: bool = True
    refuses: tuple[str, ...] = ()
    progress: Literal["none", "timings"] = "none"
    max_concurrent: Annotated[int, msgspec.Meta(ge=0, le=1_000_000)] = 0  # Requests it is sent at once; 0: no bound.
    continues: bool = False  # It goes on with an answer that was begun elsewhere, as llama.cpp does.
    # 0: as the settings say.
    connect_timeout_s: _Seconds = 0.0
    first_byte_timeout_s: _Seconds = 0.0
    stream_idle_timeout_s: _Seconds = 0.0
    total_timeout_s: _Seconds = 0.0


def options(given: dict[str, Any]) -> dict[str, Any]:
    """The options as they are stored. Raises InvalidInput that names the option."""
    parsed = _parse(given)
    if parsed.on_disconnect == "stop" and parsed.progress == "none":
        raise InvalidInput(
            'options: on_disconnect = "stop" needs progress = "timings": without a running count, what a client who'
            " hung up has used would be a guess. Leave it at drain",
            param="options.on_disconnect",
        )
    if parsed.continues and parsed.progress == "none":
        raise InvalidInput(
            'options: continues = true needs progress = "timings": without a running count, what was delivered before'
            " another went on would be a guess",
            param="options.continues",
        )
    # As JSON gives them back, so that what is stored equals what is declared again.
    stored: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(parsed))
    return stored


def base_url(given: str) -> str:
    """The URL as it is stored, without a trailing slash. Raises InvalidInput."""
    try:
        parts = urlsplit(given)
        port_is_valid = parts.port is None or parts.port > 0
    except ValueError:
        raise _bad_url(given, "it is not a URL") from None
    if parts.scheme not in ("http", "https"):
        raise _bad_url(given, "it must begin with http:// or https://")
    if parts.username is not None or parts.password is not None:
        raise InvalidInput("base_url holds credentials; give them as api_key", param="base_url")
    if not parts.hostname or not port_is_valid or parts.query or parts.fragment:
        raise _bad_url(given, "it must be scheme://host[:port]/path, without a query")
    if len(given) > URL_LENGTH_MAX or not given.isascii() or any(letter.isspace() or letter < " " for letter in given):
        raise _bad_url(given[:100], f"it must be at most {URL_LENGTH_MAX} plain ASCII characters")
    return given.rstrip("/")


def traits(stored: dict[str, Any]) -> Traits:
    """What the gateway needs to know. Options that an older version stored and this one does not know are passed over:
    one provider's history must not keep the others from being served.
    """
    facts = msgspec.structs.asdict(_known(stored))
    del facts["max_concurrent"]
    return Traits(usage_source="provider", **facts)


def capacity(stored: dict[str, Any]) -> int:
    """How many requests it may be sent at once, by all gateways; 0: no bound."""
    return _known(stored).max_concurrent


def _known(stored: dict[str, Any]) -> Options:
    known = {field.name for field in msgspec.structs.fields(Options)}
    return _parse({name: value for name, value in stored.items() if name in known})


def _parse(given: dict[str, Any]) -> Options:
    try:
        return msgspec.convert(given, Options)
    except msgspec.ValidationError as error:
        raise InvalidInput(f"options: {error}", param="options") from None


def _bad_url(given: str, reason: str) -> InvalidInput:
    shown = "" if "@" in given else f" {given!r}"  # What precedes an @ may be a password.
    return InvalidInput(f"base_url{shown} cannot be used: {reason}", param="base_url")
