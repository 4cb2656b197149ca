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
try {
  await engine.process("logs", "default", body);
} catch (error) {
  if (error.code !== "ERR_DRIFTLOCK_OTLP_MALFORMED") throw error;
  console.error(error.message); // names the field and the offset
}
\`\`\`
`;
}
