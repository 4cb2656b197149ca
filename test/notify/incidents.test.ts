import { describe, expect, it } from "vitest";
import { Severity } from "../../src/gen/driftlock/v1/anomaly_pb.js";
import { IncidentState } from "../../src/gen/driftlock/v1/incidents_pb.js";
import { incidentNotices, type Notice, type Resolution } from "../../src/notify/index.ts";
import { id, incident } from "../store/fixtures.ts";

/** What people are told of incidents. */
function told(publicUrl?: string) {
  const heard: (Notice | Resolution)[] = [];
  const take = (item: Notice | Resolution) => void heard.push(item);
  return { heard, sink: incidentNotices({ offer: take, resolve: take }, publicUrl) };
}

describe("the notice of an incident", () => {
  it("names what is unusual, the causes with their reasons, and where to read more", () => {
    const { heard, sink } = told("https://driftlock.example/");
    const cause = {
      service: "payment",
      instance: "payment-1",
      host: "",
      reasons: ["It is slow", "It is new"],
    };
    const sentence = "The duration of spans is unusual in payment; the cause seems to be payment.";
    sink(incident({ sentence, ranking: [cause] }));
    expect(heard).toEqual([
      {
        tenant: "acme",
        incident: id(1),
        state: "open",
        severity: "high",
        title: "The duration of spans is unusual in payment",
        sentence: "The duration of spans is unusual in payment; the cause seems to be payment",
        startsAt: Date.parse("2026-01-31T00:00:00Z"),
        services: ["payment", "checkout"],
        causes: [{ service: "payment, payment-1", reason: "It is slow; It is new" }],
        link: `https://driftlock.example/v1/incidents/${id(1)}`,
      },
    ]);
  });

  it("has no link without an address of the API, and a severity that receivers know", () => {
    const { heard, sink } = told();
    sink(incident({ severity: Severity.UNSPECIFIED }));
    expect(heard[0]).toMatchObject({ severity: "low" });
    expect(heard[0]).not.toHaveProperty("link");
  });
});

it("neither minor nor silenced incidents notify, and every end counts", () => {
  const { heard, sink } = told();
  sink(incident({ minor: true }));
  sink(incident({ silencedBy: "s1" }));
  expect(heard).toEqual([]);
  sink(incident({ minor: true, state: IncidentState.ENDED }));
  sink(incident({ silencedBy: "s1", state: IncidentState.MERGED, mergedInto: id(2) }));
  const resolution = { tenant: "acme", incident: id(1), endsAt: Date.parse("2026-01-31T00:00:00Z") };
  expect(heard).toEqual([resolution, resolution]);
});
