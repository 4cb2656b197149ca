/** What reports to authorities say about whoever reports. */
import { Temporal } from "temporal-polyfill";
import { z } from "zod";
import { type KeyMeta, section } from "./values.ts";

const text = z.string().min(1).max(1_024);
const lei = z
  .string()
  .regex(/^[A-Z0-9]{18}[0-9]{2}$/)
  .meta({
    expected: "a legal entity identifier of 20 capital letters and digits",
  } satisfies KeyMeta);

const contact = (which: string) =>
  section({
    name: text.optional().describe(`The name of the ${which} contact.`),
    email: z
      .email()
      .max(320)
      .meta({ expected: "an e-mail address" } satisfies KeyMeta)
      .optional()
      .describe(`The e-mail address of the ${which} contact.`),
    phone: z
      .string()
      .max(64)
      .regex(/^\+?[1-9]\d{1,14}(\s?\(\d+\))?([-\s.]?\d+)*$/)
      .meta({ expected: "a telephone number such as +33 1 23 45 67 89" } satisfies KeyMeta)
      .optional()
      .describe(`The telephone number of the ${which} contact.`),
  }).describe(`The ${which} contact of authorities.`);

/** The kinds of financial entities, by the words of the structure that the supervisors read. */
const entityTypes = [
  "credit_institution",
  "payment_institution",
  "exempted_payment_institution",
  "account_information_service_provider",
  "electronic_money_institution",
  "exempted_electronic_money_institution",
  "investment_firm",
  "crypto-asset_service_provider",
  "issuer_of_asset-referenced_tokens",
  "central_securities_depository",
  "central_counterparty",
  "trading_venue",
  "trade_repository",
  "manager_of_alternative_investment_fund",
  "management_company",
  "data_reporting_service_provider",
  "insurance_and_reinsurance_undertaking",
  "insurance_intermediary_reinsurance_intermediary_and_ancillary_insurance_intermediary",
  "institution_for_occupational_retirement_provision",
  "credit_rating_agency",
  "administrator_of_critical_benchmarks",
  "crowdfunding_service_provider",
  "securitisation_repository",
] as const;

const currencies = ["EUR", "BGN", "CZK", "DKK", "HUF", "PLN", "RON", "ISK", "CHF", "NOK", "SEK"] as const;

/** Built-in templates. */
export const inBundles: readonly string[] = [
  "dora-final",
  "nis2-final",
  "cra-final-incident",
  "ai-act-records",
  "gdpr-breach",
];

function isTimeZone(name: string): boolean {
  try {
    Temporal.Instant.fromEpochMilliseconds(0).toZonedDateTimeISO(name);
    return true;
  } catch {
    return false;
  }
}

export const reporting = section({
  time_zone: z
    .string()
    .refine(isTimeZone, "must be a time zone such as Europe/Paris")
    .default("UTC")
    .describe("The time zone in which the days and months of due times are counted."),
  in_bundles: z
    .array(z.string().min(1).max(64))
    .max(50)
    .default([...inBundles])
    .describe("The report templates that are filled in within evidence bundles of incidents."),
  currency: z.enum(currencies).optional().describe("The currency of amounts in reports."),
  entity: section({
    name: text.optional().describe("The legal name of the entity that incidents affect."),
    lei: lei.optional().describe("Its legal entity identifier."),
    types: z
      .array(z.enum(entityTypes))
      .max(entityTypes.length)
      .default([])
      .describe("Which kinds of financial entities it is."),
  }).describe("The entity that incidents affect."),
  submitter: section({
    name: text
      .optional()
      .describe("The legal name of whoever submits reports. By default it is the entity itself."),
    code: text.optional().describe("Its LEI, or another code by which the authority knows it."),
  }).describe("Whoever submits reports, if the entity does not do so itself."),
  contact: contact("primary"),
  second_contact: contact("second"),
  parent: section({
    name: text.optional().describe("The legal name of the ultimate parent undertaking."),
    lei: lei.optional().describe("Its legal entity identifier."),
  }).describe("The head of the group, if the entity belongs to one."),
  functions: z
    .record(z.string().min(1).max(256), text)
    .meta({ expected: "services and their functional areas" } satisfies KeyMeta)
    .default({})
    .describe("The functional area or business process of each service, by `service.name`."),
  critical_services: z
    .array(z.string().min(1).max(256))
    .max(1_000)
    .default([])
    .describe(
      "The services, by `service.name`, that support critical or important functions, or that need an authorisation.",
    ),
});
