"""Mail through the operator's own server: plain text, one receiver a message, nothing in it that tracks.

Law: it blocks in threads of its own and never longer than the setting allows for each step; a password goes over an
encrypted connection, or to this machine, or nowhere, and neither it nor a message is ever logged. The same message has
the same Message-ID however often it is sent.
"""

import asyncio
import re
import smtplib
import ssl
import time
from concurrent.futures import ThreadPoolExecutor
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import formatdate

import msgspec

from arkwright.basics.settings import Settings

ADDRESS_LENGTH_MAX = 254
ADDRESS = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*", re.ASCII)
_AT_ONCE = 4
_THIS_MACHINE = ("localhost", "127.0.0.1", "::1")
_threads = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="mail")


class Mail(msgspec.Struct, frozen=True, kw_only=True):
    """`id` becomes its Message-ID."""

    id: str
    to: str
    subject: str
    text: str
    language: str = "en"


class Posted(msgspec.Struct, frozen=True):
    """`status`: the server's, 250 when it took the message; 0: it said nothing. `lasting`: another try is of no use."""

    status: int
    duration_us: int
    error: str = ""
    lasting: bool = False

    @property
    def ok(self) -> bool:
        return not self.error


def can_send(settings: Settings) -> bool:
    return bool(settings.smtp_host and settings.smtp_sender)


def is_address(text: str) -> bool:
    return len(text) <= ADDRESS_LENGTH_MAX and ADDRESS.fullmatch(text) is not None


async def send(settings: Settings, mail: Mail) -> Posted:
    """Raises nothing that a server or a network does."""
    if not can_send(settings):
        return Posted(0, 0, "no mail server is set: smtp_host and smtp_sender")
    return await asyncio.get_running_loop().run_in_executor(_threads, _send, settings, mail)


def _send(settings: Settings, mail: Mail) -> Posted:
    began = time.monotonic_ns()
    status, error, lasting = 250, "", False
    try:
        with _connected(settings) as server:
            server.send_message(_message(settings, mail))
    except smtplib.SMTPRecipientsRefused as refused:
        status, said = next(iter(refused.recipients.values()), (0, b""))
        error, lasting = f"the server refused the receiver: {status} {_text(said)}", status >= 500
    except smtplib.SMTPResponseException as answer:
        status = answer.smtp_code
        error = f"the server answered {status} {_text(answer.smtp_error)}"
    except (smtplib.SMTPException, OSError, ValueError) as failure:
        status, error = 0, f"{type(failure).__name__}: {failure}"
    return Posted(status, (time.monotonic_ns() - began) // 1_000, error[:300], lasting)


def _connected(settings: Settings) -> smtplib.SMTP:
    host, port, timeout_s = settings.smtp_host, settings.smtp_port, settings.smtp_timeout_s
    if settings.smtp_login and settings.smtp_tls == "none" and host not in _THIS_MACHINE:
        raise ValueError("smtp_tls is none: the password would travel readable, so it is not sent")
    if settings.smtp_tls == "tls":
        server: smtplib.SMTP = smtplib.SMTP_SSL(host, port, timeout=timeout_s, context=ssl.create_default_context())
    else:
        server = smtplib.SMTP(host, port, timeout=timeout_s)
    try:
        if settings.smtp_tls == "starttls":
            server.starttls(context=ssl.create_default_context())  # Raises where the server has none: never without.
        if settings.smtp_login:
            server.login(settings.smtp_login, settings.smtp_password)
    except BaseException:
        server.close()
        raise
    return server


def _message(settings: Settings, mail: Mail) -> EmailMessage:
    made = EmailMessage(policy=SMTP)
    made["From"] = settings.smtp_sender
    made["To"] = mail.to
    made["Subject"] = mail.subject
    made["Date"] = formatdate(usegmt=True)
    made["Message-ID"] = f"<{mail.id}@{settings.smtp_sender.rpartition('@')[2].rstrip('>')}>"
    made["Auto-Submitted"] = "auto-generated"
    made["Content-Language"] = mail.language
    made.set_content(mail.text, charset="utf-8")
    return made


def _text(said: bytes | str) -> str:
    text = said.decode(errors="replace") if isinstance(said, bytes) else said
    return "".join(letter if letter.isprintable() else " " for letter in text)
