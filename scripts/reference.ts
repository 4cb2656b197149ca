/** Writes the generated pages of the reference, and the Grafana dashboard. */
import { mkdirSync, writeFileSync } from "node:fs";
import { grafanaDashboard } from "./reference/dashboard.ts";
import { pages } from "./reference/pages.ts";

const root = new URL("../", import.meta.url);
const folder = new URL("docs/reference/", root);

mkdirSync(folder, { recursive: true });
for (const [name, page] of Object.entries(pages)) writeFileSync(new URL(name, folder), page());
writeFileSync(
  new URL("deploy/observability/grafana/driftlock.json", root),
  `${JSON.stringify(grafanaDashboard(), undefined, 2)}\n`,
);
