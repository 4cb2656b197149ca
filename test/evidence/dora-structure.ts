/**
 * The structure that the supervisors read (incident report, version 1.2), as the schema that they publish describes it: names, types and
 * words, without the conditions between fields. Written down from that description; the file itself is not part of this repository.
 */
const text = { type: "string", maxLength: 32_767 };
const time = { type: "string", format: "date-time" };
const duration = { type: "string", pattern: "^\\d{1,3}:(?:[01]\\d|2[0-3]):[0-5]\\d$" };
const yesNo = { enum: ["yes", "no", "information_not_available"] };
const number = { type: "number" };
const boolean = { type: "boolean" };
const list = (...words: string[]) => ({
  type: "array",
  minItems: 1,
  items: { type: "string", ...(words.length > 0 && { enum: words }) },
});
const object = (properties: Record<string, unknown>, ...required: string[]) => ({
  type: "object",
  additionalProperties: false,
  properties,
  required,
});
const share = object({
  number: { type: "integer" },
  percentage: { type: "number", minimum: 0, maximum: 100 },
});
const lei = { type: "string", pattern: "^[A-Z0-9]{18}[0-9]{2}$" };
const entity = object(
  {
    entityType: { enum: ["SUBMITTING_ENTITY", "AFFECTED_ENTITY", "ULTIMATE_PARENT_UNDERTAKING_ENTITY"] },
    name: text,
    code: text,
    affectedEntityType: list(),
    LEI: lei,
  },
  "name",
);
const contact = object(
  {
    name: text,
    email: { type: "string", format: "email" },
    phone: { type: "string", pattern: "^\\+?[1-9]\\d{1,14}(\\s?\\(\\d+\\))?([-\\s.]?\\d+)*$" },
  },
  "name",
  "email",
  "phone",
);

const incident = object(
  {
    financialEntityCode: text,
    detectionDateTime: time,
    classificationDateTime: time,
    incidentDescription: text,
    otherInformation: text,
    classificationTypes: {
      type: "array",
      minItems: 1,
      items: object(
        {
          classificationCriterion: text,
          countryCodeMaterialityThresholds: list(),
          memberStatesImpactType: list(),
          memberStatesImpactTypeDescription: text,
          dataLosseMaterialityThresholds: list(
            "availability",
            "authenticity",
            "integrity",
            "confidentiality",
          ),
          dataLossesDescription: text,
          reputationalImpactType: list(),
          reputationalImpactDescription: text,
          economicImpactMaterialityThreshold: text,
        },
        "classificationCriterion",
      ),
    },
    isBusinessContinuityActivated: boolean,
    incidentOccurrenceDateTime: time,
    incidentDuration: duration,
    originatesFromThirdPartyProvider: text,
    incidentDiscovery: {
      enum: [
        "it_security",
        "staff",
        "internal_audit",
        "external_audit",
        "clients",
        "financial_counterparts",
      ].concat([
        "third-party_provider",
        "attacker",
        "monitoring_systems",
        "authority_agency_law_enforcement_body",
        "other",
      ]),
    },
    competentAuthorityCode: text,
    incidentType: object({
      incidentClassification: list(),
      otherIncidentClassification: text,
      threatTechniques: list(),
      otherThreatTechniques: text,
      indicatorsOfCompromise: text,
    }),
    rootCauseHLClassification: list(),
    rootCausesDetailedClassification: list(),
    rootCausesAdditionalClassification: list(),
    rootCausesOther: text,
    rootCausesInformation: text,
    rootCauseAddressingDateTime: time,
    incidentResolutionSummary: text,
    incidentResolutionDateTime: time,
    incidentResolutionVsPlannedImplementation: text,
    assessmentOfRiskToCriticalFunctions: text,
    informationRelevantToResolutionAuthorities: text,
    financialRecoveriesAmount: number,
    grossAmountIndirectDirectCosts: number,
    recurringNonMajorIncidentsDescription: text,
    recurringIncidentDate: time,
  },
  "incidentDescription",
  "classificationTypes",
  "financialEntityCode",
  "detectionDateTime",
  "classificationDateTime",
  "incidentDiscovery",
);

const impactAssessment = object({
  hasImpactOnRelevantClients: boolean,
  serviceImpact: object({
    serviceRestorationDateTime: time,
    serviceDowntime: duration,
    isTemporaryActionsMeasuresForRecovery: boolean,
    descriptionOfTemporaryActionsMeasuresForRecovery: text,
  }),
  criticalServicesAffected: text,
  affectedAssets: object({
    affectedClients: share,
    affectedFinancialCounterparts: share,
    affectedTransactions: share,
    valueOfAffectedTransactions: number,
    numbersActualEstimate: list(),
  }),
  affectedFunctionalAreas: text,
  isAffectedInfrastructureComponents: yesNo,
  affectedInfrastructureComponents: text,
  isImpactOnFinancialInterest: yesNo,
});

export const doraStructure = {
  $schema: "https://json-schema.org/draft/2020-12/schema",
  ...object(
    {
      incidentSubmission: {
        enum: [
          "initial_notification",
          "intermediate_report",
          "final_report",
          "major_incident_reclassified_as_non-major",
        ],
      },
      reportCurrency: { enum: ["EUR", "BGN", "CZK", "DKK", "HUF", "PLN", "RON", "ISK", "CHF", "NOK", "SEK"] },
      submittingEntity: entity,
      affectedEntity: { type: "array", minItems: 1, items: entity },
      ultimateParentUndertaking: entity,
      primaryContact: contact,
      secondaryContact: contact,
      incident,
      impactAssessment,
      reportingToOtherAuthorities: list(),
      reportingToOtherAuthoritiesOther: text,
      informationDurationServiceDowntimeActualOrEstimate: {
        enum: ["actual_figures", "estimates", "actual_figures_and_estimates", "no_information_available"],
      },
    },
    "incidentSubmission",
    "reportCurrency",
    "submittingEntity",
    "affectedEntity",
    "primaryContact",
    "incident",
  ),
};

type Schema = { properties?: Record<string, unknown>; items?: unknown };

/** The places of all values in the structure. */
export function placesOf(schema: Schema, path: readonly string[] = []): string[] {
  if (schema.properties !== undefined) {
    return Object.entries(schema.properties).flatMap(([name, inner]) =>
      placesOf(inner as Schema, [...path, name]),
    );
  }
  const items = schema.items as Schema | undefined;
  if (items?.properties !== undefined) return placesOf(items, [...path, "0"]);
  return [path.join(".")];
}
