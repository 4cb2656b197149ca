/** Judges the lines of a log file, and prints what is strange about them. */
import { createReadStream } from "node:fs";
import process from "node:process";
import { createInterface } from "node:readline";
import { Driftlock } from "driftlock";

const driftlock = new Driftlock({
  detect: { baseline: { records: 200 } },
  onAnomaly: ({ news, explanation }) => {
    if (news) console.log(explanation);
  },
});

let lines = 0;
for await (const line of createInterface({ input: createReadStream(process.argv[2]) })) {
  driftlock.text("app", line);
  // A file is read faster than it is judged.
  if (++lines % 1000 === 0) await driftlock.flush();
}
await driftlock.close();

const { judged, flagged, dropped } = driftlock.stats();
console.log(`${judged} of ${lines} lines judged, ${flagged} flagged, ${dropped.full} dropped`);
