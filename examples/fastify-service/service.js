/** A web service on Fastify whose answered requests Driftlock judges. */
import process from "node:process";
import { Driftlock, driftlockPlugin } from "driftlock/fastify";
import Fastify from "fastify";

const driftlock = new Driftlock({
  service: "orders",
  detect: { baseline: { records: 200 } },
  onAnomaly: ({ news, stream, explanation }) => {
    if (news) console.log(`${stream}: ${explanation}`);
  },
});

const app = Fastify();
app.register(driftlockPlugin, { driftlock });
app.get("/orders/:id", async ({ params }) => {
  if (!/^\d+$/.test(params.id)) throw new TypeError(`order number expected, got ${params.id}`);
  return { order: params.id };
});

await app.listen({ port: Number(process.env.PORT ?? 3000), host: "127.0.0.1" });
console.log(`listening on 127.0.0.1:${app.server.address().port}`);

process.once("SIGINT", async () => {
  await app.close();
  await driftlock.close();
});
