import { cliPage } from "./cli.ts";
import { configurationPage } from "./configuration.ts";
import { errorsPage } from "./errors.ts";
import { metricsPage } from "./metrics.ts";

/** The generated pages, by their paths below docs/reference/. */
export const pages: Readonly<Record<string, () => string>> = {
  "cli.md": cliPage,
  "configuration.md": configurationPage,
  "errors.md": errorsPage,
  "metrics.md": metricsPage,
};
