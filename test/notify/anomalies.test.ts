import { expect, it } from "vitest";
import { Severity } from "../../src/gen/driftlock/v1/anomaly_pb.js";
import { noticeOf } from "../../src/notify/anomalies.ts";
import { id, report } from "../store/fixtures.ts";

it.each([
  [
    'a record has 9 new bytes, such as "x; y"; they cost 80 bits; score 7 against a limit of 2, p = 5e-05',
    'a record has 9 new bytes, such as "x; y"',
  ],
  [
    "The span took 50.6 ms; usually 6.19–18.5 ms; score 39 against a limit of 22, p = 7e-07",
    "The span took 50.6 ms; usually 6.19–18.5 ms",
  ],
  ["nothing came for 60 s", "nothing came for 60 s"],
])(
  "an anomaly's notice has what is unusual as its title, and all figures below: %s",
  (explanation, title) => {
    const notice = noticeOf(report({ explanation, severity: Severity.HIGH }), "https://driftlock.example/");
    expect(notice).toMatchObject({
      incident: id(1),
      state: "open",
      severity: "high",
      title: `checkout: ${title}`,
      sentence: `logs service.name=checkout: ${explanation}`,
      startsAt: Date.parse("2026-01-31T00:00:00Z"),
      services: ["checkout"],
      link: `https://driftlock.example/v1/anomalies/${id(1)}`,
    });
  },
);

it("without a service and an address of the API, it names the stream and has no link", () => {
  const notice = noticeOf(report({ serviceName: "", severity: Severity.UNSPECIFIED }), undefined);
  expect(notice).toMatchObject({
    severity: "low",
    services: [],
    title: expect.stringMatching(/^logs service/),
  });
  expect(notice).not.toHaveProperty("link");
});
