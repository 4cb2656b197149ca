/** Paths of files: labelled data in a folder of its own, generated files under build/. */
import { existsSync } from "node:fs";
import process from "node:process";
import { fileURLToPath } from "node:url";

const path = (relative: string) => fileURLToPath(new URL(relative, import.meta.url));

/** The labelled data, used for evaluation only and not part of the project. */
export const data = process.env.QUALITY_DATA ?? path("../../../shared/data");
export const scorers = path("scorers");
export const built = path("../../build/quality");
export const document = path("../../docs/QUALITY.md");
/** The results of the latest run of bench/peers. */
export const peerResults = path("../peers/results.json");
export const cli = path("../../src/cli/main.ts");

/** Returns the parts of the labelled data that `data` lacks. */
export function missing(): string[] {
  const wanted = [
    "logs/bgl_2k.tsv",
    "logs/hdfs_20k.tsv",
    "sequences/openstack_train",
    "nab/windows.json",
    "smd",
  ];
  return wanted.filter((file) => !existsSync(`${data}/${file}`));
}
