import { isIPv6 } from "node:net";

const ipv4 = /^[\d.]+$/;

/**
 * The sender that an address stands for, when limits are shared out: IPv4 as it is, also where a socket for both families
 * shows it as IPv6; of IPv6 the /64, which is what one host or customer is given.
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

/** Without the prefix by which a socket for both families shows IPv4. */
export function bareAddress(address: string): string {
  return address.replace(/^::ffff:(?=\d+\.)/i, "");
}
