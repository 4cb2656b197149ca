/** `make bench-llm`: what is found in the input and output of language models. `node bench/llm/run.ts [NAME]...` */
import process from "node:process";
import { chosen } from "../chosen.ts";
import { type Row, table } from "../table.ts";
import { agentFaults } from "./faults.ts";
import { toolCalls } from "./tool-calls.ts";

const benches: Readonly<Record<string, { title: string; run(): Promise<Row[]> }>> = {
  faults: { title: "Planted faults of agents, with the default budget", run: agentFaults },
  "tool-calls": { title: "Injected tool calls (AgentDojo)", run: toolCalls },
};

for (const name of chosen(benches)) {
  const { title, run } = benches[name]!;
  process.stdout.write(`### ${title}\n\n${table(await run())}\n\n`);
}
