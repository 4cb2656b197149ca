/** Reads the options of commands that accept the keys of the configuration as well. */
import { keyByName } from "../../config/keys.ts";
import { didYouMean, flagSpelling } from "../../config/unknown.ts";
import { type Accepted, type Options, parseOptions } from "./parse-options.ts";

const configKeys = {
  names: [...keyByName.keys()],
  didYouMean: (option: string) => didYouMean(option, flagSpelling),
};

/** Does what `parseOptions` does, and accepts `--config` and every key of the configuration. */
export function readOptions(args: readonly string[], accepted: Accepted = {}): Options {
  return parseOptions(args, accepted, configKeys);
}
