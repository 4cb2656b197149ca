/** The pages: the only list of them. Pages without a label are not in the navigation. */
import type { ComponentType } from "preact";
import { AnomalyPage } from "../anomalies/detail.tsx";
import { AnomaliesPage } from "../anomalies/page.tsx";
import { IncidentPage } from "../incidents/detail.tsx";
import { IncidentsPage } from "../incidents/page.tsx";
import { SettingsPage } from "../settings/page.tsx";
import { StreamPage } from "../streams/detail.tsx";
import { StreamsPage } from "../streams/page.tsx";
import { SystemPage } from "../system/page.tsx";
import { lazyPage } from "./lazy.tsx";

export interface PageEntry {
  /** The path, in which `:id` stands for an identifier. */
  path: string;
  label?: string;
  /** The key that leads to it, after g. */
  key?: string;
  Page: ComponentType<{ id: string }>;
}

export const pages: readonly PageEntry[] = [
  { path: "/", label: "Incidents", key: "i", Page: IncidentsPage },
  { path: "/incidents/:id", Page: IncidentPage },
  { path: "/anomalies", label: "Anomalies", key: "a", Page: AnomaliesPage },
  { path: "/anomalies/:id", Page: AnomalyPage },
  { path: "/streams", label: "Streams", key: "s", Page: StreamsPage },
  { path: "/streams/:id", Page: StreamPage },
  {
    path: "/llm",
    label: "LLM",
    key: "l",
    Page: lazyPage(async () => (await import("../llm/page.tsx")).ConversationsPage),
  },
  {
    path: "/llm/:id",
    Page: lazyPage(async () => (await import("../llm/detail.tsx")).ConversationPage),
  },
  {
    path: "/evidence",
    label: "Evidence",
    key: "b",
    Page: lazyPage(async () => (await import("../evidence/page.tsx")).EvidencePage),
  },
  {
    path: "/evidence/:id",
    Page: lazyPage(async () => (await import("../evidence/bundle.tsx")).BundlePage),
  },
  {
    path: "/incidents/:id/reports",
    Page: lazyPage(async () => (await import("../evidence/reports.tsx")).ReportsPage),
  },
  {
    path: "/verify",
    label: "Verify",
    key: "v",
    Page: lazyPage(async () => (await import("../verify/page.tsx")).VerifyPage),
  },
  { path: "/system", label: "System", key: "y", Page: SystemPage },
  { path: "/settings", label: "Settings", key: "e", Page: SettingsPage },
];

export interface Match {
  Page: PageEntry["Page"];
  id: string;
}

/** Returns the page of a path; undefined if there is none. */
export function pageOf(path: string): Match | undefined {
  const steps = path.replace(/(?<=.)\/$/, "").split("/");
  for (const { path: pattern, Page } of pages) {
    const names = pattern.split("/");
    if (names.length !== steps.length) continue;
    if (!names.every((name, i) => name === ":id" || name === steps[i])) continue;
    const at = names.indexOf(":id");
    return { Page, id: at === -1 ? "" : decodeURIComponent(steps[at]!) };
  }
  return undefined;
}
