/** What can be set, and who changed what. */
import { here, setQuery } from "../shell/router.ts";
import { useTitle } from "../shell/title.ts";
import { Access } from "./access.tsx";
import { Audit } from "./audit.tsx";
import { Keys } from "./keys.tsx";
import { Notifications } from "./notifications.tsx";
import { Policies } from "./policies.tsx";
import { Silences } from "./silences.tsx";

const tabs = {
  silences: { name: "Silences", Tab: Silences },
  policies: { name: "Policies", Tab: Policies },
  notifications: { name: "Notifications", Tab: Notifications },
  keys: { name: "Keys", Tab: Keys },
  access: { name: "Access", Tab: Access },
  audit: { name: "Audit log", Tab: Audit },
} as const;
type TabName = keyof typeof tabs;

export function SettingsPage() {
  useTitle("Settings");
  const asked = here.value.query.get("tab") ?? "";
  const current: TabName = Object.hasOwn(tabs, asked) ? (asked as TabName) : "silences";
  const { Tab } = tabs[current];
  return (
    <article>
      <h1>Settings</h1>
      <nav class="tabs" aria-label="Settings">
        {Object.entries(tabs).map(([tab, { name }]) => (
          <button
            key={tab}
            type="button"
            aria-current={tab === current ? "page" : undefined}
            onClick={() => setQuery({ tab }, { replace: false })}
          >
            {name}
          </button>
        ))}
      </nav>
      <Tab />
    </article>
  );
}
