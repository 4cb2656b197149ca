/** A time-stamping authority of OpenSSL, with a root, an intermediate and its own certificate, that answers by HTTP. */
import { execFileSync } from "node:child_process";
import { once } from "node:events";
import { copyFileSync, readFileSync, writeFileSync } from "node:fs";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { buffer } from "node:stream/consumers";

const config = `
[req]
distinguished_name = name
prompt = no
[name]
CN = unused
[root]
basicConstraints = critical, CA:true
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
[intermediate]
basicConstraints = critical, CA:true, pathlen:0
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
[authority]
basicConstraints = CA:false
keyUsage = critical, digitalSignature
extendedKeyUsage = critical, timeStamping
authorityKeyIdentifier = keyid
[tsa]
default_tsa = tsa_config
[tsa_config]
serial = serial
signer_digest = sha256
default_policy = 1.2.3.4.1
other_policies = 1.2.3.4.5
digests = sha256, sha384, sha512
accuracy = secs:1
clock_precision_digits = 3
ordering = no
tsa_name = yes
ess_cert_id_chain = no
ess_cert_id_alg = sha256
`;

export interface Authority {
  /** The folder of its files: `chain.pem` is what it sends with its certificate. */
  folder: string;
  url: string;
  /** The certificate of the root, in PEM. */
  root: string;
  /** Makes a revocation list of the root or the intermediate, in PEM. @param revoked a certificate, and when it was revoked and why */
  revocations(of: "root" | "intermediate", revoked?: { name: string; time: Date; reason: string }): string;
  /** Answers in place of the authority. */
  answer: ((request: IncomingMessage, response: ServerResponse, own: () => Uint8Array) => void) | undefined;
  close(): void;
}

export async function startAuthority(folder: string): Promise<Authority> {
  const openssl = (...args: string[]) => execFileSync("openssl", args, { cwd: folder, stdio: "pipe" });
  writeFileSync(join(folder, "tsa.cnf"), config);
  const issue = (name: string, section: string, issuer?: string) => {
    openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", `${name}.key`);
    const request = ["req", "-new", "-key", `${name}.key`, "-subj", `/O=Example/CN=Example ${name}`];
    openssl(...request, "-config", "tsa.cnf", "-out", `${name}.csr`);
    const by =
      issuer === undefined
        ? ["-signkey", `${name}.key`]
        : ["-CA", `${issuer}.pem`, "-CAkey", `${issuer}.key`, "-CAcreateserial"];
    const extensions = ["-extfile", "tsa.cnf", "-extensions", section, "-days", "30"];
    openssl("x509", "-req", "-in", `${name}.csr`, ...by, ...extensions, "-out", `${name}.pem`);
  };
  issue("root", "root");
  issue("intermediate", "intermediate", "root");
  issue("authority", "authority", "intermediate");
  copyFileSync(join(folder, "intermediate.pem"), join(folder, "chain.pem"));
  const reply = (query: Uint8Array) => {
    writeFileSync(join(folder, "query"), query);
    const signer = ["-signer", "authority.pem", "-inkey", "authority.key", "-chain", "chain.pem"];
    openssl(
      "ts",
      "-reply",
      "-config",
      "tsa.cnf",
      "-section",
      "tsa_config",
      "-queryfile",
      "query",
      ...signer,
      "-out",
      "reply",
    );
    return readFileSync(join(folder, "reply"));
  };
  const server = createServer(async (request, response) => {
    const query = await buffer(request);
    if (authority.answer !== undefined) return authority.answer(request, response, () => reply(query));
    const right =
      request.method === "POST" && request.headers["content-type"] === "application/timestamp-query";
    if (!right) return response.writeHead(415).end();
    response.writeHead(200, { "content-type": "application/timestamp-reply" }).end(reply(query));
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  const authority: Authority = {
    folder,
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/tsr`,
    root: readFileSync(join(folder, "root.pem"), "utf8"),
    answer: undefined,
    revocations(of, revoked) {
      const utc = (time: Date) => `${time.toISOString().slice(2, 19).replaceAll(/[-T:]/g, "")}Z`;
      const far = utc(new Date(Date.now() + 86_400_000));
      const serial = (name: string) =>
        String(openssl("x509", "-in", `${name}.pem`, "-noout", "-serial"))
          .trim()
          .replace("serial=", "");
      const entry = revoked && [
        "R",
        far,
        `${utc(revoked.time)},${revoked.reason}`,
        serial(revoked.name),
        "unknown",
        `/CN=${revoked.name}`,
      ];
      writeFileSync(join(folder, "index.txt"), entry ? `${entry.join("\t")}\n` : "");
      writeFileSync(join(folder, "index.txt.attr"), "unique_subject = no\n");
      const section =
        "[ca]\ndefault_ca = own\n[own]\ndatabase = index.txt\ndefault_md = sha256\ndefault_crl_days = 1\n";
      writeFileSync(join(folder, "crl.cnf"), section);
      const files = ["-keyfile", `${of}.key`, "-cert", `${of}.pem`, "-out", "list.pem"];
      openssl("ca", "-config", "crl.cnf", "-gencrl", ...files);
      return readFileSync(join(folder, "list.pem"), "utf8");
    },
    close() {
      server.closeAllConnections();
      server.close();
    },
  };
  return authority;
}
