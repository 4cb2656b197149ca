/** Reports to authorities as evidence bundles contain them. */
import { actions } from "../../config/schema/privacy.ts";
import type { IncidentReports } from "../../store/index.ts";
import type { BundleContent, Duty } from "../bundle.ts";
import { enteredSchema, nothingEntered } from "./entered.ts";
import { enteredText, type Report } from "./fill.ts";
import type { Reporting } from "./reporting.ts";
import type { DetectorCount } from "./sources.ts";

function toDuty({ template, version, title, source, due, disclaimer, applies, sections }: Report): Duty {
  return {
    template,
    version: String(version),
    title,
    source: `${source.name}, published on ${source.date}`,
    due: due.at ?? null,
    notes: [
      disclaimer,
      ...applies.map(({ from, to }) => `${to}: it applies from ${from}.`),
      ...due.reasons,
      ...sections
        .flatMap(({ fields }) => fields)
        .flatMap((field) => {
          const text = enteredText(field);
          return text === undefined ? [] : [`Field ${field.number} was ${text}.`];
        }),
    ],
    fields: sections.flatMap(({ fields }) =>
      fields.map(({ number, name, kind, value }) => ({
        id: number,
        name,
        kind,
        value: typeof value === "object" && value !== null ? [...value] : value,
      })),
    ),
  };
}

/** What the policy does at a place. One that says nothing of it changes nothing there. */
function actionAt(policy: Readonly<Record<string, unknown>>, place: string): DetectorCount["action"] {
  return actions.find((action) => action === policy[place]) ?? "flag";
}

/** Returns what fills in the reports of a bundle: those that are configured, if it is about an incident. */
export function dutiesBy(load: () => Promise<Reporting>, entered: Pick<IncidentReports, "get">) {
  return async ({ tenant, created_at: now, incidents, privacy }: BundleContent): Promise<Duty[]> => {
    const [incident] = incidents;
    if (incident === undefined) return [];
    const stored = await entered.get(tenant, incident.id);
    const input = {
      incident,
      entered: stored === undefined ? nothingEntered : enteredSchema.parse(stored.entered),
      now,
      ...(privacy !== null && {
        personalData: privacy.counts.map(({ kind, place, count }) => ({
          detector: kind,
          place,
          matches: count,
          action: actionAt(privacy.policy, place),
        })),
      }),
    };
    const reporting = await load();
    return reporting.inBundles.map((id) => toDuty(reporting.fill(id, input)!));
  };
}
