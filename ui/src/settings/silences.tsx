/** Silences: of what nobody is notified for a time, and why. */
import { request, send } from "../api/client.ts";
import { useLoad } from "../api/load.ts";
import { mayChange } from "../api/session.ts";
import type { Page, Silence } from "../api/types.ts";
import { LengthOptions } from "../parts/choices.tsx";
import { StateLabel, Time } from "../parts/labels.tsx";
import { channels, signals } from "../parts/names.ts";
import { Failure, Skeleton } from "../parts/states.tsx";
import { Table } from "../parts/table.tsx";
import { notify } from "../shell/toasts.tsx";
import { MatchText } from "./match.tsx";
import { NewForm } from "./new-form.tsx";

const names: Readonly<Record<Silence["state"], string>> = {
  active: "Active",
  pending: "Pending",
  ended: "Ended",
};

function Create({ onDone }: { onDone(): void }) {
  const create = async (data: FormData) => {
    const text = (name: string) => String(data.get(name) ?? "").trim();
    const chosen = data.getAll("channels").map(String);
    const match = {
      ...(text("signal") && { signal: text("signal") }),
      ...(text("service") && { service: text("service") }),
      ...(text("stream") && { stream: text("stream") }),
      ...(chosen.length > 0 && { channels: chosen }),
    };
    const ends = new Date(Date.now() + Number(text("hours")) * 3_600_000);
    await request("/v1/silences", {
      method: "POST",
      body: { match, ends_at: ends.toISOString(), reason: text("reason") },
    });
    onDone();
  };
  return (
    <NewForm title="New silence" action="Silence" submit={create}>
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
    </NewForm>
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
          <Table
            label="Silences"
            frame="tall"
            rows={[...items, ...configured]}
            keyOf={({ id }) => id}
            columns={[
              {
                name: "State",
                cell: ({ state }) => <StateLabel state={state} name={names[state]} />,
              },
              { name: "Of what", kind: "text", cell: ({ match }) => <MatchText match={match} /> },
              { name: "Reason", kind: "text", cell: ({ reason }) => reason },
              { name: "By", cell: ({ author }) => author },
              { name: "From", cell: (silence) => <Time at={silence.starts_at} /> },
              { name: "Until", cell: (silence) => <Time at={silence.ends_at} /> },
              {
                name: "End",
                unnamed: true,
                cell: (silence) =>
                  mayChange() &&
                  items.includes(silence) &&
                  silence.state !== "ended" && (
                    <button type="button" onClick={() => void end(silence)}>
                      End now
                    </button>
                  ),
              },
            ]}
          />
        )}
      </section>
    </>
  );
}
