/** The agents: their models, their tools, and what people ask of them. */

export interface Model {
  /** The value of `gen_ai.provider.name`. */
  provider: string;
  /** The values of `gen_ai.request.model` and `gen_ai.response.model`. */
  request: string;
  response: string;
  /** What the provider answers with when the model is swapped. */
  other: string;
  /** What the ids of its responses begin with. */
  ids: string;
  /** Whether the instructions are the first message, or apart from the messages. */
  instructed: "in messages" | "apart";
  /** Medians: seconds until the first chunk, output tokens per second, tokens of reasoning. */
  firstChunk: number;
  speed: number;
  reasoning: number;
}

export interface Tool {
  name: string;
  /** JSON with facts in braces. */
  arguments: string;
  result: string;
  /** The median duration in milliseconds. */
  duration: number;
}

/** What people ask for, and how the agent does it. */
export interface Task {
  weight: number;
  asks: readonly string[];
  /** The tools in order. `often` is how likely a step is, `most` how many times it is done at most. */
  steps: readonly { tool: string; often?: number; most?: number }[];
  answers: readonly string[];
}

export interface Agent {
  service: string;
  name: string;
  version: string;
  model: Model;
  prompt: { name: string; version: string };
  instructions: string;
  tools: Readonly<Record<string, Tool>>;
  tasks: readonly Task[];
}

const small: Model = {
  provider: "openai",
  request: "gpt-5-mini",
  response: "gpt-5-mini-2025-08-07",
  other: "gpt-5-nano-2025-08-07",
  ids: "chatcmpl-",
  instructed: "in messages",
  firstChunk: 0.45,
  speed: 90,
  reasoning: 40,
};
const large: Model = {
  provider: "anthropic",
  request: "claude-sonnet-4-5",
  response: "claude-sonnet-4-5-20250929",
  other: "claude-haiku-4-5-20251001",
  ids: "msg_",
  instructed: "apart",
  firstChunk: 0.9,
  speed: 60,
  reasoning: 80,
};

const tool = (name: string, given: string, result: string, duration: number): Tool => ({
  name,
  arguments: given,
  result,
  duration,
});

/** All agents have it, but only one needs it: injected instructions make the others call it. */
export const sendEmail = tool(
  "send_email",
  '{"to":"{name}","subject":"Your request of {date}"}',
  '{"sent":true}',
  180,
);

const byName = (...tools: Tool[]): Record<string, Tool> =>
  Object.fromEntries(tools.map((each) => [each.name, each]));

export const agents: readonly Agent[] = [
  {
    service: "helpdesk",
    name: "support",
    version: "3.2.0",
    model: small,
    prompt: { name: "support-agent", version: "14" },
    instructions:
      "You are the support agent of an outdoor shop. Look orders up before you answer. Be brief and friendly, and never promise a date that the carrier has not confirmed.",
    tools: byName(
      tool(
        "find_order",
        '{"order":"{order}"}',
        '{"order":"{order}","customer":"{name}","items":["{product}"],"carrier":"{carrier}","parcel":"{parcel}","total":{amount}}',
        60,
      ),
      tool(
        "track_parcel",
        '{"carrier":"{carrier}","parcel":"{parcel}"}',
        '{"parcel":"{parcel}","status":"{status}","place":"{city}","expected":"{date}"}',
        240,
      ),
      tool(
        "search_help",
        '{"query":"{product} {reason}"}',
        '{"hits":[{"title":"Returns","text":"Items can be returned within 30 days if they are unused."},{"title":"Exchange","text":"We send the {product} in another size as soon as the first is on its way back."}]}',
        90,
      ),
      tool(
        "create_return",
        '{"order":"{order}","reason":"{reason}"}',
        '{"label":"{parcel!}","valid_until":"{date}"}',
        150,
      ),
      sendEmail,
    ),
    tasks: [
      {
        weight: 5,
        asks: [
          "Where is my order {order}?",
          "Hello, my order {order} has not arrived yet. Can you look where it is?",
          "When will {order} be delivered? I ordered a {product} last week.",
        ],
        steps: [{ tool: "find_order" }, { tool: "track_parcel" }],
        answers: [
          "Your {product} is {status} in {city}. {carrier} expects to deliver it on {date}.",
          "I have looked it up: parcel {parcel} is {status} ({city}). The expected day is {date}. Is there anything else that I can do for you?",
        ],
      },
      {
        weight: 3,
        asks: [
          "I would like to send the {product} from order {order} back, it is {reason}.",
          "The {product} is {reason}. How can I return it? The order is {order}.",
        ],
        steps: [{ tool: "find_order" }, { tool: "search_help", often: 0.5 }, { tool: "create_return" }],
        answers: [
          "I have made a return label for order {order}. It is valid until {date}; you will receive {amount} euros once the {product} is here.",
          "That is no problem. Please use the label {parcel} and send the {product} until {date}.",
        ],
      },
      {
        weight: 2,
        asks: ["Can I exchange a {product} for another size?", "What do I do if a {product} is {reason}?"],
        steps: [{ tool: "search_help", most: 2 }],
        answers: [
          "You can return the {product} within 30 days if it is unused, and we send another one as soon as it is on its way.",
        ],
      },
      {
        weight: 1,
        asks: ["Thank you!", "Great, thanks for your help.", "Perfect, that is all."],
        steps: [],
        answers: ["You are welcome. Enjoy your {product}!", "Gladly. Have a good trip!"],
      },
    ],
  },
  {
    service: "helpdesk",
    name: "travel",
    version: "1.8.2",
    model: large,
    prompt: { name: "travel-agent", version: "7" },
    instructions:
      "You plan trips. Check the weather and the calendar first, compare at least two offers, and reserve only what the user has confirmed.",
    tools: byName(
      tool("get_weather", '{"city":"{city}","day":"{date}"}', '{"sky":"{sky}","degrees":{degrees}}', 120),
      tool(
        "search_flights",
        '{"to":"{city}","day":"{date}"}',
        '[{"flight":"{flight}","price":{amount}},{"flight":"{flight!}","price":{amount!}}]',
        700,
      ),
      tool(
        "search_hotels",
        '{"city":"{city}","nights":{count}}',
        '[{"hotel":"{hotel!}","price":{amount!}},{"hotel":"{hotel}","price":{amount}}]',
        520,
      ),
      tool(
        "reserve_hotel",
        '{"hotel":"{hotel}","from":"{date}","nights":{count}}',
        '{"reservation":"{invoice}"}',
        400,
      ),
      tool("create_event", '{"title":"Trip to {city}","day":"{date}"}', '{"event":"{page}"}', 80),
      sendEmail,
    ),
    tasks: [
      {
        weight: 4,
        asks: ["What is the weather like in {city} on {date}?", "Do I need a jacket in {city} on {date}?"],
        steps: [{ tool: "get_weather" }],
        answers: ["It will be {sky} in {city} on {date}, with about {degrees} degrees."],
      },
      {
        weight: 3,
        asks: [
          "Find me a flight to {city} on {date}.",
          "How can I get to {city} on {date}, and what does it cost?",
        ],
        steps: [
          { tool: "get_weather", often: 0.5 },
          { tool: "search_flights", most: 2 },
        ],
        answers: [
          "The cheapest flight to {city} on {date} is {flight} for {amount} euros. Shall I look for a hotel as well?",
        ],
      },
      {
        weight: 3,
        asks: [
          "Book a hotel in {city} for {count} nights from {date}.",
          "I need a room in {city} on {date} for {count} nights, please reserve {hotel} if it is free.",
        ],
        steps: [
          { tool: "search_hotels", most: 2 },
          { tool: "reserve_hotel" },
          { tool: "create_event", often: 0.6 },
        ],
        answers: [
          "I have reserved {hotel} in {city} from {date} for {count} nights. The reservation is {invoice}, the price {amount} euros.",
        ],
      },
    ],
  },
  {
    service: "backoffice",
    name: "billing",
    version: "2.0.1",
    model: small,
    prompt: { name: "billing-agent", version: "3" },
    instructions:
      "You answer questions of the accounting team. Quote amounts exactly as the tools return them. Refund nothing above 400 euros.",
    tools: byName(
      tool(
        "get_invoice",
        '{"invoice":"{invoice}"}',
        '{"invoice":"{invoice}","customer":"{name}","total":{amount},"due":"{date}","paid":false}',
        50,
      ),
      tool(
        "list_payments",
        '{"customer":"{name}"}',
        '[{"day":"{date}","amount":{amount}},{"day":"{date!}","amount":{amount!}}]',
        110,
      ),
      tool("refund_payment", '{"invoice":"{invoice}","amount":{amount}}', '{"refund":"{parcel}"}', 300),
      sendEmail,
    ),
    tasks: [
      {
        weight: 5,
        asks: ["Is invoice {invoice} paid?", "Please check {invoice}, the customer says that it is paid."],
        steps: [{ tool: "get_invoice" }, { tool: "list_payments" }],
        answers: [
          "Invoice {invoice} of {name} over {amount} euros is open; it is due on {date}. No payment matches it.",
          "{name} has paid {amount} euros on {date}, which belongs to {invoice}.",
        ],
      },
      {
        weight: 2,
        asks: [
          "Refund {amount} euros on {invoice}.",
          "The customer of {invoice} was charged twice; please refund it.",
        ],
        steps: [{ tool: "get_invoice" }, { tool: "refund_payment" }, { tool: "send_email" }],
        answers: [
          "I have refunded {amount} euros to {name} and sent a confirmation. The reference is {parcel}.",
        ],
      },
      {
        weight: 2,
        asks: ["List the payments of {name}."],
        steps: [{ tool: "list_payments" }],
        answers: ["{name} has made {count} payments, the latest over {amount} euros on {date}."],
      },
    ],
  },
  {
    service: "backoffice",
    name: "research",
    version: "0.9.4",
    model: large,
    prompt: { name: "research-agent", version: "21" },
    instructions:
      "You research a question on the web. Read several sources, state where each figure comes from, and say so if the sources disagree.",
    tools: byName(
      tool(
        "web_search",
        '{"query":"{topic} {city!} {year!}"}',
        '[{"url":"https://{site}/{page}","title":"{topic}: a survey"},{"url":"https://{site!}/{page!}","title":"{topic} in figures"}]',
        600,
      ),
      tool(
        "read_page",
        '{"url":"https://{site}/{page}"}',
        '{"text":"In {year} the share of {topic} grew by {percent} percent, mostly in {city}. Experts expect {percent!} percent for the coming year, if prices stay as they are."}',
        900,
      ),
      tool("save_note", '{"title":"{topic}","source":"{site}"}', '{"note":"{page}"}', 40),
      sendEmail,
    ),
    tasks: [
      {
        weight: 3,
        asks: ["What is known about {topic} in {city}?", "How has {topic} developed since {year}?"],
        steps: [
          { tool: "web_search", most: 3 },
          { tool: "read_page", most: 4 },
          { tool: "save_note", often: 0.7 },
        ],
        answers: [
          "According to {site}, {topic} grew by {percent} percent in {year}. A second source gives a lower figure, because it counts {city} alone. I have saved a note with both.",
          "The sources agree that {topic} has grown since {year}, most of all in {city}. The estimates for the coming year are around {percent} percent.",
        ],
      },
      {
        weight: 1,
        asks: ["Summarise https://{site}/{page}."],
        steps: [{ tool: "read_page" }],
        answers: ["The page reports that {topic} grew by {percent} percent in {year}, mostly in {city}."],
      },
    ],
  },
];
