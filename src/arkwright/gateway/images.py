"""Which images a target may be shown: those that come with the request, and those it can fetch without our network.

Law: no server on a network of ours is handed a URL to fetch, for it would go where the client may not; a URL that leads
inside by its own letters is handed to nobody. An image in a `data:` URL is bounded, and is never copied here.
"""

import msgspec

from arkwright.basics.errors import InvalidInput
from arkwright.domain import addresses
from arkwright.domain.catalog import Target
from arkwright.wire import openai_images
from arkwright.wire.openai_images import NotAnImage
from arkwright.wire.openai_request import Request

IMAGES_MAX = 64
DATA_BYTES_MAX = 20 * 1024 * 1024
URL_BYTES_MAX = 6 * addresses.URL_CHARACTERS_MAX  # Each character may be an escape.
_SCHEMES = frozenset({"http", "https"})


def remote(request: Request) -> list[str] | None:
    """The images that somebody would have to fetch; None when the request has no image at all. Raises InvalidInput."""
    if not openai_images.may_have_images(request.asked.messages, request.read):
        return None
    try:
        found = openai_images.urls(request.take("messages"))
        texts = [openai_images.text(url) for url in _elsewhere(found, request)]
    except NotAnImage:
        raise _refused("an image_url is an object with a url") from None
    for text in texts:
        try:
            addresses.destination(text, schemes=_SCHEMES)
        except addresses.Refused as error:
            raise _refused(f"{error}; send the image itself as a data: URL") from None
    return texts if found else None


def _elsewhere(found: list[msgspec.Raw], request: Request) -> list[msgspec.Raw]:
    """Those that are no `data:` URLs. Raises InvalidInput for what is too much."""
    if len(found) > IMAGES_MAX:
        raise _refused(f"a request has at most {IMAGES_MAX} images")
    if any(request.length(url) > DATA_BYTES_MAX for url in found):
        raise _refused(f"an image in a data: URL has at most {DATA_BYTES_MAX} bytes")
    elsewhere = [url for url in found if request.beginning(url, len(openai_images.DATA)) != openai_images.DATA]
    if any(request.length(url) > URL_BYTES_MAX for url in elsewhere):
        raise _refused(f"a URL has at most {addresses.URL_CHARACTERS_MAX} characters")
    return elsewhere


def check(images: list[str] | None, target: Target) -> None:
    """Whether this target may be asked. Raises InvalidInput."""
    if images is None:
        return
    if "image_url" in target.traits.refuses:
        raise InvalidInput("This model does not take images.", code="unsupported_content", param="messages")
    if images and addresses.on_own_network(target.base_url):
        raise _refused("this model's server fetches nothing from elsewhere; send the image itself as a data: URL")


def _refused(why: str) -> InvalidInput:
    return InvalidInput(f"The image can't be taken: {why}.", code="invalid_image_url", param="messages")
