/** Policies: how streams are judged. They are edited as the JSON that the API takes, which names what is wrong with it. */
import { useState } from "preact/hooks";
import { ApiError, request } from "../api/client.ts";
import { useLoad } from "../api/load.ts";
import { mayChange } from "../api/session.ts";
import type { Policies as PoliciesJson, Policy } from "../api/types.ts";
import { Time } from "../parts/labels.tsx";
import { Failure, Skeleton } from "../parts/states.tsx";
import { notify } from "../shell/toasts.tsx";
import { MatchText } from "./match.tsx";

/** What a policy decides, in words. */
function effects(policy: Policy): string {
  const parts = [
    policy.judge === false ? "is not judged" : "",
    policy.budget === undefined ? "" : `at most ${policy.budget} alarms per day and stream`,
    policy.channels ? `only the channels ${policy.channels.join(", ")} raise alarms` : "",
    policy.ignore_fields ? `the fields ${policy.ignore_fields.join(", ")} are ignored` : "",
    policy.direction === "up" ? "only values above the usual range" : "",
    policy.direction === "down" ? "only values below the usual range" : "",
    policy.min_deviation === undefined ? "" : `at least ${policy.min_deviation} beyond the usual range`,
    policy.min_count === undefined ? "" : `at least ${policy.min_count} records`,
  ].filter(Boolean);
  return parts.length === 0 ? "is judged as usual" : parts.join("; ");
}

function Editor({ policies, onDone }: { policies: Policy[]; onDone(saved: boolean): void }) {
  const [text, setText] = useState(() => JSON.stringify(policies, null, 2));
  const [problems, setProblems] = useState<string[]>([]);
  const save = async () => {
    try {
      await request("/v1/policies", { method: "PUT", body: { policies: JSON.parse(text) as unknown } });
      notify({ text: "The policies are in effect.", kind: "done" }, 4_000);
      onDone(true);
    } catch (error) {
      const fields = error instanceof ApiError ? error.fields : [];
      const named = fields.map(
        ({ field, detail }) => `${field.replace(/^\/policies\//, "policy ")}: ${detail}`,
      );
      setProblems(named.length > 0 ? named : [(error as Error).message]);
    }
  };
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        void save();
      }}
    >
      <label>
        The list of policies as JSON
        <textarea
          class="code"
          rows={16}
          spellcheck={false}
          value={text}
          onInput={({ currentTarget }) => setText(currentTarget.value)}
        />
      </label>
      {problems.length > 0 && (
        <ul class="problems" role="alert">
          {problems.map((problem) => (
            <li key={problem}>{problem}</li>
          ))}
        </ul>
      )}
      <div class="actions">
        <button type="submit" class="primary">
          Save
        </button>
        <button type="button" onClick={() => onDone(false)}>
          Cancel
        </button>
      </div>
    </form>
  );
}

export function Policies() {
  const { data, error, reload } = useLoad("policies", (signal) =>
    request<PoliciesJson>("/v1/policies", { signal }),
  );
  const [editing, setEditing] = useState(false);
  if (data === undefined) {
    return error ? <Failure error={error} retry={reload} stale={false} /> : <Skeleton />;
  }
  return (
    <section class="card">
      <h2>Policies</h2>
      <p class="hint">
        They say how streams are judged; the first one that matches a stream decides. Policies of the
        configuration follow after these.
        {data.changed_at !== null && (
          <>
            {" "}
            Changed by {data.author}, <Time at={data.changed_at} />.
          </>
        )}
      </p>
      {editing ? (
        <Editor
          policies={data.policies}
          onDone={(saved) => {
            setEditing(false);
            if (saved) reload();
          }}
        />
      ) : (
        <>
          {data.policies.length === 0 && (
            <p>There are no policies: every stream is judged in the same way.</p>
          )}
          {data.policies.length > 0 && (
            <table>
              <thead>
                <tr>
                  <th class="number">No.</th>
                  <th>Streams</th>
                  <th>Decision</th>
                </tr>
              </thead>
              <tbody>
                {data.policies.map((policy, i) => (
                  <tr key={JSON.stringify(policy)}>
                    <td class="number">{i}</td>
                    <td class="any">
                      <MatchText match={policy.match} />
                    </td>
                    <td class="any">{effects(policy)}</td>
                  </tr>
                ))}
              </tbody>
            </table>
          )}
          {mayChange() && (
            <p>
              <button type="button" onClick={() => setEditing(true)}>
                Edit
              </button>
            </p>
          )}
        </>
      )}
    </section>
  );
}
