/** A DNS server on loopback whose one zone a test changes, and a lookup that asks it through Node's own resolver. */
import { createSocket } from "node:dgram";
import { promises } from "node:dns";
import type { LookupFunction } from "node:net";

export interface Dns {
  /** IPv4 addresses that every name has; if there are none, the name does not exist. */
  addresses: string[];
  /** Questions answered so far. */
  asked: number;
  lookup: LookupFunction;
  close(): Promise<void>;
}

const noSuchName = 3;

/** A response by RFC 1035: the question, and an A record for each address with a lifetime of zero. */
function answer(query: Buffer, addresses: string[]): Buffer {
  let end = 12;
  while (query[end] !== 0) end += 1 + query[end]!;
  const question = query.subarray(12, end + 5);
  const header = Buffer.alloc(12);
  query.copy(header, 0, 0, 2);
  header.writeUInt16BE(0x8180 | (addresses.length > 0 ? 0 : noSuchName), 2);
  header.writeUInt16BE(1, 4);
  header.writeUInt16BE(addresses.length, 6);
  const records = addresses.map((address) =>
    Buffer.from([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4, ...address.split(".").map(Number)]),
  );
  return Buffer.concat([header, question, ...records]);
}

export async function startDns(...addresses: string[]): Promise<Dns> {
  const socket = createSocket("udp4");
  await new Promise<void>((resolve) => socket.bind(0, "127.0.0.1", resolve));
  const resolver = new promises.Resolver();
  resolver.setServers([`127.0.0.1:${socket.address().port}`]);
  const dns: Dns = {
    addresses,
    asked: 0,
    lookup(host, { all }, callback) {
      resolver.resolve4(host).then(
        (found) =>
          all
            ? callback(
                null,
                found.map((address) => ({ address, family: 4 })),
              )
            : callback(null, found[0]!, 4),
        (error) => callback(error, []),
      );
    },
    close: () => new Promise((resolve) => socket.close(() => resolve())),
  };
  socket.on("message", (query, { port, address }) => {
    dns.asked++;
    socket.send(answer(query, dns.addresses), port, address);
  });
  return dns;
}
