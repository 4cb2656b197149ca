/**
 * Segments are the log's files. A position counts all bytes that the log has ever held; a segment is named by the position of
 * its first byte.
 */
import { readdir, rm, stat } from "node:fs/promises";
import { join } from "node:path";

export interface Segment {
  readonly path: string;
  readonly start: number;
  /** Position after its last whole frame; more than that may be in the file, and is nothing. */
  end: number;
}

/** Enough for 2^53, so that names sort as positions do. */
const digits = 16;
const pattern = /^(\d{16})\.log$/;

/** No log has ever held so much: a file with such a name is none of its, and beyond, positions would not be exact. */
const maxStart = 2 ** 52;

export function segmentPath(folder: string, start: number): string {
  return join(folder, `${String(start).padStart(digits, "0")}.log`);
}

/** Those of an earlier process, in order. What they overlap, after a file that could not be cut, belongs to the later. */
export async function listSegments(folder: string): Promise<Segment[]> {
  const segments: Segment[] = [];
  const files = (await readdir(folder, { withFileTypes: true })).filter((entry) => entry.isFile());
  for (const name of files.map(({ name }) => name).sort()) {
    const start = Number(pattern.exec(name)?.[1] ?? Number.NaN);
    if (!(start <= maxStart)) continue;
    const path = join(folder, name);
    const { size } = await stat(path);
    const before = segments.at(-1);
    if (before) before.end = Math.min(before.end, start);
    segments.push({ path, start, end: start + size });
  }
  return segments;
}

export async function removeSegment(segment: Segment): Promise<void> {
  await rm(segment.path, { force: true });
}
