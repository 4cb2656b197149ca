/** What surrounds every page: navigation, whether events arrive, zone and colours. */
import type { ComponentChildren } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { reachable, request } from "../api/client.ts";
import { incidentFeed, liveState } from "../api/live.ts";
import { useLoad } from "../api/load.ts";
import type { Incident, Page } from "../api/types.ts";
import { plural, zoneName } from "../parts/format.ts";
import { Help, helpOpen } from "./help.tsx";
import { useCommands } from "./keys.ts";
import { pages } from "./pages.tsx";
import { theme, zone } from "./preferences.ts";
import { address, go, here } from "./router.ts";
import { Toasts } from "./toasts.tsx";

const themes = { system: "Colours of the system", light: "Light colours", dark: "Dark colours" } as const;
const themeSigns = { system: "◐", light: "☀", dark: "☾" } as const;

function nextTheme(): void {
  theme.value = theme.value === "system" ? "light" : theme.value === "light" ? "dark" : "system";
}

function switchZone(): void {
  zone.value = zone.value === "utc" ? "local" : "utc";
}

function Live() {
  const state = reachable.value ? liveState.value : "offline";
  const text = { live: "Live", connecting: "Connecting", paused: "Paused", offline: "Offline" }[state];
  return (
    <span class={`live ${state}`} title="Whether new events arrive">
      {text}
    </span>
  );
}

/** Whether the path is that of the page or of one below it. */
function isWithin(page: string, path: string): boolean {
  if (page === "/") return path === "/" || path.startsWith("/incidents/");
  return path === page || path.startsWith(`${page}/`);
}

/** The number of open incidents, of which people are notified. */
function useOpenIncidents(): number {
  const { data, reload } = useLoad(
    "open incidents",
    (signal) =>
      request<Page<Incident>>("/v1/incidents", {
        query: { state: "open", minor: "false", limit: "100" },
        signal,
      }),
    60_000,
  );
  useEffect(() => incidentFeed.listen(reload), [reload]);
  return data?.items.length ?? 0;
}

export function Frame({ children }: { children: ComponentChildren }) {
  const listed = pages.filter(({ label }) => label !== undefined);
  useCommands([
    ...listed.map(({ path, label, key }) => ({
      keys: `g ${key}`,
      label: `Go to ${label!.toLowerCase()}`,
      run: () => go(address(path)),
    })),
    { keys: "t", label: "Switch the time zone", run: switchZone },
    {
      keys: "?",
      label: "Show these keys",
      run: () => {
        helpOpen.value = true;
      },
    },
  ]);
  const { path } = here.value;
  const nav = useRef<HTMLElement>(null);
  useEffect(() => {
    // On a narrow screen the navigation scrolls.
    nav.current?.querySelector("[aria-current]")?.scrollIntoView({ block: "nearest", inline: "center" });
  }, [path]);
  const open = useOpenIncidents();
  return (
    <>
      <a class="skip" href="#main" data-outside>
        Skip to the content
      </a>
      <header class="bar">
        <a class="brand" href={address("/")}>
          Driftlock
        </a>
        <nav ref={nav} aria-label="Pages">
          {listed.map((page) => (
            <a
              key={page.path}
              href={address(page.path)}
              aria-current={isWithin(page.path, path) ? "page" : undefined}
            >
              {page.label}
              {page.path === "/" && open > 0 && (
                <span class="badge" title={`${plural(open, "incident")} open`}>
                  {open}
                </span>
              )}
            </a>
          ))}
        </nav>
        <div class="tools">
          <Live />
          <button type="button" class="bare" onClick={switchZone} title="Switch the time zone (t)">
            {zoneName()}
          </button>
          <button
            type="button"
            class="bare"
            onClick={nextTheme}
            title={themes[theme.value]}
            aria-label={themes[theme.value]}
          >
            {themeSigns[theme.value]}
          </button>
          <button
            type="button"
            class="bare"
            aria-label="Keyboard"
            title="Keyboard (?)"
            onClick={() => {
              helpOpen.value = true;
            }}
          >
            ?
          </button>
        </div>
      </header>
      {!reachable.value && (
        <p class="banner" role="alert">
          Driftlock does not answer. What is shown may be out of date; it is updated as soon as Driftlock
          answers again.
        </p>
      )}
      <main id="main" tabindex={-1}>
        {children}
      </main>
      <Toasts />
      <Help />
    </>
  );
}
