/** What each check is about, and what to do if it fails. */
import type { Check } from "../../../src/verify/index.ts";

interface Words {
  title: string;
  /** What follows from a failure, and what to do. */
  remedy: string;
}

const again =
  "Ask whoever gave you the file for the bundle as it was downloaded, and compare the SHA-256 of both.";

export const words: Readonly<Record<Check["name"], Words>> = {
  layout: {
    title: "The form of the file",
    remedy: `The file is no bundle, or something has changed it since, such as an editor or a mail program. ${again}`,
  },
  signature: {
    title: "The signature",
    remedy: `The statement, the key or the signature was altered, so that nothing in this file can be relied on. ${again}`,
  },
  key: {
    title: "Whose key it is",
    remedy:
      "Anyone can make a key. Ask the operator for the public keys that were published, by another way than the one by which you got this file, and enter them below.",
  },
  digest: {
    title: "The content",
    remedy: `What is named here was altered after it was signed. ${again}`,
  },
  statement: {
    title: "The signed statement",
    remedy: `The statement is about another bundle than this one: parts of two files were put together. ${again}`,
  },
  settings: {
    title: "Settings and versions",
    remedy:
      "The verdicts were not computed with the settings that the bundle contains. Ask the operator why.",
  },
  reports: {
    title: "The reports of the anomalies",
    remedy:
      "What people read differs from what the engine wrote. Rely on what the engine wrote, and ask the operator why.",
  },
  chain: {
    title: "The chain of the audit log",
    remedy: "Entries of the audit log were altered, removed or put in another order.",
  },
  proofs: {
    title: "The proofs of the audit log",
    remedy: "Entries are shown here that are not in the operator's log, or not as they stand there.",
  },
  checkpoint: {
    title: "The checkpoint of the audit log",
    remedy:
      "The log is not proven to be the one of earlier bundles, with nothing removed. Compare the checkpoints of other bundles of this operator.",
  },
  retention: {
    title: "What is kept, and what was deleted",
    remedy:
      "What the bundle says of deletions does not fit its audit log. Ask the operator for the whole log, and compare it with other bundles.",
  },
  time: {
    title: "The time",
    remedy: "The times in the bundle cannot all be right. Ask the operator when it was made.",
  },
  timestamp: {
    title: "The time stamp",
    remedy: `The authority has not confirmed that this signature existed at that time. ${again}`,
  },
  recordings: {
    title: "The verdicts, computed again",
    remedy:
      "The engine does not reach the verdict that the bundle states, from the recording in the same bundle. Ask the operator for an explanation.",
  },
  incidents: {
    title: "The incidents, formed again",
    remedy:
      "What the bundle says of an incident does not follow from its evidence and its service graph in the same bundle. Ask the operator for an explanation.",
  },
};
