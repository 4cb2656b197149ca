/** Short notices at the edge of the page, some with something to do. */
import { signal } from "@preact/signals";

export interface Toast {
  id: number;
  text: string;
  kind: "done" | "failed";
  action?: { label: string; run(): void };
  /** Called when a person closes it. */
  onClose?(): void;
}

const shown = signal<readonly Toast[]>([]);
let latest = 0;

export function dismiss(id: number): void {
  shown.value = shown.value.filter((toast) => toast.id !== id);
}

/** @param forMs how long it is shown; until it is closed if it is undefined */
export function notify(toast: Omit<Toast, "id">, forMs?: number): number {
  latest += 1;
  const id = latest;
  shown.value = [...shown.value.slice(-3), { ...toast, id }];
  if (forMs !== undefined) setTimeout(dismiss, forMs, id);
  return id;
}

export function Toasts() {
  return (
    <div class="toasts" role="status">
      {shown.value.map((toast) => (
        <div key={toast.id} class={`toast ${toast.kind}`}>
          <span>{toast.text}</span>
          {toast.action && (
            <button
              type="button"
              class="link"
              onClick={() => {
                dismiss(toast.id);
                toast.action?.run();
              }}
            >
              {toast.action.label}
            </button>
          )}
          <button
            type="button"
            class="bare"
            aria-label="Close"
            onClick={() => {
              dismiss(toast.id);
              toast.onClose?.();
            }}
          >
            ×
          </button>
        </div>
      ))}
    </div>
  );
}
