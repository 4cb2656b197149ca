/** A web service on Express whose answered requests Driftlock judges. */
import process from "node:process";
import { Driftlock, driftlockMiddleware } from "driftlock/express";
import express from "express";

const driftlock = new Driftlock({
  service: "orders",
  detect: { baseline: { records: 200 } },
  onAnomaly: ({ news, stream, explanation }) => {
    if (news) console.log(`${stream}: ${explanation}`);
  },
});

const app = express();
app.use(driftlockMiddleware(driftlock));
app.get("/orders/:id", ({ params }, response) => {
  if (!/^\d+$/.test(params.id)) throw new TypeError(`order number expected, got ${params.id}`);
  response.json({ order: params.id });
});
// What goes wrong is answered without its details.
app.use((_error, _request, response, _next) => {
  response.status(500).end();
});

const server = app.listen(Number(process.env.PORT ?? 3000), "127.0.0.1", () => {
  console.log(`listening on 127.0.0.1:${server.address().port}`);
});

process.once("SIGINT", async () => {
  server.close();
  server.closeAllConnections();
  await driftlock.close();
});
