/** The reference of the error codes. */
import { errorCodes } from "../../src/base/error-codes.ts";
import { generatedFrom, table } from "./markdown.ts";

export function errorsPage(): string {
  const rows = Object.entries(errorCodes).map(([code, { class: name, cause, remedy }]) => [
    `\`${code}\``,
    name,
    cause,
    remedy,
  ]);
  return `# Errors reference

${generatedFrom("src/base/error-codes.ts")}

Every error that the library throws, or with which a promise rejects, has one of these codes in its property \`code\`. Codes
are stable; messages are written for people and may change. Errors of Node.js and of your own code, such as one that a getter
of an options object throws, pass unchanged.

${table(["Code", "Class", "Cause", "Remedy"], rows)}

\`\`\`js
import { Engine, parseConfig } from "driftlock/engine";

const engine = new Engine(parseConfig({}).detect, { mode: "all" });
try {
  await engine.process("logs", "default", Buffer.from("no protobuf"));
} catch (error) {
  console.log(error.code, error.message);
}
await engine.close();
\`\`\`

It prints:

\`\`\`
ERR_DRIFTLOCK_OTLP_MALFORMED malformed logs request: ExportLogsServiceRequest: group or unknown wire type, at byte 0
\`\`\`
`;
}
