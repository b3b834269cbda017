#!/usr/bin/env bash
# One integer that is too large loses all log events that OpenTelemetry exports together with it.
#
# Packages: opentelemetry-sdk and opentelemetry-exporter-otlp-proto-http 1.45.2, protobuf 7.36.2 (PyPI),
#   @opentelemetry/sdk-logs, exporter-logs-otlp-http and exporter-logs-otlp-proto 0.223.1 (npm): two official SDKs.
# Expected: the body of a log event can be any map (Logs Data Model, "Field: Body"). An integer that 64 bits with a sign
#   cannot hold should become a text (specification, "Mapping Arbitrary Data to OTLP AnyValue", "Integer Values"). One
#   is 18446744073709551615, which is "no limit" on Linux (RLIM_INFINITY).
# What happens: Python's exporter logs an error and sends nothing, not even the events before, and `force_flush` returns
#   True. JavaScript's exporter of JSON sends `"intValue": 18446744073709552000`, so a reader made from the protocol
#   refuses the whole request. Its exporter of protobuf sends a floating-point number. None sends a text.
# Why it matters: a batch has up to 512 events, of all parts of a program. Those that get lost have nothing wrong with
#   them, and which ones they are depends on the moment. PainChain takes no OTLP. It keeps integers of any size in the
#   data of events, and names the index of an event that it refuses in a batch (`ingestion/change_events.py`).
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check opentelemetry-sdk==1.45.2 \
    opentelemetry-exporter-otlp-proto-http==1.45.2 protobuf==7.36.2 2>/dev/null
npm install --silent --no-audit --no-fund --ignore-scripts @opentelemetry/api-logs@0.223.1 \
    @opentelemetry/sdk-logs@0.223.1 @opentelemetry/exporter-logs-otlp-http@0.223.1 \
    @opentelemetry/exporter-logs-otlp-proto@0.223.1 >/dev/null
cat >send.js <<'JS'
const { BatchLogRecordProcessor, LoggerProvider } = require("@opentelemetry/sdk-logs");
const [url, format] = process.argv.slice(2);
const { OTLPLogExporter } = require(`@opentelemetry/exporter-logs-otlp-${format}`);
const processor = new BatchLogRecordProcessor({ exporter: new OTLPLogExporter({ url }) });
const provider = new LoggerProvider({ processors: [processor] });
provider.getLogger("ops").emit({ eventName: "deployed", body: { version: "1.4.2" } });
provider.getLogger("ops").emit({ eventName: "limited", body: { open_files: 18446744073709551615 } });
console.log("@opentelemetry/sdk-logs", require("@opentelemetry/sdk-logs/package.json").version);
provider.shutdown();
JS
venv/bin/python - <<'PY'
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from importlib.metadata import version

from google.protobuf.json_format import Parse, ParseError
from opentelemetry._logs import LogRecord
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor

seen = []


class Collector(BaseHTTPRequestHandler):
    """Read each request with the classes that OpenTelemetry generates from its protocol."""

    def do_POST(self):
        body, media_type = b"", self.headers["Content-Type"]
        if "Content-Length" in self.headers:
            body = self.rfile.read(int(self.headers["Content-Length"]))
        else:  # JavaScript sends chunks
            while size := int(self.rfile.readline(), 16):
                body += self.rfile.read(size)
                self.rfile.readline()
        try:
            is_json = media_type == "application/json"
            request = Parse(body, ExportLogsServiceRequest()) if is_json else ExportLogsServiceRequest.FromString(body)
            events = request.resource_logs[0].scope_logs[0].log_records
            seen.append([event.body.kvlist_value.values[0].value.WhichOneof("value") for event in events])
        except ParseError as error:
            seen.append(f"refused: {str(error).rstrip('.').rpartition('field: ')[2]}")
        self.send_response(200 if isinstance(seen[-1], list) else 400)
        self.send_header("Content-Type", media_type)
        self.end_headers()

    def log_message(self, *args):
        pass


def count(name):
    """Print and return what has arrived since the last call."""
    arrived = seen.copy()
    seen.clear()
    print(f"{name}: {arrived or 'nothing'}")
    return arrived


server = HTTPServer(("127.0.0.1", 0), Collector)
threading.Thread(target=server.serve_forever, daemon=True).start()
url = f"http://127.0.0.1:{server.server_port}/v1/logs"
print("opentelemetry-sdk", version("opentelemetry-sdk"), flush=True)
provider = LoggerProvider()
provider.add_log_record_processor(BatchLogRecordProcessor(OTLPLogExporter(endpoint=url)))
provider.get_logger("ops").emit(LogRecord(event_name="deployed", body={"version": "1.4.2"}))
provider.get_logger("ops").emit(LogRecord(event_name="limited", body={"open_files": 18446744073709551615}))
is_flushed = provider.force_flush()
python = count(f"Python (flushed: {is_flushed})")
subprocess.run(["node", "send.js", url, "http"], check=True)
json = count("JavaScript, JSON")
subprocess.run(["node", "send.js", url, "proto"], check=True)
protobuf = count("JavaScript, protobuf")
refused = ["refused: Value out of range: 18446744073709552000"]
sys.exit((is_flushed, python, json, protobuf) != (True, [], refused, [["string_value", "double_value"]]))
PY
