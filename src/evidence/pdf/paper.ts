/**
 * A document of running text, tables and figures, which is PDF/A-3a and PDF/UA-1 at once: everything is tagged, and what is drawn for
 * the eye alone is an artifact.
 */
import { createRequire } from "node:module";
import PDFDocument from "pdfkit";
import { escaped, isHidden } from "../../base/printable.ts";

const { resolve } = createRequire(import.meta.url);
const font = (name: string) => resolve(`dejavu-fonts-ttf/ttf/${name}.ttf`);

/** Paths and not names, because registered fonts make tables ten times slower. */
export const fonts = {
  plain: font("DejaVuSans"),
  bold: font("DejaVuSans-Bold"),
  mono: font("DejaVuSansMono"),
} as const;

export const colors = {
  ink: "#1b1f24",
  muted: "#57606a",
  accent: "#0b4f8a",
  line: "#d0d7de",
  shade: "#f3f6f9",
  mark: "#ffe08a",
  draft: "#8a4b00",
  alarm: "#b42318",
  usual: "#cfe8d5",
} as const;

const margins = { top: 62, bottom: 62, left: 54, right: 54 };
const bodySize = 9.5;
const headingSizes = { H1: 19, H2: 13, H3: 10.5 } as const;

/** PDF/A allows other metadata only if it describes their schema. */
const uaMetadata = `
  <rdf:Description rdf:about="" xmlns:pdfuaid="http://www.aiim.org/pdfua/ns/id/"><pdfuaid:part>1</pdfuaid:part></rdf:Description>
  <rdf:Description rdf:about="" xmlns:pdfaExtension="http://www.aiim.org/pdfa/ns/extension/"
    xmlns:pdfaSchema="http://www.aiim.org/pdfa/ns/schema#" xmlns:pdfaProperty="http://www.aiim.org/pdfa/ns/property#">
    <pdfaExtension:schemas><rdf:Bag><rdf:li rdf:parseType="Resource">
      <pdfaSchema:schema>PDF/UA identification</pdfaSchema:schema>
      <pdfaSchema:namespaceURI>http://www.aiim.org/pdfua/ns/id/</pdfaSchema:namespaceURI>
      <pdfaSchema:prefix>pdfuaid</pdfaSchema:prefix>
      <pdfaSchema:property><rdf:Seq><rdf:li rdf:parseType="Resource">
        <pdfaProperty:name>part</pdfaProperty:name>
        <pdfaProperty:valueType>Integer</pdfaProperty:valueType>
        <pdfaProperty:category>internal</pdfaProperty:category>
        <pdfaProperty:description>Part of ISO 14289 to which the document conforms</pdfaProperty:description>
      </rdf:li></rdf:Seq></pdfaSchema:property>
    </rdf:li></rdf:Bag></pdfaExtension:schemas>
  </rdf:Description>`;

export interface Attachment {
  name: string;
  type: string;
  description: string;
  bytes: Uint8Array;
}

export interface PaperOptions {
  title: string;
  subject: string;
  author: string;
  createdAt: Date;
  /** What stands at the foot of each page, before its number. */
  footer: string;
  attachment?: Attachment;
}

export interface Column {
  title: string;
  /** Its share of the width. */
  width: number;
  mono?: boolean;
}

interface TextStyle {
  face?: keyof typeof fonts;
  size?: number;
  color?: string;
  /** Space below, in points. */
  gap?: number;
}

/** Metadata becomes XML without being escaped. */
const forXml = (text: string) => text.replaceAll(/[<>&"']/g, " ");
/** The longest text of one paragraph or cell. */
const maxText = 20_000;
const maxCell = 700;

export class Paper {
  readonly doc: PDFKit.PDFDocument;
  readonly #root: PDFKit.PDFStructureElement;
  readonly #footer: string;
  readonly #chunks: Uint8Array[] = [];
  readonly #done: Promise<void>;
  readonly #known = new Map<string, boolean>();

  constructor({ title, subject, author, createdAt, footer, attachment }: PaperOptions) {
    this.doc = new PDFDocument({
      size: "A4",
      margins,
      subset: "PDF/A-3a",
      pdfVersion: "1.7",
      tagged: true,
      lang: "en-GB",
      displayTitle: true,
      bufferPages: true,
      autoFirstPage: false,
      font: fonts.plain,
      info: {
        Title: forXml(title),
        Subject: forXml(subject),
        Author: forXml(author),
        Creator: "Driftlock",
        Producer: "Driftlock",
        CreationDate: createdAt,
        ModDate: createdAt,
      },
    } as PDFKit.PDFDocumentOptions);
    this.#done = new Promise((resolve, reject) => {
      this.doc.on("data", (chunk: Uint8Array) => this.#chunks.push(chunk));
      this.doc.on("end", resolve);
      this.doc.on("error", reject);
    });
    this.#footer = this.safe(footer);
    (this.doc as unknown as { appendXML(xml: string): void }).appendXML(uaMetadata);
    this.doc.addPage();
    this.#root = this.doc.struct("Document");
    this.doc.addStructure(this.#root);
    if (attachment === undefined) return;
    // @types/pdfkit lacks the relationship, which PDF/A-3 requires.
    const options = {
      name: attachment.name,
      type: attachment.type,
      description: attachment.description,
      creationDate: createdAt,
      modifiedDate: createdAt,
      relationship: "Source",
    };
    this.doc.file(Buffer.from(attachment.bytes), options as PDFKit.Mixins.PDFAttachmentOptions);
  }

  get width(): number {
    return this.doc.page.width - margins.left - margins.right;
  }

  get left(): number {
    return margins.left;
  }

  /** Ends the document and resolves to its bytes. */
  async finish(): Promise<Buffer> {
    this.#root.end();
    this.#drawFooters();
    this.doc.end();
    await this.#done;
    return Buffer.concat(this.#chunks);
  }

  /**
   * Returns the text with visible escapes for what the fonts cannot show or what cannot be seen: characters without a glyph would make the
   * document unreadable for machines, and break both standards.
   */
  safe(text: string, max = maxText): string {
    const shown = text.length > max ? `${text.slice(0, max).replace(/[\ud800-\udbff]$/, "")} …` : text;
    return Array.from(shown, (character) => {
      if (character === "\n") return character;
      return this.#shows(character) ? character : escaped(character);
    }).join("");
  }

  /** @param keep how many points what follows needs on the same page */
  heading(level: keyof typeof headingSizes, text: string, keep = 60): void {
    this.room(keep + 42);
    const { doc } = this;
    if (doc.y > margins.top) doc.y += level === "H2" ? 14 : 8;
    this.#add(level, () =>
      this.#write(text, {
        face: "bold",
        size: headingSizes[level],
        color: level === "H3" ? colors.ink : colors.accent,
      }),
    );
    doc.y += level === "H1" ? 8 : 4;
  }

  paragraph(text: string, { gap = 6, ...style }: TextStyle = {}): void {
    this.#add("P", () => this.#write(text, style));
    this.doc.y += gap;
  }

  list(items: readonly string[]): void {
    if (items.length === 0) return;
    const { doc } = this;
    const list = doc.struct("L");
    this.#root.add(list);
    for (const item of items) {
      this.room(24);
      const entry = doc.struct("LI");
      list.add(entry);
      const top = doc.y;
      this.#child(entry, "Lbl", {}, () => this.#write("•", { color: colors.accent }));
      doc.y = top;
      this.#child(entry, "LBody", {}, () =>
        this.#write(item, {}, { x: margins.left + 12, width: this.width - 12 }),
      );
      entry.end();
      doc.y += 3;
    }
    list.end();
    doc.y += 4;
  }

  /** Facts beside their names. */
  facts(rows: readonly (readonly [string, string])[]): void {
    this.#table(undefined, rows, [
      { title: "", width: 0.24 },
      { title: "", width: 0.76 },
    ]);
  }

  table(columns: readonly Column[], rows: readonly (readonly string[])[]): void {
    this.#table(columns, rows, columns);
  }

  /**
   * @param alt what the figure shows, in words
   * @param draw draws within the box, from its top left
   */
  figure(alt: string, height: number, draw: (box: Box) => void): void {
    this.room(height + 8);
    const { doc } = this;
    const box = { x: margins.left, y: doc.y, width: this.width, height };
    const bbox = [box.x, box.y, box.x + box.width, box.y + box.height];
    this.#child(this.#root, "Figure", { alt: this.safe(alt), bbox }, () => {
      doc.save();
      draw(box);
      doc.restore();
    });
    doc.x = margins.left;
    doc.y = box.y + height + 8;
  }

  /** A block that is drawn by `draw`, as one paragraph of code. */
  block(draw: () => void): void {
    this.#add("P", draw);
    this.doc.x = margins.left;
  }

  /** Something for the eye alone. */
  artifact(draw: () => void): void {
    const { doc } = this;
    doc.markContent("Artifact", { type: "Layout" });
    doc.save();
    draw();
    doc.restore();
    doc.endMarkedContent();
  }

  /** Begins another page unless so many points are left. */
  room(points: number): void {
    const { doc } = this;
    if (doc.y + points > doc.page.height - margins.bottom) this.newPage();
  }

  newPage(): void {
    this.doc.addPage();
    this.doc.x = margins.left;
  }

  #add(type: string, draw: () => void): void {
    this.#child(this.#root, type, {}, draw);
  }

  /** @param options of the element; @types/pdfkit lacks the scope of header cells and the box of figures */
  #child(parent: PDFKit.PDFStructureElement, type: string, options: object, draw: () => void): void {
    const element = this.doc.struct(type, options);
    parent.add(element);
    element.add(draw);
    element.end();
  }

  #write(
    text: string,
    { face = "plain", size = bodySize, color = colors.ink }: TextStyle,
    { x, width }: { x: number; width: number } = { x: margins.left, width: this.width },
  ): void {
    const { doc } = this;
    const shown = this.safe(text);
    doc.font(fonts[face]).fontSize(size).fillColor(color);
    doc.text(shown, x, doc.y, { width, lineGap: size * 0.22 });
    doc.x = margins.left;
  }

  /** Draws a table whose rows do not break; a row that begins a page has the header above it, for the eye. */
  #table(
    header: readonly Column[] | undefined,
    rows: readonly (readonly string[])[],
    columns: readonly Column[],
  ): void {
    const { doc } = this;
    const table = doc.struct("Table");
    this.#root.add(table);
    const total = columns.reduce((sum, { width }) => sum + width, 0);
    const widths = columns.map(({ width }) => (width / total) * this.width);
    const titles = columns.map(({ title }) => title);
    const height = (cells: readonly string[], bold: boolean) => this.#rowHeight(cells, columns, widths, bold);
    if (header !== undefined) {
      this.room(height(titles, true) + 40);
      this.#row(table, titles, columns, widths, "header");
    }
    for (const row of rows) {
      const cells = row.map((cell) => this.safe(cell, maxCell));
      const needed = height(cells, false);
      if (doc.y + needed > doc.page.height - margins.bottom) {
        this.newPage();
        if (header !== undefined) this.artifact(() => this.#drawRow(titles, columns, widths, "header"));
      }
      this.#row(table, cells, columns, widths, header === undefined ? "fact" : "row");
    }
    table.end();
    doc.x = margins.left;
    doc.y += 8;
  }

  #face({ mono }: Column, kind: RowKind, index: number): keyof typeof fonts {
    if (kind === "header" || (kind === "fact" && index === 0)) return "bold";
    return mono ? "mono" : "plain";
  }

  #rowHeight(
    cells: readonly string[],
    columns: readonly Column[],
    widths: readonly number[],
    bold: boolean,
  ): number {
    const { doc } = this;
    const heights = cells.map((cell, index) => {
      doc.font(fonts[bold ? "bold" : columns[index]!.mono ? "mono" : "plain"]).fontSize(cellSize);
      return doc.heightOfString(cell || " ", { width: widths[index]! - 2 * cellPadding, lineGap: cellGap });
    });
    return Math.max(...heights) + 2 * cellPadding;
  }

  #row(
    table: PDFKit.PDFStructureElement,
    cells: readonly string[],
    columns: readonly Column[],
    widths: readonly number[],
    kind: RowKind,
  ): void {
    const { doc } = this;
    const top = doc.y;
    const height = this.#rowHeight(cells, columns, widths, kind === "header");
    this.artifact(() => drawRule(doc, kind, top, height, this.width));
    const row = doc.struct("TR");
    table.add(row);
    this.#cells(cells, columns, widths, kind, (index, draw) => {
      const isHeader = kind === "header" || (kind === "fact" && index === 0);
      const scope = isHeader ? { scope: kind === "header" ? "Column" : "Row" } : {};
      this.#child(row, isHeader ? "TH" : "TD", scope, draw);
    });
    row.end();
    doc.x = margins.left;
    doc.y = top + height;
  }

  #drawRow(
    cells: readonly string[],
    columns: readonly Column[],
    widths: readonly number[],
    kind: RowKind,
  ): void {
    const { doc } = this;
    const top = doc.y;
    const height = this.#rowHeight(cells, columns, widths, kind === "header");
    drawRule(doc, kind, top, height, this.width);
    this.#cells(cells, columns, widths, kind, (_index, draw) => draw());
    doc.y = top + height;
  }

  /** Draws cells side by side. @param each calls `draw` for a cell, within the tags that it needs */
  #cells(
    cells: readonly string[],
    columns: readonly Column[],
    widths: readonly number[],
    kind: RowKind,
    each: (index: number, draw: () => void) => void,
  ): void {
    const top = this.doc.y;
    let x = margins.left;
    for (const [index, cell] of cells.entries()) {
      const at = x;
      each(index, () => this.#cell(cell, this.#face(columns[index]!, kind, index), at, top, widths[index]!));
      x += widths[index]!;
    }
  }

  #cell(text: string, face: keyof typeof fonts, x: number, y: number, width: number): void {
    const { doc } = this;
    doc.font(fonts[face]).fontSize(cellSize).fillColor(colors.ink);
    doc.text(text || " ", x + cellPadding, y + cellPadding, {
      width: width - 2 * cellPadding,
      lineGap: cellGap,
    });
  }

  #shows(character: string): boolean {
    let shows = this.#known.get(character);
    if (shows === undefined) {
      shows = !isHidden(character) && this.#hasGlyph(character.codePointAt(0)!);
      this.#known.set(character, shows);
    }
    return shows;
  }

  /** Whether all fonts have a glyph. It changes the font: pdfkit keeps what fontkit has opened to its current font. */
  #hasGlyph(codePoint: number): boolean {
    return Object.values(fonts).every((path) => {
      const { _font } = this.doc.font(path) as unknown as {
        _font: { font: { hasGlyphForCodePoint(codePoint: number): boolean } };
      };
      return _font.font.hasGlyphForCodePoint(codePoint);
    });
  }

  #drawFooters(): void {
    const { doc } = this;
    const { start, count } = doc.bufferedPageRange();
    for (let index = 0; index < count; index++) {
      doc.switchToPage(start + index);
      const { page } = doc;
      const bottom = page.margins.bottom;
      // Text below the margin would begin another page.
      page.margins.bottom = 0;
      doc.markContent("Artifact", { type: "Pagination", attached: ["Bottom"] });
      const y = page.height - 40;
      doc.save();
      doc.moveTo(margins.left, y - 6).lineTo(page.width - margins.right, y - 6);
      doc.lineWidth(0.5).strokeColor(colors.line).stroke();
      doc.font(fonts.plain).fontSize(7).fillColor(colors.muted);
      doc.text(this.#footer, margins.left, y, { width: this.width - 80, lineBreak: false });
      doc.text(`Page ${index + 1} of ${count}`, page.width - margins.right - 80, y, {
        width: 80,
        align: "right",
        lineBreak: false,
      });
      doc.restore();
      doc.endMarkedContent();
      page.margins.bottom = bottom;
    }
  }
}

export interface Box {
  x: number;
  y: number;
  width: number;
  height: number;
}

type RowKind = "header" | "row" | "fact";
const cellSize = 8.2;
const cellPadding = 4;
const cellGap = 1.6;

function drawRule(doc: PDFKit.PDFDocument, kind: RowKind, top: number, height: number, width: number): void {
  if (kind === "header") doc.rect(margins.left, top, width, height).fill(colors.shade);
  doc
    .moveTo(margins.left, top + height)
    .lineTo(margins.left + width, top + height)
    .lineWidth(kind === "header" ? 0.8 : 0.4)
    .strokeColor(colors.line)
    .stroke();
}
