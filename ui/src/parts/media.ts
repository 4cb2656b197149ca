/** Whether the window is narrow, such as that of a telephone; it matches the media query in the styles. */
import { signal } from "@preact/signals";

const query = matchMedia("(width < 700px)");
export const narrow = signal(query.matches);
query.addEventListener("change", () => {
  narrow.value = query.matches;
});
