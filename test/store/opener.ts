/** A process that opens a store, records an anomaly and closes: opener.ts FOLDER N [URL]. */
import process from "node:process";
import { openStore } from "../../src/store/index.ts";
import { id, options, report, storeConfig } from "./fixtures.ts";

const [folder, n, url] = process.argv.slice(2);
const store = await openStore(storeConfig(folder!, url ? { url } : {}), options());
await store.anomalies.record([report({ id: id(Number(n)) })]);
await store.audit.append("acme", { actor: n!, action: "opened", target: "" });
await store.close();
