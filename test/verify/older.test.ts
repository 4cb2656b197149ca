/**
 * Bundles that were made by earlier versions. What they prove is proven for ever. Their verdicts are computed again as long as the
 * format of states is the same; afterwards it is said which version does that. `BUNDLE=make vitest run test/verify/older.test.ts` adds
 * the bundle of this version.
 */
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { canonicalJson } from "../../src/base/canonical.ts";
import { sha256 } from "../../src/base/sha256.ts";
import type { Bundle } from "../../src/evidence/bundle.ts";
import { recompute } from "../../src/index.ts";
import { verifyBundle } from "../../src/verify/index.ts";
import { packageVersion } from "../../src/version.ts";
import { firstReportsOfShop } from "../engine/first-reports.ts";
import { startAuthority } from "../evidence/authority.ts";
import { folder, making } from "../evidence/made.ts";
import { incident } from "../store/fixtures.ts";

const bundles = new URL("./bundles/", import.meta.url);
const tenant = "default";

/** Makes a bundle about an incident of anomalies of several channels, with all that a bundle can have. */
async function makeBundle(): Promise<void> {
  const authority = await startAuthority(folder());
  const policy = { stored: "mask" };
  const privacy = () => ({
    hash: sha256(canonicalJson(policy)),
    policy,
    counts: [{ kind: "email", place: "stored", count: 3 }],
  });
  const made = await making({ timestamps: { url: authority.url } }, { privacy });
  const recorded = (await firstReportsOfShop()).filter(({ recording }) => recording);
  const byChannel = Map.groupBy(recorded, ({ message }) => message.channel);
  const reports = [...byChannel.values()].map(
    (each) => each.toSorted((a, b) => a.recording!.length - b.recording!.length)[0]!,
  );
  for (const report of reports) made.store.writer.offer(report);
  await made.store.writer.flush();
  const anomalyIds = reports.map(({ message }) => message.id);
  const about = incident({ tenant });
  about.members[0]!.anomalyIds = anomalyIds;
  await made.store.incidents.record({ incidents: [about], changes: [] });
  await made.store.anomalies.patch(tenant, anomalyIds[0]!, { state: "acknowledged", author: "bo" });
  await made.store.incidents.patch(tenant, about.id, { state: "resolved", author: "cy", note: "a restart" });
  await made.maker.create(tenant, { anomaly: anomalyIds[0]! }, "ann");
  const { id } = (await made.maker.create(tenant, { incident: about.id }, "ann"))!;
  authority.close();
  const file = (await made.store.evidence.bytes(tenant, id))!;
  writeFileSync(new URL(`${packageVersion()}.evidence`, bundles), file);
  writeFileSync(new URL(`${packageVersion()}.pem`, bundles), authority.root);
}
if (process.env.BUNDLE === "make") await makeBundle();

const names = readdirSync(bundles).filter((name) => name.endsWith(".evidence"));

describe.each(names)("%s", (name) => {
  const file = readFileSync(new URL(name, bundles), "utf8");
  const { content } = JSON.parse(file) as Bundle;
  const version = name.replace(".evidence", "");

  it("proves what it proved", async () => {
    const { checks } = await verifyBundle(file, {
      keys: [{ public_key: content.signing.public_key }],
      authorities: readFileSync(new URL(name.replace(".evidence", ".pem"), bundles), "utf8"),
    });
    const proofs = checks.filter(({ name: check }) => check !== "recordings" && check !== "incidents");
    expect(proofs.filter(({ ok }) => ok !== true)).toEqual([]);
    expect(proofs.length).toBeGreaterThanOrEqual(11);
  });

  it("is computed again, or names the version that does it", async () => {
    const { checks } = await verifyBundle(file, { recompute, version: "later" });
    const { ok, details } = checks.find((check) => check.name === "recordings")!;
    if (ok) expect(details[0]).toMatch(/^(\d+) of \1 verdicts? (?:was|were) computed again/);
    else expect([ok, ...details.filter((text) => !text.includes(`version ${version}`))]).toEqual([null]);
    // Bundles of 0.1.0 do not have what their incidents were formed from.
    const incidents = checks.find((check) => check.name === "incidents")!;
    expect([incidents.ok, incidents.details.join()]).toEqual(
      version === "0.1.0"
        ? [null, expect.stringContaining("cannot be formed again")]
        : [true, expect.any(String)],
    );
  });
});

it("is there", () => expect(names.length).toBeGreaterThan(0));
