/** Checks that apply to every call. */
import { canonicalJson, type Json } from "../base/canonical.ts";
import { InvalidArgument } from "./database/errors.ts";

const maxTenant = 128;
const maxId = 64;

/**
 * Returns text that both databases accept, truncated to `max` UTF-16 code units: PostgreSQL has no U+0000, and UTF-8 has
 * no lone surrogates.
 */
export function storable(text: string, max: number): string {
  const clean = text.includes("\0") ? text.replaceAll("\0", "\ufffd") : text;
  return (clean.length > max ? clean.slice(0, max) : clean).toWellFormed();
}

/**
 * Checks a tenant's name, which is never altered, since two names could become one.
 * @throws {InvalidArgument}
 */
export function checkTenant(tenant: string): string {
  if (tenant === "" || tenant.length > maxTenant || storable(tenant, maxTenant) !== tenant) {
    throw new InvalidArgument("tenant", `must be 1 to ${maxTenant} characters of Unicode text`);
  }
  return tenant;
}

/** @throws {InvalidArgument} */
export function checkId(field: string, id: string): string {
  if (id.length > maxId || !/^[0-9A-Za-z_-]+$/.test(id)) {
    throw new InvalidArgument(field, `must be 1 to ${maxId} letters, digits, - or _`);
  }
  return id;
}

/** Checks the name of whoever makes a change. @throws {InvalidArgument} */
export function checkAuthor(author: string): string {
  return checkText("author", author, { min: 1, max: 256 });
}

/**
 * Checks text that a person wrote.
 * @throws {InvalidArgument}
 */
export function checkText(
  field: string,
  text: string,
  { min = 0, max }: { min?: number; max: number },
): string {
  if (text.length < min) throw new InvalidArgument(field, "must not be empty");
  if (text.length > max) throw new InvalidArgument(field, `must be at most ${max} characters`);
  return storable(text, max);
}

/**
 * Returns the canonical JSON of what a person wrote.
 * @throws {InvalidArgument} for half a surrogate pair.
 */
export function checkJson(field: string, value: Json): string {
  try {
    return canonicalJson(value);
  } catch (error) {
    throw new InvalidArgument(field, (error as Error).message);
  }
}
