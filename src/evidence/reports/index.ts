/** Reports to authorities: templates, what fills them, and when they are due. */
export { type Due, dueOf } from "./due.ts";
export { dutiesBy } from "./duties.ts";
export {
  applyPatch,
  type Entered,
  type EnteredPatch,
  enteredSchema,
  moments,
  nothingEntered,
  patchSchema,
  timesSchema,
} from "./entered.ts";
export { enteredText, type FilledField, fillTemplate, isDraft, type Report, structureOf } from "./fill.ts";
export { loadTemplates } from "./load.ts";
export { Reporting } from "./reporting.ts";
export type { DetectorCount, Facts, ReportedIncident } from "./sources.ts";
export { fieldKinds, type Template, TemplateError } from "./template.ts";
export { fieldTypes } from "./values.ts";
