/**
 * The sources by which templates are filled: a closed set, so that a template cannot claim to know what nobody has observed.
 * A source that knows nothing returns undefined, and the field stays blank.
 */
import type { Config } from "../../config/schema.ts";
import type { IncidentDetailJson } from "../../json/incident-schema.ts";
import type { Entered, Moment } from "./entered.ts";
import type { Value } from "./values.ts";

/** How often a detector of personal data matched at a place, and what the policy does with the values there. */
export interface DetectorCount {
  detector: string;
  place: string;
  matches: number;
  action: "flag" | "mask" | "hash" | "drop";
}

/** An incident as the API and evidence bundles have it. */
export type ReportedIncident = Omit<IncidentDetailJson, "anomalies">;

/** What sources read. */
export interface Facts {
  incident: ReportedIncident;
  entered: Entered;
  reporting: Config["evidence"]["reporting"];
  retention: Config["store"]["retention"];
  /** Undefined if nothing is known about personal data in the telemetry. */
  personalData?: readonly DetectorCount[];
  /** RFC 3339. */
  now: string;
}

interface Source {
  kind: "automatic" | "configured" | "drafted";
  /** Whether it states a fact for which a template has a word of its own. */
  worded: boolean;
  read(facts: Facts): Value | undefined;
  /** Why the field is blank if it returns undefined. */
  lacks: string;
  /** The moment that it states, which people enter as such, because due times count from it. */
  moment?: Moment;
}

const withoutFraction = (time: string) => time.replace(/\.\d+Z$/, "Z");
const iso = (ms: number) => withoutFraction(new Date(ms).toISOString());
const isOpen = ({ state }: ReportedIncident) => state === "open" || state === "acknowledged";

/** Forms have times in UTC, whatever zone a person entered. */
function enteredTime({ entered }: Facts, moment: Moment): string | undefined {
  const time = entered.moments[moment];
  return time === undefined ? undefined : iso(Date.parse(time));
}

/** Days, hours and minutes, as the forms write durations. */
export function daysHoursMinutes(ms: number): string {
  const minutes = Math.floor(Math.max(0, ms) / 60_000);
  const two = (value: number) => String(value).padStart(2, "0");
  return `${Math.min(999, Math.floor(minutes / 1_440))}:${two(Math.floor(minutes / 60) % 24)}:${two(minutes % 60)}`;
}

function durationOf({ incident, now }: Facts): string {
  const until = isOpen(incident) ? now : incident.end_time;
  return daysHoursMinutes(Date.parse(until) - Date.parse(incident.start_time));
}

const withStop = (sentence: string) => (/[.!?]$/.test(sentence) ? sentence : `${sentence}.`);
/** Lists grow with the incident; what a form shows of them does not. */
function listed(items: readonly string[], most = 20): string[] {
  if (items.length <= most) return [...items];
  return [...items.slice(0, most), `and ${items.length - most} more`];
}
const nonEmpty = <T extends Value>(value: T): T | undefined => (value.length === 0 ? undefined : value);
const unique = (items: readonly string[]) => [...new Set(items.filter((item) => item !== ""))];

function causeOf({ incident: { cause, undecided } }: Facts): string {
  if (cause === null || undecided !== null) return "The cause is not known.";
  const what = [cause.service, cause.operation].filter((part) => part !== null).join(", ");
  return withStop(`The likeliest cause by the ranking is ${what}`);
}

function description(facts: Facts): string {
  const { incident } = facts;
  return [
    withStop(incident.sentence),
    `Monitoring saw the first sign at ${withoutFraction(incident.start_time)} and reported an incident at ${withoutFraction(incident.reported_time)}.`,
    isOpen(incident) ? "It has not ended." : `The latest sign was at ${withoutFraction(incident.end_time)}.`,
    `Services: ${listed(incident.services).join(", ")}.`,
    causeOf(facts),
  ].join(" ");
}

const timeline = ({ incident }: Facts) =>
  listed(
    incident.timeline.map(({ time, text }) => `${withoutFraction(time)}: ${text}`),
    50,
  );

function indicators({ incident: { evidence } }: Facts): string[] {
  const members = evidence.map(({ stream, channel, flagged }) => `${stream}: ${channel}, ${flagged} flagged`);
  const traces = unique(evidence.flatMap((member) => member.traces));
  return [
    ...listed(members),
    ...listed(
      traces.map((id) => `trace ${id}`),
      10,
    ),
  ];
}

/** Hosts on which it shows, and peers such as databases that are among the candidates. */
function components({ incident: { evidence, ranking, services } }: Facts): string[] {
  const hosts = evidence.map(({ host }) => host ?? "");
  const peers = ranking.map(({ service }) => service).filter((service) => !services.includes(service));
  return listed(unique([...hosts, ...peers]));
}

function judgements({ incident }: Facts): string[] {
  return incident.events.map(
    ({ time, state, author, note }) =>
      `${withoutFraction(time)}: ${state} by ${author}${note === "" ? "" : `: ${note}`}`,
  );
}

function resolution({ incident }: Facts): string[] | undefined {
  const notes = incident.events.filter(({ note, state }) => state === "resolved" && note !== "");
  if (notes.length === 0) return undefined;
  return notes.map(({ time, author, note }) => `${withoutFraction(time)}, ${author}: ${note}`);
}

function resolvedTime({ incident }: Facts): string | undefined {
  const last = incident.events.at(-1);
  return last?.state === "resolved" ? withoutFraction(last.time) : undefined;
}

/** The ids of incidents begin with the milliseconds of their start. */
const startOf = (id: string) => iso(Number.parseInt(id.slice(0, 12), 16));

function recurrence({ incident }: Facts): string | undefined {
  const before = incident.seen_before;
  if (before.length === 0) return undefined;
  const earlier = listed(before.map((id) => `${id} at ${startOf(id)}`)).join(", ");
  return `Incidents of the same services with the same findings came before: ${earlier}.`;
}

const actionWords = {
  flag: "not masked",
  mask: "masked",
  hash: "replaced by pseudonyms",
  drop: "removed",
} as const satisfies Record<DetectorCount["action"], string>;

function personalData({ personalData }: Facts): string[] | undefined {
  return personalData?.map(({ detector, place, matches, action }) => {
    const found = `${matches} match${matches === 1 ? "" : "es"}`;
    return `${detector} in what is ${place}: ${found}, ${actionWords[action]} unless a rule says otherwise`;
  });
}

function areas({ incident, reporting }: Facts): string[] {
  return incident.services
    .filter((service) => Object.hasOwn(reporting.functions, service))
    .map((service) => `${reporting.functions[service]} (${service})`);
}

const criticalServices = ({ incident, reporting }: Facts) =>
  incident.services.filter((service) => reporting.critical_services.includes(service));

const entered = (name: string) => `nobody has entered when ${name}`;
const configured = (key: string) => `evidence.reporting.${key} is not configured`;

const automatic = (lacks: string, read: Source["read"], worded = false): Source => ({
  kind: "automatic",
  worded,
  lacks,
  read,
});
const momentOf = (moment: Moment, what: string): Source => ({
  ...automatic(entered(what), (facts) => enteredTime(facts, moment)),
  moment,
});
const drafted = (lacks: string, read: Source["read"]): Source => ({
  kind: "drafted",
  worded: false,
  lacks,
  read,
});
const config = (
  key: string,
  read: (reporting: Facts["reporting"], facts: Facts) => Value | undefined,
): Source => ({
  kind: "configured",
  worded: false,
  lacks: configured(key),
  read: (facts) => read(facts.reporting, facts),
});

export const sources = {
  submission: automatic("the template has no word for it", () => undefined, true),
  incident_id: automatic("", ({ incident }) => incident.id),
  detected_time: automatic("", ({ incident }) => withoutFraction(incident.reported_time)),
  first_flagged_time: automatic("", ({ incident }) => withoutFraction(incident.start_time)),
  aware_time: momentOf("aware", "the entity became aware"),
  classified_time: momentOf("classified", "the incident was classified"),
  fix_time: momentOf("fix_available", "a fix became available"),
  resolved_time: automatic("nobody has resolved the incident", resolvedTime),
  detection_source: automatic("", () => "Monitoring", true),
  estimated_figures: automatic("", () => "Estimates", true),
  duration: automatic("", durationOf),
  period: automatic("", ({ incident }) => [
    `first sign: ${withoutFraction(incident.start_time)}`,
    `latest sign: ${withoutFraction(incident.end_time)}`,
  ]),
  affected_services: automatic("no service is known", ({ incident }) => nonEmpty(listed(incident.services))),
  judgements: automatic("no person has decided about it", (facts) => nonEmpty(judgements(facts))),
  recurrence: automatic("no earlier incident of the kind is stored", recurrence),
  recurrence_time: automatic("no earlier incident of the kind is stored", ({ incident }) => {
    const [last] = incident.seen_before;
    return last === undefined ? undefined : startOf(last);
  }),
  retention: automatic(
    "",
    ({ retention }) =>
      `Anomalies are kept for ${retention.max_age / 86_400_000} days after they were last reported or decided about, and as long as an evidence bundle refers to them.`,
  ),
  personal_data: automatic("nothing is known about personal data in the telemetry", personalData),

  entity_name: config("entity.name", ({ entity }) => entity.name),
  entity_lei: config("entity.lei", ({ entity }) => entity.lei),
  entity_type: config("entity.types", ({ entity }) => nonEmpty(entity.types)),
  submitter_name: config("entity.name", ({ submitter, entity }) => submitter.name ?? entity.name),
  submitter_code: config("entity.lei", ({ submitter, entity }) => submitter.code ?? entity.lei),
  contact: config("contact", ({ contact }) =>
    nonEmpty([contact.name, contact.email, contact.phone].filter((part) => part !== undefined)),
  ),
  contact_name: config("contact.name", ({ contact }) => contact.name),
  contact_email: config("contact.email", ({ contact }) => contact.email),
  contact_phone: config("contact.phone", ({ contact }) => contact.phone),
  second_contact_name: config("second_contact.name", ({ second_contact }) => second_contact.name),
  second_contact_email: config("second_contact.email", ({ second_contact }) => second_contact.email),
  second_contact_phone: config("second_contact.phone", ({ second_contact }) => second_contact.phone),
  parent_name: config("parent.name", ({ parent }) => parent.name),
  parent_lei: config("parent.lei", ({ parent }) => parent.lei),
  currency: config("currency", ({ currency }) => currency),
  critical_services: {
    ...config("critical_services", (_, facts) => nonEmpty(criticalServices(facts).join(", "))),
    lacks: "none of its services is in evidence.reporting.critical_services",
  },
  functional_areas: {
    ...config("functions", (_, facts) => nonEmpty(areas(facts).join(", "))),
    lacks: "none of its services is in evidence.reporting.functions",
  },

  description: drafted("", description),
  timeline: drafted("", timeline),
  restoration_time: drafted("the incident has not ended", ({ incident }) =>
    isOpen(incident) ? undefined : withoutFraction(incident.end_time),
  ),
  downtime: drafted("the incident has not ended", (facts) =>
    isOpen(facts.incident) ? undefined : durationOf(facts),
  ),
  infrastructure_affected: drafted("", (facts) =>
    components(facts).length > 0 ? "yes" : "information_not_available",
  ),
  infrastructure_components: drafted("no host or peer is known", (facts) =>
    nonEmpty(components(facts).join(", ")),
  ),
  indicators: drafted("no member is known", (facts) => nonEmpty(indicators(facts))),
  resolution: drafted("no note says how it was resolved", resolution),
} as const satisfies Record<string, Source>;

/** Returns the moment that a field states, if it states one. */
export const statedMoment = (source: SourceName | undefined): Moment | undefined =>
  source === undefined ? undefined : (sources[source] as Source).moment;

export type SourceName = keyof typeof sources;
export const sourceNames = Object.keys(sources) as [SourceName, ...SourceName[]];
