/** The thread that makes bundles, with a connection of its own to the database. */
import { workerData } from "node:worker_threads";
import pino from "pino";
import { makeWay } from "../base/priority.ts";
import { serve } from "../base/thread.ts";
import { attachStore, type ChainedHead, InvalidArgument, isUnavailable, reasonOf } from "../store/index.ts";
import { Composer } from "./composer.ts";
import { EvidenceMaker, type Order } from "./maker.ts";
import type { MakingAnswer, MakingData, MakingFailure } from "./making.ts";
import { EvidenceRefused } from "./refused.ts";
import { dutiesBy } from "./reports/duties.ts";
import { Reporting } from "./reports/reporting.ts";
import { SigningKeys } from "./signing-keys.ts";
import { TimeStamper } from "./time-stamper.ts";

makeWay();
const { config, versions, snapshotFormat } = workerData as MakingData;
let heads: ChainedHead[] = [];
let warnings: MakingAnswer["warnings"] = [];
const store = attachStore(config, {
  versions,
  log: pino({ enabled: false }),
  recordHeads: (entries) => void heads.push(...entries),
});
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
const maker = new EvidenceMaker({ config, store, composer });

serve<Order, MakingAnswer, MakingFailure>({
  async answer(order) {
    heads = [];
    warnings = [];
    return { made: await maker.make(order), heads, warnings };
  },
  close: () => store.close(),
  toFailure: (error) => ({
    message: reasonOf(error),
    refused: error instanceof EvidenceRefused ? { temporary: error.temporary } : undefined,
    argument: error instanceof InvalidArgument ? error.field : undefined,
    unavailable: isUnavailable(error),
  }),
});
