"""One line of text for each event, on stderr, which the supervisor appends to `<data>/logs/<process>.log`.

Law: no prompt, no answer and no secret is ever logged.
"""

import logging
import sys

import structlog


def configure(level: str) -> None:
    """`level`: debug, info, warning or error. Libraries that use `logging` are heard from warning on."""
    threshold = logging.getLevelNamesMapping()[level.upper()]
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.LogfmtRenderer(key_order=["timestamp", "level", "event"], bool_as_flag=False),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(threshold),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    logging.basicConfig(
        stream=sys.stderr,
        level=max(threshold, logging.WARNING),
        format="timestamp=%(asctime)s level=%(levelname)s event=%(message)r logger=%(name)s",
    )
