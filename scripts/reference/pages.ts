import { cliPage } from "./cli.ts";
import { configurationPage } from "./configuration.ts";
import { metricsPage } from "./metrics.ts";

/** The generated pages, by their paths below docs/reference/. */
export const pages: Readonly<Record<string, () => string>> = {
  "cli.md": cliPage,
  "configuration.md": configurationPage,
  "metrics.md": metricsPage,
};
