import type { Page, PageRequest } from "../../store/index.ts";

/** Yields the items of a list page by page. */
export async function* pagesOf<T>(list: (request: PageRequest) => Promise<Page<T>>): AsyncGenerator<T[]> {
  for (let after: string | undefined; ; ) {
    const { items, next } = await list(after === undefined ? {} : { after });
    yield items;
    if (next === undefined) return;
    after = next;
  }
}
