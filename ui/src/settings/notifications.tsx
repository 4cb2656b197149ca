/** The channels of notifications, and what they have sent. */
import { useState } from "preact/hooks";
import { request } from "../api/client.ts";
import { useLoad } from "../api/load.ts";
import { mayChange } from "../api/session.ts";
import type { Notifications as NotificationsJson } from "../api/types.ts";
import { plural } from "../parts/format.ts";
import { StateLabel, Time } from "../parts/labels.tsx";
import { Failure, Skeleton } from "../parts/states.tsx";
import { Table } from "../parts/table.tsx";
import { printable } from "../parts/text.ts";
import { address } from "../shell/router.ts";
import { notify } from "../shell/toasts.tsx";

type Channel = NotificationsJson["channels"][number];

const types: Readonly<Record<Channel["type"], string>> = {
  alertmanager: "Alertmanager",
  webhook: "Webhook",
  slack: "Slack",
  teams: "Microsoft Teams",
  pagerduty: "PagerDuty",
  email: "E-mail",
  grafana: "Grafana",
  otlp: "Downstream",
};

const marks: Readonly<Record<string, string>> = { delivered: "ended", failing: "failed" };

function takes({ service, min_severity }: Channel): string {
  const parts = [service && `services ${service}`, min_severity && `severity ${min_severity} and above`];
  return parts.filter(Boolean).join("; ") || "everything";
}

function Channels({ channels }: { channels: Channel[] }) {
  const [testing, setTesting] = useState<string>();
  const test = async (channel: string) => {
    setTesting(channel);
    try {
      const body = { channel };
      const { accepted, reason } = await request<{ accepted: boolean; reason: string | null }>(
        "/v1/notifications/test",
        { method: "POST", body },
      );
      notify(
        accepted
          ? { text: `${channel} has accepted the test.`, kind: "done" }
          : { text: `${channel} has not accepted the test: ${reason}.`, kind: "failed" },
      );
    } catch (error) {
      notify({ text: `No test was sent to ${channel}: ${(error as Error).message}.`, kind: "failed" });
    }
    setTesting(undefined);
  };
  return (
    <Table
      label="Channels"
      rows={channels}
      keyOf={({ name }) => name}
      columns={[
        {
          name: "State",
          cell: ({ failing, waiting }) => (
            <StateLabel
              state={failing > 0 ? "failed" : "active"}
              name={
                failing > 0
                  ? `${plural(failing, "message")} not accepted`
                  : waiting > 0
                    ? `${plural(waiting, "message")} waiting`
                    : "Nothing waits"
              }
            />
          ),
        },
        { name: "Channel", cell: ({ name }) => name },
        { name: "Kind", cell: ({ type }) => types[type] },
        { name: "For", kind: "text", cell: takes },
        {
          name: "Latest message",
          cell: ({ sent_at: at }) => (at === null ? "none" : <Time at={at} relative />),
        },
        {
          name: "Test",
          unnamed: true,
          cell: ({ name }) =>
            mayChange() && (
              <button type="button" disabled={testing !== undefined} onClick={() => void test(name)}>
                {testing === name ? "Sending" : "Send a test"}
              </button>
            ),
        },
      ]}
    />
  );
}

function OutboxState({ entry }: { entry: NotificationsJson["outbox"][number] }) {
  const { state, attempts } = entry;
  const name = attempts > 0 && state === "failing" ? `failing, ${plural(attempts, "attempt")}` : state;
  return <StateLabel state={marks[state] ?? "pending"} name={name} />;
}

export function Notifications() {
  const { data, error, reload } = useLoad(
    "notifications",
    (signal) => request<NotificationsJson>("/v1/notifications", { signal }),
    15_000,
  );
  if (data === undefined) {
    return error ? <Failure error={error} retry={reload} stale={false} /> : <Skeleton />;
  }
  const { channels, windows, outbox } = data;
  const open = windows.filter(({ open_until }) => open_until !== null);
  return (
    <>
      {error && <Failure error={error} retry={reload} stale />}
      <section class="card">
        <h2>Channels</h2>
        {channels.length === 0 ? (
          <p>
            Nobody is notified of incidents: no channel is configured. Set <code>notify.slack</code>,{" "}
            <code>notify.email</code> or another one in the configuration.
          </p>
        ) : (
          <Channels channels={channels} />
        )}
        {windows.length > 0 && (
          <p class="hint">
            {open.length === 0
              ? `${plural(windows.length, "window")} of quiet hours or maintenance: none is open.`
              : open.map(({ name, open_until }) => (
                  <span key={name}>
                    The window {name} holds back what it matches until <Time at={open_until!} />.{" "}
                  </span>
                ))}
          </p>
        )}
      </section>
      <section class="card">
        <h2>Outbox</h2>
        {outbox.length === 0 ? (
          <p>No message about an incident was due yet.</p>
        ) : (
          <Table
            label="Outbox"
            frame="tall"
            rows={outbox}
            keyOf={({ incident, channel }) => `${incident} ${channel}`}
            columns={[
              { name: "State", cell: (entry) => <OutboxState entry={entry} /> },
              { name: "Channel", cell: ({ channel }) => channel },
              {
                name: "Incident",
                kind: "text",
                cell: ({ incident, title }) => (
                  <a href={address(`/incidents/${encodeURIComponent(incident)}`)}>{printable(title)}</a>
                ),
              },
              { name: "Changed", cell: (entry) => <Time at={entry.changed_at} /> },
              { name: "Sent", cell: ({ sent_at: at }) => at !== null && <Time at={at} /> },
              { name: "Next", cell: ({ next_at: at }) => at !== null && <Time at={at} /> },
            ]}
          />
        )}
      </section>
    </>
  );
}
