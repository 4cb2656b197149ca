/** The stable codes of errors. Code may depend on them; messages are for people and may change. */

interface Explanation {
  /** The classes that errors with this code have. */
  class: string;
  /** When such an error is thrown. */
  cause: string;
  /** What to do about it. */
  remedy: string;
}

/** All codes, each with the class of its errors, their cause, and a remedy. */
export const errorCodes = {
  ERR_DRIFTLOCK_CONFIG: {
    class: "ConfigError",
    cause:
      "The configuration cannot be used: a key is unknown, a value is not valid, keys contradict each other, or a file cannot be read.",
    remedy:
      "Correct what the message names; `problems` has each problem with its key and its place. `driftlock validate` shows the same.",
  },
  ERR_DRIFTLOCK_OTLP_MALFORMED: {
    class: "Error",
    cause:
      "A request is not the protobuf message that its signal requires. The message names the field and the offset.",
    remedy:
      "Correct the sender. Check that the signal matches the request and that the request was decompressed. Do not send it again unchanged.",
  },
  ERR_DRIFTLOCK_ENGINE_CANCELLED: {
    class: "Error",
    cause: "`cancel` was called before all records of the request were judged.",
    remedy: "Send the request again, to another engine if this one is shutting down.",
  },
  ERR_DRIFTLOCK_ENGINE_CLOSED: {
    class: "Error",
    cause: "A method was called after `close`.",
    remedy: "Create a new engine. Await pending calls before closing one.",
  },
  ERR_DRIFTLOCK_ENGINE_STARTED: {
    class: "Error",
    cause: "`restore` was called after the engine's first request.",
    remedy: "Restore a snapshot into a new engine, before any other call.",
  },
  ERR_DRIFTLOCK_INVALID_ARGUMENT: {
    class: "TypeError",
    cause:
      "An argument or option is missing, unknown or of the wrong type. The message names it. Typed arrays on a SharedArrayBuffer are refused everywhere.",
    remedy: "Correct the argument. Copy shared memory into an array of its own.",
  },
  ERR_DRIFTLOCK_OUT_OF_RANGE: {
    class: "RangeError",
    cause:
      "An argument or option has the right type but is too small, too large or too long. The message has the range.",
    remedy: "Choose a value within the range.",
  },
  ERR_DRIFTLOCK_SIZE_LIMIT: {
    class: "RangeError",
    cause:
      "Data has a size that the function cannot handle: empty where a ratio needs bytes, longer than the codec reaches, or larger than `maxSize` after decompression.",
    remedy: "Pass data within the limit that the message names, or raise `maxSize`.",
  },
  ERR_DRIFTLOCK_DAMAGED_INPUT: {
    class: "Error",
    cause:
      "Compressed data or a recording is truncated, was changed, or was not written by the codec or by Driftlock.",
    remedy: "Check that the codec is the one that compressed the data, and that the data is complete.",
  },
  ERR_DRIFTLOCK_RECORDING_FORMAT: {
    class: "Error",
    cause: "A recording was made by a version of Driftlock whose verdicts this version cannot compute again.",
    remedy: "Use the version that the message names.",
  },
  ERR_DRIFTLOCK_OUT_OF_MEMORY: {
    class: "RangeError",
    cause: "The system has no memory left for the call.",
    remedy: "Give the process more memory, or lower `detect.max_streams` and the sizes of requests.",
  },
  ERR_DRIFTLOCK_INVALID_CALL: {
    class: "TypeError",
    cause: "`Engine` was called without `new`, or one of its methods on another object.",
    remedy: "Create the engine with `new`, and call its methods on it.",
  },
  ERR_DRIFTLOCK_INTERNAL: {
    class: "Error",
    cause: "A failure in Driftlock, or of the system, that no other code describes.",
    remedy: "Read the message. If it does not name a limit of the system, report it as a bug.",
  },
} as const satisfies Readonly<Record<`ERR_DRIFTLOCK_${string}`, Explanation>>;

/** The `code` of an error. */
export type ErrorCode = keyof typeof errorCodes;
