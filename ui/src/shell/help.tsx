/** The keys that are commands here. */
import { signal } from "@preact/signals";
import { Fragment } from "preact";
import { Dialog } from "./dialog.tsx";
import { commands } from "./keys.ts";
import { keyboard } from "./preferences.ts";

export const helpOpen = signal(false);

export function Help() {
  if (!helpOpen.value) return null;
  const byKeys = new Map(commands.value.flat().map((command) => [command.keys, command.label]));
  return (
    <Dialog
      title="Keyboard"
      onClose={() => {
        helpOpen.value = false;
      }}
    >
      <dl class="keys">
        {[...byKeys].toReversed().map(([keys, label]) => (
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
