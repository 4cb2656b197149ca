/** Driftlock around the clients of OpenAI and Anthropic. */
import "../../base/require-node.ts";

export { Driftlock } from "../driftlock.ts";
export { sharedDriftlock } from "../shared.ts";
export { type ObserveOptions, observeAnthropic, observeOpenAI } from "./clients.ts";
