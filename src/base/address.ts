/** Hosts and ports, and which of them are this machine's. */
import { BlockList, isIP, isIPv6 } from "node:net";
import { hostname, networkInterfaces } from "node:os";

export interface Address {
  /** The host, without the brackets of IPv6. */
  host: string;
  port: number;
}

const loopback = new BlockList();
loopback.addSubnet("127.0.0.0", 8, "ipv4");
loopback.addAddress("::1", "ipv6");

const wildcards = new Set(["0.0.0.0", "::"]);

/** Returns one spelling for each host: lower case, no brackets, no final dot, IPv6 in its shortest form, mapped IPv4 as IPv4. */
function normal(host: string): string {
  const bare = host.replace(/^\[|\]$/g, "").toLowerCase();
  if (!isIPv6(bare)) return bare.replace(/\.$/, "");
  const short = new URL(`http://[${bare.split("%")[0]}]`).hostname.slice(1, -1);
  const mapped = /^::ffff:([0-9a-f]{1,4}):([0-9a-f]{1,4})$/.exec(short);
  if (!mapped) return short;
  const [high, low] = [Number.parseInt(mapped[1]!, 16), Number.parseInt(mapped[2]!, 16)];
  return [high >> 8, high & 255, low >> 8, low & 255].join(".");
}

/** Parses `host:port` or `[v6]:port`. */
export function parseListen(endpoint: string): Address {
  const at = endpoint.lastIndexOf(":");
  return { host: normal(endpoint.slice(0, at)), port: Number(endpoint.slice(at + 1)) };
}

/** Returns the address of an http or https URL. */
export function parseTarget(url: string): Address {
  const { hostname: host, port, protocol } = new URL(url);
  return { host: normal(host), port: port ? Number(port) : protocol === "https:" ? 443 : 80 };
}

export function isLoopback(host: string): boolean {
  if (isIP(host) === 0) return isLocalName(host);
  return loopback.check(host, isIPv6(host) ? "ipv6" : "ipv4");
}

export function isWildcard(host: string): boolean {
  return wildcards.has(host);
}

/** Returns the URL by which this machine reaches a listener without TLS. */
export function urlOf(endpoint: string): string {
  const { host, port } = parseListen(endpoint);
  const name = isWildcard(host) ? "127.0.0.1" : host.includes(":") ? `[${host}]` : host;
  return `http://${name}:${port}`;
}

function isLocalName(host: string): boolean {
  return host === "localhost" || host.endsWith(".localhost");
}

/** Returns the addresses of this machine's interfaces. */
function ownAddresses(): string[] {
  return Object.values(networkInterfaces()).flatMap(
    (list) => list?.map(({ address }) => normal(address)) ?? [],
  );
}

/** Returns the addresses to which a connection may go. Only names of this machine are resolved. */
function addressesOf(host: string): string[] {
  // Linux connects to the unspecified address as to the loopback.
  if (host === "0.0.0.0") return ["127.0.0.1"];
  if (host === "::") return ["::1"];
  if (isLocalName(host)) return ["127.0.0.1", "::1"];
  if (host === hostname().toLowerCase()) return ["127.0.0.1", "127.0.1.1", "::1", ...ownAddresses()];
  return isIP(host) ? [host] : [];
}

/** Whether a connection to the address ends at the listener. */
function takes(listener: string, address: string): boolean {
  if (!isWildcard(listener)) return addressesOf(listener).includes(address);
  return isLoopback(address) || ownAddresses().includes(address);
}

/** Whether the system would refuse one of the two listeners, or let one shadow the other. Port 0 is any free port. */
export function listenersClash(a: Address, b: Address): boolean {
  if (a.port !== b.port || a.port === 0) return false;
  return (
    a.host === b.host ||
    isWildcard(a.host) ||
    isWildcard(b.host) ||
    (isLoopback(a.host) && isLoopback(b.host))
  );
}

/** Whether a connection to `target` may end at the listener. */
export function reaches(target: Address, listener: Address): boolean {
  if (target.port !== listener.port || listener.port === 0) return false;
  return (
    target.host === listener.host || addressesOf(target.host).some((address) => takes(listener.host, address))
  );
}

/** Describes why a server cannot listen: names the configuration key, the address and the remedy. */
export function listenError(key: string, endpoint: string, error: NodeJS.ErrnoException): Error {
  return new Error(`${key}: cannot listen on ${endpoint}: ${reason(error)}`, { cause: error });
}

function reason(error: NodeJS.ErrnoException): string {
  switch (error.code) {
    case "EADDRINUSE":
      return "another process listens there; stop it or choose another port";
    case "EACCES":
      return "not permitted; choose a port above 1023, or allow this process to bind low ports";
    case "EADDRNOTAVAIL":
      return "no interface of this machine has that address; use 127.0.0.1, or 0.0.0.0 for all of them";
    case "ENOTFOUND":
    case "EAI_AGAIN":
      return "the host name does not resolve; use an IP address of this machine";
    default:
      return error.message;
  }
}
