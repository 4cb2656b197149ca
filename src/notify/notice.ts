/** What is to be notified: an incident as it is now. */
import { createHash } from "node:crypto";
import { matcherOf } from "../base/pattern.ts";
import { type NoticeMatch, severities } from "../config/schema/notify.ts";

export type Severity = (typeof severities)[number];

/** A service that may be the cause. */
export interface Cause {
  service: string;
  /** Why it is one, in a sentence. */
  reason: string;
}

/** An incident that has begun or changed, or a change that was posted. */
export interface Notice {
  /** What it is about; an incident by default. */
  about?: "change";
  tenant: string;
  /** The id of the incident or the change. */
  incident: string;
  state: "open" | "resolved";
  severity: Severity;
  /** A line. */
  title: string;
  /** What is unusual, and what is usual, without a full stop. */
  sentence: string;
  /** Times in milliseconds since 1970. */
  startsAt: number;
  endsAt?: number;
  services: string[];
  /** The most likely one first. */
  causes: Cause[];
  link?: string;
}

/** Returns a notice with the personal and secret values in its texts masked. */
export function maskedNotice(notice: Notice, mask: (text: string) => string): Notice {
  return {
    ...notice,
    title: mask(notice.title),
    sentence: mask(notice.sentence),
    services: notice.services.map(mask),
    causes: notice.causes.map(({ service, reason }) => ({ service: mask(service), reason: mask(reason) })),
  };
}

/** The end of an incident. */
export interface Resolution {
  tenant: string;
  incident: string;
  endsAt: number;
}

/** A key that is the same in all messages about an incident. */
export function keyOf({ tenant, incident }: Pick<Notice, "tenant" | "incident">): string {
  return createHash("sha256").update(`${tenant}\0${incident}`).digest("hex").slice(0, 32);
}

/** Returns a function that tells whether a notice matches everything that is set. */
export function noticeMatcher({ tenant, service, min_severity }: NoticeMatch): (notice: Notice) => boolean {
  const ofTenant = tenant === undefined ? undefined : matcherOf(tenant);
  const ofService = service === undefined ? undefined : matcherOf(service);
  const least = min_severity === undefined ? 0 : severities.indexOf(min_severity);
  return (notice) =>
    (ofTenant?.(notice.tenant) ?? true) &&
    (ofService === undefined || notice.services.some(ofService)) &&
    severities.indexOf(notice.severity) >= least;
}
