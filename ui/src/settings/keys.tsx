/** API keys of the tenant: an administrator creates, replaces and revokes them. A key is shown once. */
import { useState } from "preact/hooks";
import { request, send } from "../api/client.ts";
import { usePages } from "../api/pages.ts";
import type { Key, MadeKey } from "../api/types.ts";
import { StateLabel, Time } from "../parts/labels.tsx";
import { Failure, Skeleton } from "../parts/states.tsx";
import { Table } from "../parts/table.tsx";
import { Dialog } from "../shell/dialog.tsx";
import { notify } from "../shell/toasts.tsx";
import { meanings } from "./access.tsx";
import { NewForm, reasonOf } from "./new-form.tsx";

const none = new URLSearchParams();
const dayMs = 86_400_000;
const lives: Readonly<Record<string, string>> = { 30: "30 days", 90: "90 days", 365: "a year", "": "ever" };
const graceHours = 24;
const names: Readonly<Record<Key["state"], string>> = {
  valid: "Valid",
  expired: "Expired",
  revoked: "Revoked",
};

function Create({ onMade }: { onMade(made: MadeKey): void }) {
  const create = async (data: FormData) => {
    const days = Number(data.get("days"));
    onMade(
      await request<MadeKey>("/v1/keys", {
        method: "POST",
        body: {
          name: String(data.get("name")).trim(),
          scopes: data.getAll("scopes").map(String),
          expires_at: days === 0 ? null : new Date(Date.now() + days * dayMs).toISOString(),
        },
      }),
    );
  };
  return (
    <NewForm title="New key" action="Create" submit={create}>
      <label>
        Name
        <input type="text" name="name" required maxLength={128} placeholder="What the key is for" />
      </label>
      <label>
        Valid for
        <select name="days">
          {Object.entries(lives).map(([days, name]) => (
            <option key={days} value={days} selected={days === "365"}>
              {name}
            </option>
          ))}
        </select>
      </label>
      <fieldset class="all">
        <legend>It may</legend>
        <div class="checks">
          {Object.entries(meanings).map(([scope, meaning]) => (
            <label key={scope} class="check">
              <input type="checkbox" name="scopes" value={scope} />
              {meaning}
            </label>
          ))}
        </div>
      </fieldset>
    </NewForm>
  );
}

/** Shows a new key, once. */
function Made({ made, onClose }: { made: MadeKey; onClose(): void }) {
  const copy = () => {
    navigator.clipboard.writeText(made.secret).then(
      () => notify({ text: "The key is in the clipboard.", kind: "done" }, 4_000),
      () => notify({ text: "The browser does not permit it; select the key and copy it.", kind: "failed" }),
    );
  };
  return (
    <Dialog title={`The key ${made.key.name}`} onClose={onClose}>
      <p>Copy it now: it is not shown again.</p>
      <pre class="record secret">{made.secret}</pre>
      <div class="actions">
        <button type="button" class="primary" onClick={copy}>
          Copy
        </button>
      </div>
    </Dialog>
  );
}

/** What cannot be undone is asked about first. */
function Confirm({ asked, onClose }: { asked: Asked; onClose(): void }) {
  const { key, action, run } = asked;
  const [busy, setBusy] = useState(false);
  const go = async () => {
    setBusy(true);
    try {
      await run();
    } catch (error) {
      notify({ text: `${key.name} is unchanged: ${reasonOf(error)}.`, kind: "failed" });
    }
    onClose();
  };
  return (
    <Dialog title={`${action} ${key.name}?`} onClose={onClose}>
      <p>
        {action === "Revoke"
          ? "Whoever uses it is refused within seconds. This cannot be undone."
          : `A new key with the same name, scopes and lifetime is made. The old one stays valid for ${graceHours} hours.`}
      </p>
      <div class="actions">
        <button type="button" class="primary" disabled={busy} onClick={() => void go()}>
          {action}
        </button>
        <button type="button" onClick={onClose}>
          Cancel
        </button>
      </div>
    </Dialog>
  );
}

interface Asked {
  key: Key;
  action: "Revoke" | "Replace";
  run(): Promise<void>;
}

export function Keys() {
  const pages = usePages<Key>("/v1/keys", none);
  const [made, setMade] = useState<MadeKey>();
  const [asked, setAsked] = useState<Asked>();
  const error = pages.error.value;
  const onMade = (key: MadeKey) => {
    setMade(key);
    pages.reload();
  };
  const path = (key: Key) => `/v1/keys/${encodeURIComponent(key.id)}`;
  const revoke = (key: Key) =>
    setAsked({
      key,
      action: "Revoke",
      async run() {
        await send(path(key), { method: "DELETE" });
        pages.reload();
      },
    });
  const rotate = (key: Key) =>
    setAsked({
      key,
      action: "Replace",
      async run() {
        const body = { grace_hours: graceHours };
        onMade(await request<MadeKey>(`${path(key)}/rotate`, { method: "POST", body }));
      },
    });
  if (error && !pages.loaded) return <Failure error={error} retry={pages.reload} stale={false} />;
  return (
    <>
      {error && <Failure error={error} retry={pages.reload} stale />}
      <Create onMade={onMade} />
      <section class="card">
        <h2>Keys</h2>
        <p class="hint">
          Senders of telemetry and callers of the API use them as <code>authorization: Bearer dlk_…</code>.
          Only their hashes are stored.
        </p>
        {!pages.loaded && <Skeleton />}
        {pages.loaded && pages.rows.length === 0 && <p>There is none.</p>}
        {pages.rows.length > 0 && (
          <Table
            label="Keys"
            frame="tall"
            rows={pages.rows}
            keyOf={({ id }) => id}
            more={pages.hasMore && pages.more}
            columns={[
              {
                name: "State",
                cell: ({ state }) => (
                  <StateLabel state={state === "valid" ? "active" : "ended"} name={names[state]} />
                ),
              },
              { name: "Name", kind: "text", cell: ({ name }) => name },
              { name: "Key", cell: ({ prefix }) => <code>{prefix}…</code> },
              { name: "Scopes", cell: ({ scopes }) => scopes.join(", ") },
              { name: "Created", cell: (key) => <Time at={key.created_at} /> },
              { name: "By", cell: (key) => key.created_by },
              {
                name: "Used",
                cell: ({ last_used_at: at }) => (at === null ? "never" : <Time at={at} relative />),
              },
              { name: "Expires", cell: ({ expires_at: at }) => (at === null ? "never" : <Time at={at} />) },
              {
                name: "Change",
                unnamed: true,
                cell: (key) =>
                  key.state === "valid" && (
                    <div class="actions">
                      <button type="button" onClick={() => rotate(key)}>
                        Replace
                      </button>
                      <button type="button" onClick={() => revoke(key)}>
                        Revoke
                      </button>
                    </div>
                  ),
              },
            ]}
          />
        )}
      </section>
      {made && <Made made={made} onClose={() => setMade(undefined)} />}
      {asked && <Confirm key={asked.key.id} asked={asked} onClose={() => setAsked(undefined)} />}
    </>
  );
}
