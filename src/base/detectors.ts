/** Names of the built-in detectors, in the order of the native code. */
export const detectors = [
  "email",
  "phone",
  "iban",
  "card",
  "ip",
  "mac",
  "national_id",
  "ssn",
  "jwt",
  "api_key",
  "private_key",
  "password",
  "url_credentials",
  "person",
] as const;
export type Detector = (typeof detectors)[number];
