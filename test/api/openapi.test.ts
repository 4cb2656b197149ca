import { createConfig, lintFromString } from "@redocly/openapi-core";
import { beforeAll, describe, expect, it } from "vitest";
import type { Document, Media } from "./documented.ts";
import { documentOf } from "./support.ts";

let document: Document;
beforeAll(async () => {
  document = await documentOf();
});

const operations = () =>
  Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ name: `${method} ${path}`, operation })),
  );

/** Whether the media type or its schema has an example. */
function hasExample({ example, schema }: Media): boolean {
  const name = /^#\/components\/schemas\/(\w+)$/.exec(schema?.$ref ?? "")?.[1];
  return (example ?? schema?.examples ?? document.components.schemas[name ?? ""]?.examples) !== undefined;
}

describe("the OpenAPI document", () => {
  it("passes the strict rules of a linter", async () => {
    const config = await createConfig({ extends: ["recommended-strict"] });
    const problems = await lintFromString({
      source: JSON.stringify(document),
      absoluteRef: "openapi.json",
      config,
    });
    expect(problems.map(({ ruleId, message, location }) => [ruleId, message, location[0]?.pointer])).toEqual(
      [],
    );
  });

  it("has an example of every body and every answer that is no problem", () => {
    for (const { name, operation } of operations()) {
      const contents = [
        operation.requestBody?.content,
        ...Object.entries(operation.responses).flatMap(([status, { content }]) =>
          status < "400" ? [content] : [],
        ),
      ];
      for (const content of contents) {
        for (const [type, media] of Object.entries(content ?? {}))
          expect(hasExample(media), `${name} ${type}`).toBe(true);
      }
    }
    expect(document.components.schemas.Problem!.examples).toBeDefined();
  });

  it("names each operation and each status, and leaves nothing to a default", () => {
    const names = operations().map(({ operation }) => operation.operationId);
    expect(new Set(names).size).toBe(names.length);
    for (const { name, operation } of operations()) {
      expect(operation.operationId, name).toMatch(/^[a-z][A-Za-z]+$/);
      expect(operation.responses, name).not.toHaveProperty("default");
    }
  });
});
