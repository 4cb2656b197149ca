/** A form that makes something new, which is folded until it is needed. */
import type { ComponentChildren } from "preact";
import { useState } from "preact/hooks";
import { ApiError } from "../api/client.ts";

/** Returns why a request was refused, with the first field that is wrong. */
export function reasonOf(error: unknown): string {
  const [first] = error instanceof ApiError ? error.fields : [];
  return first === undefined ? (error as Error).message : `${first.field.slice(1)}: ${first.detail}`;
}

interface Props {
  title: string;
  action: string;
  /** Sends what was entered. If it throws, the form stays as it is, with the reason. */
  submit(data: FormData): Promise<void>;
  children: ComponentChildren;
}

export function NewForm({ title, action, submit, children }: Props) {
  const [problem, setProblem] = useState<string>();
  const send = async (form: HTMLFormElement) => {
    setProblem(undefined);
    try {
      await submit(new FormData(form));
      form.reset();
    } catch (error) {
      setProblem(reasonOf(error));
    }
  };
  return (
    <details class="card">
      <summary>
        <h2>{title}</h2>
      </summary>
      <form
        class="form"
        onSubmit={(event) => {
          event.preventDefault();
          void send(event.currentTarget);
        }}
      >
        {children}
        {problem && (
          <p class="problems all" role="alert">
            {problem}
          </p>
        )}
        <div>
          <button type="submit" class="primary">
            {action}
          </button>
        </div>
      </form>
    </details>
  );
}
