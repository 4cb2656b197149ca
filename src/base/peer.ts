import { isIPv6 } from "node:net";

const ipv4 = /^[\d.]+$/;

/**
 * Returns the sender that an address stands for when limits are shared out. IPv4 addresses stand for themselves, even if a
 * dual-stack socket shows them as IPv6; an IPv6 address stands for its /64, which one host or customer is given.
 */
export function peerOf(address: string | undefined): string {
  if (address === undefined) return "";
  if (ipv4.test(address)) return address;
  const bare = bareAddress(address).replace(/%.*$/, "");
  if (!isIPv6(bare)) return bare;
  const [head, tail] = bare.split("::") as [string, string | undefined];
  const first = head === "" ? [] : head.split(":");
  const last = tail === undefined || tail === "" ? [] : tail.split(":");
  const zeros = tail === undefined ? 0 : 8 - first.length - last.length;
  const groups = [...first, ...Array<string>(Math.max(0, zeros)).fill("0"), ...last];
  return `${groups
    .slice(0, 4)
    .map((group) => Number.parseInt(group, 16).toString(16))
    .join(":")}::/64`;
}

/** Returns the address without the prefix with which a dual-stack socket shows IPv4. */
export function bareAddress(address: string): string {
  return address.replace(/^::ffff:(?=\d+\.)/i, "");
}
