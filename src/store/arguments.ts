/** What is checked of every call, whoever makes it. */
import { InvalidArgument } from "./database/errors.ts";

const maxTenant = 128;
const maxId = 64;

/** Text that both databases take: PostgreSQL has no U+0000, UTF-8 no lone surrogates. Cut to `max` UTF-16 code units. */
export function storable(text: string, max: number): string {
  const clean = text.includes("\0") ? text.replaceAll("\0", "\ufffd") : text;
  return (clean.length > max ? clean.slice(0, max) : clean).toWellFormed();
}

/**
 * A tenant's name is never altered, since two could become one.
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

/** Text that a person wrote. @throws {InvalidArgument} */
export function checkText(
  field: string,
  text: string,
  { min = 0, max }: { min?: number; max: number },
): string {
  if (text.length < min) throw new InvalidArgument(field, "must not be empty");
  if (text.length > max) throw new InvalidArgument(field, `must be at most ${max} characters`);
  return storable(text, max);
}
