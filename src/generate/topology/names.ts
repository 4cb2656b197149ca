/** The vocabulary of topologies. */

/** Domains of services: the name, what it is about, and its plural. */
export const domains = [
  ["catalog", "product", "products"],
  ["pricing", "price", "prices"],
  ["inventory", "stock", "stock"],
  ["carts", "cart", "carts"],
  ["orders", "order", "orders"],
  ["payments", "charge", "charges"],
  ["shipping", "parcel", "parcels"],
  ["accounts", "account", "accounts"],
  ["sessions", "session", "sessions"],
  ["search", "query", "queries"],
  ["recommendations", "suggestion", "suggestions"],
  ["reviews", "review", "reviews"],
  ["promotions", "coupon", "coupons"],
  ["risk", "assessment", "assessments"],
  ["ledger", "entry", "entries"],
  ["media", "image", "images"],
  ["loyalty", "balance", "balances"],
  ["taxes", "rate", "rates"],
] as const;

export type Domain = (typeof domains)[number];

/** What the operations of a service that puts together what others own are called. */
export const verbs = [["Create"], ["Prepare", "Confirm"], ["Compose", "Refresh"]] as const;

export const gateways = ["web-gateway", "mobile-gateway", "partner-gateway"] as const;
export const consumers = ["notifier", "invoicer", "indexer", "exporter", "archiver"] as const;
export const workers = ["settlement", "reconciler", "reporter", "sweeper"] as const;
export const databaseSystems = ["postgresql", "mysql", "mongodb", "microsoft.sql_server"] as const;
export const cacheSystems = ["redis", "memcached"] as const;
export const brokerSystems = ["kafka", "rabbitmq"] as const;
export const externals = ["api.cardgate.example", "geo.mapworks.example", "mail.postbox.example"] as const;

export const ports: Readonly<Record<string, number>> = {
  http: 8080,
  grpc: 9090,
  https: 443,
  postgresql: 5432,
  mysql: 3306,
  mongodb: 27017,
  "microsoft.sql_server": 1433,
  redis: 6379,
  memcached: 11211,
  kafka: 9092,
  rabbitmq: 5672,
};

/** Texts of logs: `{noun}` stands for what the service is about. */
export const beginnings = [
  "Request for {noun} {id} received",
  "Looking up {noun} {id}, {} fields requested",
  "Handling {noun} {id} for tenant {}",
  "Validating {noun} {id} against rule set {}",
  "Received {noun} {id} with {} items",
] as const;
export const endings = [
  "Returned {noun} {id} in {ms} ms",
  "{noun} {id} done after {ms} ms, {} bytes",
  "Completed {noun} {id}: {} rows, {ms} ms",
  "Answered for {noun} {id} with {} entries in {ms} ms",
] as const;

/** Parts of errors that a component does not have as long as nothing is wrong with it. */
export const errorNouns = [
  "Snapshot",
  "Lease",
  "Cursor",
  "Segment",
  "Quorum",
  "Manifest",
  "Replica",
  "Token",
] as const;
export const errorVerbs = ["acquire", "decode", "commit", "resolve", "rotate", "verify", "open"] as const;
export const errorCauses = [
  "unexpected end of stream",
  "version 7 is not supported",
  "the deadline of the writer has passed",
  "checksum does not match",
  "no space left in the arena",
  "permission denied for role",
  "index 14 is out of range",
] as const;

/** Errors that come now and then. */
export const usualFailures = [
  { type: "ECONNRESET", message: "connection reset by peer" },
  { type: "OptimisticLockException", message: "row was updated by another transaction" },
  { type: "UNAVAILABLE", message: "upstream connect error, reset reason: overflow" },
  { type: "RateLimited", message: "too many requests, retry after 1 s" },
] as const;
