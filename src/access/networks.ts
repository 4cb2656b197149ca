import { BlockList, isIPv6 } from "node:net";
import { bareAddress } from "../base/peer.ts";

/**
 * Returns a function that checks whether an address is in one of the networks, which are addresses with or without a
 * prefix length.
 */
export function networkMatcher(networks: readonly string[]): (address: string | undefined) => boolean {
  const list = new BlockList();
  for (const network of networks) {
    const [address, prefix] = network.split("/") as [string, string | undefined];
    const family = isIPv6(address) ? "ipv6" : "ipv4";
    if (prefix === undefined) list.addAddress(address, family);
    else list.addSubnet(address, Number(prefix), family);
  }
  return (address) => {
    if (address === undefined) return false;
    const bare = bareAddress(address);
    return list.check(bare, isIPv6(bare) ? "ipv6" : "ipv4");
  };
}
