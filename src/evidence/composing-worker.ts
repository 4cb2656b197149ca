/** The thread that composes bundles, with a connection of its own to the database. */
import { workerData } from "node:worker_threads";
import pino from "pino";
import { makeWay } from "../base/priority.ts";
import { serve } from "../base/thread.ts";
import { attachStore, isUnavailable, reasonOf } from "../store/index.ts";
import { type Asked, Composer } from "./composer.ts";
import type { ComposingAnswer, ComposingData, ComposingFailure } from "./composing.ts";
import { EvidenceRefused } from "./refused.ts";
import { dutiesBy } from "./reports/duties.ts";
import { Reporting } from "./reports/reporting.ts";
import { SigningKeys } from "./signing-keys.ts";
import { TimeStamper } from "./time-stamper.ts";

makeWay();
const { config, versions, snapshotFormat } = workerData as ComposingData;
const store = attachStore(config, { versions, log: pino({ enabled: false }) });
let warnings: ComposingAnswer["warnings"] = [];
const log = { warn: (details: object, message: string) => void warnings.push([details, message]) };
let reporting: Promise<Reporting> | undefined;
const composer = new Composer({
  config,
  store,
  keys: new SigningKeys(config),
  versions,
  snapshotFormat,
  stamper: TimeStamper.of(config.evidence.timestamps, log),
  duties: dutiesBy(() => (reporting ??= Reporting.load(config)), store.incidentReports),
});

serve<Asked, ComposingAnswer, ComposingFailure>({
  async answer(asked) {
    warnings = [];
    return { composed: await composer.compose(asked), warnings };
  },
  transfer: ({ composed }) => (composed === undefined ? [] : [composed.bytes.buffer]),
  close: () => store.close(),
  toFailure: (error) => ({
    message: reasonOf(error),
    refused: error instanceof EvidenceRefused ? { temporary: error.temporary } : undefined,
    unavailable: isUnavailable(error),
  }),
});
