/** Says why a file cannot be read or written, for a message that begins with its path. */
export function fileFault(
  { code, message }: NodeJS.ErrnoException,
  use: "read" | "written" = "read",
): string {
  switch (code) {
    case "ENOENT":
    case "ENOTDIR":
      return use === "read" ? "no such file" : "its folder does not exist";
    case "EISDIR":
      return "is a folder, not a file";
    case "EACCES":
    case "EPERM":
      return `may not be ${use} by this user; change its permissions`;
    default:
      return `cannot be ${use} (${code ?? message})`;
  }
}
