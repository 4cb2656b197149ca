/** The keys that are commands here. */
import { signal } from "@preact/signals";
import { Fragment } from "preact";
import { Dialog } from "./dialog.tsx";
import { commands } from "./keys.ts";
import { keyboard } from "./preferences.ts";

export const helpOpen = signal(false);

export function Help() {
  if (!helpOpen.value) return null;
  // The commands of the page come before those that every page has, and hide those with the same keys.
  const byKeys = new Map<string, string>();
  for (const { keys, label } of commands.value.toReversed().flat()) {
    if (!byKeys.has(keys)) byKeys.set(keys, label);
  }
  return (
    <Dialog
      title="Keyboard"
      onClose={() => {
        helpOpen.value = false;
      }}
    >
      <dl class="keys">
        {[...byKeys].map(([keys, label]) => (
          <Fragment key={keys}>
            <dt>
              {keys.split(" ").map((key) => (
                <kbd key={key}>{key === "Escape" ? "Esc" : key}</kbd>
              ))}
            </dt>
            <dd>{label}</dd>
          </Fragment>
        ))}
      </dl>
      <label class="check">
        <input
          type="checkbox"
          checked={keyboard.value === "on"}
          onChange={({ currentTarget }) => {
            keyboard.value = currentTarget.checked ? "on" : "off";
          }}
        />
        Single letters are commands
      </label>
    </Dialog>
  );
}
