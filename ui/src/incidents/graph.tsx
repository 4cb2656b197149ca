/** Who calls whom among the services of an incident, with the likely cause marked. The table below has the same numbers. */
import type { IncidentDetail } from "../api/types.ts";
import { number } from "../parts/format.ts";
import { Graph } from "../parts/graph.tsx";
import { Table } from "../parts/table.tsx";

interface Call {
  caller: string;
  callee: string;
  /** Seconds and failures of the latest 10 s beyond what is usual for as many calls. */
  seconds: number;
  failures: number;
  count: number;
  usualCount: number;
  mean: number | undefined;
  usualMean: number | undefined;
}

function callsOf({ graph }: IncidentDetail): Call[] {
  const groups = Map.groupBy(graph, ({ caller, callee }) => JSON.stringify([caller, callee]));
  return [...groups.values()].map((edges) => {
    const sum = (of: (edge: (typeof edges)[number]) => number) =>
      edges.reduce((total, edge) => total + of(edge), 0);
    const count = sum(({ now }) => now.count);
    const usualCount = sum(({ usual }) => usual.count);
    return {
      caller: edges[0]!.caller,
      callee: edges[0]!.callee,
      seconds: sum(({ now, usual }) => now.seconds - usual.seconds),
      failures: sum(({ now, usual }) => now.failures - usual.failures),
      count,
      usualCount,
      mean: count > 0 ? sum(({ now }) => now.seconds) / count : undefined,
      usualMean: usualCount > 0 ? sum(({ usual }) => usual.seconds) / usualCount : undefined,
    };
  });
}

const ms = (seconds: number | undefined) => (seconds === undefined ? "–" : `${number(seconds * 1_000)} ms`);

export function CallGraph({ incident }: { incident: IncidentDetail }) {
  const calls = callsOf(incident);
  if (calls.length === 0) return null;
  const cause = incident.cause?.service ?? "";
  const names = [...new Set([...calls.flatMap(({ caller, callee }) => [caller, callee])])];
  const most = Math.max(1e-9, ...calls.map(({ seconds }) => seconds));
  const worse = ({ seconds, failures, usualMean, count }: Call) =>
    failures > 1 || seconds > 0.3 * (usualMean ?? 0) * count;
  return (
    <section class="card wide">
      <h2>Who calls whom</h2>
      <Graph
        region="Service graph"
        label={`Calls between ${names.length} services${cause && `; the likely cause is ${cause}`}`}
        nodes={names.map((name) => ({
          name,
          kind: `${incident.services.includes(name) ? "member" : ""} ${name === cause ? "cause" : ""}`,
          note: name === cause ? "likely cause" : undefined,
        }))}
        arrows={calls.map((call) => ({
          from: call.caller,
          to: call.callee,
          title: `${call.caller} to ${call.callee}: ${number(call.count)} calls in 10 s of ${ms(call.mean)}; usually ${number(call.usualCount)} of ${ms(call.usualMean)}`,
          width: 1.5 + 3 * Math.sqrt(Math.max(0, call.seconds) / most),
          marked: worse(call),
        }))}
      />
      <p class="hint">
        Filled services show evidence. Red calls take longer or fail more often than usual; the thicker, the
        more time they take beyond it.
      </p>
      <details class="twin">
        <summary>As a table</summary>
        <Table
          label="Calls, as a table"
          rows={calls}
          keyOf={({ caller, callee }) => `${caller} ${callee}`}
          columns={[
            { name: "Caller", cell: ({ caller }) => caller },
            { name: "Called", cell: ({ callee }) => callee },
            { name: "Calls in 10 s", kind: "number", cell: (call) => number(call.count) },
            { name: "Usually", kind: "number", cell: ({ usualCount }) => number(usualCount) },
            { name: "Mean time", kind: "number", cell: ({ mean }) => ms(mean) },
            { name: "Usually", kind: "number", cell: ({ usualMean }) => ms(usualMean) },
            {
              name: "Failures beyond usual",
              kind: "number",
              cell: ({ failures }) => number(Math.max(0, failures), 2),
            },
          ]}
        />
      </details>
    </section>
  );
}
