/** Writes the generated pages of the reference. */
import { mkdirSync, writeFileSync } from "node:fs";
import { pages } from "./reference/pages.ts";

const folder = new URL("../docs/reference/", import.meta.url);

mkdirSync(folder, { recursive: true });
for (const [name, page] of Object.entries(pages)) writeFileSync(new URL(name, folder), page());
