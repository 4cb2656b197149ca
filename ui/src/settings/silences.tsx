/** Silences: of what nobody is notified for a time, and why. */
import { useState } from "preact/hooks";
import { ApiError, request, send } from "../api/client.ts";
import { useLoad } from "../api/load.ts";
import { mayChange } from "../api/session.ts";
import type { Page, Silence } from "../api/types.ts";
import { LengthOptions } from "../parts/choices.tsx";
import { StateLabel, Time } from "../parts/labels.tsx";
import { channels, signals } from "../parts/names.ts";
import { Failure, Skeleton } from "../parts/states.tsx";
import { notify } from "../shell/toasts.tsx";
import { MatchText } from "./match.tsx";

const names: Readonly<Record<Silence["state"], string>> = {
  active: "Active",
  pending: "Pending",
  ended: "Ended",
};

function Create({ onDone }: { onDone(): void }) {
  const [problem, setProblem] = useState<string>();
  const create = async (form: HTMLFormElement) => {
    const data = new FormData(form);
    const text = (name: string) => String(data.get(name) ?? "").trim();
    const chosen = data.getAll("channels").map(String);
    const match = {
      ...(text("signal") && { signal: text("signal") }),
      ...(text("service") && { service: text("service") }),
      ...(text("stream") && { stream: text("stream") }),
      ...(chosen.length > 0 && { channels: chosen }),
    };
    const ends = new Date(Date.now() + Number(text("hours")) * 3_600_000);
    try {
      await request("/v1/silences", {
        method: "POST",
        body: { match, ends_at: ends.toISOString(), reason: text("reason") },
      });
      form.reset();
      onDone();
    } catch (error) {
      const [first] = error instanceof ApiError ? error.fields : [];
      setProblem(first === undefined ? (error as Error).message : `${first.field.slice(1)}: ${first.detail}`);
    }
  };
  return (
    <details class="card">
      <summary>
        <h2>New silence</h2>
      </summary>
      <form
        class="form"
        onSubmit={(event) => {
          event.preventDefault();
          setProblem(undefined);
          void create(event.currentTarget);
        }}
      >
        <label>
          Service
          <input type="text" name="service" placeholder="any; * stands for any text" spellcheck={false} />
        </label>
        <label>
          Stream
          <input
            type="text"
            name="stream"
            placeholder="any; such as logs service.name=check*"
            spellcheck={false}
          />
        </label>
        <label>
          Signal
          <select name="signal">
            <option value="">any</option>
            {Object.entries(signals).map(([value, name]) => (
              <option key={value} value={value}>
                {name}
              </option>
            ))}
          </select>
        </label>
        <label>
          For
          <select name="hours">
            <LengthOptions />
          </select>
        </label>
        <fieldset class="all">
          <legend>Channels; all if none is chosen</legend>
          <div class="checks">
            {Object.keys(channels).map((name) => (
              <label key={name} class="check">
                <input type="checkbox" name="channels" value={name} />
                {name}
              </label>
            ))}
          </div>
        </fieldset>
        <label class="all">
          Reason
          <input
            type="text"
            name="reason"
            required
            maxLength={1_024}
            placeholder="Why nobody needs to be notified"
          />
        </label>
        {problem && (
          <p class="problems all" role="alert">
            {problem}
          </p>
        )}
        <div>
          <button type="submit" class="primary">
            Silence
          </button>
        </div>
      </form>
    </details>
  );
}

function Row({ silence, onEnd }: { silence: Silence; onEnd?: (() => void) | undefined }) {
  return (
    <tr>
      <td>
        <StateLabel state={silence.state} name={names[silence.state]} />
      </td>
      <td class="any">
        <MatchText match={silence.match} />
      </td>
      <td class="any">{silence.reason}</td>
      <td>{silence.author}</td>
      <td>
        <Time at={silence.starts_at} />
      </td>
      <td>
        <Time at={silence.ends_at} />
      </td>
      <td>
        {onEnd && silence.state !== "ended" && (
          <button type="button" onClick={onEnd}>
            End now
          </button>
        )}
      </td>
    </tr>
  );
}

export function Silences() {
  const { data, error, reload } = useLoad(
    "silences",
    (signal) =>
      request<Page<Silence> & { configured: Silence[] }>("/v1/silences", { query: { limit: "200" }, signal }),
    15_000,
  );
  const end = async ({ id }: Silence) => {
    try {
      await send(`/v1/silences/${encodeURIComponent(id)}`, { method: "DELETE" });
    } catch (failure) {
      notify({ text: `The silence goes on: ${(failure as Error).message}.`, kind: "failed" });
    }
    reload();
  };
  if (data === undefined) {
    return error ? <Failure error={error} retry={reload} stale={false} /> : <Skeleton />;
  }
  const { items, configured } = data;
  return (
    <>
      {error && <Failure error={error} retry={reload} stale />}
      {mayChange() && <Create onDone={reload} />}
      <section class="card">
        <h2>Silences</h2>
        <p class="hint">
          During planned work nobody needs to be notified of what is expected. What a silence matches is
          judged, stored and shown as always.
        </p>
        {items.length + configured.length === 0 ? (
          <p>There is none.</p>
        ) : (
          <div class="scroll tall" tabindex={0} role="region" aria-label="Silences">
            <table>
              <thead>
                <tr>
                  <th>State</th>
                  <th>Of what</th>
                  <th>Reason</th>
                  <th>By</th>
                  <th>From</th>
                  <th>Until</th>
                  <th>
                    <span class="hidden">End</span>
                  </th>
                </tr>
              </thead>
              <tbody>
                {items.map((silence) => (
                  <Row
                    key={silence.id}
                    silence={silence}
                    onEnd={mayChange() ? () => void end(silence) : undefined}
                  />
                ))}
                {configured.map((silence) => (
                  <Row key={silence.id} silence={silence} />
                ))}
              </tbody>
            </table>
          </div>
        )}
      </section>
    </>
  );
}
