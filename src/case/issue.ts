/** A field that does not fit the rest of its case. */
export interface CaseIssue {
  readonly path: readonly (string | number)[];
  readonly message: string;
}
