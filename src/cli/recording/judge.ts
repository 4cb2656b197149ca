import type { Engine, Judged } from "../../engine/index.ts";
import type { Input } from "./input.ts";

/** Number of requests in the engine at once, enough to keep its threads busy while their verdicts are used. */
const depth = 8;

/**
 * Judges requests in their order. The verdicts of a request depend only on those before it.
 * @throws {Error} that names the place of a request that the engine refuses.
 */
export async function* judgeInOrder(
  inputs: AsyncIterable<Input>,
  engine: Engine,
  tenant: string,
): AsyncGenerator<{ input: Input; outcome: Judged }, void> {
  const pending: { input: Input; judged: Promise<Judged> }[] = [];
  const settle = async () => {
    const { input, judged } = pending.shift()!;
    const outcome = await judged.catch((error: Error) => {
      throw new Error(`${input.place}: ${error.message}`, { cause: error });
    });
    return { input, outcome };
  };
  for await (const input of inputs) {
    const judged = engine.process(input.signal, tenant, input.body);
    // It is awaited in turn; until then, a failure must not count as unhandled.
    judged.catch(() => {});
    pending.push({ input, judged });
    if (pending.length === depth) yield await settle();
  }
  while (pending.length > 0) yield await settle();
}
