/** The list of conversations with language models: who had them, what they took, and where something was flagged. */
import { useState } from "preact/hooks";
import { urlOf } from "../api/client.ts";
import { usePages } from "../api/pages.ts";
import type { Conversation } from "../api/types.ts";
import { chosen, Field, Menu } from "../parts/choices.tsx";
import { compact, plural } from "../parts/format.ts";
import { StateLabel, Time } from "../parts/labels.tsx";
import { narrow } from "../parts/media.ts";
import { Empty, Failure, Skeleton } from "../parts/states.tsx";
import { printable } from "../parts/text.ts";
import { VirtualList } from "../parts/virtual-list.tsx";
import { useCommands } from "../shell/keys.ts";
import { address, go } from "../shell/router.ts";
import { useTitle } from "../shell/title.ts";
import { costText } from "./cost.ts";

const columns = ["Status", "Conversation", "Agents", "Calls", "Tools", "Tokens", "Cost", "Latest"];
const pageOf = ({ id }: Conversation) => address(`/llm/${encodeURIComponent(id)}`);

function Row({ conversation }: { conversation: Conversation }) {
  const { name, agents, services, calls, tool_calls, failed, flagged, cost } = conversation;
  const who = agents.length > 0 ? agents : services;
  return (
    <>
      <span role="cell" class="c-status">
        {flagged > 0 ? (
          <StateLabel state="open" name={`${compact(flagged)} flagged`} />
        ) : (
          <span class="hint">{failed > 0 ? `${compact(failed)} failed` : "–"}</span>
        )}
      </span>
      <span role="cell" class="c-what" title={name}>
        <a href={pageOf(conversation)}>{printable(name)}</a>
      </span>
      <span role="cell" class="c-agents" title={who.join(", ")}>
        {printable(who.join(", ")) || "–"}
      </span>
      <span role="cell" class="c-calls">
        {compact(calls)}
      </span>
      <span role="cell" class="c-tools">
        {tool_calls === 0 ? "–" : compact(tool_calls)}
      </span>
      <span role="cell" class="c-tokens">
        {compact(conversation.input_tokens + conversation.output_tokens)}
      </span>
      <span role="cell" class="c-cost">
        {costText(cost)}
      </span>
      <span role="cell" class="c-latest">
        <Time at={conversation.end} relative />
      </span>
    </>
  );
}

/** How to send a call, to the address at which the dashboard is. */
function SendCall() {
  const url = new URL(urlOf("/v1/llm"), location.href).href;
  return (
    <>
      <p>
        Calls are read from the spans and events of instrumentations for generative AI. Without one, send a
        call by hand:
      </p>
      <pre class="record">{`curl ${url} \\
  -H 'content-type: application/json' \\
  -d '{"service": "helpdesk", "agent": "support", "prompts": ["Where is my order?"], "responses": ["It is on its way."]}'`}</pre>
    </>
  );
}

export function ConversationsPage() {
  useTitle("LLM");
  const query = chosen("service", "agent", "flagged");
  const pages = usePages<Conversation>("/v1/llm/conversations", query, 10_000);
  const [cursor, setCursor] = useState(-1);
  const { rows } = pages;
  const error = pages.error.value;
  const selected = Math.min(cursor, rows.length - 1);
  const open = () => {
    const conversation = rows[selected];
    if (conversation !== undefined) go(pageOf(conversation));
  };
  useCommands([
    { keys: "j", label: "Next conversation", run: () => setCursor(Math.min(rows.length - 1, selected + 1)) },
    { keys: "k", label: "Previous conversation", run: () => setCursor(Math.max(0, selected - 1)) },
    { keys: "Enter", label: "Open", run: open },
    { keys: "o", label: "Open", run: open },
    { keys: "/", label: "Search", run: () => document.querySelector<HTMLElement>(".search")?.focus() },
  ]);
  return (
    <div class="whole conversations">
      <div class="column">
        <h1 class="hidden">Conversations with language models</h1>
        <div class="filters" role="search">
          <Field name="service" label="Service" />
          <Field name="agent" label="Agent" />
          <Menu
            name="flagged"
            label="Flagged"
            any="All conversations"
            values={{ true: "Flagged", false: "Not flagged" }}
          />
        </div>
        {error && <Failure error={error} retry={pages.reload} stale={rows.length > 0} />}
        {!pages.loaded && !error && <Skeleton lines={14} />}
        {pages.loaded && rows.length === 0 && (
          <Empty
            title={
              query.size > 0
                ? "No conversation matches all filters"
                : "No call of a language model has arrived yet"
            }
          >
            {query.size > 0 ? (
              <p>
                <a href={address("/llm")}>Show all conversations</a>
              </p>
            ) : (
              <SendCall />
            )}
          </Empty>
        )}
        {rows.length > 0 && (
          <div class={`holder ${error ? "stale" : ""}`}>
            <VirtualList
              label="Conversations, the latest first"
              length={rows.length}
              rowHeight={narrow.value ? 60 : 34}
              selected={selected}
              keyAt={(i) => rows[i]!.id}
              row={(i) => <Row conversation={rows[i]!} />}
              onEnd={pages.more}
              head={columns.map((name) => (
                <span
                  key={name}
                  role="columnheader"
                  class={`c-${name === "Conversation" ? "what" : name.toLowerCase()}`}
                >
                  {name}
                </span>
              ))}
            />
          </div>
        )}
        {pages.loaded && rows.length > 0 && (
          <p class="status">
            {plural(rows.length, "conversation")}
            {pages.hasMore && ", more as you scroll"}
          </p>
        )}
      </div>
    </div>
  );
}
