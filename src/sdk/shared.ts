import { Driftlock } from "./driftlock.ts";

let instance: Driftlock | undefined;

/** Returns the instance that the parts of the SDK share which were given none. It has the default options. */
export function sharedDriftlock(): Driftlock {
  instance ??= new Driftlock();
  return instance;
}
