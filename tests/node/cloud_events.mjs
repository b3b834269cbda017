// Send CloudEvents with the npm SDK: `node cloud_events.mjs URL FILE`. FILE has pairs of a mode and an event.
import { readFileSync } from "node:fs";
import { CloudEvent, Mode, emitterFor, httpTransport } from "cloudevents";

const [url, file] = process.argv.slice(2);
for (const [mode, event] of JSON.parse(readFileSync(file, "utf8"))) {
  const emit = emitterFor(httpTransport(url), { mode: Mode[mode] });
  console.log((await emit(new CloudEvent(event))).body.replaceAll("\n", " "));
}
