/** Evidence cannot be made now, or not any more. */
export class EvidenceRefused extends Error {
  /** Whether the same request may succeed soon. */
  readonly temporary: boolean;

  constructor(message: string, temporary: boolean) {
    super(message);
    this.temporary = temporary;
  }
}
