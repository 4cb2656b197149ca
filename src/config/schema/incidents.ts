import { z } from "zod";
import { section } from "./values.ts";

export const incidents = section({
  budget: section({
    per_tenant_per_day: z
      .number()
      .positive()
      .max(1e4)
      .default(3)
      .describe(
        "The number of incidents per tenant and day of which people may be notified. Further ones are minor: they are listed, but nobody is notified until they grow. It also decides how rare the evidence must be by which an incident begins.",
      ),
  }),
});
