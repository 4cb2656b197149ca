/** Commands by single keys: inactive in fields and dialogs, and switchable off. */
import { signal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { keyboard } from "./preferences.ts";

export interface Command {
  /** A key as `KeyboardEvent.key` names it, or two of them after one another, such as "g a". */
  keys: string;
  label: string;
  run(): void;
}

/** The commands of what is shown: those of the innermost part come last, and first in effect. */
export const commands = signal<readonly (readonly Command[])[]>([]);

/** The first key of a sequence of two that was begun. */
let begun: string | undefined;
let forget: ReturnType<typeof setTimeout> | undefined;
const sequenceMs = 1_500;

/** Makes commands available while the component is shown. */
export function useCommands(list: readonly Command[]): void {
  const latest = useRef(list);
  latest.current = list;
  const names = list.map(({ keys, label }) => `${keys} ${label}`).join("\n");
  useEffect(() => {
    const mine = list.map(({ keys, label }, i) => ({ keys, label, run: () => latest.current[i]?.run() }));
    commands.value = [...commands.value, mine];
    return () => {
      commands.value = commands.value.filter((other) => other !== mine);
    };
  }, [names]);
}

function find(keys: string): Command | undefined {
  for (const list of commands.value.toReversed()) {
    const found = list.find((command) => command.keys === keys);
    if (found !== undefined) return found;
  }
  return undefined;
}

function press(event: KeyboardEvent): void {
  if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
  const target = event.target as HTMLElement | null;
  const inField = target?.closest("input, textarea, select, [contenteditable]") != null;
  if (event.key === "Escape" && inField) target?.blur();
  // Escape and Enter are no letters, which is what can be switched off.
  if (keyboard.value === "off" && event.key.length === 1) return;
  if (inField || document.querySelector("dialog:modal") !== null) return;
  // A button or link that has the focus takes Enter itself.
  if (event.key === "Enter" && target?.closest("a, button, summary") != null) return;
  const sequence = begun === undefined ? event.key : `${begun} ${event.key}`;
  begun = undefined;
  clearTimeout(forget);
  const command = find(sequence);
  if (command !== undefined) {
    event.preventDefault();
    command.run();
  } else if (commands.value.flat().some(({ keys }) => keys.startsWith(`${event.key} `))) {
    begun = event.key;
    forget = setTimeout(() => {
      begun = undefined;
    }, sequenceMs);
  }
}

document.addEventListener("keydown", press);
