/**
 * Bundles that were made by earlier code, one for each format of recordings. What they prove is proven for ever. Their verdicts are
 * computed again as long as this version reads the format; otherwise it is said which version does that.
 * `BUNDLE=make vitest run test/verify/older.test.ts` writes the bundle of the present format.
 */
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { decodeRecording, decodeReport, type Report } from "../../src/anomaly/report.ts";
import { canonicalJson } from "../../src/base/canonical.ts";
import { sha256 } from "../../src/base/sha256.ts";
import { privacy as privacySection } from "../../src/config/schema/privacy.ts";
import type { Bundle } from "../../src/evidence/bundle.ts";
import { recompute } from "../../src/index.ts";
import { canonicalPolicy } from "../../src/privacy/policy.ts";
import { loadRecompute, type VerifyOptions, verifyBundle } from "../../src/verify/index.ts";
import { firstReportsOfShop } from "../engine/first-reports.ts";
import { firstReportsOnOwn, ownPrivacy } from "../engine/own-detectors.ts";
import { startAuthority } from "../evidence/authority.ts";
import { folder, making } from "../evidence/made.ts";
import { incident } from "../store/fixtures.ts";

const bundles = new URL("./bundles/", import.meta.url);
const tenant = "default";

/** Makes a bundle about an incident of anomalies of several channels, with all that a bundle can have. */
async function makeBundle(): Promise<void> {
  const authority = await startAuthority(folder());
  const policy = JSON.parse(canonicalPolicy(privacySection.parse(ownPrivacy)));
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
  // Two that depend on a pattern or on an allow-list.
  const given = (await firstReportsOnOwn()).map((report) => ({
    report,
    ...decodeRecording(report.recording!).privacy!,
  }));
  reports.push(given.find(({ findings, allowed }) => findings.length > 0 && allowed.length === 0)!.report);
  reports.push(given.find(({ findings, allowed }) => findings.length > 0 && allowed.length > 0)!.report);
  for (const report of reports) made.store.writer.offer(report);
  await made.store.writer.flush();
  const anomalyIds = reports.map(({ message }) => message.id);
  const about = incident({ tenant });
  about.members[0]!.anomalyIds = anomalyIds;
  await made.store.incidents.record({ incidents: [about], changes: [] });
  await made.store.anomalies.patch(tenant, anomalyIds[0]!, { state: "acknowledged", author: "bo" });
  await made.store.incidents.patch(tenant, about.id, { state: "resolved", author: "cy", note: "a restart" });
  await made.queue.create(tenant, { anomaly: anomalyIds[0]! }, "ann");
  const { id } = (await made.queue.create(tenant, { incident: about.id }, "ann"))!;
  authority.close();
  const file = (await made.store.evidence.bytes(tenant, id))!;
  const { format } = decodeRecording(reports[0]!.recording!);
  writeFileSync(new URL(`format-${format}.evidence`, bundles), file);
  writeFileSync(new URL(`format-${format}.pem`, bundles), authority.root);
}
if (process.env.BUNDLE === "make") await makeBundle();

/** The formats of which there is a bundle, and the oldest that this version computes again. */
const formats = readdirSync(bundles).flatMap((name) => name.match(/^format-(\d+)\.evidence$/)?.[1] ?? []);
const oldest = 12;
const module = "build/wasm/driftlock-verify.wasm";

describe.each(formats.map(Number).sort((a, b) => a - b))(
  "a bundle with recordings of format %i",
  (format) => {
    const file = readFileSync(new URL(`format-${format}.evidence`, bundles), "utf8");
    const { content } = JSON.parse(file) as Bundle;

    it("proves what it proved", async () => {
      const { checks } = await verifyBundle(file, {
        keys: [{ public_key: content.signing.public_key }],
        authorities: readFileSync(new URL(`format-${format}.pem`, bundles), "utf8"),
      });
      const proofs = checks.filter(({ name: check }) => check !== "recordings" && check !== "incidents");
      expect(proofs.filter(({ ok }) => ok !== true)).toEqual([]);
      expect(proofs.length).toBeGreaterThanOrEqual(11);
      expect(checks.find((check) => check.name === "incidents")!.ok).not.toBe(false);
    });

    const expectRecordings = async (recompute: VerifyOptions["recompute"]) => {
      const { checks } = await verifyBundle(file, { recompute: recompute!, version: "later" });
      const { ok, details } = checks.find((check) => check.name === "recordings")!;
      if (format >= oldest) {
        expect([ok, details[0]]).toEqual([
          true,
          expect.stringMatching(/^(\d+) of \1 verdicts were computed again/),
        ]);
        return;
      }
      expect(ok).toBe(null);
      for (const text of details) {
        expect(text).toMatch(
          /the recording has format \d+, and this version of Driftlock reads formats 12 to \d+: use driftlock-verify of version 0\.1\.0, which made it\.$/,
        );
      }
    };

    it("is computed again, or names the version that does it", () => expectRecordings(recompute));

    it.skipIf(!existsSync(module))("and in WebAssembly", async () => {
      const again = await loadRecompute(readFileSync(module));
      await expectRecordings((recording) => decodeReport(again(recording)));
    });
  },
);

it("there is one of each format that is read, up to the present one", async () => {
  const [{ recording }] = (await firstReportsOfShop()).filter(({ recording }) => recording) as [Report];
  const { format } = decodeRecording(recording!);
  const read = Array.from({ length: format - oldest + 1 }, (_, i) => String(oldest + i));
  expect(formats).toEqual(expect.arrayContaining(read));
});
