/**
 * What people decide about anomalies and incidents, each time with a note if they like. A decision is sent a few seconds later,
 * because some change what a stream takes for normal, which nothing can undo afterwards.
 */
import { signal } from "@preact/signals";
import { useRef } from "preact/hooks";
import { send } from "../api/client.ts";
import { Dialog } from "../shell/dialog.tsx";
import { dismiss, notify } from "../shell/toasts.tsx";
import { LengthOptions } from "./choices.tsx";

export interface Decision {
  /** The state as the API names it; null withdraws an earlier decision. */
  state: string | null;
  /** The key that is its command. */
  key: string;
  /** What a person does, such as "Acknowledge". */
  verb: string;
  /** What has been done then, such as "Acknowledged". */
  done: string;
  effect: string;
  /** Whether it holds until a time that the person chooses. */
  until?: true;
}

export interface Subject {
  /** The path of the API below which it is, such as /v1/anomalies. */
  path: string;
  id: string;
  /** What it is, such as "anomaly". */
  noun: string;
}

interface Judgement extends Subject {
  decision: Decision;
  note: string;
  /** Further members of the request. */
  more: Record<string, unknown>;
}

/** The states that are about to be sent, by the id of what they are about. */
export const undoable = signal<ReadonlyMap<string, string | null>>(new Map());

const asked = signal<{ subjects: readonly Subject[]; decision: Decision } | undefined>();
const listeners = new Set<() => void>();
const waiting = new Map<
  string,
  { judgement: Judgement; timer: ReturnType<typeof setTimeout>; toast: number }
>();

/** How long a decision can be undone. */
const undoMs = 6_000;

/** Calls the listener after a decision was stored. */
export function onJudged(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

function mark(id: string, state: string | null | undefined): void {
  const next = new Map(undoable.value);
  if (state === undefined) next.delete(id);
  else next.set(id, state);
  undoable.value = next;
}

function take(id: string): Judgement | undefined {
  const found = waiting.get(id);
  if (found === undefined) return undefined;
  clearTimeout(found.timer);
  dismiss(found.toast);
  waiting.delete(id);
  return found.judgement;
}

async function commit(id: string, { keepalive = false } = {}): Promise<void> {
  const judgement = take(id);
  if (judgement === undefined) return;
  const { path, decision, note, noun, more } = judgement;
  try {
    const body = { ...more, state: decision.state, ...(note !== "" && { note }) };
    await send(`${path}/${encodeURIComponent(id)}`, { method: "PATCH", body, keepalive });
    for (const listener of listeners) listener();
  } catch (error) {
    notify({
      text: `The ${noun} could not be changed: ${(error as Error).message}.`,
      kind: "failed",
      action: { label: "Try again", run: () => schedule(judgement) },
    });
  } finally {
    mark(id, undefined);
  }
}

function schedule(judgement: Judgement): void {
  const { id, decision, noun } = judgement;
  take(id);
  mark(id, decision.state);
  const toast = notify({
    text: `${decision.done}: this ${noun}.`,
    kind: "done",
    action: {
      label: "Undo",
      run() {
        take(id);
        mark(id, undefined);
      },
    },
    onClose: () => void commit(id),
  });
  waiting.set(id, { judgement, timer: setTimeout(() => void commit(id), undoMs), toast });
}

/** Asks for a note, and then decides. */
export function judge(subject: Subject, decision: Decision): void {
  asked.value = { subjects: [subject], decision };
}

// What was decided is not lost with the page.
addEventListener("pagehide", () => {
  for (const id of [...waiting.keys()]) void commit(id, { keepalive: true });
});

export function JudgeDialog() {
  const note = useRef<HTMLTextAreaElement>(null);
  const hours = useRef<HTMLSelectElement>(null);
  if (asked.value === undefined) return null;
  const { subjects, decision } = asked.value;
  const close = () => {
    asked.value = undefined;
  };
  const decide = () => {
    const text = note.current?.value.trim() ?? "";
    const ms = Number(hours.current?.value) * 3_600_000;
    const more = hours.current ? { until: new Date(Date.now() + ms).toISOString() } : {};
    for (const subject of subjects) schedule({ ...subject, decision, note: text, more });
    close();
  };
  return (
    <Dialog title={`${decision.verb}: this ${subjects[0]!.noun}`} onClose={close}>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          decide();
        }}
      >
        <p>{decision.effect}</p>
        {decision.until && (
          <label>
            For{" "}
            <select ref={hours}>
              <LengthOptions />
            </select>
          </label>
        )}
        <label>
          Note
          <textarea
            ref={note}
            rows={3}
            maxLength={4_096}
            placeholder="Why, for those who read this later"
            onKeyDown={(event) => {
              if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) decide();
            }}
          />
        </label>
        <footer>
          <button type="button" onClick={close}>
            Cancel
          </button>
          <button type="submit" class="primary">
            {decision.verb}
          </button>
        </footer>
      </form>
    </Dialog>
  );
}
