/** A conversation with language models: its calls, what was new in each of them, and the tools that they called. */
import { request } from "../api/client.ts";
import { useLoad } from "../api/load.ts";
import type { ConversationDetail, LlmCall, LlmTurn } from "../api/types.ts";
import { bytes, compact, count, duration, number, plural } from "../parts/format.ts";
import { Graph } from "../parts/graph.tsx";
import { StateLabel, Time } from "../parts/labels.tsx";
import { Failure, Skeleton } from "../parts/states.tsx";
import { Table } from "../parts/table.tsx";
import { printable } from "../parts/text.ts";
import { useCommands } from "../shell/keys.ts";
import { address } from "../shell/router.ts";
import { useTitle } from "../shell/title.ts";
import { costText } from "./cost.ts";
import { toolGraph } from "./tools.ts";

const kinds: Readonly<Record<LlmTurn["kind"], string>> = {
  prompt: "Prompt",
  response: "Response",
  tool_call: "Tool call",
  tool_result: "Tool result",
};

function Anomalies({ ids }: { ids: readonly string[] }) {
  return (
    <>
      {ids.map((id, i) => (
        <a key={id} class="state open" href={address(`/anomalies/${encodeURIComponent(id)}`)}>
          {ids.length === 1 ? "Anomaly" : `Anomaly ${i + 1}`}
        </a>
      ))}
    </>
  );
}

function nameOf({ kind, role, tool }: LlmTurn): string {
  if (tool !== null) return `${kinds[kind]}: ${tool}`;
  return kind === "prompt" && role !== "user" ? `${kinds[kind]} (${role})` : kinds[kind];
}

function Turn({ turn }: { turn: LlmTurn }) {
  const { text, size, refusal, malformed, privacy_kinds, anomaly_ids } = turn;
  const shown = text === null ? 0 : new TextEncoder().encode(text).length;
  return (
    <li class={`turn ${turn.kind} ${anomaly_ids.length > 0 ? "flagged" : ""}`}>
      <p class="turn-head">
        <strong>{printable(nameOf(turn))}</strong>
        {refusal && <span class="tag">refusal</span>}
        {malformed && <span class="tag">arguments are no JSON</span>}
        {privacy_kinds.map((kind) => (
          <span key={kind} class="tag">
            {kind}
          </span>
        ))}
        <Anomalies ids={anomaly_ids} />
      </p>
      {text === null ? (
        <p class="hint">{bytes(size)}, of which no text is kept.</p>
      ) : (
        <pre class="record">{printable(text)}</pre>
      )}
      {text !== null && size > 4_096 && size > shown && <p class="hint">The beginning of {bytes(size)}.</p>}
    </li>
  );
}

function figuresOf(call: LlmCall): string[] {
  const ms = Date.parse(call.end) - Date.parse(call.start);
  return [
    ...(ms > 0 ? [duration(ms)] : []),
    ...(call.seconds_to_first_chunk === null
      ? []
      : [`first chunk after ${duration(call.seconds_to_first_chunk * 1_000)}`]),
    ...(call.input_tokens === null
      ? []
      : [
          `${compact(call.input_tokens)} tokens in${call.cached_tokens ? ` (${compact(call.cached_tokens)} cached)` : ""}`,
        ]),
    ...(call.output_tokens === null ? [] : [`${compact(call.output_tokens)} out`]),
    ...(call.cost === null ? [] : [`cost ${costText(call.cost)}`]),
    ...(call.finish_reasons.length === 0 ? [] : [`ended by ${call.finish_reasons.join(", ")}`]),
  ];
}

function Call({ call }: { call: LlmCall }) {
  const model = call.response_model ?? call.model;
  const tool = call.turns.find((turn) => turn.tool !== null)?.tool;
  const what = call.operation === "execute_tool" ? (tool ?? model) : model;
  return (
    <li class="call">
      <h3>
        {printable([call.operation || "call", what].filter(Boolean).join(" "))}
        {call.agent !== null && <span class="hint"> by {printable(call.agent)}</span>}
      </h3>
      <p class="hint">
        <Time at={call.start} />
        {figuresOf(call).map((figure) => ` · ${figure}`)}
        {call.repeated_turns > 0 && ` · after ${plural(call.repeated_turns, "earlier turn")}`}
      </p>
      {(call.error !== null || call.anomaly_ids.length > 0) && (
        <p class="turn-head">
          {call.error !== null && <span class="tag failed">failed: {printable(call.error)}</span>}
          <Anomalies ids={call.anomaly_ids} />
        </p>
      )}
      {call.turns.length > 0 && (
        <ol class="turns">
          {call.turns.map((turn, i) => (
            <Turn key={i} turn={turn} />
          ))}
        </ol>
      )}
      {call.turns_left_out > 0 && <p class="hint">{plural(call.turns_left_out, "more turn")}.</p>}
    </li>
  );
}

function Tools({ conversation }: { conversation: ConversationDetail }) {
  const { nodes, steps } = toolGraph(conversation);
  if (steps.length === 0) return null;
  const most = Math.max(...steps.map(({ count: times }) => times));
  return (
    <section class="card wide">
      <h2>Tools</h2>
      <Graph
        region="Tool graph"
        label={`${plural(nodes.filter(({ calls }) => calls !== undefined).length, "tool")} in the order in which they are called`}
        nodes={nodes.map(({ name, calls, repeats, flagged }) => ({
          name,
          kind: `${calls === undefined ? "member" : ""} ${flagged ? "cause" : ""}`,
          note: repeats > 1 ? `${repeats} times in a row` : undefined,
          title: calls === undefined ? name : `${name}: ${plural(calls, "call")}`,
        }))}
        arrows={steps.map(({ from, to, count: times, flagged }) => ({
          ...{ from, to, marked: flagged },
          title: `${from}, then ${to}: ${plural(times, "time")}`,
          width: 1.5 + 3 * Math.sqrt(times / most),
        }))}
      />
      <details class="twin">
        <summary>As a table</summary>
        <Table
          label="Tools, as a table"
          rows={steps}
          keyOf={({ from, to }) => `${from} ${to}`}
          columns={[
            { name: "After", cell: ({ from }) => from },
            { name: "Called", cell: ({ to }) => to },
            { name: "Times", kind: "number", cell: (each) => count(each.count) },
            { name: "Flagged", cell: ({ flagged }) => (flagged ? "yes" : "no") },
          ]}
        />
      </details>
    </section>
  );
}

export function ConversationPage({ id }: { id: string }) {
  const {
    data: conversation,
    error,
    reload,
  } = useLoad(
    `conversation ${id}`,
    (signal) => request<ConversationDetail>(`/v1/llm/conversations/${encodeURIComponent(id)}`, { signal }),
    10_000,
  );
  useTitle(conversation?.name ?? "Conversation");
  useCommands([{ keys: "Escape", label: "Back", run: () => history.back() }]);
  if (conversation === undefined) {
    return error ? <Failure error={error} retry={reload} stale={false} /> : <Skeleton />;
  }
  const { name, services, agents, models, items, left_out, flagged, failed } = conversation;
  return (
    <article class={`conversation ${error ? "stale" : ""}`}>
      {error && <Failure error={error} retry={reload} stale />}
      <p class="crumbs">
        <a href={address("/llm")}>Conversations</a>
      </p>
      <h1 class="sentence">{printable(name)}</h1>
      <ul class="facts">
        {flagged > 0 && (
          <li>
            <StateLabel state="open" name={`${plural(flagged, "call")} flagged`} />
          </li>
        )}
        {services.map((service) => (
          <li key={service}>
            Service <a href={address("/llm", { service })}>{printable(service)}</a>
          </li>
        ))}
        {agents.map((agent) => (
          <li key={agent}>
            Agent <a href={address("/llm", { agent })}>{printable(agent)}</a>
          </li>
        ))}
        {models.map((model) => (
          <li key={model}>{printable(model)}</li>
        ))}
      </ul>
      <dl class="figures">
        <div>
          <dt>Calls</dt>
          <dd>{count(conversation.calls)}</dd>
        </div>
        <div>
          <dt>Tool calls</dt>
          <dd>{count(conversation.tool_calls)}</dd>
        </div>
        <div>
          <dt>Failed</dt>
          <dd>{count(failed)}</dd>
        </div>
        <div>
          <dt>Tokens in</dt>
          <dd>{count(conversation.input_tokens)}</dd>
        </div>
        <div>
          <dt>Tokens out</dt>
          <dd>{count(conversation.output_tokens)}</dd>
        </div>
        <div>
          <dt>Cost</dt>
          <dd title={conversation.cost === null ? "llm.prices has no price for its models" : undefined}>
            {number(conversation.cost, 2)}
          </dd>
        </div>
        <div>
          <dt>Latest</dt>
          <dd>
            <Time at={conversation.end} relative />
          </dd>
        </div>
      </dl>
      <Tools conversation={conversation} />
      <section>
        <h2>Calls</h2>
        {left_out > 0 && (
          <p class="notice">
            The latest {plural(items.length, "call")}; {count(left_out)} earlier are not shown.
          </p>
        )}
        <ol class="calls">
          {items.map((call) => (
            <Call key={call.id} call={call} />
          ))}
        </ol>
      </section>
    </article>
  );
}
