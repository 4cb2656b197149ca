/**
 * Substitutes `${env:NAME}`, `${NAME}` and `${env:NAME:-default}` in a value, as the Collector does; `$$` is a dollar
 * sign.
 */

const reference = /\$\$|\$\{([^}]*)\}/g;
const variable = /^(?:env:)?([A-Za-z_][A-Za-z0-9_]*)(?::-(.*))?$/s;

export interface Substitution {
  text: string;
  /** True if a variable was substituted, so that the text is converted to the type of its key. */
  substituted: boolean;
  problems: string[];
}

export function substitute(text: string, env: NodeJS.ProcessEnv): Substitution {
  const problems: string[] = [];
  let substituted = false;
  const result = text.replace(reference, (whole, inside: string | undefined) => {
    if (inside === undefined) return "$";
    substituted = true;
    const match = variable.exec(inside);
    if (match === null) {
      problems.push(
        `does not understand ${whole}; write \${env:NAME} or \${env:NAME:-default}, and $$ for a dollar sign`,
      );
      return whole;
    }
    const [, name, fallback] = match;
    const found = env[name!] ?? fallback;
    if (found === undefined) {
      problems.push(
        `needs the environment variable ${name}, which is not set; set it or write \${env:${name}:-default}`,
      );
    }
    return found ?? "";
  });
  return { text: result, substituted, problems };
}
