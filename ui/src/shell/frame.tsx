/** What surrounds every page: navigation, whether events arrive, zone and colours. */
import type { ComponentChildren } from "preact";
import { reachable } from "../api/client.ts";
import { liveState } from "../api/live.ts";
import { zoneName } from "../parts/format.ts";
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
  return path === page || (page !== "/" && path.startsWith(`${page}/`));
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
  return (
    <>
      <a class="skip" href="#main" data-outside>
        Skip to the content
      </a>
      <header class="bar">
        <a class="brand" href={address("/")}>
          Driftlock
        </a>
        <nav aria-label="Pages">
          {listed.map((page) => (
            <a
              key={page.path}
              href={address(page.path)}
              aria-current={isWithin(page.path, path) ? "page" : undefined}
            >
              {page.label}
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
