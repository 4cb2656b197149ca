/** The record of a report, with what is new in it marked. */
import { colors, fonts, type Paper } from "./paper.ts";

const size = 8;
const lineHeight = 12.5;
const maxShown = 3_000;

interface Piece {
  text: string;
  novel: boolean;
}

/** Divides a text at ranges of its UTF-8 bytes. */
function pieces(text: string, ranges: readonly { start: number; end: number }[]): Piece[] {
  const bytes = Buffer.from(text);
  const found: Piece[] = [];
  let at = 0;
  const push = (end: number, novel: boolean) => {
    if (end > at) found.push({ text: bytes.subarray(at, end).toString(), novel });
    at = Math.max(at, end);
  };
  for (const { start, end } of ranges) {
    push(Math.min(start, bytes.length), false);
    push(Math.min(end, bytes.length), true);
  }
  push(bytes.length, false);
  return found;
}

/** Puts pieces into lines of so many characters. Each character has the same width, also an escaped one. */
function toLines(all: readonly Piece[], perLine: number): Piece[][] {
  const lines: Piece[][] = [[]];
  let used = 0;
  for (const { text, novel } of all) {
    for (const [index, part] of text.split("\n").entries()) {
      if (index > 0) {
        lines.push([]);
        used = 0;
      }
      let rest = part;
      while (rest !== "") {
        if (used === perLine) {
          lines.push([]);
          used = 0;
        }
        const piece = rest.slice(0, perLine - used);
        lines.at(-1)!.push({ text: piece, novel });
        used += piece.length;
        rest = rest.slice(piece.length);
      }
    }
  }
  return lines;
}

/** Draws the text with what is new on a coloured ground and underlined, and says in words what that is. */
export function drawRecord(
  paper: Paper,
  text: string,
  novel: readonly { start: number; end: number }[],
): void {
  const { doc } = paper;
  const whole = pieces(text, novel).map((piece) => ({ ...piece, text: paper.safe(piece.text) }));
  const cut: Piece[] = [];
  let left = maxShown;
  for (const piece of whole) {
    if (left <= 0) break;
    cut.push({ ...piece, text: piece.text.slice(0, left) });
    left -= piece.text.length;
  }
  const advance = doc.font(fonts.mono).fontSize(size).widthOfString("0");
  const perLine = Math.floor((paper.width - 16) / advance);
  for (const line of toLines(cut, perLine)) {
    paper.room(lineHeight + 4);
    const top = doc.y;
    paper.artifact(() => {
      doc.rect(paper.left, top, paper.width, lineHeight).fill(colors.shade);
      let x = paper.left + 8;
      for (const piece of line) {
        const width = piece.text.length * advance;
        if (piece.novel) {
          doc.rect(x, top + 0.5, width, lineHeight - 1).fill(colors.mark);
          doc
            .moveTo(x, top + lineHeight - 1)
            .lineTo(x + width, top + lineHeight - 1)
            .lineWidth(0.7)
            .strokeColor(colors.alarm)
            .stroke();
        }
        x += width;
      }
    });
    const whole = line.map((piece) => piece.text).join("");
    if (whole !== "") {
      paper.block(() => {
        doc.font(fonts.mono).fontSize(size).fillColor(colors.ink);
        doc.text(whole, paper.left + 8, top + 1.5, { lineBreak: false });
      });
    }
    doc.y = top + lineHeight;
  }
  doc.y += 4;
  const parts = whole.filter((piece) => piece.novel).map((piece) => `“${piece.text.replaceAll("\n", " ")}”`);
  if (parts.length > 0) {
    const words = `New to the stream, and marked above: ${parts.slice(0, 10).join(", ")}${parts.length > 10 ? ` and ${parts.length - 10} more` : ""}.`;
    paper.paragraph(words.length > 600 ? `${words.slice(0, 600)} …` : words, {
      size: 8,
      color: colors.muted,
    });
  }
  if (left < 0) {
    paper.paragraph("The text goes on; the embedded bundle has all of it.", { size: 8, color: colors.muted });
  }
}
