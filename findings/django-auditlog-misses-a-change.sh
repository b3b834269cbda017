#!/usr/bin/env bash
# In each of its two ways to store changes, django-auditlog misses one that it records in the other.
#
# Packages: django-auditlog 3.4.1, Django 5.2.19 (PyPI).
# Expected: a registered model gets a log entry for each saved change. AUDITLOG_STORE_JSON_CHANGES says how changes are
#   stored: as texts, or as the values of JSON. So a good guess is that it does not decide what a change is.
# What happens: as texts, None and "None" are the same, and a note that becomes "None" is not recorded. As JSON, values
#   are compared with Python's ==, and {"tls": 1} that becomes {"tls": true} in a JSONField is not recorded. Neither
#   warns, and the database has the new value.
# Why it matters: what was saved and is in no entry is what an audit log is for. Whoever changes the setting exchanges one
#   gap for another. PainChain compares the values themselves, converted to the type of their field (`audit/diff.py`).
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check django-auditlog==3.4.1 Django==5.2.19 2>/dev/null
cat >changes.py <<'PY'
import sys

import django
from django.conf import settings

settings.configure(
    INSTALLED_APPS=["django.contrib.contenttypes", "django.contrib.auth", "auditlog"],
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
    DEFAULT_AUTO_FIELD="django.db.models.AutoField",
    AUDITLOG_STORE_JSON_CHANGES=sys.argv[1] == "JSON",
)
django.setup()

from auditlog.models import LogEntry
from auditlog.registry import auditlog
from django.core.management import call_command
from django.db import connection, models

call_command("migrate", verbosity=0)


class Setting(models.Model):
    note = models.CharField(max_length=20, null=True)
    config = models.JSONField(default=dict)

    class Meta:
        app_label = "example"


with connection.schema_editor() as editor:
    editor.create_model(Setting)
auditlog.register(Setting)
setting = Setting.objects.create(config={"tls": 1})
missed = []
for name, value in (("note", "None"), ("config", {"tls": True})):
    before = LogEntry.objects.count()
    setattr(setting, name, value)
    setting.save()
    assert getattr(Setting.objects.get(), name) == value
    if LogEntry.objects.count() == before:
        missed.append(name)
print(f"stored as {sys.argv[1]}, not recorded: {missed}")
sys.exit(missed != {"texts": ["note"], "JSON": ["config"]}[sys.argv[1]])
PY
venv/bin/python -c 'from importlib.metadata import version as v; print("django-auditlog", v("django-auditlog"), "Django", v("Django"))'
venv/bin/python changes.py texts
venv/bin/python changes.py JSON
