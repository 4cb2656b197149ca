/** The address of what is shown, over the History API. Paths here are relative to the place at which Driftlock is served. */
import { signal } from "@preact/signals";

/** The path at which Driftlock is served, without a slash at its end: empty unless a proxy adds one. */
export const root: string = new URL(document.baseURI).pathname.replace(/\/$/, "");

export interface Place {
  path: string;
  query: URLSearchParams;
}

function read(): Place {
  const path = location.pathname.startsWith(root) ? location.pathname.slice(root.length) : location.pathname;
  return { path: path || "/", query: new URLSearchParams(location.search) };
}

/** What is shown now. */
export const here = signal<Place>(read());

/** Keeps times readable in addresses. */
function format(query: URLSearchParams): string {
  const text = query.toString().replaceAll("%3A", ":").replaceAll("%2C", ",");
  return text === "" ? "" : `?${text}`;
}

/** Returns the address of a page, for `href`. */
export function address(path: string, query: Record<string, string> = {}): string {
  return `${root}${path}${format(new URLSearchParams(query))}`;
}

/**
 * Pages that are served with a content security policy of their own. It holds until a page is loaded anew, so browsers load these
 * when they are entered and left.
 */
const apart: ReadonlySet<string> = new Set(["/verify"]);

/** Shows a page of the dashboard. @param to the page as `address` returns it */
export function go(to: string, { replace = false } = {}): void {
  const { pathname } = new URL(to, location.href);
  if (
    pathname !== location.pathname &&
    [pathname.slice(root.length), here.value.path].some((path) => apart.has(path))
  ) {
    if (replace) location.replace(to);
    else location.assign(to);
    return;
  }
  if (replace) history.replaceState(null, "", to);
  else history.pushState(null, "", to);
  const before = here.value.path;
  here.value = read();
  // Whoever uses the keyboard or a screen reader goes on in the new page.
  if (here.value.path !== before) document.getElementById("main")?.focus({ preventScroll: true });
}

/**
 * Changes parameters of the address.
 * @param changes the new values; undefined removes a parameter
 * @param replace whether "back" leads to what was shown before the previous change
 */
export function setQuery(
  changes: Readonly<Record<string, readonly string[] | string | undefined>>,
  { replace = true } = {},
): void {
  const query = new URLSearchParams(here.value.query);
  for (const [name, value] of Object.entries(changes)) {
    query.delete(name);
    for (const each of value === undefined ? [] : [value].flat()) query.append(name, each);
  }
  go(`${root}${here.value.path}${format(query)}`, { replace });
}

/** Follows links of the dashboard without loading it again. */
function follow(event: MouseEvent): void {
  if (event.defaultPrevented || event.button !== 0) return;
  if (event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
  const link = (event.target as Element | null)?.closest?.("a[href]");
  if (!(link instanceof HTMLAnchorElement) || link.target !== "" || link.hasAttribute("download")) return;
  if (link.origin !== location.origin || link.dataset.outside !== undefined) return;
  if (!`${link.pathname}/`.startsWith(`${root}/`)) return;
  event.preventDefault();
  go(link.pathname + link.search);
  scrollTo(0, 0);
}

addEventListener("popstate", () => {
  here.value = read();
});
document.addEventListener("click", follow);
