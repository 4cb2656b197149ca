import { createCipheriv } from "node:crypto";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { native } from "../../src/native.ts";

const hex = (text: string) => Buffer.from(text.replaceAll(/[\s:]/g, ""), "hex");
const sequence = Uint8Array.from({ length: 32 }, (_, i) => i);
const zeros = new Uint8Array(32);
const one = Uint8Array.from({ length: 32 }, (_, i) => (i === 31 ? 1 : 0));
const noNonce = new Uint8Array(12);

describe("RFC 8439", () => {
  it("2.3.2: the block function", () => {
    expect(native.chacha20(sequence, 1, hex("000000090000004a00000000"), 64)).toEqual(
      hex(`10f1e7e4d13b5915500fdd1fa32071c4c7d1f4c733c068030422aa9ac3d46c4e
           d2826446079faa0914c2d705d98b02a2b5129cd1de164eb9cbd083e8a2503c4e`),
    );
  });

  it("2.4.2: the cipher's key stream over two blocks", () => {
    const plain = Buffer.from(
      "Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, sunscreen would be it.",
    );
    const stream = native.chacha20(sequence, 1, hex("000000000000004a00000000"), plain.length);
    expect(Buffer.from(plain.map((byte, i) => byte ^ stream[i]!))).toEqual(
      hex(`6e2e359a2568f98041ba0728dd0d6981e97e7aec1d4360c20a27afccfd9fae0b
           f91b65c5524733ab8f593dabcd62b3571639d624e65152ab8f530c359f0861d8
           07ca0dbf500d6a6156a38e088a22b65e52bc514d16ccf806818ce91ab7793736
           5af90bbf74a35be6b40b8eedf2785e42874d`),
    );
  });

  it.each([
    [
      "1",
      zeros,
      0,
      noNonce,
      "76b8e0ada0f13d90405d6ae55386bd28bdd219b8a08ded1aa836efcc8b770dc7da41597c5157488d7724e03fb8d84a376a43b8f41518a11cc387b669b2ee6586",
    ],
    [
      "2",
      zeros,
      1,
      noNonce,
      "9f07e7be5551387a98ba977c732d080dcb0f29a048e3656912c6533e32ee7aed29b721769ce64e43d57133b074d839d531ed1f28510afb45ace10a1f4b794d6f",
    ],
    [
      "3",
      one,
      1,
      noNonce,
      "3aeb5224ecf849929b9d828db1ced4dd832025e8018b8160b82284f3c949aa5a8eca00bbb4a73bdad192b5c42f73f2fd4e273644c8b36125a64addeb006c13a0",
    ],
    [
      "4",
      Uint8Array.from({ length: 32 }, (_, i) => (i === 1 ? 255 : 0)),
      2,
      noNonce,
      "72d54dfbf12ec44b362692df94137f328fea8da73990265ec1bbbea1ae9af0ca13b25aa26cb4a648cb9b9d1be65b2c0924a66c54d545ec1b7374f4872e99f096",
    ],
    [
      "5",
      zeros,
      0,
      Uint8Array.from({ length: 12 }, (_, i) => (i === 11 ? 2 : 0)),
      "c2c64d378cd536374ae204b9ef933fcd1a8b2288b3dfa49672ab765b54ee27c78a970e0e955c14f3a88e741b97c286f75f8fc299e8148362fa198a39531bed6d",
    ],
  ])("A.1: test vector %s", (_name, key, counter, nonce, expected) => {
    expect(native.chacha20(key, counter, nonce, 64).toString("hex")).toBe(expected);
  });
});

it("agrees with OpenSSL for any key, nonce, counter and length", () => {
  fc.assert(
    fc.property(
      fc.uint8Array({ minLength: 32, maxLength: 32 }),
      fc.integer({ min: 0, max: 2 ** 32 - 20 }),
      fc.uint8Array({ minLength: 12, maxLength: 12 }),
      fc.nat(1000),
      (key, counter, nonce, length) => {
        const iv = Buffer.alloc(16);
        iv.writeUInt32LE(counter);
        iv.set(nonce, 4);
        const expected = createCipheriv("chacha20", key, iv).update(Buffer.alloc(length));
        expect(native.chacha20(key, counter, nonce, length).equals(expected)).toBe(true);
      },
    ),
  );
});

it("ends with the last block of the counter", () => {
  expect(native.chacha20(zeros, 2 ** 32 - 1, noNonce, 64).length).toBe(64);
  expect(() => native.chacha20(zeros, 2 ** 32 - 1, noNonce, 65)).toThrow(/length passes the last block/);
});

it("names arguments that do not fit", () => {
  const wrong = (message: string) =>
    Object.assign(new RangeError(message), { code: "ERR_DRIFTLOCK_OUT_OF_RANGE" });
  expect(() => native.chacha20(new Uint8Array(31), 0, noNonce, 1)).toThrow(
    wrong("key is 31 bytes long: ChaCha20 takes 32"),
  );
  expect(() => native.chacha20(zeros, 0, new Uint8Array(8), 1)).toThrow(
    wrong("nonce is 8 bytes long: ChaCha20 takes 12"),
  );
  expect(() => native.chacha20(zeros, -1, noNonce, 1)).toThrow(
    /counter must be a whole number from 0 to 4294967295/,
  );
  expect(() => native.chacha20(zeros, 0, noNonce, 1.5)).toThrow(/length must be a whole number/);
});
