#!/usr/bin/env bash
# Apprise takes a plain text message for HTML in mail, and a word in angle brackets is gone.
#
# Packages: apprise 2.2.0, aiosmtpd 1.4.6 (PyPI).
# Expected: a message whose format is not named arrives as it was given.
# What happens: a mail goes out as HTML with a text part made from it. "R&D <prod> is failing" reads "R&D  is failing" in
#   the text part, and shows the same in the HTML part; lines run together. `notify` reports success.
#   With `body_format="text"` given to notify, the text arrives unchanged.
# Why it matters: names of services and environments are what a notification is for, and nobody sees that one is missing.
#   PainChain names the format, and gives it to the Apprise object: given to a Telegram service alone, it loses the word.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check apprise==2.2.0 aiosmtpd==1.4.6 2>/dev/null
venv/bin/python -W ignore - <<'PY'
import email
import socket
import sys
from importlib.metadata import version

import apprise
from aiosmtpd.controller import Controller

TEXT = "R&D <prod> is failing\nsince 14:00"
mails = []


class Inbox:
    async def handle_DATA(self, server, session, envelope):
        mails.append(email.message_from_bytes(envelope.content))
        return "250 OK"


with socket.socket() as free:
    free.bind(("127.0.0.1", 0))
    port = free.getsockname()[1]
server = Controller(Inbox(), hostname="127.0.0.1", port=port)
server.start()
to = apprise.Apprise()
to.add(f"mailto://127.0.0.1:{port}?from=from@example.org&to=to@example.org&mode=insecure")
sent = [bool(to.notify(title="Failing", body=TEXT)), bool(to.notify(title="Failing", body=TEXT, body_format="text"))]
server.stop()


def text_of(mail):
    [part] = [part for part in mail.walk() if part.get_content_type() == "text/plain"]
    return part.get_payload(decode=True).decode().replace("\r\n", "\n").rstrip("\n")


print("apprise", version("apprise"))
print("given:         ", repr(TEXT))
print("by default:    ", mails[0].get_content_type(), repr(text_of(mails[0])))
print("declared text: ", mails[1].get_content_type(), repr(text_of(mails[1])))
sys.exit((sent, "<prod>" in text_of(mails[0]), text_of(mails[1]) == TEXT) != ([True, True], False, True))
PY
