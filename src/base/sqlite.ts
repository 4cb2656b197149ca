import process from "node:process";

/**
 * Node's SQLite, loaded without the warning that it is experimental, which Node 22 and early releases of 24 print in each
 * thread. The tests cover what Driftlock uses of it.
 */
function load() {
  const { emitWarning } = process;
  process.emitWarning = () => {};
  try {
    return process.getBuiltinModule("node:sqlite");
  } finally {
    process.emitWarning = emitWarning;
  }
}

export const { DatabaseSync } = load();
