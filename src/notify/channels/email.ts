/** E-mail by SMTP. All messages about an incident are one thread. */
import type { ConfigOf } from "../../config/schema/notify.ts";
import { type Channel, DeliveryError, type Message } from "../channel.ts";
import { noticeMatcher } from "../notice.ts";
import { readSecret } from "../secret.ts";
import { textOf, titleOf } from "../text.ts";

const timeoutMs = 10_000;

export function email(config: ConfigOf<"email">): Channel {
  const { name, match, max_per_hour, from, to } = config;
  return {
    name,
    type: "email",
    matches: noticeMatcher(match),
    maxPerHour: max_per_hour,
    async send(message) {
      const transport = await transportOf(config);
      try {
        await transport.sendMail({
          from,
          to,
          subject: titleOf(message),
          text: textOf(message),
          headers: { "Auto-Submitted": "auto-generated" },
          ...thread(message),
        });
      } catch (error) {
        throw failure(config, error as SmtpError);
      } finally {
        transport.close();
      }
    },
  };
}

async function transportOf({ host, port, tls, user, password }: ConfigOf<"email">) {
  // Most installations send no e-mail, and start sooner without the library.
  const { createTransport } = await import("nodemailer");
  return createTransport({
    host,
    port,
    secure: tls === "implicit",
    requireTLS: tls === "starttls",
    ignoreTLS: tls === "none",
    connectionTimeout: timeoutMs,
    greetingTimeout: timeoutMs,
    socketTimeout: timeoutMs,
    dnsTimeout: timeoutMs,
    // Texts of records must not make the library read files or URLs.
    disableFileAccess: true,
    disableUrlAccess: true,
    ...(user !== undefined && { auth: { user, pass: password === undefined ? "" : readSecret(password) } }),
  });
}

/** A message that is sent again has the same id, and those about one incident refer to the first. */
function thread(message: Message): object {
  const of = (id: string) => `<${id}@driftlock>`;
  if (message.kind === "summary") return { messageId: of(message.id) };
  const first = of(message.key);
  if (message.kind === "opened") return { messageId: first };
  return { messageId: of(message.id), inReplyTo: first, references: first };
}

type SmtpError = Error & { responseCode?: number; response?: string; code?: string };

/** A 5xx response is permanent (RFC 5321), except about authentication, which an operator can mend. */
function failure(
  { host, port }: ConfigOf<"email">,
  { responseCode, response, code, message }: SmtpError,
): Error {
  const said = response ?? (code === undefined || message.includes(code) ? message : `${code}: ${message}`);
  const permanent =
    responseCode !== undefined &&
    responseCode >= 500 &&
    code !== "EAUTH" &&
    ![530, 534, 535, 538].includes(responseCode);
  return new DeliveryError(`${host}:${port}: ${said.slice(0, 200)}`, { permanent });
}
