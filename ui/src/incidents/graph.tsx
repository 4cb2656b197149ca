/** Who calls whom among the services of an incident, with the likely cause marked. The table below has the same numbers. */
import type { IncidentDetail } from "../api/types.ts";
import { number } from "../parts/format.ts";
import { layOut } from "./layout.ts";

const box = { width: 150, height: 38 };
const step = { x: 220, y: 62 };
const margin = 24;

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

const short = (text: string) => (text.length > 17 ? `${text.slice(0, 16)}…` : text);
const ms = (seconds: number | undefined) => (seconds === undefined ? "–" : `${number(seconds * 1_000)} ms`);

export function Graph({ incident }: { incident: IncidentDetail }) {
  const calls = callsOf(incident);
  if (calls.length === 0) return null;
  const cause = incident.cause?.service ?? "";
  const names = [...new Set([...calls.flatMap(({ caller, callee }) => [caller, callee])])];
  const { nodes, columns, rows } = layOut(
    names,
    calls.filter(({ caller, callee }) => caller !== callee),
  );
  const placed = new Map(nodes.map((node) => [node.name, node]));
  const width = (columns - 1) * step.x + box.width + 2 * margin;
  const height = rows * step.y + 2 * margin - (step.y - box.height);
  const at = (name: string) => {
    const { column, row } = placed.get(name)!;
    const inColumn = nodes.filter((node) => node.column === column).length;
    return {
      x: margin + column * step.x,
      y: margin + row * step.y + ((rows - inColumn) * step.y) / 2,
    };
  };
  const most = Math.max(1e-9, ...calls.map(({ seconds }) => seconds));
  const worse = ({ seconds, failures, usualMean, count }: Call) =>
    failures > 1 || seconds > 0.3 * (usualMean ?? 0) * count;
  return (
    <section class="card wide">
      <h2>Who calls whom</h2>
      <div class="scroll graph" tabindex={0} role="region" aria-label="Service graph">
        <svg
          viewBox={`0 0 ${width} ${height}`}
          width={width}
          height={height}
          role="img"
          aria-label={`Calls between ${names.length} services${cause && `; the likely cause is ${cause}`}`}
        >
          <defs>
            {["arrow", "arrow-worse"].map((id) => (
              <marker
                key={id}
                id={id}
                viewBox="0 0 8 8"
                refX="7"
                refY="4"
                markerWidth="10"
                markerHeight="10"
                markerUnits="userSpaceOnUse"
                orient="auto"
              >
                <path d="M0 0L8 4L0 8z" class={id} />
              </marker>
            ))}
          </defs>
          {calls
            .filter(({ caller, callee }) => caller !== callee)
            .map((call) => {
              const from = at(call.caller);
              const to = at(call.callee);
              const back = to.x <= from.x;
              const [x1, y1] = [from.x + (back ? 0 : box.width), from.y + box.height / 2];
              const [x2, y2] = [to.x + (back ? box.width : 0), to.y + box.height / 2];
              const bend = back ? -40 : (x2 - x1) / 2;
              return (
                <path
                  key={`${call.caller} ${call.callee}`}
                  class={`call ${worse(call) ? "worse" : ""}`}
                  d={`M${x1} ${y1}C${x1 + bend} ${y1} ${x2 - bend} ${y2} ${x2 - (back ? -4 : 4)} ${y2}`}
                  stroke-width={1.5 + 3 * Math.sqrt(Math.max(0, call.seconds) / most)}
                  marker-end={worse(call) ? "url(#arrow-worse)" : "url(#arrow)"}
                >
                  <title>{`${call.caller} to ${call.callee}: ${number(call.count)} calls in 10 s of ${ms(call.mean)}; usually ${number(call.usualCount)} of ${ms(call.usualMean)}`}</title>
                </path>
              );
            })}
          {nodes.map(({ name }) => {
            const { x, y } = at(name);
            const member = incident.services.includes(name);
            return (
              <g
                key={name}
                class={`node ${member ? "member" : ""} ${name === cause ? "cause" : ""}`}
                transform={`translate(${x} ${y})`}
              >
                <title>{name}</title>
                <rect width={box.width} height={box.height} rx="8" />
                <text x={box.width / 2} y={box.height / 2 + 5} text-anchor="middle">
                  {short(name)}
                </text>
                {name === cause && (
                  <text class="note" x={box.width / 2} y={-6} text-anchor="middle">
                    likely cause
                  </text>
                )}
              </g>
            );
          })}
        </svg>
      </div>
      <p class="hint">
        Filled services show evidence. Red calls take longer or fail more often than usual; the thicker, the
        more time they take beyond it.
      </p>
      <details class="twin">
        <summary>As a table</summary>
        <div class="scroll" tabindex={0} role="region" aria-label="Calls, as a table">
          <table>
            <thead>
              <tr>
                <th>Caller</th>
                <th>Called</th>
                <th class="number">Calls in 10 s</th>
                <th class="number">Usually</th>
                <th class="number">Mean time</th>
                <th class="number">Usually</th>
                <th class="number">Failures beyond usual</th>
              </tr>
            </thead>
            <tbody>
              {calls.map((call) => (
                <tr key={`${call.caller} ${call.callee}`}>
                  <td>{call.caller}</td>
                  <td>{call.callee}</td>
                  <td class="number">{number(call.count)}</td>
                  <td class="number">{number(call.usualCount)}</td>
                  <td class="number">{ms(call.mean)}</td>
                  <td class="number">{ms(call.usualMean)}</td>
                  <td class="number">{number(Math.max(0, call.failures), 2)}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      </details>
    </section>
  );
}
