"""A little SMTP server on a real socket that does what a test says: takes mail, wants a login, refuses, is silent."""

import base64
import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from email import message_from_bytes, policy
from email.message import EmailMessage


class Mailbox:
    """`received`: (receiver, mail) of each that was taken; `lines`: every command, as it came.

    `behave` is asked for each RCPT, by its number from 0: a status, "hang", or "hang up after the mail".
    """

    def __init__(
        self, behave: Callable[[int], int | str] = lambda _: 250, *, login: tuple[str, str] | None = None
    ) -> None:
        self.behave = behave
        self.login = login
        self.received: list[tuple[str, EmailMessage]] = []
        self.lines: list[str] = []
        self.port = 0
        self._receivers = 0
        self._stopped = threading.Event()

    @contextlib.contextmanager
    def listening(self) -> Iterator["Mailbox"]:
        with socket.create_server(("127.0.0.1", 0)) as server:
            self.port = server.getsockname()[1]
            server.settimeout(0.1)
            accepting = threading.Thread(target=self._accept, args=(server,))
            accepting.start()
            try:
                yield self
            finally:
                self._stopped.set()
                accepting.join()

    def _accept(self, server: socket.socket) -> None:
        while not self._stopped.is_set():
            with contextlib.suppress(TimeoutError):
                connection, _ = server.accept()
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        connection.settimeout(60)
        with contextlib.suppress(OSError), connection, connection.makefile("rb") as lines:
            connection.sendall(b"220 mailbox\r\n")
            self._converse(connection, lines)

    def _converse(self, connection: socket.socket, lines: Iterator[bytes]) -> None:
        receiver, known, answer = "", self.login is None, "250"
        for raw in lines:
            line = raw.decode().rstrip("\r\n")
            self.lines.append(line)
            said = "250 ok"
            match line.split(" ")[0].upper():
                case "EHLO":
                    said = "250-mailbox" + ("" if self.login is None else "\r\n250-AUTH PLAIN") + "\r\n250 8BITMIME"
                case "AUTH":
                    known = self._known(line)
                    said = "235 welcome" if known else "535 wrong login"
                case "RCPT":
                    answer = self._asked() if known else "530"
                    receiver = line.partition("<")[2].partition(">")[0]
                    said = f"{answer} asked" if answer.isdigit() else "250 asked"
                case "DATA":
                    connection.sendall(b"354 go on\r\n")
                    self._take(receiver, lines)
                case "QUIT":
                    said = "221 bye"
            if answer == "hang":
                self._stopped.wait(60)
            if answer.startswith("hang") and said == "250 ok":
                return
            connection.sendall(said.encode() + b"\r\n")

    def _asked(self) -> str:
        self._receivers += 1
        return str(self.behave(self._receivers - 1))

    def _known(self, line: str) -> bool:
        _, login, password = base64.b64decode(line.split(" ")[2]).decode().split("\0")
        return (login, password) == self.login

    def _take(self, receiver: str, lines: Iterator[bytes]) -> None:
        body = b""
        for line in lines:
            if line == b".\r\n":
                break
            body += line[1:] if line.startswith(b"..") else line
        made = message_from_bytes(body, policy=policy.default)
        assert isinstance(made, EmailMessage)
        self.received.append((receiver, made))
