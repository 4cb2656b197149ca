/** Checks that the API's responses are in its OpenAPI document. */
export interface Media {
  example?: unknown;
  schema?: { $ref?: string; examples?: unknown[] };
}

interface Operation {
  operationId?: string;
  requestBody?: { content: Record<string, Media> };
  responses: Record<string, { content?: Record<string, Media> }>;
}

export interface Document {
  paths: Record<string, Record<string, Operation>>;
  components: { schemas: Record<string, { examples?: unknown[] }> };
}

/** @throws {Error} if the document does not have the response. Unknown paths and methods may have any response. */
export function requireDocumented({ paths }: Document, method: string, path: string, answer: Response): void {
  const { pathname } = new URL(path, "http://localhost");
  const template = Object.keys(paths).find((each) =>
    new RegExp(`^${each.replace(/\{\w+\}/g, "[^/]+")}$`).test(pathname),
  );
  const operation = template && paths[template]![method.toLowerCase()];
  if (!operation) return;
  const response = operation.responses[answer.status];
  const type = answer.headers.get("content-type")?.split(";", 1)[0];
  if (response === undefined)
    throw new Error(`${method} ${path} answers ${answer.status}, which is not documented`);
  if (type && !Object.hasOwn(response.content ?? {}, type)) {
    throw new Error(`${method} ${path} answers ${answer.status} as ${type}, which is not documented`);
  }
}
