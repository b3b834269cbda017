"""Local servers that take messages as Discord, Telegram, Slack, ntfy and a mail server describe it."""

from __future__ import annotations

import email.policy
import json
import socketserver
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from html.parser import HTMLParser
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from unittest.mock import patch

from apprise.plugins.discord import NotifyDiscord
from apprise.plugins.slack import NotifySlack
from apprise.plugins.telegram import NotifyTelegram

NAMES = ("discord", "telegram", "slack", "ntfy", "mail")
# https://core.telegram.org/bots/api#html-style
TELEGRAM_TAGS = {"b", "strong", "i", "em", "u", "ins", "s", "strike", "del", "a", "code", "pre", "blockquote"}


class Rejected(Exception):
    """The service refuses a message, with the text of its answer."""


class TelegramText(HTMLParser):
    """The text that Telegram shows: it knows few tags, and takes no other `<`."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.text = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Refuse unknown tags, as the Bot API does."""
        if tag not in TELEGRAM_TAGS:
            raise Rejected(f"Bad Request: can't parse entities: Unsupported start tag {tag!r}")

    def handle_data(self, data: str) -> None:
        """Collect text."""
        self.text += data


def discord(message: dict[str, Any]) -> str:
    """Take a message of at most 2,000 characters (https://discord.com/developers/docs/resources/webhook)."""
    text = str(message["content"])
    if not 0 < len(text) <= 2_000:
        raise Rejected("Must be 2000 or fewer in length.")
    return text


def telegram(message: dict[str, Any]) -> str:
    """Take a message of at most 4,096 UTF-16 units in strict HTML."""
    assert message["parse_mode"] == "HTML"
    text = TelegramText(message["text"]).text
    if not 0 < len(text.encode("utf-16-le")) <= 2 * 4_096:
        raise Rejected("Bad Request: message is too long")
    return text


def slack(message: dict[str, Any]) -> str:
    """Take text with `&`, `<` and `>` escaped (https://docs.slack.dev/messaging/formatting-message-text)."""
    [attachment] = message["attachments"]
    for part in (attachment["title"], attachment["text"]):
        if "<" in part or len(part) > 40_000:
            raise Rejected("invalid_attachments")
    text = f"{attachment['title']}\n{attachment['text']}"
    return text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")


def ntfy(message: dict[str, Any]) -> str:
    """Take a message of at most 4,096 bytes: a server without attachments refuses more."""
    if len(message["message"].encode()) > 4_096:
        raise Rejected("invalid request: attachments not allowed")
    return f"{message['title']}\n{message['message']}"


class MessageServices:
    """The services: `urls` for Apprise, the texts that each has taken, and the refusals."""

    def __init__(self) -> None:
        self.taken: dict[str, list[str]] = {name: [] for name in NAMES}
        self.refusals: list[tuple[str, str]] = []
        self.down: set[str] = set()
        self.urls: dict[str, str] = {}

    def take(self, name: str, read: Callable[[], str]) -> bool:
        """Store the text of a message, or why it was refused."""
        try:
            if name in self.down:
                raise Rejected("down")
            self.taken[name].append(read().replace("\r\n", "\n"))
        except Rejected as reason:
            self.refusals.append((name, str(reason)))
            return False
        return True


def http_handler(services: MessageServices) -> type[BaseHTTPRequestHandler]:
    """Return the handler of the services that are reached by HTTP; the path names the service."""
    readers = {"discord": discord, "telegram": telegram, "slack": slack}

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            message = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            name = self.path.split("/")[1] or "ntfy"
            taken = services.take(name, lambda: readers.get(name, ntfy)(message))
            answer = b"ok" if name == "slack" else json.dumps({"ok": taken, "result": {}}).encode()
            self.send_response(200 if taken else 400)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *about: Any) -> None:
            """Keep the output of the tests clean."""

    return Handler


def smtp_handler(services: MessageServices) -> type[socketserver.StreamRequestHandler]:
    """Return the handler of the mail server, which takes every mail."""

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            self.wfile.write(b"220 mail.example\r\n")
            while line := self.rfile.readline():
                command = line[:4].upper()
                if command == b"DATA":
                    self.wfile.write(b"354 go on\r\n")
                    mail = b"".join(iter(self.rfile.readline, b".\r\n"))
                    services.take("mail", lambda mail=mail: text_of(mail))
                self.wfile.write(b"221 bye\r\n" if command == b"QUIT" else b"250 ok\r\n")

    return Handler


def text_of(mail: bytes) -> str:
    """Return the subject and the text of a mail that has no other part."""
    message = email.message_from_bytes(mail, policy=email.policy.default)
    assert message.get_content_type() == "text/plain"
    return f"{message['Subject']}\n{message.get_content()}"


@contextmanager
def message_services() -> Iterator[MessageServices]:
    """Start the services. Apprise's fixed addresses of Discord, Telegram and Slack point to them."""
    services = MessageServices()
    web = ThreadingHTTPServer(("127.0.0.1", 0), http_handler(services))
    mail = socketserver.ThreadingTCPServer(("127.0.0.1", 0), smtp_handler(services))
    base = f"http://127.0.0.1:{web.server_port}"
    services.urls = {
        "discord": "discord://4174216298/JHMHI8qBe7bk2ZwO5U711o3dV_js",
        "telegram": "tgram://123456789:abcdefg_hijklmnop/12315544",
        "slack": "slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ",
        "ntfy": f"ntfy://127.0.0.1:{web.server_port}/changes",
        "mail": f"mailto://127.0.0.1:{mail.server_address[1]}?from=a@example.org&to=b@example.org&mode=insecure",
    }
    for server in (web, mail):
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    with (
        patch.object(NotifyDiscord, "notify_url", f"{base}/discord"),
        patch.object(NotifyTelegram, "notify_url", f"{base}/telegram/bot"),
        patch.object(NotifySlack, "webhook_url", f"{base}/slack"),
        patch.dict("os.environ", NO_PROXY="127.0.0.1"),
    ):
        yield services
    for server in (web, mail):
        server.shutdown()
        server.server_close()
