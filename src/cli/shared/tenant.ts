import { defaultTenant, tenantPattern } from "../../access/principal.ts";
import { UsageError } from "./io.ts";

/** Returns the value of `--tenant`, or the default tenant. @throws {UsageError} if it is no name of a tenant. */
export function tenantOf(values: ReadonlyMap<string, string>): string {
  const tenant = values.get("tenant") ?? defaultTenant;
  if (tenantPattern.test(tenant)) return tenant;
  throw new UsageError("--tenant must be 1 to 64 letters, digits, dots, underscores or hyphens");
}
