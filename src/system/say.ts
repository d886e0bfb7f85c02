/** Tells the user what is being done, one line each. */
export type Say = (line: string) => void;
